// SPDX-License-Identifier: GPL-2.0

//! Neighbour discovery for virtual addresses: parses solicitations and builds the
//! master's advertisements.
//!
//! The kernel does not answer on the parent for an IPv6 address of the carp interface. So
//! the driver passes received packets to [`Solicitation::parse`], and the master answers
//! with a frame of [`NaSender`]. After a takeover the master sends unsolicited
//! advertisements ([`NaSender::announce`]).
//!
//! The rules are those of RFC 4861, sections 4.3, 4.4, 7.1.1 and 7.2. OpenBSD does
//! the same in `carp_send_na`.

use core::net::Ipv6Addr;

use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes as _, IntoBytes as _};
use zerocopy_derive::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::frame::{
    copy, ipv6_header, multicast_mac_ipv6, MacAddress, ETHERNET_LEN, ETHERTYPE_IPV6,
    IPV6_HEADER_LEN,
};
use super::packet::checksum;

/// The next header value of ICMPv6.
pub const ICMPV6: u8 = 58;

/// The ICMPv6 type of a neighbour solicitation.
pub const SOLICITATION: u8 = 135;

/// The ICMPv6 type of a neighbour advertisement.
pub const ADVERTISEMENT: u8 = 136;

/// Length of a [`NaSender`]'s frames in bytes.
pub const LEN: usize = ETHERNET_LEN + IPV6_HEADER_LEN + MESSAGE_LEN;

/// An advertisement with its only option.
const MESSAGE_LEN: usize = size_of::<Message>() + size_of::<LinkLayerOption>();

const OPTION_SOURCE: u8 = 1;
const OPTION_TARGET: u8 = 2;

/// The flags of an advertisement.
const ROUTER: u8 = 0x80;
const SOLICITED: u8 = 0x40;
const OVERRIDE: u8 = 0x20;

/// All nodes on the link.
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// An IPv6 header (RFC 8200, section 3).
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Header {
    version_class_flow: [u8; 4],
    len: U16,
    next: u8,
    hop_limit: u8,
    source: [u8; 16],
    destination: [u8; 16],
}

/// The fields that solicitations and advertisements have in common.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Message {
    kind: u8,
    code: u8,
    checksum: U16,
    flags: u8,
    reserved: [u8; 3],
    target: [u8; 16],
}

/// An Ethernet address as an option; the length is in words of eight bytes.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct LinkLayerOption {
    kind: u8,
    len: u8,
    mac: MacAddress,
}

const _: () = assert!(size_of::<Header>() == IPV6_HEADER_LEN);
const _: () = assert!(MESSAGE_LEN == 32);

/// The multicast group to which solicitations for `address` are sent (RFC 4291, section
/// 2.7.1).
#[must_use]
pub const fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., high, low] = address.segments();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | high & 0xff, low)
}

/// Whether `address` is a group that [`solicited_node`] may yield.
#[must_use]
pub const fn is_solicited_node(address: Ipv6Addr) -> bool {
    matches!(
        address.octets(),
        [0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, _, _, _]
    )
}

/// Who handles a packet for the virtual MAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The master, with [`Solicitation::parse`]: a neighbour checks whether an address is
    /// still reachable.
    Solicitation,
    /// The carp interface: a neighbour advertisement, which answers its own solicitation,
    /// or a packet to a link-local address, which is valid on one interface only.
    Interface,
    /// The parent: all other traffic.
    Parent,
}

impl Class {
    /// How many bytes of a packet [`Self::of`] needs, if the packet is that long.
    pub const NEEDED: usize = IPV6_HEADER_LEN + 1;

    /// Classifies an IPv6 packet, which begins with its header.
    #[must_use]
    #[inline]
    pub fn of(packet: &[u8]) -> Self {
        let Ok((header, rest)) = Header::ref_from_prefix(packet) else {
            return Self::Parent;
        };
        match (header.next, rest) {
            (ICMPV6, [SOLICITATION, ..]) => Self::Solicitation,
            (ICMPV6, [ADVERTISEMENT, ..]) => Self::Interface,
            _ if Ipv6Addr::from(header.destination).is_unicast_link_local() => Self::Interface,
            _ => Self::Parent,
        }
    }
}

/// The target address if `packet`, which begins with the IPv6 header, is a neighbour
/// advertisement. Does not check whether the advertisement is valid.
#[must_use]
pub fn advertised(packet: &[u8]) -> Option<Ipv6Addr> {
    let (header, rest) = Header::ref_from_prefix(packet).ok()?;
    let (message, _) = Message::ref_from_prefix(rest).ok()?;
    (header.next == ICMPV6 && message.kind == ADVERTISEMENT).then(|| message.target.into())
}

/// A valid neighbour solicitation: who has `target`?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Solicitation {
    /// The sender's address; unspecified in duplicate address detection.
    pub source: Ipv6Addr,
    /// The destination: the target itself or a multicast group.
    pub destination: Ipv6Addr,
    /// The address whose link-layer address is wanted.
    pub target: Ipv6Addr,
    /// The sender's link-layer address, if the solicitation has that option.
    pub source_mac: Option<MacAddress>,
}

