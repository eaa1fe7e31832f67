// SPDX-License-Identifier: GPL-2.0

//! Who answers neighbour solicitations for a virtual address: the master alone, with
//! the virtual MAC, on the parent.
//!
//! The address lives on the carp interface, so that the kernel does not answer on the
//! parent by itself; and what is for us never gets so far.

use super::{device::Carp, netns::Namespace, parent::Parent, parent::Port};
use crate::{
    linux::{
        ndisc,
        netdevice::Device,
        netdevice_ops::OwnDevice,
        netfilter_ipv6::{self, Ipv6Input},
        route::Query,
        rx_handler::{self, Verdict},
        skbuff::{PacketType, ETH_P_IPV6},
        skbuff_rx::RxSkb,
        skbuff_tx::TxFrame,
    },
    proto::carp::{
        balancing,
        balancing::Balancing,
        neighbour::{Class, NaSender, Solicitation},
        packet::virtual_mac,
    },
};
use core::net::Ipv6Addr;
use kernel::sync::rcu;

/// How much of a packet [`Class::of`] looks at.
#[allow(clippy::cast_possible_truncation)]
pub(super) const NEEDED: u32 = Class::NEEDED as u32;

/// More than a solicitation with all its options has.
const LONGEST: u32 = 1280;

/// `TC_PRIO_CONTROL`
const PRIORITY: u32 = 7;

/// A packet for a solicited-node group, or a solicitation for a virtual MAC, came in
/// on the parent `dev`.
pub(super) fn receive<'a>(parent: &Parent, dev: &Device, skb: RxSkb<'a>) -> Verdict<'a> {
    if skb.packet_type() == PacketType::Loopback
        || skb.has_vlan_tag()
        || skb.protocol() != ETH_P_IPV6
    {
        return Verdict::Pass(skb);
    }
    let Some(mut skb) = skb.unshare() else {
        return Verdict::Consumed;
    };
    let Some(solicitation) = skb.pull_up_to(LONGEST).and_then(Solicitation::parse) else {
        return Verdict::Pass(skb.into());
    };
    let rcu = rcu::read_lock();
    if owner(parent, &solicitation, &rcu).is_none() {
        return Verdict::Pass(skb.into());
    }
    netfilter_ipv6::input::<Input>(dev, skb);
    Verdict::Consumed
}

/// What comes after netfilter's input chain, as ARP comes after its own.
struct Input;

impl Ipv6Input for Input {
    fn accepted(dev: &Device, skb: RxSkb<'_>, rcu: &rcu::Guard) {
        let Some(mut skb) = skb.unshare() else {
            return;
        };
        let asker = skb.ethernet_source();
        let Some(parent) = rx_handler::get_rcu::<Parent>(dev, rcu) else {
            return;
        };
        // It was one, but its way may have been long.
        let Some(solicitation) = skb.pull_up_to(LONGEST).and_then(Solicitation::parse) else {
            return;
        };
        if let Some(port) = owner(parent, &solicitation, rcu) {
            answer(port, dev, &solicitation, asker, rcu);
        }
        skb.consume();
    }
}

/// The interface that has the address that is asked for; with
/// `net.inet.carp.arpbalance` the one of several that is to answer this asker.
fn owner<'a>(
    parent: &'a Parent,
    solicitation: &Solicitation,
    rcu: &'a rcu::Guard,
) -> Option<&'a Port> {
    let owners = || {
        parent
            .ports(rcu)
            .filter(|port| port.index == 0 && port.dev.has_address6(solicitation.target, rcu))
    };
    let first = owners().next()?;
    if !Namespace::of(first.dev.net(), rcu).is_some_and(Namespace::balances_arp) {
        return Some(first);
    }
    let running = || owners().filter(|port| port.carp.published.state() != 0);
    let interfaces = u32::try_from(running().count()).unwrap_or(u32::MAX);
    let hash = balancing::ipv6(solicitation.source, Ipv6Addr::UNSPECIFIED);
    hash.checked_rem(interfaces)
        .and_then(|n| running().nth(usize::try_from(n).ok()?))
        .or(Some(first))
}

fn answer(
    port: &Port,
    dev: &Device,
    solicitation: &Solicitation,
    asker: [u8; 6],
    rcu: &rcu::Guard,
) {
    let carp: &Carp = &port.carp;
    // In the mode arp the virtual host that the asker is given.
    let given = (carp.published.balancing() == Balancing::Arp)
        .then(|| {
            carp.published
                .masters()
                .owner(carp.published.arp_hash().of(asker))
        })
        .flatten();
    if !carp.published.masters().is_master_of(given.unwrap_or(0)) {
        return;
    }
    if let (false, Some(mac)) = (
        solicitation.is_duplicate_detection(),
        solicitation.source_mac,
    ) {
        let query = Query::new(solicitation.source, solicitation.target);
        // Who is asked for a link-local address is spoken to where that is.
        let learner: &Device = if solicitation.target.is_unicast_link_local()
            || carp.published.ways_back.leads_back6(&port.dev, &query, rcu)
        {
            &port.dev
        } else {
            dev
        };
        ndisc::learn_from_solicitation(learner, solicitation.source, &mac, rcu);
    }
    let at = given
        .and_then(|index| carp.vhid_at(index))
        .map_or_else(|| carp.published.mac(), virtual_mac);
    let frame = na_sender(&port.dev, carp, dev, at, rcu).answer(solicitation, asker);
    if let Some(skb) = TxFrame::new(dev, &frame, PRIORITY) {
        // Who got no answer asks again.
        let _ = skb.transmit();
    }
}

/// In whose name an interface says that its addresses are `at` this MAC.
fn na_sender(
    own: &OwnDevice,
    carp: &Carp,
    carpdev: &Device,
    at: [u8; 6],
    rcu: &rcu::Guard,
) -> NaSender {
    // It forwards where its packets come in.
    let forwarder = if own.net() == carpdev.net() {
        carpdev
    } else {
        own
    };
    NaSender {
        from: if carp.published.balancing().hides_its_mac() {
            carpdev.mac()
        } else {
            at
        },
        at,
        router: ndisc::is_forwarding(forwarder, rcu),
    }
}

/// Says to everybody, unasked, that `address` is here. Any context.
pub(super) fn announce(
    own: &OwnDevice,
    carp: &Carp,
    carpdev: &Device,
    address: Ipv6Addr,
    rcu: &rcu::Guard,
) {
    let frame = na_sender(own, carp, carpdev, carp.published.mac(), rcu).announce(address);
    if let Some(skb) = TxFrame::new(carpdev, &frame, PRIORITY) {
        // It is said again later.
        let _ = skb.transmit();
    }
}
