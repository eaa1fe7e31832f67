// SPDX-License-Identifier: GPL-2.0

//! More senders than slots.

use crate::common::{
    at, hear, host, receiver, signed, time, Host, HOUR, MONOTONIC, MS, NOW, SECOND, YEAR,
};
use crate::random::Random;
use carp_proto::auth::mode::Outcome;
use std::collections::{HashMap, HashSet};

#[test]
fn nothing_is_believed_twice_however_many_senders_there_are() {
    for freshness in [time(5), MONOTONIC] {
        for seed in 0..6 {
            let mut random = Random::new(seed);
            let mut receiver = receiver(freshness, NOW);
            let mut believed = HashSet::new();
            let mut highest = HashMap::new();
            let mut unix = NOW;
            let (mut good, mut refused) = (0, 0);
            for _ in 0..4000 {
                unix += random.up_to(400) * MS;
                let sender = random.up_to(13) as u8;
                // Their clocks differ by up to two seconds; some packets are recordings.
                let clock = unix + u64::from(sender) * 150 * MS;
                let age = match random.chance(300) {
                    true => random.up_to(8) * SECOND,
                    false => 0,
                };
                let number = at((clock - age) / SECOND * SECOND);
                let packet = signed(host(sender), number);
                let outcome = hear(&mut receiver, host(sender), &packet, unix);
                let last = highest.entry(sender).or_insert(number);
                if outcome == Outcome::Good {
                    good += 1;
                    assert!(believed.insert((sender, number.to_bits())), "{seed}");
                    assert!(number == *last || number.is_after(*last), "{seed}");
                    *last = number;
                } else {
                    refused += 1;
                }
            }
            assert!(good > 100 && refused > 100, "{good} {refused}");
        }
    }
}

#[test]
fn more_senders_than_slots_are_all_believed_if_their_clocks_agree() {
    let mut receiver = receiver(time(5), NOW);
    let mut hosts: Vec<_> = (0..50).map(|i| Host::new(host(i), time(5))).collect();
    for round in 1..=10 {
        for (i, sender) in (0..).zip(&mut hosts) {
            let unix = NOW + round * SECOND + i * 10 * MS;
            // Their clocks differ by less than what lies between two of them.
            let packet = sender.says(unix - (i % 7) * MS);
            let outcome = hear(&mut receiver, sender.address, &packet, unix);
            assert_eq!(outcome, Outcome::Good, "{round} {i}");
        }
    }
}

#[test]
fn eight_senders_have_a_mark_each_whatever_their_clocks() {
    let mut receiver = receiver(MONOTONIC, NOW);
    let mut hosts: Vec<_> = (0..8).map(|i| Host::new(host(i), MONOTONIC)).collect();
    for round in 1..=10 {
        for (i, sender) in (0..).zip(&mut hosts) {
            let unix = NOW - i * 7 * YEAR + round * SECOND;
            let packet = sender.says(unix);
            let outcome = hear(&mut receiver, sender.address, &packet, NOW);
            assert_eq!(outcome, Outcome::Good, "{round} {i}");
            let again = hear(&mut receiver, sender.address, &packet, NOW);
            assert_eq!(again, Outcome::Replayed);
        }
    }
}

