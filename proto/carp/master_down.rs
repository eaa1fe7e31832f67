// SPDX-License-Identifier: GPL-2.0

//! The master-down timer of one family: how long a backup waits for an advertisement
//! before it takes over.
//!
//! With advbase 0 the wait is only a few 1/256 s, and a master with a coarse clock
//! advertises less often than its interval says. OpenBSD's clock has ticks of 10 ms; a
//! timeout is rounded up to whole ticks, and one more is added (`timeout_add_tv`). So its
//! interval of 1/256 s takes 20 ms. A backup with the same interval waits for less than
//! that, and would take over fifty times a second.
//!
//! So a backup with advbase 0 adds [`COARSE`] to its wait until it has measured that the
//! master's clock is fine. For that, two advertisements in a row must be in time: a
//! single one may be early because the master announces a demotion. Between hosts with
//! fine clocks, the backup stops adding it after three intervals.

use super::packet::{Advertisement, Counter};
use super::time::{Instant, Interval};

/// Three times 20 ms, the most that a clock with ticks of 10 ms adds to an interval.
pub const COARSE: Interval = Interval(16);

/// An advertisement that is later than its interval by more than this comes from a coarse
/// clock, which adds at least 10 ms.
const LATE: Interval = Interval(2);

/// This many advertisements in a row must be in time before a clock counts as fine.
const IN_TIME_MIN: u8 = 2;

/// The master-down timer.
#[derive(Clone, Copy, Debug)]
pub struct MasterDown {
    deadline: Instant,
    /// The end of the delay of [`Self::delayed`]; the timer does not expire before.
    not_before: Option<Instant>,
    /// The wait that the protocol defines.
    wait: Interval,
    /// Whether the master's clock is measured: only with advbase 0.
    measures_clock: bool,
    /// The last advertisement: its counter, which identifies the sender, and its time.
    heard: Option<(Counter, Instant)>,
    /// How many advertisements of that sender in a row were in time, at most
    /// [`IN_TIME_MIN`].
    in_time: u8,
}

impl MasterDown {
    /// Starts the timer at `now`.
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

    /// Adds `delay` to the first wait.
    #[must_use]
    pub const fn delayed(mut self, delay: Interval) -> Self {
        self.deadline = self.deadline.after(delay);
        self.not_before = Some(self.deadline);
        self
    }

    /// When the timer expires and the backup takes over.
    #[must_use]
    pub const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Restarts the timer: an advertisement of an acceptable master came at `now`.
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

    /// Measures how fine the master's clock is, by the time between two advertisements.
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
