// SPDX-License-Identifier: GPL-2.0

//! Looking after states of which nobody tells: conntrack has one listener for events
//! in a namespace, and that is ctnetlink; and it raises none at all when an entry that
//! was born without a listener goes.
//!
//! So all records are looked at once a second, some at a time, each in a few dozen
//! instructions.

use super::{
    device::Pfsync,
    session::Session,
    store::{Record, Slot},
};
use crate::{
    linux::state_table::Plain,
    proto::pfsync::{
        conntrack::TCP_BE_LIBERAL,
        pending::Place,
        time::{Instant, Millis},
    },
};

/// How long a round takes.
const ROUND: Millis = Millis(1000);

/// How many records are looked at in one go: some hundred microseconds.
const AT_ONCE: u32 = 4096;

/// How long the windows that a peer told of may be behind what the connection's ends
/// know: until then a peer that dies may have let many packets pass of which it could
/// not tell any more. After that the connection was idle, and the windows are exact.
const LENIENT: Millis = Millis(60_000);

/// Where the round is.
#[derive(Clone, Copy, Default)]
pub(super) struct Sweep {
    next: Slot,
    at: Option<Instant>,
}

impl Sweep {
    /// When to look at the next records; there are `end` of them.
    pub(super) fn deadline(&self, end: Slot) -> Option<Instant> {
        self.at.filter(|_| end > 0)
    }

    /// Begins, with an interface that goes up.
    pub(super) fn begin(&mut self, now: Instant) {
        *self = Self {
            next: 0,
            at: Some(ROUND.after(now)),
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
        let stop = session.sweep.next.saturating_add(AT_ONCE).min(end);
        for slot in session.sweep.next..stop {
            session.look_after(now, slot);
        }
        let parts = end.div_ceil(AT_ONCE).max(1);
        let part = Millis(ROUND.0.checked_div(parts).unwrap_or(ROUND.0).max(1));
        session.sweep = Sweep {
            next: if stop >= end { 0 } else { stop },
            at: Some(part.after(now)),
        };
    }
}

impl Session {
    /// Notices what has happened to a state.
    fn look_after(&mut self, now: Instant, slot: Slot) {
        let Some(record) = self.store.get(slot) else {
            return;
        };
        let Some(live) = &record.live else {
            return;
        };
        if !live.entry.is_alive() {
            self.gone(now, slot);
            return;
        }
        let idle = !live.watched.is_touched();
        if record.lenient && now >= LENIENT.after(record.heard) {
            self.be_strict(slot);
        }
        if self.linux_peer && idle {
            self.settle(now, slot);
        }
    }

    /// A state has not changed for a while: makes sure that peers have its last change.
    fn settle(&mut self, now: Instant, slot: Slot) {
        let is_due = |record: &Record| record.unsettled && record.pending.place() == Place::Nowhere;
        if self.store.get(slot).is_some_and(is_due) {
            self.step(now, slot, |record| {
                record.unsettled = false;
                record.pending.settled()
            });
        }
    }

    /// The table has forgotten a state.
    pub(super) fn gone(&mut self, now: Instant, slot: Slot) {
        // A packet that is still held goes on its way when its time has come.
        self.step(now, slot, |record| {
            record.live = None;
            match record.local {
                true => record.pending.deleted(),
                // It was the peer's, who may still have it: here it was only a copy
                // that nobody has refreshed.
                false => record.pending.forgotten(),
            }
        });
    }

    /// Windows are checked again: what the peer told last holds.
    fn be_strict(&mut self, slot: Slot) {
        let Some(table) = self.table.clone() else {
            return;
        };
        let Some(record) = self.store.get_mut(slot) else {
            return;
        };
        record.lenient = false;
        let Some(live) = record.live.as_ref().filter(|live| live.watched.has_flag()) else {
            return;
        };
        live.watched.set_flag(false);
        let mut plain: Plain = live.entry.read();
        for side in &mut plain.tcp.seen {
            side.flags &= !TCP_BE_LIBERAL;
        }
        // If it cannot be changed any more, it is gone.
        let _ = table.update(&live.entry, &plain);
    }
}
