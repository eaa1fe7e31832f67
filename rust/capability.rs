// SPDX-License-Identifier: GPL-2.0

//! What the calling process may do (`capable`).

use super::{bindings, namespace::Net};
use kernel::ffi::c_int;

/// Whether it has CAP_NET_ADMIN in the initial user namespace: no container gives that to
/// itself. Process context.
pub(crate) fn is_net_admin() -> bool {
    // SAFETY: The function has no preconditions.
    unsafe { bindings::capable(bindings::CAP_NET_ADMIN as c_int) }
}

impl Net {
    /// Whether the calling process has CAP_NET_ADMIN in the user namespace that owns this
    /// network namespace. Process context.
    pub(crate) fn is_administered_by_caller(&self) -> bool {
        // SAFETY: `self` is a live namespace, which keeps its owner.
        unsafe { bindings::ns_capable((*self.as_ptr()).user_ns, bindings::CAP_NET_ADMIN as c_int) }
    }
}
