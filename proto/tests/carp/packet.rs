// SPDX-License-Identifier: GPL-2.0

//! The advertisement on the wire.

use crate::common::{self, theirs, Hmac, OURS, THEIRS};
use carp_proto::carp::digest::{Digests, Input};
use carp_proto::carp::packet::{
    checksum, virtual_mac, Advertisement, Discard, Received, COUNTER_LEN, DIGEST_LEN, GROUP_IPV4,
    GROUP_IPV6, LEN, PROTOCOL, TOS, TTL,
};
use proptest::prelude::*;

fn digests(pass: &str) -> Digests<Hmac> {
    let input = Input {
        vhid: 1,
        lladdr: None,
        ipv4: &[[10, 0, 0, 1].into()][..],
        ipv6: &[][..],
    };
    common::digests(pass, &input)
}

/// A valid advertisement of somebody else, changed before the checksum is made.
fn packet(change: impl FnOnce(&mut [u8; LEN])) -> [u8; LEN] {
    let digest = digests("pass").sign(&THEIRS);
    let mut bytes = Advertisement {
        digest,
        ..theirs(1, 100, 3)
    }
    .emit();
    change(&mut bytes);
    (bytes[6], bytes[7]) = (0, 0);
    let sum = checksum(&bytes);
    bytes[6..8].copy_from_slice(&sum.to_be_bytes());
    bytes
}

fn receive(ttl: u8, payload: &[u8]) -> Result<Advertisement, Discard> {
    Received::check(ttl, payload)?.authenticate(&digests("pass"), &OURS)
}

#[test]
fn the_constants_are_those_of_the_protocol() {
    assert_eq!((PROTOCOL, TTL, TOS), (112, 255, 0x10));
    assert_eq!(GROUP_IPV4.to_string(), "224.0.0.18");
    assert_eq!(GROUP_IPV6.to_string(), "ff02::12");
    assert_eq!((LEN, COUNTER_LEN, DIGEST_LEN), (36, 8, 20));
    assert_eq!(virtual_mac(0x2a), [0, 0, 0x5e, 0, 1, 0x2a]);
}

#[test]
fn every_field_has_its_place() {
    let bytes = Advertisement {
        vhid: 0x11,
        advskew: 0x22,
        demote: 0x33,
        advbase: 0x44,
        counter: [0x55; 8],
        digest: [0x66; 20],
    }
    .emit();
    assert_eq!(bytes[..6], [0x21, 0x11, 0x22, 7, 0x33, 0x44]);
    assert_eq!(bytes[8..16], [0x55; 8]);
    assert_eq!(bytes[16..], [0x66; 20]);
}

#[test]
fn a_valid_advertisement_is_accepted() {
    let advertisement = receive(255, &packet(|_| ())).unwrap();
    assert_eq!(advertisement.vhid, 1);
    assert_eq!(advertisement.advbase, 1);
    assert_eq!(advertisement.advskew, 100);
    assert_eq!(advertisement.demote, 3);
    assert_eq!(advertisement.counter, THEIRS);
}

#[test]
fn only_the_first_36_bytes_count() {
    let mut long = packet(|_| ()).to_vec();
    long.extend([0xff; 1000]);
    assert!(receive(255, &long).is_ok());
}

#[test]
fn a_ttl_other_than_255_is_discarded() {
    for ttl in 0..255 {
        assert_eq!(receive(ttl, &packet(|_| ())), Err(Discard::BadTtl));
    }
}

#[test]
fn a_peer_may_be_as_far_away_as_is_allowed() {
    let bytes = packet(|_| ());
    for (ttl, min_ttl) in [(0, 1), (63, 64), (254, 255)] {
        let result = Received::check_beyond_link(ttl, min_ttl, &bytes);
        assert_eq!(result.err(), Some(Discard::BadTtl), "{ttl} < {min_ttl}");
    }
    for (ttl, min_ttl) in [(0, 0), (1, 1), (64, 64), (65, 64), (255, 64), (255, 255)] {
        let received = Received::check_beyond_link(ttl, min_ttl, &bytes).unwrap();
        assert_eq!(received.vhid(), 1, "{ttl} >= {min_ttl}");
    }
}

