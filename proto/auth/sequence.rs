// SPDX-License-Identifier: GPL-2.0

//! The number of a packet: its sender's clock, and a counter within one moment of it.
//!
//! | bits | field |
//! | --- | --- |
//! | 32 | seconds UTC since 1970, modulo 2^32 |
//! | 16 | fraction of a second, in 1/65,536 |
//! | 16 | counter within one such moment |
//!
//! Read as one number it counts in 2^-32 s. So what comes after the last counter of a moment
//! is the next moment, and a difference of two numbers is a time.

/// Nanoseconds in a second.
const SECOND: u64 = 1_000_000_000;

/// The number of a packet. Numbers are compared by [serial arithmetic](Self::is_after), so
/// they have no order of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Sequence(u64);

impl Sequence {
    /// The number that these bits are, in the order of the wire.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Its bits, in the order of the wire.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// The first number of a moment: `unix` is in nanoseconds since 1970, UTC.
    #[must_use]
    pub const fn at(unix: u64) -> Self {
        let seconds = unix / SECOND;
        let fraction = ((unix % SECOND) << 16) / SECOND;
        // Of the seconds, the upper 32 bits go: those of 2106 begin with 0 again.
        Self((seconds << 32) | (fraction << 16))
    }

    /// The number that follows.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }

    /// Whether it comes after `other` (RFC 1982, with 64 bits).
    ///
    /// Of two numbers that are 2^63 apart, some 68 years, neither comes after the other.
    #[must_use]
    pub const fn is_after(self, other: Self) -> bool {
        self.units_after(other) > 0
    }

    /// How far it is ahead of `other`, in 2^-32 s; less than 0, if it is behind.
    #[must_use]
    #[allow(clippy::cast_possible_wrap)] // that is what serial arithmetic is
    pub const fn units_after(self, other: Self) -> i64 {
        self.0.wrapping_sub(other.0) as i64
    }

    /// The same in nanoseconds.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)] // at most 2^31 seconds
    pub const fn nanos_after(self, other: Self) -> i64 {
        let units = self.units_after(other) as i128;
        (units.wrapping_mul(SECOND as i128) >> 32) as i64
    }

    /// The number that is this many units of 2^-32 s earlier.
    #[must_use]
    pub(super) const fn earlier(self, units: u64) -> Self {
        Self(self.0.wrapping_sub(units))
    }
}
