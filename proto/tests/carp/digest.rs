// SPDX-License-Identifier: GPL-2.0

//! What the digest is made of, byte for byte.

use std::cell::Cell;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::common::{self, Hmac};
use carp_proto::carp::arp_hash::{self, ArpHash};
use carp_proto::carp::digest::{hashed_lladdr, write_key, Digests, Input, Mac, KEY_LEN, PASS_MAX};
use carp_proto::carp::packet::Digest;
use proptest::prelude::*;

/// Keeps the bytes instead of hashing them: its digest is their SHA-1.
#[derive(Default)]
struct Transcript(Vec<u8>);

impl Mac for Transcript {
    fn begin(&mut self, _: &[u8; KEY_LEN]) {
        self.0.clear();
    }

    fn continue_from(&mut self, other: &Self) {
        self.0.clone_from(&other.0);
    }

    fn update(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
    }

    fn digest(&self, last: &[u8]) -> Digest {
        common::sha1(&[&self.0[..], last].concat())
    }

    fn wipe(&mut self) {
        self.0.clear();
    }
}

const COUNTER: [u8; 8] = *b"12345678";

fn transcript(digests: [&[u8]; 4]) -> Digest {
    common::sha1(&[&digests.concat()[..], &COUNTER].concat())
}

fn digests(ipv4: &[&str], ipv6: &[&str]) -> Digests<Transcript> {
    let ipv4: Vec<Ipv4Addr> = ipv4.iter().map(|a| a.parse().unwrap()).collect();
    let ipv6: Vec<Ipv6Addr> = ipv6.iter().map(|a| a.parse().unwrap()).collect();
    let input = Input {
        vhid: 9,
        lladdr: None,
        ipv4: &ipv4[..],
        ipv6: &ipv6[..],
    };
    common::digests("", &input)
}

fn sign(ipv4: &[&str], ipv6: &[&str]) -> Digest {
    digests(ipv4, ipv6).sign(&COUNTER)
}

/// The key that a passphrase has, written over another one.
fn key(pass: &[u8]) -> Option<[u8; KEY_LEN]> {
    let mut key = [0xff; KEY_LEN];
    write_key(pass, &mut key).map(|()| key)
}

#[test]
fn the_key_is_the_passphrase_padded_with_zeros() {
    assert_eq!(key(b""), Some([0; KEY_LEN]));
    assert_eq!(key(b"abc"), Some(*b"abc\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"));
    assert_eq!(key(&[b'x'; PASS_MAX]), Some(*b"xxxxxxxxxxxxxxxxxxx\0"));
}

#[test]
fn a_passphrase_of_more_than_nineteen_bytes_is_refused() {
    assert_eq!(PASS_MAX, 19);
    assert_eq!(key(&[b'x'; 20]), None);
    assert_eq!(key(&[b'x'; 1000]), None);
}

#[test]
fn version_type_vhid_addresses_and_counter_are_hashed_in_this_order() {
    let expected = transcript([
        &[2, 1],
        &[9],
        &[10, 0, 0, 1],
        &[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7],
    ]);
    assert_eq!(sign(&["10.0.0.1"], &["2001:db8::7"]), expected);
}

#[test]
fn a_link_layer_address_is_hashed_before_the_vhid() {
    let lladdr = [2, 0, 0, 0xaa, 0xbb, 0xcc];
    let input = Input {
        vhid: 9,
        lladdr: Some(lladdr),
        ipv4: &[][..],
        ipv6: &[][..],
    };
    let digests: Digests<Transcript> = common::digests("", &input);
    assert_eq!(
        digests.sign(&COUNTER),
        transcript([&[2, 1], &lladdr, &[9], &[]])
    );
}

#[test]
fn only_a_leader_with_an_address_of_its_own_hashes_it() {
    let (own, virtual_mac, parent) = ([2; 6], [0, 0, 0x5e, 0, 1, 1], [4; 6]);
    assert_eq!(hashed_lladdr(true, own, virtual_mac, parent), Some(own));
    assert_eq!(hashed_lladdr(false, own, virtual_mac, parent), None);
    assert_eq!(hashed_lladdr(true, virtual_mac, virtual_mac, parent), None);
    assert_eq!(hashed_lladdr(true, parent, virtual_mac, parent), None);
}

