// SPDX-License-Identifier: GPL-2.0

//! A moment in the life of a group: its hosts, and what is under way between them.

use std::fmt;
use std::hash::{Hash, Hasher};

use carp_proto::carp::election::{State, VirtualHost};

use crate::enforced::{Enforced, Number};

/// The model's first moment, in ticks: nothing before it matters.
pub const BEGINNING: u64 = 1000;

/// A packet that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Packet {
    pub from: u8,
    pub to: u8,
    pub bow_out: bool,
    pub ipv6: bool,
    /// What it says of its sender's demotion.
    pub demote: u8,
    /// In so many ticks it must have arrived.
    pub left: u8,
    /// Where packets are authenticated: so many ticks ago it was sent.
    pub age: u8,
    /// So many of those from and to the same hosts were sent before it, that may be believed.
    pub serial: u8,
    pub number: Number,
}

/// All that can be told of a host, with clocks as seen from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum View {
    Dead,
    Init,
    /// How many ticks it will listen to silence yet, in IPv4 and in IPv6; and where
    /// that is not all that it remembers, all of it.
    Backup([Option<i16>; 2], Option<u64>),
    /// In how many ticks it will advertise, and with which advertisement from
    /// then on it will announce its addresses.
    Master(i16, u8),
}

#[derive(Clone)]
pub struct Host {
    /// The real one.
    pub machine: Option<VirtualHost>,
    pub demote: u8,
    /// Whether it ever gave way to an equal: from then on its random bytes count.
    pub ties: u8,
    /// For so many ticks it has listened while there was no master.
    pub waiting: u8,
    pub view: View,
}

/// A moment in the group's life.
///
/// Two moments are the same if all is the same as seen from now; what time it is
/// does not matter.
#[derive(Clone)]
pub struct Moment<const N: usize> {
    pub now: u64,
    pub hosts: [Host; N],
    pub packets: Vec<Packet>,
    /// For so many ticks there have been several masters.
    pub together: u8,
    /// So many ticks ago the last disturbance was; `None`: more may come.
    pub peace: Option<u8>,
    /// Who was master when everything should have been as it should be.
    pub settled: Option<u8>,
    /// Who announced the addresses last.
    pub announced: Option<u8>,
    /// Who showed switches the virtual MAC last.
    pub learned: Option<u8>,
    /// Where packets are authenticated.
    pub enforced: Option<Enforced<N>>,
}

impl<const N: usize> Moment<N> {
    fn identity(&self) -> impl Hash + PartialEq + '_ {
        let hosts = self.hosts.each_ref();
        (
            hosts.map(|host| (host.view, host.demote, host.ties, host.waiting)),
            &self.packets,
            (self.together, self.peace, self.settled),
            (self.announced, self.learned),
            self.enforced.as_ref().map(|it| &it.recorded),
        )
    }

    pub fn state(&self, index: usize) -> State {
        match self.hosts[index].view {
            View::Dead | View::Init => State::Init,
            View::Backup(..) => State::Backup,
            View::Master(..) => State::Master,
        }
    }

    pub fn masters(&self) -> impl Iterator<Item = usize> + '_ {
        (0..N).filter(|index| self.state(*index) == State::Master)
    }

    pub fn running(&self) -> impl Iterator<Item = usize> + '_ {
        (0..N).filter(|index| self.state(*index) != State::Init)
    }
}

impl<const N: usize> Hash for Moment<N> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.identity().hash(hasher);
    }
}

impl<const N: usize> PartialEq for Moment<N> {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl<const N: usize> fmt::Debug for Moment<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tick {:3}", self.now - BEGINNING)?;
        for host in &self.hosts {
            write!(f, "  {:?}", host.view)?;
            if host.demote > 0 {
                write!(f, " demoted {}", host.demote)?;
            }
        }
        for packet in &self.packets {
            let what = if packet.bow_out { "bow-out" } else { "ad" };
            let Packet { from, to, left, .. } = packet;
            write!(f, "  [{what} {from}>{to} left {left}]")?;
        }
        for packet in self.enforced.iter().flat_map(|it| &it.recorded) {
            let Packet { from, to, age, .. } = packet;
            write!(f, "  [recorded {from}>{to} age {age}]")?;
        }
        Ok(())
    }
}

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A tick passes.
    Tick,
    /// A timer fires.
    Timer(u8),
    /// A packet arrives.
    Arrive(Packet),
    /// A packet arrives, and once more later.
    ArriveTwice(Packet),
    Lose(Packet),
    Replay(Packet),
    Die(u8),
    Boot(u8),
    Leave(u8),
    Return(u8),
    Demote(u8, u8),
    Force(u8, State),
    /// From now on nothing of the kind happens any more.
    Peace,
}

impl Action {
    /// Whether it is none of what a calm network and its hosts do by themselves.
    pub const fn is_disturbance(self) -> bool {
        !matches!(
            self,
            Self::Tick | Self::Timer(_) | Self::Arrive(_) | Self::ArriveTwice(_) | Self::Peace
        )
    }
}
