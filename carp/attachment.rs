// SPDX-License-Identifier: GPL-2.0

//! What connects an interface with its parent: its vhids there, and what the parent's
//! receive filter lets through for it.

use super::{
    device::Carp,
    parent::{Lladdr, Parent, Port},
    settings::Settings,
};
use crate::{
    linux::{
        compat::EADDRINUSE,
        membership::Membership,
        netdevice::{Device, MacAddress},
        netdevice_ops::OwnDevice,
        netlink::Extack,
        rcu::{Prepared, RcuSlot},
        rtnl::Rtnl,
        rx_handler::Handler,
    },
    proto::carp::{
        balancing::{Balancing, Masters},
        packet::virtual_mac,
    },
};
use core::net::Ipv6Addr;
use kernel::{
    prelude::*,
    rbtree::{RBTree, RBTreeNodeReservation},
    sync::Arc,
};

/// It is given up by [`Self::detach`], never just dropped.
pub(super) struct Attachment {
    parent: Arc<Handler<Parent>>,
    /// The vhids that lead to the interface.
    vhids: KVec<u8>,
    /// What the parent's filter lets through for it.
    filter: KVec<MacAddress>,
    /// The groups in which the parent hears who looks for the interface's IPv6
    /// addresses.
    groups: RBTree<Ipv6Addr, Membership<Ipv6Addr>>,
}

/// What a change needs, all of it there before anything happens.
struct Change {
    ports: KVec<(u8, Prepared<Port>)>,
    vhids: KVec<u8>,
    lladdrs: Option<Prepared<KVec<Lladdr>>>,
}

impl Attachment {
    /// Puts the interface `carp` with device `own` on `dev`. All of it happens or
    /// nothing.
    ///
    /// # Errors
    ///
    /// In words: `dev` cannot be a parent, or has a vhid already.
    pub(super) fn new(
        carp: &Arc<Carp>,
        own: &OwnDevice,
        dev: &Device,
        settings: &Settings,
        extack: &Extack<'_>,
        rtnl: &Rtnl,
    ) -> Result<Self> {
        let parent = Parent::of(dev, extack, rtnl)?;
        let mut attachment = Self {
            parent,
            vhids: KVec::new(),
            filter: KVec::new(),
            groups: RBTree::new(),
        };
        let attached = dev.link_upper(own, extack, rtnl).and_then(|()| {
            attachment
                .change(carp, own, settings, extack, rtnl)
                .inspect_err(|_| dev.unlink_upper(own, rtnl))
        });
        attached.inspect_err(|_| attachment.parent.release(rtnl))?;
        attachment.parent.add_interface(rtnl);
        Ok(attachment)
    }

    /// Changes vhids, mode or link-layer address on the same parent. All of it
    /// happens or nothing.
    ///
    /// # Errors
    ///
    /// In words: the parent has a vhid already. Out of memory.
    pub(super) fn change(
        &mut self,
        carp: &Arc<Carp>,
        own: &OwnDevice,
        settings: &Settings,
        extack: &Extack<'_>,
        rtnl: &Rtnl,
    ) -> Result {
        let change = self.prepare(carp, own, settings, extack, rtnl)?;
        let up = carp.host.lock().admin_up;
        self.set_filter(settings, up, carp.published.masters(), rtnl)?;
        // Nothing can fail from here on.
        let old = core::mem::replace(&mut self.vhids, change.vhids);
        for (vhid, port) in change.ports {
            self.parent.insert_port(vhid, port);
        }
        for vhid in old.iter().filter(|vhid| !self.vhids.contains(vhid)) {
            self.parent.remove_port(*vhid);
        }
        self.parent.set_lladdrs(change.lladdrs, rtnl);
        Ok(())
    }

