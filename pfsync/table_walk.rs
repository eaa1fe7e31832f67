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

/// How many entries are looked at in one go when nobody asks. Most are known.
const PART: u32 = 1024;

/// How many parts of a second there are while entries are missing.
const PARTS: u32 = 16;

/// From one part to the next.
const EVERY: Millis = Millis(50);

/// Where the walk of each second is.
#[derive(Default)]
pub(super) struct EachSecond {
    cursor: Cursor,
    at: Option<Instant>,
    /// How many parts there are still to be in this second.
    left: u32,
    /// It goes through the whole table, for entries are missing.
    is_whole: bool,
    /// How many entries were known to nobody when the table was walked to its end: they are
    /// not for peers.
    unknown: u32,
}

impl EachSecond {
    /// When to look at the next part.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.at
    }

    /// A second begins in which `unknown` entries are known to nobody.
    pub(super) fn begin(&mut self, now: Instant, unknown: u32) {
        let is_missing = unknown > self.unknown;
        if is_missing && !self.is_whole {
            // From the beginning: what is missing may be anywhere.
            self.cursor = Cursor::default();
        }
        self.is_whole = is_missing;
        self.left = if is_missing { PARTS } else { 1 };
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
        self.walk_table(session, now, (cursor, AT_ONCE), false, out)
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
        let more = self.walk_table(session, now, (&mut cursor, PART), true, out);
        let unknown = session.unknown();
        let walk = &mut session.each_second;
        walk.left = walk.left.saturating_sub(1);
        if more {
            walk.cursor = cursor;
        } else {
            if core::mem::take(&mut walk.is_whole) {
                walk.unknown = unknown;
            }
            walk.left = 0;
        }
        walk.at = (walk.left > 0).then(|| EVERY.after(now));
    }

    /// `is_new`: whether peers are to hear of an entry now.
    fn walk_table(
        &self,
        session: &mut Session,
        now: Instant,
        (cursor, most): (&mut Cursor, u32),
        is_new: bool,
        out: &mut Outcome,
    ) -> bool {
        let Some(table) = session.table.clone() else {
            return false;
        };
        table.walk(cursor, most, |entry| {
            let key = entry.key();
            if self.watch.find(key).is_some() {
                return;
            }
            self.found_in_table(session, now, entry.hold(), is_new, out);
            // Unless it is to stay here, it has waited for a second already.
            if is_new && self.watch.find(key).is_some() {
                session.leave = Leave::Everything;
            }
        })
    }
}
