// SPDX-License-Identifier: GPL-2.0

//! The IPv6 addresses of devices.
//!
//! Sources: `ipv6_add_addr`, `ipv6_del_addr` and `addrconf_ifdown` in
//! `net/ipv6/addrconf.c`.

use super::{
    bindings,
    inet6::{enabled, from_raw, to_raw},
    inetaddr::AddressId,
    namespace::Net,
    netdevice::Device,
    rwonce::{rcu_dereference, read_once},
};
use core::{mem::offset_of, net::Ipv6Addr};
use kernel::{sync::rcu, types::Opaque};

/// What an address must not be to be used as a source.
const UNUSABLE: u32 = bindings::IFA_F_TENTATIVE | bindings::IFA_F_DADFAILED;

/// An IPv6 address of a device (`struct inet6_ifaddr`).
///
/// # Invariants
///
/// It stays in memory: RCU is held, or who has a count of it waits for us.
#[repr(transparent)]
pub(crate) struct Inet6Addr(Opaque<bindings::inet6_ifaddr>);

impl Inet6Addr {
    /// # Safety
    ///
    /// `ptr` is valid, and the type's invariant holds for `'a`.
    pub(super) unsafe fn from_raw<'a>(ptr: *const bindings::inet6_ifaddr) -> &'a Self {
        // SAFETY: The caller promises it; the layout is the same.
        unsafe { &*ptr.cast() }
    }

    /// The length of the prefix in bits, which never changes.
    pub(crate) fn prefix(&self) -> u8 {
        // SAFETY: It is in memory by the invariant.
        u8::try_from(unsafe { (*self.0.get()).prefix_len }).unwrap_or(u8::MAX)
    }

    /// The address itself, which never changes.
    pub(crate) fn address(&self) -> Ipv6Addr {
        // SAFETY: It is in memory by the invariant.
        from_raw(unsafe { &(*self.0.get()).addr })
    }

    /// Which entry of the device's list it is.
    pub(crate) fn id(&self) -> AddressId {
        AddressId::new(self)
    }

    /// Whether its removal has begun. That is marked before it is told.
    pub(crate) fn is_dead(&self) -> bool {
        // SAFETY: It is in memory by the invariant; a plain field.
        let state = unsafe { read_once(&raw const (*self.0.get()).state) };
        u32::try_from(state) == Ok(bindings::INET6_IFADDR_STATE_DEAD)
    }
}

impl Device {
    /// Calls `each` with every unicast IPv6 address of the device, tentative ones
    /// included: global before link-local ones, the latest first. Any context.
    /// Addresses that come or go meanwhile may be missed.
    ///
    /// One whose removal is being told (`Notified::address6_removed`) is left out:
    /// with the device itself down it stands in the list still, but is marked dead.
    pub(crate) fn for_each_address6_rcu(&self, _rcu: &rcu::Guard, each: impl FnMut(Ipv6Addr)) {
        // SAFETY: RCU is held.
        unsafe { self.for_each_unicast(each) };
    }

    /// # Safety
    ///
    /// RTNL or RCU is held.
    unsafe fn for_each_unicast(&self, mut each: impl FnMut(Ipv6Addr)) {
        // SAFETY: The caller promises it.
        unsafe {
            self.walk_inet6(|ifa| {
                let address = from_raw(&ifa.addr);
                if !address.is_multicast() {
                    each(address);
                }
            });
        }
    }

    /// Whether it has an IPv6 address, be it tentative. Any context.
    pub(crate) fn has_address6(&self, wanted: Ipv6Addr, rcu: &rcu::Guard) -> bool {
        let mut found = false;
        self.for_each_address6_rcu(rcu, |address| found |= address == wanted);
        found
    }

    /// The length of the longest prefix of an IPv6 subnet of this device in which the
    /// address lies; link-local ones are everywhere. Any context.
    pub(crate) fn subnet_of6(&self, wanted: Ipv6Addr, rcu: &rcu::Guard) -> Option<u32> {
        if wanted.is_unicast_link_local() {
            return None;
        }
        self.subnets6(rcu)
            .map(|(address, prefix)| (address.to_bits() ^ wanted.to_bits(), u32::from(prefix)))
            .filter(|(differ, prefix)| *prefix != 0 && differ.leading_zeros() >= *prefix)
            .map(|(_, prefix)| prefix)
            .max()
    }

