// SPDX-License-Identifier: GPL-2.0

//! Points in time and spans between them.
//!
//! All arithmetic saturates: a clock that reaches its end stops there, some 584
//! years after boot, and does not wrap around to the past.

/// A point in time: nanoseconds on a clock that never goes back.
///
/// The driver uses time since boot, monotonic. Only differences matter here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(pub u64);

impl Instant {
    /// The point `interval` after this one, at most the end of time.
    #[must_use]
    pub const fn after(self, interval: Interval) -> Self {
        Self(self.0.saturating_add(interval.as_nanos()))
    }

    /// The point so many seconds after this one, at most the end of time.
    #[must_use]
    pub const fn after_seconds(self, seconds: u32) -> Self {
        Self(
            self.0
                .saturating_add((seconds as u64).saturating_mul(1_000_000_000)),
        )
    }
}

/// A span of time in units of 1/256 s, in which CARP counts.
///
/// advbase (seconds) and advskew (1/256 s) add up to one number of these, so
/// that comparing two hosts is comparing two integers. OpenBSD compares struct
/// timevals, whose microseconds are rounded down; the order is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interval(pub u32);

impl Interval {
    /// advbase in seconds plus advskew in 1/256 s, just as they stand in a
    /// packet or a configuration: the value that the election compares.
    #[must_use]
    pub const fn new(advbase: u8, advskew: u8) -> Self {
        // The two bytes side by side are advbase * 256 + advskew.
        Self(u16::from_be_bytes([advbase, advskew]) as u32)
    }

    /// How long a master waits from one advertisement to the next.
    ///
    /// With advbase and advskew both 0 it would not wait at all, hence 1/256 s
    /// there (`carp_setrun`, `carp_send_ad`).
    #[must_use]
    pub const fn between_advertisements(advbase: u8, advskew: u8) -> Self {
        match Self::new(advbase, advskew) {
            Self(0) => Self(1),
            interval => interval,
        }
    }

    /// How long a backup listens to silence before it takes over.
    ///
    /// `carp_setrun`: three lost advertisements, and its own advskew so that
    /// the better of two backups comes first. With advbase 0 the advskew is all
    /// there is to multiply.
    #[must_use]
    pub const fn until_master_down(advbase: u8, advskew: u8) -> Self {
        match advbase {
            0 => Self::between_advertisements(0, advskew).times_three(),
            _ => Self(
                Self::new(advbase, 0)
                    .times_three()
                    .0
                    .saturating_add(advskew as u32),
            ),
        }
    }

    /// In nanoseconds: exact, as 1/256 s is 3,906,250 ns.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        (self.0 as u64).saturating_mul(3_906_250)
    }

    /// Twice as long.
    #[must_use]
    pub const fn doubled(self) -> Self {
        Self(self.0.saturating_mul(2))
    }

    /// One part of `parts`, at least 1/256 s.
    #[must_use]
    pub(super) fn divided_by(self, parts: u32) -> Self {
        Self(self.0.checked_div(parts).unwrap_or(0).max(1))
    }

    /// So many seconds; `None` for 0.
    #[must_use]
    pub const fn from_seconds(seconds: u8) -> Option<Self> {
        match seconds {
            0 => None,
            _ => Some(Self::new(seconds, 0)),
        }
    }

    /// The sum of both.
    #[must_use]
    pub(super) const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    const fn times_three(self) -> Self {
        Self(self.0.saturating_mul(3))
    }
}