#[test]
fn a_peer_far_away_is_checked_like_one_on_the_link() {
    let check = |payload| Received::check_beyond_link(64, 64, payload).err();
    let bytes = packet(|_| ());
    let mut wrong_sum = bytes;
    wrong_sum[35] ^= 1;
    assert_eq!(check(&bytes[..LEN - 1]), Some(Discard::BadLength));
    assert_eq!(check(&wrong_sum), Some(Discard::BadChecksum));
    // the TTL is still the first thing that is asked
    let too_far = Received::check_beyond_link(63, 64, &wrong_sum[..1]);
    assert_eq!(too_far.err(), Some(Discard::BadTtl));
    assert_eq!(check(&bytes), None);
}

#[test]
fn the_vhid_can_be_seen_before_anything_is_checked() {
    let mut bytes = packet(|bytes| bytes[1] = 0xab);
    assert_eq!(Received::peek_vhid(&bytes), Some(0xab));
    // whatever else is wrong
    bytes[0] = 0xff;
    bytes[35] ^= 1;
    assert_eq!(Received::peek_vhid(&bytes), Some(0xab));
    assert_eq!(Received::peek_vhid(&bytes[..2]), Some(0xab));
    assert_eq!(Received::peek_vhid(&bytes[..1]), None);
    assert_eq!(Received::peek_vhid(&[]), None);
}

#[test]
fn a_short_packet_is_discarded() {
    let bytes = packet(|_| ());
    for len in 0..LEN {
        assert_eq!(receive(255, &bytes[..len]), Err(Discard::BadLength));
    }
}

#[test]
fn a_flipped_bit_is_discarded() {
    for bit in 0..LEN * 8 {
        let mut bytes = packet(|_| ());
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(receive(255, &bytes), Err(Discard::BadChecksum));
    }
}

#[test]
fn a_version_other_than_2_is_discarded() {
    for version in (0..16).filter(|version| *version != 2) {
        let bytes = packet(|bytes| bytes[0] = (version << 4) | 1);
        assert_eq!(receive(255, &bytes), Err(Discard::BadVersion));
    }
}

#[test]
fn type_and_authlen_are_not_checked() {
    for value in 0..=255 {
        assert!(receive(255, &packet(|bytes| bytes[0] = 0x20 | value & 0x0f)).is_ok());
        assert!(receive(255, &packet(|bytes| bytes[3] = value)).is_ok());
    }
}

#[test]
fn demote_advbase_and_advskew_are_not_authenticated() {
    // a weakness of the protocol that others rely on
    for (offset, value) in [(2, 255), (4, 255), (5, 255)] {
        assert!(receive(255, &packet(|bytes| bytes[offset] = value)).is_ok());
    }
}

#[test]
fn counter_digest_and_vhid_are_authenticated() {
    for offset in 8..LEN {
        let bytes = packet(|bytes| bytes[offset] ^= 0x10);
        assert_eq!(receive(255, &bytes), Err(Discard::BadDigest));
    }
    let bytes = packet(|_| ());
    let received = Received::check(255, &bytes).unwrap();
    let theirs = received.authenticate(&digests("another"), &OURS);
    assert_eq!(theirs, Err(Discard::BadDigest));
}

#[test]
fn our_own_counter_means_an_echo() {
    let bytes = packet(|_| ());
    let received = Received::check(255, &bytes).unwrap();
    let echo = received.authenticate(&digests("pass"), &THEIRS);
    assert_eq!(echo, Err(Discard::Echo));
}

#[test]
fn the_first_failing_check_is_the_one_counted() {
    // wrong in every respect, then set right from the first check to the last
    let all_wrong = packet(|bytes| {
        bytes[0] = 0x31;
        bytes[8..16].copy_from_slice(&OURS);
    });
    let mut wrong_sum = all_wrong;
    wrong_sum[35] ^= 1;
    assert_eq!(receive(254, &wrong_sum[..35]), Err(Discard::BadTtl));
    assert_eq!(receive(255, &wrong_sum[..35]), Err(Discard::BadLength));
    assert_eq!(receive(255, &wrong_sum), Err(Discard::BadChecksum));
    assert_eq!(receive(255, &all_wrong), Err(Discard::BadVersion));

    let own = packet(|bytes| bytes[8..16].copy_from_slice(&OURS));
    assert_eq!(receive(255, &own), Err(Discard::BadDigest));
    let own = packet(|bytes| {
        bytes[8..16].copy_from_slice(&OURS);
        bytes[16..].copy_from_slice(&digests("pass").sign(&OURS));
    });
    assert_eq!(receive(255, &own), Err(Discard::Echo));
}

