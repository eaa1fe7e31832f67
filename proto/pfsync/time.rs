// SPDX-License-Identifier: GPL-2.0

//! Spans of time, in milliseconds, and the points between which they lie.

pub use super::super::carp::time::Instant;

/// Nanoseconds in a second.
const SECOND: u64 = 1_000_000_000;

/// Nanoseconds in a millisecond.
const MILLISECOND: u64 = 1_000_000;

/// The point so many seconds before `now`, at least the beginning of time.
#[must_use]
pub const fn seconds_before(now: Instant, seconds: u32) -> Instant {
    Instant(
        now.0
            .saturating_sub((seconds as u64).saturating_mul(SECOND)),
    )
}

/// The whole seconds from `start` to `now`.
#[must_use]
pub fn seconds_since(start: Instant, now: Instant) -> u32 {
    let seconds = now.0.saturating_sub(start.0).checked_div(SECOND);
    seconds
        .and_then(|it| u32::try_from(it).ok())
        .unwrap_or(u32::MAX)
}

/// The whole milliseconds from `start` to `now`.
#[must_use]
pub const fn millis_since(start: Instant, now: Instant) -> u64 {
    now.0.saturating_sub(start.0) / MILLISECOND
}

/// A span of time in milliseconds, the finest that pfsync counts in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u32);

impl Millis {
    /// So many seconds; at most some 49 days.
    #[must_use]
    pub const fn from_secs(seconds: u32) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// The point this span after `start`, at most the end of time.
    #[must_use]
    pub const fn after(self, start: Instant) -> Instant {
        Instant(
            start
                .0
                .saturating_add((self.0 as u64).saturating_mul(MILLISECOND)),
        )
    }

    /// The sum, at most the longest span.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}
