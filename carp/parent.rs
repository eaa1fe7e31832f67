// SPDX-License-Identifier: GPL-2.0

//! A parent: the lower device (`carpdev`) of carp interfaces.

use super::{counters::Counters, device::Carp};
use crate::{
    linux::{
        bug::warn_on_once,
        membership::Membership,
        netdevice::{ether_addr_to_u64, Device, MacAddress},
        netdevice_ops::OwnDevice,
        netfilter_ingress::IngressHook,
        netlink::Extack,
        rcu::{Prepared, RcuSlot},
        rtnl::Rtnl,
        rx_handler::{self, Handler},
        skbuff_rx::{MulticastRoute, RxSkb},
    },
    proto::carp::packet,
};
use core::{
    iter::Zip,
    net::{Ipv4Addr, Ipv6Addr},
    slice,
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{Atomic, Relaxed},
        rcu, Arc, Mutex,
    },
};
use pin_init::pin_init_array_from_fn;

/// The state of a parent, shared by the interfaces on it. It is found through the
/// parent's rx handler.
#[pin_data]
pub(crate) struct Parent {
    dev: ARef<Device>,
    /// The interfaces by vhid, for the packet paths.
    #[pin]
    ports: [RcuSlot<Port>; 256],
    /// The vhids in use as a bitmap, so that a walk does not read all ports.
    used_vhids: [Atomic<u64>; 4],
    /// Link-layer addresses set by hand, and the vhids that have them.
    lladdrs: RcuSlot<KVec<Lladdr>>,
    /// The route of received IPv4 advertisements: local delivery.
    pub(super) route: MulticastRoute,
    /// Memberships in the multicast groups of advertisements; RTNL.
    #[pin]
    groups: Mutex<Option<Memberships>>,
    /// The hook that drops frames for other hosts before other ingress hooks see them.
    /// Registered only while there are other hooks; RTNL.
    #[pin]
    ingress: Mutex<Option<IngressHook<Self>>>,
    /// Whether `ingress` is registered; read without RTNL.
    guards_ingress: Atomic<bool>,
    /// How many interfaces have this parent, with a vhid or without; RTNL.
    interfaces: Atomic<usize>,
    /// Counts packets that came in here and belong to none of the interfaces.
    pub(crate) counters: Counters,
}

/// A parent's memberships in the groups of advertisements.
struct Memberships {
    ipv4: Membership<Ipv4Addr>,
    ipv6: Membership<Ipv6Addr>,
}

/// A link-layer address set by hand: unlike a virtual MAC, it does not contain the vhid.
pub(super) struct Lladdr {
    pub(super) mac: MacAddress,
    pub(super) vhid: u8,
}

/// An interface as the packet paths find it.
pub(crate) struct Port {
    /// The vhid's index among those of the interface, in ascending order.
    pub(crate) index: u32,
    /// The interface.
    pub(crate) carp: Arc<Carp>,
    /// Its device, whose counters and taps see the traffic.
    pub(crate) dev: ARef<OwnDevice>,
}

/// The ports of a parent, see [`Parent::ports`]. A named type, because the symbol names
/// of filters over anonymous iterator adapters would be longer than the kernel allows.
pub(crate) struct Ports<'a> {
    words: Zip<slice::Iter<'a, Atomic<u64>>, slice::ChunksExact<'a, RcuSlot<Port>>>,
    /// Which of `slots` the iterator has not returned yet.
    bits: u64,
    slots: &'a [RcuSlot<Port>],
    rcu: &'a rcu::Guard,
}

impl<'a> Iterator for Ports<'a> {
    type Item = &'a Port;

    fn next(&mut self) -> Option<&'a Port> {
        loop {
            while self.bits != 0 {
                let bit = usize::try_from(self.bits.trailing_zeros()).ok()?;
                self.bits &= self.bits.wrapping_sub(1);
                let port = self.slots.get(bit).and_then(|slot| slot.get(self.rcu));
                if port.is_some() {
                    return port;
                }
            }
            let (word, slots) = self.words.next()?;
            self.bits = word.load(Relaxed);
            self.slots = slots;
        }
    }
}

