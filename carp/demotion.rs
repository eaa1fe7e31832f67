// SPDX-License-Identifier: GPL-2.0

//! Demotion of an interface: the groups that it is in, and what it brings upon
//! them by itself when its parent fails or it cannot send.

use super::{
    device::Carp,
    genetlink,
    groups::{Group, Groups},
    host::Host,
    limits::GROUPS_MAX,
    netns::Namespace,
};
use crate::{
    linux::{
        log::print_at, namespace::Net, netdevice::Device, netdevice_ops::OwnDevice,
        netlink::Extack, rtnl::Rtnl, timer,
    },
    proto::carp::{
        demotion::{self, GroupName},
        log::DEMOTION,
        send_errors::SendErrors,
        time::Instant,
    },
};
use kernel::{
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{Atomic, Full},
        rcu, Arc,
    },
};

/// What an interface knows of demotion; behind the host's lock.
pub(super) struct Demotion {
    /// The groups, in order of joining, with room for all that there may be. Changes
    /// under RTNL only.
    pub(super) groups: KVec<Arc<Group>>,
    /// What this interface has brought upon its groups.
    own: demotion::Counter,
    /// Whether the parent's failure is among that.
    suppressed: bool,
    /// Whether it is, but was not logged yet.
    is_unlogged: bool,
    /// Whether errors of sending are.
    pub(super) send_errors: SendErrors,
}

impl Demotion {
    /// In no group.
    ///
    /// # Errors
    ///
    /// Out of memory.
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            groups: KVec::with_capacity(GROUPS_MAX, GFP_KERNEL_ACCOUNT)?,
            own: demotion::Counter::default(),
            suppressed: false,
            is_unlogged: false,
            send_errors: SendErrors::new(),
        })
    }

    /// What the interface sends and compares.
    pub(super) fn count(&self) -> u8 {
        let groups = self.groups.iter().map(|group| {
            let automatic = demotion::is_automatic(group.name.as_bytes());
            (automatic, group.counter())
        });
        demotion::count(groups, self.own)
    }

    /// What a group gains or loses with this interface.
    fn share(&self) -> i32 {
        i32::try_from(self.own.get()).unwrap_or(i32::MAX)
    }
}

/// Why demotion changes by itself, in OpenBSD's words.
const CARPDEV: &str = "carpdev";
const SEND_ERRORS: &str = "> snderrors";
const SEND_ERRORS_OVER: &str = "< snderrors";
/// Long enough after the last error: to see whether sending works again.
const SEND_ERRORS_TRIAL: &str = "snderrors, trial";
/// The interface comes with what it had brought upon its other groups, or goes with it.
const JOINED: &str = "joined";
const LEFT: &str = "left";

impl Carp {
    /// Demotes, or takes it back. No lock of ours is held.
    fn demote(&self, by: i32, cause: &str) {
        let Some((own, announce)) = self.adjust(by, cause) else {
            return;
        };
        if announce {
            advertise_everywhere(own.net());
        }
        // Last, for a console may be slow.
        self.each_automatic(|group| tell(&own, group, by, cause));
    }

    /// Changes what it has brought upon its groups. The interface's device, and whether
    /// masters are to say so at once. No lock of ours is held.
    fn adjust(&self, by: i32, cause: &str) -> Option<(ARef<OwnDevice>, bool)> {
        let (own, announce) = {
            let mut host = self.host.lock();
            host.demotion.own.adjust(by);
            let groups = &host.demotion.groups;
            let announce = groups
                .iter()
                .fold(false, |announce, group| group.adjust(by) | announce);
            (host.own.clone(), announce)
        };
        let own = own?;
        self.each_automatic(|group| genetlink::demoted(own.net(), group, by, cause));
        Some((own, announce))
    }

    /// Calls `each` with the groups that automatic demotion touches.
    fn each_automatic(&self, each: impl Fn(&Group)) {
        for place in 0..usize::MAX {
            match self.group(place) {
                None => break,
                Some(group) if demotion::is_automatic(group.name.as_bytes()) => each(&group),
                Some(_) => {}
            }
        }
    }

