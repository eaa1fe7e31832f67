// SPDX-License-Identifier: GPL-2.0

//! Devices' memberships in multicast groups of IPv4 and IPv6.

use super::{bindings, inet6, netdevice::Device, rtnl::Rtnl};
use core::{
    net::{Ipv4Addr, Ipv6Addr},
    ptr::NonNull,
};
use kernel::{error::to_result, sync::aref::ARef};

/// A group's address.
///
/// # Safety
///
/// [`Self::current`] returns what the device has now, and [`Self::hold`] keeps it in
/// memory until [`Self::put`].
pub(crate) unsafe trait Group: Copy {
    /// The per-device structure of an IP version, which holds the device's groups:
    /// `in_device` or `inet6_dev`.
    type Device;

    /// The device's current structure, or null.
    ///
    /// # Safety
    ///
    /// RTNL is held and the device live.
    unsafe fn current(dev: *mut bindings::net_device) -> *mut Self::Device;

    /// Takes a reference.
    ///
    /// # Safety
    ///
    /// `ip` is live.
    unsafe fn hold(ip: *mut Self::Device);

    /// Drops a reference.
    ///
    /// # Safety
    ///
    /// The count of `ip` is the caller's.
    unsafe fn put(ip: *mut Self::Device);

    /// Joins the group. Returns false without memory. Process context.
    ///
    /// # Safety
    ///
    /// RTNL is held, the device live, and `ip` is what it has now.
    unsafe fn join(self, dev: *mut bindings::net_device, ip: *mut Self::Device) -> bool;

    /// Takes a [`Self::join`] back. Process context.
    ///
    /// # Safety
    ///
    /// As for [`Self::join`], which was done with the same `ip`.
    unsafe fn leave(self, dev: *mut bindings::net_device, ip: *mut Self::Device);
}

// SAFETY: `in_device` is counted by its refcnt.
unsafe impl Group for Ipv4Addr {
    type Device = bindings::in_device;

    unsafe fn current(dev: *mut bindings::net_device) -> *mut Self::Device {
        // SAFETY: The caller holds RTNL and keeps the device.
        unsafe { bindings::__in_dev_get_rtnl(dev) }
    }

    unsafe fn hold(ip: *mut Self::Device) {
        // SAFETY: The caller has a live one.
        unsafe { bindings::in_dev_hold(ip) }
    }

    unsafe fn put(ip: *mut Self::Device) {
        // SAFETY: The caller has a count of it.
        unsafe { bindings::in_dev_put(ip) }
    }

    unsafe fn join(self, _dev: *mut bindings::net_device, ip: *mut Self::Device) -> bool {
        // SAFETY: The caller holds RTNL, and `ip` is that of a live device.
        unsafe { bindings::ip_mc_inc_group(ip, u32::from_ne_bytes(self.octets())) };
        true
    }

    unsafe fn leave(self, _dev: *mut bindings::net_device, ip: *mut Self::Device) {
        // SAFETY: As for `join`.
        unsafe { bindings::ip_mc_dec_group(ip, u32::from_ne_bytes(self.octets())) };
    }
}

// SAFETY: `inet6_dev` is counted by its refcnt.
unsafe impl Group for Ipv6Addr {
    type Device = bindings::inet6_dev;

    unsafe fn current(dev: *mut bindings::net_device) -> *mut Self::Device {
        // SAFETY: The caller holds RTNL and keeps the device.
        unsafe { bindings::in6_dev_peek(dev) }
    }

    unsafe fn hold(ip: *mut Self::Device) {
        // SAFETY: The caller has a live one.
        unsafe { bindings::in6_dev_hold(ip) }
    }

    unsafe fn put(ip: *mut Self::Device) {
        // SAFETY: The caller has a count of it.
        unsafe { bindings::in6_dev_put(ip) }
    }

    unsafe fn join(self, dev: *mut bindings::net_device, _ip: *mut Self::Device) -> bool {
        let group = inet6::to_raw(self);
        // SAFETY: The device is live, and the context that of a process.
        to_result(unsafe { bindings::ipv6_dev_mc_inc(dev, &group) }).is_ok()
    }

