// SPDX-License-Identifier: GPL-2.0

//! RTNL, the lock over the configuration of all network devices.

use super::bindings;
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
