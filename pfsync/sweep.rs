// SPDX-License-Identifier: GPL-2.0

//! Looking after states of which nobody tells: conntrack has one listener for events
//! in a namespace, and that is ctnetlink; and it raises none at all when an entry that
//! was born without a listener goes.
//!
//! So all records are looked at once a second, some at a time, each in a few dozen
//! instructions.

use super::{
    device::Pfsync,
    halves::NAMED_AT_ONCE,
    session::Session,
    store::{Record, Slot},
};
use crate::{
    linux::state_table::Table,
    proto::pfsync::{
        outbox::Leave,
        pending::Place,
        time::{Instant, Millis},
    },
};

/// How long a round takes.
const ROUND: Millis = Millis(1000);

/// After so many rounds an offloaded state is told of again, for none of its packets is seen.
const REFRESH_ROUNDS: u32 = 30;

/// How many records are looked at in one go: some hundred microseconds.
pub(super) const AT_ONCE: u32 = 4096;

/// Of how many of them peers are told that somebody has changed them by hand.
const CHANGED_AT_ONCE: u32 = 128;

/// How long the windows that a peer told of may be behind what the connection's ends
/// know: a peer that dies may have let many packets pass of which it could not tell any
/// more, and what was lost with it is sent again until both ends agree. After that the
/// connection was idle, or its packets have said how far it has got.
const LENIENT: Millis = Millis(60_000);

/// Where the round is.
#[derive(Default)]
pub(super) struct Sweep {
    next: Slot,
    at: Option<Instant>,
    /// The number of the round.
    round: u32,
    /// The state by which was asked last whether anybody is there.
    asked: Slot,
}

impl Sweep {
    /// When to look at the next records.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.at
    }

    /// Begins, with an interface that goes up.
    pub(super) fn begin(&mut self, now: Instant) {
        *self = Self {
            at: Some(ROUND.after(now)),
            ..Self::default()
        };
    }
}

impl Pfsync {
    /// Looks at the next records, if it is time.
    pub(super) fn sweep(&self, session: &mut Session, now: Instant) {
        let Some(at) = session.sweep.at else {
            return;
        };
        if now < at {
            return;
        }
        let end = session.store.end();
        if session.sweep.next == 0 {
            session.ask(now);
        }
        let stop = session.sweep.next.saturating_add(AT_ONCE).min(end);
        let mut to_name = NAMED_AT_ONCE;
        let mut to_change = CHANGED_AT_ONCE;
        for slot in session.sweep.next..stop {
            if session.look_after(now, slot, to_change > 0) {
                to_change = to_change.saturating_sub(1);
            }
            session.refresh_offloaded(now, slot);
            if to_name > 0 {
                to_name = match session.name_other_half(now, slot, true) {
                    Ok(named) => to_name.saturating_sub(named.into()),
                    // Not another thousand times.
                    Err(_) => 0,
                };
            }
        }
        let parts = end.div_ceil(AT_ONCE).max(1);
        let part = Millis(ROUND.0.checked_div(parts).unwrap_or(ROUND.0).max(1));
        session.sweep.at = Some(part.after(now));
        if stop < end {
            session.sweep.next = stop;
        } else {
            session.sweep.next = 0;
            session.sweep.round = session.sweep.round.wrapping_add(1);
            let unknown = session.unknown();
            session.each_second.begin(now, unknown);
        }
    }
}

impl Session {
    /// Asks whether anybody is there, by one state after the other: a peer may not want
    /// some of them.
    fn ask(&mut self, now: Instant) {
        let awaiting = self.store.count(Place::Awaiting) > 0;
        if !self.listener.asks(now, awaiting) {
            return;
        }
        let end = self.store.end();
        for _ in 0..end.min(AT_ONCE) {
            let next = self.sweep.asked.saturating_add(1);
            self.sweep.asked = if next < end { next } else { 0 };
            let slot = self.sweep.asked;
            let is_told = |record: &Record| {
                record.live.is_some()
                    && record.pending.is_bulk()
                    && record.pending.place() == Place::Nowhere
            };
            if self.store.get(slot).is_some_and(is_told) {
                self.step(now, slot, |record| record.pending.ask());
                return;
            }
        }
    }

    /// Notices what has happened to a state. Whether somebody has changed it without a
    /// packet; not, unless that `may_change`.
    fn look_after(&mut self, now: Instant, slot: Slot, may_change: bool) -> bool {
        let Some(record) = self.store.get(slot) else {
            return false;
        };
        let Some(live) = &record.live else {
            return false;
        };
        let Some(fingerprint) = live.entry.fingerprint() else {
            self.gone(now, slot);
            return false;
        };
        let is_due = !live.watched.is_touched() && record.pending.is_unsettled();
        // By hand; with a packet it would wait to be told of.
        let is_changed = may_change
            && record.told.is_some_and(|told| told != fingerprint)
            && record.is_own()
            && record.pending.place() == Place::Nowhere;
        if record.lenient && now >= LENIENT.after(record.heard) {
            self.be_strict(slot);
        }
        if is_changed {
            self.changed(now, slot, 1);
            // It has waited for a second already.
            self.leave = Leave::Everything;
        }
        if self.systems.has_linux() && is_due {
            // A state has not changed for a while: peers shall have its last change.
            self.step(now, slot, |record| record.pending.settled());
        }
        is_changed
    }

    /// Peers are told that an offloaded state is still there: a flow table keeps only those
    /// that have packets. Some of them in each round.
    fn refresh_offloaded(&mut self, now: Instant, slot: Slot) {
        if slot.wrapping_add(self.sweep.round) % REFRESH_ROUNDS != 0 {
            return;
        }
        let main = self.store.get(self.store.main(slot));
        let live = main.and_then(|record| record.live.as_ref());
        if live.is_some_and(|live| live.entry.is_offloaded()) {
            self.step(now, slot, |record| record.pending.ask());
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
        for slot in [Some(slot), other].into_iter().flatten() {
            if let (false, Some(record)) = (was_own, self.store.get(slot)) {
                self.names.handed_over(&record.id);
            }
            // A packet that is still held goes on its way when its time has come.
            self.step(now, slot, |record| match was_own {
                true => record.pending.deleted(),
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
