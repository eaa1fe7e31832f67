// SPDX-License-Identifier: GPL-2.0

//! Events of devices and their IP addresses (notifier chains).

use super::{
    bindings, inet6,
    inet6addr::Inet6Addr,
    inetaddr,
    inetaddr::InetAddr,
    netdevice::{Device, MacAddress},
    netlink::Extack,
    once::{Once, OnceGuard},
    rtnl::Rtnl,
};
use core::{cell::UnsafeCell, marker::PhantomData, net::Ipv6Addr};
use kernel::{error::to_result, prelude::*, sync::rcu};

/// What happened to a device; the rest is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeviceEvent {
    /// It was set up.
    Up,
    /// It is being set down, and can still send.
    GoingDown,
    /// It was set down.
    Down,
    /// Its MTU changed.
    Mtu,
    /// It has another link-layer address.
    Address,
    /// It has moved to another port of the switch, or the like: neighbours are to be
    /// told.
    NotifyPeers,
    /// Its link or flags changed.
    Change,
    /// It is new, or new in the namespace.
    Register,
    /// It has another name.
    Name,
    /// It leaves: references must be given back now. Also when it moves to
    /// another namespace.
    Unregister,
}

/// A receiver of events.
pub(crate) trait Notified: 'static {
    /// Something happened to a device.
    fn device(event: DeviceEvent, dev: &Device, rtnl: &Rtnl);

    /// A device is about to become one of another type. Whether it may.
    fn may_change_type(dev: &Device, rtnl: &Rtnl) -> bool;

    /// The administrator gives a device a link-layer address; it is about to be set.
    ///
    /// # Errors
    ///
    /// Refuse it; the user is told.
    fn mac_wanted(dev: &Device, mac: &MacAddress, extack: &Extack<'_>, rtnl: &Rtnl) -> Result {
        let _ = (dev, mac, extack, rtnl);
        Ok(())
    }

    /// An IPv4 address is about to be added.
    ///
    /// # Errors
    ///
    /// Refuse it; the user is told.
    fn address_wanted(dev: &Device, extack: &Extack<'_>, rtnl: &Rtnl) -> Result;

    /// The metric of the routes to the networks of the device's IPv4 addresses where
    /// the user gave none; `None` leaves it to the kernel.
    ///
    /// The address itself goes on to say that none was given. Otherwise `ip address
    /// replace`, which gives none either, would make it 0 again, and tell nobody
    /// (`inet_rtm_newaddr`).
    fn route_metric(dev: &Device, rtnl: &Rtnl) -> Option<u32> {
        let _ = (dev, rtnl);
        None
    }

    /// An IPv4 address was added, its route not yet. Told once more of one that succeeds
    /// the first of its network, which was removed (`promote_secondaries`).
    fn address_added(dev: &Device, address: &InetAddr, rtnl: &Rtnl);

    /// An IPv4 address was removed.
    fn address_removed(dev: &Device, address: &InetAddr, rtnl: &Rtnl);

    /// An IPv6 address is about to be added, by the user or by the kernel under
    /// RTNL; not asked for those that router advertisements bring, in softirqs
    /// (`ipv6_add_addr` with `can_block` false). IPv6 knows the device by now. May
    /// sleep.
    ///
    /// # Errors
    ///
    /// Refuse it; the user is told.
    fn address6_wanted(
        dev: &Device,
        address: Ipv6Addr,
        extack: &Extack<'_>,
        rtnl: &Rtnl,
    ) -> Result {
        let _ = (dev, address, extack, rtnl);
        Ok(())
    }

    /// An IPv6 address was added: it is in the device's list, its routes and
    /// duplicate address detection come next. Must not sleep: the chain is an atomic
    /// one, called under RTNL for users and from softirqs for router advertisements;
    /// no lock is held.
    ///
    /// A metric in return makes it an address that is used as it is, without duplicate
    /// address detection (`IFA_F_NODAD`), and whose network's route gets the metric,
    /// if the user gave none. Its local route is set a little later, by a work item
    /// (`addrconf_dad_work`), whatever the device's state.
    fn address6_added(dev: &Device, address: &Inet6Addr, rcu: &rcu::Guard) -> Option<u32> {
        let _ = (dev, address, rcu);
        None
    }

    /// An IPv6 address was removed: it is in the device's list no more, or passed
    /// over there. Under RTNL, but must not sleep. Not told of addresses that the
    /// kernel keeps while the device is down (`keep_addr_on_down`).
    fn address6_removed(dev: &Device, address: &Inet6Addr, rcu: &rcu::Guard) {
        let _ = (dev, address, rcu);
    }
}

