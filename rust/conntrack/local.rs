// SPDX-License-Identifier: GPL-2.0

//! Entries of this host's own connections.

use super::{bindings, entry::Entry};
use core::ptr;
use kernel::bindings::AF_INET;

impl Entry {
    /// Whether this host has the address of who began the connection, or of who answers,
    /// behind all translation. Any context.
    pub(crate) fn is_local(&self) -> bool {
        // SAFETY: The entry is live. Its tuples are complete when it is in the table, or its
        // packet at the end of its way.
        let ends = unsafe { (*self.as_ptr()).tuplehash.each_ref() }
            .map(|hash| &raw const hash.tuple.src.u3);
        ends.iter().any(|address| self.has_address(*address))
    }

    fn has_address(&self, address: *const bindings::nf_inet_addr) -> bool {
        // SAFETY: The namespace lives as long as the entry, the caller passes an address of
        // the entry, and the family says which member of the union is in use. Nothing is
        // done with the device.
        unsafe {
            let net = bindings::nf_ct_net(self.as_ptr());
            if u32::from(self.family()) == AF_INET {
                !bindings::__ip_dev_find(net, (*address).ip, false).is_null()
            } else {
                bindings::ipv6_has_addr(net, &raw const (*address).in6, ptr::null(), 0)
            }
        }
    }
}