#[test]
fn the_order_of_addresses_does_not_matter() {
    // numeric, not alphabetic, and IPv4 always first
    let expected = transcript([
        &[2, 1],
        &[9],
        &[9, 255, 255, 255, 10, 0, 0, 3, 10, 0, 0, 200],
        &[],
    ]);
    assert_eq!(
        sign(&["10.0.0.200", "10.0.0.3", "9.255.255.255"], &[]),
        expected
    );
    assert_eq!(
        sign(&["9.255.255.255", "10.0.0.3", "10.0.0.200"], &[]),
        expected
    );
    assert_eq!(
        sign(&[], &["2001:db8::2", "2001:db8::1"]),
        sign(&[], &["2001:db8::1", "2001:db8::2"])
    );
}

#[test]
fn an_address_that_occurs_twice_is_hashed_once() {
    let once = sign(&["10.0.0.1", "10.0.0.2"], &["2001:db8::1"]);
    assert_eq!(
        sign(&["10.0.0.1", "10.0.0.1", "10.0.0.2"], &["2001:db8::1"; 2]),
        once
    );
    assert_eq!(
        sign(&["10.0.0.2", "10.0.0.1", "10.0.0.2"], &["2001:db8::1"; 3]),
        once
    );
}

#[test]
fn the_smallest_and_the_largest_address_are_left_out() {
    assert_eq!(
        sign(
            &["255.255.255.255", "10.0.0.1", "0.0.0.0"],
            &[
                "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                "2001:db8::1",
                "::"
            ]
        ),
        sign(&["10.0.0.1"], &["2001:db8::1"])
    );
}

#[test]
fn the_digest_sent_leaves_link_local_addresses_out() {
    let digests = digests(&["10.0.0.1"], &["fe80::1", "2001:db8::1"]);
    let without = sign(&["10.0.0.1"], &["2001:db8::1"]);
    assert_eq!(digests.sign(&COUNTER), without);
    assert_ne!(digests.sign_with_link_local(&COUNTER), without);
}

#[test]
fn the_scope_embedded_in_a_link_local_address_is_cleared() {
    let plain = digests(&[], &["fe80::1", "fe80::2"]).sign_with_link_local(&COUNTER);
    let scoped = digests(&[], &["fe80:7::1", "fe80:3::2"]).sign_with_link_local(&COUNTER);
    assert_eq!(scoped, plain);
    // whereas elsewhere these bytes are part of the address
    assert_ne!(sign(&[], &["2001:7::1"]), sign(&[], &["2001::1"]));
}

#[test]
fn both_digests_are_accepted_and_no_other() {
    let digests = digests(&["10.0.0.1"], &["fe80::1", "2001:db8::1"]);
    let without = digests.sign(&COUNTER);
    let with = digests.sign_with_link_local(&COUNTER);
    assert!(digests.verify(&COUNTER, &without));
    assert!(digests.verify(&COUNTER, &with));
    assert!(!digests.verify(b"87654321", &without));
    for digest in [without, with] {
        for bit in 0..160 {
            let mut digest = digest;
            digest[bit / 8] ^= 1 << (bit % 8);
            assert!(!digests.verify(&COUNTER, &digest));
        }
    }
}

#[test]
fn without_link_local_addresses_there_is_one_digest() {
    let digests = digests(&["10.0.0.1"], &["2001:db8::1"]);
    assert_eq!(
        digests.sign(&COUNTER),
        digests.sign_with_link_local(&COUNTER)
    );
}

#[test]
fn the_hash_of_balancing_arp_is_that_of_openbsd_5() {
    // reckoned by hand from carp_hash()
    for (pass, mac, expected) in [
        ("", [0; 6], 0x3382_5b9b),
        ("secret", [0x02, 0, 0, 0xaa, 0xbb, 0xcc], 0xc60b_0d5d),
        ("mekmitasdigoat", [0xff; 6], 0xa7d9_1e82),
    ] {
        let key = key(pass.as_bytes()).unwrap();
        let mut input = [0xff; arp_hash::SEED_INPUT_LEN];
        arp_hash::write_seed_input(&key, &mut input);
        let seed = common::sha1(&input);
        let hash = ArpHash::new(&seed, &key);
        assert_eq!(hash.of(mac), expected, "{pass}");
        assert_eq!(ArpHash::from_bits(hash.to_bits()), hash);
    }
}