    fn prepare(
        &self,
        carp: &Arc<Carp>,
        own: &OwnDevice,
        settings: &Settings,
        extack: &Extack<'_>,
        rtnl: &Rtnl,
    ) -> Result<Change> {
        self.check_lladdr(carp, own, settings, extack)?;
        let mut ports = KVec::new();
        let mut vhids = KVec::new();
        let nodes = settings.nodes.iter().filter(|node| node.vhid != 0);
        for (index, node) in (0_u32..).zip(nodes) {
            if self.parent.is_taken(node.vhid, carp) {
                return Err(extack.error(
                    EEXIST,
                    format_args!(
                        "vhid {} is in use on {} already",
                        node.vhid,
                        self.parent.device().name()
                    ),
                ));
            }
            if self.parent.is_lladdr_taken(&virtual_mac(node.vhid), carp) {
                return Err(extack.error(
                    EADDRINUSE,
                    format_args!(
                        "the virtual MAC of vhid {} is an interface's on {}",
                        node.vhid,
                        self.parent.device().name()
                    ),
                ));
            }
            let port = RcuSlot::prepare(Port {
                index,
                carp: carp.clone(),
                dev: own.hold(),
            })?;
            ports.push((node.vhid, port), GFP_KERNEL_ACCOUNT)?;
            vhids.push(node.vhid, GFP_KERNEL_ACCOUNT)?;
        }
        let leader = settings.nodes.leader().vhid;
        let lladdr = settings
            .lladdr
            .filter(|_| leader != 0)
            .map(|mac| Lladdr { mac, vhid: leader });
        let lladdrs = self.parent.prepare_lladdrs(&self.vhids, lladdr, rtnl)?;
        Ok(Change {
            ports,
            vhids,
            lladdrs,
        })
    }

    /// Whether the interface may have the link-layer address that was set by hand, if it
    /// was: whoever has another one's gets its packets.
    ///
    /// # Errors
    ///
    /// EADDRINUSE, in words.
    pub(super) fn check_lladdr(
        &self,
        carp: &Carp,
        own: &OwnDevice,
        settings: &Settings,
        extack: &Extack<'_>,
    ) -> Result {
        let Some(lladdr) = settings.lladdr else {
            return Ok(());
        };
        let dev = self.parent.device();
        if self.parent.is_lladdr_taken(&lladdr, carp) {
            return Err(extack.error(
                EADDRINUSE,
                format_args!(
                    "this address is that of another virtual host on {}",
                    dev.name()
                ),
            ));
        }
        // Hosts may share the parent's address, which is theirs.
        let net = dev.net();
        if lladdr == dev.mac() && net != own.net() && !net.is_administered_by_caller() {
            return Err(extack.error(
                EADDRINUSE,
                format_args!("this address is that of {} itself", dev.name()),
            ));
        }
        Ok(())
    }

    /// Takes the interface with device `own` off its parent: first nobody finds
    /// it any more, then the rest is undone. Returns what was the parent.
    pub(super) fn detach(mut self, own: &OwnDevice, rtnl: &Rtnl) -> Arc<Handler<Parent>> {
        for vhid in &self.vhids {
            self.parent.remove_port(*vhid);
        }
        // Without memory a list stays that leads nowhere.
        if let Ok(lladdrs) = self.parent.prepare_lladdrs(&self.vhids, None, rtnl) {
            self.parent.set_lladdrs(lladdrs, rtnl);
        }
        self.close_filter(rtnl);
        while let Some(first) = self.groups.cursor_front_mut() {
            let (_, membership) = first.remove_current().1.to_key_value();
            membership.leave(rtnl);
        }
        self.parent.device().unlink_upper(own, rtnl);
        self.parent.remove_interface(rtnl);
        self.parent.release(rtnl);
        self.parent
    }

