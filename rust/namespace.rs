// SPDX-License-Identifier: GPL-2.0

//! Network namespaces and state of one's own in each (`pernet_operations`).

use super::{
    bindings,
    netdevice::Device,
    once::{Once, OnceGuard},
    rtnl::Rtnl,
};
use core::{
    cell::UnsafeCell,
    marker::{PhantomData, PhantomPinned},
    ptr,
};
use kernel::{
    error::to_result,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        rcu,
    },
    types::Opaque,
};

/// A network namespace (`struct net`) that is alive.
#[repr(transparent)]
pub(crate) struct Net(Opaque<bindings::net>);

// SAFETY: The methods only use what the kernel lets any thread use.
unsafe impl Sync for Net {}

impl Net {
    /// # Safety
    ///
    /// `ptr` is a namespace that stays alive for `'a`.
    pub(super) unsafe fn from_raw<'a>(ptr: *mut bindings::net) -> &'a Self {
        // SAFETY: The caller promises a live namespace; the type is transparent.
        unsafe { &*ptr.cast() }
    }

    pub(super) fn as_ptr(&self) -> *mut bindings::net {
        self.0.get()
    }

    /// All namespaces that there are. Any context.
    pub(crate) fn walk(_rcu: &rcu::Guard) -> impl Iterator<Item = &Self> {
        let mut last = ptr::null_mut();
        core::iter::from_fn(move || {
            // SAFETY: The RCU lock is held, which keeps a namespace's memory, and its
            // place in the list, as long as the guard lives.
            last = unsafe { bindings::net_next_rcu(last) };
            // SAFETY: As above.
            (!last.is_null()).then(|| unsafe { Self::from_raw(last) })
        })
        .fuse()
    }

    /// Its loopback device. Any context.
    pub(crate) fn loopback<'a>(&'a self, _rcu: &'a rcu::Guard) -> &'a Device {
        // SAFETY: `self` is a live namespace, whose loopback device leaves last of all.
        unsafe { Device::from_raw(bindings::net_loopback_dev(self.as_ptr())) }
    }

    /// A number that no other namespace has or will have.
    pub(crate) fn cookie(&self) -> u64 {
        // SAFETY: A plain field of a live namespace, written once.
        unsafe { bindings::net_cookie(self.as_ptr()) }
    }

    /// Whether everybody who may administer this namespace may administer `other`, too:
    /// its user namespace is the other's, or one above that.
    pub(crate) fn governs(&self, other: &Self) -> bool {
        // SAFETY: Both are live namespaces, which hold their user namespaces.
        unsafe { bindings::net_governs(self.as_ptr(), other.as_ptr()) }
    }

    /// Whether it is the machine's own, and not one that anybody may have made.
    pub(crate) fn is_initial(&self) -> bool {
        // SAFETY: `self` is a live namespace.
        unsafe { bindings::net_is_initial(self.as_ptr()) }
    }

    /// Whether it is owned by the initial user namespace: its administrators are the
    /// machine's.
    pub(crate) fn has_initial_owner(&self) -> bool {
        // SAFETY: `self` is a live namespace.
        unsafe { bindings::net_has_initial_owner(self.as_ptr()) }
    }

    /// The number by which this namespace knows `other`, made if there is none yet; a
    /// negative one, if there is no memory for it. Any context.
    pub(crate) fn id_of(&self, other: &Self) -> i32 {
        // SAFETY: Both are live namespaces.
        unsafe {
            bindings::peernet2id_alloc(self.as_ptr(), other.as_ptr(), kernel::bindings::GFP_ATOMIC)
        }
    }

    /// The module's state in this namespace.
    ///
    /// Nothing where the registration is not (or no longer) in place, which
    /// only callbacks that race with the module's start can see.
    pub(crate) fn state<T: NetState>(&self) -> Option<&T> {
        // SAFETY: The identifier is written once, before the first `init`.
        let id = unsafe { *T::registration().id.get() };
        if id == 0 {
            return None;
        }
        // SAFETY: `id` was given out for a slot of this type, whose memory lives
        // as long as the namespace.
        let slot = unsafe { bindings::net_generic(self.as_ptr(), id) }.cast::<Slot<T>>();
        if slot.is_null() {
            return None;
        }
        // SAFETY: The kernel allocated the slot zeroed, and `init` and `exit` are
        // its only writers; `exit` runs when no device is left in the namespace.
        let state = unsafe { (*slot).0 };
        // SAFETY: A pointer that is not null came from a box that `exit` frees.
        unsafe { state.as_ref() }
    }
}

impl PartialEq for Net {
    fn eq(&self, other: &Self) -> bool {
        core::ptr::eq(self, other)
    }
}

/// State that every namespace has one of while the module is loaded.
pub(crate) trait NetState: Sized + Send + Sync + 'static {
    /// The static that registers this type.
    fn registration() -> &'static Registration<Self>;

    /// Makes the state of a new namespace. Process context, may sleep.
    fn new(net: &Net) -> Result<Pin<KBox<Self>>>;
}

/// What lies in the namespace's memory: a pointer, so that the state may be
/// pinned and dropped like any other.
struct Slot<T>(*mut T);

/// Where a part of a [`NetState`] is registered: in that state's namespace, or not at all.
///
/// # Invariants
///
/// `net` is null, or the namespace in whose state this lies, and with it what it is part of. It
/// stays there until it is dropped, for it is pinned: [`Self::new`] is the only way to have one.
/// The state is dropped while the namespace is alive.
#[pin_data]
pub(super) struct NetPlace {
    /// Changes under RTNL.
    net: Atomic<*mut bindings::net>,
    #[pin]
    _pinned: PhantomPinned,
}

