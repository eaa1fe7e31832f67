// SPDX-License-Identifier: GPL-2.0

//! What each network namespace has: at most one interface.

use super::device::Pfsync;
use crate::linux::{
    log::RateLimit,
    namespace::{Held, Net, NetState, Registration},
    netdevice_ops::OwnDevice,
    rcu::{Prepared, RcuSlot},
    rtnl::Rtnl,
};
use kernel::{
    prelude::*,
    sync::{aref::ARef, rcu},
};

/// The state of a namespace.
#[pin_data]
pub(crate) struct Namespace {
    interface: RcuSlot<ARef<OwnDevice>>,
    /// Messages that a peer's frames cause. Not the kernel's own limit for the network:
    /// who has other messages printed would keep these back.
    #[pin]
    messages: RateLimit,
    /// The same for frames that are not authentic: who sends those must not keep the others
    /// back.
    #[pin]
    strangers: RateLimit,
}

/// The registration.
pub(crate) static NAMESPACES: Registration<Namespace> = Registration::new();

impl NetState for Namespace {
    fn registration() -> &'static Registration<Self> {
        &NAMESPACES
    }

    fn new(_net: &Net) -> Result<Pin<KBox<Self>>> {
        KBox::pin_init(
            pin_init!(Self {
                interface: RcuSlot::new(),
                messages <- RateLimit::new(),
                strangers <- RateLimit::new(),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }
}

impl Namespace {
    /// The state of `net`.
    pub(crate) fn of<'a>(net: &'a Net, held: impl Into<Held<'a>>) -> Option<&'a Self> {
        net.state(held)
    }

    /// Its interface, if there is one. Any context.
    pub(super) fn interface<'a>(
        &'a self,
        rcu: &'a rcu::Guard,
    ) -> Option<(&'a OwnDevice, &'a Pfsync)> {
        self.interface.get(rcu)?.of_driver::<Pfsync>(rcu)
    }

    /// The interface of `net`, if there is one. Any context.
    pub(super) fn interface_of<'a>(
        net: &'a Net,
        rcu: &'a rcu::Guard,
    ) -> Option<(&'a OwnDevice, &'a Pfsync)> {
        Self::of(net, rcu)?.interface(rcu)
    }

    /// Whether one more message that a peer's frames cause may be logged in `net` now.
    /// Any context.
    pub(super) fn prints(net: &Net) -> bool {
        Self::of(net, &rcu::read_lock()).is_some_and(|this| this.messages.passes())
    }

    /// Whether one more message that a stranger's frame causes may be logged in `net` now.
    /// Any context.
    pub(super) fn prints_of_strangers(net: &Net) -> bool {
        Self::of(net, &rcu::read_lock()).is_some_and(|this| this.strangers.passes())
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