    /// The group in this place. Any context.
    pub(super) fn group(&self, place: usize) -> Option<Arc<Group>> {
        self.host.lock().demotion.groups.get(place).cloned()
    }

    /// What came of sending; `failed` and `sent` count advertisements.
    pub(super) fn sent(&self, sent: usize, failed: usize) {
        let change = {
            let mut host = self.host.lock();
            let now = Instant(timer::now());
            let hosts = u32::try_from(host.nodes.len()).unwrap_or(u32::MAX);
            let mut change = 0_i32;
            for (success, times) in [(false, failed), (true, sent)] {
                for _ in 0..times {
                    let by = host.demotion.send_errors.record(now, success, hosts);
                    change = change.saturating_add(by.unwrap_or(0));
                }
            }
            if failed != 0 {
                // Of the trial.
                self.arm(&host);
            }
            change
        };
        match change {
            0 => {}
            1.. => self.demote(change, SEND_ERRORS),
            _ => self.demote(change, SEND_ERRORS_OVER),
        }
    }

    /// The time may have come to try whether sending works again. Softirq context.
    pub(super) fn try_sending(&self) {
        let now = Instant(timer::now());
        let by = self.host.lock().demotion.send_errors.expired(now);
        if let Some(by) = by {
            self.demote(by, SEND_ERRORS_TRIAL);
        }
    }

    /// The parent works, or does not; without parent there is nothing to suffer.
    pub(super) fn suppress(&self, suppressed: bool, _rtnl: &Rtnl) {
        let was = core::mem::replace(&mut self.host.lock().demotion.suppressed, suppressed);
        match (was, suppressed) {
            (false, true) => self.demote(1, CARPDEV),
            (true, false) => self.demote(-1, CARPDEV),
            _ => {}
        }
    }

    /// The parent is about to fail: demotes. [`Self::say_parent_fails`] comes when all
    /// interfaces on the parent know, for they say farewell, not that they are demoted.
    pub(super) fn parent_fails(&self, rtnl: &Rtnl) {
        if core::mem::replace(&mut self.host.lock().demotion.suppressed, true) {
            return;
        }
        if let Some((own, announce)) = self.adjust(1, CARPDEV) {
            self.host.lock().demotion.is_unlogged = true;
            if let (Some(namespace), true) = (Namespace::of(own.net(), rtnl), announce) {
                namespace.rounds().want();
            }
        }
    }

    /// Lets the namespace's other masters advertise, once for all interfaces on the parent.
    pub(super) fn say_parent_fails(&self, rtnl: &Rtnl) {
        let own = self.host.lock().own.clone();
        if let Some(own) = own {
            if let Some(namespace) = Namespace::of(own.net(), rtnl) {
                namespace.rounds().run_wanted(|| advertise_well(own.net()));
            }
        }
    }

    /// Logs that the parent fails, last, for a console may be slow.
    pub(super) fn log_parent_fails(&self, _rtnl: &Rtnl) {
        let (own, is_unlogged) = {
            let mut host = self.host.lock();
            let is_unlogged = core::mem::take(&mut host.demotion.is_unlogged);
            (host.own.clone(), is_unlogged)
        };
        if let (Some(own), true) = (own, is_unlogged) {
            self.each_automatic(|group| tell(&own, group, 1, CARPDEV));
        }
    }

    /// Whether its parent does not work.
    fn is_suppressed(&self) -> bool {
        self.host.lock().demotion.suppressed
    }

    /// The interface stopped, or its parent is another one or none: errors of sending
    /// are forgotten.
    pub(super) fn forgive_send_errors(&self) {
        let by = self.host.lock().demotion.send_errors.reset();
        if let Some(by) = by {
            self.demote(by, SEND_ERRORS_OVER);
        }
    }

    /// Whether the interface is in the group.
    pub(super) fn is_in(&self, group: &Arc<Group>) -> bool {
        let host = self.host.lock();
        host.demotion.groups.iter().any(|it| Arc::ptr_eq(it, group))
    }