impl Parent {
    /// Returns the parent state of `dev`. Makes it if `dev` is not a parent yet.
    ///
    /// # Errors
    ///
    /// In words: `dev` cannot carry carp interfaces.
    pub(super) fn of(dev: &Device, extack: &Extack<'_>, rtnl: &Rtnl) -> Result<Arc<Handler<Self>>> {
        if let Some(parent) = rx_handler::get(dev, rtnl) {
            return Ok(parent);
        }
        let route = MulticastRoute::new(dev)?;
        // In place: it is too large for the stack.
        let parent = Arc::pin_init(
            Handler::new(pin_init!(Self {
                dev: dev.hold(),
                ports <- pin_init_array_from_fn(|_| RcuSlot::init()),
                used_vhids: [const { Atomic::new(0) }; 4],
                lladdrs: RcuSlot::new(),
                route,
                groups <- new_mutex!(None, "carp_groups"),
                ingress <- new_mutex!(None, "carp_ingress"),
                guards_ingress: Atomic::new(false),
                interfaces: Atomic::new(0),
                counters: Counters::new(),
            })),
            GFP_KERNEL_ACCOUNT,
        )?;
        rx_handler::register(dev, parent.clone(), extack, rtnl)?;
        // Switches that snoop must know before a takeover.
        *parent.groups.lock() = Some(Memberships {
            ipv4: dev.join_group(packet::GROUP_IPV4, rtnl),
            ipv6: dev.join_group(packet::GROUP_IPV6, rtnl),
        });
        Ok(parent)
    }

    /// The parent of an interface, if it has one, for readers under RCU.
    pub(super) fn lower_of<'a>(carp: &'a Carp, rcu: &'a rcu::Guard) -> Option<&'a Self> {
        rx_handler::get_rcu(carp.published.carpdev.get(rcu)?, rcu)
    }

    /// Makes the parent an ordinary device again if no interface is on it any more.
    pub(super) fn release(&self, rtnl: &Rtnl) {
        if self.interfaces.load(Relaxed) == 0 {
            if let Some(groups) = self.groups.lock().take() {
                groups.ipv4.leave(rtnl);
                groups.ipv6.leave(rtnl);
            }
            drop(self.ingress.lock().take());
            drop(rx_handler::unregister::<Self>(&self.dev, rtnl));
        }
    }

    /// Joins again the multicast groups that the device has lost.
    pub(super) fn refresh_groups(&self, rtnl: &Rtnl) {
        if let Some(groups) = &mut *self.groups.lock() {
            groups.ipv4.refresh(rtnl);
            groups.ipv6.refresh(rtnl);
        }
    }

    /// Whether other ingress hooks of the parent, such as flowtables, have been added or
    /// removed since [`Self::follow_ingress`]. Any context.
    pub(super) fn is_ingress_stale(&self) -> bool {
        let rcu = rcu::read_lock();
        let guards = self.guards_ingress.load(Relaxed);
        let others = self.dev.ingress_hooks(&rcu) > usize::from(guards);
        others != guards
    }

    /// Registers or unregisters the ingress hook of this module. A flowtable forwards the
    /// packets of its flows before the rx handler sees them, even those that belong to
    /// another host. While there is a flowtable or another ingress hook, frames for other
    /// hosts are dropped before it.
    ///
    /// # Errors
    ///
    /// Out of memory.
    pub(super) fn follow_ingress(&self, rtnl: &Rtnl) -> Result {
        if self.is_ingress_stale() {
            let mut hook = self.ingress.lock();
            *hook = match hook.take() {
                Some(_) => None,
                None => Some(IngressHook::register(&self.dev, rtnl)?),
            };
            self.guards_ingress.store(hook.is_some(), Relaxed);
        }
        Ok(())
    }

