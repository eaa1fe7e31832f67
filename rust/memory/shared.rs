// SPDX-License-Identifier: GPL-2.0

//! A value for the whole module, and whose namespace this is.

use super::{adapter::net::Net, bindings};
use core::ptr;
use kernel::{
    prelude::*,
    sync::atomic::{Acquire, Atomic, Release},
};

/// A place for one value, to be kept in a static.
pub(crate) struct Shared<T: 'static>(Atomic<*mut T>);

impl<T: Sync + Send> Shared<T> {
    /// An empty place.
    pub(crate) const fn new() -> Self {
        Self(Atomic::new(ptr::null_mut()))
    }

    /// Puts a value there, which stays until the guard is dropped: when the module goes,
    /// and nobody can look for it any more. Once, when it is loaded.
    pub(crate) fn set(&'static self, value: Pin<KBox<T>>) -> Set<T> {
        // SAFETY: Nobody moves it: what is given out are references.
        let raw = KBox::into_raw(unsafe { Pin::into_inner_unchecked(value) });
        self.0.store(raw, Release);
        Set(self)
    }

    /// The value, if it is there.
    pub(crate) fn get(&self) -> Option<&T> {
        // SAFETY: It is there for as long as anybody can call this.
        unsafe { self.0.load(Acquire).as_ref() }
    }
}

/// Keeps a value in its place.
pub(crate) struct Set<T: Sync + Send + 'static>(&'static Shared<T>);

impl<T: Sync + Send> Drop for Set<T> {
    fn drop(&mut self) {
        let raw = self.0 .0.load(Acquire);
        self.0 .0.store(ptr::null_mut(), Release);
        // SAFETY: `set` has made it of a pinned box; nobody can have it any more.
        drop(unsafe { Pin::new_unchecked(KBox::from_raw(raw)) });
    }
}

impl Net {
    /// Whether it is the namespace of the process that runs.
    pub(crate) fn is_current(&self) -> bool {
        // SAFETY: This is process context, where there is one.
        ptr::eq(unsafe { bindings::current_net() }, self.as_ptr())
    }
}
