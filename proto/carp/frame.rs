// SPDX-License-Identifier: GPL-2.0

//! An advertisement as it goes on the wire: Ethernet, IP and 36 bytes, or 64 with what
//! authenticates all of it.
//!
//! To a group the driver hands complete frames to the parent ([`ipv4`],
//! [`ipv6`]). On the way through the IP stack a multicast packet would be looped
//! back and look like our own echo, and the interface's own queue stands still
//! when the last word is to be said. To a unicast peer the stack must find the
//! way, so it gets the bare packet ([`ipv4_packet`], [`ipv6_packet`]).

use super::super::auth::trailer::SIGNED_LEN;
use super::packet::{checksum, GROUP_IPV4, GROUP_IPV6, PROTOCOL, TOS, TTL};
use core::net::{Ipv4Addr, Ipv6Addr};
use core::ops::Deref;

/// An Ethernet address.
pub type MacAddress = [u8; 6];

/// A packet or a frame: some bytes of a buffer that has room for a
/// [trailer](super::super::auth::trailer), too.
#[derive(Clone, Copy, Debug)]
pub struct Bytes<const ROOM: usize> {
    buffer: [u8; ROOM],
    len: usize,
}

impl<const ROOM: usize> Bytes<ROOM> {
    /// `fields`, one behind the other. They have room.
    #[must_use]
    pub fn new(fields: &[&[u8]]) -> Self {
        let mut buffer = [0; ROOM];
        let len = copy(&mut buffer, fields);
        Self { buffer, len }
    }
}

impl<const ROOM: usize> Deref for Bytes<ROOM> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or_default()
    }
}

/// What follows the IP header: the 36 bytes of an advertisement, and its trailer if it has one.
pub type Payload = Bytes<SIGNED_LEN>;

/// The packet of [`ipv4_packet`].
pub type Ipv4Packet = Bytes<{ IPV4_HEADER_LEN + SIGNED_LEN }>;

/// The packet of [`ipv6_packet`].
pub type Ipv6Packet = Bytes<{ IPV6_HEADER_LEN + SIGNED_LEN }>;

/// The frame of [`ipv4`].
pub type Ipv4Frame = Bytes<{ ETHERNET_LEN + IPV4_HEADER_LEN + SIGNED_LEN }>;

/// The frame of [`ipv6`].
pub type Ipv6Frame = Bytes<{ ETHERNET_LEN + IPV6_HEADER_LEN + SIGNED_LEN }>;

pub(crate) const ETHERNET_LEN: usize = 14;
pub(crate) const IPV6_HEADER_LEN: usize = 40;
pub(crate) const IPV4_HEADER_LEN: usize = 20;
pub(crate) const ETHERTYPE_IPV4: [u8; 2] = [0x08, 0x00];
pub(super) const ETHERTYPE_IPV6: [u8; 2] = [0x86, 0xdd];
const ETHERTYPE_ARP: [u8; 2] = [0x08, 0x06];

/// The don't-fragment bit, as it stands in the header.
const DF: [u8; 2] = [0x40, 0x00];

/// The Ethernet address of an IPv4 multicast group: RFC 1112, section 6.4.
#[must_use]
pub const fn multicast_mac(group: Ipv4Addr) -> MacAddress {
    let [_, b, c, d] = group.octets();
    [0x01, 0x00, 0x5e, b & 0x7f, c, d]
}

/// The Ethernet address of an IPv6 multicast group: RFC 2464, section 7.
#[must_use]
pub const fn multicast_mac_ipv6(group: Ipv6Addr) -> MacAddress {
    let [.., a, b, c, d] = group.octets();
    [0x33, 0x33, a, b, c, d]
}

/// The frame that carries an advertisement, `payload`, from `source` to 224.0.0.18.
///
/// `mac` becomes the Ethernet source.
#[must_use]
pub fn ipv4(mac: MacAddress, source: Ipv4Addr, payload: &[u8]) -> Ipv4Frame {
    let to = multicast_mac(GROUP_IPV4);
    let header = ipv4_header_for(payload, source, GROUP_IPV4);
    Bytes::new(&[&to, &mac, &ETHERTYPE_IPV4, &header, payload])
}

/// The frame that carries an advertisement, `payload`, from `source` to ff02::12.
///
/// `mac` becomes the Ethernet source.
#[must_use]
pub fn ipv6(mac: MacAddress, source: Ipv6Addr, payload: &[u8]) -> Ipv6Frame {
    let to = multicast_mac_ipv6(GROUP_IPV6);
    let header = ipv6_header_for(payload, source, GROUP_IPV6);
    Bytes::new(&[&to, &mac, &ETHERTYPE_IPV6, &header, payload])
}

