// SPDX-License-Identifier: GPL-2.0

//! Where code runs: softirqs off, and the time.

use crate::linux::bindings;
use kernel::types::NotThreadSafe;

/// Keeps softirqs off this processor (`local_bh_disable`).
///
/// # Invariants
///
/// Softirqs are off for as long as the value exists.
pub(crate) struct SoftirqsOff(NotThreadSafe);

impl SoftirqsOff {
    /// Any context but hard interrupts.
    pub(crate) fn new() -> Self {
        // SAFETY: The function has no preconditions.
        unsafe { bindings::local_bh_disable() };
        // INVARIANT: They were just switched off.
        Self(NotThreadSafe)
    }
}

impl Drop for SoftirqsOff {
    fn drop(&mut self) {
        // SAFETY: By the type invariant they are off by our doing.
        unsafe { bindings::local_bh_enable() };
    }
}

/// How many jiffies a second has.
pub(crate) const HZ: u32 = bindings::CARP_CONST_HZ;

/// The low 32 bits of the count of jiffies, a clock that goes round.
pub(crate) fn jiffies() -> u32 {
    // SAFETY: The function has no preconditions.
    unsafe { bindings::jiffies32() }
}

/// As many jiffies as there are in so many seconds, as far as they can be counted.
pub(crate) fn seconds_to_jiffies(seconds: u32) -> u32 {
    // Beyond, the clock would take them for the past.
    seconds.saturating_mul(HZ).min(i32::MAX as u32)
}
