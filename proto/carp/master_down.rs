// SPDX-License-Identifier: GPL-2.0

//! How long a backup listens to silence before it takes over: the master-down timer
//! of one family.
//!
//! With advbase 0 the protocol's wait is three times some 1/256 s, and a master whose
//! clock is coarse is not as fast as it says. OpenBSD's clock has ticks of 10 ms; a
//! wait is rounded up to whole ticks, and one more is added (`timeout_add_tv`). There
//! an interval of 1/256 s takes 20 ms, for which a backup with the same interval does
//! not wait: it would take over fifty times a second.
//!
//! So a backup with advbase 0 adds [`COARSE`] to its wait until the master has shown
//! that its clock is fine. That takes two advertisements in time, one after the
//! other: a single early one may be out of turn, as when a demotion is announced.
//! Between hosts with fine clocks the addition is gone after three intervals.

use super::packet::{Advertisement, Counter};
use super::time::{Instant, Interval};

/// Three times what a clock of 10 ms adds to an interval at most, which is 20 ms.
pub const COARSE: Interval = Interval(16);

/// An advertisement that is later than its interval says by more than this comes from
/// a coarse clock, which adds 10 ms at least.
const LATE: Interval = Interval(2);

/// So many advertisements in time, one after the other, show that a clock is fine.
const IN_TIME_MIN: u8 = 2;

/// The master-down timer.
#[derive(Clone, Copy, Debug)]
pub struct MasterDown {
    deadline: Instant,
    /// The end of a delay, before which it does not expire.
    not_before: Option<Instant>,
    /// The wait that the protocol asks for.
    wait: Interval,
    /// Whether the master's clock matters: with advbase 0.
    measures_clock: bool,
    /// The last advertisement: its counter, which tells the sender, and when it came.
    heard: Option<(Counter, Instant)>,
    /// How many advertisements of that sender were in time, at most [`IN_TIME_MIN`].
    in_time: u8,
}

impl MasterDown {
    /// Begins to listen at `now`.
    #[must_use]
    pub const fn new(now: Instant, advbase: u8, advskew: u8) -> Self {
        let wait = Interval::until_master_down(advbase, advskew);
        let measures_clock = advbase == 0;
        let first = if measures_clock {
            wait.plus(COARSE)
        } else {
            wait
        };
        Self {
            deadline: now.after(first),
            not_before: None,
            wait,
            measures_clock,
            heard: None,
            in_time: 0,
        }
    }

    /// Listens for longer by `delay`.
    #[must_use]
    pub const fn delayed(mut self, delay: Interval) -> Self {
        self.deadline = self.deadline.after(delay);
        self.not_before = Some(self.deadline);
        self
    }

    /// When the silence has lasted too long.
    #[must_use]
    pub const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// A master was heard at `now`, which is to be listened to.
    pub fn heard(&mut self, now: Instant, theirs: &Advertisement) {
        let mut wait = self.wait;
        if self.measures_clock {
            self.measure_clock(now, theirs);
            if self.in_time < IN_TIME_MIN {
                wait = wait.plus(COARSE);
            }
        }
        let deadline = now.after(wait);
        self.not_before = self.not_before.filter(|it| deadline < *it);
        self.deadline = self.not_before.unwrap_or(deadline);
    }

    /// Learns from the time between two advertisements how fine the master's clock is.
    fn measure_clock(&mut self, now: Instant, theirs: &Advertisement) {
        let interval = Interval::between_advertisements(theirs.advbase, theirs.advskew);
        let in_time = self.heard.is_some_and(|(counter, at)| {
            counter == theirs.counter && now <= at.after(interval.plus(LATE))
        });
        self.in_time = match in_time {
            true => self.in_time.saturating_add(1).min(IN_TIME_MIN),
            false => 0,
        };
        self.heard = Some((theirs.counter, now));
    }
}
