// SPDX-License-Identifier: GPL-2.0

//! Netfilter hooks of a namespace (`nf_register_net_hooks`).

use super::{
    bindings,
    namespace::{Net, NetPlace, NetState},
    rtnl::Rtnl,
};
use core::marker::PhantomData;
use kernel::prelude::*;

/// The functions that are hooked together, and where.
///
/// # Safety
///
/// [`Self::OPS`] are operations that the kernel may call in any namespace, at any time.
pub(super) unsafe trait HookSet: 'static {
    /// The operations. The kernel keeps pointers to them, and never writes to them.
    const OPS: &'static [bindings::nf_hook_ops];
}

/// A set of hooks in one namespace, off at first. A part of the module's state there
/// ([`NetState`]); dropping it takes the hooks off.
///
/// # Invariants
///
/// `ops` are registered in the namespace that `place` names, if it does.
#[pin_data(PinnedDrop)]
pub(crate) struct Hooks<T> {
    #[pin]
    place: NetPlace,
    /// [`HookSet::OPS`]: the kernel knows them by their address, of which a constant may have
    /// several.
    ops: &'static [bindings::nf_hook_ops],
    _set: PhantomData<fn() -> T>,
}

// SAFETY: The operations are never written.
unsafe impl<T> Send for Hooks<T> {}
// SAFETY: As above.
unsafe impl<T> Sync for Hooks<T> {}

#[expect(private_bounds, reason = "sets are made in this folder alone")]
impl<T: HookSet> Hooks<T> {
    /// Hooks that are off.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            place <- NetPlace::new(),
            ops: T::OPS,
            _set: PhantomData,
        })
    }

    /// Registers the hooks in `net`. Process context, may sleep.
    ///
    /// # Errors
    ///
    /// Out of memory; and those of [`NetPlace::enter`].
    pub(crate) fn register<S: NetState>(&self, net: &Net, rtnl: &Rtnl) -> Result {
        // INVARIANT: They are registered there, or the place stays empty.
        self.place.enter::<S>(net, rtnl, |net| {
            // SAFETY: The namespace is alive, and the operations live in a static.
            unsafe {
                bindings::nf_register_net_hooks(net, self.ops.as_ptr(), self.ops.len() as u32)
            }
        })
    }
}

impl<T> Hooks<T> {
    /// Whether the hooks are registered.
    pub(crate) fn is_registered(&self, rtnl: &Rtnl) -> bool {
        self.place.is_taken(rtnl)
    }

    /// Takes the hooks off, if they are registered. Process context, may sleep.
    pub(crate) fn unregister(&self, rtnl: &Rtnl) {
        self.place.leave(rtnl, |net| self.take_off(net));
    }

    /// Only for what `place` names, which is alive.
    fn take_off(&self, net: *mut bindings::net) {
        // SAFETY: By the type invariant they are registered there.
        unsafe {
            bindings::nf_unregister_net_hooks(net, self.ops.as_ptr(), self.ops.len() as u32);
        }
    }
}

#[pinned_drop]
impl<T> PinnedDrop for Hooks<T> {
    fn drop(self: Pin<&mut Self>) {
        // Nobody else has a reference.
        if let Some(net) = self.place.last() {
            self.take_off(net);
        }
    }
}
