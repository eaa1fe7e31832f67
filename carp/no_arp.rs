// SPDX-License-Identifier: GPL-2.0

//! A parent without ARP, such as a dummy: nobody is on its link, so advertisements go to
//! unicast peers alone, by whatever route leads to them, and come in by whatever device. A
//! routing protocol announces the addresses of a master.

use super::{config::Change, device::Carp, host::Host, parent::Parent};
use crate::{
    linux::{link::LinkKind, namespace::Net, netdevice::Device, netlink::Extack, rx_handler},
    proto::carp::election::{Families, Family},
};
use core::net::IpAddr;
use kernel::{prelude::*, sync::rcu};

impl Carp {
    /// Checks that there are peers where the parent, old or new, has no ARP.
    ///
    /// # Errors
    ///
    /// In words: there are none.
    pub(super) fn check_peers(&self, change: &Change<'_>, extack: &Extack<'_>) -> Result {
        let rcu = rcu::read_lock();
        let carpdev = change.carpdev.unwrap_or_else(|| self.lower(&rcu));
        let Some(carpdev) = carpdev.filter(|carpdev| !carpdev.has_arp()) else {
            return Ok(());
        };
        let none = match &change.peers {
            Some(peers) => peers.is_empty(),
            None => self.host.lock().peers.is_empty(),
        };
        if none {
            return Err(extack.error(
                EINVAL,
                format_args!(
                    "{} has no ARP, so there must be unicast peers (carppeer)",
                    carpdev.name()
                ),
            ));
        }
        Ok(())
    }
}

impl Host {
    /// The families in which there are addresses to be shared and somebody who can hear of
    /// them.
    pub(super) fn families(&self) -> Families {
        let families = self.addresses.families();
        if self.carpdev().is_none_or(Device::has_arp) {
            return families;
        }
        Families {
            ipv4: families.ipv4 && self.has_peers(Family::Ipv4),
            ipv6: families.ipv6 && self.has_peers(Family::Ipv6),
        }
    }
}

/// The parent without ARP that has this address: to it a packet is, whichever device it
/// came in on.
pub(super) fn parent_at<'a>(net: &Net, address: IpAddr, rcu: &'a rcu::Guard) -> Option<&'a Parent> {
    let dev = match address {
        IpAddr::V4(address) => Device::by_address_rcu(net, address, rcu),
        IpAddr::V6(address) => Device::by_address6_rcu(net, address, rcu),
    };
    let dev = dev.filter(|dev| !dev.has_arp())?;
    rx_handler::get_rcu::<Parent>(dev, rcu)
}
