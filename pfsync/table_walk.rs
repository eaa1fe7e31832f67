// SPDX-License-Identifier: GPL-2.0

//! Walks through the table, which has entries that no packet has told of: those that
//! were there before the interface; what conntrackd or conntrack(8) have put there; and
//! connections whose packets pass no hook of IP: Open vSwitch, tc's `ct`.
//!
//! The whole table is walked when the interface goes up, and for a peer that asks for all
//! states. Beside that some of it is walked each second: much, while the table has more
//! entries than are known here, or than there were when it was last walked to its end.

use super::{device::Pfsync, outcome::Outcome, session::Session};
use crate::{
    linux::state_table::Cursor,
    proto::pfsync::{
        outbox::Leave,
        time::{Instant, Millis},
    },
};

/// How many entries are looked at while the lock is held: some hundred microseconds, if
/// all of them are new.
const AT_ONCE: u32 = 256;

/// How many such parts of each second there are when nobody asks.
const PARTS: u32 = 4;

/// The same while entries are missing.
const PARTS_OF_MISSING: u32 = 64;

/// From one part to the next.
const EVERY: Millis = Millis(14);

/// Where the walk of each second is.
#[derive(Default)]
pub(super) struct EachSecond {
    cursor: Cursor,
    at: Option<Instant>,
    /// How many parts there are still to be in this second.
    left: u32,
    /// How often it is still to come to the end of the table: twice is once around.
    ends: u8,
    /// How many entries were known to nobody when the table was walked to its end: they are
    /// not for peers.
    unknown: u32,
}

impl EachSecond {
    /// When to look at the next part.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.at
    }

    /// The table was walked to its end, and so many entries are known to nobody.
    pub(super) fn walked(&mut self, unknown: u32) {
        self.unknown = unknown;
    }

    /// A second begins in which `unknown` entries are known to nobody.
    pub(super) fn begin(&mut self, now: Instant, unknown: u32) {
        // Once begun, it goes around, whatever the number is meanwhile.
        if unknown > self.unknown && self.ends == 0 {
            self.ends = 2;
        }
        self.left = if self.ends > 0 {
            PARTS_OF_MISSING
        } else {
            PARTS
        };
        self.unknown = self.unknown.min(unknown);
        self.at = Some(now);
    }
}

impl Session {
    /// How many entries of the table are known to nobody here.
    pub(super) fn unknown(&self) -> u32 {
        let count = self.table.as_ref().map_or(0, |table| table.count());
        count.saturating_sub(self.store.len())
    }
}

impl Pfsync {
    /// Takes the next entries of the table in, of which peers hear in a bulk update or with
    /// their next change. Whether there may be more.
    pub(super) fn walk_part(
        &self,
        session: &mut Session,
        now: Instant,
        cursor: &mut Cursor,
        out: &mut Outcome,
    ) -> bool {
        self.walk_table(session, now, cursor, false, out)
    }

    /// The same for the peer that asks for all states.
    pub(super) fn walk_for_answer(
        &self,
        session: &mut Session,
        now: Instant,
        out: &mut Outcome,
    ) -> bool {
        let mut cursor = core::mem::take(&mut session.walk.table);
        let more = self.walk_part(session, now, &mut cursor, out);
        session.walk.table = cursor;
        more
    }

    /// The next part of those of each second, if it is time. Peers hear of what it finds.
    pub(super) fn walk_each_second(&self, session: &mut Session, now: Instant, out: &mut Outcome) {
        if session.each_second.at.is_none_or(|at| now < at) {
            return;
        }
        let mut cursor = core::mem::take(&mut session.each_second.cursor);
        let more = self.walk_table(session, now, &mut cursor, true, out);
        let unknown = session.unknown();
        let walk = &mut session.each_second;
        walk.left = walk.left.saturating_sub(1);
        if more {
            walk.cursor = cursor;
        } else if walk.ends > 1 {
            walk.ends = 1;
        } else {
            // What is unknown now is not for peers.
            if core::mem::take(&mut walk.ends) > 0 {
                walk.walked(unknown);
            }
            walk.left = 0;
        }
        walk.at = (walk.left > 0).then(|| EVERY.after(now));
    }

    /// `tell`: whether peers are to hear of what is new now.
    fn walk_table(
        &self,
        session: &mut Session,
        now: Instant,
        cursor: &mut Cursor,
        tell: bool,
        out: &mut Outcome,
    ) -> bool {
        let Some(table) = session.table.clone() else {
            return false;
        };
        table.walk(cursor, AT_ONCE, |entry| {
            let key = entry.key();
            if self.watch.find(key).is_some() {
                return;
            }
            self.found_in_table(session, now, entry.hold(), tell, out);
            // Unless it is to stay here, it has waited for a second already.
            if tell && self.watch.find(key).is_some() {
                session.leave = Leave::Everything;
            }
        })
    }
}