    /// The device's oldest link-local address that may be used as a source, as
    /// `ipv6_get_lladdr` finds it: what a host says to its link has it as the
    /// source. Any context.
    pub(crate) fn link_local_address(&self, _rcu: &rcu::Guard) -> Option<Ipv6Addr> {
        let mut oldest = None;
        // SAFETY: RCU is held. The flags are a plain field of a live address.
        unsafe {
            self.walk_inet6(|ifa| {
                let address = from_raw(&ifa.addr);
                let flags = read_once(&raw const ifa.flags);
                if address.is_unicast_link_local() && flags & UNUSABLE == 0 {
                    oldest = Some(address);
                }
            });
        }
        oldest
    }

    /// # Safety
    ///
    /// RTNL or RCU is held.
    unsafe fn walk_inet6(&self, mut each: impl FnMut(&bindings::inet6_ifaddr)) {
        // SAFETY: `self` is live. Under RCU what leaves the list stays in memory, and
        // still leads to the rest of it; under RTNL nothing leaves. The list's head
        // lies in `inet6_dev`, its other elements in addresses.
        unsafe {
            let Some(idev) = bindings::in6_dev_peek(self.as_ptr()).as_ref() else {
                return;
            };
            let head = &raw const idev.addr_list;
            let mut element = rcu_dereference(&raw const (*head).next);
            while !core::ptr::eq(element, head) {
                let ifa = &*element
                    .byte_sub(offset_of!(bindings::inet6_ifaddr, if_list))
                    .cast::<bindings::inet6_ifaddr>();
                let state = read_once(&raw const ifa.state);
                if u32::try_from(state) != Ok(bindings::INET6_IFADDR_STATE_DEAD) {
                    each(ifa);
                }
                element = rcu_dereference(&raw const (*element).next);
            }
        }
    }

    /// The device's IPv6 addresses with the lengths of their prefixes, as routes to their
    /// networks are made of them. Any context; addresses that come or go meanwhile may be
    /// missed.
    pub(crate) fn subnets6<'a>(
        &'a self,
        _rcu: &'a rcu::Guard,
    ) -> impl Iterator<Item = (Ipv6Addr, u8)> + Clone + 'a {
        // SAFETY: `self` is live, RCU is held for `'a`: what leaves the list stays in
        // memory, and still leads to the rest of it. The list's head lies in
        // `inet6_dev`, its other elements in addresses.
        let (head, next) = unsafe {
            let head = bindings::in6_dev_peek(self.as_ptr())
                .as_ref()
                .map(|idev| &raw const idev.addr_list);
            let next = move |element: *const bindings::list_head| {
                let element = rcu_dereference(&raw const (*element).next).cast_const();
                (Some(element) != head).then_some(element)
            };
            (head, next)
        };
        core::iter::successors(head.and_then(next), move |element| next(*element))
            // SAFETY: As above; an element that is not the head is an address.
            .map(|element| unsafe {
                &*element
                    .byte_sub(offset_of!(bindings::inet6_ifaddr, if_list))
                    .cast::<bindings::inet6_ifaddr>()
            })
            .filter(|ifa| {
                // SAFETY: A plain field of a live address.
                let state = unsafe { read_once(&raw const ifa.state) };
                u32::try_from(state) != Ok(bindings::INET6_IFADDR_STATE_DEAD)
            })
            .map(|ifa| {
                let prefix = u8::try_from(ifa.prefix_len).unwrap_or(u8::MAX);
                (from_raw(&ifa.addr), prefix)
            })
    }

    /// Whether this host has an IPv6 address, not a tentative one, on any device in the
    /// VRF that this one is in, or outside of VRFs like this one (`ipv6_chk_addr_and_flags`).
    /// Any context.
    pub(crate) fn reaches_itself_at6(&self, address: Ipv6Addr, _rcu: &rcu::Guard) -> bool {
        if !enabled() {
            return false;
        }
        let address = to_raw(address);
        // SAFETY: `self` is a live device, RCU is held.
        unsafe {
            bindings::ipv6_chk_addr_and_flags(
                self.net().as_ptr(),
                &address,
                self.as_ptr(),
                true,
                1,
                bindings::IFA_F_TENTATIVE,
            ) != 0
        }
    }

    /// The device that has an IPv6 address that is not tentative
    /// (`ipv6_dev_find`); one of them if there are several. Devices in a VRF are not
    /// found. Any context.
    pub(crate) fn by_address6_rcu<'a>(
        net: &Net,
        address: Ipv6Addr,
        _rcu: &'a rcu::Guard,
    ) -> Option<&'a Self> {
        if !enabled() {
            return None;
        }
        let address = to_raw(address);
        // SAFETY: The RCU lock is held, which keeps the device in memory for `'a`;
        // without a device to start from all outside of VRFs are looked at.
        unsafe {
            let dev = bindings::ipv6_dev_find(net.as_ptr(), &address, core::ptr::null_mut());
            (!dev.is_null()).then(|| Self::from_raw(dev))
        }
    }
}
