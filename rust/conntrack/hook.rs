// SPDX-License-Identifier: GPL-2.0

//! Netfilter hooks where packets end their way through a namespace: at the host
//! itself, or on their way out, also out of a bridge.

use super::{
    adapter::net::Net,
    bindings,
    packet::{Packet, Verdict},
};
use core::{marker::PhantomData, ptr};
use kernel::{
    error::to_result,
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
    types::Opaque,
};

/// Who sees packets.
pub(crate) trait Watcher: Send + Sync + Sized + 'static {
    /// A packet is at the end of its way, but for connection tracking's own last
    /// hooks. RCU is held; in softirq or process context, in the latter with softirqs
    /// on.
    fn pass(&self, packet: Packet<'_>) -> Verdict;
}

/// Before everything that connection tracking does at the end: the SYN proxy and,
/// for IPv6 that comes in, confirmation are one before the last place. Among hooks of
/// the same priority the newest would come first.
const PRIORITY: c_int = c_int::MAX - 2;

/// The bridge's one is for what it forwards: what goes up to the host, or comes from it,
/// comes by the others.
const PLACES: [(u32, u32); 4 + BRIDGE] = [
    (
        bindings::NFPROTO_IPV4,
        bindings::nf_inet_hooks_NF_INET_LOCAL_IN,
    ),
    (
        bindings::NFPROTO_IPV4,
        bindings::nf_inet_hooks_NF_INET_POST_ROUTING,
    ),
    (
        bindings::NFPROTO_IPV6,
        bindings::nf_inet_hooks_NF_INET_LOCAL_IN,
    ),
    (
        bindings::NFPROTO_IPV6,
        bindings::nf_inet_hooks_NF_INET_POST_ROUTING,
    ),
    #[cfg(CONFIG_NETFILTER_FAMILY_BRIDGE)]
    (bindings::NFPROTO_BRIDGE, bindings::NF_BR_POST_ROUTING),
];

/// How many of the places are the bridge's.
const BRIDGE: usize = cfg!(CONFIG_NETFILTER_FAMILY_BRIDGE) as usize;

/// The hooks of one watcher in one namespace.
pub(crate) struct Hooks<T> {
    ops: Opaque<[bindings::nf_hook_ops; PLACES.len()]>,
    net: &'static Net,
    registered: Atomic<bool>,
    _watcher: PhantomData<fn() -> T>,
}

// SAFETY: `ops` is touched while nothing is registered, and by the kernel under its
// own lock.
unsafe impl<T> Send for Hooks<T> {}
// SAFETY: The same.
unsafe impl<T> Sync for Hooks<T> {}

impl<T: Watcher> Hooks<T> {
    /// Hooks that are not registered yet.
    pub(crate) fn new(net: &'static Net) -> Self {
        Self {
            // SAFETY: All zeroes is a valid `nf_hook_ops`.
            ops: Opaque::new(unsafe { core::mem::zeroed() }),
            net,
            registered: Atomic::new(false),
            _watcher: PhantomData,
        }
    }

    /// Registers the hooks, once. Process context, may sleep.
    ///
    /// # Errors
    ///
    /// Out of memory.
    ///
    /// # Safety
    ///
    /// `self` is part of `watcher`, which stays where it is until [`Self::unregister`]
    /// has returned.
    pub(super) unsafe fn register(&self, watcher: *const T) -> Result {
        let ops = self.ops.get();
        // SAFETY: Nothing is registered yet, so the operations are ours; the caller
        // promises that they stay where they are. If one fails, the others are taken back
        // without waiting for packets that may be with them.
        let registered = unsafe {
            for (op, (family, hook)) in (*ops).iter_mut().zip(PLACES) {
                op.hook = Some(pass::<T>);
                op.priv_ = watcher.cast_mut().cast();
                op.pf = family as u8;
                op.hooknum = hook;
                op.priority = PRIORITY;
            }
            let first = ops.cast::<bindings::nf_hook_ops>();
            to_result(bindings::nf_register_net_hooks(
                self.net.as_ptr(),
                first,
                PLACES.len() as u32,
            ))
            .inspect_err(|_| bindings::synchronize_net())
        };
        registered?;
        self.registered.store(true, Relaxed);
        Ok(())
    }

    /// Takes the hooks back, and waits until no packet is with them. Process context,
    /// may sleep.
    pub(super) fn unregister(&self) {
        if !self.registered.load(Relaxed) {
            return;
        }
        self.registered.store(false, Relaxed);
        // SAFETY: `register` has registered them. Taking them back does not wait for
        // packets, but these are under RCU.
        unsafe {
            bindings::nf_unregister_net_hooks(
                self.net.as_ptr(),
                self.ops.get().cast::<bindings::nf_hook_ops>(),
                PLACES.len() as u32,
            );
            bindings::synchronize_net();
        }
    }
}

/// A watcher and its hooks, in one.
pub(crate) struct Watched<T: Watcher> {
    watcher: T,
    hooks: Hooks<T>,
}

impl<T: Watcher> Watched<T> {
    /// Lets the watcher see the packets of a namespace until the value is dropped.
    /// Process context, may sleep, also when it is dropped.
    ///
    /// # Errors
    ///
    /// Out of memory.
    pub(crate) fn new(net: &'static Net, watcher: T) -> Result<Pin<KBox<Self>>> {
        let hooks = Hooks::new(net);
        let this = KBox::pin(Self { watcher, hooks }, GFP_KERNEL)?;
        // SAFETY: The box is pinned, and `drop` unregisters.
        unsafe { this.hooks.register(ptr::from_ref(&this.watcher))? };
        Ok(this)
    }

    /// Who sees the packets.
    pub(crate) fn watcher(&self) -> &T {
        &self.watcher
    }
}

impl<T: Watcher> Drop for Watched<T> {
    fn drop(&mut self) {
        self.hooks.unregister();
    }
}

/// # Safety
///
/// Only the kernel may call it, as a hook that [`Hooks::register`] has registered.
unsafe extern "C" fn pass<T: Watcher>(
    watcher: *mut c_void,
    skb: *mut bindings::sk_buff,
    state: *const bindings::nf_hook_state,
) -> c_uint {
    // SAFETY: The watcher is there until the hook is taken back; the kernel passes a
    // valid packet and state.
    let (watcher, packet) = unsafe { (&*watcher.cast::<T>(), Packet::from_raw(skb, &*state)) };
    match watcher.pass(packet) {
        Verdict::Accept => bindings::NF_ACCEPT,
        Verdict::Drop => bindings::NF_DROP,
        Verdict::Stolen => bindings::NF_STOLEN,
        Verdict::Sent(result) => {
            // `nf_hook_slow` gives it to its caller, who takes 1 for "send it", and would send
            // a packet that is gone. `NET_XMIT_DROP` is 1, too; as an error it is ENOBUFS
            // (`net_xmit_errno`).
            let result = match result {
                // The crate names it only since 7.3.
                1 => -(kernel::bindings::ENOBUFS as c_int),
                other => other,
            };
            bindings::NF_STOLEN | (result.wrapping_neg() << bindings::NF_VERDICT_QBITS) as c_uint
        }
    }
}
