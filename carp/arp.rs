// SPDX-License-Identifier: GPL-2.0

//! Makes the master alone answer ARP requests for a virtual address, with the virtual MAC
//! and on the parent.
//!
//! To Linux a virtual address is an address of this host: every device answers requests
//! for it with its own MAC, and any device may use it as the sender of a request. These
//! filters prevent both.

use super::{device::Carp, netns::Namespace, parent::Parent};
use crate::{
    linux::{
        arp,
        namespace::Net,
        netdevice::Device,
        netdevice_ops::OwnDevice,
        netfilter_arp::{ArpFilter, ArpPacket, Incoming, Operation, Outgoing},
        route::Query,
        rx_handler,
        skbuff::Skb,
    },
    proto::carp::{balancing, balancing::Balancing, packet::virtual_mac},
};
use core::net::Ipv4Addr;
use kernel::sync::rcu;

/// The filter of all carp interfaces of a namespace.
pub(crate) struct Filter;

/// The device and the interface that a virtual address belongs to.
#[derive(Clone, Copy)]
struct Owner<'a> {
    own: &'a OwnDevice,
    carp: &'a Carp,
    carpdev: Option<&'a Device>,
}

impl<'a> Owner<'a> {
    fn new(own: &'a OwnDevice, carp: &'a Carp, rcu: &'a rcu::Guard) -> Self {
        let carpdev = carp.published.carpdev.get(rcu).map(|carpdev| &**carpdev);
        Self { own, carp, carpdev }
    }

    /// Who has `address`, if it is a virtual one. Of several the one on `dev`: two
    /// segments, in two VRFs, may have the same; and it may be one of another namespace
    /// with its parent in this.
    fn of(net: &Net, address: Ipv4Addr, dev: &'a Device, rcu: &'a rcu::Guard) -> Option<Self> {
        let first = Device::by_address_rcu(net, address, rcu);
        let owner = first
            .and_then(|first| first.of_driver::<Carp>(rcu))
            .map(|(own, carp)| Self::new(own, carp, rcu));
        if owner.as_ref().is_some_and(|owner| owner.is_on(dev)) {
            return owner;
        }
        rx_handler::get_rcu::<Parent>(dev, rcu)
            .and_then(|parent| {
                let port = parent.port_with_address(address, rcu)?;
                Some(Self::new(&port.dev, &port.carp, rcu))
            })
            .or(owner)
    }

    /// With `net.inet.carp.arpbalance`, of several interfaces on the segment that
    /// have the address the one that is to answer this sender.
    fn instead(self, packet: &ArpPacket, rcu: &'a rcu::Guard) -> Self {
        if !Namespace::of(self.own.net(), rcu).is_some_and(Namespace::balances_arp) {
            return self;
        }
        let Some(parent) = self
            .carpdev
            .and_then(|carpdev| rx_handler::get_rcu::<Parent>(carpdev, rcu))
        else {
            return self;
        };
        let running = || {
            parent.ports(rcu).filter(|port| {
                port.index == 0
                    && port.carp.published.state() != 0
                    && port.dev.has_address(packet.target, rcu)
            })
        };
        let interfaces = u32::try_from(running().count()).unwrap_or(u32::MAX);
        balancing::arpbalance(packet.sender, interfaces)
            .and_then(|n| running().nth(usize::try_from(n).ok()?))
            .map_or(self, |port| Self::new(&port.dev, &port.carp, rcu))
    }

    /// Of the interfaces on `dev` that have the address, usually this one alone, the
    /// first that is `wanted`.
    fn who(
        self,
        address: Ipv4Addr,
        dev: &'a Device,
        rcu: &'a rcu::Guard,
        wanted: impl Fn(&Carp) -> bool,
    ) -> Option<Self> {
        if self.is_on(dev) && wanted(self.carp) {
            return Some(self);
        }
        let parent = rx_handler::get_rcu::<Parent>(self.carpdev?, rcu)?;
        parent
            .ports(rcu)
            .filter(|port| {
                port.index == 0 && wanted(&port.carp) && port.dev.has_address(address, rcu)
            })
            .map(|port| Self::new(&port.dev, &port.carp, rcu))
            .find(|owner| owner.is_on(dev))
    }

    /// Whether we are the one to answer.
    fn answers(&self, packet: &ArpPacket) -> bool {
        match self.index_for(packet) {
            Some(index) => self.carp.published.masters().is_master_of(index),
            None => self.carp.published.is_master(),
        }
    }

    /// In the mode arp: the index of the virtual host that the sender is given.
    fn index_for(&self, packet: &ArpPacket) -> Option<u32> {
        if self.carp.published.balancing() != Balancing::Arp {
            return None;
        }
        let hash = self.carp.published.arp_hash().of(packet.sender_mac);
        self.carp.published.masters().owner(hash)
    }

