// SPDX-License-Identifier: GPL-2.0

//! A parent: the device (`carpdev`) that carp interfaces stand on.

use super::{counters::Counters, device::Carp};
use crate::{
    linux::{
        netdevice::{Device, MacAddress},
        netdevice_ops::OwnDevice,
        netlink::Extack,
        rcu::RcuSlot,
        rtnl::Rtnl,
        rx_handler::{self, RxHandler, Verdict},
        skbuff::{PacketType, Skb},
    },
    proto::carp::{frame, packet},
};
use core::net::Ipv4Addr;
use kernel::{
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{Atomic, Relaxed},
        rcu, Arc,
    },
};
use pin_init::pin_init_array_from_fn;

/// One for each parent, shared by the interfaces on it; it is found through the
/// parent's rx handler.
#[pin_data]
pub(crate) struct Parent {
    dev: ARef<Device>,
    /// The interfaces by vhid, for the packet paths.
    #[pin]
    ports: [RcuSlot<Port>; 256],
    /// How many interfaces stand on it, with a vhid or without; RTNL.
    interfaces: Atomic<usize>,
    /// Packets that came in here and belong to none of them.
    pub(crate) counters: Counters,
}

/// An interface as the packet paths find it.
pub(crate) struct Port {
    /// The interface.
    pub(crate) carp: Arc<Carp>,
    /// Its device, whose counters and taps see the traffic.
    pub(crate) dev: ARef<OwnDevice>,
}

/// The Ethernet header in front of what a receiver counts.
const ETH_HLEN: u32 = 14;
const ETH_P_IP: u16 = 0x0800;
const ETH_P_ARP: u16 = 0x0806;

impl Parent {
    /// The parent that `dev` is, made if it is none yet.
    ///
    /// # Errors
    ///
    /// In words: `dev` cannot carry carp interfaces.
    fn of(dev: &Device, extack: &Extack<'_>, rtnl: &Rtnl) -> Result<Arc<Self>> {
        if let Some(parent) = rx_handler::get(dev, rtnl) {
            return Ok(parent);
        }
        // In place: it is too large for the stack.
        let parent = Arc::pin_init(
            pin_init!(Self {
                dev: dev.hold(),
                ports <- pin_init_array_from_fn(|_| RcuSlot::init()),
                interfaces: Atomic::new(0),
                counters: Counters::new(),
            }),
            GFP_KERNEL,
        )?;
        rx_handler::register(dev, parent.clone(), extack, rtnl)?;
        // Switches that snoop must know before a takeover.
        dev.join_group(packet::GROUP_IPV4, rtnl);
        Ok(parent)
    }

    /// Lets the parent be an ordinary device again if nobody stands on it.
    fn release(&self, rtnl: &Rtnl) {
        if self.interfaces.load(Relaxed) == 0 {
            self.dev.leave_group(packet::GROUP_IPV4, rtnl);
            drop(rx_handler::unregister::<Self>(&self.dev, rtnl));
        }
    }

    /// The device.
    pub(crate) fn device(&self) -> &Device {
        &self.dev
    }

    /// The interface with this vhid, for readers under RCU.
    pub(crate) fn port<'a>(&'a self, vhid: u8, rcu: &'a rcu::Guard) -> Option<&'a Port> {
        self.ports.get(usize::from(vhid))?.get(rcu)
    }

    /// Calls `each` with every interface that has a vhid here.
    pub(crate) fn for_each(&self, mut each: impl FnMut(&Arc<Carp>)) {
        for slot in &self.ports {
            // Counted, so that `each` may sleep.
            let carp = slot.get(&rcu::read_lock()).map(|port| port.carp.clone());
            if let Some(carp) = carp {
                each(&carp);
            }
        }
    }

    /// The interface here that has an address, for readers under RCU.
    pub(crate) fn port_with_address<'a>(
        &'a self,
        address: Ipv4Addr,
        rcu: &'a rcu::Guard,
    ) -> Option<&'a Port> {
        self.ports
            .iter()
            .filter_map(|slot| slot.get(rcu))
            .find(|port| port.dev.has_address(address, rcu))
    }

    /// Whether an interface other than `carp` has this vhid here.
    fn is_taken(&self, vhid: u8, carp: &Carp) -> bool {
        self.port(vhid, &rcu::read_lock())
            .is_some_and(|port| !core::ptr::eq(&*port.carp, carp))
    }
}

/// An interface's place on a parent.
pub(crate) struct Attachment {
    parent: Arc<Parent>,
    /// 0: none yet.
    vhid: u8,
    /// Whether the parent's receive filter is to let the virtual MAC through.
    wanted: bool,
    /// Whether it does.
    filter: bool,
}

impl Attachment {
    /// Puts the interface `carp` with device `own` on `dev`. All of it happens or
    /// nothing.
    ///
    /// # Errors
    ///
    /// In words: `dev` cannot be a parent, or has the vhid already.
    pub(crate) fn new(
        carp: &Arc<Carp>,
        own: &OwnDevice,
        dev: &Device,
        vhid: u8,
        extack: &Extack<'_>,
        rtnl: &Rtnl,
    ) -> Result<Self> {
        let parent = Parent::of(dev, extack, rtnl)?;
        let attached = dev
            .link_upper(own, extack, rtnl)
            .and_then(|()| {
                parent
                    .occupy(carp, own, vhid, extack)
                    .inspect_err(|_| dev.unlink_upper(own, rtnl))
            })
            .inspect_err(|_| parent.release(rtnl));
        attached?;
        let interfaces = parent.interfaces.load(Relaxed);
        parent
            .interfaces
            .store(interfaces.saturating_add(1), Relaxed);
        Ok(Self {
            parent,
            vhid,
            wanted: false,
            filter: false,
        })
    }

