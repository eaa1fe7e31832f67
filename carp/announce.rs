// SPDX-License-Identifier: GPL-2.0

//! Tells switches and neighbours that addresses are here.

use super::{arp::is_shared, device::Carp, neighbour};
use crate::linux::{arp, netdevice_ops::OwnDevice};
use core::net::IpAddr;
use kernel::sync::rcu;

/// Tells them that these addresses are here, unless another host is master by now. Any
/// context.
pub(super) fn announce(carp: &Carp, own: &OwnDevice, addresses: &[Option<IpAddr>]) {
    let rcu = rcu::read_lock();
    let Some(carpdev) = carp.published.carpdev.get(&rcu) else {
        return;
    };
    for address in addresses.iter().flatten() {
        // Another may have become master since: then the address is there.
        if !carp.published.is_master() || carp.published.is_balancing() {
            return;
        }
        match *address {
            IpAddr::V4(address) if is_shared(own.net(), carpdev, address, &rcu) => {}
            IpAddr::V4(address) => arp::announce(carpdev, address, &carp.published.mac()),
            IpAddr::V6(address) => neighbour::announce(own, carp, carpdev, address, &rcu),
        }
    }
}
