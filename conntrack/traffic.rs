// SPDX-License-Identifier: GPL-2.0

//! What packets tell of entries: that they are new, that they may have changed.

use super::{concerns_others, is_at_home, Conntrack};
use crate::linux::{
    entry::{Entry, Status},
    hook::Watcher,
    packet::{Packet, Verdict},
};
use core::ptr;
use kernel::sync::atomic::Relaxed;

impl Watcher for Conntrack {
    fn pass(&self, mut packet: Packet<'_>) -> Verdict {
        let Some(entry) = packet.entry() else {
            return Verdict::Accept;
        };
        if packet.is_inside() || entry.status().has(Status::SPECIAL) || !concerns_others(entry) {
            return Verdict::Accept;
        }
        if entry.is_confirmed() {
            return self.passed(&packet, entry);
        }
        // Connection tracking would confirm it next. It is done here, so that who is
        // told of an entry finds it in the table.
        let new = ptr::from_ref(entry);
        if !packet.confirm() {
            return Verdict::Drop;
        }
        let Some(entry) = packet.entry() else {
            return Verdict::Accept;
        };
        if !ptr::eq(new, entry) {
            // Another packet of the same connection was faster.
            return self.passed(&packet, entry);
        }
        // An answer to what was never confirmed is none, and one whose place is taken
        // lives for a second.
        if !entry.is_confirmed() || entry.status().has(Status::SPECIAL) || is_at_home(entry) {
            return Verdict::Accept;
        }
        self.created(&mut packet)
    }
}

impl Conntrack {
    fn created(&self, packet: &mut Packet<'_>) -> Verdict {
        let held = if self.defer.load(Relaxed) {
            match packet.prepare_to_hold() {
                Ok(held) => held,
                Err(verdict) => return verdict,
            }
        } else {
            None
        };
        // Once it is held, the packet may be sent at any time, and its count of the
        // entry with it. Until then `packet` keeps the entry.
        match packet.entry() {
            Some(entry) if self.events.created(entry, held) => Verdict::Stolen,
            _ => Verdict::Accept,
        }
    }

    fn passed(&self, packet: &Packet<'_>, entry: &Entry) -> Verdict {
        if entry.status().has(Status::DYING) || !self.events.passed(entry) {
            return Verdict::Accept;
        }
        if let Some(segment) = packet.segment() {
            if !entry.lock().learn(&segment) {
                return Verdict::Drop;
            }
        }
        Verdict::Accept
    }
}
