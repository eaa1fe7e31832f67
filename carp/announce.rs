// SPDX-License-Identifier: GPL-2.0

//! What a virtual host says: advertisements, and announcements of its addresses.

use super::{
    arp::is_shared, counters::Counter, device::Carp, host::Host, netns::Namespace, node::Node,
};
use crate::{
    linux::{
        arp,
        compat::ENOBUFS,
        ip_output, log,
        log::print_at,
        netdevice::{Device, MacAddress},
        netdevice_ops::OwnDevice,
        skbuff::{SkbList, ETH_P_IP},
        skbuff_tx::TxFrame,
        timer,
    },
    proto::carp::{
        announcements::{self, Batch},
        balancing::{Balancing, HOSTS_MAX},
        effects::{Effects, Kind, Outgoing, Transition},
        election::{Environment, Families, Family, State},
        frame,
        log::SEND_ERROR,
        packet::virtual_mac,
        time::Instant,
    },
};
use core::net::{IpAddr, Ipv4Addr};
use kernel::{
    prelude::*,
    sync::{aref::ARef, rcu},
};

/// `TC_PRIO_CONTROL`: before users' traffic in the parent's queue.
const PRIORITY: u32 = 7;

/// A packet to a unicast peer, from its IP header on.
enum Packet {
    Ipv4([u8; frame::IPV4_PACKET_LEN]),
    Ipv6([u8; frame::IPV6_PACKET_LEN]),
}

impl Packet {
    fn send(&self, carpdev: &Device) -> (Counter, Result) {
        match self {
            Self::Ipv4(packet) => (
                Counter::SentIpv4,
                ip_output::send_ipv4(carpdev, packet, PRIORITY),
            ),
            Self::Ipv6(packet) => (
                Counter::SentIpv6,
                ip_output::send_ipv6(carpdev, packet, PRIORITY),
            ),
        }
    }
}

/// What is to be sent and told once the host's lock is released.
pub(super) struct Outbox {
    /// Complete frames.
    frames: SkbList<TxFrame>,
    /// Packets to unicast peers.
    packets: KVec<Packet>,
    /// Complete frames whose only purpose is to show switches the virtual MAC.
    probes: SkbList<TxFrame>,
    /// The parent, whose device the frames name, and over which the packets go.
    carpdev: Option<ARef<Device>>,
    /// The interface's device, if anything is to be sent or told.
    own: Option<ARef<OwnDevice>>,
    /// Changes of state to be told, by vhid.
    transitions: [Option<(u8, Transition)>; HOSTS_MAX],
    /// Addresses to be announced.
    addresses: Batch,
    /// Which virtual hosts advertise, by place.
    advertising: [bool; HOSTS_MAX],
}

impl Outbox {
    pub(super) fn new() -> Self {
        Self {
            frames: SkbList::new(),
            packets: KVec::new(),
            probes: SkbList::new(),
            carpdev: None,
            own: None,
            transitions: [None; HOSTS_MAX],
            addresses: [None; announcements::BATCH],
            advertising: [false; HOSTS_MAX],
        }
    }

    /// Remembers what is to be told: after all is sent, for a console may be slow.
    pub(super) fn tell(&mut self, host: &Host, vhid: u8, transition: Transition) {
        self.own.clone_from(&host.own);
        if let Some(free) = self.transitions.iter_mut().find(|place| place.is_none()) {
            *free = Some((vhid, transition));
        }
    }
}

impl Carp {
    /// Puts into the outbox what `effects` of the virtual host in this place of the
    /// order ask to be sent. Under the host's lock.
    pub(super) fn send(
        &self,
        host: &mut Host,
        place: usize,
        environment: &Environment,
        effects: &Effects,
        outbox: &mut Outbox,
    ) {
        // Nobody tells of flowtables. Events come often enough, and to look is one load.
        if let (Some(place), Some(own)) = (&host.place, &host.own) {
            if place.parent().is_ingress_stale() {
                Self::ask_for_ingress(own);
            }
        }
        let now = Instant(timer::now());
        let announces = effects.announce && host.settings.balancing().announces(place == 0);
        if let (Some(outgoing), Some(node)) = (&effects.advertise, host.nodes.get(place)) {
            let shown = self.build(host, node, environment, outgoing, outbox);
            if outgoing.kind == Kind::Advertisement {
                if let Some(advertises) = outbox.advertising.get_mut(place) {
                    *advertises = true;
                }
                self.show_mac(host, place, now, shown || announces, outbox);
            }
        }
        if announces {
            host.announcements.begin(now);
        }
    }

