// SPDX-License-Identifier: GPL-2.0

//! Which device receives what is for the interface: the one through which the way back
//! leads (`proto/carp/way_back.rs`). It is found out when addresses change, and read by
//! the packet paths.

use super::{
    device::Carp,
    parent::{Parent, Port},
};
use crate::{
    linux::{
        atomic::read_once,
        netdevice::Device,
        netdevice_ops::OwnDevice,
        route::{self, Query},
        rx_handler::{self, Verdict},
        skbuff::{ETH_HLEN, ETH_P_IP},
        skbuff_rx::RxSkb,
    },
    proto::carp::way_back::{Subnet, WayBack},
};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use kernel::sync::{
    atomic::{Atomic, Relaxed},
    rcu,
};

/// What the packet paths know of an interface's ways back.
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
    /// Those of an interface without a parent.
    pub(super) const fn new() -> Self {
        Self {
            ipv4: Atomic::new(PARENT),
            ipv6: Atomic::new(PARENT),
        }
    }

    /// Who receives IPv4 packets. Any context.
    #[inline]
    pub(super) fn ipv4(&self) -> WayBack {
        from_u32(read_once(&self.ipv4))
    }

    /// Who receives IPv6 packets. Any context.
    #[inline]
    pub(super) fn ipv6(&self) -> WayBack {
        from_u32(read_once(&self.ipv6))
    }
}

/// The IPv4 subnets of a device.
fn ipv4<'a>(dev: &'a Device, rcu: &'a rcu::Guard) -> impl Iterator<Item = Subnet> + Clone + 'a {
    dev.subnets(rcu)
        .map(|(address, prefix)| Subnet::ipv4(address, prefix))
}

/// The IPv6 subnets of a device that is not link-local.
fn ipv6<'a>(dev: &'a Device, rcu: &'a rcu::Guard) -> impl Iterator<Item = Subnet> + Clone + 'a {
    dev.subnets6(rcu)
        .filter_map(|(address, prefix)| Subnet::ipv6(address, prefix))
}

impl Carp {
    /// Finds out who receives, from all addresses of the interface and its parent. Any
    /// context.
    pub(super) fn find_ways_back(&self, own: &OwnDevice) {
        let rcu = rcu::read_lock();
        let Some(parent) = self.carpdev.get(&rcu) else {
            return;
        };
        // Of another namespace, or another VRF, the parent has other routes.
        let same_routes = own.net() == parent.net() && own.has_routes_of(parent, &rcu);
        let ways_back = &self.ways_back;
        let numbered = parent.primary_address(&rcu).is_some();
        let way_back = WayBack::new(same_routes && numbered, ipv4(own, &rcu), ipv4(parent, &rcu));
        ways_back.ipv4.store(to_u32(way_back), Relaxed);
        let speaks = parent.speaks_inet6(&rcu);
        let way_back = WayBack::new(same_routes && speaks, ipv6(own, &rcu), ipv6(parent, &rcu));
        ways_back.ipv6.store(to_u32(way_back), Relaxed);
    }

    /// The interface has got an address. Any context.
    pub(super) fn find_way_back_for(&self, address: IpAddr, prefix: u8) {
        let rcu = rcu::read_lock();
        let Some(parent) = self.carpdev.get(&rcu) else {
            return;
        };
        let ways_back = &self.ways_back;
        match address {
            IpAddr::V4(address) => {
                let subnet = Subnet::ipv4(address, prefix);
                let way_back = ways_back.ipv4().with(subnet, ipv4(parent, &rcu));
                ways_back.ipv4.store(to_u32(way_back), Relaxed);
            }
            IpAddr::V6(address) => {
                if let Some(subnet) = Subnet::ipv6(address, prefix) {
                    let way_back = ways_back.ipv6().with(subnet, ipv6(parent, &rcu));
                    ways_back.ipv6.store(to_u32(way_back), Relaxed);
                }
            }
        }
    }