#[test]
fn a_slot_that_is_given_up_leaves_the_floor_behind() {
    for freshness in [time(5), MONOTONIC] {
        let mut receiver = receiver(freshness, NOW);
        let recorded: Vec<_> = (1..=8)
            .map(|i| signed(host(i as u8), at(NOW + i * 100 * MS)))
            .collect();
        let unix = NOW + SECOND;
        for (i, packet) in (1..).zip(&recorded) {
            assert_eq!(hear(&mut receiver, host(i), packet, unix), Outcome::Good);
        }
        // The ninth takes the slot of the first one, whose mark is the lowest.
        let ninth = signed(host(9), at(unix));
        assert_eq!(hear(&mut receiver, host(9), &ninth, unix), Outcome::Good);
        let replayed = hear(&mut receiver, host(1), &recorded[0], unix);
        assert_eq!(replayed, Outcome::Stale);
        for (i, packet) in (2..).zip(&recorded[1..]) {
            assert_eq!(
                hear(&mut receiver, host(i), packet, unix),
                Outcome::Replayed
            );
        }
        // It comes back with anything newer.
        let newer = signed(host(1), at(NOW + 150 * MS));
        assert_eq!(hear(&mut receiver, host(1), &newer, unix), Outcome::Good);
        assert_eq!(hear(&mut receiver, host(1), &newer, unix), Outcome::Stale);
        // That was lower than all slots, which stay; so it was forgotten at once, and others
        // without a slot must be above it.
        let tenth = signed(host(10), at(NOW + 150 * MS));
        assert_eq!(hear(&mut receiver, host(10), &tenth, unix), Outcome::Stale);
        let tenth = signed(host(10), at(NOW + 160 * MS));
        assert_eq!(hear(&mut receiver, host(10), &tenth, unix), Outcome::Good);
        assert_eq!(
            hear(&mut receiver, host(2), &recorded[1], unix),
            Outcome::Replayed
        );
    }
}

#[test]
fn strangers_take_no_slot() {
    let mut receiver = receiver(time(5), NOW);
    let good = signed(host(1), at(NOW + MS));
    assert_eq!(hear(&mut receiver, host(1), &good, NOW + MS), Outcome::Good);
    for i in 2..=255 {
        // Recorded of host 1, sent as if by others.
        let packet = signed(host(1), at(NOW + u64::from(i) * MS));
        let outcome = hear(&mut receiver, host(i), &packet, NOW + SECOND);
        assert_eq!(outcome, Outcome::BadHmac);
    }
    let outcome = hear(&mut receiver, host(1), &good, NOW + SECOND);
    assert_eq!(outcome, Outcome::Replayed, "it has its slot, and no floor");
}

#[test]
fn marks_that_have_expired_give_their_slots_up_first_and_leave_nothing() {
    let mut receiver = receiver(time(5), NOW);
    for i in 0..8 {
        let packet = signed(host(i), at(NOW + MS));
        assert_eq!(
            hear(&mut receiver, host(i), &packet, NOW + MS),
            Outcome::Good
        );
    }
    // The clock is set back by an hour: others take the slots, and leave no floor. Those that
    // had them before are believed as long as they are above the others.
    let back = NOW - HOUR;
    for i in (100..108).chain(0..8) {
        let packet = signed(host(i), at(back + u64::from(i) * MS));
        let outcome = hear(&mut receiver, host(i), &packet, back + SECOND);
        assert_eq!(outcome, Outcome::Good, "{i}");
    }
    let packet = signed(host(200), at(back + 7 * MS));
    let outcome = hear(&mut receiver, host(200), &packet, back + SECOND);
    assert_eq!(outcome, Outcome::Stale, "that is the floor now");
}

#[test]
fn a_receiver_that_starts_anew_has_forgotten() {
    let mut by_time = receiver(time(5), NOW);
    let good = signed(host(1), at(NOW + SECOND));
    assert_eq!(
        hear(&mut by_time, host(1), &good, NOW + SECOND),
        Outcome::Good
    );
    by_time = receiver(time(5), NOW + SECOND);
    assert_eq!(
        hear(&mut by_time, host(1), &good, NOW + SECOND),
        Outcome::Stale
    );
    let next = signed(host(1), at(NOW + SECOND + MS));
    assert_eq!(
        hear(&mut by_time, host(1), &next, NOW + SECOND),
        Outcome::Good
    );

    let mut by_growth = receiver(MONOTONIC, NOW);
    let ahead = signed(host(1), at(NOW + YEAR));
    assert_eq!(hear(&mut by_growth, host(1), &ahead, NOW), Outcome::Good);
    let right = signed(host(1), at(NOW));
    assert_eq!(
        hear(&mut by_growth, host(1), &right, NOW),
        Outcome::Replayed
    );
    by_growth = receiver(MONOTONIC, NOW);
    assert_eq!(hear(&mut by_growth, host(1), &right, NOW), Outcome::Good);
}
