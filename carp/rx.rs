// SPDX-License-Identifier: GPL-2.0

//! The rx handler of a parent: it sees received packets before IP and ARP do.

use super::{
    arp,
    claim::{self, Claim},
    copies, neighbour,
    parent::{Parent, Port, GROUP_BIT},
};
use crate::{
    linux::{
        netdevice::{ether_addr_to_u64, Device},
        netfilter_ingress::IngressFilter,
        route::Query,
        rx_handler::{Kind, RxHandler, Verdict},
        skbuff::{PacketType, ETH_HLEN, ETH_P_ARP, ETH_P_IP, ETH_P_IPV6},
        skbuff_rx::RxSkb,
    },
    proto::carp::{frame, neighbour::Class, packet, way_back::WayBack},
};
use core::net::{Ipv4Addr, Ipv6Addr};
use kernel::sync::rcu;

const ADVERTISEMENTS: u64 = ether_addr_to_u64(frame::multicast_mac(packet::GROUP_IPV4));

/// The Ethernet addresses of the solicited-node groups (RFC 4291) without their last
/// three bytes.
const SOLICITED_NODE: u64 = 0x3333_ff00_0000;

/// Distinguishes parents from devices with other rx handlers.
static PARENT: Kind<Parent> = Kind::new();

impl RxHandler for Parent {
    fn kind() -> &'static Kind<Self> {
        &PARENT
    }

    #[inline]
    fn receive<'a>(&'a self, dev: &'a Device, skb: RxSkb<'a>, rcu: &'a rcu::Guard) -> Verdict<'a> {
        if self.is_foreign(&skb, rcu) {
            return Verdict::Pass(skb);
        }
        self.receive_candidate(dev, skb, rcu)
    }
}

impl IngressFilter for Parent {
    /// Drops the frames for other hosts that [`RxHandler::receive`] would drop as well.
    fn drops(&self, dev: &Device, skb: &RxSkb<'_>, rcu: &rcu::Guard) -> bool {
        if self.is_foreign(skb, rcu) {
            return false;
        }
        let mac = skb.ethernet_destination();
        let port = self.vhid_of(mac, rcu).and_then(|vhid| self.port(vhid, rcu));
        port.is_some_and(|port| claim::of(port, dev, mac, skb, rcu) == Claim::AnotherHosts)
    }
}

impl Parent {
    #[inline(never)]
    fn receive_candidate<'a>(
        &'a self,
        dev: &'a Device,
        skb: RxSkb<'a>,
        rcu: &'a rcu::Guard,
    ) -> Verdict<'a> {
        let mac = skb.ethernet_destination();
        let vhid = match self.vhid_of(mac, rcu) {
            Some(vhid) => vhid,
            None if mac == ADVERTISEMENTS => return self.receive_group(skb, rcu),
            None if mac & GROUP_BIT == 0 => return Verdict::Pass(skb),
            None if mac & !0xff_ffff == SOLICITED_NODE => {
                let verdict = neighbour::receive(self, dev, skb);
                return self.distribute(mac, verdict, rcu);
            }
            None => return self.distribute(mac, Verdict::Pass(skb), rcu),
        };
        let verdict = self.receive_virtual(dev, vhid, mac, skb, rcu);
        if mac & GROUP_BIT == 0 {
            return verdict;
        }
        self.distribute(mac, verdict, rcu)
    }

    /// Gives copies of a multicast or broadcast frame, if the parent passes it on, to the
    /// interfaces that want one.
    fn distribute<'a>(&self, mac: u64, verdict: Verdict<'a>, rcu: &rcu::Guard) -> Verdict<'a> {
        match verdict {
            Verdict::Pass(skb) => {
                copies::distribute(self, mac, skb, rcu).map_or(Verdict::Consumed, Verdict::Pass)
            }
            verdict => verdict,
        }
    }
}

