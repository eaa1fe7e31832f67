// SPDX-License-Identifier: GPL-2.0

//! The two steps, and what is told of clocks.

use crate::common::{
    advertisement, at, hear, hear_all, host, key, keys, receiver, signed, signed_by, time, Host,
    Marks, A, B, MONOTONIC, MS, NOW, SECOND,
};
use carp_proto::auth::mac::{Covered, Mac};
use carp_proto::auth::mode::Outcome;
use carp_proto::auth::receiver::Notice;
use carp_proto::carp::packet::{Received, TTL};
use std::cell::Cell;

/// A key that counts.
struct Counting(Cell<u32>);

impl Mac for Counting {
    fn hmac(&self, pieces: &[&[u8]]) -> [u8; 32] {
        self.0.set(self.0.get() + 1);
        key(1).hmac(pieces)
    }
}

#[test]
fn recordings_cost_no_hmac() {
    let mut keys = carp_proto::auth::key::Keys::default();
    let id = crate::common::id(1);
    keys.insert(id, Counting(Cell::new(0))).ok().unwrap();
    let mut receiver = receiver(time(5), NOW);
    let mut hear = |packet: &[u8], unix| {
        let received = Received::check(TTL, packet).unwrap();
        let covered = Covered::Advertisement(received.bytes());
        let outcome = receiver.receive(&keys, A, received.trailer(), covered, at(unix));
        (outcome.0, keys.get(id).unwrap().0.take())
    };
    let good = signed(A, at(NOW + SECOND));
    assert_eq!(hear(&good, NOW + SECOND), (Outcome::Good, 1));
    assert_eq!(hear(&good, NOW + SECOND), (Outcome::Replayed, 0));
    assert_eq!(hear(&good, NOW + 7 * SECOND), (Outcome::Stale, 0));
    assert_eq!(hear(&good[..36], NOW + SECOND), (Outcome::Missing, 0));
    assert_eq!(hear(&good[..40], NOW + SECOND), (Outcome::Malformed, 0));
    let other = signed_by(2, A, at(NOW + 2 * SECOND), &advertisement(0));
    assert_eq!(hear(&other, NOW + 2 * SECOND), (Outcome::UnknownKey, 0));
    let mut forged = signed(A, at(NOW + 2 * SECOND));
    forged.swap(62, 60);
    let _ = hear(&forged, NOW + 2 * SECOND);
    let by_other = signed(B, at(NOW + 2 * SECOND));
    assert_eq!(hear(&by_other, NOW + 2 * SECOND), (Outcome::BadHmac, 1));
}

#[test]
fn of_two_packets_that_are_verified_at_once_one_is_believed() {
    let mut receiver = receiver(time(5), NOW);
    let packet = signed(A, at(NOW + MS));
    let verify = |receiver: &Marks| {
        let received = Received::check(TTL, &packet).unwrap();
        let unverified = receiver
            .examine(&keys(), A, received.trailer(), at(NOW))
            .unwrap();
        assert_eq!(unverified.key().get(), 1);
        let covered = Covered::Advertisement(received.bytes());
        unverified.verify(&key(1), covered).unwrap()
    };
    let both = [verify(&receiver), verify(&receiver)];
    let accepted = both.map(|verified| receiver.accept(verified, at(NOW)));
    assert_eq!(accepted, [Ok(None), Err(Outcome::Replayed)]);
    let mut late = crate::common::receiver(time(5), NOW);
    let verified = verify(&late);
    let outcome = late.accept(verified, at(NOW + 6 * SECOND));
    assert_eq!(outcome, Err(Outcome::Stale), "the HMAC took very long");
}

#[test]
fn keys_are_changed_without_anything_refused() {
    let mut keys = keys();
    let mut receiver = receiver(time(5), NOW);
    let mut unix = NOW;
    let mut hear = |keys: &carp_proto::auth::key::Keys<_>, by| {
        unix += SECOND;
        let packet = signed_by(by, A, at(unix), &advertisement(0));
        let received = Received::check(TTL, &packet).unwrap();
        let covered = Covered::Advertisement(received.bytes());
        receiver
            .receive(keys, A, received.trailer(), covered, at(unix))
            .0
    };
    let new = crate::common::id(2);
    assert_eq!(hear(&keys, 1), Outcome::Good);
    assert_eq!(keys.insert(new, key(2)), Ok(None));
    for by in [1, 2, 1, 2] {
        assert_eq!(hear(&keys, by), Outcome::Good, "hosts change one by one");
    }
    keys.activate(new).unwrap();
    keys.remove(crate::common::id(1)).unwrap();
    assert_eq!(hear(&keys, 2), Outcome::Good);
    assert_eq!(hear(&keys, 1), Outcome::UnknownKey);
}

#[test]
fn a_clock_that_is_half_a_window_away_is_told_of_once_until_it_is_better() {
    let mut receiver = receiver(time(10), NOW);
    let mut unix = NOW + 100 * SECOND;
    let mut says = |behind: i64| {
        unix += 20 * SECOND;
        let packet = signed(A, at(unix.wrapping_add_signed(-behind)));
        let (outcome, notice) = hear_all(&mut receiver, A, &packet, unix);
        assert_eq!(outcome, Outcome::Good);
        notice
    };
    let ms = MS as i64;
    assert_eq!(says(0), None);
    assert_eq!(says(4900 * ms), None);
    assert_eq!(says(-4900 * ms), None);
    assert_eq!(says(-5000 * ms), Some(Notice::Apart(5000 * ms)));
    for away in [-5000, -9000, -4000, -2500] {
        assert_eq!(says(away * ms), None);
    }
    assert_eq!(says(-2400 * ms), Some(Notice::Together));
    assert_eq!(says(-2600 * ms), None);
    assert_eq!(says(-6000 * ms), Some(Notice::Apart(6000 * ms)));
}

#[test]
fn a_clock_that_is_behind_is_told_of_with_its_sign_and_for_each_peer() {
    let mut receiver = receiver(time(4), NOW);
    let unix = NOW + 100 * SECOND;
    for i in 1..=2 {
        let packet = signed(host(i), at(unix - 3 * SECOND));
        let notice = hear_all(&mut receiver, host(i), &packet, unix).1;
        assert_eq!(notice, Some(Notice::Apart(-3 * SECOND as i64)));
    }
    let packet = signed(host(3), at(unix));
    assert_eq!(hear_all(&mut receiver, host(3), &packet, unix).1, None);
}

#[test]
fn without_a_common_clock_nothing_is_told() {
    let mut receiver = receiver(MONOTONIC, NOW);
    let packet = signed(A, at(NOW - 3 * SECOND));
    assert_eq!(
        hear_all(&mut receiver, A, &packet, NOW),
        (Outcome::Good, None)
    );
}

#[test]
fn the_rules_can_be_changed_on_the_way() {
    let mut receiver = receiver(time(5), NOW);
    let mut host = Host::new(A, time(5));
    let first = host.says(NOW + SECOND);
    assert_eq!(hear(&mut receiver, A, &first, NOW + SECOND), Outcome::Good);
    receiver.set_freshness(MONOTONIC);
    assert_eq!(receiver.freshness(), MONOTONIC);
    let unix = NOW + 100 * SECOND;
    assert_eq!(hear(&mut receiver, A, &first, unix), Outcome::Replayed);
    let late = host.says(NOW + 2 * SECOND);
    assert_eq!(hear(&mut receiver, A, &late, unix), Outcome::Good);
    receiver.set_freshness(time(5));
    let later = host.says(NOW + 3 * SECOND);
    assert_eq!(hear(&mut receiver, A, &later, unix), Outcome::Stale);
}
