// SPDX-License-Identifier: GPL-2.0

//! Frames that overtake each other.

use crate::common::{at, time, HOUR, MONOTONIC, MS, NOW, SECOND, YEAR};
use crate::random::Random;
use carp_proto::auth::freshness::Freshness;
use carp_proto::auth::mode::Outcome;
use carp_proto::auth::replay::{Replay, RING};
use carp_proto::auth::sender::Sender;
use carp_proto::auth::senders::History;
use carp_proto::auth::sequence::Sequence;
use std::collections::BTreeSet;

type Ring = Replay<Vec<Sequence>>;

fn ring(len: usize) -> Ring {
    Replay::new(vec![Sequence::default(); len])
}

fn accept(ring: &mut Ring, number: Sequence, clock: Sequence) -> Result<(), Outcome> {
    accept_by(ring, number, time(300), clock)
}

fn accept_by(
    ring: &mut Ring,
    number: Sequence,
    freshness: Freshness,
    clock: Sequence,
) -> Result<(), Outcome> {
    ring.judge(number, freshness, clock)?;
    ring.take(number, freshness, clock);
    let again = ring.judge(number, freshness, clock);
    assert!(again.is_err(), "what was believed is not believed again");
    Ok(())
}

/// The rule, in other words: of all numbers that were ever believed the greatest `len` are
/// known, and what is not above the next one is too old.
#[derive(Default)]
struct Rule(BTreeSet<u64>);

impl Rule {
    fn accept(&mut self, number: u64, len: usize) -> Result<(), Outcome> {
        let floor = self.0.iter().rev().nth(len).copied();
        if floor.is_some_and(|floor| number <= floor) {
            return Err(Outcome::Stale);
        }
        match self.0.insert(number) {
            true => Ok(()),
            false => Err(Outcome::Replayed),
        }
    }
}

#[test]
fn what_is_believed_is_what_the_rule_says() {
    for len in [0, 1, 2, 3, 7, 64, RING] {
        for seed in 0..8 {
            let mut random = Random::new(seed);
            let (mut ring, mut rule) = (ring(len), Rule::default());
            let base = at(NOW).to_bits();
            let spread = 2 * len as u64 + 3;
            for step in 0..5000_u64 {
                // Mostly onward, by irregular steps, and back by less or more than the ring.
                let number = step * 5 + random.up_to(7) * random.up_to(spread);
                let number = base + (number << random.up_to(1));
                let found = accept(&mut ring, Sequence::from_bits(number), at(NOW));
                assert_eq!(found, rule.accept(number, len), "{len} {seed} {step}");
            }
            if len > 0 {
                let highest = rule.0.last().copied().map(Sequence::from_bits);
                assert_eq!(ring.highest(), highest);
            }
        }
    }
}

#[test]
fn a_burst_in_one_moment_of_the_clock_is_believed_whole() {
    let mut sender = Sender::new();
    let mut ring = ring(RING);
    let mut random = Random::new(1);
    // 200,000 frames while the clock stands still: the counter overflows three times.
    let mut sent: Vec<_> = (0..200_000)
        .map(|_| sender.next(time(5), at(NOW)))
        .collect();
    // Any order within a group of 1,024, from group to group in order.
    for group in sent.chunks_mut(RING) {
        for i in (1..group.len()).rev() {
            group.swap(i, random.up_to(i as u64) as usize);
        }
    }
    for number in &sent {
        assert_eq!(accept_by(&mut ring, *number, time(5), at(NOW)), Ok(()));
    }
    for number in sent {
        assert!(ring.judge(number, time(5), at(NOW)).is_err());
    }
}

#[test]
fn a_frame_may_be_overtaken_by_1023_others_whatever_lies_between_them() {
    for step in [1, 1 << 16, 1 << 40] {
        let number = |i: u64| Sequence::from_bits(at(NOW).to_bits() + i * step);
        let all = |last: u64| {
            let mut ring = ring(RING);
            assert_eq!(accept_by(&mut ring, number(0), MONOTONIC, at(NOW)), Ok(()));
            for i in 2..=last {
                assert_eq!(accept_by(&mut ring, number(i), MONOTONIC, at(NOW)), Ok(()));
            }
            accept_by(&mut ring, number(1), MONOTONIC, at(NOW))
        };
        assert_eq!(all(1024), Ok(()));
        assert_eq!(
            all(1025),
            Ok(()),
            "the first one has left, number 1 takes its place"
        );
        assert_eq!(all(1026), Err(Outcome::Stale));
    }
}

