// SPDX-License-Identifier: GPL-2.0

//! RTNL, the mutex that serialises configuration changes of network devices.

use super::bindings;
use core::cell::{Cell, RefCell, RefMut};
use kernel::types::NotThreadSafe;

/// Evidence that the caller holds RTNL, and may therefore sleep.
///
/// Callbacks that the kernel calls with RTNL held get one. Functions that must be called
/// with RTNL held take one as a parameter.
///
/// # Invariants
///
/// RTNL is held for as long as the value exists.
pub(crate) struct Rtnl(NotThreadSafe);

impl Rtnl {
    /// Makes the evidence that RTNL is held.
    ///
    /// # Safety
    ///
    /// The caller holds RTNL for as long as the value exists.
    pub(super) unsafe fn assume_held() -> Self {
        // SAFETY: The function only checks; it is called in process context.
        unsafe { bindings::assert_rtnl() };
        // INVARIANT: The caller promises it.
        Self(NotThreadSafe)
    }
}

/// A value that RTNL protects. It is read and replaced as a whole, like a `Cell`.
pub(crate) struct RtnlCell<T>(Cell<T>);

// SAFETY: All methods want RTNL, which one thread holds at a time.
unsafe impl<T: Send> Sync for RtnlCell<T> {}

impl<T> RtnlCell<T> {
    /// A cell with a value in it.
    pub(crate) const fn new(value: T) -> Self {
        Self(Cell::new(value))
    }

    /// Returns a copy of the value.
    pub(crate) fn get(&self, _rtnl: &Rtnl) -> T
    where
        T: Copy,
    {
        self.0.get()
    }

    /// Replaces the value, and returns the old one.
    pub(crate) fn replace(&self, value: T, _rtnl: &Rtnl) -> T {
        self.0.replace(value)
    }
}

/// A value that RTNL protects. It is borrowed and changed in place, like a `RefCell`.
pub(crate) struct RtnlRefCell<T>(RefCell<T>);

// SAFETY: All methods want RTNL, which one thread holds at a time; a borrow cannot outlive
// the evidence of that.
unsafe impl<T: Send> Sync for RtnlRefCell<T> {}

impl<T> RtnlRefCell<T> {
    /// A cell with a value in it.
    pub(crate) const fn new(value: T) -> Self {
        Self(RefCell::new(value))
    }

    /// Borrows the value. Returns `None` if it is borrowed already: a change of the value
    /// may cause a notifier event, whose handler runs before the change ends.
    pub(crate) fn borrow_mut<'a>(&'a self, _rtnl: &'a Rtnl) -> Option<RefMut<'a, T>> {
        self.0.try_borrow_mut().ok()
    }
}
