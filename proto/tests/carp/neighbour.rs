// SPDX-License-Identifier: GPL-2.0

//! Neighbour discovery for virtual addresses.

use carp_proto::carp::neighbour::{
    advertised, is_solicited_node, solicited_node, Class, NaSender, Solicitation, LEN,
};
use proptest::prelude::*;
use std::net::Ipv6Addr;

const ASKER: [u8; 6] = [2, 0, 0, 0, 0, 0xc];
const VIRTUAL: [u8; 6] = [0, 0, 0x5e, 0, 1, 7];

fn address(text: &str) -> Ipv6Addr {
    text.parse().expect("an address")
}

/// The checksum, written down a second time, as RFC 4443 has it.
fn set_checksum(packet: &mut [u8]) {
    let end = 40 + usize::from(u16::from_be_bytes([packet[4], packet[5]]));
    packet[42..44].fill(0);
    let mut bytes = packet[8..40].to_vec();
    bytes.extend((end as u32 - 40).to_be_bytes());
    bytes.extend([0, 0, 0, 58]);
    bytes.extend(&packet[40..end]);
    let mut sum: u32 = bytes
        .chunks(2)
        .map(|pair| (u32::from(pair[0]) << 8) | pair.get(1).map_or(0, |&low| u32::from(low)))
        .sum();
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    packet[42..44].copy_from_slice(&(!(sum as u16)).to_be_bytes());
}

/// A solicitation, changed before the checksum is made.
fn packet(source: &str, destination: &str, options: &[u8], change: fn(&mut [u8])) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0, 0, 0, 58, 255];
    packet.extend(address(source).octets());
    packet.extend(address(destination).octets());
    packet.extend([135, 0, 0, 0, 0, 0, 0, 0]);
    packet.extend(address("2001:db8::1:2:3").octets());
    packet.extend(options);
    let len = u16::try_from(packet.len() - 40).expect("short");
    packet[4..6].copy_from_slice(&len.to_be_bytes());
    change(&mut packet);
    set_checksum(&mut packet);
    packet
}

fn source_option() -> Vec<u8> {
    [&[1, 1], ASKER.as_slice()].concat()
}

fn asked() -> Solicitation {
    Solicitation {
        source: address("fe80::c"),
        destination: address("ff02::1:ff02:3"),
        target: address("2001:db8::1:2:3"),
        source_mac: Some(ASKER),
    }
}

#[test]
fn a_solicitation_is_read() {
    let bytes = packet("fe80::c", "ff02::1:ff02:3", &source_option(), |_| ());
    assert_eq!(Solicitation::parse(&bytes), Some(asked()));
    let padded = [bytes.as_slice(), &[0xff; 9]].concat();
    assert_eq!(
        Solicitation::parse(&padded),
        Some(asked()),
        "what Ethernet adds does not count"
    );
}

#[test]
fn options_that_are_unknown_are_skipped() {
    let nonce = [14, 1, 1, 2, 3, 4, 5, 6];
    let long = [[200, 2].as_slice(), &[0; 14]].concat();
    let options = [nonce.as_slice(), &long, &source_option()].concat();
    let bytes = packet("fe80::c", "ff02::1:ff02:3", &options, |_| ());
    assert_eq!(Solicitation::parse(&bytes), Some(asked()));
}

#[test]
fn duplicate_address_detection_is_read() {
    let bytes = packet("::", "ff02::1:ff02:3", &[], |_| ());
    let solicitation = Solicitation::parse(&bytes).expect("valid");
    assert!(solicitation.is_duplicate_detection());
    assert_eq!(solicitation.source_mac, None);
}

#[test]
fn what_rfc_4861_forbids_is_nothing() {
    let with = |change: fn(&mut [u8])| {
        let bytes = packet("fe80::c", "ff02::1:ff02:3", &source_option(), change);
        Solicitation::parse(&bytes)
    };
    assert!(with(|_| ()).is_some());
    assert_eq!(with(|packet| packet[0] = 0x40), None, "version");
    assert_eq!(with(|packet| packet[6] = 17), None, "protocol");
    assert_eq!(with(|packet| packet[7] = 254), None, "hop limit");
    assert_eq!(with(|packet| packet[40] = 136), None, "type");
    assert_eq!(with(|packet| packet[41] = 1), None, "code");
    assert_eq!(with(|packet| packet[48] = 0xff), None, "target");
    assert_eq!(with(|packet| packet[65] = 0), None, "an empty option");
    assert_eq!(with(|packet| packet[65] = 2), None, "an option too long");
    assert_eq!(with(|packet| packet[8] = 0xff), None, "source");
    let short = |len: u16| {
        let mut bytes = packet("fe80::c", "ff02::1:ff02:3", &source_option(), |_| ());
        bytes[4..6].copy_from_slice(&len.to_be_bytes());
        if (4..=32).contains(&len) {
            set_checksum(&mut bytes);
        }
        Solicitation::parse(&bytes)
    };
    assert!(short(24).is_some());
    for len in [0, 3, 4, 23, 25, 31, 33] {
        assert_eq!(short(len), None, "{len} bytes");
    }
    let mut bytes = packet("fe80::c", "ff02::1:ff02:3", &source_option(), |_| ());
    bytes[43] ^= 1;
    assert_eq!(Solicitation::parse(&bytes), None, "checksum");
    let bytes = packet("::", "ff02::1:ff02:3", &source_option(), |_| ());
    assert_eq!(Solicitation::parse(&bytes), None, "nobody's address");
    let bytes = packet("::", "2001:db8::1:2:3", &[], |_| ());
    assert_eq!(Solicitation::parse(&bytes), None, "detection is for groups");
}

