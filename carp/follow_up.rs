// SPDX-License-Identifier: GPL-2.0

//! What follows a change of state: at once an event of generic netlink, and later, in
//! process context under RTNL, what may sleep or has to wait.
//!
//! Operstate and RTM_NEWLINK mostly follow by themselves, through linkwatch. udev is
//! told from here, and so is rtnetlink where the interface as a whole is as it was:
//! one of several virtual hosts has changed, which linkwatch knows nothing of.
//!
//! What is told late is told as it is then; a virtual host that has changed twice by
//! then is told of once.

use super::{
    device::{state_to_u32, Carp},
    genetlink,
    host::Host,
    netns::{report, Namespace},
};
use crate::{
    linux::{netdevice_ops::OwnDevice, rtnl::Rtnl},
    proto::carp::{effects::Transition, election::State, log::NO_MEMORY},
};
use kernel::{
    prelude::*,
    str::CString,
    sync::atomic::{Acquire, Atomic, Relaxed, Release},
};

/// The bit of [`OwnDevice::ask_for_work`] that asks for what is here.
const FOLLOW_UP: u32 = 1;
/// The bit that asks for [`Carp::join_groups`].
const GROUPS: u32 = 2;
/// The bit that asks for [`Carp::find_ways_back`].
const WAYS_BACK: u32 = 4;
/// The bit that asks for [`Parent::follow_ingress`].
const INGRESS: u32 = 16;

impl Carp {
    /// The bit that asks for [`Self::take_parent_again`].
    pub(super) const LOST_PARENT: u32 = 8;
}

/// What there is to tell.
pub(super) struct Changes {
    /// A bit for each vhid whose virtual host has changed its state.
    vhids: [Atomic<u32>; 8],
    /// The interface's state when something was told last; RTNL.
    told: Atomic<u32>,
}

impl Changes {
    /// Nothing.
    pub(super) const fn new() -> Self {
        Self {
            vhids: [const { Atomic::new(0) }; 8],
            told: Atomic::new(state_to_u32(State::Init)),
        }
    }

    /// Under the host's lock, so there is one who sets bits; another may take them.
    fn add(&self, vhid: u8) {
        if let Some(word) = self.vhids.get(usize::from(vhid >> 5)) {
            let bit = 1u32 << (vhid & 31);
            let mut old = word.load(Relaxed);
            while let Err(now) = word.cmpxchg(old, old | bit, Release) {
                old = now;
            }
        }
    }

    /// Takes them all out, and calls `each` with them in ascending order.
    fn take(&self, mut each: impl FnMut(u8)) {
        for (word, first) in self.vhids.iter().zip((0u8..).step_by(32)) {
            // Pairs with `add`: who finds a bit finds the state that it stands for.
            let bits = word.xchg(0, Acquire);
            for bit in (0u8..32).filter(|&bit| bits & (1 << bit) != 0) {
                each(first | bit);
            }
        }
    }
}

impl Carp {
    /// A virtual host has changed its state. Under the host's lock, so that listeners
    /// hear of changes in their order.
    pub(super) fn note(&self, host: &Host, vhid: u8, demote: u8, transition: &Transition) {
        if let Some(own) = &host.own {
            genetlink::state_changed(own, vhid, demote, transition);
            self.changes.add(vhid);
        }
    }

    /// Has the rest of it done, after what was noted; not before all was sent, for it
    /// is in no hurry. Any context.
    pub(super) fn ask_for_follow_up(own: &OwnDevice) {
        own.ask_for_work(FOLLOW_UP);
    }

    /// The IPv6 addresses changed: the parent's groups are to follow. Any context.
    pub(super) fn ask_for_groups(&self, own: &OwnDevice) {
        own.ask_for_work(GROUPS);
    }

    /// Addresses changed: who receives is to be found out. Any context.
    pub(super) fn ask_for_ways_back(own: &OwnDevice) {
        own.ask_for_work(WAYS_BACK);
    }

    /// Hooks of others came to the parent's ingress, or went. Any context.
    pub(super) fn ask_for_ingress(own: &OwnDevice) {
        own.ask_for_work(INGRESS);
    }

    fn follow_ingress(&self, own: &OwnDevice, rtnl: &Rtnl) {
        let parent = {
            let host = self.host.lock();
            host.place.as_ref().map(|place| place.parent().clone())
        };
        if parent.is_some_and(|parent| parent.follow_ingress(rtnl).is_err()) {
            report!(
                own,
                NO_MEMORY,
                "{}: no memory to keep frames for other hosts from flowtables\n",
                own.name()
            );
        }
    }

    /// Does it.
    pub(super) fn follow_up(&self, own: &OwnDevice, bits: u32, rtnl: &Rtnl) {
        if bits & GROUPS != 0 {
            self.join_groups(own, rtnl);
        }
        if bits & WAYS_BACK != 0 {
            self.find_ways_back(own);
        }
        if bits & Self::LOST_PARENT != 0 {
            self.take_parent_again(own, rtnl);
        }
        if bits & (FOLLOW_UP | INGRESS) != 0 {
            self.follow_ingress(own, rtnl);
        }
        if bits & FOLLOW_UP == 0 {
            return;
        }
        self.follow_state(own, rtnl);
        if Namespace::follow_standby(own.net(), rtnl).is_err() {
            report!(
                own,
                NO_MEMORY,
                "{}: no memory to watch what programs send while it is not master\n",
                own.name()
            );
        }
        let state = self.state();
        if self.changes.told.load(Relaxed) == state {
            own.tell_change(rtnl);
        }
        self.changes.told.store(state, Relaxed);
        self.changes.take(|vhid| {
            // What is not there any more does nothing.
            let state = self
                .status()
                .nodes()
                .find(|node| node.vhid == vhid)
                .map_or(State::Init, |node| node.state);
            if tell_udev(own, vhid, state, rtnl).is_err() {
                // It misses one, as any listener may; generic netlink says so.
                pr_debug!("{}: no memory to tell udev\n", own.name());
            }
        });
    }
}

fn tell_udev(own: &OwnDevice, vhid: u8, state: State, rtnl: &Rtnl) -> Result {
    let state = match state {
        State::Init => c"CARP_STATE=INIT",
        State::Backup => c"CARP_STATE=BACKUP",
        State::Master => c"CARP_STATE=MASTER",
    };
    let vhid = CString::try_from_fmt(fmt!("CARP_VHID={vhid}"))?;
    own.change_uevent(&[state, &vhid], rtnl)
}
