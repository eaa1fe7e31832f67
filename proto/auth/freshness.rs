// SPDX-License-Identifier: GPL-2.0

//! How old a packet may be.

use super::super::carp::time::Interval;
use super::sequence::Sequence;

/// How far the number of a packet may be from the receiver's clock, before it or behind:
/// 1–300 seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window(u16);

impl Window {
    /// The shortest one, in seconds.
    pub const MIN: u16 = 1;
    /// The longest one, in seconds.
    pub const MAX: u16 = 300;
    /// What the default is at least, in seconds: pfsync's, and that of short intervals.
    pub const DEFAULT: Self = Self(5);

    /// So many seconds; `None` if it must not be that.
    #[must_use]
    pub fn new(seconds: u32) -> Option<Self> {
        let seconds = u16::try_from(seconds).ok()?;
        (Self::MIN..=Self::MAX)
            .contains(&seconds)
            .then_some(Self(seconds))
    }

    /// The default for advertisements at this interval: the greater of 5 seconds and three
    /// intervals, in whole seconds, at most the longest one.
    #[must_use]
    pub fn default_for(interval: Interval) -> Self {
        let seconds = interval.0.saturating_mul(3).div_ceil(256);
        let longest = u32::from(Self::MAX);
        Self::new(seconds.max(u32::from(Self::DEFAULT.0)).min(longest)).unwrap_or(Self::DEFAULT)
    }

    /// In seconds.
    #[must_use]
    pub const fn seconds(self) -> u16 {
        self.0
    }

    /// In the units of [`Sequence::units_after`].
    const fn units(self) -> u64 {
        (self.0 as u64) << 32
    }
}

/// By what a receiver tells a packet from its recording.
///
/// All hosts must have chosen the same: a sender in mode `Time` goes back with its
/// clock, which a receiver in mode `Monotonic` never believes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Freshness {
    /// Its number is no further than the window from the receiver's clock, and new. For hosts
    /// whose clocks agree.
    Time(Window),
    /// Its number is greater than each before. For hosts without a common clock; theirs must
    /// not go back over a restart.
    Monotonic,
}

impl Freshness {
    /// Whether a packet of this number is too old, or from a clock that is too far ahead.
    #[must_use]
    pub const fn is_stale(self, number: Sequence, clock: Sequence) -> bool {
        match self {
            Self::Time(window) => number.units_after(clock).unsigned_abs() > window.units(),
            Self::Monotonic => false,
        }
    }

    /// Whether a number that was remembered is further ahead of the clock than the window:
    /// the clock was set back since, and the number says nothing any more.
    #[must_use]
    pub const fn is_expired(self, number: Sequence, clock: Sequence) -> bool {
        match self {
            Self::Time(window) => number.units_after(clock) > window.units() as i64,
            Self::Monotonic => false,
        }
    }

    /// Whether a sender's clock is so far from the receiver's that it is to be told of. It
    /// `was` so before: then it is until it is below a quarter of the window, lest a clock at
    /// the limit be told of again and again.
    #[must_use]
    pub(super) const fn is_apart(self, number: Sequence, clock: Sequence, was: bool) -> bool {
        match self {
            Self::Time(window) => {
                let shift = if was { 2 } else { 1 };
                number.units_after(clock).unsigned_abs() >= window.units() >> shift
            }
            Self::Monotonic => false,
        }
    }
}
