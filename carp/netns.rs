// SPDX-License-Identifier: GPL-2.0

//! What each network namespace has: sysctls, counters, the ARP hooks.

use super::{arp::ARP_HOOKS, counters::Counters, demotion::Rounds, groups::Groups};
use crate::{
    linux::{
        namespace::{Net, NetState, Registration},
        rtnl::Rtnl,
        sysctl::{Entry, Integer, Sysctls},
    },
    proto::carp::log,
};
use kernel::{
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
};

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
    /// How many need the ARP hooks here, interfaces and parents; RTNL.
    arp_users: Atomic<usize>,
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
            ]
        })?;
        KBox::pin_init(
            pin_init!(Self {
                sysctls,
                groups <- Groups::new(),
                rounds: Rounds::new(),
                counters: Counters::new(),
                arp_users: Atomic::new(0),
            }),
            GFP_KERNEL,
        )
    }
}

impl Namespace {
    /// The state of `net`.
    pub(crate) fn of(net: &Net) -> Option<&Self> {
        net.state()
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

    /// The groups of its interfaces.
    pub(crate) fn groups(&self) -> &Groups {
        &self.groups
    }

    /// Advertisements of all masters, out of turn.
    pub(super) fn rounds(&self) -> &Rounds {
        &self.rounds
    }

    /// Whether `net.inet.carp.log` lets messages of this level through.
    pub(crate) fn prints(&self, level: log::Level) -> bool {
        u8::try_from(self.sysctls.values().log.get()).is_ok_and(|log| level.is_printed(log))
    }

    /// One more interface, or one more parent, which may be in another namespace
    /// than its interfaces: with the first the ARP hooks come.
    ///
    /// # Errors
    ///
    /// Out of memory; it was not counted.
    pub(crate) fn hook_arp(net: &Net, _rtnl: &Rtnl) -> Result {
        let this = Self::of(net).ok_or(ENODEV)?;
        let users = this.arp_users.load(Relaxed);
        if users == 0 {
            ARP_HOOKS.register(net)?;
        }
        this.arp_users.store(users.saturating_add(1), Relaxed);
        Ok(())
    }

    /// One less: with the last the ARP hooks go.
    pub(crate) fn unhook_arp(net: &Net, _rtnl: &Rtnl) {
        let Some(this) = Self::of(net) else {
            return;
        };
        let users = this.arp_users.load(Relaxed);
        this.arp_users.store(users.saturating_sub(1), Relaxed);
        if users == 1 {
            ARP_HOOKS.unregister(net);
        }
    }
}
