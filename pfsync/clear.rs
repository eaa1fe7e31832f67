// SPDX-License-Identifier: GPL-2.0

//! Deleting all states of a creator, as a CLR wants it: some at a time, for they may be
//! hundreds of thousands, and softirqs wait meanwhile.

use super::{
    counters::{Counter, Counters},
    outcome::Outcome,
    session::Session,
    store::{Slot, LOOKED_AT},
};
use crate::proto::pfsync::{
    id::Creator,
    time::{Instant, Millis},
};

/// Of so many creators at once. A pair of firewalls has two.
const CREATORS_MAX: usize = 8;

/// How many records are deleted in one go: some hundred microseconds.
const DELETED: u32 = 128;

/// How soon the next ones are.
const EVERY: Millis = Millis(1);

/// Whose states are to go.
#[derive(Default)]
pub(super) struct Clearing {
    /// And since when: what a peer tells of later, stays.
    creators: [Option<(Creator, Instant)>; CREATORS_MAX],
    next: Slot,
    at: Option<Instant>,
}

impl Clearing {
    /// When to delete the next ones.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.at
    }

    /// All states of `creator` that are known before `now` are to be deleted. False, if
    /// that is so for too many creators already.
    pub(super) fn begin(&mut self, now: Instant, creator: Creator) -> bool {
        let is_its = |place: &&mut Option<(Creator, _)>| place.is_none_or(|it| it.0 == creator);
        let Some(place) = self.creators.iter_mut().find(is_its) else {
            return false;
        };
        *place = Some((creator, now));
        self.next = 0;
        self.at.get_or_insert(now);
        true
    }

    fn wants(&self, creator: Creator, heard: Instant) -> bool {
        let mut creators = self.creators.iter().flatten();
        creators.any(|(cleared, at)| *cleared == creator && heard < *at)
    }
}

impl Session {
    /// Deletes the next ones, if it is time.
    pub(super) fn clear(&mut self, now: Instant, out: &mut Outcome, counters: &Counters) {
        if self.clearing.at.is_none_or(|at| now < at) {
            return;
        }
        let end = self.store.end();
        let stop = self.clearing.next.saturating_add(LOOKED_AT).min(end);
        let mut deleted = 0_u32;
        while self.clearing.next < stop && deleted < DELETED {
            let slot = self.clearing.next;
            self.clearing.next = slot.saturating_add(1);
            let record = self.store.get(slot);
            if record
                .is_some_and(|it| !it.is_gone() && self.clearing.wants(it.id.creator, it.heard))
            {
                self.delete(now, slot, out, counters);
                deleted = deleted.saturating_add(1);
            }
        }
        if self.clearing.next < end {
            self.clearing.at = Some(EVERY.after(now));
        } else {
            self.clearing = Clearing::default();
        }
    }

    /// A state goes from the table, by all its names, and nothing is said of it.
    pub(super) fn delete(
        &mut self,
        now: Instant,
        slot: Slot,
        out: &mut Outcome,
        counters: &Counters,
    ) {
        if self.store.get(slot).is_none() {
            return;
        }
        let other = self.store.part(slot);
        for slot in [Some(slot), other].into_iter().flatten() {
            let live = self.store.get_mut(slot).and_then(|it| it.live.take());
            if let (Some(live), Some(table)) = (live, &self.table) {
                table.remove(&live.entry);
            }
            self.release(slot, out);
            // Already nowhere, it takes no step: `apply` forgets it all the same.
            self.step(now, slot, |record| record.pending.deleted_by_peer(false));
        }
        counters.count(Counter::Deleted);
    }
}
