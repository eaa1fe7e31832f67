// SPDX-License-Identifier: GPL-2.0

//! A peer's state whose place in the table is taken by one of another name.

use super::{counters::Counter, fill::read, messages::Reader, outcome::Conflict, store::Slot};
use crate::{
    linux::state_table::Entry as TableEntry,
    proto::pfsync::{
        conntrack::Tuple,
        extra::Extra,
        frame::Discard,
        mapping,
        merge::Verdict,
        state::State,
        twins::{twins, Twin, Twins},
    },
};
use kernel::prelude::*;

/// The table has an entry with a tuple of a peer's state.
pub(super) struct Taken {
    /// The one with its original tuple; nothing, if that of the reply is taken.
    pub(super) by: Option<TableEntry>,
    /// The peer's tuples.
    pub(super) original: Tuple,
    pub(super) reply: Tuple,
}

impl Reader<'_> {
    /// Finds out whether both are one connection. Whether the one that was here has made
    /// way, so that the peer's finds room now.
    pub(super) fn taken(
        &mut self,
        mut taken: Taken,
        state: &State,
        extra: Option<&Extra>,
        confirm: bool,
    ) -> Result<bool, Discard> {
        let Some(by) = taken.by.take() else {
            self.conflict(&taken, None);
            return Ok(false);
        };
        let slot = self.met(by).ok_or(Discard::BadState)?;
        self.twin(slot, &taken, state, extra, confirm)
    }

    /// A peer's state does not go with what is here: it stays where it is, and so does ours.
    fn conflict(&mut self, taken: &Taken, ours: Option<Tuple>) {
        self.count(Counter::Conflicts);
        self.out.conflict = Some(Conflict {
            original: taken.original,
            theirs: taken.reply,
            ours,
        });
    }

    /// The record of an entry that is in the table. Somebody else may have put it there
    /// without a packet, conntrackd for one: then it is met now.
    fn met(&mut self, entry: TableEntry) -> Option<Slot> {
        let key = entry.key();
        let known = self.pfsync.watch.find(key);
        if known.is_some() {
            return known;
        }
        self.pfsync
            .found_in_table(self.session, self.now, entry, false, self.out);
        // Nothing, if it is to stay here.
        self.pfsync.watch.find(key)
    }

    /// This host has it under another name. If they are one connection, both hosts keep the
    /// lesser one; each host has its own windows where packets have passed, for the peer's
    /// may be those of another connection all the same.
    // Apart, as `try_insert`.
    #[inline(never)]
    fn twin(
        &mut self,
        slot: Slot,
        taken: &Taken,
        state: &State,
        extra: Option<&Extra>,
        confirm: bool,
    ) -> Result<bool, Discard> {
        let record = self.session.store.get(slot).ok_or(Discard::BadState)?;
        if record.is_gone() {
            return Err(Discard::BadState);
        }
        let (id, used) = (record.id, record.used);
        let find = |key| self.pfsync.watch.find(key);
        let (entry, _) =
            read(&self.session.store, slot, self.now, find).ok_or(Discard::BadState)?;
        let (src, dst, _) = mapping::peers(&entry);
        let ours = Twin {
            id,
            src,
            dst,
            age: entry.age,
        };
        let is_whole = extra.is_some();
        let theirs = Twin::told(state);
        let take = match twins(state.protocol, &ours, used, &theirs, is_whole) {
            Twins::Same { take } => take,
            Twins::OursIsOver => {
                self.make_way(slot);
                return Ok(true);
            }
            // The peer notices when it hears of ours.
            Twins::TheirsIsOver => return Ok(false),
            Twins::Unsure => {
                self.count(Counter::Conflicts);
                return Ok(false);
            }
        };
        // pf tells of either side of a translation by itself.
        if is_whole && entry.reply != taken.reply {
            self.conflict(taken, Some(entry.reply));
            return Ok(false);
        }
        let is_lesser = state.id < id;
        if is_lesser {
            self.session.store.rename(slot, state.id);
        }
        let confirm = confirm && is_lesser;
        if take {
            let mut update = state.update();
            update.id = state.id.min(id);
            self.merge(slot, &update, extra, confirm)?;
        } else {
            let now = self.now;
            self.session.step(now, slot, |record| {
                record
                    .pending
                    .updated_by_peer(now, Verdict::both(true), confirm)
            });
            self.session.release(slot, self.out);
        }
        if !is_lesser {
            self.session
                .step(self.now, slot, |record| record.pending.requested());
        }
        Ok(false)
    }

    /// A state makes way for a peer's.
    fn make_way(&mut self, slot: Slot) {
        let counters = &self.pfsync.counters;
        self.session.delete(self.now, slot, self.out, counters);
    }
}
