// SPDX-License-Identifier: GPL-2.0

//! Load balancing: several virtual hosts ("carpnodes") share an interface. Each has its
//! own master, and a hash assigns each packet to one of them.
//!
//! Source: `carp_lsdrop`, `carp_hash`, `carp_iamatch`, `carp_set_vhe_enaddr`,
//! `carp_vhids_ioctl`; for ICMP `ip_input`, `icmp_input` and their likes.

use core::net::{Ipv4Addr, Ipv6Addr};

use super::neighbour::ICMPV6;
use super::packet::virtual_mac;

/// The most virtual hosts that an interface has.
pub const HOSTS_MAX: usize = 32;

/// How the virtual hosts of one interface share its traffic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Balancing {
    /// Not at all: the master takes everything.
    #[default]
    None,
    /// By the ARP reply, which gives different clients the MAC addresses of different
    /// virtual hosts. OpenBSD had this mode until about 2014.
    Arp,
    /// By hash; the interface's MAC address is a multicast one, so that switches
    /// deliver to everyone.
    Ip,
    /// By hash; the interface's MAC address is never a source, so that switches
    /// never learn it.
    IpStealth,
    /// By hash; the network itself must deliver to everyone.
    IpUnicast,
}

impl Balancing {
    /// The mode in force with this many `hosts`: [`Self::Ip`] if there are several and no
    /// mode was chosen, [`Self::None`] if there is only one.
    #[must_use]
    pub const fn in_force(self, hosts: usize) -> Self {
        match (self, hosts) {
            (_, 0 | 1) => Self::None,
            (Self::None, _) => Self::Ip,
            (mode, _) => mode,
        }
    }

    /// Whether a hash assigns packets to virtual hosts, see [`Masters::take`].
    #[must_use]
    pub const fn is_by_hash(self) -> bool {
        matches!(self, Self::Ip | Self::IpStealth | Self::IpUnicast)
    }

    /// The interface's MAC address; `leader` is its lowest vhid.
    #[must_use]
    pub const fn interface_mac(self, leader: u8) -> [u8; 6] {
        let [_, rest @ ..] = virtual_mac(leader);
        let [b, c, d, e, f] = rest;
        let group = if matches!(self, Self::Ip) { 1 } else { 0 };
        [group, b, c, d, e, f]
    }

    /// Whether every frame has the parent's own MAC address as source. In mode ip,
    /// because a multicast address cannot be a source; in mode ip-stealth, because
    /// switches must not learn the interface's address.
    #[must_use]
    pub const fn hides_its_mac(self) -> bool {
        matches!(self, Self::Ip | Self::IpStealth)
    }

    /// Whether a virtual host announces the addresses when it takes over: only the leader
    /// does, and only without balancing.
    #[must_use]
    pub const fn announces(self, leader: bool) -> bool {
        matches!(self, Self::None) && leader
    }
}

/// The set of an interface's virtual hosts of which this host is master.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Masters {
    hosts: u32,
    mask: u32,
}

impl Masters {
    /// Makes the set from one `bool` for each virtual host in ascending order of vhid:
    /// whether this host is its master. Virtual hosts after the 32nd are left out.
    #[must_use]
    pub fn new(hosts: impl IntoIterator<Item = bool>) -> Self {
        let none = Self { hosts: 0, mask: 0 };
        hosts
            .into_iter()
            .take(HOSTS_MAX)
            .fold(none, |all, is_master| Self {
                hosts: all.hosts.saturating_add(1),
                mask: all.mask | u32::from(is_master).wrapping_shl(all.hosts),
            })
    }

    /// As one number, for a field that is read without a lock.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        ((self.hosts as u64) << u32::BITS) | self.mask as u64
    }

    /// From [`Self::to_bits`].
    #[must_use]
    #[allow(clippy::cast_possible_truncation)]
    pub const fn from_bits(bits: u64) -> Self {
        Self {
            hosts: (bits >> u32::BITS) as u32,
            mask: bits as u32,
        }
    }

    /// Whether we are master of the virtual host with this index.
    #[must_use]
    pub const fn is_master_of(self, index: u32) -> bool {
        index < self.hosts && self.mask.wrapping_shr(index) & 1 == 1
    }

    /// Whether we are master of any.
    #[must_use]
    pub const fn is_any(self) -> bool {
        self.mask != 0
    }

    /// Whether we are master of all.
    #[must_use]
    pub const fn is_all(self) -> bool {
        self.mask != 0 && self.mask.count_ones() == self.hosts
    }

    /// The index of the virtual host that a packet with this `hash` belongs to; the
    /// lowest vhid has 0. `None` if there is no virtual host.
    #[must_use]
    pub const fn owner(self, hash: u32) -> Option<u32> {
        hash.checked_rem(self.hosts)
    }

    /// Whether this host receives a packet with this `hash`, see [`hash_of_ipv4`] and
    /// [`hash_of_ipv6`]. Without a hash it does.
    #[must_use]
    pub const fn take(self, hash: Option<u32>) -> bool {
        let Some(hash) = hash else { return true };
        match self.owner(hash) {
            Some(owner) => self.mask.wrapping_shr(owner) & 1 == 1,
            None => false,
        }
    }
}