    /// Whether the interface is in the group of this name.
    pub(super) fn is_in_group(&self, name: &GroupName) -> bool {
        let host = self.host.lock();
        host.demotion.groups.iter().any(|it| it.name == *name)
    }

    /// Joins a group, and brings its own demotion along. In a group that it is in
    /// already it stays.
    ///
    /// # Errors
    ///
    /// In words: it is in too many. Out of memory. Nothing changed.
    pub(super) fn join(
        &self,
        groups: &Groups,
        name: GroupName,
        extack: &Extack<'_>,
        rtnl: &Rtnl,
    ) -> Result {
        let group = groups.join(name, rtnl)?;
        if self.is_in(&group) {
            groups.leave(&group, rtnl);
            return Ok(());
        }
        let mut host = self.host.lock();
        let joined = host.demotion.groups.push_within_capacity(group.clone());
        if joined.is_err() {
            drop(host);
            groups.leave(&group, rtnl);
            return Err(extack.error(
                EINVAL,
                format_args!("an interface is in at most {GROUPS_MAX} groups"),
            ));
        }
        groups.membership_changed();
        let announce = bring_along(&host, &group, host.demotion.share(), JOINED);
        let dev = host.own.clone();
        drop(host);
        if let (Some(dev), true) = (dev, announce) {
            advertise_everywhere(dev.net());
        }
        Ok(())
    }

    /// Leaves a group, and takes its own demotion away with it. Whether it was in
    /// it.
    pub(super) fn leave(&self, groups: &Groups, name: &GroupName, rtnl: &Rtnl) -> bool {
        let group = {
            let mut host = self.host.lock();
            let demotion = &mut host.demotion;
            let place = demotion.groups.iter().position(|group| group.name == *name);
            let Some(Ok(group)) = place.map(|place| demotion.groups.remove(place)) else {
                return false;
            };
            groups.membership_changed();
            bring_along(&host, &group, host.demotion.share().saturating_neg(), LEFT);
            group
        };
        groups.leave(&group, rtnl);
        true
    }

    /// Leaves all groups of a namespace, as [`Self::leave`], but remembers which they
    /// were.
    pub(super) fn leave_groups_behind(&self, groups: &Groups, rtnl: &Rtnl) {
        for place in 0..usize::MAX {
            let Some(group) = self.group(place) else {
                break;
            };
            {
                let host = self.host.lock();
                bring_along(&host, &group, host.demotion.share().saturating_neg(), LEFT);
            }
            groups.leave(&group, rtnl);
        }
    }

    /// Joins the groups of the same names in another namespace.
    ///
    /// # Errors
    ///
    /// Out of memory: some are not joined.
    pub(super) fn join_groups_again(&self, groups: &Groups, rtnl: &Rtnl) -> Result {
        let mut result = Ok(());
        let mut announce = false;
        for place in 0..usize::MAX {
            let Some(old) = self.group(place) else {
                break;
            };
            let group = match groups.join(old.name, rtnl) {
                Ok(group) => group,
                Err(error) => {
                    // The old one stays, of which nobody else knows.
                    result = Err(error);
                    continue;
                }
            };
            let mut host = self.host.lock();
            announce |= bring_along(&host, &group, host.demotion.share(), JOINED);
            if let Some(known) = host.demotion.groups.get_mut(place) {
                *known = group;
                groups.membership_changed();
            }
        }
        let dev = self.host.lock().own.clone();
        if let (Some(dev), true) = (dev, announce) {
            advertise_everywhere(dev.net());
        }
        result
    }

    /// Leaves all groups.
    pub(super) fn leave_all(&self, groups: &Groups, rtnl: &Rtnl) {
        while let Some(group) = self.group(0) {
            self.leave(groups, &group.name, rtnl);
        }
    }
}