/// The IPv4 packet that carries an advertisement, `payload`, from `source` to `peer`.
#[must_use]
pub fn ipv4_packet(source: Ipv4Addr, peer: Ipv4Addr, payload: &[u8]) -> Ipv4Packet {
    Bytes::new(&[&ipv4_header_for(payload, source, peer), payload])
}

fn ipv4_header_for(payload: &[u8], source: Ipv4Addr, to: Ipv4Addr) -> [u8; IPV4_HEADER_LEN] {
    #[allow(clippy::cast_possible_truncation)]
    ipv4_header(TOS, payload.len() as u16, PROTOCOL, source, to)
}

/// An IPv4 header without options, for `len` bytes that are never fragmented; the
/// TTL is 255.
pub(crate) fn ipv4_header(
    tos: u8,
    len: u16,
    protocol: u8,
    source: Ipv4Addr,
    destination: Ipv4Addr,
) -> [u8; IPV4_HEADER_LEN] {
    let mut header = [0; IPV4_HEADER_LEN];
    #[allow(clippy::cast_possible_truncation)]
    let total = len.saturating_add(IPV4_HEADER_LEN as u16).to_be_bytes();
    let fields: [&[u8]; 7] = [
        // Version 4, five words of header.
        &[0x45, tos],
        &total,
        // No fragment ever, so no identification.
        &[0, 0],
        &DF,
        &[TTL, protocol, 0, 0],
        &source.octets(),
        &destination.octets(),
    ];
    copy(&mut header, &fields);
    let sum = checksum(&header).to_be_bytes();
    if let Some(place) = header.get_mut(10..12) {
        place.copy_from_slice(&sum);
    }
    header
}

/// The IPv6 packet that carries an advertisement, `payload`, from `source` to `peer`.
///
/// OpenBSD leaves the traffic class 0; here it is IPv4's.
#[must_use]
pub fn ipv6_packet(source: Ipv6Addr, peer: Ipv6Addr, payload: &[u8]) -> Ipv6Packet {
    Bytes::new(&[&ipv6_header_for(payload, source, peer), payload])
}

fn ipv6_header_for(payload: &[u8], source: Ipv6Addr, to: Ipv6Addr) -> [u8; IPV6_HEADER_LEN] {
    #[allow(clippy::cast_possible_truncation)]
    ipv6_header(TOS, payload.len() as u16, PROTOCOL, source, to)
}

/// An IPv6 header without extensions; the hop limit is 255.
pub(crate) fn ipv6_header(
    class: u8,
    len: u16,
    next: u8,
    source: Ipv6Addr,
    destination: Ipv6Addr,
) -> [u8; IPV6_HEADER_LEN] {
    let mut header = [0; IPV6_HEADER_LEN];
    let fields: [&[u8]; 5] = [
        // Version 6, the class's eight bits, and no flow label.
        &[0x60 | (class >> 4), class << 4, 0, 0],
        &len.to_be_bytes(),
        &[next, TTL],
        &source.octets(),
        &destination.octets(),
    ];
    copy(&mut header, &fields);
    header
}

/// Length of [`arp_probe`]'s frame in bytes.
pub const ARP_LEN: usize = ETHERNET_LEN + 28;

/// The broadcast frame that asks who has `target`, from `mac` and from no IP address
/// (RFC 5227, section 2.1.1).
///
/// Nobody learns an IP address from it, and nobody answers: `target` is an address
/// of the virtual host itself, or unspecified. What learns from it are switches.
#[must_use]
pub fn arp_probe(mac: MacAddress, target: Ipv4Addr) -> [u8; ARP_LEN] {
    let mut frame = [0; ARP_LEN];
    let fields: [&[u8]; 8] = [
        &[0xff; 6],
        &mac,
        &ETHERTYPE_ARP,
        // Ethernet, IPv4, the lengths of their addresses, request.
        &[0, 1, 0x08, 0, 6, 4, 0, 1],
        &mac,
        &Ipv4Addr::UNSPECIFIED.octets(),
        &[0; 6],
        &target.octets(),
    ];
    copy(&mut frame, &fields);
    frame
}

/// Writes `fields` one behind the other. Returns how many bytes they are, as far as they have
/// room.
pub(in super::super) fn copy(into: &mut [u8], fields: &[&[u8]]) -> usize {
    let room = into.len();
    let mut rest = into;
    for field in fields {
        let Some((place, _)) = rest.split_at_mut_checked(field.len()) else {
            break;
        };
        place.copy_from_slice(field);
        rest = rest.get_mut(field.len()..).unwrap_or_default();
    }
    room.saturating_sub(rest.len())
}

