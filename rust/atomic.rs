// SPDX-License-Identifier: GPL-2.0

//! Numbers that packet paths read.
//!
//! The kernel crate's `Atomic::load` says the same, but is a call of a function in C, some seven
//! instructions where a load is one, and there are several for each packet of an interface.

use super::rwonce;
use kernel::sync::atomic::{Acquire, Atomic};

/// The value as `READ_ONCE` has it: a relaxed load in place.
#[inline]
pub(crate) fn read_once(value: &Atomic<u32>) -> u32 {
    // SAFETY: The pointer is valid, and all stores there are atomic.
    unsafe { rwonce::read_once(value.as_ptr()) }
}

/// The value as `smp_load_acquire` has it, in place where that is a mere load: what the writer
/// did before its release is seen by what follows.
#[inline]
pub(crate) fn read_acquire(value: &Atomic<u64>) -> u64 {
    if cfg!(not(target_arch = "x86_64")) {
        return value.load(Acquire);
    }
    // SAFETY: The pointer is valid, and all stores there are atomic.
    let value = unsafe { rwonce::read_once(value.as_ptr()) };
    // `barrier()`: the processor keeps loads in order, and so does the compiler after this.
    // That of the kernel crate is its own.
    // SAFETY: There is no instruction in it.
    unsafe { core::arch::asm!("", options(nostack, preserves_flags)) };
    value
}
