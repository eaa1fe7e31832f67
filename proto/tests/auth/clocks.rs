// SPDX-License-Identifier: GPL-2.0

//! A master and a backup whose clocks are set: as soon as they agree again, the next
//! advertisement is believed, so that one master is back within an interval.

use crate::common::{hear, receiver, time, Host, Marks, A, HOUR, MONOTONIC, MS, NOW, SECOND, YEAR};
use carp_proto::auth::freshness::Freshness;
use carp_proto::auth::mode::Outcome;

/// A master that advertises once a second, a backup that listens, and somebody who records.
struct Pair {
    master: Host,
    backup: Marks,
    /// True time since [`NOW`].
    elapsed: u64,
    /// How far their clocks are off.
    off: (i64, i64),
    record: Vec<(u64, crate::common::Signed)>,
}

impl Pair {
    fn new(freshness: Freshness) -> Self {
        Self {
            master: Host::new(A, freshness),
            backup: receiver(freshness, NOW),
            elapsed: 0,
            off: (0, 0),
            record: Vec::new(),
        }
    }

    fn clocks(&self) -> (u64, u64) {
        let clock = |off| (NOW + self.elapsed).wrapping_add_signed(off);
        (clock(self.off.0), clock(self.off.1))
    }

    /// The next advertisement.
    fn advertise(&mut self) -> Outcome {
        self.elapsed += SECOND;
        let (master, backup) = self.clocks();
        let packet = self.master.says(master);
        self.record.push((self.elapsed, packet));
        hear(&mut self.backup, A, &packet, backup)
    }

    /// Of all that was recorded nothing is believed again.
    fn replay(&mut self) {
        let backup = self.clocks().1;
        for (sent, packet) in &self.record {
            let outcome = hear(&mut self.backup, A, packet, backup);
            assert_ne!(outcome, Outcome::Good, "of {sent}, at {}", self.elapsed);
        }
    }

    fn runs(&mut self) {
        for _ in 0..5 {
            assert_eq!(self.advertise(), Outcome::Good);
        }
        self.replay();
    }
}

const STEPS: [i64; 4] = [HOUR as i64, -(HOUR as i64), YEAR as i64, -(YEAR as i64)];

#[test]
fn a_masters_clock_is_set_wrong_and_right_again() {
    for step in STEPS {
        let mut pair = Pair::new(time(5));
        pair.runs();
        pair.off.0 = step;
        for _ in 0..20 {
            assert_eq!(pair.advertise(), Outcome::Stale, "the backup takes over");
        }
        pair.replay();
        pair.off.0 = 0;
        assert_eq!(pair.advertise(), Outcome::Good, "{step}");
        pair.runs();
    }
}

#[test]
fn a_backups_clock_is_set_wrong_and_right_again() {
    for step in STEPS {
        let mut pair = Pair::new(time(5));
        pair.runs();
        pair.off.1 = step;
        for _ in 0..20 {
            assert_eq!(pair.advertise(), Outcome::Stale);
        }
        pair.replay();
        pair.off.1 = 0;
        // Those that came in between are no older than the window: each is believed once, if
        // somebody sends it before the master does.
        assert_eq!(pair.advertise(), Outcome::Good, "{step}");
        pair.runs();
    }
}

#[test]
fn both_clocks_are_set_one_after_the_other() {
    for step in STEPS {
        for master_first in [true, false] {
            let mut pair = Pair::new(time(5));
            pair.runs();
            pair.off = if master_first { (step, 0) } else { (0, step) };
            assert_eq!(pair.advertise(), Outcome::Stale);
            pair.off = (step, step);
            assert_eq!(pair.advertise(), Outcome::Good, "{step} {master_first}");
            pair.runs();
            pair.off = if master_first { (0, step) } else { (step, 0) };
            assert_eq!(pair.advertise(), Outcome::Stale);
            pair.off = (0, 0);
            assert_eq!(pair.advertise(), Outcome::Good, "{step} {master_first}");
            // What was sent before is known no more where the clock went back; what was sent
            // since is.
            pair.record.retain(|(sent, _)| *sent == pair.elapsed);
            pair.runs();
        }
    }
}

