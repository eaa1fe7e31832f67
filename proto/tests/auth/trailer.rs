// SPDX-License-Identifier: GPL-2.0

//! The trailer of an advertisement, byte by byte.

use crate::common::{advertisement, at, id, key, signed, A, NOW};
use carp_proto::auth::mac::{Covered, Mac as _};
use carp_proto::auth::sequence::Sequence;
use carp_proto::auth::trailer::{Malformed, Trailer, LEN};
use carp_proto::carp::frame;
use carp_proto::carp::packet::{self, checksum, Received, TTL};
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

fn trailer(key: u8, bits: u64, tag: [u8; 16]) -> Trailer {
    Trailer {
        key: id(key),
        sequence: Sequence::from_bits(bits),
        tag,
    }
}

#[test]
fn the_fields_stand_where_they_must() {
    let tag = core::array::from_fn(|i| i as u8 + 0x80);
    let bytes = trailer(9, 0x0102_0304_0506_0708, tag).emit_behind_advertisement();
    assert_eq!(bytes[..2], [1, 9]);
    assert_eq!(bytes[4..12], [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(bytes[12..], tag);
}

#[test]
fn the_hmac_covers_what_is_said() {
    let said = advertisement(0).emit();
    let whole = signed(A, at(NOW));
    assert_eq!(whole[..36], said);
    let mut input = vec![4, 2, 1, 0, 10, 0, 0, 1];
    input.extend([0; 12]);
    input.extend(said);
    input[20 + 6..20 + 8].fill(0);
    input.extend([1, 1, 0, 0]);
    input.extend(1_796_000_000_u32.to_be_bytes());
    input.extend([0; 20]);
    let hmac = key(1).hmac(&[&input]);
    assert_eq!(whole[36 + 12..], hmac[..16]);
    // in pieces or not
    assert_eq!(key(1).hmac(&[&input[..7], &[], &input[7..]]), hmac);
}

#[test]
fn nothing_behind_an_advertisement_is_no_trailer() {
    assert_eq!(Trailer::behind_advertisement(&[]), Ok(None));
    for len in (1..100).filter(|len| *len != LEN) {
        let bytes = vec![1; len];
        assert_eq!(Trailer::behind_advertisement(&bytes), Err(Malformed));
    }
}

#[test]
fn a_received_advertisement_gives_its_bytes_and_its_trailer() {
    let whole = signed(A, at(NOW));
    let received = Received::check(TTL, &whole).unwrap();
    assert_eq!(received.bytes(), &advertisement(0).emit());
    let trailer = received.trailer().unwrap().unwrap();
    assert_eq!((trailer.key, trailer.sequence), (id(1), at(NOW)));
    assert_eq!(trailer.tag, whole[48..]);
    let bare = Received::check(TTL, &whole[..36]).unwrap();
    assert_eq!(bare.trailer(), Ok(None));
    let cut = Received::check(TTL, &whole[..63]).unwrap();
    assert_eq!(cut.trailer(), Err(Malformed));
}

#[test]
fn frames_carry_it() {
    let whole = signed(A, at(NOW));
    let said = advertisement(0);
    let (mac, ipv4) = ([0, 0, 0x5e, 0, 1, 1], Ipv4Addr::new(10, 0, 0, 1));
    let bare = frame::ipv4(mac, ipv4, &said.emit());
    let signed = frame::ipv4(mac, ipv4, &whole);
    assert_eq!(signed[..16], bare[..16]);
    assert_eq!(signed[16..18], [0, 84], "20 bytes of header, 64 of CARP");
    assert_eq!(signed[26..34], bare[26..34]);
    assert_eq!(checksum(&signed[14..34]), 0, "the header's own checksum");
    assert_eq!(signed[34..], whole);
    let peer = Ipv4Addr::new(10, 0, 0, 2);
    let packet = frame::ipv4_packet(ipv4, peer, &whole);
    assert_eq!(packet[..4], [0x45, 0x10, 0, 84]);
    assert_eq!(packet[16..20], peer.octets());
    assert_eq!(packet[20..], whole);

    let ipv6 = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
    let bare = frame::ipv6(mac, ipv6, &said.emit());
    let signed = frame::ipv6(mac, ipv6, &whole);
    assert_eq!(signed[..18], bare[..18]);
    assert_eq!(signed[18..20], [0, 64], "the bytes behind the header");
    assert_eq!(signed[20..54], bare[20..54]);
    assert_eq!(signed[54..], whole);
    let packet = frame::ipv6_packet(ipv6, ipv6, &whole);
    assert_eq!(packet[4..6], [0, 64]);
    assert_eq!(packet[24..40], ipv6.octets());
    assert_eq!(packet[40..], whole);
}

#[test]
fn a_packet_in_the_other_family_has_another_hmac() {
    let ipv4 = Ipv4Addr::new(10, 0, 0, 1);
    let same_bytes = Ipv6Addr::from([10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let whole = |source: IpAddr| signed(source, at(NOW))[48..].to_vec();
    assert_ne!(whole(ipv4.into()), whole(same_bytes.into()));
    let covered = format!("{:?}", Covered::Advertisement(&[0; packet::LEN]));
    assert!(covered.starts_with("Advertisement"));
}

proptest! {
    #[test]
    fn its_sum_is_neutral(key in 1_u8.., bits: u64, tag: [u8; 16], said: [u8; 36]) {
        let trailer = trailer(key, bits, tag);
        let bytes = trailer.emit_behind_advertisement();
        prop_assert_eq!(checksum(&bytes), 0);
        prop_assert_eq!(Trailer::behind_advertisement(&bytes), Ok(Some(trailer)));
        // so the sum of what it stands behind is that of both
        let both = [&said[..], &bytes].concat();
        let alike = |sum: u16| if sum == 0xffff { 0 } else { sum };
        prop_assert_eq!(alike(checksum(&both)), alike(checksum(&said)));
    }

    #[test]
    fn any_bytes_are_read_or_not(bytes: [u8; LEN]) {
        let good = bytes[0] == 1 && bytes[1] != 0 && checksum(&bytes) == 0;
        let read = Trailer::behind_advertisement(&bytes);
        prop_assert_eq!(read.is_ok(), good);
    }
}
