// SPDX-License-Identifier: GPL-2.0

//! Network namespaces and state of one's own in each (`pernet_operations`).

use super::{
    atomic::read_once,
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
        atomic::{Atomic, Relaxed, Release},
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

    /// The module's state in this namespace; nothing where the registration is not in place
    /// (yet, or any more).
    pub(crate) fn state<'a, T: NetState>(&'a self, _held: impl Into<Held<'a>>) -> Option<&'a T> {
        let id = read_once(&T::registration().published);
        if id == 0 {
            return None;
        }
        // SAFETY: `id` is that of the registration, which is in place and stays so for as
        // long as what the caller holds: `Registered::drop` waits for it.
        let slot = unsafe { bindings::net_generic(self.as_ptr(), id) }.cast::<Slot<T>>();
        if slot.is_null() {
            return None;
        }
        // SAFETY: The kernel allocated the slot zeroed, and `init` and `exit` are its only
        // writers: the former before the identifier was published, or before the namespace
        // was; the latter when the namespace dies, or the registration goes.
        let state = unsafe { (*slot).0 };
        // SAFETY: A pointer that is not null came from a box that `exit` frees. The namespace
        // is alive, and the registration as above.
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
            .state::<S>(rtnl)
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

/// Evidence that what was found in a namespace stays where it is: RCU's read lock, or RTNL.
pub(crate) struct Held<'a>(PhantomData<&'a ()>);

impl<'a> From<&'a rcu::Guard> for Held<'a> {
    fn from(_rcu: &'a rcu::Guard) -> Self {
        Self(PhantomData)
    }
}

impl<'a> From<&'a Rtnl> for Held<'a> {
    fn from(_rtnl: &'a Rtnl) -> Self {
        Self(PhantomData)
    }
}

/// The registration of a [`NetState`], to be kept in a static.
///
/// # Invariants
///
/// `published` is 0 or `id`, that of operations that are registered. After it has become 0 they
/// are so until everybody who holds RCU's read lock or RTNL at that moment has let go.
pub(crate) struct Registration<T> {
    ops: UnsafeCell<bindings::pernet_operations>,
    /// Written by the kernel when `ops` are registered.
    id: UnsafeCell<u32>,
    published: Atomic<u32>,
    once: Once,
    _state: PhantomData<T>,
}

// SAFETY: `ops` and `id` are touched by the kernel alone under its own lock, and by its
// callbacks.
unsafe impl<T> Sync for Registration<T> {}

impl<T: NetState> Registration<T> {
    /// A registration that is not in place yet.
    pub(crate) const fn new() -> Self {
        Self {
            // SAFETY: All zeroes is a valid `pernet_operations`.
            ops: UnsafeCell::new(unsafe { core::mem::zeroed() }),
            id: UnsafeCell::new(0),
            published: Atomic::new(0),
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
            // INVARIANT: They are registered. Whoever sees the identifier sees the states.
            self.published.store(*self.id.get(), Release);
        }
        Ok(Registered {
            registration: self,
            _once: once,
        })
    }
}

/// Keeps a [`Registration`] in place. It is dropped in process context, without RTNL.
pub(crate) struct Registered<T: NetState> {
    registration: &'static Registration<T>,
    _once: OnceGuard,
}

impl<T: NetState> Drop for Registered<T> {
    fn drop(&mut self) {
        // INVARIANT: Who holds RTNL now keeps this waiting below, and who holds RCU's read
        // lock keeps the kernel waiting, which calls `exit` after a grace period
        // (`ops_undo_list`).
        self.registration.published.store(0, Relaxed);
        // SAFETY: It is process context, and a registration is not dropped under RTNL, as
        // that would not end. `register` has registered these operations.
        unsafe {
            bindings::rtnl_lock();
            bindings::rtnl_unlock();
            bindings::unregister_pernet_subsys(self.registration.ops.get());
        }
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
