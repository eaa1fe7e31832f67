// SPDX-License-Identifier: GPL-2.0

//! Numbers that packet paths read.

use core::sync::atomic::{fence, Ordering};
use kernel::sync::atomic::{Acquire, Atomic};

/// The value as `READ_ONCE` has it: a relaxed load in place, where the kernel crate's own is a
/// call of a function in C.
#[inline]
pub(crate) fn read_once(value: &Atomic<u32>) -> u32 {
    // SAFETY: The pointer is valid, and a volatile load of a word is one access, which may
    // race with atomic stores (`rust/kernel/sync/atomic.rs`).
    unsafe { value.as_ptr().read_volatile() }
}

/// The value as `smp_load_acquire` has it, in place where words have 64 bits: what the writer
/// did before its release is seen by what follows.
#[inline]
pub(crate) fn read_acquire(value: &Atomic<u64>) -> u64 {
    if cfg!(not(target_pointer_width = "64")) {
        return value.load(Acquire);
    }
    // SAFETY: As above; a word has 64 bits.
    let value = unsafe { value.as_ptr().read_volatile() };
    fence(Ordering::Acquire);
    value
}