#[test]
fn discards_are_listed_in_the_order_of_the_checks() {
    use Discard::*;
    let order = [
        NotAllowed,
        BadInterface,
        BadTtl,
        BadLength,
        BadChecksum,
        BadVhid,
        BadVersion,
        BadDigest,
        Echo,
    ];
    assert!(order.is_sorted());
}

#[test]
fn vrrp_is_not_mistaken_for_carp() {
    // VRRPv2 (RFC 3768): the same first byte, one address, no authentication
    let mut vrrp = [
        0x21, 1, 100, 1, 0, 1, 0, 0, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    let sum = checksum(&vrrp);
    vrrp[6..8].copy_from_slice(&sum.to_be_bytes());
    assert_eq!(receive(255, &vrrp), Err(Discard::BadLength));

    // with five addresses it is long enough, and its checksum covers more
    let mut vrrp = [0; 36];
    vrrp[..6].copy_from_slice(&[0x21, 1, 100, 5, 0, 1]);
    vrrp[8..28].copy_from_slice(&[10; 20]);
    let sum = checksum(&vrrp);
    vrrp[6..8].copy_from_slice(&sum.to_be_bytes());
    assert_eq!(receive(255, &vrrp), Err(Discard::BadDigest));
}

#[test]
fn only_both_values_together_bow_out() {
    assert!(theirs(255, 255, 0).is_bow_out());
    assert!(!theirs(255, 254, 0).is_bow_out());
    assert!(!theirs(254, 255, 0).is_bow_out());
}

#[test]
fn the_checksum_is_that_of_rfc_1071() {
    // the example of its section 3, whose sum is 0xddf2
    let example = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
    assert_eq!(checksum(&example), !0xddf2);
    assert_eq!(checksum(&[]), 0xffff);
    assert_eq!(checksum(&[0x12]), !0x1200);
    assert_eq!(checksum(&[0xff; 65535]), 0x00ff);
}

proptest! {
    #[test]
    fn what_is_emitted_comes_back(
        vhid: u8,
        advskew: u8,
        demote: u8,
        advbase: u8,
        counter: [u8; 8],
    ) {
        prop_assume!(counter != OURS);
        let input = Input { vhid, lladdr: None, ipv4: &[][..], ipv6: &[][..] };
        let digests: Digests<Hmac> = common::digests("pass", &input);
        let sent = Advertisement {
            vhid, advskew, demote, advbase, counter, digest: digests.sign(&counter),
        };
        let bytes = sent.emit();
        let received = Received::check(TTL, &bytes).unwrap();
        prop_assert_eq!(received.vhid(), vhid);
        prop_assert_eq!(received.authenticate(&digests, &OURS), Ok(sent));
    }

    #[test]
    fn any_bytes_are_taken_in_stride(
        ttl: u8,
        mut bytes in prop::collection::vec(any::<u8>(), 0..80),
        right_sum: bool,
    ) {
        if right_sum && bytes.len() >= LEN {
            (bytes[6], bytes[7]) = (0, 0);
            let sum = checksum(&bytes[..LEN]);
            bytes[6..8].copy_from_slice(&sum.to_be_bytes());
        }
        prop_assert!(receive(ttl, &bytes).is_err());
        prop_assert_eq!(
            Received::check(TTL, &bytes).is_ok(),
            bytes.len() >= LEN && checksum(&bytes[..LEN]) == 0
        );
        prop_assert_eq!(
            Received::check_beyond_link(ttl, 64, &bytes).is_ok(),
            ttl >= 64 && Received::check(TTL, &bytes).is_ok()
        );
        prop_assert_eq!(Received::peek_vhid(&bytes), bytes.get(1).copied());
    }

    #[test]
    fn the_checksum_completes_any_bytes(mut bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        if bytes.len() % 2 == 1 {
            bytes.pop();
        }
        let sum = checksum(&bytes);
        bytes.extend(sum.to_be_bytes());
        prop_assert_eq!(checksum(&bytes), 0);
    }
}
