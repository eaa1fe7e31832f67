// SPDX-License-Identifier: GPL-2.0

//! The IPv4 addresses of devices.

use super::{bindings, netdevice::Device, rtnl::Rtnl, rwonce::rcu_dereference};
use core::net::Ipv4Addr;
use kernel::{sync::rcu, types::Opaque};

/// Which entry of the kernel's lists an address is, for as long as it is there: a
/// device can have the same address twice, with different prefixes or peers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AddressId(usize);

impl AddressId {
    /// Before all others.
    pub(crate) const FIRST: Self = Self(0);
    /// After all others.
    pub(crate) const LAST: Self = Self(usize::MAX);

    pub(super) fn new<T>(entry: *const T) -> Self {
        Self(entry.addr())
    }
}

/// An IPv4 address of a device (`struct in_ifaddr`).
///
/// # Invariants
///
/// RTNL is held, or RCU: it stays in memory.
#[repr(transparent)]
pub(crate) struct InetAddr(Opaque<bindings::in_ifaddr>);

impl InetAddr {
    /// # Safety
    ///
    /// `ptr` is valid, and the type's invariant holds for `'a`.
    pub(super) unsafe fn from_raw<'a>(ptr: *const bindings::in_ifaddr) -> &'a Self {
        // SAFETY: The caller promises it; the layout is the same.
        unsafe { &*ptr.cast() }
    }

    /// The local address. It does not change while the entry is in the list.
    pub(crate) fn address(&self) -> Ipv4Addr {
        // SAFETY: It is in memory by the invariant.
        Ipv4Addr::from(unsafe { (*self.0.get()).ifa_local }.to_ne_bytes())
    }

    /// Which entry of the list it is.
    pub(crate) fn id(&self) -> AddressId {
        AddressId::new(self)
    }

    /// The length of the prefix in bits, which does not change either.
    pub(crate) fn prefix(&self) -> u8 {
        // SAFETY: It is in memory by the invariant.
        unsafe { (*self.0.get()).ifa_prefixlen }
    }
}

impl Device {
    /// Lends the metric to all addresses, see [`lend_metric`].
    pub(super) fn lend_metrics(&self, metric: u32, rtnl: &Rtnl) {
        self.each_entry(rtnl, |address| lend_metric(address, metric));
    }

    /// Takes it back from all addresses, see [`take_metric_back`].
    pub(super) fn take_metrics_back(&self, rtnl: &Rtnl) {
        self.each_entry(rtnl, take_metric_back);
    }

    fn each_entry(&self, _rtnl: &Rtnl, each: impl Fn(&mut bindings::in_ifaddr)) {
        // SAFETY: `self` is live, RTNL is held: nobody else changes the list, nor the
        // metrics and flags in it.
        unsafe {
            let in_dev = bindings::__in_dev_get_rtnl(self.as_ptr());
            if in_dev.is_null() {
                return;
            }
            let mut ifa = bindings::in_dev_first_ifa(in_dev);
            while let Some(address) = ifa.as_mut() {
                each(address);
                ifa = bindings::in_ifa_next(address);
            }
        }
    }

    /// Calls `each` with every local IPv4 address of the device, in the order in
    /// which they were set. Any context. Addresses that come or go meanwhile may be
    /// missed.
    pub(crate) fn for_each_address_rcu(&self, _rcu: &rcu::Guard, mut each: impl FnMut(Ipv4Addr)) {
        // SAFETY: `self` is live, RCU is held: entries that leave the list stay
        // in memory.
        unsafe {
            let Some(in_dev) = bindings::__in_dev_get_rcu(self.as_ptr()).as_ref() else {
                return;
            };
            let mut ifa = bindings::in_dev_first_ifa(in_dev);
            while let Some(address) = ifa.as_ref() {
                each(local(address));
                ifa = bindings::in_ifa_next(address);
            }
        }
    }

