// SPDX-License-Identifier: GPL-2.0

//! An interface whose parent has gone waits for a device of its name and takes it as its
//! parent again, as when a VLAN is deleted and made anew. Until then it suffers from what
//! is missing.

use super::{
    carpdev,
    config::check_parent,
    device::Carp,
    election,
    lost_parent::LostParent,
    netns::{report, Namespace},
    notify, work,
};
use crate::{
    linux::{
        namespace::Net, netdevice::Device, netdevice_ops::OwnDevice, netlink::ExtackMessage,
        rtnl::Rtnl,
    },
    proto::carp::log::CARPDEV,
};
use kernel::{prelude::fmt, sync::rcu};

/// The parent is being unregistered, or leaves its namespace.
pub(super) fn lose_parent(carp: &Carp, own: &OwnDevice, dev: &Device, rtnl: &Rtnl) {
    if !own.is_registered(rtnl) {
        // Both go.
        carpdev::disconnect(carp, own, rtnl);
        return;
    }
    carpdev::set_lost(carp, own, Some(LostParent::new(dev)), rtnl);
    carpdev::detach(carp, own, rtnl);
    // The groups stay demoted, so that this host hands over all that belongs together.
    election::update(carp, rtnl);
    notify::carpdev_changed(own, &dev.name_bytes(), None);
    tell(own, fmt!("carpdev {} is gone", dev.name()));
    own.schedule_work(work::LOST_PARENT);
}

/// Takes the parent again, if it is back. In process context, not within the event
/// that tells of it: a device that is only being made might still fail.
pub(super) fn take_parent_again(carp: &Carp, own: &OwnDevice, rtnl: &Rtnl) {
    let lost = carp.host.lock().lost;
    let dev = lost.and_then(|lost| lost.find(own.net(), &rcu::read_lock()));
    let dev = dev.filter(|dev| dev.is_registered(rtnl));
    if let (Some(dev), Some(this)) = (dev, own.data::<Carp>(rtnl)) {
        let settings = carp.host.lock().settings;
        let (taken, words) = ExtackMessage::capture(|extack| {
            check_parent(&dev, extack, rtnl)?;
            carpdev::move_to(&this, own, &dev, &settings, extack, rtnl)
        });
        match taken {
            Ok(()) => {
                election::update(carp, rtnl);
                notify::carpdev_changed(own, &dev.name_bytes(), Some(dev.ifindex()));
                tell(own, fmt!("carpdev {} is back", dev.name()));
            }
            Err(error) => tell(
                own,
                fmt!(
                    "{} is back, but cannot be the carpdev: {} ({})",
                    dev.name(),
                    words,
                    error.to_errno()
                ),
            ),
        }
    }
    own.notify_state_change(rtnl);
}

/// A device has this name from now on, in this namespace: those that wait for it take it.
pub(super) fn device_appeared(dev: &Device, _rtnl: &Rtnl) {
    let rcu = rcu::read_lock();
    // Namespaces of others need not be searched, and make nobody slow.
    let waiting = |home: &&Net| {
        Namespace::of(home, &rcu::read_lock()).is_some_and(Namespace::is_waiting)
            && home.governs(dev.net())
    };
    for home in Net::walk(&rcu).filter(waiting) {
        for (own, carp) in Carp::walk(home, 1, &rcu) {
            let lost = carp.host.lock().lost;
            if lost.is_some_and(|lost| lost.is_named_like(dev)) {
                own.schedule_work(work::LOST_PARENT);
            }
        }
    }
}

fn tell(own: &OwnDevice, what: kernel::fmt::Arguments<'_>) {
    report!(own, CARPDEV, "{}: {}\n", own.name(), what);
}
