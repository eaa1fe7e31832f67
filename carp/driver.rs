// SPDX-License-Identifier: GPL-2.0

//! The interface as a network device: what the kernel asks of its driver.

use super::{
    carpdev, device::Carp, election, follow_up, group_membership, move_netns, netns::Namespace,
    reconfigure,
};
use crate::{
    linux::{
        netdevice::MacAddress,
        netdevice_ops::{AddressLock, Driver, Operations, OwnDevice},
        rtnl::Rtnl,
        skbuff_tx::XmitSkb,
        timer::{HasTimer, Timer},
    },
    proto::carp::balancing::Balancing,
};
use kernel::{
    prelude::*,
    sync::{rcu, Arc, ArcBorrow},
};

static OPERATIONS: Operations<Carp> = Operations::new();

impl HasTimer for Carp {
    fn timer(&self) -> &Timer<Self> {
        &self.timer
    }

    fn expired(&self) {
        election::timer_expired(self);
    }
}

impl Driver for Carp {
    fn operations() -> &'static Operations<Self> {
        &OPERATIONS
    }

    fn open(&self, _dev: &OwnDevice, rtnl: &Rtnl) -> Result {
        carpdev::set_filter(self, true, rtnl)?;
        self.host.lock().admin_up = true;
        election::update(self, rtnl);
        Ok(())
    }

    fn stop(&self, dev: &OwnDevice, rtnl: &Rtnl) {
        self.host.lock().admin_up = false;
        election::update(self, rtnl);
        // Removing never fails.
        let _ = carpdev::set_filter(self, false, rtnl);
        carpdev::leave_members(self, dev, rtnl);
    }

    fn set_rx_mode(&self, dev: &OwnDevice, addresses: &AddressLock<'_>) {
        self.published.members.read(dev, addresses);
        // Master or not: changing a filter may need RTNL, and a takeover must not.
        let rcu = rcu::read_lock();
        if let Some(carpdev) = self.published.carpdev.get(&rcu) {
            dev.sync_multicast(carpdev, addresses);
        }
    }

    fn uninit(&self, dev: &OwnDevice, rtnl: &Rtnl) {
        // Unreachable first, then the timer, then what it needed.
        carpdev::disconnect(self, dev, rtnl);
        drop(self.configured.timer.replace(None, rtnl));
        let own = self.host.lock().own.take();
        if let Some(namespace) = Namespace::of(dev.net(), rtnl) {
            group_membership::leave_all(self, namespace.groups(), rtnl);
        }
        move_netns::leave(self, dev, rtnl);
        drop(own);
    }

    fn set_mac(
        this: ArcBorrow<'_, Self>,
        dev: &OwnDevice,
        mac: &MacAddress,
        rtnl: &Rtnl,
    ) -> Result {
        let this: Arc<Self> = this.into();
        reconfigure::set_lladdr(&this, dev, *mac, rtnl)
    }

    fn start_xmit(&self, dev: &OwnDevice, mut skb: XmitSkb, rcu: &rcu::Guard) {
        // Whatever left here while another is master would show switches the
        // virtual MAC at the wrong port.
        match self.published.carpdev.get(rcu) {
            Some(carpdev) if self.published.masters().is_any() => {
                let len = skb.len();
                let source = match self.published.balancing() {
                    mode if mode.hides_its_mac() => Some(carpdev.mac()),
                    // The interface's own may be another host's.
                    Balancing::Arp => self.sender_mac(),
                    _ => None,
                };
                if source.is_some_and(|source| !skb.set_ethernet_source(&source)) {
                    dev.count_not_sent();
                    return;
                }
                if skb.transmit_on(carpdev).is_ok() {
                    dev.count_sent(len);
                } else {
                    dev.count_not_sent();
                }
            }
            _ => dev.count_not_sent(),
        }
    }

    fn work(&self, dev: &OwnDevice, bits: u32, rtnl: &Rtnl) {
        follow_up::follow_up(self, dev, bits, rtnl);
    }

    fn iflink(&self) -> Option<u32> {
        self.published.carpdev_index()
    }
}