impl Parent {
    /// Receives a packet for a virtual MAC. If it belongs to this host, IP normally
    /// receives it on the parent: there users' firewall rules expect it, and the route
    /// back to its sender leads there.
    fn receive_virtual<'a>(
        &'a self,
        dev: &'a Device,
        vhid: u8,
        mac: u64,
        skb: RxSkb<'a>,
        rcu: &'a rcu::Guard,
    ) -> Verdict<'a> {
        let Some(port) = self.port(vhid, rcu) else {
            return Verdict::Pass(skb);
        };
        match claim::of(port, dev, mac, &skb, rcu) {
            Claim::Ours => self.receive_ours(port, dev, skb, rcu),
            Claim::Parents => Verdict::Pass(skb),
            Claim::AnotherHosts => Verdict::Consumed,
        }
    }

    /// Receives a packet that belongs to this host. Everything that each of them needs is
    /// one call (`receive_on_behalf`), because that is the expensive part.
    fn receive_ours<'a>(
        &self,
        port: &'a Port,
        dev: &'a Device,
        skb: RxSkb<'a>,
        rcu: &rcu::Guard,
    ) -> Verdict<'a> {
        let (skb, way_back) = match skb.protocol() {
            ETH_P_IP => (skb, port.carp.published.ways_back.ipv4()),
            ETH_P_IPV6 => {
                let (skb, class) = match skb.peek::<{ Class::NEEDED }>() {
                    Some(packet) => {
                        let class = Class::of(packet);
                        (skb, class)
                    }
                    None => match class_of_nonlinear(skb) {
                        Some(known) => known,
                        None => return Verdict::Consumed,
                    },
                };
                match class {
                    Class::Solicitation => return neighbour::receive(self, dev, skb),
                    Class::Interface => (skb, WayBack::Interface),
                    Class::Parent => (skb, port.carp.published.ways_back.ipv6()),
                }
            }
            // A request is answered on whichever device it comes in. A reply answers a
            // request of the interface, because the parent sends its requests with its
            // own address.
            ETH_P_ARP if !arp::is_reply(&skb) => match port.carp.published.ways_back.ipv4() {
                WayBack::Interface => (skb, WayBack::Interface),
                _ => (skb, WayBack::Parent),
            },
            // The interface receives everything that is neither ARP nor IP.
            _ => (skb, WayBack::Interface),
        };
        match way_back {
            WayBack::Parent => match skb.receive_on_behalf(&port.dev) {
                Some(skb) => Verdict::Pass(skb),
                None => Verdict::Consumed,
            },
            WayBack::Interface => receive_on_interface(port, skb),
            WayBack::Route => receive_by_route(port, dev, skb, rcu),
        }
    }

    /// Receives a packet for 224.0.0.18. The source of an advertisement may be a shared
    /// address, which this host has as well. IP would drop such a packet as a martian,
    /// unless it has a route already; so it gets one here.
    #[inline(never)]
    fn receive_group<'a>(&self, skb: RxSkb<'a>, rcu: &rcu::Guard) -> Verdict<'a> {
        if skb.packet_type() == PacketType::Loopback
            || skb.has_vlan_tag()
            || skb.protocol() != ETH_P_IP
        {
            return Verdict::Pass(skb);
        }
        let Some(mut skb) = skb.unshare() else {
            return Verdict::Consumed;
        };
        let advertisement = skb.pull::<20>().is_some_and(|header| {
            header.get(9) == Some(&packet::PROTOCOL)
                && header.get(16..20) == Some(packet::GROUP_IPV4.octets().as_slice())
        });
        if advertisement {
            skb.route_multicast_to_this_host(&self.route, rcu);
        }
        Verdict::Pass(skb.into())
    }
}

/// Returns a packet that is nonlinear or very short, with its class; `None` without
/// memory.
#[inline(never)]
fn class_of_nonlinear(skb: RxSkb<'_>) -> Option<(RxSkb<'_>, Class)> {
    let mut skb = skb.unshare()?;
    let class = skb
        .pull_up_to(neighbour::NEEDED)
        .map_or(Class::Parent, Class::of);
    Some((skb.into(), class))
}

/// Lets the interface receive a packet that came in on its parent. Softirq.
pub(super) fn receive_on_interface<'a>(port: &'a Port, skb: RxSkb<'a>) -> Verdict<'a> {
    let Some(mut skb) = skb.unshare() else {
        return Verdict::Consumed;
    };
    skb.set_to_this_host();
    port.dev.count_received(skb.len().saturating_add(ETH_HLEN));
    skb.set_device(&port.dev);
    Verdict::Another(skb.into())
}

/// Asks the routing table whether the interface or its parent `dev` receives an IP
/// packet. Softirq; RCU read lock held.
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
                .published
                .ways_back
                .leads_back(&port.dev, dev, &query4(header, mark), rcu)
        }),
        _ => skb.pull::<40>().is_some_and(|header| {
            port.carp
                .published
                .ways_back
                .leads_back6(&port.dev, &query6(header, mark), rcu)
        }),
    };
    if interface {
        return receive_on_interface(port, skb.into());
    }
    match RxSkb::from(skb).receive_on_behalf(&port.dev) {
        Some(skb) => Verdict::Pass(skb),
        None => Verdict::Consumed,
    }
}

/// The route lookup for the reply to a packet with this IPv4 header.
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
