// SPDX-License-Identifier: GPL-2.0

//! Decides which host a frame for a virtual MAC belongs to: this one, or another one that
//! shares the address.

use super::parent::{Port, GROUP_BIT};
use crate::{
    linux::{
        namespace::Net,
        netdevice::{ether_addr_to_u64, Device},
        skbuff::{PacketType, Skb, ETH_P_IP, ETH_P_IPV6},
    },
    proto::carp::{
        balancing::{self, Balancing, ICMP},
        neighbour::ICMPV6,
    },
};
use core::net::{Ipv4Addr, Ipv6Addr};
use kernel::sync::rcu;

/// Which host a frame belongs to, and which device of this host.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// To this host, for the interface.
    Ours,
    /// To this host, for the parent.
    Parents,
    /// Another host has it, or will, at a switch that does not know yet.
    AnotherHosts,
}

/// Decides which host a frame belongs to that came in on `dev` for the address `mac` of
/// `port`. The buffer may be shared; it is only read. Softirq; RCU read lock held.
#[inline]
pub(super) fn of(port: &Port, dev: &Device, mac: u64, skb: &Skb, rcu: &rcu::Guard) -> Claim {
    if skb.packet_type() != PacketType::Other && belongs_to_parent(dev, mac, skb) {
        return Claim::Parents;
    }
    // A frame with a VLAN tag is for another device.
    if skb.has_vlan_tag() {
        return Claim::Parents;
    }
    let is_group = mac & GROUP_BIT != 0;
    if port.carp.published.is_balancing() {
        return of_balanced(port, is_group, skb, rcu);
    }
    if is_group {
        // That of an IP group, and none of our business.
        return Claim::Parents;
    }
    ours_or_other_hosts(port.carp.published.masters().is_master_of(port.index))
}

const fn ours_or_other_hosts(ours: bool) -> Claim {
    if ours {
        Claim::Ours
    } else {
        Claim::AnotherHosts
    }
}

/// Whether a packet that came to this host anyway is none of the interface's: it was looped
/// back, and has no Ethernet header; or the address was given to the parent by hand, and
/// stays the parent's, master or not.
#[inline(never)]
fn belongs_to_parent(dev: &Device, mac: u64, skb: &Skb) -> bool {
    skb.packet_type() == PacketType::Loopback || mac == ether_addr_to_u64(dev.mac())
}

/// The same for an interface that shares its traffic out.
#[inline(never)]
fn of_balanced(port: &Port, is_group: bool, skb: &Skb, rcu: &rcu::Guard) -> Claim {
    let balancing = port.carp.published.balancing();
    // A multicast address is that of the mode ip alone.
    if is_group && balancing != Balancing::Ip {
        return Claim::Parents;
    }
    let masters = port.carp.published.masters();
    if !balancing.is_by_hash() {
        return ours_or_other_hosts(masters.is_master_of(port.index));
    }
    match share(port.dev.net(), skb, rcu) {
        Share::Everybody if is_group => Claim::Parents,
        Share::Everybody => Claim::Ours,
        Share::Hash(hash) => ours_or_other_hosts(masters.take(hash)),
    }
}

/// The longest IPv4 header, an ICMP header, and the longest header that it quotes:
/// all that a hash looks at.
const HASHED: usize = 60 + 8 + 60;

/// For which hosts a packet is.
enum Share {
    /// IP multicast: whatever its Ethernet address is.
    Everybody,
    /// For whom this hash says; without hash for everybody with the address.
    Hash(Option<u32>),
}

/// By which hash a packet is shared out among hosts.
fn share(net: &Net, skb: &Skb, rcu: &rcu::Guard) -> Share {
    let mut room = [0; HASHED];
    match skb.protocol() {
        ETH_P_IP => {
            let packet = skb.head(&mut room);
            let destination = packet
                .get(16..)
                .and_then(|rest| rest.first_chunk::<4>())
                .map(|octets| Ipv4Addr::from(*octets));
            match destination {
                Some(destination) if destination.is_multicast() => Share::Everybody,
                Some(destination) => {
                    // Asked only where it matters.
                    let to_us = packet.get(9) == Some(&ICMP)
                        && Device::by_address_rcu(net, destination, rcu).is_some();
                    Share::Hash(balancing::hash_of_ipv4(packet, to_us))
                }
                None => Share::Hash(None),
            }
        }
        ETH_P_IPV6 => {
            let packet = skb.head(&mut room);
            let destination = packet
                .get(24..)
                .and_then(|rest| rest.first_chunk::<16>())
                .map(|octets| Ipv6Addr::from(*octets));
            match destination {
                Some(destination) if destination.is_multicast() => Share::Everybody,
                Some(destination) => {
                    let to_us = packet.get(6) == Some(&ICMPV6)
                        && Device::by_address6_rcu(net, destination, rcu).is_some();
                    Share::Hash(balancing::hash_of_ipv6(packet, to_us))
                }
                None => Share::Hash(None),
            }
        }
        _ => Share::Hash(None),
    }
}
