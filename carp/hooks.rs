// SPDX-License-Identifier: GPL-2.0

//! The hooks of a network namespace, which are there as long as an interface needs them.

use super::{arp::ARP_HOOKS, routes::Routes, source::SOURCE_HOOKS};
use crate::linux::{
    fib::NewRoutes,
    namespace::{Net, NetState, Registration},
    rtnl::Rtnl,
};
use kernel::{
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
};

/// What a namespace has of them.
#[pin_data]
pub(crate) struct Hooks {
    /// How many need the ARP hooks here, interfaces and those that stand on parents here; RTNL.
    arp_users: Atomic<usize>,
    /// How many interfaces are here; RTNL.
    interfaces: Atomic<usize>,
    /// How many of them are master of nothing.
    standby: Atomic<i32>,
    /// Routes that are added while an interface is not master.
    #[pin]
    new_routes: NewRoutes<Routes>,
    /// Whether the hooks for what programs send are there; RTNL.
    filters_sources: Atomic<bool>,
}

/// The registration.
pub(crate) static HOOKS: Registration<Hooks> = Registration::new();

impl NetState for Hooks {
    fn registration() -> &'static Registration<Self> {
        &HOOKS
    }

    fn new(_net: &Net) -> Result<Pin<KBox<Self>>> {
        KBox::pin_init(
            pin_init!(Self {
                arp_users: Atomic::new(0),
                interfaces: Atomic::new(0),
                standby: Atomic::new(0),
                new_routes <- NewRoutes::new(),
                filters_sources: Atomic::new(false),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }
}

/// Those of `net`.
fn of(net: &Net) -> Option<&Hooks> {
    net.state()
}

/// One more interface is here, which is master of nothing.
///
/// # Errors
///
/// Out of memory; it was not counted.
pub(super) fn enter(net: &Net, rtnl: &Rtnl) -> Result {
    let this = of(net).ok_or(ENODEV)?;
    hook_arp(net, rtnl)?;
    this.standby.add(1, Relaxed);
    if let Err(error) = follow_standby(net, rtnl) {
        this.standby.add(-1, Relaxed);
        unhook_arp(net, rtnl);
        return Err(error);
    }
    let interfaces = this.interfaces.load(Relaxed);
    if interfaces == 0 && this.new_routes.register(net, rtnl).is_err() {
        // An interface is not worth less for it: a route that is added later is
        // passed over as well, from the next change of state on.
        pr_debug!("routing tables change too fast to be followed\n");
    }
    this.interfaces.store(interfaces.saturating_add(1), Relaxed);
    Ok(())
}

/// One less, which is master of nothing.
pub(super) fn leave(net: &Net, rtnl: &Rtnl) {
    let Some(this) = of(net) else {
        return;
    };
    this.standby.add(-1, Relaxed);
    // To unregister needs no memory.
    let _ = follow_standby(net, rtnl);
    let interfaces = this.interfaces.load(Relaxed);
    this.interfaces.store(interfaces.saturating_sub(1), Relaxed);
    if interfaces == 1 {
        this.new_routes.unregister(net, rtnl);
    }
    unhook_arp(net, rtnl);
}

/// An interface of the namespace has become master of something, or is master of
/// nothing any more. Any context.
pub(super) fn count_standby(net: &Net, speaks: bool) {
    if let Some(this) = of(net) {
        this.standby.add(if speaks { -1 } else { 1 }, Relaxed);
    }
}

/// Sees to it that the hooks for what programs send are there if they are needed, and
/// cost nothing where all interfaces are master.
///
/// # Errors
///
/// Out of memory: they are not there.
pub(super) fn follow_standby(net: &Net, _rtnl: &Rtnl) -> Result {
    let this = of(net).ok_or(ENODEV)?;
    let needed = this.standby.load(Relaxed) != 0;
    if needed != this.filters_sources.load(Relaxed) {
        if needed {
            SOURCE_HOOKS.register(net)?;
        } else {
            SOURCE_HOOKS.unregister(net);
        }
        this.filters_sources.store(needed, Relaxed);
    }
    Ok(())
}

/// One more interface is here, or has its parent here, which may be in another namespace:
/// with the first the ARP hooks come.
///
/// # Errors
///
/// Out of memory; it was not counted.
pub(super) fn hook_arp(net: &Net, _rtnl: &Rtnl) -> Result {
    let this = of(net).ok_or(ENODEV)?;
    let users = this.arp_users.load(Relaxed);
    if users == 0 {
        ARP_HOOKS.register(net)?;
    }
    this.arp_users.store(users.saturating_add(1), Relaxed);
    Ok(())
}

/// One less: with the last the ARP hooks go.
pub(super) fn unhook_arp(net: &Net, _rtnl: &Rtnl) {
    let Some(this) = of(net) else {
        return;
    };
    let users = this.arp_users.load(Relaxed);
    this.arp_users.store(users.saturating_sub(1), Relaxed);
    if users == 1 {
        ARP_HOOKS.unregister(net);
    }
}