    /// The device.
    pub(crate) fn device(&self) -> &Device {
        &self.dev
    }

    /// The interface with this vhid, for readers under RCU.
    pub(crate) fn port<'a>(&'a self, vhid: u8, rcu: &'a rcu::Guard) -> Option<&'a Port> {
        self.ports.get(usize::from(vhid))?.get(rcu)
    }

    /// The ports of all interfaces in ascending order of vhid.
    pub(crate) fn ports<'a>(&'a self, rcu: &'a rcu::Guard) -> Ports<'a> {
        Ports {
            words: self.used_vhids.iter().zip(self.ports.chunks_exact(64)),
            bits: 0,
            slots: &[],
            rcu,
        }
    }

    /// How many vhids are in use. Any context.
    pub(super) fn vhids(&self) -> u32 {
        let vhids = |word: &Atomic<u64>| word.load(Relaxed).count_ones();
        self.used_vhids.iter().map(vhids).sum()
    }

    /// Calls `each` with every interface that has a vhid here.
    pub(crate) fn for_each(&self, mut each: impl FnMut(&Arc<Carp>)) {
        for slot in &self.ports {
            // The reference is counted, so that `each` may sleep. An interface with
            // several vhids is visited once.
            let carp = slot
                .get(&rcu::read_lock())
                .filter(|port| port.index == 0)
                .map(|port| port.carp.clone());
            if let Some(carp) = carp {
                each(&carp);
            }
        }
    }

