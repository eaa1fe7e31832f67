// SPDX-License-Identifier: GPL-2.0

//! A look at every packet that a device receives (`netdev_rx_handler_register`).

use super::{bindings, netdevice::Device, netlink::Extack, rtnl::Rtnl, skbuff_rx::RxSkb};
use core::mem::ManuallyDrop;
use kernel::{
    error::to_result,
    prelude::*,
    sync::{rcu, Arc},
};

/// What becomes of a packet.
pub(crate) enum Verdict<'a> {
    /// It goes on, on the device that it came in on.
    Pass(RxSkb<'a>),
    /// It goes on, as if it had come in on the device that it names now.
    Another(RxSkb<'a>),
    /// It was dropped or kept.
    Consumed,
}

/// Who looks at the packets of a device.
pub(crate) trait RxHandler: Send + Sync + 'static {
    /// A packet came in on `dev`. Softirq context, no lock; the caller holds RCU.
    fn receive<'a>(&'a self, dev: &'a Device, skb: RxSkb<'a>, rcu: &'a rcu::Guard) -> Verdict<'a>;
}

/// Puts a handler on a device, which can have only one. The device keeps one count
/// of the handler until [`unregister`].
///
/// # Errors
///
/// EBUSY, and words for the user, if the device has a handler already: a bridge
/// port, a bond's member, a parent of macvlan. EINVAL: it is not Ethernet, or lets nobody look.
pub(crate) fn register<T: RxHandler>(
    dev: &Device,
    handler: Arc<T>,
    extack: &Extack<'_>,
    _rtnl: &Rtnl,
) -> Result {
    if !dev.is_ethernet() {
        return Err(extack.error(EINVAL, format_args!("{} is not Ethernet", dev.name())));
    }
    let data = handler.into_raw();
    if dev.refuses_rx_handlers() {
        // SAFETY: The pointer came from `into_raw` and was not taken.
        drop(unsafe { Arc::from_raw(data) });
        return Err(extack.error(
            EINVAL,
            format_args!("{} lets nobody look at its packets", dev.name()),
        ));
    }
    // SAFETY: `dev` is live, RTNL is held; `data` stays valid until `unregister`.
    let registered = to_result(unsafe {
        bindings::netdev_rx_handler_register(
            dev.as_ptr(),
            Some(receive::<T>),
            data.cast_mut().cast(),
        )
    });
    registered.map_err(|error| {
        // SAFETY: The pointer came from `into_raw` and was not taken.
        drop(unsafe { Arc::from_raw(data) });
        extack.error(
            error,
            format_args!(
                "{} is taken: it is a port of a bridge, bond, team or macvlan",
                dev.name()
            ),
        )
    })
}

/// Takes the handler off a device and returns the device's count of it. Waits
/// until no packet is with it any more.
pub(crate) fn unregister<T: RxHandler>(dev: &Device, rtnl: &Rtnl) -> Option<Arc<T>> {
    let data = pointer::<T>(dev)?;
    let _ = rtnl;
    // SAFETY: The device's handler is ours, RTNL is held.
    unsafe { bindings::netdev_rx_handler_unregister(dev.as_ptr()) };
    // SAFETY: The count that `register` gave to the device.
    Some(unsafe { Arc::from_raw(data) })
}

fn pointer<T: RxHandler>(dev: &Device) -> Option<*const T> {
    let ours: unsafe extern "C" fn(*mut *mut bindings::sk_buff) -> u32 = receive::<T>;
    // SAFETY: `dev` is live, RCU or RTNL is held by the callers.
    unsafe {
        let handler = bindings::rx_handler(dev.as_ptr())?;
        if handler as usize != ours as usize {
            return None;
        }
        let data = bindings::rx_handler_data(dev.as_ptr());
        (!data.is_null()).then_some(data.cast::<T>().cast_const())
    }
}

/// The handler of a device, if it is of this type.
pub(crate) fn get<T: RxHandler>(dev: &Device, _rtnl: &Rtnl) -> Option<Arc<T>> {
    let data = pointer::<T>(dev)?;
    // SAFETY: RTNL keeps the handler in place; the device's own count is not
    // touched by borrowing it.
    let handler = ManuallyDrop::new(unsafe { Arc::from_raw(data) });
    Some(Arc::clone(&handler))
}

/// The handler of a device, if it is of this type. Any context.
pub(crate) fn get_rcu<'a, T: RxHandler>(dev: &'a Device, _rcu: &'a rcu::Guard) -> Option<&'a T> {
    let data = pointer::<T>(dev)?;
    // SAFETY: Unregistering waits for RCU before the device's count is given up.
    Some(unsafe { &*data })
}

/// # Safety
///
/// Only the kernel may call it, as an rx handler that [`register`] has set.
unsafe extern "C" fn receive<T: RxHandler>(
    pskb: *mut *mut bindings::sk_buff,
) -> bindings::rx_handler_result_t {
    // SAFETY: The kernel passes a packet of ours now, on a device with this
    // handler, under RCU.
    let (this, device, skb) = unsafe {
        let skb = *pskb;
        // Read in place, for every packet of the device comes this way. RCU's
        // dependency ordering is that of a volatile load.
        let dev = (*skb)
            .__bindgen_anon_1
            .__bindgen_anon_1
            .__bindgen_anon_1
            .dev;
        let data = (&raw const (*dev).rx_handler_data).read_volatile();
        let data: *const T = data.cast::<T>().cast_const();
        (&*data, Device::from_raw(dev), RxSkb::from_raw(skb))
    };
    // SAFETY: As above.
    let rcu = unsafe { super::rcu::held() };
    let (skb, result) = match this.receive(device, skb, rcu) {
        Verdict::Pass(skb) => (skb.into_raw(), bindings::rx_handler_result_RX_HANDLER_PASS),
        Verdict::Another(skb) => (
            skb.into_raw(),
            bindings::rx_handler_result_RX_HANDLER_ANOTHER,
        ),
        Verdict::Consumed => return bindings::rx_handler_result_RX_HANDLER_CONSUMED,
    };
    // SAFETY: The place belongs to the caller, who waits for us.
    unsafe { *pskb = skb };
    result
}
