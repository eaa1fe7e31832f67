// SPDX-License-Identifier: GPL-2.0

//! What each network namespace has: sysctls, counters, hooks.

use super::{arp, counters::Counters, demotion::Rounds, groups::Groups, routes::Routes, source};
use crate::{
    linux::{
        bug::warn_on_once,
        fib::NewRoutes,
        log::{self as limits, RateLimit},
        namespace::{Held, Net, NetState, Registration},
        netfilter_arp::ArpHooks,
        netfilter_local_out::LocalOutHooks,
        rtnl::Rtnl,
        sysctl::{Entry, Integer, Sysctls},
    },
    proto::carp::log,
};
use kernel::{
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        rcu,
    },
};

/// Logs a line about an interface, given its device, the level, and what
/// [`kernel::pr_info`] takes, as [`Namespace::prints`] lets it through.
macro_rules! report {
    ($own:expr, $level:expr, $($arg:tt)*) => {
        if let Some(level) = $crate::carp::netns::Namespace::prints($own.net(), $level, false) {
            $crate::linux::log::print_at!(level, $($arg)*);
        }
    };
}
pub(super) use report;

/// The state of a namespace.
#[pin_data]
pub(crate) struct Namespace {
    sysctls: Sysctls<Values>,
    #[pin]
    groups: Groups,
    /// Advertisements of all masters, out of turn.
    rounds: Rounds,
    /// Packets that belong to no parent.
    pub(crate) counters: Counters,
    /// How many interfaces here wait for a parent that went away; RTNL.
    waiting: Atomic<usize>,
    /// Messages about what is in it, unless it is the machine's own.
    #[pin]
    messages: RateLimit,
    /// How many virtual hosts its interfaces have; RTNL.
    hosts: Atomic<usize>,
    /// How many need the ARP hooks here, interfaces and parents; RTNL.
    arp_users: Atomic<usize>,
    #[pin]
    arp_hooks: ArpHooks<arp::Filter>,
    /// How many interfaces are here; RTNL.
    interfaces: Atomic<usize>,
    /// Routes that are added while the interface is not master.
    #[pin]
    new_routes: NewRoutes<Routes>,
    /// How many of the interfaces are master of nothing.
    standby: Atomic<i32>,
    /// Counts the changes of addresses and virtual hosts.
    generation: Atomic<u32>,
    /// The hooks for what programs send.
    #[pin]
    source_hooks: LocalOutHooks<source::Filter>,
}

/// `net.inet.carp.*`, with OpenBSD's meanings and defaults.
struct Values {
    /// Accept advertisements.
    allow: Integer,
    /// Push a slower master aside, and take over all interfaces together.
    preempt: Integer,
    /// Print messages up to this syslog level.
    log: Integer,
    /// Share out ARP among interfaces that have the same address.
    arpbalance: Integer,
    /// Let programs on a host that is not master use a shared address as their source.
    backupsource: Integer,
}

/// The registration.
pub(crate) static NAMESPACES: Registration<Namespace> = Registration::new();

const SWITCH: &[i32; 2] = &[0, 1];
const LEVELS: &[i32; 2] = &[0, 7];