    unsafe fn leave(self, dev: *mut bindings::net_device, _ip: *mut Self::Device) {
        let group = inet6::to_raw(self);
        // SAFETY: As for `join`, and it is a member. What went wrong would be that it is
        // none.
        let _ = unsafe { bindings::ipv6_dev_mc_dec(dev, &group) };
    }
}

/// A device's membership in a multicast group.
///
/// The groups of a device belong to its `in_device` or `inet6_dev`. That structure stays
/// while the device goes down and up again, or while IPv6 is turned off and on for it
/// (`disable_ipv6`): the kernel removes the group from the receive filter and adds it
/// again by itself (`ip_mc_down`, `ipv6_mc_down`). But the structure is destroyed with
/// all groups when the MTU falls below 68 (`inetdev_event`) or 1280 (`addrconf_ifdown`).
/// A new one without groups is made when the MTU rises again (NETDEV_CHANGEMTU) and when
/// an address is set, for IPv6 also when the device comes up or gets link (NETDEV_UP,
/// NETDEV_CHANGE). A membership remembers in which structure it has joined;
/// [`Self::refresh`] after these events joins again if there is another one.
///
/// It holds a reference to its device, and so delays the end of the device's
/// unregistration: call [`Self::leave`] on NETDEV_UNREGISTER at the latest. If a
/// membership is dropped instead, the device stays a member until it is unregistered.
///
/// # Invariants
///
/// If `joined` is set, it is or was the `in_device` or `inet6_dev` of `dev`, we hold a
/// reference to it, and have joined the group in it once.
pub(crate) struct Membership<G: Group> {
    group: G,
    dev: ARef<Device>,
    joined: Option<NonNull<G::Device>>,
}

// SAFETY: The count is not bound to a thread.
unsafe impl<G: Group + Send> Send for Membership<G> {}
// SAFETY: There is nothing to be done with a shared reference.
unsafe impl<G: Group + Sync> Sync for Membership<G> {}

impl<G: Group> Membership<G> {
    /// Joins the group again if the device has lost it or could not join before. Process
    /// context, may sleep.
    pub(crate) fn refresh(&mut self, _rtnl: &Rtnl) {
        let dev = self.dev.as_ptr();
        // SAFETY: `dev` is live; RTNL keeps what IP knows of it.
        let current = NonNull::new(unsafe { G::current(dev) });
        if current == self.joined {
            return;
        }
        self.forget();
        let Some(current) = current else {
            return;
        };
        // SAFETY: `dev` is live and in process context; RTNL keeps `current`, of
        // which a count is taken if the group was joined with it.
        unsafe {
            if self.group.join(dev, current.as_ptr()) {
                G::hold(current.as_ptr());
                // INVARIANT: The count and the group are ours.
                self.joined = Some(current);
            }
        }
    }

    /// Leaves the group if this membership's join is still in effect. Process context,
    /// may sleep.
    pub(crate) fn leave(mut self, _rtnl: &Rtnl) {
        let dev = self.dev.as_ptr();
        // SAFETY: `dev` is live; RTNL keeps what IP knows of it.
        let current = NonNull::new(unsafe { G::current(dev) });
        if let Some(joined) = current.filter(|_| current == self.joined) {
            // SAFETY: `dev` is live, in process context, and a member by the invariant.
            unsafe { self.group.leave(dev, joined.as_ptr()) };
        }
        self.forget();
    }

    fn forget(&mut self) {
        if let Some(joined) = self.joined.take() {
            // SAFETY: By the invariant the count is ours.
            unsafe { G::put(joined.as_ptr()) };
        }
    }
}

impl<G: Group> Drop for Membership<G> {
    fn drop(&mut self) {
        self.forget();
    }
}

impl Device {
    /// Joins a multicast group; joins are counted. If the device has no `in_device` or
    /// `inet6_dev` now, it joins in a later [`Membership::refresh`]. Process context, may
    /// sleep. If the device is up, this sends an IGMP or MLD report.
    pub(crate) fn join_group<G: Group>(&self, group: G, rtnl: &Rtnl) -> Membership<G> {
        // INVARIANT: Nothing is joined yet.
        let mut membership = Membership {
            group,
            dev: self.hold(),
            joined: None,
        };
        membership.refresh(rtnl);
        membership
    }
}