#[test]
fn a_small_step_is_not_noticed() {
    for step in [-1500, -400, -10, 10, 400, 1500] {
        let mut pair = Pair::new(time(5));
        pair.runs();
        pair.off.0 = step * MS as i64;
        pair.runs();
        pair.off.1 = step * MS as i64;
        pair.runs();
        pair.off = (0, 0);
        pair.runs();
    }
}

#[test]
fn without_a_common_clock_a_running_master_is_believed_whatever_its_clock_does() {
    for step in STEPS {
        let mut pair = Pair::new(MONOTONIC);
        pair.runs();
        for off in [
            (step, 0),
            (0, step),
            (step, step),
            (0, 0),
            (-step, step),
            (0, 0),
        ] {
            pair.off = off;
            pair.runs();
        }
    }
}

#[test]
fn a_master_is_restarted() {
    for freshness in [time(5), MONOTONIC] {
        let mut pair = Pair::new(freshness);
        pair.runs();
        pair.master = Host::new(A, freshness);
        pair.runs();
    }
    // With a clock that was set back it is believed as soon as it has passed the old mark,
    // which takes no longer than the window.
    let mut pair = Pair::new(time(5));
    pair.runs();
    pair.off.0 = -3 * SECOND as i64;
    pair.master = Host::new(A, time(5));
    let outcomes: Vec<_> = (0..5).map(|_| pair.advertise()).collect();
    let expected = [Outcome::Replayed; 3].into_iter().chain([Outcome::Good; 2]);
    // 3 s back, and one second has passed with the first of them
    assert_eq!(
        outcomes.iter().filter(|it| **it == Outcome::Good).count(),
        2
    );
    assert!(outcomes.into_iter().eq(expected));
    // Without a common clock there is no such end: the receiver is to start anew.
    let mut pair = Pair::new(MONOTONIC);
    pair.runs();
    pair.off.0 = -(YEAR as i64);
    pair.master = Host::new(A, MONOTONIC);
    assert_eq!(pair.advertise(), Outcome::Replayed);
    let clock = pair.clocks().1;
    pair.backup = receiver(MONOTONIC, clock);
    assert_eq!(pair.advertise(), Outcome::Good);
}

#[test]
fn a_backup_is_restarted() {
    let mut pair = Pair::new(time(5));
    pair.runs();
    pair.backup = receiver(time(5), NOW + pair.elapsed);
    pair.replay();
    pair.runs();
    // A master whose clock is behind is refused for as long as it is behind, and no longer.
    pair.off.0 = -2 * SECOND as i64;
    pair.master = Host::new(A, time(5));
    pair.backup = receiver(time(5), NOW + pair.elapsed);
    let outcomes = [0; 4].map(|_| pair.advertise());
    let [first, second, third, fourth] = outcomes;
    assert_eq!([first, second], [Outcome::Stale; 2]);
    assert_eq!([third, fourth], [Outcome::Good; 2]);
    // A backup that starts with a clock that is an hour ahead, and then set right.
    let elapsed = NOW + pair.elapsed;
    pair.off = (0, 0);
    pair.master = Host::new(A, time(5));
    pair.backup = receiver(time(5), elapsed + HOUR);
    pair.runs();
}

#[test]
fn seconds_begin_again_in_2106() {
    let end = (1 << 32) * SECOND;
    for freshness in [time(5), MONOTONIC] {
        let mut master = Host::new(A, freshness);
        let mut backup = receiver(freshness, end - 10 * SECOND);
        let mut record = Vec::new();
        for i in 1..=20 {
            let unix = end - 10 * SECOND + i * SECOND;
            let packet = master.says(unix);
            assert_eq!(hear(&mut backup, A, &packet, unix), Outcome::Good, "{i}");
            record.push(packet);
            for packet in &record {
                assert_ne!(hear(&mut backup, A, packet, unix), Outcome::Good);
            }
        }
    }
}
