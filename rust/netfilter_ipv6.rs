// SPDX-License-Identifier: GPL-2.0

//! Netfilter's input chain for IPv6 packets that are handled before IPv6 sees them.

use super::{
    bindings,
    netdevice::Device,
    skbuff_rx::{RxSkb, UniqueRxSkb},
};
use kernel::{prelude::*, sync::rcu};

/// Who handles packets that the input chain lets through.
pub(crate) trait Ipv6Input: 'static {
    /// A packet that [`input`] was given for `dev` passed. Softirq; RCU read lock held. It
    /// may be later, as a queue (NFQUEUE) may have held it.
    fn accepted(dev: &Device, skb: RxSkb<'_>, rcu: &rcu::Guard);
}

/// Sends a packet without extension headers, which `dev` received, through the input chain
/// (`ip6_input`), and then to `T`. Softirq; RCU read lock held.
///
/// A queue drops what it holds when a hook is unregistered in the namespace
/// (`nf_queue_nf_hook_drop`): so the module that has `T` must have one that it unregisters
/// after nobody calls this any more.
pub(crate) fn input<T: Ipv6Input>(dev: &Device, skb: UniqueRxSkb<'_>) {
    let net = dev.net().as_ptr();
    let skb = RxSkb::from(skb).into_raw();
    // SAFETY: The buffer is ours and given away, with its network header in place; it names
    // `dev` as its device. The function is called with it, or it is dropped.
    unsafe {
        bindings::skb_prepare_ipv6_input(skb, dev.as_ptr());
        bindings::nf_hook_ipv6_input(net, skb, dev.as_ptr(), Some(accepted::<T>));
    }
}

/// # Safety
///
/// Only the kernel may call it, as the function that follows [`input`]'s hooks.
unsafe extern "C" fn accepted<T: Ipv6Input>(
    _net: *mut bindings::net,
    _sock: *mut bindings::sock,
    skb: *mut bindings::sk_buff,
) -> c_int {
    let rcu = rcu::Guard::new();
    // SAFETY: The kernel hands the packet over, which has the headers that it had, whatever a
    // queue did to what is behind them; its device is alive under RCU.
    unsafe {
        let skb = RxSkb::from_raw(skb);
        T::accepted(Device::from_raw(skb.device()), skb, &rcu);
    }
    0
}