// SAFETY: The pointer is used only while the namespace is alive, by any thread.
unsafe impl Send for NetPlace {}
// SAFETY: What changes changes under RTNL.
unsafe impl Sync for NetPlace {}

impl NetPlace {
    /// Nowhere.
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            // INVARIANT: It is null.
            net: Atomic::new(ptr::null_mut()),
            _pinned: PhantomPinned,
        })
    }

    /// Registers what this is part of in `net`, by a function that returns an error or 0.
    ///
    /// # Errors
    ///
    /// EEXIST: it is registered already. EINVAL: it is no part of `net`'s `S`. Or the
    /// function's.
    pub(super) fn enter<S: NetState>(
        &self,
        net: &Net,
        rtnl: &Rtnl,
        register: impl FnOnce(*mut bindings::net) -> c_int,
    ) -> Result {
        if self.is_taken(rtnl) {
            return Err(EEXIST);
        }
        let state = net
            .state::<S>()
            .map_or(0, |state| ptr::from_ref(state) as usize);
        let offset = (ptr::from_ref(self) as usize).checked_sub(state);
        if offset.is_none_or(|offset| offset >= size_of::<S>()) {
            return Err(EINVAL);
        }
        to_result(register(net.as_ptr()))?;
        // INVARIANT: The state of this namespace has it.
        self.net.store(net.as_ptr(), Relaxed);
        Ok(())
    }

    /// Whether it is registered.
    pub(super) fn is_taken(&self, _rtnl: &Rtnl) -> bool {
        !self.net.load(Relaxed).is_null()
    }

    /// Takes [`Self::enter`] back, if there was one, by a function that gets the namespace.
    pub(super) fn leave(&self, _rtnl: &Rtnl, unregister: impl FnOnce(*mut bindings::net)) {
        if let Some(net) = self.last() {
            self.net.store(ptr::null_mut(), Relaxed);
            unregister(net);
        }
    }

    /// Where it is registered: for who holds RTNL, or drops it. Alive.
    pub(super) fn last(&self) -> Option<*mut bindings::net> {
        Some(self.net.load(Relaxed)).filter(|net| !net.is_null())
    }
}

/// The registration of a [`NetState`], to be kept in a static.
pub(crate) struct Registration<T> {
    ops: UnsafeCell<bindings::pernet_operations>,
    id: UnsafeCell<u32>,
    once: Once,
    _state: PhantomData<T>,
}

// SAFETY: `ops` is touched by the kernel alone under its own lock, `id` written
// once before any reader.
unsafe impl<T> Sync for Registration<T> {}

impl<T: NetState> Registration<T> {
    /// A registration that is not in place yet.
    pub(crate) const fn new() -> Self {
        Self {
            // SAFETY: All zeroes is a valid `pernet_operations`.
            ops: UnsafeCell::new(unsafe { core::mem::zeroed() }),
            id: UnsafeCell::new(0),
            once: Once::new(),
            _state: PhantomData,
        }
    }

    /// Makes the state of every namespace there is and will be, until the
    /// returned guard is dropped. Process context, may sleep.
    ///
    /// # Errors
    ///
    /// EEXIST: it is registered already. Or that of a namespace's [`NetState::new`].
    pub(crate) fn register(&'static self) -> Result<Registered<T>> {
        let once = self.once.claim()?;
        // SAFETY: Nobody else uses `ops`: there is no other guard.
        // `id` and `size` are not to be changed later; they are const in C.
        unsafe {
            let ops = self.ops.get();
            ptr::write(
                ops,
                bindings::pernet_operations {
                    init: Some(init::<T>),
                    exit: Some(exit::<T>),
                    id: self.id.get(),
                    size: size_of::<Slot<T>>(),
                    ..core::mem::zeroed()
                },
            );
            to_result(bindings::register_pernet_subsys(ops))?;
        }
        Ok(Registered {
            registration: self,
            _once: once,
        })
    }
}

/// Keeps a [`Registration`] in place.
pub(crate) struct Registered<T: NetState> {
    registration: &'static Registration<T>,
    _once: OnceGuard,
}

impl<T: NetState> Drop for Registered<T> {
    fn drop(&mut self) {
        // SAFETY: `register` has registered these operations.
        unsafe { bindings::unregister_pernet_subsys(self.registration.ops.get()) }
    }
}

/// # Safety
///
/// Only the kernel may call it, as `pernet_operations.init`.
unsafe extern "C" fn init<T: NetState>(net: *mut bindings::net) -> c_int {
    // SAFETY: The kernel passes a live namespace.
    let net = unsafe { Net::from_raw(net) };
    match T::new(net) {
        Ok(state) => {
            // SAFETY: `id` was written before the first `init`; the slot is ours.
            // The box stays where it is, so unpinning the pointer is fine.
            unsafe {
                let slot = bindings::net_generic(net.as_ptr(), *T::registration().id.get());
                (*slot.cast::<Slot<T>>()).0 = KBox::into_raw(Pin::into_inner_unchecked(state));
            }
            0
        }
        Err(error) => error.to_errno(),
    }
}

/// # Safety
///
/// Only the kernel may call it, as `pernet_operations.exit`.
unsafe extern "C" fn exit<T: NetState>(net: *mut bindings::net) {
    // SAFETY: The kernel passes a namespace for which `init` succeeded, once; its
    // devices are gone, so nobody looks for the state any more.
    unsafe {
        let slot = bindings::net_generic(net, *T::registration().id.get()).cast::<Slot<T>>();
        let state = ptr::replace(&raw mut (*slot).0, ptr::null_mut());
        drop(KBox::from_raw(state));
    }
}