    /// Whether the way back leads through the interface rather than its parent `dev`.
    /// Softirq; RCU read lock held.
    pub(super) fn leads_back(
        &self,
        own: &OwnDevice,
        dev: &Device,
        query: &Query<Ipv4Addr>,
        rcu: &rcu::Guard,
    ) -> bool {
        match self.ways_back.ipv4() {
            WayBack::Parent => false,
            WayBack::Interface => true,
            WayBack::Route => route::leads_out_on(own, dev, query, rcu),
        }
    }

    /// The same for IPv6. Link-local addresses are those of the parent's link: what is
    /// for one of the interface's is received there anyway.
    pub(super) fn leads_back6(
        &self,
        own: &OwnDevice,
        query: &Query<Ipv6Addr>,
        rcu: &rcu::Guard,
    ) -> bool {
        match self.ways_back.ipv6() {
            WayBack::Parent => false,
            WayBack::Interface => true,
            WayBack::Route if query.to.is_unicast_link_local() => false,
            WayBack::Route => route::leads_out_on6(own, query, rcu),
        }
    }
}

/// The interface receives the packet that came in on its parent. Softirq.
pub(super) fn receive_there<'a>(port: &'a Port, skb: RxSkb<'a>) -> Verdict<'a> {
    let Some(mut skb) = skb.unshare() else {
        return Verdict::Consumed;
    };
    skb.set_to_this_host();
    port.dev.count_received(skb.len().saturating_add(ETH_HLEN));
    skb.set_device(&port.dev);
    Verdict::Another(skb.into())
}

/// The routing table says whether the interface or its parent `dev` receives an IP packet.
/// Softirq; RCU read lock held.
#[inline(never)]
pub(super) fn receive_by_route<'a>(
    port: &'a Port,
    dev: &Device,
    skb: RxSkb<'a>,
    rcu: &rcu::Guard,
) -> Verdict<'a> {
    let Some(mut skb) = skb.unshare() else {
        return Verdict::Consumed;
    };
    let mark = skb.mark();
    let interface = match skb.protocol() {
        ETH_P_IP => skb.pull::<20>().is_some_and(|header| {
            port.carp
                .leads_back(&port.dev, dev, &query4(header, mark), rcu)
        }),
        _ => skb
            .pull::<40>()
            .is_some_and(|header| port.carp.leads_back6(&port.dev, &query6(header, mark), rcu)),
    };
    if interface {
        return receive_there(port, skb.into());
    }
    match RxSkb::from(skb).receive_on_behalf(&port.dev) {
        Some(skb) => Verdict::Pass(skb),
        None => Verdict::Consumed,
    }
}

/// The question where the answer to a packet with this IPv4 header goes.
fn query4(header: &[u8; 20], mark: u32) -> Query<Ipv4Addr> {
    let [_, tos, _, _, _, _, _, _, _, _, _, _, s0, s1, s2, s3, d0, d1, d2, d3] = *header;
    Query {
        to: Ipv4Addr::new(s0, s1, s2, s3),
        from: Ipv4Addr::new(d0, d1, d2, d3),
        tos,
        mark,
    }
}

/// The same for an IPv6 header.
fn query6(header: &[u8; 40], mark: u32) -> Query<Ipv6Addr> {
    let [_, _, _, _, _, _, _, _, addresses @ ..] = *header;
    let (source, destination) = addresses.split_at(16);
    let address = |bytes: &[u8]| {
        bytes
            .first_chunk::<16>()
            .map_or(Ipv6Addr::UNSPECIFIED, |it| (*it).into())
    };
    Query {
        to: address(source),
        from: address(destination),
        tos: 0,
        mark,
    }
}

/// The addresses of `dev` changed: if it is a parent, its interfaces find out who
/// receives. Any context.
pub(super) fn parent_changed(dev: &Device, rcu: &rcu::Guard) {
    if let Some(parent) = rx_handler::get_rcu::<Parent>(dev, rcu) {
        for port in parent.ports(rcu).filter(|port| port.place == 0) {
            Carp::ask_for_ways_back(&port.dev);
        }
    }
}
