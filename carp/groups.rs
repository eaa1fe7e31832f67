// SPDX-License-Identifier: GPL-2.0

//! Interface groups and their demotion, per network namespace.
//!
//! A group exists while an interface is in it. Its counter is read for every
//! advertisement and every decision, so it is atomic. The list of groups has a lock, for
//! it is needed only to find a group by its name; so have the causes, which are needed
//! only to change or show them.

use crate::{
    linux::{
        bug::warn_on_once,
        lock::{new_spinlock_bh, SpinLockBh},
        rtnl::Rtnl,
    },
    proto::carp::{
        causes::{self, Cause, CauseName, Reason, CAUSES_MAX},
        demotion::{self, GroupName, Refusal},
        time::Instant,
    },
};
use kernel::{
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc,
    },
};

/// Why a pfsync interface demotes its groups.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum PfsyncCause {
    /// A bulk update is not complete.
    #[default]
    Bulk,
    /// The syncdev has no link.
    Link,
}

impl PfsyncCause {
    /// All of them.
    pub(super) const ALL: [Self; 2] = [Self::Bulk, Self::Link];

    /// Its name.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Bulk => "pfsync-bulk",
            Self::Link => "pfsync-link",
        }
    }
}

/// How much a cause demotes, and since when.
#[derive(Clone, Copy)]
pub(super) struct Share {
    /// How much it demotes; 0: not at all.
    pub(super) amount: u32,
    /// When it became other than 0.
    pub(super) since: Instant,
}

impl Share {
    /// No demotion.
    pub(super) const NONE: Self = Self {
        amount: 0,
        since: Instant(0),
    };

    /// Changes the amount by `by`.
    pub(super) fn adjust(&mut self, by: i32, now: Instant) {
        if self.amount == 0 {
            self.since = now;
        }
        self.amount = self.amount.saturating_add_signed(by);
    }
}

/// The causes that add up to a group's counter, except those of carp interfaces, which
/// keep their own.
struct Causes {
    /// The causes that were set by name, oldest first. With the first one, room for
    /// [`CAUSES_MAX`] is allocated.
    named: KVec<Cause>,
    /// The causes of pfsync interfaces, in the order of [`PfsyncCause::ALL`].
    pfsync: [Share; 2],
}

/// A group.
#[pin_data]
pub(crate) struct Group {
    /// Its name, unique in the namespace.
    pub(crate) name: GroupName,
    /// The demotion counter.
    count: Atomic<u32>,
    /// How many interfaces are in it; RTNL.
    members: Atomic<usize>,
    #[pin]
    causes: SpinLockBh<Causes>,
    /// When the first of the causes expires, or [`NEVER`].
    next_expiry: Atomic<u64>,
}

/// No cause expires.
const NEVER: u64 = u64::MAX;