/// Lets every master of the namespace advertise at once: the host is not well any more. Not
/// those whose parent is known not to work: if they can still send, they are about to say
/// farewell.
///
/// One that cannot may be demoted for it, and so ask for this again: that is done after
/// it, never within it, for there may be many of them and the stack is small.
fn advertise_everywhere(net: &Net) {
    if let Some(namespace) = Namespace::of(net, &rcu::read_lock()) {
        namespace.rounds().run(|| advertise_well(net));
    }
}

/// Lets every master advertise whose parent works.
fn advertise_well(net: &Net) {
    advertise_all(net, |carp| !carp.is_suppressed());
}

/// Work that is done in rounds: who asks for it while it goes on, on whatever processor,
/// or from within it, has it done once more.
pub(super) struct Rounds(Atomic<u32>);

impl Rounds {
    const IDLE: u32 = 0;
    const WANTED: u32 = 1;
    const BUSY: u32 = 2;
    const AGAIN: u32 = 3;

    /// Nothing goes on.
    pub(super) const fn new() -> Self {
        Self(Atomic::new(Self::IDLE))
    }

    /// Does the work, or leaves it to whoever is at it. Any context.
    fn run(&self, work: impl Fn()) {
        // Full ordering: the work that follows sees why it was asked for.
        if matches!(self.0.xchg(Self::AGAIN, Full), Self::IDLE | Self::WANTED) {
            self.go_round(work);
        }
    }

    /// Has the work done by the next [`Self::run_wanted`], or [`Self::run`]. Any context.
    fn want(&self) {
        let mut old = Self::IDLE;
        loop {
            let new = match old {
                Self::IDLE => Self::WANTED,
                Self::BUSY => Self::AGAIN,
                // It is yet to begin.
                _ => return,
            };
            match self.0.cmpxchg(old, new, Full) {
                Ok(_) => return,
                Err(now) => old = now,
            }
        }
    }

    /// Does the work if [`Self::want`] was the last to ask for it. Any context.
    fn run_wanted(&self, work: impl Fn()) {
        if self.0.cmpxchg(Self::WANTED, Self::AGAIN, Full).is_ok() {
            self.go_round(work);
        }
    }

    fn go_round(&self, work: impl Fn()) {
        loop {
            self.0.xchg(Self::BUSY, Full);
            work();
            if self.0.cmpxchg(Self::BUSY, Self::IDLE, Full).is_ok() {
                return;
            }
        }
    }
}

/// Tells of a group that was demoted, or relieved, on behalf of an interface that is none
/// of carp's; `announce` is what [`Group::adjust`] said then. Any context; no lock that
/// [`Carp`] takes is held.
pub(crate) fn group_demoted(own: &OwnDevice, group: &Group, by: i32, cause: &str, announce: bool) {
    genetlink::demoted(own.net(), group, by, cause);
    if announce {
        advertise_everywhere(own.net());
    }
    tell(own, group, by, cause);
}

/// An interface joins a group with its own demotion, or leaves it and takes that away:
/// the group's counter changes `by` so much. Whether masters are to say so at once.
fn bring_along(host: &Host, group: &Group, by: i32, cause: &str) -> bool {
    let announce = group.adjust(by);
    if let (Some(dev), true) = (&host.own, by != 0) {
        if demotion::is_automatic(group.name.as_bytes()) {
            genetlink::demoted(dev.net(), group, by, cause);
        }
    }
    announce
}

/// Lets every master of the namespace that is `wanted` advertise at once.
pub(super) fn advertise_all(net: &Net, wanted: impl Fn(&Carp) -> bool) {
    let rcu = rcu::read_lock();
    for dev in Device::walk(net, 0, &rcu) {
        if let Some((_, carp)) = dev.of_driver::<Carp>(&rcu) {
            if wanted(carp) {
                carp.advertise_now();
            }
        }
    }
}

/// Logs a change of a group's counter.
fn tell(own: &OwnDevice, group: &Group, by: i32, cause: &str) {
    if let Some(level) = Namespace::prints(own.net(), DEMOTION, false) {
        print_at!(
            level,
            "{} demoted group {} by {} to {} ({})\n",
            own.name(),
            group.name.as_str(),
            by,
            group.counter().get(),
            cause
        );
    }
}