    /// Lets the interface's addresses through the parent's receive filter if it is
    /// up, master or not: changing a filter may need RTNL, and a takeover must not.
    ///
    /// A bridge would take the frames that it switches to another master, all of
    /// them, for itself as well; so there the filter follows the state.
    ///
    /// # Errors
    ///
    /// Out of memory: nothing changed. Never if it is not up.
    pub(super) fn set_filter(
        &mut self,
        settings: &Settings,
        up: bool,
        masters: Masters,
        rtnl: &Rtnl,
    ) -> Result {
        let masters = Self::filter_follows_state(self.parent.device()).then_some(masters);
        let wanted = if up {
            macs(settings, masters)?
        } else {
            KVec::new()
        };
        let dev = self.parent.device();
        for (done, mac) in wanted.iter().enumerate() {
            if let Err(error) = open(dev, mac, rtnl) {
                for mac in wanted.iter().take(done) {
                    close(dev, mac, rtnl);
                }
                return Err(error);
            }
        }
        // The device counts them, so what stays is never shut.
        self.close_filter(rtnl);
        self.filter = wanted;
        Ok(())
    }

    fn close_filter(&mut self, rtnl: &Rtnl) {
        let old = core::mem::take(&mut self.filter);
        for mac in &old {
            close(self.parent.device(), mac, rtnl);
        }
    }

    /// Whether what this parent receives depends on who is master.
    pub(super) fn filter_follows_state(carpdev: &Device) -> bool {
        carpdev.is_bridge()
    }

    /// Makes the parent a member of a group. It is one before a takeover, for switches
    /// that snoop.
    ///
    /// # Errors
    ///
    /// Out of memory: it is none.
    pub(super) fn join(&mut self, group: Ipv6Addr, rtnl: &Rtnl) -> Result {
        if self.groups.get(&group).is_none() {
            let room = RBTreeNodeReservation::new(GFP_KERNEL_ACCOUNT)?;
            let membership = self.parent.device().join_group(group, rtnl);
            self.groups.insert(room.into_node(group, membership));
        }
        Ok(())
    }

    /// The parent need not be a member of a group any more.
    pub(super) fn leave(&mut self, group: Ipv6Addr, rtnl: &Rtnl) {
        if let Some(membership) = self.groups.remove(&group) {
            membership.leave(rtnl);
        }
    }

    /// Joins again what the parent has lost.
    pub(super) fn refresh_groups(&mut self, rtnl: &Rtnl) {
        for membership in self.groups.values_mut() {
            membership.refresh(rtnl);
        }
    }

    /// The parent.
    pub(super) fn parent(&self) -> &Arc<Handler<Parent>> {
        &self.parent
    }
}

/// The Ethernet addresses that an interface with these settings is to hear; where
/// that depends on it, being master of these.
fn macs(settings: &Settings, masters: Option<Masters>) -> Result<KVec<MacAddress>> {
    let mut macs = KVec::new();
    let nodes = || {
        let nodes = settings.nodes.iter().filter(|node| node.vhid != 0);
        (0_u32..).zip(nodes)
    };
    let mode = settings.balancing();
    let leads = masters.is_none_or(|masters| {
        if mode.is_by_hash() {
            masters.is_any()
        } else {
            masters.is_master_of(0)
        }
    });
    if leads && nodes().next().is_some() {
        macs.push(settings.mac(), GFP_KERNEL_ACCOUNT)?;
    }
    if mode == Balancing::Arp {
        for (index, node) in nodes() {
            if masters.is_none_or(|masters| masters.is_master_of(index)) {
                macs.push(virtual_mac(node.vhid), GFP_KERNEL_ACCOUNT)?;
            }
        }
    }
    Ok(macs)
}

fn is_group(mac: &MacAddress) -> bool {
    mac.first().is_some_and(|first| first & 1 == 1)
}

fn open(dev: &Device, mac: &MacAddress, rtnl: &Rtnl) -> Result {
    if is_group(mac) {
        dev.add_multicast(mac, rtnl)
    } else {
        dev.add_unicast(mac, rtnl)
    }
}

fn close(dev: &Device, mac: &MacAddress, rtnl: &Rtnl) {
    if is_group(mac) {
        dev.remove_multicast(mac, rtnl);
    } else {
        dev.remove_unicast(mac, rtnl);
    }
}
