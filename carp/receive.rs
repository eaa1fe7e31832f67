// SPDX-License-Identifier: GPL-2.0

//! Advertisements that come in: IP protocol 112.

use super::{
    addresses::Listed,
    counters::{Counter, Counters},
    election::{self, Sender},
    netns::Namespace,
    parent::{Parent, Port},
};
use crate::{
    linux::{
        inet::{Ipv4Protocol, Ipv4Receiver, Packet},
        inet6::{Ipv6Protocol, Ipv6Receiver},
        log::{print_at, KernelDisplay},
        namespace::Net,
        netdevice::Device,
        rx_handler,
    },
    proto::auth::trailer::SIGNED_LEN,
    proto::carp::{
        election::Family,
        packet::{Discard, Received, PROTOCOL, TTL},
    },
};
use core::{
    fmt,
    net::{IpAddr, Ipv6Addr},
};
use kernel::sync::rcu;

/// The receiver of protocol 112. The number is global, and VRRP has it as well;
/// whatever comes is counted and taken.
pub(crate) struct Receiver;

/// Its registration.
pub(crate) static PROTOCOL_IPV4: Ipv4Protocol<Receiver> = Ipv4Protocol::new();

/// The same in IPv6.
pub(crate) static PROTOCOL_IPV6: Ipv6Protocol<Receiver> = Ipv6Protocol::new();

/// A trailer is known by its length, so one byte more than there may be.
#[allow(clippy::cast_possible_truncation)]
const NEEDED: u32 = SIGNED_LEN as u32 + 1;

impl Ipv4Receiver for Receiver {
    const PROTOCOL: u8 = PROTOCOL;
    const LEN: u32 = NEEDED;
    // An advertisement authenticates by itself.
    const OBEYS_POLICY: bool = false;

    fn receive(packet: &Packet<'_>, rcu: &rcu::Guard) -> Result<(), ()> {
        receive(packet, Family::Ipv4, packet.destination.is_multicast(), rcu)
    }
}

impl Ipv6Receiver for Receiver {
    const PROTOCOL: u8 = PROTOCOL;
    const LEN: u32 = NEEDED;
    // An advertisement authenticates by itself.
    const OBEYS_POLICY: bool = false;

    fn receive(packet: &Packet<'_, Ipv6Addr>, rcu: &rcu::Guard) -> Result<(), ()> {
        receive(packet, Family::Ipv6, packet.destination.is_multicast(), rcu)
    }
}

fn receive<A: Into<IpAddr> + Copy>(
    packet: &Packet<'_, A>,
    family: Family,
    multicast: bool,
    rcu: &rcu::Guard,
) -> Result<(), ()> {
    let dev = Device::by_index_rcu(packet.net, packet.iif, rcu);
    let (parent, port) = addressed(packet, dev, multicast, rcu);
    // Its administrator decides who may be in another namespace than the parent.
    let net = port.map_or(packet.net, |port| port.dev.net());
    let namespace = Namespace::of(net, rcu).ok_or(())?;
    let Err(discard) = dispatch(packet, family, multicast, namespace, parent, port) else {
        return Ok(());
    };
    let level = discard.level().ok_or(())?;
    // The right to print is asked for last: asking uses it up.
    if let Some(dev) = dev {
        if let Some(level) = Namespace::prints(net, level, true) {
            let source: IpAddr = packet.source.into();
            print_at!(
                level,
                "{}: advertisement from {} dropped: {}{}\n",
                dev.name(),
                KernelDisplay(source),
                discard.as_str(),
                KernelDisplay(Ours::new(discard, dev, packet.payload, rcu))
            );
        }
    }
    Err(())
}

/// The parent that an advertisement is for, and the interface on it. If that on whose link
/// it came in, `dev`, is none, it may be for one without a link.
fn addressed<'a, A: Into<IpAddr> + Copy>(
    packet: &Packet<'_, A>,
    dev: Option<&'a Device>,
    multicast: bool,
    rcu: &'a rcu::Guard,
) -> (Option<&'a Parent>, Option<&'a Port>) {
    let vhid = Received::peek_vhid(packet.payload);
    let parent = dev.and_then(|dev| rx_handler::get_rcu::<Parent>(dev, rcu));
    let port = parent
        .zip(vhid)
        .and_then(|(parent, vhid)| parent.port(vhid, rcu));
    if port.is_some() || multicast {
        return (parent, port);
    }
    match parent_at(packet.net, packet.destination.into(), rcu) {
        Some(other) => (Some(other), vhid.and_then(|vhid| other.port(vhid, rcu))),
        None => (parent, None),
    }
}

/// What the sender's list of addresses is to be compared with, where a digest differs.
struct Ours<'a>(Option<(&'a Port, Listed)>);

impl<'a> Ours<'a> {
    fn new(discard: Discard, dev: &'a Device, payload: &[u8], rcu: &'a rcu::Guard) -> Self {
        let vhid = payload.get(1).filter(|_| discard == Discard::BadDigest);
        let port = vhid.and_then(|vhid| rx_handler::get_rcu::<Parent>(dev, rcu)?.port(*vhid, rcu));
        Self(port.map(|port| (port, Listed::new(&port.carp.host.lock().addresses))))
    }
}

impl fmt::Display for Ours<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some((port, listed)) => write!(f, "; {} has {listed}", port.dev.name()),
            None => Ok(()),
        }
    }
}

/// Brings an advertisement to its virtual host, with OpenBSD's checks in
/// OpenBSD's order; each is counted where it becomes known whose it is.
fn dispatch<A: Into<IpAddr> + Copy>(
    packet: &Packet<'_, A>,
    family: Family,
    multicast: bool,
    namespace: &Namespace,
    parent: Option<&Parent>,
    port: Option<&Port>,
) -> Result<(), Discard> {
    let received = match family {
        Family::Ipv4 => Counter::ReceivedIpv4,
        Family::Ipv6 => Counter::ReceivedIpv6,
    };
    let charge = |counters: &Counters, result: Result<(), Discard>| {
        counters.count(received);
        result.inspect_err(|&discard| counters.discarded(discard))
    };
    if !namespace.allows() {
        return charge(&namespace.counters, Err(Discard::NotAllowed));
    }
    let Some(parent) = parent else {
        return charge(&namespace.counters, Err(Discard::BadInterface));
    };
    // Only a unicast peer may be farther away than the link.
    let min_ttl = port
        .filter(|_| !multicast)
        .map_or(TTL, |port| port.carp.published.minttl());
    let found = Received::check_beyond_link(packet.ttl, min_ttl, packet.payload)
        .and_then(|received| Ok((received, port.ok_or(Discard::BadVhid)?)));
    match found {
        Err(discard) => charge(&parent.counters, Err(discard)),
        Ok((received, port)) => {
            let sender = Sender {
                address: packet.source.into(),
                lladdr: packet.ethernet_source(),
                unicast: !multicast,
            };
            let result = election::advertised(&port.carp, family, &sender, &received);
            charge(&port.carp.counters, result)
        }
    }
}

/// The parent without ARP that has this address: to it a packet is, whichever device it
/// came in on.
fn parent_at<'a>(net: &Net, address: IpAddr, rcu: &'a rcu::Guard) -> Option<&'a Parent> {
    let dev = match address {
        IpAddr::V4(address) => Device::by_address_rcu(net, address, rcu),
        IpAddr::V6(address) => Device::by_address6_rcu(net, address, rcu),
    };
    let dev = dev.filter(|dev| !dev.has_arp())?;
    rx_handler::get_rcu::<Parent>(dev, rcu)
}