impl NetState for Namespace {
    fn registration() -> &'static Registration<Self> {
        &NAMESPACES
    }

    fn new(net: &Net) -> Result<Pin<KBox<Self>>> {
        let values = Values {
            allow: Integer::new(1),
            preempt: Integer::new(0),
            log: Integer::new(i32::from(log::DEFAULT)),
            arpbalance: Integer::new(0),
            backupsource: Integer::new(0),
        };
        let sysctls = Sysctls::new(net, c"net/inet/carp", values, |values| {
            [
                Entry {
                    name: c"allow",
                    value: &values.allow,
                    range: SWITCH,
                },
                Entry {
                    name: c"preempt",
                    value: &values.preempt,
                    range: SWITCH,
                },
                Entry {
                    name: c"log",
                    value: &values.log,
                    range: LEVELS,
                },
                Entry {
                    name: c"arpbalance",
                    value: &values.arpbalance,
                    range: SWITCH,
                },
                Entry {
                    name: c"backupsource",
                    value: &values.backupsource,
                    range: SWITCH,
                },
            ]
        })?;
        KBox::pin_init(
            pin_init!(Self {
                sysctls,
                groups <- Groups::new(),
                rounds: Rounds::new(),
                counters: Counters::new(),
                waiting: Atomic::new(0),
                messages <- RateLimit::new(),
                hosts: Atomic::new(0),
                arp_users: Atomic::new(0),
                arp_hooks <- ArpHooks::new(),
                interfaces: Atomic::new(0),
                new_routes <- NewRoutes::new(),
                standby: Atomic::new(0),
                generation: Atomic::new(0),
                source_hooks <- LocalOutHooks::new(),
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

    /// `net.inet.carp.allow`
    pub(crate) fn allows(&self) -> bool {
        self.sysctls.values().allow.get() != 0
    }

    /// `net.inet.carp.preempt`
    pub(crate) fn preempts(&self) -> bool {
        self.sysctls.values().preempt.get() != 0
    }

    /// `net.inet.carp.arpbalance`
    pub(crate) fn balances_arp(&self) -> bool {
        self.sysctls.values().arpbalance.get() != 0
    }

    /// `net.inet.carp.backupsource`
    pub(crate) fn lets_backups_speak(&self) -> bool {
        self.sysctls.values().backupsource.get() != 0
    }

    /// The groups of its interfaces.
    pub(crate) fn groups(&self) -> &Groups {
        &self.groups
    }

    /// Another number after an interface's addresses or virtual hosts have changed, for
    /// those who read them in pieces. Any context.
    pub(super) fn generation(&self) -> u32 {
        self.generation.load(Relaxed)
    }

    /// An interface's addresses or virtual hosts change. Under its lock, so that whoever
    /// sees the change sees another [`Self::generation`] as well.
    pub(super) fn interface_changed(&self) {
        self.generation.add(1, Relaxed);
    }

    /// Advertisements of all masters, out of turn.
    pub(super) fn rounds(&self) -> &Rounds {
        &self.rounds
    }

    /// At which syslog level a message about `net` is to be printed, if it is: by
    /// `net.inet.carp.log`, and not more often than is good for the machine's log, which
    /// is one for all namespaces. Where somebody else than the machine's administrators
    /// may have made the namespace it is never urgent. Any context.
    ///
    /// `strangers` says that anybody on the wire can cause it.
    pub(crate) fn prints(net: &Net, level: log::Level, strangers: bool) -> Option<u8> {
        let rcu = rcu::read_lock();
        let this = Self::of(net, &rcu)?;
        let log = u8::try_from(this.sysctls.values().log.get()).ok()?;
        if !level.is_printed(log) {
            return None;
        }
        let passes = match net.is_initial() {
            true => !strangers || limits::ratelimit(),
            false => this.messages.passes(),
        };
        let least = if net.has_initial_owner() {
            level
        } else {
            level.max(log::Level::Info)
        };
        passes.then_some(least as u8)
    }

    /// How many virtual hosts there are.
    pub(super) fn hosts(&self, _rtnl: &Rtnl) -> usize {
        self.hosts.load(Relaxed)
    }

    /// An interface has `new` virtual hosts here, and had `old`.
    pub(super) fn count_hosts(&self, old: usize, new: usize, _rtnl: &Rtnl) {
        let hosts = self.hosts.load(Relaxed);
        warn_on_once!(hosts < old);
        let others = hosts.saturating_sub(old);
        self.hosts.store(others.saturating_add(new), Relaxed);
    }

    /// One more interface is here, which is master of nothing.
    ///
    /// # Errors
    ///
    /// Out of memory; it was not counted.
    pub(crate) fn enter(net: &Net, rtnl: &Rtnl) -> Result {
        let this = Self::of(net, rtnl).ok_or(ENODEV)?;
        Self::hook_arp(net, rtnl)?;
        this.standby.add(1, Relaxed);
        if let Err(error) = Self::follow_standby(net, rtnl) {
            this.standby.add(-1, Relaxed);
            Self::unhook_arp(net, rtnl);
            return Err(error);
        }
        let interfaces = this.interfaces.load(Relaxed);
        if interfaces == 0 && this.new_routes.register::<Self>(net, rtnl).is_err() {
            // An interface is not worth less for it: a route that is added later is
            // passed over as well, from the next change of state on.
            pr_debug!("routing tables change too fast to be followed\n");
        }
        this.interfaces.store(interfaces.saturating_add(1), Relaxed);
        Ok(())
    }

    /// One less, which is master of nothing.
    pub(crate) fn leave(net: &Net, rtnl: &Rtnl) {
        let Some(this) = Self::of(net, rtnl) else {
            return;
        };
        this.standby.add(-1, Relaxed);
        // To unregister needs no memory.
        let _ = Self::follow_standby(net, rtnl);
        let interfaces = this.interfaces.load(Relaxed);
        warn_on_once!(interfaces == 0);
        this.interfaces.store(interfaces.saturating_sub(1), Relaxed);
        if interfaces == 1 {
            this.new_routes.unregister(rtnl);
        }
        Self::unhook_arp(net, rtnl);
    }

    /// An interface of the namespace has become master of something, or is master of
    /// nothing any more. Any context.
    pub(super) fn count_standby(&self, speaks: bool) {
        if speaks {
            self.standby.add(-1, Relaxed);
        } else {
            self.standby.add(1, Relaxed);
        }
    }

    /// Sees to it that the hooks for what programs send are there if they are needed, and
    /// cost nothing where all interfaces are master.
    ///
    /// # Errors
    ///
    /// Out of memory: they are not there.
    pub(super) fn follow_standby(net: &Net, rtnl: &Rtnl) -> Result {
        let this = Self::of(net, rtnl).ok_or(ENODEV)?;
        if this.standby.load(Relaxed) == 0 {
            this.source_hooks.unregister(rtnl);
        } else if !this.source_hooks.is_registered(rtnl) {
            this.source_hooks.register::<Self>(net, rtnl)?;
        }
        Ok(())
    }

    /// An interface here that did or did not wait for its parent does or does not now.
    pub(super) fn count_waiting(&self, did: bool, does: bool, _rtnl: &Rtnl) {
        let waiting = self.waiting.load(Relaxed);
        warn_on_once!(did && waiting == 0);
        let others = waiting.saturating_sub(usize::from(did));
        self.waiting
            .store(others.saturating_add(usize::from(does)), Relaxed);
    }

    /// Whether an interface here waits for its parent. Any context.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.load(Relaxed) != 0
    }

    /// One more interface, or one more parent, which may be in another namespace
    /// than its interfaces: with the first the ARP hooks come.
    ///
    /// # Errors
    ///
    /// Out of memory; it was not counted.
    pub(crate) fn hook_arp(net: &Net, rtnl: &Rtnl) -> Result {
        let this = Self::of(net, rtnl).ok_or(ENODEV)?;
        let users = this.arp_users.load(Relaxed);
        if users == 0 {
            this.arp_hooks.register::<Self>(net, rtnl)?;
        }
        this.arp_users.store(users.saturating_add(1), Relaxed);
        Ok(())
    }

    /// One less: with the last the ARP hooks go.
    pub(crate) fn unhook_arp(net: &Net, rtnl: &Rtnl) {
        let Some(this) = Self::of(net, rtnl) else {
            return;
        };
        let users = this.arp_users.load(Relaxed);
        warn_on_once!(users == 0);
        this.arp_users.store(users.saturating_sub(1), Relaxed);
        if users == 1 {
            this.arp_hooks.unregister(rtnl);
        }
    }
}
