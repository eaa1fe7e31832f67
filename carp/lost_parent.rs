// SPDX-License-Identifier: GPL-2.0

//! A parent that was unregistered, or moved to another namespace: the interface waits for
//! a device of its name and takes it as its parent again, as when a VLAN is deleted and
//! made anew. Until then it suffers from what is missing.

use super::{
    config::check_parent,
    device::Carp,
    genetlink,
    netns::{report, Namespace},
};
use crate::{
    linux::{
        namespace::Net, netdevice::Device, netdevice_ops::OwnDevice, netlink::Words, rtnl::Rtnl,
    },
    proto::carp::log::CARPDEV,
};
use kernel::{
    prelude::fmt,
    sync::{aref::ARef, rcu},
};

/// The name of a device, with zero bytes behind it.
type Name = [u8; crate::linux::bindings::IFNAMSIZ as usize];

/// What is known of a parent that has gone.
#[derive(Clone, Copy)]
pub(super) struct LostParent {
    name: Name,
    /// The namespace that it was in ([`Net::cookie`]), which may be gone as well.
    net: u64,
}

impl LostParent {
    fn new(dev: &Device) -> Self {
        Self {
            name: dev.name_bytes(),
            net: dev.net().cookie(),
        }
    }

    /// Its name.
    pub(super) fn name(&self) -> &[u8] {
        self.name.split(|&byte| byte == 0).next().unwrap_or(&[])
    }

    /// The namespace that it was in, if that is still there.
    pub(super) fn net<'a>(&self, rcu: &'a rcu::Guard) -> Option<&'a Net> {
        Net::walk(rcu).find(|net| net.cookie() == self.net)
    }

    /// Whether `dev` has its name, where it was.
    fn is_named_like(&self, dev: &Device) -> bool {
        dev.name_bytes() == self.name && dev.net().cookie() == self.net
    }

    /// The device that has its name now, where it was, for an interface in `home`.
    ///
    /// Nobody asks for it at that moment whose right to the namespace could be checked. So
    /// it must be one that everybody may take who administers `home`: a container is not
    /// given a second parent because it was once given one of that name.
    fn find(&self, home: &Net, rcu: &rcu::Guard) -> Option<ARef<Device>> {
        let net = self.net(rcu).filter(|net| home.governs(net))?;
        Device::walk(net, 1, rcu)
            .find(|dev| self.is_named_like(dev))
            .map(Device::hold)
    }
}

impl Carp {
    /// The parent is being unregistered, or leaves its namespace.
    pub(super) fn lose_parent(&self, own: &OwnDevice, dev: &Device, rtnl: &Rtnl) {
        if !own.is_registered(rtnl) {
            // Both go.
            self.disconnect(own, rtnl);
            return;
        }
        self.set_lost(own, Some(LostParent::new(dev)), rtnl);
        self.detach(own, rtnl);
        // The groups stay demoted, so that this host hands over all that belongs together.
        self.update(rtnl);
        genetlink::carpdev_changed(own, &dev.name_bytes(), None);
        tell(own, fmt!("carpdev {} is gone", dev.name()));
        own.ask_for_work(Self::LOST_PARENT);
    }

    /// There is nothing to wait for any more, or something else.
    pub(super) fn set_lost(&self, own: &OwnDevice, lost: Option<LostParent>, rtnl: &Rtnl) {
        let was = core::mem::replace(&mut self.host.lock().lost, lost);
        if let Some(namespace) = Namespace::of(own.net(), rtnl) {
            namespace.count_waiting(was.is_some(), lost.is_some(), rtnl);
        }
    }

    /// Whether a parent has gone and is waited for.
    pub(super) fn has_lost_parent(&self) -> bool {
        self.host.lock().lost.is_some()
    }

    /// Takes the parent again, if it is back. In process context, not within the event
    /// that tells of it: a device that is only being made might still fail.
    pub(super) fn take_parent_again(&self, own: &OwnDevice, rtnl: &Rtnl) {
        let lost = self.host.lock().lost;
        let dev = lost.and_then(|lost| lost.find(own.net(), &rcu::read_lock()));
        let dev = dev.filter(|dev| dev.is_registered(rtnl));
        if let (Some(dev), Some(this)) = (dev, own.data::<Self>(rtnl)) {
            let settings = self.host.lock().settings;
            let (taken, words) = Words::of(|extack| {
                check_parent(&dev, extack, rtnl)?;
                this.move_to(own, &dev, &settings, extack, rtnl)
            });
            match taken {
                Ok(()) => {
                    self.update(rtnl);
                    genetlink::carpdev_changed(own, &dev.name_bytes(), Some(dev.ifindex()));
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
        own.tell_change(rtnl);
    }
}

/// A device has this name from now on, in this namespace: those that wait for it take it.
pub(super) fn device_appeared(dev: &Device, _rtnl: &Rtnl) {
    let rcu = rcu::read_lock();
    // Namespaces of others need not be searched, and make nobody slow.
    let waiting = |home: &&Net| {
        Namespace::of(home, &rcu).is_some_and(Namespace::is_waiting) && home.governs(dev.net())
    };
    for home in Net::walk(&rcu).filter(waiting) {
        for other in Device::walk(home, 1, &rcu) {
            if let Some((own, carp)) = other.of_driver::<Carp>(&rcu) {
                let lost = carp.host.lock().lost;
                if lost.is_some_and(|lost| lost.is_named_like(dev)) {
                    own.ask_for_work(Carp::LOST_PARENT);
                }
            }
        }
    }
}

fn tell(own: &OwnDevice, what: kernel::fmt::Arguments<'_>) {
    report!(own, CARPDEV, "{}: {}\n", own.name(), what);
}
