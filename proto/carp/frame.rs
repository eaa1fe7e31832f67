// SPDX-License-Identifier: GPL-2.0

//! An advertisement as it goes on the wire: Ethernet, IPv4 and 36 bytes.
//!
//! The driver hands complete frames to the parent. On the way through the IP
//! stack a multicast packet would be looped back and look like our own echo, and
//! the interface's own queue stands still when the last word is to be said.

use super::packet::{checksum, Advertisement, GROUP_IPV4, LEN, PROTOCOL, TOS, TTL};
use core::net::Ipv4Addr;

/// Length of [`ipv4`]'s frame in bytes.
pub const IPV4_LEN: usize = ETHERNET_LEN + IPV4_HEADER_LEN + LEN;

const ETHERNET_LEN: usize = 14;
const IPV4_HEADER_LEN: usize = 20;
const ETHERTYPE_IPV4: [u8; 2] = [0x08, 0x00];

/// The don't-fragment bit, as it stands in the header.
const DF: [u8; 2] = [0x40, 0x00];

/// The Ethernet address of an IPv4 multicast group: RFC 1112, section 6.4.
#[must_use]
pub const fn multicast_mac(group: Ipv4Addr) -> [u8; 6] {
    let [_, b, c, d] = group.octets();
    [0x01, 0x00, 0x5e, b & 0x7f, c, d]
}

/// The frame that carries `advertisement` from `source` to 224.0.0.18.
///
/// `mac` becomes the Ethernet source.
#[must_use]
pub fn ipv4(mac: [u8; 6], source: Ipv4Addr, advertisement: &Advertisement) -> [u8; IPV4_LEN] {
    let mut frame = [0; IPV4_LEN];
    let (ethernet, rest) = frame.split_at_mut(ETHERNET_LEN);
    copy(
        ethernet,
        &[&multicast_mac(GROUP_IPV4), &mac, &ETHERTYPE_IPV4],
    );

    let (header, payload) = rest.split_at_mut(IPV4_HEADER_LEN);
    // The sum of two constants below 2^16.
    #[allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]
    let total = ((IPV4_HEADER_LEN + LEN) as u16).to_be_bytes();
    let fields: [&[u8]; 7] = [
        // Version 4, five words of header.
        &[0x45, TOS],
        &total,
        // No fragment ever, so no identification.
        &[0, 0],
        &DF,
        &[TTL, PROTOCOL, 0, 0],
        &source.octets(),
        &GROUP_IPV4.octets(),
    ];
    copy(header, &fields);
    let sum = checksum(header).to_be_bytes();
    if let Some(place) = header.get_mut(10..12) {
        place.copy_from_slice(&sum);
    }
    payload.copy_from_slice(&advertisement.emit());
    frame
}

/// Writes `fields` one behind the other.
fn copy(into: &mut [u8], fields: &[&[u8]]) {
    let bytes = fields.iter().flat_map(|field| field.iter());
    for (to, &from) in into.iter_mut().zip(bytes) {
        *to = from;
    }
}

#[cfg(test)]
mod tests {
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
            &advertisement,
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

    #[test]
    fn a_group_is_mapped_to_ethernet_by_its_lower_23_bits() {
        assert_eq!(
            multicast_mac(Ipv4Addr::new(239, 255, 0, 1)),
            [1, 0, 0x5e, 0x7f, 0, 1]
        );
    }
}