/// The hash of the ip modes for two IPv4 addresses. Their order does not matter.
#[must_use]
pub const fn ipv4(source: Ipv4Addr, destination: Ipv4Addr) -> u32 {
    source.to_bits() ^ destination.to_bits()
}

/// The same for two IPv6 addresses: the XOR of their eight 32-bit words.
#[must_use]
pub const fn ipv6(source: Ipv6Addr, destination: Ipv6Addr) -> u32 {
    let both = source.to_bits() ^ destination.to_bits();
    let halves = both ^ (both >> 64);
    (halves ^ (halves >> 32)) as u32
}

/// ICMP's protocol number.
pub const ICMP: u8 = 1;

/// The hash that assigns `packet`, which begins with the IPv4 header, to a virtual host;
/// `None` if all hosts receive it.
///
/// All hosts receive multicast and broadcast, and so advertisements. If the destination
/// is an address of this host (`to_us`), all hosts receive ICMP as well, with two
/// exceptions: only one host should answer an echo request, and an error goes to the host
/// that has the connection. For an error, the hash is over the addresses of the packet
/// that it quotes.
///
/// All hosts also receive a packet that is too short; the stack drops it.
#[must_use]
pub fn hash_of_ipv4(packet: &[u8], to_us: bool) -> Option<u32> {
    const ECHO_REQUEST: u8 = 8;
    // unreachable, source quench, redirect, time exceeded, parameter problem
    const ERRORS: [u8; 5] = [3, 4, 5, 11, 12];

    let (source, destination) = ipv4_addresses(packet)?;
    if destination.is_multicast() || destination.is_broadcast() {
        return None;
    }
    let of_packet = Some(ipv4(source, destination));
    if !to_us || *packet.get(9)? != ICMP {
        return of_packet;
    }
    // Only the first fragment has the ICMP header.
    let fragment_offset = u16::from_be_bytes([*packet.get(6)?, *packet.get(7)?]) & 0x1fff;
    if fragment_offset != 0 {
        return None;
    }
    let words = usize::from(packet.first()? & 0x0f);
    let icmp = packet.get(words.saturating_mul(4)..)?;
    match *icmp.first()? {
        ECHO_REQUEST => of_packet,
        kind if ERRORS.contains(&kind) => {
            let (source, destination) = ipv4_addresses(icmp.get(8..)?)?;
            Some(ipv4(source, destination))
        }
        _ => None,
    }
}

/// The same for IPv6. ICMPv6 is recognised only directly after the IPv6 header.
#[must_use]
pub fn hash_of_ipv6(packet: &[u8], to_us: bool) -> Option<u32> {
    const HEADER_LEN: usize = 40;
    const ECHO_REQUEST: u8 = 128;
    // those up to 127 are errors (RFC 4443, section 2.1)
    const INFORMATIONAL: u8 = 0x80;

    let (source, destination) = ipv6_addresses(packet)?;
    if destination.is_multicast() {
        return None;
    }
    let of_packet = Some(ipv6(source, destination));
    if !to_us || *packet.get(6)? != ICMPV6 {
        return of_packet;
    }
    let icmp = packet.get(HEADER_LEN..)?;
    match *icmp.first()? {
        ECHO_REQUEST => of_packet,
        kind if kind & INFORMATIONAL == 0 => {
            let (source, destination) = ipv6_addresses(icmp.get(8..)?)?;
            Some(ipv6(source, destination))
        }
        _ => None,
    }
}

fn ipv4_addresses(packet: &[u8]) -> Option<(Ipv4Addr, Ipv4Addr)> {
    let (source, rest) = packet.get(12..)?.split_first_chunk::<4>()?;
    let destination = rest.first_chunk::<4>()?;
    Some((Ipv4Addr::from(*source), Ipv4Addr::from(*destination)))
}

fn ipv6_addresses(packet: &[u8]) -> Option<(Ipv6Addr, Ipv6Addr)> {
    let (source, rest) = packet.get(8..)?.split_first_chunk::<16>()?;
    let destination = rest.first_chunk::<16>()?;
    Some((Ipv6Addr::from(*source), Ipv6Addr::from(*destination)))
}

/// `net.inet.carp.arpbalance`: the index of the interface, of several that share an
/// address, that answers an ARP request of `sender`. The interface with the lowest vhid
/// has 0.
///
/// `interfaces` is the number of interfaces that run and have the address; `None` if that
/// is 0. The reply contains that interface's MAC address, and the interface's master
/// sends it. Source: FreeBSD until 9, OpenBSD before balancing.
#[must_use]
pub const fn arpbalance(sender: Ipv4Addr, interfaces: u32) -> Option<u32> {
    sender.to_bits().checked_rem(interfaces)
}
