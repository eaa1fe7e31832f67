// SPDX-License-Identifier: GPL-2.0

//! Looking after states of which nobody tells, by all of them in turn: somebody may have
//! taken an entry out of the table before its time, or changed it by hand
//! (conntrack(8)). Some are looked at in each part of a second, each in a few dozen
//! instructions: so of tables that are not very large all within a second.
//!
//! Who finds that many are gone goes on at once. And when the table is nearly full,
//! conntrack takes out entries for which no answer was seen, one for each that is new:
//! then more are looked at for each that is new, for what is kept here of an entry that
//! is gone counts as one of the table.

use super::{
    device::Pfsync,
    halves::NAMED_AT_ONCE,
    session::Session,
    store::{Record, Slot, Store},
};
use crate::{
    linux::state_table::Table,
    proto::pfsync::{
        outbox::Leave,
        pending::Place,
        time::{Instant, Millis},
    },
};

/// How long a round takes at least.
const ROUND: Millis = Millis(1000);

/// How many records are looked at in one go: some hundred microseconds.
pub(super) const AT_ONCE: u32 = 1024;

/// How many such parts a second has at most.
const PARTS: u32 = 16;

/// So many in one go were gone: then the next ones are looked at at once.
const MANY_GONE: u32 = 32;

/// How soon that is.
const AT_ONCE_AGAIN: Millis = Millis(1);

/// Of how many of them peers are told that somebody has changed them by hand.
const CHANGED_AT_ONCE: u32 = 128;

/// How many are looked at for each new entry of a table that is nearly full. conntrack takes
/// out a whole chain for each, two or three entries, so of those that are kept here about one
/// in forty is gone then.
const FOR_EACH_NEW: u32 = 48;

/// Where the round is.
#[derive(Default)]
pub(super) struct Sweep {
    next: Slot,
    at: Option<Instant>,
    /// When the next second begins.
    second: Option<Instant>,
    /// When to go on with states that are due.
    due: Option<Instant>,
    /// The state by which was asked last whether anybody is there.
    asked: Slot,
}

impl Sweep {
    /// When to do something.
    pub(super) fn deadline(&self) -> Option<Instant> {
        [self.at, self.second, self.due].into_iter().flatten().min()
    }

    /// Begins, with an interface that goes up.
    pub(super) fn begin(&mut self, now: Instant) {
        let next = Some(ROUND.after(now));
        *self = Self {
            at: next,
            second: next,
            ..Self::default()
        };
    }
}

/// What was found.
#[derive(Default)]
struct Found {
    seen: u32,
    gone: u32,
    changed: u32,
    named: u32,
}

impl Pfsync {
    /// Looks after states, if it is time.
    pub(super) fn sweep(&self, session: &mut Session, now: Instant) {
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if is_due(session.sweep.second) {
            session.sweep.second = Some(ROUND.after(now));
            session.sweep.due = Some(now);
            session.ask(now);
            let unknown = session.unknown();
            session.each_second.begin(now, unknown);
        }
        if is_due(session.sweep.due) {
            session.sweep.due = session.look_at_due(now);
        }
        if is_due(session.sweep.at) {
            let end = session.store.end();
            let gone = session.sweep_some(now, AT_ONCE);
            let parts = end.div_ceil(AT_ONCE).clamp(1, PARTS);
            let part = Millis(ROUND.0.checked_div(parts).unwrap_or(ROUND.0));
            let wait = if gone >= MANY_GONE {
                AT_ONCE_AGAIN
            } else {
                part
            };
            session.sweep.at = Some(wait.after(now));
        }
    }
}

impl Session {
    /// The table has so many new entries. If it is nearly full, looks for those that have
    /// made way.
    pub(super) fn sweep_for_new(&mut self, now: Instant, new: u32) {
        let Some(table) = &self.table else {
            return;
        };
        let limit = table.limit();
        if new > 0 && limit > 0 && table.count() >= limit.saturating_sub(limit >> 3) {
            let most = new.saturating_mul(FOR_EACH_NEW).min(4 * AT_ONCE);
            self.sweep_some(now, most);
        }
    }

    /// Looks at the next records, about `most` of them, but at none twice. How many were gone.
    fn sweep_some(&mut self, now: Instant, most: u32) -> u32 {
        let mut found = Found::default();
        // A chunk may be empty.
        for _ in 0..self.store.chunks().min(most) {
            let first = self.sweep.next;
            let next = Store::next_chunk(first);
            self.sweep.next = if next < self.store.end() { next } else { 0 };
            self.look_through(now, first, next, &mut found);
            if found.seen >= most {
                break;
            }
        }
        found.gone
    }