#[test]
fn without_memory_frames_must_come_in_their_order() {
    let mut ring = Replay::<Vec<Sequence>>::default();
    let mut hear = |ms| accept(&mut ring, at(NOW + ms * MS), at(NOW));
    assert_eq!(hear(5), Ok(()));
    assert_eq!(hear(5), Err(Outcome::Stale));
    assert_eq!(hear(4), Err(Outcome::Stale));
    assert_eq!(hear(6), Ok(()));
    assert_eq!(ring.highest(), Some(at(NOW + 6 * MS)));
}

#[test]
fn nothing_up_to_the_floor_is_believed() {
    let mut ring = ring(8);
    ring.begin(Some(at(NOW)));
    assert_eq!(accept(&mut ring, at(NOW), at(NOW)), Err(Outcome::Stale));
    assert_eq!(
        accept(&mut ring, at(NOW - MS), at(NOW)),
        Err(Outcome::Stale)
    );
    assert_eq!(accept(&mut ring, at(NOW + 2 * MS), at(NOW)), Ok(()));
    assert_eq!(accept(&mut ring, at(NOW + MS), at(NOW)), Ok(()));
    ring.begin(None);
    assert_eq!(ring.highest(), None);
    assert_eq!(accept(&mut ring, at(NOW - MS), at(NOW)), Ok(()));
}

#[test]
fn what_is_beyond_the_window_expires_and_no_more() {
    let mut ring = ring(8);
    let ahead = NOW + 4 * SECOND;
    for ms in 0..6 {
        assert_eq!(
            accept_by(&mut ring, at(ahead + ms * MS), time(5), at(NOW)),
            Ok(())
        );
    }
    // The clock is set back; the first three are still within the window.
    let clock = at(ahead + 2 * MS + MS / 2 - 5 * SECOND);
    for ms in 0..3 {
        let outcome = ring.judge(at(ahead + ms * MS), time(5), clock);
        assert_eq!(outcome, Err(Outcome::Replayed));
    }
    assert_eq!(accept_by(&mut ring, at(NOW), time(5), clock), Ok(()));
    assert_eq!(ring.highest(), Some(at(ahead + 2 * MS)));
    // By an hour: all of it.
    let before = NOW - HOUR;
    assert_eq!(
        accept_by(&mut ring, at(before), time(5), at(before)),
        Ok(())
    );
    assert_eq!(ring.highest(), Some(at(before)));
    // and forward again, where those of then are known no more
    assert_eq!(accept_by(&mut ring, at(NOW), time(5), at(NOW)), Ok(()));
}

#[test]
fn a_floor_that_is_beyond_the_window_expires() {
    let mut ring = ring(2);
    for ms in 0..9 {
        assert_eq!(
            accept_by(&mut ring, at(NOW + ms * MS), time(5), at(NOW)),
            Ok(())
        );
    }
    let back = NOW - HOUR;
    assert_eq!(ring.judge(at(back), time(5), at(back)), Ok(()));
    assert_eq!(accept_by(&mut ring, at(back), time(5), at(back)), Ok(()));
    assert_eq!(
        accept_by(&mut ring, at(back - MS), time(5), at(back)),
        Ok(())
    );
    let replayed = accept_by(&mut ring, at(back), time(5), at(back));
    assert_eq!(replayed, Err(Outcome::Replayed));
}

#[test]
fn numbers_begin_again_in_2106() {
    let end = (1 << 32) * SECOND;
    for freshness in [time(300), MONOTONIC] {
        let mut ring = ring(RING);
        let mut rule = BTreeSet::new();
        let mut random = Random::new(7);
        for step in 0..4000_u64 {
            let unix = end - 2 * SECOND + step * MS;
            let number = at(unix + random.up_to(20) * MS);
            let found = accept_by(&mut ring, number, freshness, at(unix));
            // in order from 2106 on
            let key = number.to_bits().wrapping_add(1 << 40);
            assert_eq!(found.is_ok(), rule.insert(key), "{step}");
        }
    }
}

#[test]
fn numbers_that_are_years_apart_are_told_apart() {
    let mut ring = ring(4);
    let mut hear = |years: u64| accept_by(&mut ring, at(years * YEAR), MONOTONIC, at(NOW));
    assert_eq!(hear(10), Ok(()));
    assert_eq!(hear(40), Ok(()));
    assert_eq!(hear(0), Ok(()));
    // More than 68 years above the floor, which is 34 years below the first one.
    assert_eq!(hear(50), Err(Outcome::Stale));
    for years in [0, 10, 40] {
        assert_eq!(hear(years), Err(Outcome::Replayed));
    }
    assert_eq!(hear(43), Ok(()));
}