#[cfg(test)]
mod tests {
    use super::super::packet::Advertisement;
    use super::*;

    #[test]
    fn an_ipv4_advertisement_on_the_wire() {
        let advertisement = Advertisement {
            vhid: 1,
            advskew: 0,
            demote: 0,
            advbase: 1,
            counter: [0; 8],
            digest: [0; 20],
        };
        let frame = ipv4(
            [0, 0, 0x5e, 0, 1, 1],
            Ipv4Addr::new(10, 0, 0, 2),
            &advertisement.emit(),
        );
        assert_eq!(
            frame[..14],
            [1, 0, 0x5e, 0, 0, 0x12, 0, 0, 0x5e, 0, 1, 1, 8, 0]
        );
        let header = &frame[14..34];
        assert_eq!(header[..2], [0x45, 0x10], "five words, TOS 0x10");
        assert_eq!(header[2..4], [0, 56], "20 bytes of header, 36 of CARP");
        assert_eq!(header[6..8], [0x40, 0], "DF");
        assert_eq!(header[8..10], [255, 112], "TTL and protocol");
        assert_eq!(header[12..16], [10, 0, 0, 2]);
        assert_eq!(header[16..20], [224, 0, 0, 18]);
        assert_eq!(checksum(header), 0, "the header's own checksum");
        assert_eq!(frame[34..], advertisement.emit());
    }

    fn advertisement() -> Advertisement {
        Advertisement {
            vhid: 7,
            advskew: 100,
            demote: 0,
            advbase: 1,
            counter: [3; 8],
            digest: [9; 20],
        }
    }

    #[test]
    fn an_ipv6_advertisement_on_the_wire() {
        let source: Ipv6Addr = "fe80::a:b".parse().unwrap();
        let frame = ipv6([0, 0, 0x5e, 0, 1, 7], source, &advertisement().emit());
        assert_eq!(
            frame[..14],
            [0x33, 0x33, 0, 0, 0, 0x12, 0, 0, 0x5e, 0, 1, 7, 0x86, 0xdd]
        );
        assert_eq!(frame[14..18], [0x61, 0, 0, 0], "version 6, class 0x10");
        assert_eq!(frame[18..20], [0, 36], "the bytes behind the header");
        assert_eq!(frame[20..22], [112, 255], "protocol and hop limit");
        assert_eq!(frame[22..38], source.octets());
        assert_eq!(frame[38..54], GROUP_IPV6.octets());
        assert_eq!(frame[54..], advertisement().emit());
    }

    #[test]
    fn a_packet_for_a_peer_goes_to_the_peer() {
        let (source, peer) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
        let packet = ipv4_packet(source, peer, &advertisement().emit());
        assert_eq!(packet.len(), 56);
        assert_eq!(packet[2..4], [0, 56]);
        assert_eq!(packet[8..10], [255, 112]);
        assert_eq!(packet[12..20], [10, 0, 0, 1, 10, 0, 0, 2]);
        assert_eq!(checksum(&packet[..20]), 0);
        assert_eq!(packet[20..], advertisement().emit());

        let (source, peer): (Ipv6Addr, Ipv6Addr) = (
            "2001:db8::1".parse().unwrap(),
            "2001:db8::2".parse().unwrap(),
        );
        let packet = ipv6_packet(source, peer, &advertisement().emit());
        assert_eq!(packet.len(), 76);
        assert_eq!(packet[4..8], [0, 36, 112, 255]);
        assert_eq!(packet[8..24], source.octets());
        assert_eq!(packet[24..40], peer.octets());
        assert_eq!(packet[40..], advertisement().emit());
    }

    #[test]
    fn an_arp_probe_names_no_sender() {
        let mac = [0, 0, 0x5e, 0, 1, 7];
        let frame = arp_probe(mac, Ipv4Addr::new(10, 0, 0, 1));
        assert_eq!(frame[..6], [0xff; 6]);
        assert_eq!(frame[6..12], mac);
        assert_eq!(frame[12..22], [8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
        assert_eq!(frame[22..28], mac);
        assert_eq!(frame[28..38], [0; 10]);
        assert_eq!(frame[38..], [10, 0, 0, 1]);
    }

    #[test]
    fn a_group_is_mapped_to_ethernet_by_its_lower_23_bits() {
        assert_eq!(
            multicast_mac(Ipv4Addr::new(239, 255, 0, 1)),
            [1, 0, 0x5e, 0x7f, 0, 1]
        );
        assert_eq!(
            multicast_mac_ipv6("ff02::1:ff03:405".parse().unwrap()),
            [0x33, 0x33, 0xff, 3, 4, 5]
        );
    }
}
