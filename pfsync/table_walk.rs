// SPDX-License-Identifier: GPL-2.0

//! Walks through the table, which has entries that no packet has told of: those that
//! were there before the interface, and what conntrackd or conntrack(8) have put there.
//!
//! The whole table is walked when the interface goes up, and for a peer that asks for all
//! states. Beside that some of it is walked each second.

use super::{device::Pfsync, outcome::Outcome, session::Session};
use crate::{
    linux::state_table::{Cursor, Entry},
    proto::pfsync::time::Instant,
};

/// How many entries are looked at while the lock is held: some hundred microseconds, if
/// all of them are new.
const AT_ONCE: u32 = 256;

/// How many entries are looked at in a second when nobody asks.
const EACH_SECOND: u32 = 1024;

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
        self.walk_table(session, now, (cursor, AT_ONCE), |_| false, out)
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

    /// Some of the table, each second. What somebody has put there, without a helper, is told
    /// of with its first packet, for he may have told the peer himself.
    pub(super) fn walk_each_second(&self, session: &mut Session, now: Instant, out: &mut Outcome) {
        let mut cursor = core::mem::take(&mut session.sweep.walk);
        // Its first packet may have passed unseen: see `Conntrack::first`.
        let is_helped = |entry: &Entry| entry.read().helper.first() != Some(&0);
        if self.walk_table(session, now, (&mut cursor, EACH_SECOND), is_helped, out) {
            session.sweep.walk = cursor;
        }
    }

    /// `is_new`: whether peers are to hear of an entry now.
    fn walk_table(
        &self,
        session: &mut Session,
        now: Instant,
        (cursor, most): (&mut Cursor, u32),
        is_new: impl Fn(&Entry) -> bool,
        out: &mut Outcome,
    ) -> bool {
        let Some(table) = session.table.clone() else {
            return false;
        };
        table.walk(cursor, most, |entry| {
            if self.watch.find(entry.key()).is_none() {
                let entry = entry.hold();
                let is_new = is_new(&entry);
                self.found_in_table(session, now, entry, is_new, out);
            }
        })
    }
}