#[test]
fn an_answer_goes_to_who_asked() {
    let sender = NaSender {
        from: VIRTUAL,
        at: VIRTUAL,
        router: true,
    };
    let frame = sender.answer(&asked(), [9; 6]);
    assert_eq!(frame[..6], ASKER);
    assert_eq!(frame[6..12], VIRTUAL);
    assert_eq!(frame[12..14], [0x86, 0xdd]);
    assert_eq!(frame[14..22], [0x60, 0, 0, 0, 0, 32, 58, 255]);
    assert_eq!(frame[22..38], asked().target.octets());
    assert_eq!(frame[38..54], asked().source.octets());
    assert_eq!(frame[54..56], [136, 0]);
    assert_eq!(frame[58], 0xe0, "router, solicited, override");
    assert_eq!(frame[62..78], asked().target.octets());
    assert_eq!(frame[78..80], [2, 1]);
    assert_eq!(frame[80..], VIRTUAL);
    let mut again = frame;
    set_checksum(&mut again[14..]);
    assert_eq!(again, frame, "checksum");

    let silent = Solicitation {
        source_mac: None,
        ..asked()
    };
    assert_eq!(sender.answer(&silent, [9; 6])[..6], [9; 6]);
}

#[test]
fn an_announcement_goes_to_everybody() {
    let sender = NaSender {
        from: [2, 0, 0, 0, 0, 1],
        at: VIRTUAL,
        router: false,
    };
    let frame = sender.announce(asked().target);
    assert_eq!(frame[..12], [0x33, 0x33, 0, 0, 0, 1, 2, 0, 0, 0, 0, 1]);
    assert_eq!(frame[38..54], address("ff02::1").octets());
    assert_eq!(frame[58], 0x20, "override");
    assert_eq!(frame[80..], VIRTUAL);
    let detection = Solicitation {
        source: Ipv6Addr::UNSPECIFIED,
        source_mac: None,
        ..asked()
    };
    assert_eq!(
        sender.answer(&detection, [9; 6]),
        frame,
        "and so does the answer to who has no address yet"
    );
}

#[test]
fn a_packet_for_the_virtual_mac_has_its_place() {
    let place = |destination: &str, change: fn(&mut [u8])| {
        let bytes = packet("2001:db8::c", destination, &[], change);
        Class::of(&bytes[..Class::NEEDED])
    };
    assert_eq!(place("2001:db8::1:2:3", |_| ()), Class::Solicitation);
    assert_eq!(place("fe80::7", |_| ()), Class::Solicitation);
    let advertisement = |packet: &mut [u8]| packet[40] = 136;
    assert_eq!(place("2001:db8::1:2:3", advertisement), Class::Interface);
    let echo = |packet: &mut [u8]| packet[40] = 128;
    assert_eq!(place("2001:db8::1:2:3", echo), Class::Parent);
    assert_eq!(place("fe80::7", echo), Class::Interface);
    let tcp = |packet: &mut [u8]| (packet[6], packet[40]) = (6, 135);
    assert_eq!(place("2001:db8::1:2:3", tcp), Class::Parent);
    let empty = packet("2001:db8::c", "fe80::7", &[], |_| ());
    assert_eq!(Class::of(&empty[..40]), Class::Interface);
    assert_eq!(Class::of(&empty[..39]), Class::Parent);
}

#[test]
fn solicited_node_groups() {
    let group = solicited_node(address("2001:db8::1234:5678:9abc"));
    assert_eq!(group, address("ff02::1:ff78:9abc"));
    assert!(is_solicited_node(group));
    assert!(!is_solicited_node(address("ff02::1:fe78:9abc")));
    assert!(!is_solicited_node(address("ff02::1")));
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..160)) {
        let _ = Solicitation::parse(&bytes);
        let _ = Class::of(&bytes);
    }

    #[test]
    fn a_valid_packet_with_bytes_changed_is_read_without_a_panic(
        at in 0usize..72,
        to in any::<u8>(),
        cut in 0usize..73,
    ) {
        let mut bytes = packet("fe80::c", "ff02::1:ff02:3", &source_option(), |_| ());
        bytes[at] = to;
        let _ = Solicitation::parse(&bytes[..cut]);
        if at != 4 && at != 5 {
            set_checksum(&mut bytes);
        }
        if let Some(solicitation) = Solicitation::parse(&bytes) {
            let sender = NaSender { from: VIRTUAL, at: VIRTUAL, router: false };
            let frame = sender.answer(&solicitation, ASKER);
            let mut again: [u8; LEN] = frame;
            set_checksum(&mut again[14..]);
            prop_assert_eq!(again, frame);
        }
    }
}

#[test]
fn whom_an_advertisement_is_about() {
    let sender = NaSender {
        from: VIRTUAL,
        at: VIRTUAL,
        router: false,
    };
    let target = address("2001:db8::1");
    let packet = &sender.announce(target)[14..];
    assert_eq!(advertised(packet), Some(target));
    // Of a solicitation, or a packet that ends too early, nothing is said.
    let mut other = packet.to_vec();
    other[40] = 135;
    assert_eq!(advertised(&other), None);
    other[40] = 136;
    other[6] = 17;
    assert_eq!(advertised(&other), None);
    assert_eq!(advertised(&packet[..63]), None);
}
