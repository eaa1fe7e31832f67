// SPDX-License-Identifier: GPL-2.0

//! Which device receives packets for the interface: the one through which the host sends
//! the replies (`proto/carp/way_back.rs`). The decision is made when addresses change,
//! and the packet paths read it.

use crate::{
    linux::{
        atomic::read_once,
        netdevice::Device,
        netdevice_ops::OwnDevice,
        route::{self, Query},
    },
    proto::carp::way_back::{Subnet, WayBack},
};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use kernel::sync::{
    atomic::{Atomic, Relaxed},
    rcu,
};

/// The decision for each family.
pub(super) struct WaysBack {
    ipv4: Atomic<u32>,
    ipv6: Atomic<u32>,
}

const PARENT: u32 = 0;
const INTERFACE: u32 = 1;
const ROUTE: u32 = 2;

const fn to_u32(way_back: WayBack) -> u32 {
    match way_back {
        WayBack::Parent => PARENT,
        WayBack::Interface => INTERFACE,
        WayBack::Route => ROUTE,
    }
}

const fn from_u32(number: u32) -> WayBack {
    match number {
        PARENT => WayBack::Parent,
        INTERFACE => WayBack::Interface,
        _ => WayBack::Route,
    }
}

impl WaysBack {
    /// The decisions for an interface without a parent.
    pub(super) const fn new() -> Self {
        Self {
            ipv4: Atomic::new(PARENT),
            ipv6: Atomic::new(PARENT),
        }
    }

    /// Which device receives IPv4 packets. Any context.
    #[inline]
    pub(super) fn ipv4(&self) -> WayBack {
        from_u32(read_once(&self.ipv4))
    }

    /// Which device receives IPv6 packets. Any context.
    #[inline]
    pub(super) fn ipv6(&self) -> WayBack {
        from_u32(read_once(&self.ipv6))
    }

    /// Decides which device receives, from all addresses of the interface and its parent.
    /// Any context.
    pub(super) fn find(&self, own: &OwnDevice, carpdev: &Device, rcu: &rcu::Guard) {
        // In another namespace or VRF, the parent has other routes than the interface.
        let same_routes = own.net() == carpdev.net() && own.has_routes_of(carpdev, rcu);
        let numbered = carpdev.primary_address(rcu).is_some();
        let way_back = WayBack::new(same_routes && numbered, ipv4(own, rcu), ipv4(carpdev, rcu));
        self.ipv4.store(to_u32(way_back), Relaxed);
        let speaks = carpdev.has_inet6(rcu);
        let way_back = WayBack::new(same_routes && speaks, ipv6(own, rcu), ipv6(carpdev, rcu));
        self.ipv6.store(to_u32(way_back), Relaxed);
    }

    /// Updates the decision after an address was added to the interface. Any context.
    pub(super) fn address_added(
        &self,
        address: IpAddr,
        prefix: u8,
        carpdev: &Device,
        rcu: &rcu::Guard,
    ) {
        match address {
            IpAddr::V4(address) => {
                let subnet = Subnet::ipv4(address, prefix);
                let way_back = self.ipv4().with(subnet, ipv4(carpdev, rcu));
                self.ipv4.store(to_u32(way_back), Relaxed);
            }
            IpAddr::V6(address) => {
                if let Some(subnet) = Subnet::ipv6(address, prefix) {
                    let way_back = self.ipv6().with(subnet, ipv6(carpdev, rcu));
                    self.ipv6.store(to_u32(way_back), Relaxed);
                }
            }
        }
    }

    /// Whether the reply leaves through the interface rather than through its parent
    /// `dev`. Softirq; RCU read lock held.
    pub(super) fn leads_back(
        &self,
        own: &OwnDevice,
        dev: &Device,
        query: &Query<Ipv4Addr>,
        rcu: &rcu::Guard,
    ) -> bool {
        match self.ipv4() {
            WayBack::Parent => false,
            WayBack::Interface => true,
            WayBack::Route => route::leads_out_on(own, dev, query, rcu),
        }
    }

    /// The same for IPv6. A reply to a link-local address leaves through the parent; the
    /// interface receives packets for its own link-local addresses in any case
    /// (`Class::Interface`).
    pub(super) fn leads_back6(
        &self,
        own: &OwnDevice,
        query: &Query<Ipv6Addr>,
        rcu: &rcu::Guard,
    ) -> bool {
        match self.ipv6() {
            WayBack::Parent => false,
            WayBack::Interface => true,
            WayBack::Route if query.to.is_unicast_link_local() => false,
            WayBack::Route => route::leads_out_on6(own, query, rcu),
        }
    }
}

/// The IPv4 subnets of a device.
fn ipv4<'a>(dev: &'a Device, rcu: &'a rcu::Guard) -> impl Iterator<Item = Subnet> + Clone + 'a {
    dev.subnets(rcu)
        .map(|(address, prefix)| Subnet::ipv4(address, prefix))
}

/// The IPv6 subnets of a device, without the link-local one.
fn ipv6<'a>(dev: &'a Device, rcu: &'a rcu::Guard) -> impl Iterator<Item = Subnet> + Clone + 'a {
    dev.subnets6(rcu)
        .filter_map(|(address, prefix)| Subnet::ipv6(address, prefix))
}