/// The registration of a [`Notified`], to be kept in a static.
pub(crate) struct Notifiers<T> {
    before_up: UnsafeCell<bindings::notifier_block>,
    device: UnsafeCell<bindings::notifier_block>,
    after_address: UnsafeCell<bindings::notifier_block>,
    address: UnsafeCell<bindings::notifier_block>,
    validator: UnsafeCell<bindings::notifier_block>,
    address6: UnsafeCell<bindings::notifier_block>,
    validator6: UnsafeCell<bindings::notifier_block>,
    once: Once,
    _receiver: PhantomData<fn() -> T>,
}

// SAFETY: The blocks are touched by the kernel alone, under its own locks.
unsafe impl<T> Sync for Notifiers<T> {}

const fn block(
    call: unsafe extern "C" fn(*mut bindings::notifier_block, c_ulong, *mut c_void) -> c_int,
    priority: c_int,
) -> UnsafeCell<bindings::notifier_block> {
    UnsafeCell::new(bindings::notifier_block {
        notifier_call: Some(call),
        next: core::ptr::null_mut(),
        priority,
    })
}

impl<T: Notified> Notifiers<T> {
    /// A registration that is not in place yet.
    pub(crate) const fn new() -> Self {
        Self {
            // The routing table hears of devices and addresses at 0, and of those at 0
            // it is the first, for it was there before any module.
            before_up: block(before_up::<T>, 1),
            device: block(device::<T>, 0),
            address: block(address::<T>, 1),
            after_address: block(after_address, 0),
            validator: block(validator::<T>, 0),
            address6: block(address6::<T>, 0),
            validator6: block(validator6::<T>, 0),
            once: Once::new(),
            _receiver: PhantomData,
        }
    }

    /// Receives events until the returned guard is dropped. Process context, may
    /// sleep.
    pub(crate) fn register(&'static self) -> Result<Registered<T>> {
        let registered = Registered {
            _once: self.once.claim()?,
            notifiers: self,
        };
        // SAFETY: The blocks live in a static, and there is no other guard. What is
        // dropped on an error unregisters blocks that are not registered, which
        // the kernel finds out by itself.
        unsafe {
            to_result(bindings::register_inetaddr_validator_notifier(
                self.validator.get(),
            ))?;
            to_result(bindings::register_inetaddr_notifier(self.address.get()))?;
            to_result(bindings::register_inetaddr_notifier(
                self.after_address.get(),
            ))?;
            to_result(bindings::register_inet6addr_validator_notifier(
                self.validator6.get(),
            ))?;
            to_result(bindings::register_inet6addr_notifier(self.address6.get()))?;
            to_result(bindings::register_netdevice_notifier(self.before_up.get()))?;
            to_result(bindings::register_netdevice_notifier(self.device.get()))?;
            Ok(registered)
        }
    }
}

/// Keeps [`Notifiers`] registered.
pub(crate) struct Registered<T: Notified> {
    notifiers: &'static Notifiers<T>,
    _once: OnceGuard,
}

impl<T: Notified> Drop for Registered<T> {
    fn drop(&mut self) {
        // SAFETY: The blocks are registered, or the kernel says that they are not.
        unsafe {
            bindings::unregister_netdevice_notifier(self.notifiers.device.get());
            bindings::unregister_netdevice_notifier(self.notifiers.before_up.get());
            bindings::unregister_inet6addr_notifier(self.notifiers.address6.get());
            bindings::unregister_inet6addr_validator_notifier(self.notifiers.validator6.get());
            bindings::unregister_inetaddr_notifier(self.notifiers.after_address.get());
            bindings::unregister_inetaddr_notifier(self.notifiers.address.get());
            bindings::unregister_inetaddr_validator_notifier(self.notifiers.validator.get());
        }
    }
}

const NOTIFY_DONE: c_int = 0;
/// `notifier_from_errno` with its stop bit.
const NOTIFY_STOP_MASK: c_int = 0x8000;
const NOTIFY_OK: c_int = 1;
const NOTIFY_BAD: c_int = NOTIFY_STOP_MASK | 2;

/// `notifier_from_errno`
fn from_result(result: Result) -> c_int {
    match result {
        Ok(()) => NOTIFY_DONE,
        Err(error) => NOTIFY_STOP_MASK | NOTIFY_OK.wrapping_sub(error.to_errno()),
    }
}

