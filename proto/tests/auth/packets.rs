// SPDX-License-Identifier: GPL-2.0

//! Advertisements that somebody has changed, or sends again.

use crate::common::{
    advertisement, at, hear, host, key, keys, receiver, signed, signed_by, time, A, B, HOUR,
    MONOTONIC, MS, NOW, SECOND, YEAR,
};
use carp_proto::auth::mode::{Mode, Outcome};
use carp_proto::auth::sequence::Sequence;
use carp_proto::auth::trailer::sign_advertisement;
use carp_proto::carp::packet::{checksum, Received, TTL};

#[test]
fn every_single_bit_counts() {
    for freshness in [time(300), MONOTONIC] {
        let good = signed(A, at(NOW + MS));
        for bit in 0..good.len() * 8 {
            let mut receiver = receiver(freshness, NOW);
            let mut changed = good;
            changed[bit / 8] ^= 0x80 >> (bit % 8);
            if Received::check(TTL, &changed).is_err() {
                assert!(bit < 36 * 8, "in the 36 bytes, and the checksum says so");
                // Who changes them on purpose corrects that.
                changed[6..8].fill(0);
                let sum = checksum(&changed[..36]);
                changed[6..8].copy_from_slice(&sum.to_be_bytes());
                if changed == good {
                    assert_eq!(bit / 16, 3, "the checksum itself");
                    continue;
                }
            }
            let outcome = hear(&mut receiver, A, &changed, NOW + MS);
            assert!(!Mode::Enforce.believes(outcome), "bit {bit}");
            assert!(!Mode::Permissive.believes(outcome), "bit {bit}");
            // The mark has not moved.
            assert_eq!(hear(&mut receiver, A, &good, NOW + MS), Outcome::Good);
        }
    }
}

#[test]
fn every_bit_of_a_trailer_counts_though_its_sum_be_corrected() {
    let good = signed(A, at(NOW + MS));
    for bit in (0..28 * 8).filter(|bit| !(16..32).contains(bit)) {
        let mut receiver = receiver(time(300), NOW);
        let mut changed = good;
        changed[36 + bit / 8] ^= 0x80 >> (bit % 8);
        changed[38..40].fill(0);
        let sum = checksum(&changed[36..]);
        changed[38..40].copy_from_slice(&sum.to_be_bytes());
        let bits = u64::from_be_bytes(changed[40..48].try_into().unwrap());
        let number = Sequence::from_bits(bits);
        let expected = match bit {
            0..8 => Outcome::Malformed,
            15 => Outcome::Malformed, // key 1 becomes 0
            8..16 => Outcome::UnknownKey,
            // Beyond the window, or before the receiver started.
            32..96 if time(300).is_stale(number, at(NOW + MS)) => Outcome::Stale,
            32..96 if !number.is_after(at(NOW)) => Outcome::Stale,
            _ => Outcome::BadHmac,
        };
        assert_eq!(
            hear(&mut receiver, A, &changed, NOW + MS),
            expected,
            "{bit}"
        );
    }
}

#[test]
fn nobody_is_believed_from_another_address() {
    for freshness in [time(5), MONOTONIC] {
        let mut receiver = receiver(freshness, NOW);
        let good = signed(A, at(NOW + MS));
        assert_eq!(hear(&mut receiver, B, &good, NOW + MS), Outcome::BadHmac);
        let ipv6 = "2001:db8::1".parse().unwrap();
        assert_eq!(hear(&mut receiver, ipv6, &good, NOW + MS), Outcome::BadHmac);
        assert_eq!(hear(&mut receiver, A, &good, NOW + MS), Outcome::Good);
    }
}

#[test]
fn a_demotion_cannot_be_raised_in_a_recorded_one() {
    let mut receiver = receiver(time(5), NOW);
    let good = signed(A, at(NOW + MS));
    let mut raised = good;
    raised[..36].copy_from_slice(&advertisement(240).emit());
    assert!(
        Received::check(TTL, &raised).is_ok(),
        "old receivers take it"
    );
    assert_eq!(hear(&mut receiver, A, &raised, NOW + MS), Outcome::BadHmac);
    // nor intervals, nor can it be made a farewell
    for (advbase, advskew) in [(1, 254), (0, 1), (255, 255)] {
        let mut said = advertisement(0);
        (said.advbase, said.advskew) = (advbase, advskew);
        raised[..36].copy_from_slice(&said.emit());
        assert_eq!(hear(&mut receiver, A, &raised, NOW + MS), Outcome::BadHmac);
    }
    // nor that of another virtual host
    let mut said = advertisement(0);
    said.vhid = 2;
    raised[..36].copy_from_slice(&said.emit());
    assert_eq!(hear(&mut receiver, A, &raised, NOW + MS), Outcome::BadHmac);
}