    /// Has switches learn the virtual MAC beside an advertisement, if it is not shown
    /// by other frames (see [`crate::proto::carp::learning`]).
    fn show_mac(
        &self,
        host: &mut Host,
        place: usize,
        now: Instant,
        shown: bool,
        outbox: &mut Outbox,
    ) {
        let mode = host.settings.balancing();
        let Some(node) = host.nodes.get_mut(place) else {
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
        if mode.announces(place == 0) && !host.balances_arp() {
            let turn = host.announcements.in_turn(&host.addresses);
            if let (Some(free), Some(address)) = (outbox.addresses.first_mut(), turn) {
                *free = Some(address);
                outbox.own.clone_from(&host.own);
            }
            return;
        }
        let rcu = rcu::read_lock();
        if let Some(carpdev) = self.carpdev.get(&rcu) {
            let target = host.addresses.ipv4.first();
            let probe = frame::arp_probe(mac, target.unwrap_or(Ipv4Addr::UNSPECIFIED));
            match TxFrame::new(carpdev, &probe, PRIORITY) {
                Some(skb) => outbox.probes.push(skb),
                None => self.counters.count(Counter::NoMemory),
            }
        }
    }

    /// Puts the announcements into the outbox that are due. Under the host's lock.
    pub(super) fn announce_due(&self, host: &mut Host, now: Instant, outbox: &mut Outbox) {
        if host.announcements.deadline().is_none_or(|due| now < due) {
            return;
        }
        outbox.addresses = host.announcements.due(now, &host.addresses);
        outbox.own.clone_from(&host.own);
    }

    /// Builds the frames of an advertisement. Returns whether one of them shows
    /// switches the virtual MAC. Under the host's lock.
    fn build(
        &self,
        host: &Host,
        node: &Node,
        environment: &Environment,
        outgoing: &Outgoing,
        outbox: &mut Outbox,
    ) -> bool {
        let rcu = rcu::read_lock();
        let (Some(own), Some(carpdev)) = (&host.own, self.carpdev.get(&rcu)) else {
            return false;
        };
        outbox.own = Some(own.clone());
        outbox.carpdev = Some((*carpdev).clone());
        let advertisement = match outgoing.kind {
            Kind::Advertisement => node.election.advertisement(environment),
            Kind::BowOut => node.election.bow_out(environment),
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
            None => self.counters.count(Counter::NoMemory),
        };
        let own4 = host.addresses.ipv4.first();
        let own6 = host.addresses.ipv6.first();
        let source4 = carpdev.primary_address(&rcu).or(own4);
        let source6 = carpdev.link_local_address(&rcu).or(own6);
        let group4 = outgoing.families.ipv4 && !host.has_peers(Family::Ipv4);
        let group6 = outgoing.families.ipv6 && !host.has_peers(Family::Ipv6);
        let now = Instant(timer::now());
        for signed in node.signed(now, advertisement, host.settings.linklocal) {
            if let (true, Some(source)) = (group4, source4) {
                post(&frame::ipv4(mac, source, &signed));
            }
            if let (true, Some(source)) = (group6, source6) {
                post(&frame::ipv6(mac, source, &signed));
            }
            for peer in host
                .peers
                .iter()
                .filter(|peer| !is_own(carpdev, peer, &rcu))
            {
                let packet = match *peer {
                    IpAddr::V4(peer) if outgoing.families.ipv4 => {
                        ip_output::source_ipv4(carpdev, peer)
                            .or(own4)
                            .map(|source| Packet::Ipv4(frame::ipv4_packet(source, peer, &signed)))
                    }
                    IpAddr::V6(peer) if outgoing.families.ipv6 => {
                        ip_output::source_ipv6(carpdev, peer)
                            .or(own6)
                            .map(|source| Packet::Ipv6(frame::ipv6_packet(source, peer, &signed)))
                    }
                    _ => None,
                };
                if let Some(packet) = packet {
                    if outbox.packets.push(packet, GFP_ATOMIC).is_err() {
                        self.counters.count(Counter::NoMemory);
                    }
                }
            }
        }
        group4 && source4.is_some() || group6 && source6.is_some()
    }

    /// Sends what is in the outbox. No lock is held.
    pub(super) fn deliver(&self, mut outbox: Outbox) {
        let (mut sent, mut failed): (usize, usize) = (0, 0);
        let mut dropped = Families::default();
        let mut record = |counter, result: Result| match result {
            Ok(()) => {
                self.counters.count(counter);
                sent = sent.saturating_add(1);
            }
            Err(error) => {
                self.counters.count(Counter::SendError);
                // A full queue says nothing about the way out.
                if error != ENOBUFS {
                    failed = failed.saturating_add(1);
                } else if matches!(counter, Counter::SentIpv4) {
                    dropped.ipv4 = true;
                } else {
                    dropped.ipv6 = true;
                }
                if let Some(own) = &outbox.own {
                    complain(own, error);
                }
            }
        };
        while let Some(frame) = outbox.frames.pop() {
            let counter = match frame.protocol() {
                ETH_P_IP => Counter::SentIpv4,
                _ => Counter::SentIpv6,
            };
            record(counter, frame.transmit_first());
        }
        if let Some(carpdev) = outbox.carpdev.take() {
            for packet in &outbox.packets {
                let (counter, result) = packet.send(&carpdev);
                // That a peer is down would be no fault of ours, and does not show
                // here: an error says that there is no way to it.
                record(counter, result);
            }
        }
        while let Some(probe) = outbox.probes.pop() {
            // The next advertisement is followed by another one.
            let _ = probe.transmit();
        }
        let Some(own) = outbox.own else {
            return;
        };
        self.announce(&own, &outbox.addresses);
        let mut told = outbox.transitions.iter().flatten().peekable();
        if told.peek().is_some() {
            Self::ask_for_follow_up(&own);
        }
        for (vhid, transition) in told {
            log_transition(&own, *vhid, transition, self.is_balanced());
        }
        if !dropped.is_empty() {
            self.send_again(&outbox.advertising, dropped);
        }
        if sent != 0 || failed != 0 {
            self.sent(sent, failed);
        }
    }

    /// The queue dropped what these virtual hosts said in these families.
    fn send_again(&self, advertising: &[bool; HOSTS_MAX], families: Families) {
        let mut host = self.host.lock();
        let now = Instant(timer::now());
        let sharing = host.place.as_ref().map_or(1, |it| it.parent().vhids());
        for (node, advertises) in host.nodes.iter_mut().zip(advertising) {
            if *advertises {
                node.election.dropped(now, sharing, families);
            }
        }
        self.arm(&host);
    }

    /// Tells switches and neighbours that these addresses are here. Any context.
    fn announce(&self, own: &OwnDevice, addresses: &[Option<IpAddr>]) {
        let rcu = rcu::read_lock();
        let Some(carpdev) = self.carpdev.get(&rcu) else {
            return;
        };
        for address in addresses.iter().flatten() {
            // Another may have become master since: then the address is there.
            if !self.is_master() || self.is_balanced() {
                return;
            }
            match *address {
                IpAddr::V4(address) if is_shared(own.net(), carpdev, address, &rcu) => {}
                IpAddr::V4(address) => arp::announce(carpdev, address, &self.mac()),
                IpAddr::V6(address) => self.announce_neighbour(own, carpdev, address, &rcu),
            }
        }
    }

    /// Whether several virtual hosts share the interface.
    fn is_balanced(&self) -> bool {
        !self.balancing().announces(true)
    }

    /// Announces all addresses again, as when the parent has moved to another port of
    /// the switch. Any context.
    pub(super) fn announce_again(&self) {
        let mut outbox = Outbox::new();
        {
            let mut host = self.host.lock();
            if !self.is_master() || self.is_balanced() {
                return;
            }
            host.announcements.begin(Instant(timer::now()));
            self.settle(&mut host, &mut outbox);
        }
        self.deliver(outbox);
    }

    /// Announces an address that has just been added. Any context.
    pub(super) fn announce_address(&self, own: &OwnDevice, address: IpAddr) {
        self.announce(own, &[Some(address)]);
    }
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

/// Where several virtual hosts share an interface, the vhid says which one it is.
fn log_transition(own: &OwnDevice, vhid: u8, transition: &Transition, balanced: bool) {
    let level = transition.level();
    if let Some(level) = Namespace::prints(own.net(), level, false) {
        let which = if balanced { Some(vhid) } else { None };
        print_at!(
            level,
            "{}{}: state transition: {} -> {} ({})\n",
            own.name(),
            log::Printed(Vhid(which)),
            name(transition.from),
            name(transition.to),
            transition.reason.as_str()
        );
    }
}

/// " vhid 1", or nothing.
struct Vhid(Option<u8>);

impl core::fmt::Display for Vhid {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.0 {
            Some(vhid) => write!(f, " vhid {vhid}"),
            None => Ok(()),
        }
    }
}

/// The state's name in messages.
fn name(state: State) -> &'static str {
    match state {
        State::Init => "INIT",
        State::Backup => "BACKUP",
        State::Master => "MASTER",
    }
}

fn complain(own: &OwnDevice, error: kernel::error::Error) {
    if let Some(level) = Namespace::prints(own.net(), SEND_ERROR, true) {
        print_at!(
            level,
            "{}: an advertisement could not be sent (error {})\n",
            own.name(),
            error.to_errno()
        );
    }
}
