// SPDX-License-Identifier: GPL-2.0

//! What each network namespace has: sysctls, counters, groups.

use super::{counters::Counters, groups::Groups, rounds::Rounds};
use crate::{
    linux::{
        bug::warn_on_once,
        log::{self as limits, RateLimit},
        namespace::{Held, Net, NetState, Registration},
        rtnl::Rtnl,
        sysctl::{Entry, Integer, Sysctls, Value},
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
    /// Counts the changes of addresses and virtual hosts.
    generation: Atomic<u32>,
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
            let integer = |name, value, range| Entry {
                name,
                value: Value::Integer(value, range),
            };
            [
                integer(c"allow", &values.allow, SWITCH),
                integer(c"preempt", &values.preempt, SWITCH),
                integer(c"log", &values.log, LEVELS),
                integer(c"arpbalance", &values.arpbalance, SWITCH),
                integer(c"backupsource", &values.backupsource, SWITCH),
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
                generation: Atomic::new(0),
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
    pub(crate) fn lets_backups_send(&self) -> bool {
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
}