#[test]
fn without_a_trailer_and_with_the_wrong_key() {
    let mut receiver = receiver(time(5), NOW);
    let bare = advertisement(0).emit();
    assert_eq!(hear(&mut receiver, A, &bare, NOW), Outcome::Missing);
    let long = [&bare[..], b"?"].concat();
    assert_eq!(hear(&mut receiver, A, &long, NOW), Outcome::Malformed);
    let two = signed_by(2, A, at(NOW + MS), &advertisement(0));
    assert_eq!(hear(&mut receiver, A, &two, NOW), Outcome::UnknownKey);
    let (id, _) = keys().active().map(|(id, key)| (id, key.clone())).unwrap();
    let forged = sign_advertisement((id, &key(9)), A, at(NOW + MS), &bare);
    assert_eq!(hear(&mut receiver, A, &forged, NOW), Outcome::BadHmac);
}

#[test]
fn recordings_are_refused_at_once_and_after_the_window_and_for_ever() {
    for (freshness, late) in [(time(5), Outcome::Stale), (MONOTONIC, Outcome::Replayed)] {
        let mut receiver = receiver(freshness, NOW);
        let record: Vec<_> = (1..=20)
            .map(|i| {
                let unix = NOW + i * SECOND;
                let good = signed(A, at(unix));
                assert_eq!(hear(&mut receiver, A, &good, unix), Outcome::Good);
                for _ in 0..3 {
                    assert_eq!(hear(&mut receiver, A, &good, unix), Outcome::Replayed);
                }
                good
            })
            .collect();
        let end = NOW + 20 * SECOND;
        for (i, good) in (1..).zip(&record) {
            let expected = match i {
                1..15 => late,
                _ => Outcome::Replayed,
            };
            assert_eq!(hear(&mut receiver, A, good, end), expected, "{i}");
            for after in [HOUR, YEAR, 60 * YEAR] {
                assert_eq!(hear(&mut receiver, A, good, end + after), late, "{i}");
            }
        }
    }
}

#[test]
fn what_is_late_is_believed_within_the_window_and_in_its_order() {
    let mut receiver = receiver(time(5), NOW);
    let sent: Vec<_> = (1..=3).map(|i| signed(A, at(NOW + i * SECOND))).collect();
    let late = NOW + 6 * SECOND;
    assert_eq!(hear(&mut receiver, A, &sent[1], late), Outcome::Good);
    assert_eq!(hear(&mut receiver, A, &sent[0], late), Outcome::Replayed);
    assert_eq!(
        hear(&mut receiver, A, &sent[2], late + 2 * SECOND),
        Outcome::Good
    );
    let next = signed(A, at(NOW + 4 * SECOND));
    assert_eq!(
        hear(&mut receiver, A, &next, NOW + 9 * SECOND + MS),
        Outcome::Stale
    );
}

#[test]
fn a_receiver_that_was_restarted_does_not_believe_what_was_sent_before() {
    let record: Vec<_> = (0..10)
        .map(|i| signed(A, at(NOW - 4 * SECOND + i * 500 * MS)))
        .collect();
    let mut by_time = receiver(time(5), NOW);
    for (i, good) in record.iter().enumerate() {
        let outcome = hear(&mut by_time, A, good, NOW + SECOND);
        let expected = if i > 8 { Outcome::Good } else { Outcome::Stale };
        assert_eq!(outcome, expected, "{i}");
    }
    // Without a common clock nothing can be done, until the sender is heard again.
    let mut by_growth = receiver(MONOTONIC, NOW);
    let old = signed(A, at(NOW - YEAR));
    assert_eq!(hear(&mut by_growth, A, &old, NOW), Outcome::Good);
    assert_eq!(hear(&mut by_growth, A, &record[9], NOW), Outcome::Good);
    assert_eq!(hear(&mut by_growth, A, &record[8], NOW), Outcome::Replayed);
}

#[test]
fn a_forger_with_good_numbers_cannot_lock_anybody_out() {
    for freshness in [time(5), MONOTONIC] {
        let mut receiver = receiver(freshness, NOW);
        for number in 0..=255 {
            let ahead = at(NOW + 5 * SECOND);
            let good = signed(host(number), ahead);
            let mut forged = good;
            // the rest of the HMAC is right, and so is the sum
            forged[62] ^= 1;
            forged[38..40].fill(0);
            let sum = checksum(&forged[36..]);
            forged[38..40].copy_from_slice(&sum.to_be_bytes());
            let outcome = hear(&mut receiver, host(number), &forged, NOW);
            assert_eq!(outcome, Outcome::BadHmac);
        }
        for number in 0..8 {
            let good = signed(host(number), at(NOW + MS));
            assert_eq!(
                hear(&mut receiver, host(number), &good, NOW + MS),
                Outcome::Good
            );
        }
    }
}
