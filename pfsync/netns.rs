// SPDX-License-Identifier: GPL-2.0

//! What each network namespace has: at most one interface.

use super::device::Pfsync;
use crate::linux::{
    namespace::{Net, NetState, Registration},
    netdevice_ops::OwnDevice,
    rcu::{Prepared, RcuSlot},
    rtnl::Rtnl,
};
use kernel::{
    prelude::*,
    sync::{aref::ARef, rcu},
};

/// The state of a namespace.
pub(crate) struct Namespace {
    interface: RcuSlot<ARef<OwnDevice>>,
}

/// The registration.
pub(crate) static NAMESPACES: Registration<Namespace> = Registration::new();

impl NetState for Namespace {
    fn registration() -> &'static Registration<Self> {
        &NAMESPACES
    }

    fn new(_net: &Net) -> Result<Pin<KBox<Self>>> {
        Ok(KBox::pin(
            Self {
                interface: RcuSlot::new(),
            },
            GFP_KERNEL_ACCOUNT,
        )?)
    }
}

impl Namespace {
    /// The state of `net`.
    pub(crate) fn of(net: &Net) -> Option<&Self> {
        net.state()
    }

    /// Its interface, if there is one. Any context.
    pub(super) fn interface<'a>(
        &'a self,
        rcu: &'a rcu::Guard,
    ) -> Option<(&'a OwnDevice, &'a Pfsync)> {
        self.interface.get(rcu)?.of_driver::<Pfsync>(rcu)
    }

    /// There is an interface now. There was none before.
    pub(super) fn set_interface(&self, interface: Prepared<ARef<OwnDevice>>, _rtnl: &Rtnl) {
        self.interface.put(interface);
    }

    /// There is none any more.
    pub(super) fn clear_interface(&self, _rtnl: &Rtnl) {
        self.interface.clear();
    }
}
