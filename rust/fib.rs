// SPDX-License-Identifier: GPL-2.0

//! Routes through a device of one's own that can carry nothing for now, although it
//! has link: they are to be passed over, so that others are taken.
//!
//! The kernel has all that is needed for devices that lose their link. Their
//! nexthops are marked (`RTNH_F_LINKDOWN`), and a look-up passes over marked ones
//! where the device's `ignore_routes_with_linkdown` says so. A device that is dormant
//! keeps its link. IPv6 marks the routes of such a one as well when it hears
//! NETDEV_CHANGE (`addrconf_link_ready`), IPv4 does not (`fib_netdev_event`), and
//! neither does so with a route that is added later. What is here does the rest.
//! Unmarking is the kernel's: on the first NETDEV_CHANGE after the device came up.
//!
//! Marks change under RTNL (IPv4) or the table's lock (IPv6). A device that becomes
//! usable in a softirq does not wait for either: its routes are not passed over any
//! more ([`OwnDevice::use_marked_routes`]), and the marks go later.
//!
//! Source: `fib_sync_down_dev` and `fib_rebalance` in `net/ipv4/fib_semantics.c`,
//! `fib_lookup_good_nhc` in `net/ipv4/fib_trie.c`, `find_match` and `fib6_ifdown` in
//! `net/ipv6/route.c`.

use super::{
    bindings,
    namespace::{Net, NetPlace, NetState},
    netdevice::Device,
    netdevice_ops::{Driver, OwnDevice},
    rtnl::Rtnl,
    rwonce::{read_once, write_once},
};
use core::{marker::PhantomData, mem::offset_of, slice};
use kernel::{prelude::*, sync::rcu, types::Opaque};

const DEAD: u8 = bindings::RTNH_F_DEAD as u8;
const LINKDOWN: u8 = bindings::RTNH_F_LINKDOWN as u8;
/// The scope of nexthops of local addresses, which no link is needed for.
const LOCAL: u8 = bindings::rt_scope_t_RT_SCOPE_NOWHERE as u8;

/// `ignore_routes_with_linkdown`.
const IGNORE: c_int = bindings::IPV4_DEVCONF_IGNORE_ROUTES_WITH_LINKDOWN as c_int;

/// Which marked routes of a device were passed over.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PassedOver {
    ipv4: bool,
    ipv6: bool,
}

impl OwnDevice {
    /// Has marked routes through the device passed over, unless somebody has set
    /// `ignore_routes_with_linkdown` for it. To be called when IP may have met the device
    /// just now: NETDEV_REGISTER and NETDEV_CHANGEMTU.
    pub(crate) fn pass_over_marked_routes(&self, _rtnl: &Rtnl) {
        // SAFETY: `self` is live, RTNL is held.
        unsafe {
            let in_dev = bindings::__in_dev_get_rtnl(self.as_ptr());
            if !in_dev.is_null() {
                const BIT: usize = IGNORE as usize - 1;
                let word = (*in_dev).cnf.state.get(BIT / c_ulong::BITS as usize);
                // As `set_bit` numbers them.
                if word.is_none_or(|word| word & (1 << (BIT % c_ulong::BITS as usize)) == 0) {
                    bindings::ipv4_devconf_set(in_dev, IGNORE, 1);
                }
            }
        }
    }

    /// Has marked routes used as if they were not marked, until
    /// [`Self::restore_marked_routes`] is called with what is returned: what was so until
    /// now. Any context.
    ///
    /// Not where `net.ipv4.conf.all.ignore_routes_with_linkdown` is set.
    pub(crate) fn use_marked_routes(&self, _rcu: &rcu::Guard) -> PassedOver {
        let mut passed_over = PassedOver::default();
        // SAFETY: `self` is live, RCU is held; the settings are single words that anybody may
        // read and write at any time.
        unsafe {
            let in_dev = bindings::__in_dev_get_rcu(self.as_ptr());
            if !in_dev.is_null() && bindings::ipv4_devconf_get(in_dev, IGNORE) != 0 {
                bindings::ipv4_devconf_set(in_dev, IGNORE, 0);
                passed_over.ipv4 = true;
            }
            if let Some(idev) = bindings::in6_dev_peek(self.as_ptr()).as_mut() {
                let ignore = &raw mut idev.cnf.ignore_routes_with_linkdown;
                if read_once(ignore) != 0 {
                    write_once(ignore, 0);
                    passed_over.ipv6 = true;
                }
            }
        }
        passed_over
    }