impl Group {
    fn new(name: GroupName) -> Result<Arc<Self>> {
        let causes = Causes {
            named: KVec::new(),
            pfsync: [Share::NONE; 2],
        };
        Arc::pin_init(
            pin_init!(Self {
                name,
                count: Atomic::new(0),
                members: Atomic::new(0),
                causes <- new_spinlock_bh!(causes, "carp_causes"),
                next_expiry: Atomic::new(NEVER),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// The demotion counter. Any context.
    pub(crate) fn counter(&self) -> demotion::Counter {
        demotion::Counter::new(self.count.load(Relaxed))
    }

    /// Applies `change` to the counter atomically. Any context.
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

    /// Whether automatic demotion touches it.
    pub(crate) fn is_automatic(&self) -> bool {
        demotion::is_automatic(self.name.as_bytes())
    }

    /// Automatic demotion by a carp interface, which keeps the cause itself. Returns what
    /// [`demotion::Counter::adjust`] does. Any context.
    pub(super) fn adjust(&self, by: i32) -> bool {
        self.is_automatic() && self.update(|counter| counter.adjust(by))
    }

    /// Automatic demotion by a pfsync interface, whose cause is kept here. Any context.
    pub(crate) fn adjust_for(&self, cause: PfsyncCause, by: i32, now: Instant) -> bool {
        if !self.is_automatic() {
            return false;
        }
        let mut causes = self.causes.lock();
        let shares = PfsyncCause::ALL.iter().zip(&mut causes.pfsync);
        for (_, share) in shares.filter(|(it, _)| **it == cause) {
            share.adjust(by, now);
        }
        self.update(|counter| counter.adjust(by))
    }

    /// How much pfsync interfaces demote it, by cause. Any context.
    pub(super) fn pfsync_shares(&self) -> [(PfsyncCause, Share); 2] {
        let [bulk, link] = self.causes.lock().pfsync;
        [(PfsyncCause::Bulk, bulk), (PfsyncCause::Link, link)]
    }

    /// Carries out `carpdemote`: adds `by` to what `carpdemote` has added before. Returns
    /// whether the masters among the group's interfaces should advertise at once. Process
    /// context, may sleep.
    ///
    /// # Errors
    ///
    /// As [`causes::step`], or there is no memory. Nothing changed.
    pub(super) fn step(&self, by: i32, now: Instant) -> Result<Result<bool, Refusal>> {
        let name = CauseName::manual().ok_or(EINVAL)?;
        let room = self.room()?;
        let mut causes = self.causes.lock();
        let old = causes.named.iter().find(|it| it.name == name);
        let manual = old.map_or(0, |it| it.amount);
        let (since, until) = old.map_or((now, None), |it| (it.since, it.until));
        let reason = old.map_or(Reason::NONE, |it| it.reason);
        let amount = match causes::step(self.counter(), manual, by) {
            Ok(amount) => amount,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let cause = Cause {
            name,
            amount,
            since,
            until,
            reason,
        };
        Ok(self.put(&mut causes, cause, room).map(|by| by > 0))
    }

    /// Sets a cause, or changes the amount, time or reason of one that exists. Returns by
    /// how much the counter changed; `None` if only the time at which the cause ends has
    /// changed. Process context, may sleep.
    ///
    /// # Errors
    ///
    /// There are too many, or there is no memory. Nothing changed.
    pub(super) fn set(&self, mut cause: Cause) -> Result<Result<Option<i32>, Refusal>> {
        let room = self.room()?;
        let mut causes = self.causes.lock();
        let mut is_renewed = false;
        if let Some(old) = causes.named.iter().find(|it| it.name == cause.name) {
            cause.since = old.since;
            is_renewed = cause.amount == old.amount && cause.reason == old.reason;
        }
        let by = self.put(&mut causes, cause, room);
        Ok(by.map(|by| (!is_renewed).then_some(by)))
    }

    /// Allocates room for [`CAUSES_MAX`] causes if there is none yet. Otherwise the
    /// vector is empty.
    fn room(&self) -> Result<KVec<Cause>> {
        let has_room = self.causes.lock().named.capacity() != 0;
        let wanted = if has_room { 0 } else { CAUSES_MAX };
        Ok(KVec::with_capacity(wanted, GFP_KERNEL_ACCOUNT)?)
    }

    /// Inserts or replaces a cause, or removes it if its amount is 0. Returns by how much
    /// the counter changed.
    fn put(&self, causes: &mut Causes, cause: Cause, room: KVec<Cause>) -> Result<i32, Refusal> {
        if causes.named.capacity() == 0 {
            causes.named = room;
        }
        let index = causes.named.iter().position(|it| it.name == cause.name);
        let old = match index.and_then(|index| causes.named.get_mut(index)) {
            Some(known) => core::mem::replace(known, cause).amount,
            None if cause.amount == 0 => 0,
            None => {
                let pushed = causes.named.push_within_capacity(cause);
                pushed.map_err(|_| Refusal::TooMany)?;
                0
            }
        };
        if cause.amount == 0 {
            causes.named.retain(|it| it.name != cause.name);
        }
        Ok(self.changed(
            causes,
            i64::from(cause.amount).saturating_sub(i64::from(old)),
        ))
    }

    /// Removes a cause. Returns by how much the counter changed; `None` if there is no
    /// cause of that name. Any context.
    pub(super) fn unset(&self, name: &CauseName) -> Option<i32> {
        self.take(|it| it.name == *name).map(|(_, by)| by)
    }

    /// Removes a cause whose time is over. Returns it, and by how much the counter
    /// changed. Any context.
    pub(super) fn take_expired(&self, now: Instant) -> Option<(Cause, i32)> {
        if self.next_expiry.load(Relaxed) > now.0 {
            return None;
        }
        self.take(|it| it.is_over(now))
    }

    fn take(&self, wanted: impl Fn(&Cause) -> bool) -> Option<(Cause, i32)> {
        let mut causes = self.causes.lock();
        let index = causes.named.iter().position(wanted)?;
        let cause = causes.named.remove(index).ok()?;
        let by = self.changed(&causes, i64::from(cause.amount).saturating_neg());
        Some((cause, by))
    }

    /// Updates the counter and the next expiry after the sum of the causes has changed by
    /// `by`.
    fn changed(&self, causes: &Causes, by: i64) -> i32 {
        let ends = causes.named.iter().filter_map(|it| it.until);
        self.next_expiry
            .store(ends.min().map_or(NEVER, |Instant(at)| at), Relaxed);
        let by = i32::try_from(by).unwrap_or(0);
        self.update(|counter| counter.adjust(by));
        by
    }

    /// When the next cause expires. Any context.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        Some(self.next_expiry.load(Relaxed))
            .filter(|at| *at != NEVER)
            .map(Instant)
    }

    /// The cause with this index; the oldest one has 0. Any context.
    pub(super) fn cause(&self, index: usize) -> Option<Cause> {
        self.causes.lock().named.get(index).copied()
    }
}

/// The groups of a namespace.
#[pin_data]
pub(crate) struct Groups {
    /// Oldest first; grows under RTNL only.
    #[pin]
    list: SpinLockBh<KVVec<Arc<Group>>>,
    /// Counts changes of the list and of the groups' members.
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

    /// The group with this index; the oldest one has 0. Any context.
    pub(crate) fn nth(&self, skip: usize) -> Option<Arc<Group>> {
        self.list.lock().get(skip).cloned()
    }

    /// A number that changes with the list and with the groups' members, so that a dump
    /// in several parts notices changes. Any context.
    pub(crate) fn generation(&self) -> u32 {
        self.generation.load(Relaxed)
    }

    /// Called when the members of a group change, under the lock that guards them, so
    /// that whoever sees the change sees another [`Self::generation`] as well.
    pub(crate) fn membership_changed(&self) {
        self.generation.add(1, Relaxed);
    }

    /// Appends a new group to the list.
    ///
    /// # Errors
    ///
    /// Out of memory; nothing changed.
    fn push(&self, group: Arc<Group>, _rtnl: &Rtnl) -> Result {
        // RTNL keeps others from using up the capacity.
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
        // The old buffer is freed without the lock.
        drop(roomy);
        Ok(())
    }

    /// Counts one more interface in the group of this name, and makes the group if it
    /// does not exist.
    ///
    /// # Errors
    ///
    /// Out of memory; nothing changed.
    pub(crate) fn join(&self, name: GroupName, rtnl: &Rtnl) -> Result<Arc<Group>> {
        let group = match self.find(&name) {
            Some(group) => group,
            None => {
                // RTNL keeps others from making the same group at the same time.
                let group = Group::new(name)?;
                self.push(group.clone(), rtnl)?;
                group
            }
        };
        let members = group.members.load(Relaxed);
        group.members.store(members.saturating_add(1), Relaxed);
        Ok(group)
    }

    /// Counts one interface less in the group. After the last one, the group and its
    /// counter are removed.
    pub(crate) fn leave(&self, group: &Arc<Group>, _rtnl: &Rtnl) {
        let members = group.members.load(Relaxed);
        warn_on_once!(members == 0);
        let members = members.saturating_sub(1);
        group.members.store(members, Relaxed);
        if members == 0 {
            // The caller holds a reference, so nothing is freed under the lock.
            let mut list = self.list.lock();
            list.retain(|other| !Arc::ptr_eq(other, group));
            self.membership_changed();
        }
    }
}
