// SPDX-License-Identifier: GPL-2.0

//! How loud to say what, by the levels of syslog(3).
//!
//! `net.inet.carp.log` (0–7, default 2) decides what is printed. Source: the
//! calls of `CARP_LOG`.

use super::effects::Transition;
use super::election::State;
use super::packet::Discard;

/// What `net.inet.carp.log` is by default: changes of state between hosts that
/// run.
pub const DEFAULT: u8 = Level::Critical as u8;

/// A change of a demotion counter.
pub const DEMOTION: Level = Level::Error;

/// The carpdev is gone, or back: nothing works without it.
pub const CARPDEV: Level = Level::Critical;

/// An advertisement could not be sent.
pub const SEND_ERROR: Level = Level::Warning;

/// Another host's clock is so far from ours that its advertisements may soon be too old.
pub const CLOCK: Level = Level::Critical;

/// There was no memory, and nobody else who could be told.
pub const NO_MEMORY: Level = Level::Critical;

/// The first address was added, and the device that has the subnet cannot be the parent.
pub const NO_PARENT: Level = Level::Critical;

/// How urgent a message is; the numbers are those of syslog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Level {
    /// LOG_CRIT
    Critical = 2,
    /// LOG_ERR
    Error = 3,
    /// LOG_WARNING
    Warning = 4,
    /// LOG_NOTICE
    Notice = 5,
    /// LOG_INFO
    Info = 6,
    /// LOG_DEBUG
    Debug = 7,
}

impl Level {
    /// Whether it is printed when `net.inet.carp.log` is `log`.
    #[must_use]
    pub const fn is_printed(self, log: u8) -> bool {
        self as u8 <= log
    }
}

impl Transition {
    /// Who serves the addresses is critical news; that a host comes or goes is
    /// a warning (`carp_set_state`).
    #[must_use]
    pub const fn level(&self) -> Level {
        match (self.from, self.to) {
            (State::Init, _) | (_, State::Init) => Level::Warning,
            _ => Level::Critical,
        }
    }
}

impl Discard {
    /// How loud to complain about the packet; `None`: not at all.
    ///
    /// Nothing is said where nothing is wrong: somebody else's vhid or, with
    /// [`Discard::NotAllowed`], the administrator's wish. An echo is nothing to
    /// complain about either where the link is known to echo.
    #[must_use]
    pub const fn level(self) -> Option<Level> {
        match self {
            Self::NotAllowed | Self::BadVhid => None,
            Self::Echo => Some(Level::Warning),
            Self::BadTtl | Self::BadVersion => Some(Level::Notice),
            Self::BadInterface
            | Self::BadLength
            | Self::BadChecksum
            | Self::BadDigest
            | Self::Unauthenticated(_) => Some(Level::Info),
        }
    }

    /// The complaint in words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotAllowed => "net.inet.carp.allow is 0",
            Self::BadInterface => "received on an interface without virtual host",
            Self::BadTtl => "TTL is not 255",
            Self::BadLength => "packet is too short",
            Self::BadChecksum => "checksum is wrong",
            Self::BadVhid => "no virtual host of this vhid is running",
            Self::BadVersion => "version is not 2",
            Self::BadDigest => "address list or passphrase differs",
            Self::Echo => "replay or network loop detected",
            Self::Unauthenticated(outcome) => outcome.as_str(),
        }
    }
}
