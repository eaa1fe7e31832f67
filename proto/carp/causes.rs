// SPDX-License-Identifier: GPL-2.0

//! Why a group is demoted: its counter is the sum of causes, each with a name and an
//! amount.
//!
//! Some are this module's own (a carpdev without link, advertisements that cannot be
//! sent, a bulk update that is not complete). The others are set by name; one of them,
//! [`MANUAL`], is what `carpdemote` adds and takes away. A cause may end by itself. What
//! is demoted for a cause is taken back under its name alone, so that nobody takes back
//! what is another's.

use super::super::text::Text;
use super::{
    demotion::{Counter, Refusal, COUNT_MAX, STEP_MAX},
    time::Instant,
};

/// The cause that `carpdemote` changes.
pub const MANUAL: &str = "manual";

/// The most causes of a group that are set by name.
pub const CAUSES_MAX: usize = 32;

/// The most bytes of a cause's name.
pub const CAUSE_NAME_MAX: usize = 31;

/// The most bytes of a reason.
pub const REASON_MAX: usize = 127;

/// The longest time for which a cause is set, in seconds: a year.
pub const FOR_MAX: u32 = 366 * 24 * 3600;

/// What causes of this module's own begin with, or are called.
const OWN: [&[u8]; 3] = [b"link:", b"send-errors:", b"pfsync-"];

/// The name of a cause that is set by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CauseName(Text<CAUSE_NAME_MAX>);

impl CauseName {
    /// Checks a name.
    ///
    /// # Errors
    ///
    /// It does not have 1 to 31 visible ASCII characters, or is one of this module's own.
    pub fn new(name: &[u8]) -> Result<Self, Refusal> {
        if name.is_empty() || !name.iter().all(u8::is_ascii_graphic) {
            return Err(Refusal::CauseName);
        }
        if OWN.iter().any(|own| name.starts_with(own)) {
            return Err(Refusal::OwnCause);
        }
        Text::new(name).map(Self).ok_or(Refusal::CauseName)
    }

    /// That of [`MANUAL`].
    #[must_use]
    pub fn manual() -> Option<Self> {
        Text::new(MANUAL.as_bytes()).map(Self)
    }

    /// Its characters.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The same as a string.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// Why there is a cause, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reason(Text<REASON_MAX>);

impl Reason {
    /// Nothing is said.
    pub const NONE: Self = Self(Text::EMPTY);

    /// Checks a reason.
    ///
    /// # Errors
    ///
    /// It has more than 127 bytes, is no UTF-8, or has control characters, which would
    /// write over a terminal.
    pub fn new(reason: &[u8]) -> Result<Self, Refusal> {
        let text = core::str::from_utf8(reason).map_err(|_| Refusal::Reason)?;
        if text.chars().any(char::is_control) {
            return Err(Refusal::Reason);
        }
        Text::new(reason).map(Self).ok_or(Refusal::Reason)
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// A cause that was set by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cause {
    /// Its name, unique in its group.
    pub name: CauseName,
    /// By how much it demotes, at least 1.
    pub amount: u32,
    /// When it was set first.
    pub since: Instant,
    /// When it ends by itself, if it does.
    pub until: Option<Instant>,
    /// Why, in words.
    pub reason: Reason,
}

impl Cause {
    /// Checks what is asked for; `seconds` is for how long.
    ///
    /// # Errors
    ///
    /// The amount is not 1 to 255, or the time not 1 second to a year.
    pub fn new(
        name: CauseName,
        amount: u32,
        now: Instant,
        seconds: Option<u32>,
        reason: Reason,
    ) -> Result<Self, Refusal> {
        if amount == 0 || amount > COUNT_MAX {
            return Err(Refusal::Amount);
        }
        if seconds.is_some_and(|seconds| seconds == 0 || seconds > FOR_MAX) {
            return Err(Refusal::For);
        }
        Ok(Self {
            name,
            amount,
            since: now,
            until: seconds.map(|seconds| now.after_seconds(seconds)),
            reason,
        })
    }

    /// Whether its time is over.
    #[must_use]
    pub fn is_over(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    /// In how many seconds it ends by itself, rounded up.
    #[must_use]
    pub fn seconds_left(&self, now: Instant) -> Option<u32> {
        let left = self.until?.0.saturating_sub(now.0);
        Some(u32::try_from(left.div_ceil(1_000_000_000)).unwrap_or(u32::MAX))
    }
}

/// Since how many seconds something is so.
#[must_use]
pub fn seconds_since(since: Instant, now: Instant) -> u32 {
    let age = now.0.saturating_sub(since.0);
    u32::try_from(age / 1_000_000_000).unwrap_or(u32::MAX)
}

/// The amount of [`MANUAL`] after a step of `carpdemote`; it is `manual` before, and the
/// group's counter stands at `total`.
///
/// # Errors
///
/// The step is too large; the counter would exceed 255; or more is taken away than
/// carpdemote has added, which would be another cause's.
pub fn step(total: Counter, manual: u32, step: i32) -> Result<u32, Refusal> {
    if step.unsigned_abs() > STEP_MAX.unsigned_abs() {
        return Err(Refusal::Step);
    }
    let total = total.get().saturating_add_signed(step);
    if step > 0 && total > COUNT_MAX {
        return Err(Refusal::Range);
    }
    manual.checked_add_signed(step).ok_or(Refusal::NotManual)
}