    /// Has those passed over again. Any context.
    pub(crate) fn restore_marked_routes(&self, passed_over: PassedOver, _rcu: &rcu::Guard) {
        // SAFETY: As above.
        unsafe {
            let in_dev = bindings::__in_dev_get_rcu(self.as_ptr());
            if passed_over.ipv4 && !in_dev.is_null() {
                bindings::ipv4_devconf_set(in_dev, IGNORE, 1);
            }
            if let (true, Some(idev)) = (
                passed_over.ipv6,
                bindings::in6_dev_peek(self.as_ptr()).as_mut(),
            ) {
                write_once(&raw mut idev.cnf.ignore_routes_with_linkdown, 1);
            }
        }
    }

    /// Marks the IPv4 routes through the device. To be called after the kernel has handled
    /// NETDEV_UP or NETDEV_CHANGE, which unmarks those of a device with link.
    pub(crate) fn mark_routes(&self, _rtnl: &Rtnl) {
        // SAFETY: `self` is live. RTNL keeps the list as it is; its elements lie in nexthops,
        // those in routes.
        unsafe {
            let mut element = (*self.as_ptr()).fib_nh_head.first;
            while !element.is_null() {
                let nh = element
                    .byte_sub(offset_of!(bindings::fib_nh, nh_hash))
                    .cast::<bindings::fib_nh>();
                mark((*nh).nh_parent, |dev| dev == self.as_ptr());
                element = (*element).next;
            }
        }
    }

    /// Whether the device's operational state is up (`netif_oper_up`).
    pub(crate) fn is_operational(&self) -> bool {
        // SAFETY: `self` is a live device.
        unsafe { bindings::netif_oper_up(self.as_ptr()) }
    }
}

/// Marks the nexthops of an IPv4 route that go through devices that `is_meant`.
///
/// # Safety
///
/// `route` is alive, RTNL is held.
unsafe fn mark(
    route: *mut bindings::fib_info,
    is_meant: impl Fn(*mut bindings::net_device) -> bool,
) {
    // SAFETY: The caller promises a live route, and that nobody else changes it. It has
    // so many nexthops behind it; none if they are an object of their own.
    let (route, nexthops) = unsafe {
        let count = if (*route).nh.is_null() {
            usize::try_from((*route).fib_nhs).unwrap_or(0)
        } else {
            0
        };
        let first = (&raw mut (*route).fib_nh).cast::<bindings::fib_nh>();
        (&mut *route, slice::from_raw_parts_mut(first, count))
    };
    let mut marked = false;
    for nh in nexthops.iter_mut().map(|nh| &mut nh.nh_common) {
        let usable = nh.nhc_flags & (DEAD | LINKDOWN) == 0;
        if usable && nh.nhc_scope != LOCAL && is_meant(nh.nhc_dev) {
            nh.nhc_flags |= LINKDOWN;
            marked = true;
        }
    }
    if !marked {
        return;
    }
    if nexthops
        .iter()
        .all(|nh| nh.nh_common.nhc_flags & (DEAD | LINKDOWN) != 0)
    {
        route.fib_flags |= u32::from(LINKDOWN);
    }
    rebalance(nexthops);
}

/// Shares a route of several nexthops out among those that are not passed over
/// (`fib_rebalance`).
fn rebalance(nexthops: &mut [bindings::fib_nh]) {
    let weight = |nh: &bindings::fib_nh| {
        let nh = &nh.nh_common;
        // SAFETY: A nexthop that is not dead has a device, alive as long as it.
        let ignored = || unsafe { bindings::ip_ignore_linkdown(nh.nhc_dev) };
        if nh.nhc_flags & DEAD != 0 || (nh.nhc_flags & LINKDOWN != 0 && ignored()) {
            0
        } else {
            u64::from(nh.nhc_weight.unsigned_abs())
        }
    };
    if nexthops.len() < 2 {
        return;
    }
    let total: u64 = nexthops.iter().map(weight).fold(0, u64::wrapping_add);
    let mut sum: u64 = 0;
    for nh in nexthops {
        let bound = match weight(nh) {
            0 => -1,
            weight => {
                sum = sum.wrapping_add(weight);
                // The nearest whole number, as DIV_ROUND_CLOSEST_ULL finds it.
                let bound = ((sum << 31) + total / 2).checked_div(total).unwrap_or(0);
                i32::try_from(bound.wrapping_sub(1)).unwrap_or(i32::MAX)
            }
        };
        // SAFETY: An `atomic_t` that readers read as a whole.
        unsafe { write_once(&raw mut nh.nh_common.nhc_upper_bound.counter, bound) };
    }
}

/// Who says which devices of one's own can carry nothing for now.
pub(crate) trait Routed: 'static {
    /// The driver of the devices.
    type Driver: Driver;

    /// Whether routes through the device are to be passed over. Any context; locks of
    /// routing tables are held.
    fn passes_over(data: &Self::Driver) -> bool;
}

