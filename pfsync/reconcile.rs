// SPDX-License-Identifier: GPL-2.0

//! Asking for the copies that a peer's bulk update has not named, and answering such a
//! question: see [`crate::proto::pfsync::reconcile`].

use super::{
    session::{Session, REQUESTS_MAX},
    store::{Record, LOOKED_AT},
};
use crate::proto::pfsync::{id::StateId, time::Instant};
use kernel::prelude::*;

impl Session {
    /// Asks for the next ones, if it is time: as many as a frame has room for.
    pub(super) fn reconcile(&mut self, now: Instant) {
        if self.reconcile.deadline().is_none_or(|at| now < at) {
            return;
        }
        let end = self.store.end();
        let stop = self.reconciled.saturating_add(LOOKED_AT).min(end);
        let mut has_asked = false;
        while self.reconciled < stop && self.wanted.len() < REQUESTS_MAX {
            let is_missing = |record: &&Record| {
                let is_copy = record.live.is_some() && !record.is_own();
                is_copy && self.reconcile.asks_for(&record.id, record.heard)
            };
            if let Some(record) = self.store.get(self.reconciled).filter(is_missing) {
                has_asked = true;
                // There is room for so many.
                let _ = self.wanted.push(record.id, GFP_ATOMIC);
            }
            self.reconciled = self.reconciled.saturating_add(1);
        }
        let is_end = self.reconciled >= end;
        if is_end {
            self.reconciled = 0;
        }
        self.reconcile.looked(now, has_asked, is_end);
    }

    /// A peer speaks of a state that is not here. Whether that is over, so that the peer is
    /// told.
    pub(super) fn tell_if_over(&mut self, id: &StateId) -> bool {
        // pf deletes also what it has in use itself.
        if self.peers.has_pf() || !self.names.is_over(id) {
            return false;
        }
        if self.over.len() < REQUESTS_MAX && !self.over.contains(id) {
            // There is room for so many; who is not told asks again.
            let _ = self.over.push(*id, GFP_ATOMIC);
        }
        true
    }
}