    /// Looks after the records of a chunk, from this number up to another.
    fn look_through(&mut self, now: Instant, mut next: Slot, end: Slot, found: &mut Found) {
        let has_pf = self.peers.has_pf();
        while next < end {
            let news = self.store.in_chunk(next).find(|(_, record)| {
                let Some(live) = &record.live else {
                    return false;
                };
                found.seen = found.seen.saturating_add(1);
                match (live.entry.fingerprint(), record.told) {
                    (None, _) => true,
                    // It may change: nobody was told of it.
                    (Some(_), None) => has_pf,
                    (now, told) => has_pf || now != told,
                }
            });
            let Some((slot, _)) = news else {
                return;
            };
            self.look_after(now, slot, found);
            next = slot.saturating_add(1);
        }
    }

    /// Notices whether somebody has taken a state out, or changed it, without a packet.
    fn look_after(&mut self, now: Instant, slot: Slot, found: &mut Found) {
        let Some(record) = self.store.get(slot) else {
            return;
        };
        let Some(live) = &record.live else {
            return;
        };
        let fingerprint = live.entry.fingerprint();
        if fingerprint.is_none() {
            found.gone = found.gone.saturating_add(1);
            self.gone(now, slot);
            return;
        }
        // With a packet it would wait to be told of.
        let is_changed = record.told != fingerprint
            && record.told.is_some()
            && record.is_own()
            && record.pending.place() == Place::Nowhere;
        if is_changed && found.changed < CHANGED_AT_ONCE {
            found.changed = found.changed.saturating_add(1);
            self.changed(now, slot, 1);
            // It has waited for a second already.
            self.leave = Leave::Everything;
        }
        if self.peers.has_pf() && found.named < NAMED_AT_ONCE {
            found.named = match self.name_other_half(now, slot, true) {
                Ok(named) => found.named.saturating_add(named.into()),
                // Not another thousand times.
                Err(_) => NAMED_AT_ONCE,
            };
        }
    }

    /// Asks whether anybody is there, by one state after the other: a peer may not want
    /// some of them.
    fn ask(&mut self, now: Instant) {
        let awaiting = self.store.count(Place::Awaiting) > 0;
        if !self.listener.asks(now, awaiting) {
            return;
        }
        let end = self.store.end();
        for _ in 0..end.min(4 * AT_ONCE) {
            let next = self.store.next(self.sweep.asked);
            self.sweep.asked = if next < end { next } else { 0 };
            let slot = self.sweep.asked;
            let is_told = |record: &Record| {
                record.live.is_some()
                    && record.told.is_some()
                    && record.pending.is_bulk()
                    && record.pending.place() == Place::Nowhere
            };
            if self.store.get(slot).is_some_and(is_told) {
                self.step(now, slot, |record| record.pending.ask());
                return;
            }
        }
    }

    /// The table has forgotten a state.
    pub(super) fn gone(&mut self, now: Instant, slot: Slot) {
        let other = self.store.part(slot);
        let Some(record) = self.store.get_mut(slot) else {
            return;
        };
        // Who has the address now has the connection.
        let handed_over = (record.live.take()).is_some_and(|it| it.entry.lost_address());
        let was_own = record.is_own() && !handed_over;
        let was_told = record.told.is_some();
        for slot in [Some(slot), other].into_iter().flatten() {
            if let (false, Some(record)) = (was_own, self.store.get(slot)) {
                self.names.handed_over(&record.id);
            }
            // A packet that is still held goes on its way when its time has come.
            self.step(now, slot, |record| match was_own {
                true if was_told => record.pending.deleted(),
                // Nobody has heard of it.
                true => record.pending.forgotten(),
                // It was the peer's, who may still have it: here it was only a copy
                // that nobody has refreshed.
                false => record.pending.forgotten(),
            });
        }
    }

    /// Windows are checked again: what the peer told last holds, or what packets have
    /// told since.
    pub(super) fn be_strict(&mut self, slot: Slot) {
        if let Some(table) = self.table.clone() {
            self.be_strict_in(&table, slot);
        }
    }

    /// The same for who ends to use the table.
    pub(super) fn be_strict_in(&mut self, table: &Table<Pfsync>, slot: Slot) {
        let Some(record) = self.store.get_mut(slot) else {
            return;
        };
        record.lenient = false;
        let Some(live) = record.live.as_ref().filter(|live| live.watched.has_flag()) else {
            return;
        };
        live.watched.set_flag(false);
        table.be_strict(&live.entry);
    }
}