/// Marks routes that are added while their device can carry nothing.
///
/// The kernel tells only of the best route to a destination, which is the one that matters.
/// IPv6 routes of several nexthops, which it tells of without the table's lock, stay as they
/// are until the device changes.
///
/// A part of the module's state of a namespace ([`NetState`]); dropping it ends it.
///
/// # Invariants
///
/// `block` is in the chain of the namespace that `place` names, if it does.
#[pin_data(PinnedDrop)]
pub(crate) struct NewRoutes<T> {
    #[pin]
    place: NetPlace,
    #[pin]
    block: Opaque<bindings::notifier_block>,
    _routed: PhantomData<fn() -> T>,
}

// SAFETY: The block is touched by the kernel alone, under its own locks.
unsafe impl<T> Send for NewRoutes<T> {}
// SAFETY: As above.
unsafe impl<T> Sync for NewRoutes<T> {}

impl<T: Routed> NewRoutes<T> {
    /// Nothing is marked yet.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            place <- NetPlace::new(),
            block: Opaque::new(bindings::notifier_block {
                notifier_call: Some(changed::<T>),
                next: core::ptr::null_mut(),
                priority: 0,
            }),
            _routed: PhantomData,
        })
    }

    /// Begins with the routes of a namespace. Process context, may sleep.
    ///
    /// # Errors
    ///
    /// The tables changed all the time (EBUSY); and those of [`NetPlace::enter`]. Nothing is
    /// marked.
    pub(crate) fn register<S: NetState>(&self, net: &Net, rtnl: &Rtnl) -> Result {
        // INVARIANT: It is in the chain, or the place stays empty.
        self.place.enter::<S>(net, rtnl, |net| {
            // SAFETY: The namespace is alive, and the block pinned.
            unsafe {
                bindings::register_fib_notifier(net, self.block.get(), None, core::ptr::null_mut())
            }
        })
    }
}

impl<T> NewRoutes<T> {
    /// Ends it, if it has begun. Process context, sleeps.
    pub(crate) fn unregister(&self, rtnl: &Rtnl) {
        self.place.leave(rtnl, |net| self.take_out(net));
    }

    /// Only for what `place` names, which is alive.
    fn take_out(&self, net: *mut bindings::net) {
        // SAFETY: By the type invariant the block is in the chain of this namespace.
        let _ = unsafe { bindings::unregister_fib_notifier(net, self.block.get()) };
    }
}

#[pinned_drop]
impl<T> PinnedDrop for NewRoutes<T> {
    fn drop(self: Pin<&mut Self>) {
        // Nobody else has a reference.
        if let Some(net) = self.place.last() {
            self.take_out(net);
        }
    }
}

/// # Safety
///
/// Only the kernel may call it, as a notifier of routing tables.
unsafe extern "C" fn changed<T: Routed>(
    _block: *mut bindings::notifier_block,
    event: c_ulong,
    info: *mut c_void,
) -> c_int {
    let event = u32::try_from(event).unwrap_or(u32::MAX);
    let added = event == bindings::fib_event_type_FIB_EVENT_ENTRY_REPLACE
        || event == bindings::fib_event_type_FIB_EVENT_ENTRY_APPEND
        || event == bindings::fib_event_type_FIB_EVENT_ENTRY_ADD;
    if !added {
        return 0;
    }
    let rcu = rcu::Guard::new();
    let passes_over = |dev: *mut bindings::net_device| {
        if dev.is_null() {
            return false;
        }
        // SAFETY: A nexthop's device is alive as long as it.
        let dev = unsafe { Device::from_raw(dev) };
        dev.of_driver::<T::Driver>(&rcu)
            .is_some_and(|(_, data)| T::passes_over(data))
    };
    // SAFETY: The kernel passes what belongs to the event and family: a live route, which
    // changes under RTNL (IPv4) or the lock of its table (IPv6), held by the caller.
    unsafe {
        match (*info.cast::<bindings::fib_notifier_info>()).family {
            AF_INET => {
                let info: *mut bindings::fib_entry_notifier_info = info.cast();
                mark((*info).fi, passes_over);
            }
            AF_INET6 => {
                let info: *mut bindings::fib6_entry_notifier_info = info.cast();
                let route = (*info).rt;
                let local = bindings::RTF_LOCAL | bindings::RTF_ANYCAST;
                let alone = (*route).nh.is_null() && (*route).fib6_nsiblings == 0;
                if alone && (*route).fib6_flags & local == 0 {
                    let nh = (&raw mut (*route).fib6_nh).cast::<bindings::fib6_nh>();
                    if passes_over((*nh).nh_common.nhc_dev) {
                        (*nh).nh_common.nhc_flags |= LINKDOWN;
                    }
                }
            }
            _ => {}
        }
    }
    0
}

const AF_INET: c_int = 2;
const AF_INET6: c_int = 10;