    /// The interface on this parent that has an address, for readers under RCU.
    pub(crate) fn port_with_address<'a>(
        &'a self,
        address: Ipv4Addr,
        rcu: &'a rcu::Guard,
    ) -> Option<&'a Port> {
        self.ports(rcu)
            .find(|port| port.dev.has_address(address, rcu))
    }

    /// Whether an interface other than `carp` has this vhid here.
    pub(super) fn is_taken(&self, vhid: u8, carp: &Carp) -> bool {
        self.port(vhid, &rcu::read_lock())
            .is_some_and(|port| !core::ptr::eq(&*port.carp, carp))
    }

    /// Whether an interface other than `carp` has a link-layer address, or one of its
    /// virtual hosts has it.
    pub(super) fn is_lladdr_taken(&self, mac: &MacAddress, carp: &Carp) -> bool {
        let rcu = rcu::read_lock();
        let ports = (1..=u8::MAX).filter_map(|vhid| Some((vhid, self.port(vhid, &rcu)?)));
        ports
            .filter(|(_, port)| !core::ptr::eq(&*port.carp, carp))
            .any(|(vhid, port)| {
                packet::virtual_mac(vhid) == *mac || port.carp.published.mac() == *mac
            })
    }

    /// Inserts the port of an interface, so that packets for this vhid find it.
    pub(super) fn insert_port(&self, vhid: u8, port: Prepared<Port>) {
        if let Some(slot) = self.ports.get(usize::from(vhid)) {
            slot.put(port);
            self.set_vhid_used(vhid, true);
        }
    }

    /// Removes the port of this vhid.
    pub(super) fn remove_port(&self, vhid: u8) {
        if let Some(slot) = self.ports.get(usize::from(vhid)) {
            slot.clear();
            self.set_vhid_used(vhid, false);
        }
    }

    /// Load and store need not be one operation: RTNL serialises writers.
    fn set_vhid_used(&self, vhid: u8, used: bool) {
        if let Some(word) = self.used_vhids.get(usize::from(vhid >> 6)) {
            let bit = 1 << (vhid & 63);
            let others = word.load(Relaxed) & !bit;
            word.store(if used { others | bit } else { others }, Relaxed);
        }
    }

    /// Counts one more interface on this parent.
    pub(super) fn add_interface(&self, _rtnl: &Rtnl) {
        let interfaces = self.interfaces.load(Relaxed);
        self.interfaces.store(interfaces.saturating_add(1), Relaxed);
    }

    /// Counts one interface less; see [`Self::release`].
    pub(super) fn remove_interface(&self, _rtnl: &Rtnl) {
        let interfaces = self.interfaces.load(Relaxed);
        warn_on_once!(interfaces == 0);
        self.interfaces.store(interfaces.saturating_sub(1), Relaxed);
    }

    /// Makes a new list of the link-layer addresses set by hand: the current one without
    /// those of `vhids`, and with `new`. [`Self::set_lladdrs`] then installs it.
    ///
    /// # Errors
    ///
    /// Out of memory.
    pub(super) fn prepare_lladdrs(
        &self,
        vhids: &[u8],
        new: Option<Lladdr>,
        _rtnl: &Rtnl,
    ) -> Result<Option<Prepared<KVec<Lladdr>>>> {
        let mut list = KVec::new();
        let rcu = rcu::read_lock();
        let old = self.lladdrs.get(&rcu).map_or(&[][..], |list| list);
        for other in old.iter().filter(|other| !vhids.contains(&other.vhid)) {
            let other = Lladdr {
                mac: other.mac,
                vhid: other.vhid,
            };
            list.push(other, GFP_ATOMIC)?;
        }
        drop(rcu);
        if let Some(new) = new {
            list.push(new, GFP_KERNEL_ACCOUNT)?;
        }
        if list.is_empty() {
            return Ok(None);
        }
        Ok(Some(RcuSlot::prepare(list)?))
    }

    /// Installs the list that [`Self::prepare_lladdrs`] made.
    pub(super) fn set_lladdrs(&self, list: Option<Prepared<KVec<Lladdr>>>, _rtnl: &Rtnl) {
        match list {
            Some(list) => self.lladdrs.put(list),
            None => self.lladdrs.clear(),
        }
    }

    /// Whether a packet is certainly for none of the interfaces. This check comes first:
    /// it is true for nearly every packet and is then the only cost.
    #[inline]
    pub(super) fn is_foreign(&self, skb: &RxSkb<'_>, rcu: &rcu::Guard) -> bool {
        !may_be_ours(skb.ethernet_destination_head()) && self.lladdrs.get(rcu).is_none()
    }

    /// The vhid to which a link-layer address belongs.
    #[inline]
    pub(super) fn vhid_of(&self, mac: u64, rcu: &rcu::Guard) -> Option<u8> {
        let [.., last] = mac.to_be_bytes();
        let by_itself = is_virtual(mac).then_some(last);
        match self.lladdrs.get(rcu) {
            None => by_itself,
            Some(list) => vhid_by_hand(list, mac).or(by_itself),
        }
    }
}

/// The vhid for which a link-layer address was set by hand.
#[inline(never)]
fn vhid_by_hand(list: &[Lladdr], mac: u64) -> Option<u8> {
    list.iter()
        .find(|it| ether_addr_to_u64(it.mac) == mac)
        .map(|it| it.vhid)
}

/// Whether an address with these first four bytes can be a virtual MAC or a multicast
/// address.
#[inline]
fn may_be_ours(head: u32) -> bool {
    // 00:00:5e:00, or a group
    head == 0x0000_5e00 || head & 0x0100_0000 != 0
}

/// The bit that makes an Ethernet address a multicast address.
pub(super) const GROUP_BIT: u64 = 0x0100_0000_0000;
/// The virtual MAC without its last byte, the vhid.
const VIRTUAL: u64 = ether_addr_to_u64(packet::virtual_mac(0));

/// Whether an address is the virtual MAC of a vhid, or the multicast address that mode ip
/// derives from it.
const fn is_virtual(mac: u64) -> bool {
    mac & !(GROUP_BIT | 0xff) == VIRTUAL
}
