// SPDX-License-Identifier: GPL-2.0

//! Entries with a count, and what stands for a packet.

use super::{
    adapter::table::{Held, Plain, Stolen},
    bindings,
};
use core::{ops::Deref, ptr::NonNull};
use kernel::{
    prelude::*,
    sync::{
        aref::{ARef, AlwaysRefCounted},
        Refcount,
    },
    types::Opaque,
};

/// A value with a count.
#[pin_data]
pub(crate) struct Counted<T> {
    count: Refcount,
    #[pin]
    value: T,
}

// SAFETY: The memory goes with the last count.
unsafe impl<T> AlwaysRefCounted for Counted<T> {
    fn inc_ref(&self) {
        self.count.inc();
    }

    unsafe fn dec_ref(obj: NonNull<Self>) {
        // SAFETY: The caller gives up a count, so the memory is there; with the last one
        // it is ours, a box as `new` has made it.
        unsafe {
            if obj.as_ref().count.dec_and_test() {
                drop(Pin::new_unchecked(KBox::from_raw(obj.as_ptr())));
            }
        }
    }
}

impl<T> Counted<T> {
    /// A value with one count. Any context but hard interrupts.
    ///
    /// # Errors
    ///
    /// Out of memory.
    pub(crate) fn new(value: impl PinInit<T>) -> Result<ARef<Self>> {
        let counted = KBox::pin_init(
            pin_init!(Self {
                count: Refcount::new(1),
                value <- value,
            }),
            GFP_ATOMIC,
        )?;
        // SAFETY: It stays where it is: nobody gets it otherwise than pinned. The count
        // is given to what is returned.
        unsafe {
            let raw = KBox::into_raw(Pin::into_inner_unchecked(counted));
            Ok(ARef::from_raw(NonNull::new_unchecked(raw)))
        }
    }
}

impl<T> Deref for Counted<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// What is known of an entry, without its master.
pub(crate) struct Record(Plain);

// SAFETY: The only pointer in it is null.
unsafe impl Send for Record {}

impl Record {
    /// Without the master.
    pub(crate) fn new(plain: &Plain) -> Self {
        let mut plain = *plain;
        plain.master = core::ptr::null_mut();
        Self(plain)
    }
}

impl Deref for Record {
    type Target = Plain;

    fn deref(&self) -> &Plain {
        &self.0
    }
}

/// An entry of which nothing is known yet.
pub(crate) fn blank() -> Plain {
    // SAFETY: All zeroes is a valid value.
    unsafe { core::mem::zeroed() }
}

/// What stands for a packet that may be held.
#[repr(C)]
pub(crate) struct Token<T> {
    // First, so that a pointer to it is a pointer to the whole.
    held: Opaque<bindings::pfsync_held>,
    value: T,
}

// SAFETY: The field belongs to the holder, who may be anywhere.
unsafe impl<T: Send> Send for Token<T> {}

// SAFETY: `pfsync_held` is the first field of a `repr(C)` structure.
unsafe impl<T: Send> Held for Token<T> {}

impl<T: Send> Token<T> {
    /// A packet; nothing, if there is no memory.
    pub(crate) fn new(value: T) -> Option<KBox<Self>> {
        let token = Self {
            held: Opaque::uninit(),
            value,
        };
        KBox::new(token, GFP_ATOMIC).ok()
    }

    /// What it stands for.
    pub(crate) fn value(stolen: Stolen<Self>) -> T {
        KBox::into_inner(stolen.into_inner()).value
    }
}
