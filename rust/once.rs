// SPDX-License-Identifier: GPL-2.0

//! Statics that the kernel links into its own lists: each is registered once at a time.

use kernel::{
    prelude::*,
    sync::atomic::{Acquire, Atomic, Release},
};

/// Whether something is registered. A part of the static that is.
pub(super) struct Once(Atomic<u32>);

impl Once {
    /// Not registered.
    pub(super) const fn new() -> Self {
        Self(Atomic::new(0))
    }

    /// Begins a registration; until the guard is dropped there is no other one. Any context.
    ///
    /// # Errors
    ///
    /// EEXIST: it is registered already.
    pub(super) fn claim(&'static self) -> Result<OnceGuard> {
        match self.0.cmpxchg(0, 1, Acquire) {
            Ok(_) => Ok(OnceGuard(self)),
            Err(_) => Err(EEXIST),
        }
    }
}

/// The only registration of what the [`Once`] belongs to. Whoever holds it drops it when that
/// is no longer registered.
pub(super) struct OnceGuard(&'static Once);

impl Drop for OnceGuard {
    fn drop(&mut self) {
        // Who registers it next sees what unregistering has left.
        self.0 .0.store(0, Release);
    }
}
