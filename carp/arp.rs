// SPDX-License-Identifier: GPL-2.0

//! Who answers for a virtual address: the master alone, with the virtual MAC, on
//! the parent.
//!
//! To Linux a virtual address is one of the host's own, for which every interface
//! answers with its own MAC, and which any interface may name as the sender of a
//! question. These filters see to it that neither happens.

use super::device::Carp;
use crate::{
    linux::{
        arp,
        namespace::Net,
        netdevice::Device,
        netfilter_arp::{ArpFilter, ArpPacket, Hooks, Incoming, Outgoing},
    },
    proto::carp::packet::virtual_mac,
};
use core::net::Ipv4Addr;
use kernel::sync::rcu;

/// The filter of all carp interfaces of a namespace.
pub(crate) struct Filter;

/// Its hooks.
pub(crate) static ARP_HOOKS: Hooks<Filter> = Hooks::new();

/// The device and the interface that a virtual address belongs to.
struct Owner<'a> {
    own: &'a Device,
    carp: &'a Carp,
    carpdev: Option<&'a Device>,
}

fn owner<'a>(net: &Net, address: Ipv4Addr, rcu: &'a rcu::Guard) -> Option<Owner<'a>> {
    let own = Device::by_address_rcu(net, address, rcu)?;
    let carp = own.driver_data::<Carp>(rcu)?;
    let carpdev = carp.carpdev.get(rcu).map(|carpdev| &**carpdev);
    Some(Owner { own, carp, carpdev })
}

impl Owner<'_> {
    /// Whether a packet on `dev` is on the virtual host's segment.
    fn is_on(&self, dev: &Device) -> bool {
        dev.is(self.own) || self.carpdev.is_some_and(|carpdev| carpdev.is(dev))
    }
}

impl ArpFilter for Filter {
    fn incoming(net: &Net, dev: &Device, packet: &ArpPacket, rcu: &rcu::Guard) -> Incoming {
        let Some(owner) = owner(net, packet.target, rcu) else {
            return Incoming::Accept;
        };
        let (true, Some(carpdev)) = (owner.carp.is_master() && owner.is_on(dev), owner.carpdev)
        else {
            return Incoming::Drop;
        };
        if !packet.request {
            arp::learn_from_reply(dev, packet.sender, &packet.sender_mac);
            return Incoming::Drop;
        }
        // Another host's announcement of our own address asks nothing.
        if packet.sender == packet.target {
            return Incoming::Drop;
        }
        // 0.0.0.0 asks whether the address is free (RFC 5227): it is not.
        if !packet.sender.is_unspecified() {
            arp::learn_from_request(dev, packet.sender, &packet.sender_mac);
        }
        let mac = virtual_mac(owner.carp.vhid());
        arp::reply(
            carpdev,
            packet.target,
            &mac,
            packet.sender,
            &packet.sender_mac,
        );
        Incoming::Drop
    }

    fn outgoing(net: &Net, dev: &Device, packet: &ArpPacket, rcu: &rcu::Guard) -> Outgoing {
        let Some(owner) = owner(net, packet.sender, rcu) else {
            return Outgoing::Accept;
        };
        let ours = owner.carp.is_master() && owner.is_on(dev);
        let mac = virtual_mac(owner.carp.vhid());
        if ours && packet.sender_mac == mac {
            return Outgoing::Accept;
        }
        // A question in the name of the virtual address, from the parent's MAC:
        // ask in the parent's own name, or where it has none as the master.
        match dev.primary_address(rcu) {
            Some(address) if !dev.is(owner.own) && address != packet.sender => {
                Outgoing::FromAddress(address)
            }
            _ if ours => Outgoing::FromMac(mac),
            _ => Outgoing::Drop,
        }
    }
}
