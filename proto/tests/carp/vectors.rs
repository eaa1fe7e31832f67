// SPDX-License-Identifier: GPL-2.0

//! Advertisements that OpenBSD's own code produced.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::common::{self, Hmac};
use carp_proto::carp::digest::{self, Digests, Input};
use carp_proto::carp::packet::{checksum, Advertisement, Discard, Received, LEN, TTL};
use serde::Deserialize;

#[derive(Deserialize)]
struct Vector {
    note: String,
    vhid: u8,
    advskew: u8,
    demote: u8,
    advbase: u8,
    addresses: Vec<IpAddr>,
    pass: String,
    leader: bool,
    lladdr: Option<String>,
    counter: String,
    hmac: String,
    hmac_without_link_local: String,
    advertisement: String,
}

impl Vector {
    /// The first nineteen bytes, which is what OpenBSD keeps of it.
    fn pass(&self) -> &str {
        &self.pass[..self.pass.len().min(digest::PASS_MAX)]
    }

    fn digests(&self) -> Digests<Hmac> {
        let lladdr = self.lladdr.as_ref().map(|text| {
            let bytes: Vec<u8> = text
                .split(':')
                .map(|byte| u8::from_str_radix(byte, 16).unwrap())
                .collect();
            <[u8; 6]>::try_from(bytes).unwrap()
        });
        let (mut ipv4, mut ipv6) = (vec![], vec![]);
        for address in &self.addresses {
            match address {
                IpAddr::V4(address) => ipv4.push(*address),
                IpAddr::V6(address) => ipv6.push(*address),
            }
        }
        let virtual_mac = carp_proto::carp::packet::virtual_mac(self.vhid);
        let lladdr = lladdr.unwrap_or(virtual_mac);
        let parent = [0x02, 0, 0, 0, 0, 1];
        let input = Input {
            vhid: self.vhid,
            lladdr: digest::hashed_lladdr(self.leader, lladdr, virtual_mac, parent),
            ipv4: &ipv4[..],
            ipv6: &ipv6[..],
        };
        common::digests(self.pass(), &input)
    }

    fn advertisement(&self) -> Advertisement {
        Advertisement {
            vhid: self.vhid,
            advskew: self.advskew,
            demote: self.demote,
            advbase: self.advbase,
            counter: hex(&self.counter),
            digest: hex(&self.hmac_without_link_local),
        }
    }
}

fn hex<const N: usize>(text: &str) -> [u8; N] {
    assert_eq!(text.len(), 2 * N);
    core::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
}

fn vectors() -> Vec<Vector> {
    let vectors: Vec<Vector> =
        serde_json::from_str(include_str!("../../vectors/carp.json")).unwrap();
    assert_eq!(vectors.len(), 40);
    vectors
}

#[test]
fn both_digests_are_those_of_openbsd() {
    for vector in vectors() {
        let digests = vector.digests();
        let counter = hex(&vector.counter);
        assert_eq!(
            digests.sign(&counter),
            hex(&vector.hmac_without_link_local),
            "without link-local addresses: {}",
            vector.note
        );
        assert_eq!(
            digests.sign_with_link_local(&counter),
            hex(&vector.hmac),
            "with link-local addresses: {}",
            vector.note
        );
    }
}

#[test]
fn the_two_digests_differ_just_where_there_is_a_link_local_address() {
    for vector in vectors() {
        let link_local = vector.addresses.iter().any(|address| match address {
            IpAddr::V4(_) => false,
            IpAddr::V6(address) => address.segments()[0] == 0xfe80,
        });
        let differ = vector.hmac != vector.hmac_without_link_local;
        assert_eq!(differ, link_local, "{}", vector.note);
    }
}

#[test]
fn the_emitted_bytes_are_those_of_openbsd() {
    for vector in vectors() {
        let bytes = vector.advertisement().emit();
        assert_eq!(bytes, hex(&vector.advertisement), "{}", vector.note);
    }
}

#[test]
fn the_checksum_holds() {
    for vector in vectors() {
        let mut bytes: [u8; LEN] = hex(&vector.advertisement);
        assert_eq!(checksum(&bytes), 0, "{}", vector.note);
        let stored = u16::from_be_bytes([bytes[6], bytes[7]]);
        (bytes[6], bytes[7]) = (0, 0);
        assert_eq!(checksum(&bytes), stored, "{}", vector.note);
    }
}

#[test]
fn openbsds_advertisements_are_accepted() {
    for vector in vectors() {
        let bytes: [u8; LEN] = hex(&vector.advertisement);
        let received = Received::check(TTL, &bytes).unwrap();
        assert_eq!(received.vhid(), vector.vhid);
        let parsed = received.authenticate(&vector.digests(), &common::OURS);
        assert_eq!(parsed, Ok(vector.advertisement()), "{}", vector.note);
    }
}

#[test]
fn advertisements_with_the_other_digest_are_accepted() {
    // as FreeBSD sends them
    for vector in vectors() {
        let bytes = Advertisement {
            digest: hex(&vector.hmac),
            ..vector.advertisement()
        }
        .emit();
        let received = Received::check(TTL, &bytes).unwrap();
        let parsed = received.authenticate(&vector.digests(), &common::OURS);
        assert!(parsed.is_ok(), "{}", vector.note);
    }
}

#[test]
fn another_address_passphrase_or_vhid_makes_another_digest() {
    for vector in vectors() {
        let bytes: [u8; LEN] = hex(&vector.advertisement);
        let received = Received::check(TTL, &bytes).unwrap();
        let pass = vector.pass().to_owned();
        let v4 = IpAddr::V4(Ipv4Addr::new(172, 16, 0, 1));
        let v6 = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0xfeed));
        let mut vector = vector;

        for extra in [v4, v6] {
            vector.addresses.push(extra);
            let parsed = received.authenticate(&vector.digests(), &common::OURS);
            assert_eq!(parsed, Err(Discard::BadDigest), "{}", vector.note);
            vector.addresses.pop();
        }
        vector.pass = format!("!{}", &pass[..pass.len().min(18)]);
        let parsed = received.authenticate(&vector.digests(), &common::OURS);
        assert_eq!(parsed, Err(Discard::BadDigest), "{}", vector.note);

        vector.pass = pass;
        vector.vhid ^= 0x80;
        let parsed = received.authenticate(&vector.digests(), &common::OURS);
        assert_eq!(parsed, Err(Discard::BadDigest), "{}", vector.note);
    }
}
