// SPDX-License-Identifier: GPL-2.0

//! Rx handlers, which see every packet that a device receives
//! (`netdev_rx_handler_register`).

use super::{
    bindings, netdevice::Device, netlink::Extack, rtnl::Rtnl, rwonce::rcu_dereference,
    skbuff_rx::RxSkb,
};
use core::{marker::PhantomData, mem::ManuallyDrop, ops::Deref, ptr};
use kernel::{
    error::to_result,
    prelude::*,
    sync::{rcu, Arc},
};

/// The result of an rx handler (`rx_handler_result_t`).
pub(crate) enum Verdict<'a> {
    /// The device that it came in on receives it (RX_HANDLER_PASS).
    Pass(RxSkb<'a>),
    /// The device that `skb->dev` names now receives it (RX_HANDLER_ANOTHER).
    Another(RxSkb<'a>),
    /// The handler has consumed it (RX_HANDLER_CONSUMED).
    Consumed,
}

/// An rx handler.
pub(crate) trait RxHandler: Send + Sync + 'static {
    /// The static that identifies handlers of this type.
    fn kind() -> &'static Kind<Self>
    where
        Self: Sized;

    /// Handles a packet that came in on `dev`. Softirq context, no lock; the caller holds
    /// RCU.
    fn receive<'a>(&'a self, dev: &'a Device, skb: RxSkb<'a>, rcu: &'a rcu::Guard) -> Verdict<'a>;
}

/// One type of handlers, to be kept in a static.
///
/// The kernel identifies a handler by the address of its function. A generic function may
/// have several addresses, or share one with another function. So this static holds the
/// address with which handlers of a type are registered, and the data of a handler begin
/// with the address of this static.
pub(crate) struct Kind<T> {
    function: unsafe extern "C" fn(*mut *mut bindings::sk_buff) -> bindings::rx_handler_result_t,
    _handler: PhantomData<fn() -> T>,
}

impl<T: RxHandler> Kind<T> {
    /// Makes the kind of `T`.
    pub(crate) const fn new() -> Self {
        Self {
            function: receive::<T>,
            _handler: PhantomData,
        }
    }
}

/// A handler as it is registered on a device.
///
/// # Invariants
///
/// `kind` is the address of the [`Kind`] of `T`.
#[pin_data]
#[repr(C)]
pub(crate) struct Handler<T: RxHandler> {
    // First, so that it can be read before the type is known.
    kind: *const c_void,
    #[pin]
    handler: T,
}

// SAFETY: The pointer is that of a static.
unsafe impl<T: RxHandler> Send for Handler<T> {}
// SAFETY: As above.
unsafe impl<T: RxHandler> Sync for Handler<T> {}

impl<T: RxHandler> Handler<T> {
    /// Makes one in place.
    pub(crate) fn new<E>(handler: impl PinInit<T, E>) -> impl PinInit<Self, E>
    where
        E: From<core::convert::Infallible>,
    {
        try_pin_init!(Self {
            kind: ptr::from_ref(T::kind()).cast(),
            handler <- handler,
        }? E)
    }
}

impl<T: RxHandler> Deref for Handler<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.handler
    }
}

/// Registers a handler on a device, which can have only one. The device holds a reference
/// to the handler until [`unregister`].
///
/// # Errors
///
/// EBUSY, with an extack message, if the device has a handler already: it is a bridge
/// port, a bond's member or a parent of macvlan. EINVAL if it is not Ethernet or does not
/// allow rx handlers.
pub(crate) fn register<T: RxHandler>(
    dev: &Device,
    handler: Arc<Handler<T>>,
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
            Some(T::kind().function),
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

/// Unregisters the handler of a device, and returns the device's reference to it. Waits
/// until no packet is in the handler any more.
pub(crate) fn unregister<T: RxHandler>(dev: &Device, _rtnl: &Rtnl) -> Option<Arc<Handler<T>>> {
    let data = pointer::<T>(dev)?;
    // SAFETY: The device's handler is ours, RTNL is held.
    unsafe { bindings::netdev_rx_handler_unregister(dev.as_ptr()) };
    // SAFETY: The reference that `register` gave to the device.
    Some(unsafe { Arc::from_raw(data) })
}

fn pointer<T: RxHandler>(dev: &Device) -> Option<*const Handler<T>> {
    let kind = T::kind();
    // SAFETY: `dev` is live, RCU or RTNL is held by the callers. A function of a `Kind` was
    // registered by `register` alone, so there are data, a `Handler` of some type.
    unsafe {
        let function = bindings::rx_handler(dev.as_ptr())?;
        if function as usize != kind.function as usize {
            return None;
        }
        let data = bindings::rx_handler_data(dev.as_ptr());
        let is_ours = !data.is_null() && ptr::addr_eq(*data.cast::<*const c_void>(), kind);
        is_ours.then(|| data.cast::<Handler<T>>().cast_const())
    }
}

/// The handler of a device, if it is of this type.
pub(crate) fn get<T: RxHandler>(dev: &Device, _rtnl: &Rtnl) -> Option<Arc<Handler<T>>> {
    let data = pointer::<T>(dev)?;
    // SAFETY: RTNL keeps the handler registered; borrowing it does not change the
    // device's reference.
    let handler = ManuallyDrop::new(unsafe { Arc::from_raw(data) });
    Some(Arc::clone(&handler))
}

/// The handler of a device, if it is of this type. Any context.
pub(crate) fn get_rcu<'a, T: RxHandler>(dev: &'a Device, _rcu: &'a rcu::Guard) -> Option<&'a T> {
    let data = pointer::<T>(dev)?;
    // SAFETY: Unregistering waits for an RCU grace period before the device's reference
    // is dropped.
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
        // Read in place, because every packet of the device passes here.
        let dev = bindings::skb_dev(skb);
        let data = rcu_dereference(&raw const (*dev).rx_handler_data);
        let data: *const Handler<T> = data.cast::<Handler<T>>().cast_const();
        (&*data, Device::from_raw(dev), RxSkb::from_raw(skb))
    };
    // SAFETY: As above.
    let rcu = unsafe { super::rcu::held() };
    let (skb, result) = match this.handler.receive(device, skb, rcu) {
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
