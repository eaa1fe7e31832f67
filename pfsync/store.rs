// SPDX-License-Identifier: GPL-2.0

//! The states that an interface knows of: found by name, in one list each of what is
//! still to be said of them, and in one of the second in which somebody looks at them.
//!
//! Records refer to each other by number; so lists through them need neither pointers nor
//! memory of their own.

use super::{
    buckets::Buckets,
    cells::{Cells, NONE},
};
use crate::{
    linux::bug::warn_on_once,
    proto::pfsync::{
        id::StateId,
        pending::{Place, Step},
        time::{seconds_since, Instant},
        wheel::Wheel,
    },
};
use kernel::{alloc::Flags, prelude::*};

pub(super) use super::{
    cells::Slot,
    record::{Live, Record},
};

/// How many records are looked at in one go, of which few are of interest: some hundred
/// microseconds.
pub(super) const LOOKED_AT: Slot = 4096;

/// The lists, by [`Place`]; the last one is of those who await confirmation.
const LISTS: usize = 6;

#[derive(Clone, Copy)]
struct List {
    first: Slot,
    last: Slot,
    len: u32,
}

/// All states of an interface.
pub(super) struct Store {
    cells: Cells,
    /// When somebody looks at them, in seconds.
    wheel: Wheel,
    /// How many records are a second name of what another one has.
    pairs: u32,
    lists: [List; LISTS],
    names: Buckets,
}

impl Store {
    /// An empty one, which asks for memory so.
    pub(super) fn new(now: Instant, flags: Flags) -> Self {
        Self {
            cells: Cells::new(flags),
            wheel: Wheel::new(seconds(now)),
            pairs: 0,
            lists: [List {
                first: NONE,
                last: NONE,
                len: 0,
            }; LISTS],
            names: Buckets::new(flags),
        }
    }

    /// How many connections there are.
    pub(super) fn len(&self) -> u32 {
        self.cells.len().saturating_sub(self.pairs)
    }

    /// The record that has what the table has of a state: that of its name, or of the
    /// other one of pf's two.
    pub(super) fn main(&self, slot: Slot) -> Slot {
        match self.get(slot) {
            Some(record) if record.live.is_none() => record.other().unwrap_or(slot),
            _ => slot,
        }
    }

    /// Makes two records a pair; neither is in one.
    pub(super) fn pair(&mut self, one: Slot, other: Slot) {
        if self.get(one).is_none() || self.get(other).is_none() {
            return;
        }
        for (slot, to) in [(one, other), (other, one)] {
            if let Some(record) = self.get_mut(slot) {
                record.other = to;
            }
        }
        self.pairs = self.pairs.saturating_add(1);
    }

    /// Ends it. The other one of the two, if there was one.
    pub(super) fn part(&mut self, slot: Slot) -> Option<Slot> {
        let other = self.get(slot)?.other()?;
        for slot in [slot, other] {
            if let Some(record) = self.get_mut(slot) {
                record.other = NONE;
            }
        }
        warn_on_once!(self.pairs == 0);
        self.pairs = self.pairs.saturating_sub(1);
        Some(other)
    }

    /// No record has this number or a higher one.
    pub(super) fn end(&self) -> Slot {
        self.cells.end()
    }

    /// How many chunks of numbers there are.
    pub(super) fn chunks(&self) -> u32 {
        self.cells.chunks()
    }

    /// The first number of the next chunk.
    pub(super) const fn next_chunk(slot: Slot) -> Slot {
        Cells::next_chunk(slot)
    }

    /// The records from this number on that lie in its chunk: they are found sooner so than
    /// one by one.
    #[inline]
    pub(super) fn in_chunk(&self, slot: Slot) -> impl Iterator<Item = (Slot, &Record)> {
        self.cells.in_chunk(slot)
    }

    /// The record of this number, if there is one.
    pub(super) fn get(&self, slot: Slot) -> Option<&Record> {
        self.cells.get(slot)
    }

    /// The same, to be changed.
    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut Record> {
        self.cells.get_mut(slot)
    }

    /// Begins anew, empty as it is: time has passed since it was made.
    pub(super) fn begin(&mut self, now: Instant) {
        self.wheel = Wheel::new(seconds(now));
    }

    /// The number after this one that may be a record's, past all that have none for sure.
    pub(super) fn next(&self, slot: Slot) -> Slot {
        self.cells.next(slot)
    }

    /// Somebody is to look at a record in so many seconds, one at least.
    pub(super) fn look_again(&mut self, slot: Slot, now: Instant, within: u32) {
        let at = seconds(now).saturating_add(within.max(1));
        self.wheel.set(&mut self.cells, slot, at);
    }

    /// The same, unless somebody does so before.
    pub(super) fn look_sooner(&mut self, slot: Slot, now: Instant, within: u32) {
        let at = seconds(now).saturating_add(within.max(1));
        self.wheel.sooner(&mut self.cells, slot, at);
    }

