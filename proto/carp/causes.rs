// SPDX-License-Identifier: GPL-2.0

//! The causes of a group's demotion: its counter is the sum of their amounts, and each
//! cause has a name.
//!
//! Some are this module's own (a carpdev without link, advertisements that cannot be
//! sent, a bulk update that is not complete). The others are set by name; one of them,
//! [`MANUAL`], holds the sum of all `carpdemote` steps. A cause may have a time after
//! which it ends. A demotion is taken back only by the name of its cause, so that no
//! program takes back the demotion of another one.

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

/// The prefixes of the names of this module's own causes.
const OWN: [&[u8]; 3] = [b"link:", b"send-errors:", b"pfsync-"];

/// The name of a cause that is set by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CauseName(Text<CAUSE_NAME_MAX>);

impl CauseName {
    /// Checks a name.
    ///
    /// # Errors
    ///
    /// The name does not have 1 to 31 visible ASCII characters, or it is reserved for a
    /// cause of this module.
    pub fn new(name: &[u8]) -> Result<Self, Refusal> {
        if name.is_empty() || !name.iter().all(u8::is_ascii_graphic) {
            return Err(Refusal::CauseName);
        }
        if OWN.iter().any(|own| name.starts_with(own)) {
            return Err(Refusal::OwnCause);
        }
        Text::new(name).map(Self).ok_or(Refusal::CauseName)
    }

    /// The name [`MANUAL`].
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

/// Why a cause was set, as text for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reason(Text<REASON_MAX>);

impl Reason {
    /// No reason.
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
    /// How much it adds to the group's counter, at least 1.
    pub amount: u32,
    /// When it was set first.
    pub since: Instant,
    /// When it ends, if it has a time.
    pub until: Option<Instant>,
    /// Why, in words.
    pub reason: Reason,
}

impl Cause {
    /// Makes a cause after checking the values. `seconds` is how long it lasts; `None`:
    /// until it is taken back.
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

    /// In how many seconds it ends, rounded up; `None` if it has no time.
    #[must_use]
    pub fn seconds_left(&self, now: Instant) -> Option<u32> {
        let left = self.until?.0.saturating_sub(now.0);
        Some(u32::try_from(left.div_ceil(1_000_000_000)).unwrap_or(u32::MAX))
    }
}

/// The seconds between `since` and `now`, rounded down.
#[must_use]
pub fn seconds_since(since: Instant, now: Instant) -> u32 {
    let age = now.0.saturating_sub(since.0);
    u32::try_from(age / 1_000_000_000).unwrap_or(u32::MAX)
}

/// Returns the amount of [`MANUAL`] after a `carpdemote` of `step`. `manual` is its
/// amount before, and `total` the group's counter.
///
/// # Errors
///
/// The step is too large, the counter would exceed 255, or the step takes away more than
/// `carpdemote` has added: the rest belongs to other causes.
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
