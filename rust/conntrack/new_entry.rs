// SPDX-License-Identifier: GPL-2.0

//! An entry that is being made, and that nobody else knows yet.
//!
//! The order is that of `ctnetlink_create_conntrack`: extensions can be added only
//! before the entry counts as confirmed, and it must be whole when it enters the
//! table.

use super::{
    adapter::net::Net,
    bindings,
    entry::{wall_clock, Entry},
    tuple,
    tuple::Tuple,
};
use core::{mem::ManuallyDrop, ptr::NonNull};
use kernel::{
    error::{from_err_ptr, to_result},
    prelude::*,
    sync::{aref::ARef, rcu},
};

/// An entry that is not in the table yet.
///
/// # Invariants
///
/// The pointer came from `nf_conntrack_alloc`, and its count is 0. It owns a count
/// of its master, if it has one.
pub(crate) struct NewEntry(NonNull<bindings::nf_conn>);

impl Drop for NewEntry {
    fn drop(&mut self) {
        let ct = self.0.as_ptr();
        let _rcu = rcu::Guard::new();
        // SAFETY: By the type invariant the entry is ours alone; what extensions it
        // has, the function gives back, but not the master.
        unsafe {
            let master = (*ct).master;
            if !master.is_null() {
                bindings::nf_ct_put(master);
            }
            bindings::nf_conntrack_free(ct);
        }
    }
}

impl NewEntry {
    /// An entry with the tuples and the zone of `plain`, but without NAT: answers look
    /// as they do without it.
    ///
    /// # Errors
    ///
    /// EINVAL: there cannot be such an entry. ENOSPC: the table is full. ENOMEM.
    pub(crate) fn new(net: &Net, plain: &bindings::pfsync_plain) -> Result<Self> {
        let zone = tuple::zone(plain)?;
        let original = tuple::to_kernel(&plain.original, plain.family, plain.protocol, 0)?;
        let reply = tuple::inverse(&original).ok_or(EINVAL)?;
        // SAFETY: The namespace is live, the function copies the rest. Atomic, for
        // this may be softirq context.
        let ct = unsafe {
            bindings::nf_conntrack_alloc(
                net.as_ptr(),
                &raw const zone,
                &original,
                &reply,
                kernel::bindings::GFP_ATOMIC,
            )
        };
        let Ok(ct) = from_err_ptr(ct) else {
            // It has one error for both.
            // SAFETY: The namespace is live.
            let count = unsafe { bindings::nf_conntrack_count(net.as_ptr()) };
            return Err(if count >= super::tracked::limit() {
                ENOSPC
            } else {
                ENOMEM
            });
        };
        // INVARIANT: The function counts nothing yet.
        NonNull::new(ct).map(Self).ok_or(ENOMEM)
    }

    pub(super) fn as_ptr(&self) -> *mut bindings::nf_conn {
        self.0.as_ptr()
    }

    /// What can be said of it before it is in the table.
    fn entry(&self) -> &Entry {
        // SAFETY: Nobody else adds extensions, and who has `self` cannot either while
        // the reference lives. What takes counts is not called through it.
        unsafe { Entry::from_raw(self.as_ptr()) }
    }

    /// The tuple of answers as it is now.
    pub(super) fn reply(&self) -> &Tuple {
        // SAFETY: The entry is ours; the reference ends before `self` is changed.
        unsafe { &(*self.as_ptr()).tuplehash[1].tuple }
    }

    /// The original tuple.
    pub(super) fn original(&self) -> &Tuple {
        // SAFETY: It never changes.
        unsafe { &(*self.as_ptr()).tuplehash[0].tuple }
    }

    /// Says which entry expected this one. Before NAT, which treats GRE another way
    /// then.
    pub(crate) fn set_master(&mut self, master: &Entry) {
        let counted = ManuallyDrop::new(ARef::from(master));
        // INVARIANT: The count goes with the entry.
        // SAFETY: The entry is ours, and has none yet: it is set once.
        unsafe { (*self.as_ptr()).master = counted.as_ptr() };
        self.entry()
            .change_status(super::entry::Status::EXPECTED, super::entry::Status(0));
    }

    /// Adds what the administrator has switched on, and what may be needed later: no
    /// extension can be added any more to an entry that others know.
    pub(crate) fn extend(&mut self, synproxy: bool) {
        let ct = self.as_ptr();
        // SAFETY: The entry is ours and not confirmed. An extension for which there is
        // no memory is missing, as it would be with an entry of the kernel's own.
        unsafe {
            bindings::nf_ct_acct_ext_add(ct);
            bindings::nf_ct_tstamp_ext_add(ct);
            bindings::nf_ct_ecache_ext_add(ct, 0, 0, kernel::bindings::GFP_ATOMIC);
            bindings::nf_ct_labels_ext_add(ct);
            if bindings::nfct_seqadj(ct).is_null() {
                bindings::nfct_seqadj_ext_add(ct);
            }
            if synproxy {
                bindings::nfct_synproxy_ext_add(ct);
            }
        }
    }

    /// No extension can be added any more; what is left to be set can be.
    pub(crate) fn confirm(&mut self) -> &Entry {
        let entry = self.entry();
        entry.change_status(super::entry::Status::CONFIRMED, super::entry::Status(0));
        entry
    }

    /// Writes down when it was made, in nanoseconds since 1970; 0: now.
    pub(crate) fn set_start(&mut self, start: u64) {
        // SAFETY: The entry is ours.
        if let Some(tstamp) = unsafe { bindings::nf_conn_tstamp_find(self.as_ptr()).as_mut() } {
            tstamp.start = if start == 0 { wall_clock() } else { start };
        }
    }

    /// Puts it into the table.
    ///
    /// # Errors
    ///
    /// EEXIST: one of its tuples is taken. ENOSPC: too many are in one place.
    pub(crate) fn insert(mut self) -> Result<ARef<Entry>> {
        self.try_insert().or_else(|error| {
            if error != EEXIST {
                return Err(error);
            }
            // Who is in the way may have expired, and stays there until somebody comes by.
            self.drop_expired();
            self.try_insert()
        })?;
        let ct = ManuallyDrop::new(self).0;
        // SAFETY: It is in the table, which has one count now; the other one is ours.
        Ok(unsafe { ARef::from_raw(ct.cast()) })
    }

    fn try_insert(&mut self) -> Result {
        // SAFETY: The entry is whole; if it fails, it is still ours alone.
        to_result(unsafe { bindings::nf_conntrack_hash_check_insert(self.as_ptr()) })
    }

    /// Entries with its tuples go from the table if they have expired: who looks for one
    /// takes them out (`____nf_conntrack_find`).
    fn drop_expired(&self) {
        let _rcu = rcu::Guard::new();
        // SAFETY: The entry is live, its tuples and its zone do not change; RCU is held. What
        // is found comes with a count.
        unsafe {
            let ct = self.as_ptr();
            for tuple in [self.original(), self.reply()] {
                let net = bindings::nf_ct_net(ct);
                let hash = bindings::nf_conntrack_find_get(net, &raw const (*ct).zone, tuple);
                if !hash.is_null() {
                    bindings::nf_ct_put(bindings::nf_ct_tuplehash_to_ctrack(hash));
                }
            }
        }
    }
}
