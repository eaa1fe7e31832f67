// SPDX-License-Identifier: GPL-2.0

//! The netfilter hooks of a network namespace. They are registered only while an
//! interface needs them.

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

/// The hooks of one namespace, and how many interfaces need them.
#[pin_data]
pub(crate) struct Hooks {
    /// How many users the ARP hooks have: interfaces in this namespace, and interfaces
    /// whose parent is in it; RTNL.
    arp_users: Atomic<usize>,
    #[pin]
    arp_hooks: ArpHooks<arp::Filter>,
    /// How many interfaces are in this namespace; RTNL.
    interfaces: Atomic<usize>,
    /// How many of them are master of no virtual host.
    standby: Atomic<i32>,
    /// Watches for routes that are added while an interface is not master.
    #[pin]
    new_routes: NewRoutes<Routes>,
    /// The hooks for packets that programs send.
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

/// The hooks of `net`.
fn of<'a>(net: &'a Net, held: impl Into<Held<'a>>) -> Option<&'a Hooks> {
    net.state(held)
}

/// Counts one more interface in the namespace, which is not master yet, and registers the
/// hooks that it needs.
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
        // This is no reason to refuse the interface: a route that is added later is
        // passed over from the next change of state on.
        pr_debug!("routing tables change too fast to be followed\n");
    }
    this.interfaces.store(interfaces.saturating_add(1), Relaxed);
    Ok(())
}

/// Counts one interface less, which is not master any more, and unregisters the hooks
/// that no other interface needs.
pub(super) fn remove_interface(net: &Net, rtnl: &Rtnl) {
    let Some(this) = of(net, rtnl) else {
        return;
    };
    this.standby.add(-1, Relaxed);
    // This cannot fail: only registering needs memory.
    let _ = follow_standby(net, rtnl);
    let interfaces = this.interfaces.load(Relaxed);
    warn_on_once!(interfaces == 0);
    this.interfaces.store(interfaces.saturating_sub(1), Relaxed);
    if interfaces == 1 {
        this.new_routes.unregister(rtnl);
    }
    unhook_arp(net, rtnl);
}

/// Counts an interface that has become master of a virtual host, or that is master of
/// none any more. Any context.
pub(super) fn count_standby(net: &Net, is_master: bool) {
    if let Some(this) = of(net, &rcu::read_lock()) {
        this.standby.add(if is_master { -1 } else { 1 }, Relaxed);
    }
}

/// Registers the hooks for packets that programs send if an interface is not master, and
/// unregisters them if all are, so that they cost nothing then.
///
/// # Errors
///
/// Out of memory: the hooks are not registered.
pub(super) fn follow_standby(net: &Net, rtnl: &Rtnl) -> Result {
    let this = of(net, rtnl).ok_or(ENODEV)?;
    if this.standby.load(Relaxed) == 0 {
        this.source_hooks.unregister(rtnl);
    } else if !this.source_hooks.is_registered(rtnl) {
        this.source_hooks.register::<Hooks>(net, rtnl)?;
    }
    Ok(())
}

/// Counts one more user of the ARP hooks, and registers them for the first one. A user is
/// an interface in this namespace, or one in any namespace whose parent is in this one.
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

/// Counts one user of the ARP hooks less, and unregisters them after the last one.
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