    /// Whether it has a local IPv4 address. Any context.
    pub(crate) fn has_address(&self, wanted: Ipv4Addr, rcu: &rcu::Guard) -> bool {
        let mut found = false;
        self.for_each_address_rcu(rcu, |address| found |= address == wanted);
        found
    }

    /// The device's IPv4 addresses with the lengths of their prefixes, as routes to
    /// their networks are made of them. Any context; addresses that come or go meanwhile
    /// may be missed.
    pub(crate) fn subnets<'a>(
        &'a self,
        _rcu: &'a rcu::Guard,
    ) -> impl Iterator<Item = (Ipv4Addr, u8)> + Clone + 'a {
        // SAFETY: `self` is live, RCU is held for `'a`: entries that leave the list stay
        // in memory.
        let first = unsafe {
            bindings::__in_dev_get_rcu(self.as_ptr())
                .as_ref()
                .and_then(|in_dev| bindings::in_dev_first_ifa(in_dev).as_ref())
        };
        // SAFETY: As above.
        core::iter::successors(first, |ifa| unsafe { bindings::in_ifa_next(*ifa).as_ref() }).map(
            |ifa| {
                (
                    Ipv4Addr::from(ifa.ifa_address.to_ne_bytes()),
                    ifa.ifa_prefixlen,
                )
            },
        )
    }

    /// The longest prefix of an address of the device in whose subnet `wanted` lies.
    /// Any context.
    pub(crate) fn subnet_of(&self, wanted: Ipv4Addr, _rcu: &rcu::Guard) -> Option<u32> {
        let mut longest = None;
        // SAFETY: `self` is live, RCU is held: entries that leave the list stay
        // in memory.
        unsafe {
            let in_dev = bindings::__in_dev_get_rcu(self.as_ptr()).as_ref()?;
            let mut ifa = bindings::in_dev_first_ifa(in_dev);
            while let Some(address) = ifa.as_ref() {
                let mask = u32::from_be(address.ifa_mask);
                let network = u32::from_be(address.ifa_address);
                if (network ^ wanted.to_bits()) & mask == 0 && mask != 0 {
                    longest = longest.max(Some(mask.count_ones()));
                }
                ifa = bindings::in_ifa_next(address);
            }
        }
        longest
    }

    /// The first IPv4 address of the device: its primary one. Any context.
    pub(crate) fn primary_address(&self, _rcu: &rcu::Guard) -> Option<Ipv4Addr> {
        // SAFETY: `self` is live, RCU is held: entries that leave the list stay
        // in memory.
        unsafe {
            let in_dev = rcu_dereference(&raw const (*self.as_ptr()).ip_ptr);
            let first = rcu_dereference(&raw const in_dev.as_ref()?.ifa_list);
            first.as_ref().map(local)
        }
    }
}

fn local(address: &bindings::in_ifaddr) -> Ipv4Addr {
    Ipv4Addr::from(address.ifa_local.to_ne_bytes())
}

/// The flag of an address whose metric is lent, among those that Linux does not use. It
/// is set only while the kernel makes routes, under RTNL; a dump of addresses at that very
/// moment shows both.
const METRIC_IS_LENT: u32 = 1 << 31;

/// Gives an address without a metric this one, for as long as the kernel makes its
/// route. Under RTNL.
pub(super) fn lend_metric(address: &mut bindings::in_ifaddr, metric: u32) {
    if address.ifa_rt_priority == 0 {
        address.ifa_rt_priority = metric;
        address.ifa_flags |= METRIC_IS_LENT;
    }
}

/// Makes an address one without a metric again. One that the user gave stays, be it the
/// same. Under RTNL.
pub(super) fn take_metric_back(address: &mut bindings::in_ifaddr) {
    if address.ifa_flags & METRIC_IS_LENT != 0 {
        address.ifa_rt_priority = 0;
        address.ifa_flags &= !METRIC_IS_LENT;
    }
}
