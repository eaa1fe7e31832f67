// SPDX-License-Identifier: GPL-2.0

//! Builds advertisements, and frames that show switches the virtual MAC, under the lock
//! of an interface.

use super::{
    counters::Counter,
    device::Carp,
    host::{Host, Moment},
    node::Node,
    outbox::{Outbox, Packet, PRIORITY},
    parent::Parent,
    work,
};
use crate::{
    linux::{
        ip_output,
        netdevice::{Device, MacAddress},
        skbuff_tx::TxFrame,
    },
    proto::auth::trailer::sign_advertisement,
    proto::carp::{
        balancing::Balancing,
        effects::{Effects, Kind, Outgoing},
        election::Family,
        frame::{self, Payload},
        packet::virtual_mac,
        time::Instant,
    },
};
use core::net::{IpAddr, Ipv4Addr};
use kernel::{prelude::*, sync::rcu};

/// Puts into the outbox what `effects` of the virtual host with this index
/// ask to be sent. Under the host's lock.
pub(super) fn send(
    carp: &Carp,
    host: &mut Host,
    index: usize,
    moment: &Moment,
    effects: &Effects,
    outbox: &mut Outbox,
) {
    // Nobody tells of flowtables. Events come often enough, and to look is one load.
    let stale = {
        let rcu = rcu::read_lock();
        Parent::lower_of(carp, &rcu).is_some_and(Parent::is_ingress_stale)
    };
    if let (true, Some(own)) = (stale, &host.own) {
        own.schedule_work(work::INGRESS);
    }
    let announces = effects.announce && host.settings.balancing().announces(index == 0);
    if let (Some(outgoing), Some(node)) = (&effects.advertise, host.nodes.get(index)) {
        let shown = build(carp, host, node, moment, outgoing, outbox);
        if outgoing.kind == Kind::Advertisement {
            if let Some(advertises) = outbox.advertising.get_mut(index) {
                *advertises = true;
            }
            show_mac(carp, host, index, moment.now, shown || announces, outbox);
        }
    }
    if announces {
        host.announcements.begin(moment.now);
    }
}

/// Has switches learn the virtual MAC beside an advertisement, if it is not shown
/// by other frames (see [`crate::proto::carp::learning`]).
fn show_mac(
    carp: &Carp,
    host: &mut Host,
    index: usize,
    now: Instant,
    shown: bool,
    outbox: &mut Outbox,
) {
    let mode = host.settings.balancing();
    let Some(node) = host.nodes.get_mut(index) else {
        return;
    };
    let mac = source_mac(mode, node, host.settings.mac());
    let shows = match mode {
        Balancing::Ip => false,
        Balancing::IpStealth => {
            let alone = host.masters().is_all();
            host.exposure.advertised(alone)
        }
        _ => node.learning.advertised(now, shown),
    };
    if !shows {
        return;
    }
    // An announcement does it, and helps who has missed an earlier one; but not
    // where an address has several MAC addresses.
    if mode.announces(index == 0) && !host.balances_arp() {
        let turn = host.announcements.in_turn(&host.addresses);
        if let (Some(free), Some(address)) = (outbox.addresses.first_mut(), turn) {
            *free = Some(address);
            outbox.own.clone_from(&host.own);
        }
        return;
    }
    let rcu = rcu::read_lock();
    if let Some(carpdev) = carp.published.carpdev.get(&rcu) {
        let target = host.addresses.ipv4.first();
        let probe = frame::arp_probe(mac, target.unwrap_or(Ipv4Addr::UNSPECIFIED));
        match TxFrame::new(carpdev, &probe, PRIORITY) {
            Some(skb) => outbox.probes.push(skb),
            None => carp.counters.count(Counter::NoMemory),
        }
    }
}

/// Puts the announcements into the outbox that are due. Under the host's lock.
pub(super) fn announce_due(host: &mut Host, now: Instant, outbox: &mut Outbox) {
    if host.announcements.deadline().is_none_or(|due| now < due) {
        return;
    }
    outbox.addresses = host.announcements.due(now, &host.addresses);
    outbox.own.clone_from(&host.own);
}

