// SPDX-License-Identifier: GPL-2.0

//! A netfilter hook at the ingress of a device (`NF_NETDEV_INGRESS`), before all others
//! there: flowtables forward what they know without anybody behind them seeing it.

use super::{
    bindings,
    netdevice::Device,
    rcu::{Prepared, RcuSlot},
    rtnl::Rtnl,
    rx_handler::{self, RxHandler},
    skbuff_rx::RxSkb,
};
use core::{marker::PhantomData, mem::ManuallyDrop};
use kernel::{error::to_result, prelude::*, sync::aref::ARef, sync::rcu, types::Opaque};

/// An rx handler that also has a say before it gets a packet.
pub(crate) trait IngressFilter: RxHandler {
    /// Whether a packet that came in on `dev` is dropped. Others may share the buffer, which
    /// is only read. Softirq; RCU read lock held.
    fn drops(&self, dev: &Device, skb: &RxSkb<'_>, rcu: &rcu::Guard) -> bool;
}

struct Ops(Opaque<bindings::nf_hook_ops>);

// SAFETY: Nobody writes to it once it is registered.
unsafe impl Send for Ops {}
// SAFETY: As above.
unsafe impl Sync for Ops {}

/// The hook of a device whose rx handler is a `T`; dropping it takes the hook off.
///
/// # Invariants
///
/// `ops` is in the list of hooks of `dev` (`nf_hooks_ingress`), with which it moves to another
/// namespace. The count of `dev` keeps both: whoever has the hook drops it on
/// NETDEV_UNREGISTER, or the device never goes.
pub(crate) struct IngressHook<T> {
    dev: ARef<Device>,
    ops: Option<Prepared<Ops>>,
    _filter: PhantomData<fn() -> T>,
}

impl<T: IngressFilter> IngressHook<T> {
    /// Puts the hook on a device. Process context, may sleep.
    ///
    /// # Errors
    ///
    /// Out of memory.
    pub(crate) fn register(dev: &Device, _rtnl: &Rtnl) -> Result<Self> {
        let ops = RcuSlot::prepare(Ops(Opaque::new(bindings::nf_hook_ops {
            hook: Some(ingress::<T>),
            dev: dev.as_ptr(),
            pf: bindings::NFPROTO_NETDEV as u8,
            hooknum: bindings::nf_dev_hooks_NF_NETDEV_INGRESS,
            priority: c_int::MIN,
            // SAFETY: All zeroes is a valid `nf_hook_ops`.
            ..unsafe { core::mem::zeroed() }
        })))?;
        // SAFETY: The device is live and in this namespace, as RTNL is held. The operations
        // stay where they are for a grace period after they are taken back.
        to_result(unsafe {
            bindings::nf_register_net_hooks(dev.net().as_ptr(), ops.value().0.get(), 1)
        })?;
        Ok(Self {
            dev: dev.hold(),
            ops: Some(ops),
            _filter: PhantomData,
        })
    }
}

impl<T> Drop for IngressHook<T> {
    fn drop(&mut self) {
        if let Some(ops) = self.ops.take() {
            // SAFETY: By the type invariant they are in the device's list, which is found by
            // way of the namespace that the device is in now (`nf_hook_entry_head`).
            unsafe {
                bindings::nf_unregister_net_hooks(self.dev.net().as_ptr(), ops.value().0.get(), 1);
            }
            // Whoever lists hooks reads them under RCU.
            ops.retire();
        }
    }
}

/// # Safety
///
/// Only the kernel may call it, as an `NF_NETDEV_INGRESS` hook.
unsafe extern "C" fn ingress<T: IngressFilter>(
    _private: *mut c_void,
    skb: *mut bindings::sk_buff,
    state: *const bindings::nf_hook_state,
) -> c_uint {
    // SAFETY: The kernel passes a live device, and a packet that stays its own: the value is
    // not dropped. RCU is held.
    let (dev, skb, rcu) = unsafe {
        (
            Device::from_raw((*state).in_),
            ManuallyDrop::new(RxSkb::from_raw(skb)),
            super::rcu::held(),
        )
    };
    let drops = rx_handler::get_rcu::<T>(dev, rcu).is_some_and(|this| this.drops(dev, &skb, rcu));
    if drops {
        bindings::NF_DROP
    } else {
        bindings::NF_ACCEPT
    }
}
