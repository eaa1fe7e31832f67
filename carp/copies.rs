// SPDX-License-Identifier: GPL-2.0

//! Broadcast and multicast frames: the parent receives them, and interfaces that have a
//! use for them get copies, as long as they are masters.
//!
//! A parent may carry 255 interfaces, and a frame that a stranger sends must not become as
//! many. So a copy has a reason:
//!
//! - a program has joined the group on the interface, or bound a packet socket to it;
//! - an ARP packet or a neighbour advertisement tells of a neighbour that the interface
//!   knows: the kernel then believes it as far as it believes such news anywhere;
//! - an ARP request is for an address that the interface answers for as a proxy;
//! - what is to all hosts of the link goes to interfaces that receive the family
//!   ([`super::way_back`]), but no more than [`UNINVITED`] of them.

use super::{
    members::{ALL_HOSTS, ALL_NODES, BROADCAST},
    parent::{Parent, Port},
};
use crate::{
    linux::{
        arp, ndisc,
        netdevice_ops::OwnDevice,
        skbuff::{PacketType, ETH_HLEN, ETH_P_ARP, ETH_P_IP, ETH_P_IPV6},
        skbuff_rx::{RxSkb, UniqueRxSkb},
    },
    proto::carp::{neighbour, way_back::WayBack},
};
use core::net::{Ipv4Addr, Ipv6Addr};
use kernel::sync::rcu;

/// The most copies of a frame that nobody has asked for.
const UNINVITED: usize = 16;

/// For which reason an interface gets a copy of a frame.
enum Reason {
    /// It has joined the group.
    Member(u64),
    /// It receives IPv4.
    Ipv4,
    /// It receives IPv6.
    Ipv6,
    /// It has a packet socket of its own.
    Socket,
    /// ARP concerns it.
    Arp(Arp),
    /// It knows the neighbour that has advertised itself.
    Neighbour(Ipv6Addr),
}

/// What matters of an ARP packet.
struct Arp {
    is_request: bool,
    sender: Ipv4Addr,
    target: Ipv4Addr,
}

impl Arp {
    /// Reads a packet for IPv4 over Ethernet.
    fn parse(packet: &[u8]) -> Option<Self> {
        let packet = packet.first_chunk::<28>()?;
        let [_, _, 8, 0, 6, 4, 0, operation, _, _, _, _, _, _, s0, s1, s2, s3, ..] = *packet else {
            return None;
        };
        let [.., t0, t1, t2, t3] = *packet;
        Some(Self {
            is_request: operation == 1,
            sender: Ipv4Addr::new(s0, s1, s2, s3),
            target: Ipv4Addr::new(t0, t1, t2, t3),
        })
    }

    /// Whether ARP on `own` has a use for it. What asks for an address of its own has been
    /// answered on the parent.
    fn concerns(&self, own: &OwnDevice, rcu: &rcu::Guard) -> bool {
        let concerns = arp::knows(own, self.sender, rcu)
            || (self.sender == self.target && arp::accepts_unsolicited(own, rcu))
            || (self.is_request && arp::is_proxied(own, self.target, rcu));
        concerns && !own.has_address(self.target, rcu) && !own.has_address(self.sender, rcu)
    }
}

impl Reason {
    /// Why a frame for the group `mac` may be copied.
    fn of(mac: u64, skb: &mut UniqueRxSkb<'_>) -> Option<Self> {
        let protocol = skb.protocol();
        Some(match (mac, protocol) {
            (BROADCAST, ETH_P_ARP) => Self::Arp(Arp::parse(skb.pull_up_to(28)?)?),
            (BROADCAST, ETH_P_IP) | (ALL_HOSTS, _) => Self::Ipv4,
            (BROADCAST, _) => Self::Socket,
            (ALL_NODES, ETH_P_IPV6) => match skb.pull_up_to(64).and_then(neighbour::advertised) {
                Some(target) => Self::Neighbour(target),
                None => Self::Ipv6,
            },
            _ => Self::Member(mac),
        })
    }

    /// Whether it is one for this interface.
    fn applies(&self, port: &Port, rcu: &rcu::Guard) -> bool {
        let ways_back = &port.carp.published.ways_back;
        match self {
            Self::Member(mac) => port.carp.published.members.may_hold(*mac),
            Self::Ipv4 => ways_back.ipv4() != WayBack::Parent,
            Self::Ipv6 => ways_back.ipv6() != WayBack::Parent,
            Self::Socket => port.dev.has_packet_sockets(),
            Self::Arp(arp) => arp.concerns(&port.dev, rcu),
            Self::Neighbour(target) => ndisc::knows(&port.dev, *target, rcu),
        }
    }

    /// Whether programs of this host have asked for it.
    const fn is_invited(&self) -> bool {
        matches!(self, Self::Member(_) | Self::Socket)
    }
}

/// Copies a frame for the group `mac` to the interfaces on the parent that have a use for
/// it; what comes back goes on on the parent. Softirq; RCU read lock held.
pub(super) fn distribute<'a>(
    parent: &Parent,
    mac: u64,
    skb: RxSkb<'a>,
    rcu: &rcu::Guard,
) -> Option<RxSkb<'a>> {
    if skb.packet_type() == PacketType::Loopback || skb.has_vlan_tag() {
        return Some(skb);
    }
    let mut skb = skb.unshare()?;
    let Some(reason) = Reason::of(mac, &mut skb) else {
        return Some(skb.into());
    };
    let most = if reason.is_invited() {
        usize::MAX
    } else {
        UNINVITED
    };
    let receivers = parent.ports(rcu).filter(|port| {
        port.index == 0 && port.carp.published.masters().is_any() && reason.applies(port, rcu)
    });
    for port in receivers.take(most) {
        if skb.receive_copy(&port.dev) {
            port.dev.count_received(skb.len().saturating_add(ETH_HLEN));
        }
    }
    Some(skb.into())
}