/// Builds the frames of an advertisement. Returns whether one of them shows
/// switches the virtual MAC. Under the host's lock.
fn build(
    carp: &Carp,
    host: &Host,
    node: &Node,
    moment: &Moment,
    outgoing: &Outgoing,
    outbox: &mut Outbox,
) -> bool {
    let rcu = rcu::read_lock();
    let (Some(own), Some(carpdev)) = (&host.own, carp.published.carpdev.get(&rcu)) else {
        return false;
    };
    outbox.own = Some(own.clone());
    outbox.carpdev = Some((*carpdev).clone());
    outbox.counts_successes = host.demotion.send_errors.counts_successes();
    let advertisement = match outgoing.kind {
        Kind::Advertisement => node.election.advertisement(&moment.environment),
        Kind::BowOut => node.election.bow_out(&moment.environment),
    };
    let mac = match host.settings.balancing() {
        // A farewell is said once in each family, and the first may have made
        // another one master already: the second must not lead switches back here.
        _ if outgoing.kind == Kind::BowOut => carpdev.mac(),
        mode if mode.hides_its_mac() => carpdev.mac(),
        // Switches learn from it where the master is.
        mode => source_mac(mode, node, host.settings.mac()),
    };
    let mut post = |frame: &[u8]| match TxFrame::new(carpdev, frame, PRIORITY) {
        Some(skb) => outbox.frames.push(skb),
        None => carp.counters.count(Counter::NoMemory),
    };
    let own4 = host.addresses.ipv4.first();
    let own6 = host.addresses.ipv6.first();
    let source4 = carpdev.primary_address(&rcu).or(own4);
    let source6 = carpdev.link_local_address(&rcu).or(own6);
    let group4 = outgoing.families.ipv4 && !host.has_peers(Family::Ipv4);
    let group6 = outgoing.families.ipv6 && !host.has_peers(Family::Ipv6);
    for signed in node.signed(moment.now, advertisement, host.settings.linklocal) {
        let key = host
            .auth
            .as_ref()
            .and_then(|auth| auth.next(host.settings.auth.mode));
        let bare = signed.emit();
        let payload = |source: IpAddr| match key {
            Some((key, number)) => Payload::new(&[&sign_advertisement(key, source, number, &bare)]),
            None => Payload::new(&[&bare]),
        };
        if let (true, Some(source)) = (group4, source4) {
            post(&frame::ipv4(mac, source, &payload(source.into())));
        }
        if let (true, Some(source)) = (group6, source6) {
            post(&frame::ipv6(mac, source, &payload(source.into())));
        }
        for peer in host
            .peers
            .iter()
            .filter(|peer| !is_own(carpdev, peer, &rcu))
        {
            let packet = match *peer {
                IpAddr::V4(peer) if outgoing.families.ipv4 => {
                    let source = ip_output::source_ipv4(carpdev, peer).or(own4);
                    source.map(|source| {
                        Packet::Ipv4(frame::ipv4_packet(source, peer, &payload(source.into())))
                    })
                }
                IpAddr::V6(peer) if outgoing.families.ipv6 => {
                    let source = ip_output::source_ipv6(carpdev, peer).or(own6);
                    source.map(|source| {
                        Packet::Ipv6(frame::ipv6_packet(source, peer, &payload(source.into())))
                    })
                }
                _ => None,
            };
            if let Some(packet) = packet {
                if outbox.packets.push(packet, GFP_ATOMIC).is_err() {
                    carp.counters.count(Counter::NoMemory);
                }
            }
        }
    }
    group4 && source4.is_some() || group6 && source6.is_some()
}

/// The link-layer address that stands for a virtual host in a mode that shows it to
/// switches; `mac` is the interface's.
fn source_mac(mode: Balancing, node: &Node, mac: MacAddress) -> MacAddress {
    match mode {
        Balancing::Arp => virtual_mac(node.vhid()),
        _ => mac,
    }
}

/// Whether a peer is this very host: all hosts may have the same list.
fn is_own(carpdev: &Device, peer: &IpAddr, rcu: &rcu::Guard) -> bool {
    let net = carpdev.net();
    match *peer {
        IpAddr::V4(peer) => Device::by_address_rcu(net, peer, rcu).is_some(),
        // On another link it may be somebody else's.
        IpAddr::V6(peer) if peer.is_unicast_link_local() => {
            carpdev.link_local_address(rcu) == Some(peer)
        }
        IpAddr::V6(peer) => carpdev.reaches_itself_at6(peer, rcu),
    }
}
