// SPDX-License-Identifier: GPL-2.0

//! The hooks of a network namespace, which are there as long as an interface needs them.

use super::{arp, routes::Routes, source};
use crate::linux::{
    bug::warn_on_once,
    fib::NewRoutes,
    namespace::{Held, Net, NetState, Registration},
    netfilter_arp::ArpHooks,
    netfilter_local_out::LocalOutHooks,
    rtnl::Rtnl,
};
use kernel::{
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        rcu,
    },
};

/// What a namespace has of them.
#[pin_data]
pub(crate) struct Hooks {
    /// How many need the ARP hooks here, interfaces and those that stand on parents here; RTNL.
    arp_users: Atomic<usize>,
    #[pin]
    arp_hooks: ArpHooks<arp::Filter>,
    /// How many interfaces are here; RTNL.
    interfaces: Atomic<usize>,
    /// How many of them are master of nothing.
    standby: Atomic<i32>,
    /// Routes that are added while an interface is not master.
    #[pin]
    new_routes: NewRoutes<Routes>,
    /// The hooks for what programs send.
    #[pin]
    source_hooks: LocalOutHooks<source::Filter>,
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
                arp_hooks <- ArpHooks::new(),
                interfaces: Atomic::new(0),
                standby: Atomic::new(0),
                new_routes <- NewRoutes::new(),
                source_hooks <- LocalOutHooks::new(),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }
}

/// Those of `net`.
fn of<'a>(net: &'a Net, held: impl Into<Held<'a>>) -> Option<&'a Hooks> {
    net.state(held)
}

/// One more interface is here, which is master of nothing.
///
/// # Errors
///
/// Out of memory; it was not counted.
pub(super) fn add_interface(net: &Net, rtnl: &Rtnl) -> Result {
    let this = of(net, rtnl).ok_or(ENODEV)?;
    hook_arp(net, rtnl)?;
    this.standby.add(1, Relaxed);
    if let Err(error) = follow_standby(net, rtnl) {
        this.standby.add(-1, Relaxed);
        unhook_arp(net, rtnl);
        return Err(error);
    }
    let interfaces = this.interfaces.load(Relaxed);
    if interfaces == 0 && this.new_routes.register::<Hooks>(net, rtnl).is_err() {
        // An interface is not worth less for it: a route that is added later is
        // passed over as well, from the next change of state on.
        pr_debug!("routing tables change too fast to be followed\n");
    }
    this.interfaces.store(interfaces.saturating_add(1), Relaxed);
    Ok(())
}

/// One less, which is master of nothing.
pub(super) fn remove_interface(net: &Net, rtnl: &Rtnl) {
    let Some(this) = of(net, rtnl) else {
        return;
    };
    this.standby.add(-1, Relaxed);
    // To unregister needs no memory.
    let _ = follow_standby(net, rtnl);
    let interfaces = this.interfaces.load(Relaxed);
    warn_on_once!(interfaces == 0);
    this.interfaces.store(interfaces.saturating_sub(1), Relaxed);
    if interfaces == 1 {
        this.new_routes.unregister(rtnl);
    }
    unhook_arp(net, rtnl);
}

/// An interface of the namespace has become master of something, or is master of
/// nothing any more. Any context.
pub(super) fn count_standby(net: &Net, is_master: bool) {
    if let Some(this) = of(net, &rcu::read_lock()) {
        this.standby.add(if is_master { -1 } else { 1 }, Relaxed);
    }
}

/// Sees to it that the hooks for what programs send are there if they are needed, and
/// cost nothing where all interfaces are master.
///
/// # Errors
///
/// Out of memory: they are not there.
pub(super) fn follow_standby(net: &Net, rtnl: &Rtnl) -> Result {
    let this = of(net, rtnl).ok_or(ENODEV)?;
    if this.standby.load(Relaxed) == 0 {
        this.source_hooks.unregister(rtnl);
    } else if !this.source_hooks.is_registered(rtnl) {
        this.source_hooks.register::<Hooks>(net, rtnl)?;
    }
    Ok(())
}

/// One more interface is here, or has its parent here, which may be in another namespace:
/// with the first the ARP hooks come.
///
/// # Errors
///
/// Out of memory; it was not counted.
pub(super) fn hook_arp(net: &Net, rtnl: &Rtnl) -> Result {
    let this = of(net, rtnl).ok_or(ENODEV)?;
    let users = this.arp_users.load(Relaxed);
    if users == 0 {
        this.arp_hooks.register::<Hooks>(net, rtnl)?;
    }
    this.arp_users.store(users.saturating_add(1), Relaxed);
    Ok(())
}

/// One less: with the last the ARP hooks go.
pub(super) fn unhook_arp(net: &Net, rtnl: &Rtnl) {
    let Some(this) = of(net, rtnl) else {
        return;
    };
    let users = this.arp_users.load(Relaxed);
    warn_on_once!(users == 0);
    this.arp_users.store(users.saturating_sub(1), Relaxed);
    if users == 1 {
        this.arp_hooks.unregister(rtnl);
    }
}
