// SPDX-License-Identifier: GPL-2.0

//! What is made of a packet's authentication.

/// How far authentication is rolled out. A group goes from the first to the last host by
/// host; the master stays the same on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Mode {
    /// Nothing is sent, nothing is looked at.
    #[default]
    Off = 0,
    /// Nothing is sent, and all is believed as with `Off`; but counted.
    Receive = 1,
    /// Packets are sent with a trailer, and believed without one, but not with a wrong one.
    Permissive = 2,
    /// Packets are sent with a trailer, and believed with a good one only.
    Enforce = 3,
}

/// What became of a packet's authentication, in the order in which it is judged: a packet
/// is counted under one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Outcome {
    /// It has no trailer.
    Missing,
    /// Its trailer is none that could be good.
    Malformed,
    /// There is no key of that id.
    UnknownKey,
    /// Its number is too far from the clock; or there is nothing left by which to tell it
    /// from a recording.
    Stale,
    /// It was there before, or, where they must come in their order, a later one was.
    Replayed,
    /// The HMAC is wrong.
    BadHmac,
    /// All of it is right.
    Good,
}

impl Mode {
    /// The mode of this number.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Off,
            1 => Self::Receive,
            2 => Self::Permissive,
            3 => Self::Enforce,
            _ => return None,
        })
    }

    /// Whether packets are sent with a trailer.
    #[must_use]
    pub const fn sends(self) -> bool {
        matches!(self, Self::Permissive | Self::Enforce)
    }

    /// Whether a received packet's trailer is looked at, and counted.
    #[must_use]
    pub const fn examines(self) -> bool {
        !matches!(self, Self::Off)
    }

    /// Whether a packet is believed, of which this became.
    #[must_use]
    pub const fn believes(self, outcome: Outcome) -> bool {
        match self {
            Self::Off | Self::Receive => true,
            Self::Permissive => matches!(outcome, Outcome::Good | Outcome::Missing),
            Self::Enforce => matches!(outcome, Outcome::Good),
        }
    }
}