/// # Safety
///
/// Only the kernel may call it, as a netdevice notifier.
unsafe extern "C" fn device<T: Notified>(
    _block: *mut bindings::notifier_block,
    event: c_ulong,
    info: *mut c_void,
) -> c_int {
    let event = match u32::try_from(event).unwrap_or(0) {
        bindings::netdev_cmd_NETDEV_PRE_TYPE_CHANGE => {
            // SAFETY: The kernel passes a live device, under RTNL.
            let may = unsafe {
                let dev = bindings::netdev_notifier_info_to_dev(info.cast());
                T::may_change_type(Device::from_raw(dev), &Rtnl::assume_held())
            };
            return if may { NOTIFY_DONE } else { NOTIFY_BAD };
        }
        bindings::netdev_cmd_NETDEV_PRE_CHANGEADDR => {
            let change: *mut bindings::netdev_notifier_pre_changeaddr_info = info.cast();
            // SAFETY: The kernel passes a live device, under RTNL, and an address of its
            // length, which is looked at before it is read.
            let result = unsafe {
                let dev = (*change).info.dev;
                if u32::from((*dev).addr_len) != bindings::ETH_ALEN {
                    return NOTIFY_DONE;
                }
                T::mac_wanted(
                    Device::from_raw(dev),
                    &*(*change).dev_addr.cast(),
                    &Extack::from_raw((*change).info.extack),
                    &Rtnl::assume_held(),
                )
            };
            return from_result(result);
        }
        bindings::netdev_cmd_NETDEV_UP => DeviceEvent::Up,
        bindings::netdev_cmd_NETDEV_GOING_DOWN => DeviceEvent::GoingDown,
        bindings::netdev_cmd_NETDEV_DOWN => DeviceEvent::Down,
        bindings::netdev_cmd_NETDEV_NOTIFY_PEERS => DeviceEvent::NotifyPeers,
        bindings::netdev_cmd_NETDEV_CHANGEMTU => DeviceEvent::Mtu,
        bindings::netdev_cmd_NETDEV_CHANGEADDR => DeviceEvent::Address,
        bindings::netdev_cmd_NETDEV_CHANGE => DeviceEvent::Change,
        bindings::netdev_cmd_NETDEV_CHANGENAME => DeviceEvent::Name,
        bindings::netdev_cmd_NETDEV_REGISTER => DeviceEvent::Register,
        bindings::netdev_cmd_NETDEV_UNREGISTER => DeviceEvent::Unregister,
        _ => return NOTIFY_DONE,
    };
    // SAFETY: The kernel passes a live device; these events come under RTNL.
    let (dev, rtnl) = unsafe {
        (
            Device::from_raw(bindings::netdev_notifier_info_to_dev(info.cast())),
            Rtnl::assume_held(),
        )
    };
    T::device(event, dev, &rtnl);
    if event == DeviceEvent::Up {
        if T::route_metric(dev, &rtnl).is_some() {
            dev.take_metrics_back(&rtnl);
        }
    }
    NOTIFY_DONE
}

/// # Safety
///
/// Only the kernel may call it, as a netdevice notifier.
unsafe extern "C" fn before_up<T: Notified>(
    _block: *mut bindings::notifier_block,
    event: c_ulong,
    info: *mut c_void,
) -> c_int {
    if u32::try_from(event).unwrap_or(0) != bindings::netdev_cmd_NETDEV_UP {
        return NOTIFY_DONE;
    }
    // SAFETY: The kernel passes a live device, under RTNL.
    let (dev, rtnl) = unsafe {
        (
            Device::from_raw(bindings::netdev_notifier_info_to_dev(info.cast())),
            Rtnl::assume_held(),
        )
    };
    if let Some(metric) = T::route_metric(dev, &rtnl) {
        dev.lend_metrics(metric, &rtnl);
    }
    NOTIFY_DONE
}

/// # Safety
///
/// Only the kernel may call it, as an inetaddr notifier.
unsafe extern "C" fn address<T: Notified>(
    _block: *mut bindings::notifier_block,
    event: c_ulong,
    ifa: *mut c_void,
) -> c_int {
    let ifa: *mut bindings::in_ifaddr = ifa.cast();
    // SAFETY: The kernel passes a live address of a live device, under RTNL.
    let (dev, local, rtnl) = unsafe {
        (
            Device::from_raw((*(*ifa).ifa_dev).dev),
            InetAddr::from_raw(ifa),
            Rtnl::assume_held(),
        )
    };
    match u32::try_from(event).unwrap_or(0) {
        bindings::netdev_cmd_NETDEV_UP => {
            T::address_added(dev, local, &rtnl);
            if let Some(metric) = T::route_metric(dev, &rtnl) {
                // SAFETY: The kernel passes a live address, under RTNL.
                inetaddr::lend_metric(unsafe { &mut *ifa }, metric);
            }
        }
        bindings::netdev_cmd_NETDEV_DOWN => T::address_removed(dev, local, &rtnl),
        _ => {}
    }
    NOTIFY_DONE
}