    /// Tells the sender where the address is.
    fn answer(&self, carpdev: &Device, packet: &ArpPacket) {
        let mac = self
            .index_for(packet)
            .and_then(|index| self.carp.vhid_at(index))
            .map_or_else(|| self.carp.published.mac(), virtual_mac);
        let source = if self.carp.published.balancing().hides_its_mac() {
            carpdev.mac()
        } else {
            mac
        };
        arp::reply(
            carpdev,
            packet.target,
            &mac,
            &source,
            packet.sender,
            &packet.sender_mac,
        );
    }

    /// The device in whose neighbour table the sender of a packet on `dev` belongs: the
    /// one through which this host sends to it.
    fn learner<'b>(&'b self, dev: &'b Device, sender: Ipv4Addr, rcu: &rcu::Guard) -> &'b Device {
        let query = Query::new(sender, Ipv4Addr::UNSPECIFIED);
        if self
            .carp
            .published
            .ways_back
            .leads_back(self.own, dev, &query, rcu)
        {
            self.own
        } else {
            dev
        }
    }

    /// Whether a packet on `dev` is on the virtual host's segment.
    fn is_on(&self, dev: &Device) -> bool {
        dev.is(self.own) || self.carpdev.is_some_and(|carpdev| carpdev.is(dev))
    }
}

/// Whether `address` is one that interfaces on `carpdev` share, each client being told
/// another one's MAC (`net.inet.carp.arpbalance`): to announce one of them would bring
/// all clients there.
pub(super) fn is_shared(net: &Net, carpdev: &Device, address: Ipv4Addr, rcu: &rcu::Guard) -> bool {
    let interfaces = || {
        let parent = rx_handler::get_rcu::<Parent>(carpdev, rcu)?;
        let ports = parent.ports(rcu).filter(|port| port.index == 0);
        Some(
            ports
                .filter(|port| port.dev.has_address(address, rcu))
                .count(),
        )
    };
    Namespace::of(net, rcu).is_some_and(Namespace::balances_arp)
        && interfaces().is_some_and(|interfaces| interfaces > 1)
}

/// Whether an ARP packet that a parent received is an answer.
pub(super) fn is_reply(skb: &Skb) -> bool {
    const REPLY: [u8; 2] = [0, 2];
    // One that is not linear is none of Ethernet's.
    skb.peek::<8>()
        .is_some_and(|header| header.last_chunk::<2>() == Some(&REPLY))
}

/// Whether an ARP sender may be believed: as ARP itself, which has no route from
/// anything else.
fn is_host(address: Ipv4Addr) -> bool {
    !(address.is_multicast() || address.is_broadcast() || address.is_loopback())
}

impl ArpFilter for Filter {
    fn incoming(net: &Net, dev: &Device, packet: &ArpPacket, rcu: &rcu::Guard) -> Incoming {
        let Some(owner) = Owner::of(net, packet.target, dev, rcu) else {
            return Incoming::Accept;
        };
        let owner = match packet.operation {
            Operation::Reply => Some(owner),
            _ => Some(owner.instead(packet, rcu)).filter(|owner| owner.answers(packet)),
        };
        let owner = owner.filter(|owner| owner.is_on(dev));
        let Some((owner, carpdev)) = owner.and_then(|owner| Some((owner, owner.carpdev?))) else {
            return Incoming::Drop;
        };
        // Nor may one that says to be this host: another one's announcement of our
        // address, or a mistake.
        if !is_host(packet.sender)
            || owner.own.has_address(packet.sender, rcu)
            || dev.has_address(packet.sender, rcu)
        {
            return Incoming::Drop;
        }
        match packet.operation {
            Operation::Request => {}
            // ARP believes it as far as it believes any.
            Operation::Reply => return Incoming::Accept,
            Operation::Other => return Incoming::Drop,
        }
        // 0.0.0.0 asks whether the address is free (RFC 5227): it is not.
        if !packet.sender.is_unspecified() {
            let learner = owner.learner(dev, packet.sender, rcu);
            arp::learn_from_request(learner, packet.sender, &packet.sender_mac);
        }
        owner.answer(carpdev, packet);
        Incoming::Drop
    }

    fn outgoing(net: &Net, dev: &Device, packet: &ArpPacket, rcu: &rcu::Guard) -> Outgoing {
        let Some(owner) = Owner::of(net, packet.sender, dev, rcu) else {
            return Outgoing::Accept;
        };
        let speaks = |carp: &Carp| carp.is_sender_mac(&packet.sender_mac);
        if owner.who(packet.sender, dev, rcu, speaks).is_some() {
            return Outgoing::Accept;
        }
        let voice = owner
            .who(packet.sender, dev, rcu, |carp| carp.sender_mac().is_some())
            .and_then(|owner| owner.carp.sender_mac());
        // A request whose sender is the virtual address, with the parent's MAC. It is
        // sent with the parent's own address instead; if the parent has none, as the
        // master would send it.
        match dev.primary_address(rcu) {
            Some(address) if !dev.is(owner.own) && address != packet.sender => {
                Outgoing::FromAddress(address)
            }
            _ => voice.map_or(Outgoing::Drop, Outgoing::FromMac),
        }
    }
}
