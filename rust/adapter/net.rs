// SPDX-License-Identifier: GPL-2.0

//! Network namespaces.

use crate::linux::bindings;
use kernel::types::Opaque;

/// A network namespace (`struct net`) that is alive.
#[repr(transparent)]
pub(crate) struct Net(Opaque<bindings::net>);

// SAFETY: The methods only use what the kernel lets any thread use.
unsafe impl Sync for Net {}

impl Net {
    /// # Safety
    ///
    /// `ptr` is a namespace that stays alive for `'a`.
    pub(in crate::linux) unsafe fn from_raw<'a>(ptr: *mut bindings::net) -> &'a Self {
        // SAFETY: The caller promises a live namespace; the type is transparent.
        unsafe { &*ptr.cast() }
    }

    pub(in crate::linux) fn as_ptr(&self) -> *mut bindings::net {
        self.0.get()
    }
}