proptest! {
    #[test]
    fn addresses_are_hashed_as_a_sorted_set(
        ipv4 in prop::collection::vec(0u32..8, 0..12),
        ipv6 in prop::collection::vec(0u128..8, 0..12),
    ) {
        // few values, so that there are duplicates, ordered and unordered lists
        let ipv4: Vec<Ipv4Addr> = ipv4.into_iter().map(Ipv4Addr::from_bits).collect();
        let ipv6: Vec<Ipv6Addr> = ipv6.into_iter().map(Ipv6Addr::from_bits).collect();
        let input = Input { vhid: 9, lladdr: None, ipv4: &ipv4[..], ipv6: &ipv6[..] };
        let digests: Digests<Transcript> = common::digests("", &input);

        let mut expected = vec![2, 1, 9];
        let sorted: std::collections::BTreeSet<_> = ipv4.iter().filter(|a| !a.is_unspecified()).collect();
        expected.extend(sorted.into_iter().flat_map(|a| a.octets()));
        let sorted: std::collections::BTreeSet<_> = ipv6.iter().filter(|a| !a.is_unspecified()).collect();
        expected.extend(sorted.into_iter().flat_map(|a| a.octets()));
        expected.extend(COUNTER);
        prop_assert_eq!(digests.sign(&COUNTER), common::sha1(&expected));
    }

    #[test]
    fn a_random_digest_is_refused(pass in "[a-z]{0,19}", counter: [u8; 8], digest: [u8; 20]) {
        let input = Input { vhid: 1, lladdr: None, ipv4: &[][..], ipv6: &[][..] };
        prop_assert!(!common::digests::<Hmac>(&pass, &input).verify(&counter, &digest));
    }
}

/// An HMAC of which it is counted how often its digest is asked for.
#[derive(Default)]
struct Counted(Transcript);

impl Mac for Counted {
    fn begin(&mut self, key: &[u8; KEY_LEN]) {
        self.0.begin(key);
    }

    fn continue_from(&mut self, other: &Self) {
        self.0.continue_from(&other.0);
    }

    fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn digest(&self, last: &[u8]) -> Digest {
        DIGESTS.set(DIGESTS.get() + 1);
        self.0.digest(last)
    }

    fn wipe(&mut self) {
        self.0.wipe();
    }
}

thread_local! {
    static DIGESTS: Cell<u32> = const { Cell::new(0) };
}

/// How many HMACs `what` takes.
fn hmacs(what: impl FnOnce()) -> u32 {
    let before = DIGESTS.get();
    what();
    DIGESTS.get() - before
}

fn counted(ipv6: &[Ipv6Addr]) -> Digests<Counted> {
    let input = Input {
        vhid: 9,
        lladdr: None,
        ipv4: &[Ipv4Addr::new(10, 0, 0, 1)][..],
        ipv6,
    };
    common::digests("", &input)
}

#[test]
fn a_counter_that_stays_is_signed_once() {
    let digests = counted(&["fe80::1".parse().unwrap()]);
    let (mut one, mut two) = ([0; 20], [0; 20]);
    assert_eq!(hmacs(|| one = digests.sign(&COUNTER)), 1);
    assert_eq!(hmacs(|| assert_eq!(digests.sign(&COUNTER), one)), 0);
    assert_eq!(hmacs(|| two = digests.sign_with_link_local(&COUNTER)), 1);
    assert_ne!(one, two, "the other kind is another digest");
    assert_eq!(
        hmacs(|| assert_eq!(digests.sign_with_link_local(&COUNTER), two)),
        0
    );
    assert_eq!(hmacs(|| assert_eq!(digests.sign(&COUNTER), one)), 1);
    assert_eq!(
        hmacs(|| assert_ne!(digests.sign(b"87654321"), one)),
        1,
        "as is another counter's"
    );
}

#[test]
fn a_peer_that_keeps_its_counter_is_verified_once() {
    let digests = counted(&[]);
    let good = digests.sign(&COUNTER);
    let mut forged = good;
    forged[19] ^= 1;
    assert_eq!(hmacs(|| assert!(!digests.verify(&COUNTER, &forged))), 1);
    assert_eq!(hmacs(|| assert!(digests.verify(&COUNTER, &good))), 1);
    assert_eq!(hmacs(|| assert!(digests.verify(&COUNTER, &good))), 0);
    assert_eq!(
        hmacs(|| assert!(!digests.verify(&COUNTER, &forged))),
        1,
        "the right counter alone proves nothing"
    );
    assert!(!digests.verify(b"87654321", &good), "nor the right digest");
    assert_eq!(
        hmacs(|| assert!(digests.verify(&COUNTER, &good))),
        0,
        "a stranger's do not drive out what is good"
    );
}

#[test]
fn what_was_verified_is_forgotten_with_its_key() {
    let mut digests = counted(&[]);
    let good = digests.sign(&COUNTER);
    assert!(digests.verify(&COUNTER, &good));
    let input = Input {
        vhid: 10,
        lladdr: None,
        ipv4: &[][..],
        ipv6: &[][..],
    };
    digests.hash(&[0; KEY_LEN], &input);
    assert!(!digests.verify(&COUNTER, &good));
    assert_ne!(digests.sign(&COUNTER), good);
}
