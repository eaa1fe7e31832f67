// SPDX-License-Identifier: GPL-2.0

//! RTNL, the lock over the configuration of all network devices.

use super::bindings;
use core::cell::{Cell, RefCell, RefMut};
use kernel::types::NotThreadSafe;

/// Evidence that the caller holds RTNL, and may therefore sleep.
///
/// Callbacks that the kernel calls under RTNL get one; what must be called under
/// RTNL asks for one.
///
/// # Invariants
///
/// RTNL is held for as long as the value exists.
pub(crate) struct Rtnl(NotThreadSafe);

impl Rtnl {
    /// Says that RTNL is held.
    ///
    /// # Safety
    ///
    /// The caller holds RTNL for as long as the value lives.
    pub(super) unsafe fn assume_held() -> Self {
        // SAFETY: The function only checks; it is called in process context.
        unsafe { bindings::assert_rtnl() };
        // INVARIANT: The caller promises it.
        Self(NotThreadSafe)
    }
}

/// A value that only the holder of RTNL reads and writes, as a whole.
pub(crate) struct RtnlCell<T>(Cell<T>);

// SAFETY: All methods want RTNL, which one thread holds at a time.
unsafe impl<T: Send> Sync for RtnlCell<T> {}

impl<T> RtnlCell<T> {
    /// A cell with a value in it.
    pub(crate) const fn new(value: T) -> Self {
        Self(Cell::new(value))
    }

    /// What is in it.
    pub(crate) fn get(&self, _rtnl: &Rtnl) -> T
    where
        T: Copy,
    {
        self.0.get()
    }

    /// Puts a value in, and returns the one that was there.
    pub(crate) fn replace(&self, value: T, _rtnl: &Rtnl) -> T {
        self.0.replace(value)
    }
}

/// A value that only the holder of RTNL reads and writes, in place.
pub(crate) struct RtnlRefCell<T>(RefCell<T>);

// SAFETY: All methods want RTNL, which one thread holds at a time; a borrow cannot outlive
// the evidence of that.
unsafe impl<T: Send> Sync for RtnlRefCell<T> {}

impl<T> RtnlRefCell<T> {
    /// A cell with a value in it.
    pub(crate) const fn new(value: T) -> Self {
        Self(RefCell::new(value))
    }

    /// Borrows the value. Nothing, if it is borrowed: an event comes while the change that
    /// caused it is being made.
    pub(crate) fn borrow_mut<'a>(&'a self, _rtnl: &'a Rtnl) -> Option<RefMut<'a, T>> {
        self.0.try_borrow_mut().ok()
    }
}
