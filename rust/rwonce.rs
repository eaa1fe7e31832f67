// SPDX-License-Identifier: GPL-2.0

//! Single loads and stores of what others change meanwhile, in place (`READ_ONCE`,
//! `WRITE_ONCE`, `rcu_dereference`).
//!
//! What is ours alone is a `kernel::sync::atomic::Atomic`. This is for fields of C structures,
//! of whatever type, and for loads that each packet does: those of the kernel crate (as of 7.3)
//! are calls of a function in C, some seven instructions where a load is one. RCU pointers it
//! has none.
//!
//! C headers: `include/asm-generic/rwonce.h`, `include/linux/rcupdate.h`.

/// The value now. A volatile load of a word is one access, and may race with atomic stores and
/// with `WRITE_ONCE` (`rust/kernel/sync/atomic.rs`).
///
/// # Safety
///
/// `ptr` is valid for reads, and nobody writes there but in single accesses.
#[inline(always)]
pub(super) unsafe fn read_once<T: Copy>(ptr: *const T) -> T {
    const { assert!(size_of::<T>() <= size_of::<usize>()) }
    // SAFETY: The caller promises a valid pointer.
    unsafe { ptr.read_volatile() }
}

/// Changes the value, in one access as well.
///
/// # Safety
///
/// `ptr` is valid for writes, and nobody reads there but in single accesses.
#[inline(always)]
pub(super) unsafe fn write_once<T: Copy>(ptr: *mut T, value: T) {
    const { assert!(size_of::<T>() <= size_of::<usize>()) }
    // SAFETY: The caller promises a valid pointer.
    unsafe { ptr.write_volatile(value) }
}

/// A pointer that somebody publishes by `rcu_assign_pointer`. What is read by way of it is what
/// he has written before: it depends on the address, and processors with Rust keep to that
/// order, as compilers do after such a load in C.
///
/// # Safety
///
/// As for [`read_once`]. What it points to is used only while RCU's read lock, or what
/// changes of the pointer need, is held.
#[inline(always)]
pub(super) unsafe fn rcu_dereference<T>(ptr: *const *mut T) -> *mut T {
    // SAFETY: The caller promises a valid pointer.
    unsafe { read_once(ptr) }
}
