// SPDX-License-Identifier: GPL-2.0

//! pf's two states of a forwarded connection, one where it comes in and one where it goes
//! out. The table has one entry for both.
//!
//! Each has a name of its own, and so a record. One of the two has the entry, the other
//! refers to it ([`Store::main`](super::store::Store::main)). A peer's second state finds the
//! first one's entry by the packets between both, and gives it its part of the translation.
//! For hosts with pf in the group this host makes a second name for each of its own
//! connections; what it sends by that is marked for other Linux hosts, who learn the name.

use super::{
    counters::Counter,
    insert::make_lenient,
    messages::Reader,
    outcome::Outcome,
    plain,
    session::Session,
    store::{Live, Record, Slot},
};
use crate::{
    linux::{state_table::Plain, watch::Watch},
    proto::pfsync::{
        conntrack::{Entry, Status, Tracking, Tuple, Zone},
        frame::Discard,
        id::StateId,
        merge::Verdict,
        pending::Pending,
        state::{Direction, State},
        syncpeers::Syncpeer,
        time::{Instant, Millis},
        tuples,
        twins::{self, Twin, Twins},
    },
};
use kernel::prelude::*;

/// How many of this host's connections get a second name at once.
pub(super) const NAMED_AT_ONCE: u32 = 64;

/// How long pf, which has told of one of its two states, may take to tell of the other.
const NAMED_BY_PF: Millis = Millis(10_000);

/// The other one of two directions.
fn opposite(direction: Direction) -> Direction {
    match direction {
        Direction::In => Direction::Out,
        Direction::Out => Direction::In,
        Direction::Any => Direction::Any,
    }
}

impl Session {
    /// A second name for one of this host's connections, if there is a peer with pf.
    /// `is_new`: peers are to hear of it now. Whether it was given one.
    ///
    /// # Errors
    ///
    /// Out of memory.
    pub(super) fn name_other_half(
        &mut self,
        now: Instant,
        slot: Slot,
        is_new: bool,
    ) -> Result<bool> {
        // As a rule there is none, and this is asked of every record each second.
        if !self.peers.has_pf() {
            return Ok(false);
        }
        let Some(record) = self.store.get(slot) else {
            return Ok(false);
        };
        if record.other().is_some() || !record.is_in_use() {
            return Ok(false);
        }
        // pf may be about to tell of it.
        if record.of_pf && now < NAMED_BY_PF.after(record.heard) {
            return Ok(false);
        }
        let (pending, step) = match is_new {
            true => {
                let (pending, step) = Pending::created(false);
                (pending, Some(step))
            }
            false => (Pending::found(), None),
        };
        let id = self.names.give();
        let other = self.add_half(now, slot, id, false, pending)?;
        if let Some(step) = step {
            self.apply(now, other, &step);
        }
        Ok(true)
    }

    /// A record of a second name, beside that of the first.
    ///
    /// # Errors
    ///
    /// Out of memory.
    fn add_half(
        &mut self,
        now: Instant,
        slot: Slot,
        id: StateId,
        of_pf: bool,
        pending: Pending,
    ) -> Result<Slot> {
        let record = self.store.get(slot).ok_or(EINVAL)?;
        let (direction, tcp) = (opposite(record.direction), record.tcp);
        let mut half = Record::new(id, pending, None);
        (half.direction, half.tcp, half.of_pf, half.heard) = (direction, tcp, of_pf, now);
        let other = self.store.insert(half)?;
        self.store.pair(slot, other);
        Ok(other)
    }

    /// The second name of a state that a peer has named, which is to be confirmed if it
    /// wants that.
    ///
    /// # Errors
    ///
    /// Out of memory.
    fn second_name(
        &mut self,
        now: Instant,
        slot: Slot,
        id: StateId,
        of_pf: bool,
        confirm: bool,
    ) -> Result<Slot> {
        let (pending, step) = Pending::received(now, confirm);
        let other = self.add_half(now, slot, id, of_pf, pending)?;
        self.apply(now, other, &step);
        Ok(other)
    }

    fn is_tcp(&self, slot: Slot) -> bool {
        self.store.get(slot).is_some_and(|record| record.tcp)
    }

    /// One of the two is forgotten, and what is in the table is the other one's, which it
    /// returns.
    fn drop_half(&mut self, now: Instant, slot: Slot, out: &mut Outcome) -> Option<Slot> {
        self.release(slot, out);
        let other = self.store.part(slot)?;
        let record = self.store.get_mut(slot)?;
        let (live, used, lenient) = (record.live.take(), record.used, record.lenient);
        let (born, heard) = (record.born, record.heard);
        if live.is_some() {
            let threshold = self.packet_threshold(self.is_tcp(other));
            if let Some(kept) = self.store.get_mut(other) {
                (kept.live, kept.used, kept.lenient) = (live, used, lenient);
                (kept.born, kept.heard, kept.is_modulated) = (born, heard, false);
            }
            self.store.set_slot(other, threshold);
            self.store.look_sooner(other, now, 1);
        }
        self.step(now, slot, |record| record.pending.forgotten());
        Some(other)
    }
}

