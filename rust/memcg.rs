// SPDX-License-Identifier: GPL-2.0

//! Whom memory is charged to that softirqs take (`struct mem_cgroup`).

use super::{bindings, namespace::Net};
use core::{marker::PhantomData, ptr::NonNull};
use kernel::{
    alloc::Flags,
    prelude::*,
    types::{NotThreadSafe, Opaque},
};

/// The memory cgroup of whoever has made something in a namespace that is not the
/// system's own; nobody's, for what the administrator has made.
///
/// # Invariants
///
/// We have a count of it.
pub(crate) struct MemoryCgroup(Option<NonNull<Opaque<bindings::mem_cgroup>>>);

// SAFETY: Counts of a cgroup are not bound to a thread.
unsafe impl Send for MemoryCgroup {}
// SAFETY: To charge it is to use its own atomic counters.
unsafe impl Sync for MemoryCgroup {}

impl MemoryCgroup {
    /// That of the calling process, if somebody else than the system's administrator owns
    /// the namespace. Process context.
    pub(crate) fn of_caller(net: &Net) -> Self {
        if net.has_initial_owner() {
            return Self(None);
        }
        // SAFETY: A process calls, and what we get is counted; null where there are none.
        let memcg = unsafe { bindings::mem_cgroup_of_current() };
        Self(NonNull::new(memcg.cast()))
    }

    /// How softirqs ask for memory that is charged to it.
    #[inline]
    pub(crate) fn atomic(&self) -> Flags {
        match self.0 {
            // Not GFP_ATOMIC, for which limits do not count.
            Some(_) => GFP_NOWAIT | (GFP_KERNEL_ACCOUNT & !GFP_KERNEL),
            None => GFP_ATOMIC,
        }
    }

    /// Until this is dropped, what is asked for so here is charged to it. Any context but
    /// hard interrupts; it is dropped in the same.
    pub(crate) fn charge(&self) -> Charged<'_> {
        let before = self.0.map(|memcg| {
            // SAFETY: By the type invariant it stays for as long as `self`, and so for as
            // long as the guard.
            unsafe { bindings::set_active_memcg(memcg.as_ptr().cast()) }
        });
        Charged {
            before,
            _cgroup: PhantomData,
            _not_send: NotThreadSafe,
        }
    }
}

impl Drop for MemoryCgroup {
    fn drop(&mut self) {
        if let Some(memcg) = self.0 {
            // SAFETY: By the type invariant we have a count, and give it up.
            unsafe { bindings::mem_cgroup_put(memcg.as_ptr().cast()) };
        }
    }
}

/// As long as this is there, memory is charged to a [`MemoryCgroup`].
pub(crate) struct Charged<'a> {
    before: Option<*mut bindings::mem_cgroup>,
    _cgroup: PhantomData<&'a MemoryCgroup>,
    _not_send: NotThreadSafe,
}

impl Drop for Charged<'_> {
    fn drop(&mut self) {
        if let Some(before) = self.before {
            // SAFETY: It was the active one before, here, and whoever set it sees to it
            // that it stays.
            unsafe { bindings::set_active_memcg(before) };
        }
    }
}
