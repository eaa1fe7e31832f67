// SPDX-License-Identifier: GPL-2.0

//! Connection tracking of a namespace as a whole.

use super::{adapter::net::Net, bindings, rwonce::read_once};
use kernel::{error::to_result, prelude::*};

impl Net {
    /// Switches connection tracking on in this namespace, for IPv4 and IPv6, until
    /// the value returned is dropped. Process context, may sleep.
    ///
    /// # Errors
    ///
    /// Out of memory.
    pub(crate) fn track(&'static self) -> Result<Tracked> {
        // SAFETY: `self` is a live namespace.
        to_result(unsafe {
            bindings::nf_ct_netns_get(self.as_ptr(), bindings::NFPROTO_INET as u8)
        })?;
        Ok(Tracked(self))
    }

    /// How many entries connection tracking has in this namespace.
    pub(crate) fn count_entries(&self) -> u32 {
        // SAFETY: `self` is a live namespace.
        unsafe { bindings::nf_conntrack_count(self.as_ptr()) }
    }
}

/// Keeps connection tracking on in a namespace.
pub(crate) struct Tracked(&'static Net);

impl Drop for Tracked {
    fn drop(&mut self) {
        // SAFETY: [`Net::track`] has switched it on.
        unsafe { bindings::nf_ct_netns_put(self.0.as_ptr(), bindings::NFPROTO_INET as u8) };
    }
}

/// How many entries a namespace may have (`net.netfilter.nf_conntrack_max`).
pub(crate) fn limit() -> u32 {
    // SAFETY: A number that the administrator may change at any time.
    unsafe { read_once(&raw const bindings::nf_conntrack_max) }
}