/// # Safety
///
/// Only the kernel may call it, as an inetaddr notifier.
unsafe extern "C" fn after_address(
    _block: *mut bindings::notifier_block,
    event: c_ulong,
    ifa: *mut c_void,
) -> c_int {
    if u32::try_from(event).unwrap_or(0) != bindings::netdev_cmd_NETDEV_UP {
        return NOTIFY_DONE;
    }
    let ifa: *mut bindings::in_ifaddr = ifa.cast();
    // SAFETY: The kernel passes a live address, under RTNL.
    inetaddr::take_metric_back(unsafe { &mut *ifa });
    NOTIFY_DONE
}

/// # Safety
///
/// Only the kernel may call it, as an inetaddr validator.
unsafe extern "C" fn validator<T: Notified>(
    _block: *mut bindings::notifier_block,
    event: c_ulong,
    info: *mut c_void,
) -> c_int {
    if u32::try_from(event).unwrap_or(0) != bindings::netdev_cmd_NETDEV_UP {
        return NOTIFY_DONE;
    }
    let info: *mut bindings::in_validator_info = info.cast();
    // SAFETY: The kernel passes a live device, under RTNL.
    let (dev, extack, rtnl) = unsafe {
        (
            Device::from_raw((*(*info).ivi_dev).dev),
            Extack::from_raw((*info).extack),
            Rtnl::assume_held(),
        )
    };
    from_result(T::address_wanted(dev, &extack, &rtnl))
}

/// # Safety
///
/// Only the kernel may call it, as an inet6addr notifier.
unsafe extern "C" fn address6<T: Notified>(
    _block: *mut bindings::notifier_block,
    event: c_ulong,
    ifa: *mut c_void,
) -> c_int {
    let rcu = rcu::Guard::new();
    let ifa: *mut bindings::inet6_ifaddr = ifa.cast();
    // SAFETY: The kernel passes a live address of a live device.
    let (dev, address) = unsafe {
        (
            Device::from_raw((*(*ifa).idev).dev),
            Inet6Addr::from_raw(ifa),
        )
    };
    match u32::try_from(event).unwrap_or(0) {
        bindings::netdev_cmd_NETDEV_UP => {
            if let Some(metric) = T::address6_added(dev, address, &rcu) {
                let tentative = bindings::IFA_F_TENTATIVE | bindings::IFA_F_OPTIMISTIC;
                // SAFETY: The address is alive. Its lock, which softirqs take as
                // well, is not held; it guards the flags. Nobody has made the route
                // yet.
                unsafe {
                    bindings::spin_lock_bh(&raw mut (*ifa).lock);
                    (*ifa).flags = ((*ifa).flags | bindings::IFA_F_NODAD) & !tentative;
                    bindings::spin_unlock_bh(&raw mut (*ifa).lock);
                    if (*ifa).rt_priority == 0 {
                        (*ifa).rt_priority = metric;
                    }
                }
            }
        }
        bindings::netdev_cmd_NETDEV_DOWN => T::address6_removed(dev, address, &rcu),
        _ => {}
    }
    NOTIFY_DONE
}

/// # Safety
///
/// Only the kernel may call it, as an inet6addr validator.
unsafe extern "C" fn validator6<T: Notified>(
    _block: *mut bindings::notifier_block,
    event: c_ulong,
    info: *mut c_void,
) -> c_int {
    if u32::try_from(event).unwrap_or(0) != bindings::netdev_cmd_NETDEV_UP {
        return NOTIFY_DONE;
    }
    let info: *mut bindings::in6_validator_info = info.cast();
    // SAFETY: The kernel passes a live device. All callers of `ipv6_add_addr` that can
    // block hold RTNL.
    let (dev, address, extack, rtnl) = unsafe {
        (
            Device::from_raw((*(*info).i6vi_dev).dev),
            inet6::from_raw(&(*info).i6vi_addr),
            Extack::from_raw((*info).extack),
            Rtnl::assume_held(),
        )
    };
    from_result(T::address6_wanted(dev, address, &extack, &rtnl))
}
