// SPDX-License-Identifier: GPL-2.0

//! A peer's state whose place in the table is taken by one of another name.

use super::{
    counters::Counter,
    messages::Reader,
    outcome::Conflict,
    plain,
    store::{Record, Slot},
};
use crate::{
    linux::state_table::Entry as TableEntry,
    proto::pfsync::{
        conntrack::{Entry, Tuple, Zone},
        extra::Extra,
        frame::Discard,
        merge::Verdict,
        state::State,
        tuples,
        twins::{twins, Twin, Twins, Use},
    },
};
use kernel::prelude::*;

/// The table has an entry with a tuple of a peer's state.
pub(super) struct Taken {
    /// The one with its original tuple; nothing, if that of the reply is taken.
    pub(super) by: Option<TableEntry>,
    /// The peer's tuples, and the zone that they are in.
    pub(super) original: Tuple,
    pub(super) reply: Tuple,
    pub(super) zone: Zone,
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
            if extra.is_none() {
                let named = self.half_of(&taken);
                if named.is_some_and(|slot| self.named_by_pf(slot, state, confirm).is_some()) {
                    return Ok(false);
                }
            }
            let old = extra.and_then(|_| self.old_copy(&taken, state));
            match old {
                Some(slot) => self.make_way(slot),
                None => self.conflict((taken.original, taken.reply), None),
            }
            return Ok(old.is_some());
        };
        let slot = self.record_of(by).ok_or(Discard::BadState)?;
        self.twin(slot, &taken, state, extra, confirm)
    }

    /// The copy of an older connection that had the answers of a new one.
    #[inline(never)]
    fn old_copy(&self, taken: &Taken, state: &State) -> Option<Slot> {
        let slot = self.with_reply(taken)?;
        let (ours, _) = self.ours(slot)?;
        let theirs = Twin::from_state(state);
        let is_older = match ours.id.creator == theirs.id.creator {
            true => ours.id.id < theirs.id.id,
            false => theirs.is_later(&ours),
        };
        let used = self.session.store.get(slot)?.used;
        (used == Use::Copy && is_older).then_some(slot)
    }

    /// The connection of this host's of which pf tells one side: its answers look the same,
    /// and so do the packets between both sides.
    #[inline(never)]
    fn half_of(&self, taken: &Taken) -> Option<Slot> {
        let slot = self.with_reply(taken)?;
        let mut entry = Entry::default();
        self.read(slot, &mut entry)?;
        let ours = tuples::between(&entry.original, &entry.reply);
        (ours == tuples::between(&taken.original, &taken.reply)).then_some(slot)
    }

    /// What this host knows of a state, and the tuple of its answers.
    #[inline(never)]
    fn ours(&self, slot: Slot) -> Option<(Twin, Tuple)> {
        let id = self.session.store.get(slot)?.id;
        let mut entry = Entry::default();
        self.read(slot, &mut entry)?;
        Some((Twin::from_entry(id, &entry), entry.reply))
    }

    /// The state whose answers look like those of the peer's.
    fn with_reply(&self, taken: &Taken) -> Option<Slot> {
        let plain = plain::of_tuple(&taken.reply, taken.zone);
        self.pfsync
            .watch
            .find(self.table.find_by_reply(&plain)?.key())
    }

    /// A peer's state does not go with what is here: it stays where it is, and so does ours.
    pub(super) fn conflict(&mut self, (original, theirs): (Tuple, Tuple), ours: Option<Tuple>) {
        self.count(Counter::Conflicts);
        self.out.conflict = Some(Conflict {
            original,
            theirs,
            ours,
        });
    }

    /// The record of an entry that is in the table. Somebody else may have put it there
    /// without a packet, conntrackd for one: then it gets one now.
    fn record_of(&mut self, entry: TableEntry) -> Option<Slot> {
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

    /// This host has it under another name. If they are one connection, Linux hosts keep the
    /// lesser name, and pf its own. Where packets have passed here, the peer's windows count
    /// only when both have that name and have heard of each other's.
    fn twin(
        &mut self,
        slot: Slot,
        taken: &Taken,
        state: &State,
        extra: Option<&Extra>,
        confirm: bool,
    ) -> Result<bool, Discard> {
        let (mut ours, reply) = self.ours(slot).ok_or(Discard::BadState)?;
        let store = &self.session.store;
        let record = store.get(slot).ok_or(Discard::BadState)?;
        let used = record.used;
        // Of pf's two states one is compared with its like.
        let is_like = |it: &&Record| it.of_pf && it.direction == state.direction;
        let other = record.other().and_then(|slot| store.get(slot));
        let like = Some(record).filter(is_like).or(other.filter(is_like));
        let is_whole = like.is_some() || (extra.is_some() && !record.of_pf);
        ours.id = like.map_or(ours.id, |record| record.id);
        let theirs = Twin::from_state(state);
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
        if extra.is_some() && reply != taken.reply {
            self.conflict((taken.original, taken.reply), Some(reply));
            return Ok(false);
        }
        let (slot, is_theirs) = match extra {
            // The creator's last word, or the lesser of two.
            Some(_) if state.id.creator == ours.id.creator => (slot, state.id.id > ours.id.id),
            Some(_) => (slot, state.id < ours.id),
            None => match self.named_by_pf(slot, state, confirm) {
                Some(slot) => (slot, true),
                None => return Ok(false),
            },
        };
        if is_theirs && extra.is_some() {
            self.session.store.rename(slot, state.id);
            if let Some(record) = self.session.store.get_mut(slot) {
                record.direction = state.direction;
            }
        }
        let (now, confirm) = (self.now, confirm && is_theirs);
        if take {
            let mut update = state.update();
            update.id = match is_theirs {
                true => state.id,
                false => ours.id,
            };
            self.merge(slot, &update, extra, confirm)?;
            self.is_here &= is_theirs;
        } else {
            self.session.step(now, slot, |record| {
                (record.pending).updated_by_peer(now, Verdict::both(true), confirm)
            });
            self.is_here = is_theirs;
            self.session.release(slot, self.out);
        }
        // Under the name that both have now each judges what the other one knows.
        if !is_theirs || !take {
            self.session
                .step(now, slot, |record| record.pending.requested());
        }
        Ok(false)
    }

    /// A state makes way for a peer's. If it was this host's, others hear of its end.
    pub(super) fn make_way(&mut self, slot: Slot) {
        let now = self.now;
        let record = self.session.store.get(slot);
        if !record.is_some_and(Record::is_own) {
            let counters = &self.pfsync.counters;
            self.session.delete(now, slot, self.out, counters);
            return;
        }
        self.count(Counter::Deleted);
        self.session.release(slot, self.out);
        let record = self.session.store.get(slot);
        if let Some(live) = record.and_then(|record| record.live.as_ref()) {
            self.table.remove(&live.entry);
        }
        self.session.gone(now, slot);
    }
}
