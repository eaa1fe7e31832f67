// SPDX-License-Identifier: GPL-2.0

//! What is known of a parent that was unregistered, or moved to another namespace.

use crate::linux::{bindings::IFNAMSIZ, namespace::Net, netdevice::Device};
use kernel::sync::{aref::ARef, rcu};

/// The name of a device, with zero bytes behind it.
type Name = [u8; IFNAMSIZ as usize];

/// What is known of a parent that has gone.
#[derive(Clone, Copy)]
pub(super) struct LostParent {
    name: Name,
    /// The namespace that it was in ([`Net::cookie`]), which may be gone as well.
    net: u64,
}

impl LostParent {
    pub(super) fn new(dev: &Device) -> Self {
        Self {
            name: dev.name_bytes(),
            net: dev.net().cookie(),
        }
    }

    /// Its name, with zero bytes behind it.
    pub(super) fn name_bytes(&self) -> &Name {
        &self.name
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
    pub(super) fn is_named_like(&self, dev: &Device) -> bool {
        dev.name_bytes() == self.name && dev.net().cookie() == self.net
    }

    /// The device that has its name now, where it was, for an interface in `home`.
    ///
    /// Nobody asks for it at that moment whose right to the namespace could be checked. So
    /// it must be one that everybody may take who administers `home`: a container is not
    /// given a second parent because it was once given one of that name.
    pub(super) fn find(&self, home: &Net, rcu: &rcu::Guard) -> Option<ARef<Device>> {
        let net = self.net(rcu).filter(|net| home.governs(net))?;
        Device::walk(net, 1, rcu)
            .find(|dev| self.is_named_like(dev))
            .map(Device::hold)
    }
}
