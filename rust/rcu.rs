// SPDX-License-Identifier: GPL-2.0

//! A place that holds a value which readers find under RCU.
//!
//! The kernel crate (as of 7.3) has RCU's read lock, `synchronize_rcu` and `rcu_barrier`, but
//! neither a pointer that is read under the lock nor `call_rcu`, which drops what nobody reads
//! any more without waiting. 7.2 has no `rcu_barrier` either ([`super::compat`]).

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

/// A place for one `T`, read without a lock.
///
/// Readers get it under the RCU lock; a value that is taken out is dropped after
/// all readers that may have seen it are done, in softirq context, without
/// anybody waiting.
///
/// # Invariants
///
/// The pointer is null or a node that came from a box and that this place owns.
pub(crate) struct RcuSlot<T: Send + Sync> {
    node: Atomic<*mut Node<T>>,
    _owns: PhantomData<T>,
}

/// A value on its way into an [`RcuSlot`].
pub(crate) struct Prepared<T>(KBox<Node<T>>);

// SAFETY: The value may go to another thread, and the head is nobody's until it is queued.
unsafe impl<T: Send> Send for Prepared<T> {}

impl<T: Send + Sync + 'static> Prepared<T> {
    /// The value, which stays where it is.
    pub(super) fn value(&self) -> &T {
        &self.0.value
    }

    /// Drops the value after a grace period, without anybody waiting: readers found it by
    /// another way than an [`RcuSlot`].
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

/// The lock as a caller's own callers hold it: to take it once more would cost more than
/// most packets do.
///
/// # Safety
///
/// RCU's read lock is held for `'a`.
pub(super) unsafe fn held<'a>() -> &'a rcu::Guard {
    // SAFETY: The guard has no size, so that any pointer is one to it. It says that RCU is
    // held, which the caller sees to; it is borrowed, so it is not given back.
    unsafe { ptr::NonNull::dangling().as_ref() }
}

impl<T: Send + Sync + 'static> RcuSlot<T> {
    /// Makes an empty place where it is to be.
    pub(crate) fn init() -> impl Init<Self> {
        init!(Self {
            node: Atomic::new(ptr::null_mut()),
            _owns: PhantomData,
        })
    }

    /// An empty place.
    pub(crate) const fn new() -> Self {
        Self {
            node: Atomic::new(ptr::null_mut()),
            _owns: PhantomData,
        }
    }

    /// Makes room for a value that is to be put in later, when nothing may fail.
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

    /// Puts a value in; what was there before is dropped after a grace period.
    pub(crate) fn put(&self, value: Prepared<T>) {
        self.swap(KBox::into_raw(value.0));
    }

    /// Empties the place; what was there is dropped after a grace period.
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
        // SAFETY: A node stays in memory for a grace period after it left this
        // place, and the RCU lock is held for `'a`. The load pairs with the exchange in `swap`.
        unsafe { rcu_dereference(self.node.as_ptr()).as_ref() }.map(|node| &node.value)
    }
}

impl<T: Send + Sync> Drop for RcuSlot<T> {
    fn drop(&mut self) {
        let node = *self.node.get_mut();
        if !node.is_null() {
            // SAFETY: Nobody can read the place any more, so nobody the node; it
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

/// Waits, on drop, until every value that was taken out of a place is dropped.
///
/// The module keeps one to the very end: the functions that drop the values are
/// its own code.
pub(crate) struct Barrier;

impl Drop for Barrier {
    fn drop(&mut self) {
        rcu_barrier();
    }
}
