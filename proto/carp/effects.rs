// SPDX-License-Identifier: GPL-2.0

//! What the election wants done, and why.

use core::fmt;

use super::election::{Families, Family, State};

/// What is to be done after an event, in the order of the fields.
///
/// At a takeover the state must hold before the first packet asks for it, and
/// the others must be silenced before the addresses are announced.
#[must_use = "whoever drops this leaves the other hosts in the dark"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effects {
    /// The state changed.
    pub transition: Option<Transition>,
    /// Something is to be sent.
    pub advertise: Option<Outgoing>,
    /// The addresses are to be announced: a gratuitous ARP request for each IPv4
    /// address, an unsolicited neighbour advertisement for each IPv6 address.
    ///
    /// Only where [`Balancing::announces`](super::balancing::Balancing::announces)
    /// says so.
    pub announce: bool,
}

impl Effects {
    /// There is nothing to do.
    pub const NONE: Self = Self {
        transition: None,
        advertise: None,
        announce: false,
    };
}

/// What is to be sent: one packet for each family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// What it says.
    pub kind: Kind,
    /// In which families; never none.
    pub families: Families,
}

impl Outgoing {
    pub(super) fn new(kind: Kind, families: Families) -> Option<Self> {
        (!families.is_empty()).then_some(Self { kind, families })
    }
}

/// Which packet is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// [`VirtualHost::advertisement`](super::election::VirtualHost::advertisement)
    Advertisement,
    /// [`VirtualHost::bow_out`](super::election::VirtualHost::bow_out)
    BowOut,
}

/// A change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The state before.
    pub from: State,
    /// The state after, never the same.
    pub to: State,
    /// Why.
    pub reason: Reason,
}

/// Why the state changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// INIT to BACKUP: it may run now.
    Started,
    /// To INIT: it may not run any longer. Why that is, only the driver knows.
    Stopped,
    /// To INIT: there is no address any more.
    NoAddress,
    /// The vhid is another one, or none.
    Reconfigured,
    /// BACKUP to MASTER: the master fell silent, in this family.
    MasterTimedOut(Family),
    /// BACKUP to MASTER: the master said farewell.
    MasterBowedOut,
    /// BACKUP to MASTER: preempt is on and the master is slower.
    Preempting,
    /// BACKUP to MASTER: the master has the higher demotion count.
    MasterDemoted,
    /// BACKUP to MASTER: the master speaks so seldom that it would time out.
    MasterTooSlow,
    /// MASTER to BACKUP: another master is faster.
    BetterMaster,
    /// MASTER to BACKUP: another master is as fast.
    EqualMaster,
    /// MASTER to BACKUP: another master has the lower demotion count.
    LessDemotedMaster,
    /// The administrator said so.
    Administrator,
}

impl Reason {
    /// The reason in words, for the log and for user space.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "interface is up",
            Self::Stopped => "interface or parent is down",
            Self::NoAddress => "last address is gone",
            Self::Reconfigured => "vhid changed",
            Self::MasterTimedOut(Family::Ipv4) => "master timed out in IPv4",
            Self::MasterTimedOut(Family::Ipv6) => "master timed out in IPv6",
            Self::MasterBowedOut => "master bowed out",
            Self::Preempting => "preempting a slower master",
            Self::MasterDemoted => "master is demoted further",
            Self::MasterTooSlow => "master advertises too seldom",
            Self::BetterMaster => "a better master advertises",
            Self::EqualMaster => "a master just as good advertises",
            Self::LessDemotedMaster => "a less demoted master advertises",
            Self::Administrator => "set by the administrator",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