    /// Changes the vhid on the same parent. All of it happens or nothing.
    ///
    /// # Errors
    ///
    /// In words: the parent has the vhid already.
    pub(crate) fn change_vhid(
        &mut self,
        carp: &Arc<Carp>,
        own: &OwnDevice,
        vhid: u8,
        extack: &Extack<'_>,
        rtnl: &Rtnl,
    ) -> Result {
        self.parent.occupy(carp, own, vhid, extack)?;
        if self.wanted {
            let added = self
                .parent
                .dev
                .add_unicast(&packet::virtual_mac(vhid), rtnl);
            added.inspect_err(|_| self.parent.vacate(vhid))?;
        }
        let old = core::mem::replace(&mut self.vhid, vhid);
        if core::mem::replace(&mut self.filter, self.wanted) {
            let old = packet::virtual_mac(old);
            self.parent.dev.remove_unicast(&old, rtnl);
        }
        self.parent.vacate(old);
        Ok(())
    }

    /// Takes the interface with device `own` off its parent: first nobody finds
    /// it any more, then the rest is undone.
    pub(crate) fn detach(mut self, own: &OwnDevice, rtnl: &Rtnl) {
        self.parent.vacate(self.vhid);
        // Removing never fails.
        let _ = self.set_filter(false, rtnl);
        self.parent.dev.unlink_upper(own, rtnl);
        let interfaces = self.parent.interfaces.load(Relaxed);
        self.parent
            .interfaces
            .store(interfaces.saturating_sub(1), Relaxed);
        self.parent.release(rtnl);
    }

    /// Lets the virtual MAC through the parent's receive filter, or no longer.
    /// It is let through while the interface is up, master or not: changing a
    /// filter may need RTNL, and a takeover must not.
    ///
    /// # Errors
    ///
    /// Out of memory; never for `false`.
    pub(crate) fn set_filter(&mut self, filter: bool, rtnl: &Rtnl) -> Result {
        if self.vhid == 0 || filter == self.filter {
            self.wanted = filter;
            return Ok(());
        }
        let mac: MacAddress = packet::virtual_mac(self.vhid);
        if filter {
            self.parent.dev.add_unicast(&mac, rtnl)?;
        } else {
            self.parent.dev.remove_unicast(&mac, rtnl);
        }
        self.wanted = filter;
        self.filter = filter;
        Ok(())
    }

    /// The parent.
    pub(crate) fn parent(&self) -> &Arc<Parent> {
        &self.parent
    }
}

impl Parent {
    fn occupy(&self, carp: &Arc<Carp>, own: &OwnDevice, vhid: u8, extack: &Extack<'_>) -> Result {
        if vhid == 0 {
            return Ok(());
        }
        if self.is_taken(vhid, carp) {
            return Err(extack.error(
                EEXIST,
                format_args!("vhid {} is in use on {} already", vhid, self.dev.name()),
            ));
        }
        let slot = self.ports.get(usize::from(vhid)).ok_or(EINVAL)?;
        slot.put(RcuSlot::prepare(Port {
            carp: carp.clone(),
            dev: own.hold(),
        })?);
        Ok(())
    }

    fn vacate(&self, vhid: u8) {
        if vhid != 0 {
            if let Some(slot) = self.ports.get(usize::from(vhid)) {
                slot.clear();
            }
        }
    }
}

impl RxHandler for Parent {
    fn receive(&self, dev: &Device, skb: Skb) -> Verdict {
        // The destination first: nearly every packet is somebody else's.
        let mac = skb.ethernet_destination();
        let vhid = match mac {
            [0x00, 0x00, 0x5e, 0x00, 0x01, vhid] => Some(vhid),
            _ if mac == frame::multicast_mac(packet::GROUP_IPV4) => None,
            _ => return Verdict::Pass(skb),
        };
        // What was looped back has no Ethernet header; what has a VLAN tag is for
        // another device.
        if skb.packet_type() == PacketType::Loopback || skb.has_vlan_tag() {
            return Verdict::Pass(skb);
        }
        match vhid {
            Some(vhid) => self.receive_virtual(dev, vhid, skb),
            None => receive_group(dev, skb),
        }
    }
}

impl Parent {
    /// A packet for a virtual MAC. If we are its master, IP gets it on the parent,
    /// where users' firewall rules expect it, and where the way back leads.
    fn receive_virtual(&self, dev: &Device, vhid: u8, skb: Skb) -> Verdict {
        let rcu = rcu::read_lock();
        let Some(port) = self.port(vhid, &rcu) else {
            return Verdict::Pass(skb);
        };
        if !port.carp.is_master() {
            // Somebody else's, at a switch that does not know yet.
            return Verdict::Consumed;
        }
        let Some(mut skb) = skb.unshare() else {
            return Verdict::Consumed;
        };
        port.dev.count_received(skb.len().saturating_add(ETH_HLEN));
        skb.set_to_this_host();
        // A parent without IPv4 would refuse it: then the way back leads through
        // the carp interface, and so does this.
        if matches!(skb.protocol(), ETH_P_IP | ETH_P_ARP) && dev.primary_address(&rcu).is_none() {
            skb.set_device(&port.dev);
            return Verdict::Another(skb);
        }
        skb.show_to_taps(&port.dev);
        Verdict::Pass(skb)
    }
}

/// A packet for 224.0.0.18. An advertisement's source may be the virtual address,
/// which is ours as well: to IP that is a martian, unless the packet brings its
/// route along.
fn receive_group(dev: &Device, skb: Skb) -> Verdict {
    if skb.protocol() != ETH_P_IP {
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
        skb.route_multicast_to_this_host(dev);
    }
    Verdict::Pass(skb)
}