impl Reader<'_> {
    /// A peer has deleted a state: it goes from the table, too, unless it is used here. Of
    /// pf's two states the last one takes the connection with it.
    pub(super) fn deleted(&mut self, slot: Slot) {
        let store = &self.session.store;
        let main = store.main(slot);
        let live = store.get(main).and_then(|record| record.live.as_ref());
        if live.is_some_and(|live| !live.entry.is_alive()) {
            self.session.gone(self.now, main);
            return;
        }
        let is_in_use = |slot| store.get(slot).is_some_and(Record::is_in_use);
        let other = store.get(slot).and_then(Record::other);
        let other = other.and_then(|other| store.get(other));
        if is_in_use(main) {
            self.count(Counter::Stale);
            let now = self.now;
            self.session
                .step(now, slot, |record| record.pending.deleted_by_peer(true));
            return;
        }
        // That is an answer to a bulk update as well.
        if store.get(slot).is_some_and(|record| record.in_bulk) {
            self.session.answer.confirmed(self.now);
        }
        if other.is_some_and(|other| other.of_pf) {
            self.count(Counter::Deleted);
            if let Some(kept) = self.session.drop_half(self.now, slot, self.out) {
                self.untranslate(kept);
            }
        } else {
            let counters = &self.pfsync.counters;
            self.session.delete(self.now, slot, self.out, counters);
        }
    }

    /// A Linux host has a second name for a connection: for pf, and for us to tell pf of it
    /// when the connection is ours.
    pub(super) fn other_name(&mut self, id: StateId, main: &StateId, confirm: bool) {
        self.heard(Syncpeer::heard_of_pf);
        let now = self.now;
        let store = &mut self.session.store;
        let known = store.find(&id);
        let record = store.find(main).and_then(|slot| store.get(slot));
        let other = record.and_then(Record::other);
        let is_single = record.is_some_and(|it| it.live.is_some() && it.other().is_none());
        let slot = match (known, other) {
            (Some(slot), _) => slot,
            // Both hosts have given it one: they keep the lesser.
            (None, Some(other)) => {
                let ours = store.get(other).map(|record| record.id);
                if ours.is_none_or(|ours| ours < id) {
                    self.session
                        .step(now, other, |record| record.pending.requested());
                    return;
                }
                store.rename(other, id);
                other
            }
            (None, None) => {
                let main = store.find(main).filter(|_| is_single);
                // Who does not have the one has no use for the other; it is sent until it is
                // confirmed.
                let Some(main) = main else {
                    return;
                };
                if (self.session.second_name(now, main, id, false, confirm)).is_err() {
                    self.count(Counter::NoMemory);
                }
                return;
            }
        };
        self.session.step(now, slot, |record| {
            record.heard = now;
            record
                .pending
                .updated_by_peer(now, Verdict::both(true), confirm)
        });
    }

    /// pf's state is of a connection that this host has by another name, or its other half:
    /// pf keeps its names, so they are ours from now on. Which record has it.
    pub(super) fn named_by_pf(&mut self, slot: Slot, state: &State, confirm: bool) -> Option<Slot> {
        let store = &mut self.session.store;
        let record = store.get(slot)?;
        let its = match record.direction == state.direction {
            true => Some(slot),
            false => record.other(),
        };
        let Some(its) = its else {
            let named = self
                .session
                .second_name(self.now, slot, state.id, true, confirm);
            return named.inspect_err(|_| self.count(Counter::NoMemory)).ok();
        };
        store.rename(its, state.id);
        store.get_mut(its)?.of_pf = true;
        Some(its)
    }

    /// Finds what pf's state belongs to, if its other half is here. Whether it is.
    // Apart, as `try_insert`.
    #[inline(never)]
    pub(super) fn join(&mut self, state: &State, confirm: bool) -> Result<bool, Discard> {
        let Ok(theirs) = tuples::from_state(state) else {
            return Ok(false);
        };
        let Some((slot, entry)) = self.find_half(state.direction, &theirs) else {
            return Ok(false);
        };
        let ours = (entry.original, entry.reply);
        let together = match state.direction {
            Direction::In => tuples::combine(theirs, ours),
            _ => tuples::combine(ours, theirs),
        };
        let Some(together) = together else {
            return Ok(false);
        };
        let record = self.session.store.get(slot).ok_or(Discard::BadState)?;
        let is_in_use = record.is_in_use();
        let half = Twin::from_entry(record.id, &entry);
        let is_modulated = match twins::halves(state.protocol, &half, &Twin::from_state(state)) {
            None => return Ok(false),
            Some(Twins::OursIsOver) => {
                self.make_way(slot);
                return Ok(false);
            }
            Some(Twins::TheirsIsOver) => return Ok(true),
            Some(halves) => halves == Twins::Same { take: false },
        };
        if together != ours {
            let done = match is_in_use {
                // What packets have made of it stays.
                true => false,
                false => self.translate(slot, entry, together)?,
            };
            if !done {
                self.conflict(theirs, Some(ours.1));
            }
        }
        let named = self
            .session
            .second_name(self.now, slot, state.id, true, confirm);
        let Ok(other) = named else {
            self.count(Counter::NoMemory);
            return Ok(true);
        };
        if let Some(record) = self.session.store.get_mut(other) {
            record.is_modulated = is_modulated;
        }
        self.count(Counter::Inserted);
        Ok(true)
    }

    /// The record of the other one of pf's two states, and what it has.
    #[inline(never)]
    fn find_half(&self, direction: Direction, theirs: &(Tuple, Tuple)) -> Option<(Slot, Entry)> {
        let (tuple, by_reply) = tuples::other_half(direction, &theirs.0, &theirs.1)?;
        let plain = plain::of_tuple(&tuple, Zone::default());
        let found = match by_reply {
            false => self.table.find(&plain),
            true => self.table.find_by_reply(&plain),
        };
        let slot = self.pfsync.watch.find(found?.key())?;
        let record = self.session.store.get(slot)?;
        if !record.of_pf || record.other().is_some() || record.direction == direction {
            return None;
        }
        let mut entry = Entry::default();
        self.read(slot, &mut entry)?;
        Some((slot, entry))
    }

    /// Half of a connection is gone, and its translation with it.
    #[inline(never)]
    fn untranslate(&mut self, slot: Slot) {
        let mut entry = Entry::default();
        if self.read(slot, &mut entry).is_none() {
            return;
        }
        let between = tuples::between(&entry.original, &entry.reply);
        let direction = self.session.store.get(slot).map(|record| record.direction);
        let left = match direction {
            Some(Direction::In) => (entry.original, tuples::inverse(&between)),
            _ => (between, entry.reply),
        };
        if left != (entry.original, entry.reply) {
            // What cannot be made stays as it is.
            let _ = self.translate(slot, entry, left);
        }
    }

    /// Puts an entry with these tuples in the place of one that was told of by half, for in
    /// the table they do not change. False: another connection has one of them, and it has
    /// those of before.
    ///
    /// # Errors
    ///
    /// It is gone.
    #[inline(never)]
    fn translate(
        &mut self,
        slot: Slot,
        mut entry: Entry,
        (original, reply): (Tuple, Tuple),
    ) -> Result<bool, Discard> {
        let lenient = make_lenient(&mut entry, Tracking::Other, false);
        let old = self.session.store.get_mut(slot);
        if let Some(Live { watched, entry }) = old.and_then(|it| it.live.take()) {
            drop(watched);
            self.table.remove(&entry);
        }
        let before = (entry.original, entry.reply);
        let mut error = EINVAL;
        for (is_new, (original, reply)) in [(true, (original, reply)), (false, before)] {
            (entry.original, entry.reply) = (original, reply);
            let nat = Status::SRC_NAT.0 | Status::DST_NAT.0;
            let is = tuples::nat_status(&original, &reply);
            entry.details.status = Status(entry.details.status.0 & !nat | is.0);
            match self.put(slot, &entry, lenient) {
                Ok(()) => return Ok(is_new),
                Err(failed) => error = failed,
            }
        }
        let now = self.now;
        self.session
            .step(now, slot, |record| record.pending.forgotten());
        self.refused(error)?;
        Err(Discard::BadState)
    }

    /// Makes an entry for a record that has none.
    ///
    /// # Errors
    ///
    /// The table's, or out of memory.
    fn put(&mut self, slot: Slot, entry: &Entry, lenient: bool) -> Result {
        let mut plain = Plain::default();
        plain::from_entry(entry, &mut plain);
        let entry = self.table.insert(&mut plain, None)?;
        let watched = Watch::add(&self.pfsync.watch, entry.key())
            .inspect_err(|_| self.table.remove(&entry))?;
        watched.set_flag(lenient);
        let threshold = self.session.packet_threshold(self.session.is_tcp(slot));
        if let Some(record) = self.session.store.get_mut(slot) {
            record.live = Some(Live { watched, entry });
            record.lenient = lenient;
        }
        self.session.store.set_slot(slot, threshold);
        self.session.store.look_sooner(slot, self.now, 1);
        Ok(())
    }
}
