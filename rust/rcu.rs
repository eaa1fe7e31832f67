// SPDX-License-Identifier: GPL-2.0

//! A slot that holds a value for RCU readers.
//!
//! The kernel crate (as of 7.3) has RCU's read lock, `synchronize_rcu` and `rcu_barrier`,
//! but neither a pointer that is read under the lock nor `call_rcu`, which frees a value
//! after a grace period without waiting. 7.2 has no `rcu_barrier` either
//! ([`super::compat`]).

use super::{bindings, compat::rcu_barrier, rwonce::rcu_dereference};
use core::{marker::PhantomData, ptr};
use kernel::{
    prelude::*,
    sync::{
        atomic::{Atomic, Full},
        rcu,
    },
    types::Opaque,
};

/// A slot for one `T` that is read without a lock.
///
/// Readers borrow the value under the RCU read lock. A value that is replaced or removed
/// is dropped after a grace period, in softirq context; nobody waits for that.
///
/// # Invariants
///
/// The pointer is null, or it is a node that came from a box and that this slot owns.
pub(crate) struct RcuSlot<T: Send + Sync> {
    node: Atomic<*mut Node<T>>,
    _owns: PhantomData<T>,
}

/// A value that is allocated for an [`RcuSlot`] but not yet in it.
pub(crate) struct Prepared<T>(KBox<Node<T>>);

// SAFETY: The value may be sent to another thread, and nothing uses the head until it is
// queued.
unsafe impl<T: Send> Send for Prepared<T> {}

impl<T: Send + Sync + 'static> Prepared<T> {
    /// Borrows the value. Its address stays the same when it is put into a slot.
    pub(super) fn value(&self) -> &T {
        &self.0.value
    }

    /// Drops the value after a grace period, without waiting. For a value that readers
    /// found by other means than an [`RcuSlot`].
    pub(super) fn retire(self) {
        let slot = RcuSlot::new();
        slot.put(self);
        slot.clear();
    }
}

#[repr(C)]
struct Node<T> {
    // First, so that a pointer to it is a pointer to the node.
    head: Opaque<bindings::callback_head>,
    value: T,
}

/// A guard for the RCU read lock that a caller further up holds already. Taking the lock
/// once more would cost more than the rest of the work for most packets.
///
/// # Safety
///
/// RCU's read lock is held for `'a`.
pub(super) unsafe fn held<'a>() -> &'a rcu::Guard {
    // SAFETY: The guard has size zero, so any aligned pointer is valid for it. It is
    // evidence that RCU's read lock is held, which the caller guarantees; it is only
    // borrowed, so its `drop` does not unlock.
    unsafe { ptr::NonNull::dangling().as_ref() }
}

impl<T: Send + Sync + 'static> RcuSlot<T> {
    /// Makes an empty slot in place.
    pub(crate) fn init() -> impl Init<Self> {
        init!(Self {
            node: Atomic::new(ptr::null_mut()),
            _owns: PhantomData,
        })
    }

    /// An empty slot.
    pub(crate) const fn new() -> Self {
        Self {
            node: Atomic::new(ptr::null_mut()),
            _owns: PhantomData,
        }
    }

    /// Allocates a value that is put in later, when nothing may fail.
    ///
    /// # Errors
    ///
    /// Out of memory; the value is dropped.
    pub(crate) fn prepare(value: T) -> Result<Prepared<T>> {
        let node = KBox::new(
            Node {
                head: Opaque::uninit(),
                value,
            },
            GFP_KERNEL_ACCOUNT,
        )?;
        Ok(Prepared(node))
    }

    /// Replaces the value; the old one is dropped after a grace period.
    pub(crate) fn put(&self, value: Prepared<T>) {
        self.swap(KBox::into_raw(value.0));
    }

    /// Empties the slot; the old value is dropped after a grace period.
    pub(crate) fn clear(&self) {
        self.swap(ptr::null_mut());
    }

    fn swap(&self, new: *mut Node<T>) {
        let old = self.node.xchg(new, Full);
        if !old.is_null() {
            // SAFETY: By the type invariant the node was ours, and no reader can
            // find it any more; `head` is its first field.
            unsafe { bindings::call_rcu((*old).head.get(), Some(release::<T>)) };
        }
    }

    /// The value, if there is one.
    pub(crate) fn get<'a>(&'a self, _rcu: &'a rcu::Guard) -> Option<&'a T> {
        // SAFETY: A node stays in memory for a grace period after it was removed from
        // this slot, and the RCU read lock is held for `'a`. The load pairs with the
        // exchange in `swap`.
        unsafe { rcu_dereference(self.node.as_ptr()).as_ref() }.map(|node| &node.value)
    }
}

impl<T: Send + Sync> Drop for RcuSlot<T> {
    fn drop(&mut self) {
        let node = *self.node.get_mut();
        if !node.is_null() {
            // SAFETY: Nobody can read the slot any more, so nobody can have the node; it
            // is ours by the type invariant.
            drop(unsafe { KBox::from_raw(node) });
        }
    }
}

/// # Safety
///
/// Only the kernel may call it, as an RCU callback that [`RcuSlot::swap`] has queued.
unsafe extern "C" fn release<T>(head: *mut bindings::callback_head) {
    // SAFETY: `head` is the first field of a node that came from a box; the grace
    // period is over.
    drop(unsafe { KBox::from_raw(head.cast::<Node<T>>()) });
}

/// Waits, on drop, until every value that was removed from a slot is dropped
/// (`rcu_barrier`).
///
/// The module drops it last: the functions that drop the values are the module's code.
pub(crate) struct Barrier;

impl Drop for Barrier {
    fn drop(&mut self) {
        rcu_barrier();
    }
}