    /// The next record that somebody is to look at now.
    pub(super) fn due(&mut self, now: Instant) -> Option<Slot> {
        self.wheel.pop(&mut self.cells, seconds(now))
    }

    /// Takes a record in. Its name must be new.
    ///
    /// # Errors
    ///
    /// Out of memory; the record is dropped.
    pub(super) fn insert(&mut self, mut record: Record) -> Result<Slot> {
        self.names.grow(&mut self.cells)?;
        let hash = self.names.hash(&record.id);
        record.hash = hash;
        let slot = self.cells.insert(record)?;
        self.names.enter(&mut self.cells, slot, hash);
        Ok(slot)
    }

    /// What the table has of a state now is what peers know; by a second name they hear
    /// but a part.
    ///
    /// Whether the table still has it.
    pub(super) fn note_told(&mut self, slot: Slot) -> bool {
        let Some(record) = self.get_mut(slot) else {
            return false;
        };
        let Some(live) = &record.live else {
            return true;
        };
        let fingerprint = live.entry.fingerprint();
        // Who was told of one that is gone by now is to hear of that.
        record.told = fingerprint.or(record.told);
        fingerprint.is_some()
    }

    /// Tells packet paths where the record is; `threshold` is
    /// [`Watched::set_slot`]'s.
    pub(super) fn set_slot(&self, slot: Slot, threshold: u32) {
        if let Some(live) = self.get(slot).and_then(|record| record.live.as_ref()) {
            live.watched.set_slot(slot, threshold);
        }
    }

    /// Takes a record out, of its list as well; it is in no pair.
    pub(super) fn remove(&mut self, slot: Slot) -> Option<Record> {
        let place = self.get(slot)?.pending.place();
        self.unlink(slot, place);
        self.wheel.remove(&mut self.cells, slot);
        self.names.leave(&mut self.cells, slot);
        let record = self.cells.remove(slot)?;
        self.names.shrink(&mut self.cells);
        Some(record)
    }

    /// The state of this name.
    pub(super) fn find(&self, id: &StateId) -> Option<Slot> {
        self.names.find(&self.cells, id)
    }

    /// Gives a state another name, which must be new.
    pub(super) fn rename(&mut self, slot: Slot, id: StateId) {
        self.names.leave(&mut self.cells, slot);
        let hash = self.names.hash(&id);
        if let Some(record) = self.get_mut(slot) {
            record.id = id;
            record.hash = hash;
        }
        self.names.enter(&mut self.cells, slot, hash);
    }

    /// The record has taken a step: puts it into its new list.
    pub(super) fn moved(&mut self, slot: Slot, step: &Step) {
        if step.moves() {
            self.unlink(slot, step.from);
            self.link(slot, step.to);
        }
    }

    /// The first one in a list.
    pub(super) fn first(&self, place: Place) -> Option<Slot> {
        let first = self.lists.get(list(place)?)?.first;
        (first != NONE).then_some(first)
    }

    /// How many are in a list.
    pub(super) fn count(&self, place: Place) -> u32 {
        let list = list(place).and_then(|list| self.lists.get(list));
        list.map_or(0, |list| list.len)
    }

    fn link(&mut self, slot: Slot, place: Place) {
        let Some(list) = list(place).and_then(|list| self.lists.get_mut(list)) else {
            return;
        };
        let last = core::mem::replace(&mut list.last, slot);
        if last == NONE {
            list.first = slot;
        }
        list.len = list.len.saturating_add(1);
        if let Some(record) = self.get_mut(last) {
            record.next = slot;
        }
        if let Some(record) = self.get_mut(slot) {
            record.previous = last;
            record.next = NONE;
        }
    }

    fn unlink(&mut self, slot: Slot, place: Place) {
        let Some(number) = list(place) else {
            return;
        };
        let Some(record) = self.get(slot) else {
            return;
        };
        let (previous, next) = (record.previous, record.next);
        if let Some(record) = self.get_mut(previous) {
            record.next = next;
        }
        if let Some(record) = self.get_mut(next) {
            record.previous = previous;
        }
        if let Some(list) = self.lists.get_mut(number) {
            if previous == NONE {
                list.first = next;
            }
            if next == NONE {
                list.last = previous;
            }
            warn_on_once!(list.len == 0);
            list.len = list.len.saturating_sub(1);
        }
    }
}

/// The list of a place; a state that has nothing to say is in none.
fn list(place: Place) -> Option<usize> {
    match place {
        Place::Nowhere => None,
        Place::Queued(queue) => Some(queue.number()),
        Place::Awaiting => Some(LISTS.saturating_sub(1)),
    }
}

/// The second that a point of time is in.
fn seconds(now: Instant) -> u32 {
    seconds_since(Instant(0), now)
}