impl Solicitation {
    /// Parses an IPv6 packet, which begins with its header. Bytes after the length in the
    /// header are ignored. Returns `None` if it is no solicitation, has extension
    /// headers, or breaks a rule of RFC 4861, section 7.1.1.
    #[must_use]
    pub fn parse(packet: &[u8]) -> Option<Self> {
        let (header, rest) = Header::ref_from_prefix(packet).ok()?;
        let body = rest.get(..usize::from(header.len.get()))?;
        let (message, mut options) = Message::ref_from_prefix(body).ok()?;
        let [version, ..] = header.version_class_flow;
        if version >> 4 != 6
            || header.next != ICMPV6
            || header.hop_limit != 255
            || message.kind != SOLICITATION
            || message.code != 0
        {
            return None;
        }
        let source = Ipv6Addr::from(header.source);
        let destination = Ipv6Addr::from(header.destination);
        let target = Ipv6Addr::from(message.target);
        if source.is_multicast()
            || target.is_multicast()
            || target.is_unspecified()
            || icmpv6_checksum(source, destination, body) != 0
        {
            return None;
        }
        let mut source_mac = None;
        while let [kind, len, ..] = *options {
            // The length is in units of eight bytes; with 0 the loop would not end.
            let bytes = usize::from(len).checked_mul(8).filter(|&bytes| bytes > 0)?;
            let (option, behind) = options.split_at_checked(bytes)?;
            if kind == OPTION_SOURCE {
                let option = LinkLayerOption::ref_from_bytes(option).ok()?;
                // Of several such options the first one is used.
                source_mac = source_mac.or(Some(option.mac));
            }
            options = behind;
        }
        if !options.is_empty() {
            return None;
        }
        if source.is_unspecified() && (source_mac.is_some() || !is_solicited_node(destination)) {
            return None;
        }
        Some(Self {
            source,
            destination,
            target,
            source_mac,
        })
    }

    /// Whether it is part of duplicate address detection.
    #[must_use]
    pub const fn is_duplicate_detection(&self) -> bool {
        self.source.is_unspecified()
    }
}

/// The sender of neighbour advertisements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NaSender {
    /// The Ethernet source.
    pub from: MacAddress,
    /// The link-layer address in the advertisement (target link-layer address option).
    pub at: MacAddress,
    /// Whether this host forwards packets.
    pub router: bool,
}

impl NaSender {
    /// Builds an unsolicited advertisement of `address` to all nodes.
    #[must_use]
    pub fn announce(&self, address: Ipv6Addr) -> [u8; LEN] {
        self.frame(address, ALL_NODES, multicast_mac_ipv6(ALL_NODES), OVERRIDE)
    }

    /// Builds the answer to a solicitation. It goes to the link-layer address in the
    /// solicitation's option, or without one to `ethernet_source`, the source of its
    /// frame; in duplicate address detection to all nodes.
    #[must_use]
    pub fn answer(&self, solicitation: &Solicitation, ethernet_source: MacAddress) -> [u8; LEN] {
        if solicitation.is_duplicate_detection() {
            return self.announce(solicitation.target);
        }
        let to = solicitation.source_mac.unwrap_or(ethernet_source);
        self.frame(
            solicitation.target,
            solicitation.source,
            to,
            SOLICITED | OVERRIDE,
        )
    }

    fn frame(
        &self,
        address: Ipv6Addr,
        destination: Ipv6Addr,
        to: MacAddress,
        flags: u8,
    ) -> [u8; LEN] {
        let mut message = Message {
            kind: ADVERTISEMENT,
            code: 0,
            checksum: U16::ZERO,
            flags: flags | if self.router { ROUTER } else { 0 },
            reserved: [0; 3],
            target: address.octets(),
        };
        let option = LinkLayerOption {
            kind: OPTION_TARGET,
            len: 1,
            mac: self.at,
        };
        let mut body = [0; MESSAGE_LEN];
        copy(&mut body, &[message.as_bytes(), option.as_bytes()]);
        message.checksum = U16::new(icmpv6_checksum(address, destination, &body));
        #[allow(clippy::cast_possible_truncation)]
        let header = ipv6_header(0, MESSAGE_LEN as u16, ICMPV6, address, destination);
        let mut frame = [0; LEN];
        let fields: [&[u8]; 6] = [
            &to,
            &self.from,
            &ETHERTYPE_IPV6,
            &header,
            message.as_bytes(),
            option.as_bytes(),
        ];
        copy(&mut frame, &fields);
        frame
    }
}

/// ICMPv6's checksum, with its pseudo header (RFC 8200, section 8.1). Over a message
/// that holds its checksum it is 0.
fn icmpv6_checksum(source: Ipv6Addr, destination: Ipv6Addr, message: &[u8]) -> u16 {
    let len = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut pseudo = [0; 40];
    let fields: [&[u8]; 4] = [
        &source.octets(),
        &destination.octets(),
        &len.to_be_bytes(),
        &[0, 0, 0, ICMPV6],
    ];
    copy(&mut pseudo, &fields);
    // Each part is a sum of whole words, but for the last, which pads by itself.
    let (sum, carry) = (!checksum(&pseudo)).overflowing_add(!checksum(message));
    !sum.wrapping_add(u16::from(carry))
}
