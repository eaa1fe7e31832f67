// SPDX-License-Identifier: GPL-2.0

//! Interface groups and their demotion counters, per network namespace.
//!
//! A group is there while an interface is in it. Its counter is read with every
//! advertisement and every decision, so it is an atomic number; the list of
//! groups is needed only to find one by its name.

use crate::{
    linux::{
        bug::warn_on_once,
        lock::{new_spinlock_bh, SpinLockBh},
        rtnl::Rtnl,
    },
    proto::carp::demotion::{self, GroupName, Refusal},
};
use kernel::{
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc,
    },
};

/// A group.
pub(crate) struct Group {
    /// Its name, unique in the namespace.
    pub(crate) name: GroupName,
    /// The demotion counter.
    count: Atomic<u32>,
    /// How many interfaces are in it; RTNL.
    members: Atomic<usize>,
}

impl Group {
    fn new(name: GroupName) -> Result<Arc<Self>> {
        Ok(Arc::new(
            Self {
                name,
                count: Atomic::new(0),
                members: Atomic::new(0),
            },
            GFP_KERNEL_ACCOUNT,
        )?)
    }

    /// The demotion counter. Any context.
    pub(crate) fn counter(&self) -> demotion::Counter {
        demotion::Counter::new(self.count.load(Relaxed))
    }

    /// Changes the counter by what `change` makes of it. Any context.
    fn update<T>(&self, change: impl Fn(&mut demotion::Counter) -> T) -> T {
        let mut old = self.count.load(Relaxed);
        loop {
            let mut counter = demotion::Counter::new(old);
            let result = change(&mut counter);
            match self.count.cmpxchg(old, counter.get(), Relaxed) {
                Ok(_) => return result,
                Err(now) => old = now,
            }
        }
    }

    /// Automatic demotion; [`demotion::Counter::adjust`]. Any context.
    pub(crate) fn adjust(&self, by: i32) -> bool {
        demotion::is_automatic(self.name.as_bytes()) && self.update(|counter| counter.adjust(by))
    }

    /// The administrator's; [`demotion::Counter::step`]. Any context.
    ///
    /// # Errors
    ///
    /// The step is too large, or would lead out of 0–255.
    pub(crate) fn step(&self, by: i32) -> Result<bool, Refusal> {
        self.update(|counter| counter.step(by))
    }
}

/// The groups of a namespace.
#[pin_data]
pub(crate) struct Groups {
    /// In the order in which they were made; grows under RTNL only.
    #[pin]
    list: SpinLockBh<KVVec<Arc<Group>>>,
    /// Counts the changes of the list, and of who is in them.
    generation: Atomic<u32>,
}

impl Groups {
    /// No groups.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            list <- new_spinlock_bh!(KVVec::new(), "carp_groups"),
            generation: Atomic::new(0),
        })
    }

    /// The group of this name, if there is one. Any context.
    pub(crate) fn find(&self, name: &GroupName) -> Option<Arc<Group>> {
        let list = self.list.lock();
        list.iter().find(|group| group.name == *name).cloned()
    }

    /// The group after `skip` others, in the order in which they were made. Any context.
    pub(crate) fn nth(&self, skip: usize) -> Option<Arc<Group>> {
        self.list.lock().get(skip).cloned()
    }

    /// Another number after the list or who is in a group has changed, for those who read
    /// it in pieces. Any context.
    pub(crate) fn generation(&self) -> u32 {
        self.generation.load(Relaxed)
    }

    /// Who is in a group changes. Under the lock that guards it, so that whoever sees the
    /// change sees another [`Self::generation`] as well.
    pub(crate) fn membership_changed(&self) {
        self.generation.add(1, Relaxed);
    }

    /// Puts a new group into the list.
    ///
    /// # Errors
    ///
    /// Out of memory; nothing changed.
    fn push(&self, group: Arc<Group>, _rtnl: &Rtnl) -> Result {
        // RTNL keeps others from filling the room.
        let (len, capacity) = {
            let list = self.list.lock();
            (list.len(), list.capacity())
        };
        let mut roomy = KVVec::new();
        if len == capacity {
            roomy.reserve(len.saturating_mul(2).max(4), GFP_KERNEL_ACCOUNT)?;
        }
        let mut list = self.list.lock();
        if len == capacity {
            for known in list.drain_all() {
                roomy.push_within_capacity(known).map_err(|_| ENOMEM)?;
            }
            core::mem::swap(&mut *list, &mut roomy);
        }
        list.push_within_capacity(group).map_err(|_| ENOMEM)?;
        self.membership_changed();
        drop(list);
        // The old room is given back without the lock.
        drop(roomy);
        Ok(())
    }

    /// One more interface is in the group of this name, which is made if it is
    /// not there yet.
    ///
    /// # Errors
    ///
    /// Out of memory; nothing changed.
    pub(crate) fn join(&self, name: GroupName, rtnl: &Rtnl) -> Result<Arc<Group>> {
        let group = match self.find(&name) {
            Some(group) => group,
            None => {
                // RTNL keeps others from making it meanwhile.
                let group = Group::new(name)?;
                self.push(group.clone(), rtnl)?;
                group
            }
        };
        let members = group.members.load(Relaxed);
        group.members.store(members.saturating_add(1), Relaxed);
        Ok(group)
    }

    /// One interface less is in the group. Without interfaces it is gone, and its
    /// counter with it.
    pub(crate) fn leave(&self, group: &Arc<Group>, _rtnl: &Rtnl) {
        let members = group.members.load(Relaxed);
        warn_on_once!(members == 0);
        let members = members.saturating_sub(1);
        group.members.store(members, Relaxed);
        if members == 0 {
            // The list's count is not the last one, so nothing is freed under the
            // lock.
            let mut list = self.list.lock();
            list.retain(|other| !Arc::ptr_eq(other, group));
            self.membership_changed();
        }
    }
}
