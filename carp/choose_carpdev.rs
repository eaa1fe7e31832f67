// SPDX-License-Identifier: GPL-2.0

//! The parent of an interface that was given none: its first address says which it is.

use super::{carpdev, device::Carp, election, netns::report};
use crate::{
    linux::{netdevice::Device, netdevice_ops::OwnDevice, netlink::ExtackMessage, rtnl::Rtnl},
    proto::carp::log::NO_PARENT,
};
use kernel::sync::{aref::ARef, rcu};

/// An address is added. If there is no parent, it becomes the device in whose
/// subnet the address lies: `subnet` says the length of the prefix. Of several the
/// longest counts, and then the device that was there first.
///
/// If that one cannot be a parent there is none, and the log says why: whoever adds
/// an address is not asked about parents.
pub(super) fn choose(
    carp: &Carp,
    own: &OwnDevice,
    rtnl: &Rtnl,
    subnet: impl Fn(&Device, &rcu::Guard) -> Option<u32>,
) {
    if carp.host.lock().carpdev.is_some() || carp.has_lost_parent(rtnl) {
        return;
    }
    let Some(this) = own.data::<Carp>(rtnl) else {
        return;
    };
    let Some(dev) = find(own, rtnl, subnet) else {
        return;
    };
    let settings = carp.host.lock().settings;
    let (moved, words) = ExtackMessage::capture(|extack| {
        carpdev::move_to(&this, own, &dev, &settings, extack, rtnl)
    });
    match moved {
        Ok(()) => election::update(carp, rtnl),
        Err(error) => report!(
            own,
            NO_PARENT,
            "{}: {}, which has an address in the same subnet, cannot be its carpdev: {} ({})\n",
            own.name(),
            dev.name(),
            words,
            error.to_errno()
        ),
    }
}

fn find(
    own: &OwnDevice,
    rtnl: &Rtnl,
    subnet: impl Fn(&Device, &rcu::Guard) -> Option<u32>,
) -> Option<ARef<Device>> {
    let rcu = rcu::read_lock();
    let mut best: Option<(u32, &Device)> = None;
    for dev in Device::walk(own.net(), 1, &rcu) {
        if !dev.is_ethernet()
            || !dev.has_arp()
            || dev.is_picky_macvlan()
            || dev.is_ipvlan(rtnl)
            || dev.of_driver::<Carp>(&rcu).is_some()
        {
            continue;
        }
        if let Some(prefix) = subnet(dev, &rcu) {
            if best.is_none_or(|(longest, _)| prefix > longest) {
                best = Some((prefix, dev));
            }
        }
    }
    best.map(|(_, dev)| dev.hold())
}
