// SPDX-License-Identifier: GPL-2.0

//! What packets tell of entries: that they are new, that they may have changed.

use super::{concerns_others, Conntrack};
use crate::linux::{
    entry::{Entry, Status},
    hook::Watcher,
    packet::{Packet, Verdict},
};
use core::ptr;
use kernel::sync::atomic::Relaxed;

impl Watcher for Conntrack {
    fn pass(&self, packet: Packet<'_>) -> Verdict {
        let Some(entry) = packet.entry() else {
            return Verdict::Accept;
        };
        if packet.is_inside()
            || packet.is_also_of_ip()
            || entry.status().has(Status::SPECIAL)
            || !concerns_others(entry)
        {
            return Verdict::Accept;
        }
        if entry.is_confirmed() {
            return self.passed(&packet, entry);
        }
        // An answer to what was never confirmed confirms nothing.
        if packet.is_reply() || !self.is_wanted(entry) {
            return Verdict::Accept;
        }
        self.first(packet)
    }
}

impl Conntrack {
    /// The first packet of a connection is about to leave. Connection tracking would put the
    /// entry into the table next. It is done here, so that who is told of an entry finds it
    /// there.
    ///
    /// Helpers want to see the entry before that, and the packet once: they are called here,
    /// too, and the packet goes on past them. If it cannot, the entry is left to connection
    /// tracking, and found by who walks through the table. No count of it is taken before it
    /// is there: a queue to user space drops a packet of whose entry somebody else has one
    /// (`nf_ct_drop_unconfirmed`).
    fn first(&self, mut packet: Packet<'_>) -> Verdict {
        let is_helped = packet.entry().is_some_and(Entry::is_helped);
        if is_helped && !packet.can_be_held() {
            return Verdict::Accept;
        }
        let held = if self.defer.load(Relaxed) {
            match packet.prepare_to_hold() {
                Ok(held) => held,
                Err(verdict) => return verdict,
            }
        } else {
            None
        };
        let new = packet.entry().map(ptr::from_ref);
        match packet.confirm() {
            Verdict::Accept => {}
            other => return other,
        }
        // Once it is held, the packet may be sent at any time, and its count of the
        // entry with it. Until then `packet` keeps the entry.
        match packet.entry() {
            // Another packet of the same connection was faster.
            Some(entry) if new != Some(ptr::from_ref(entry)) => {
                if self.passed(&packet, entry) == Verdict::Drop {
                    return Verdict::Drop;
                }
            }
            // One whose place is taken lives for a second.
            Some(entry) if entry.is_confirmed() && !entry.status().has(Status::SPECIAL) => {
                if self.events.created(entry, held) {
                    return Verdict::Stolen;
                }
            }
            _ => {}
        }
        match is_helped {
            true => packet.send(),
            // That it is confirmed a second time does no harm.
            false => Verdict::Accept,
        }
    }

    fn passed(&self, packet: &Packet<'_>, entry: &Entry) -> Verdict {
        // Also of one that this packet has ended: so who keeps it hears of it.
        if !self.events.passed(entry) || entry.status().has(Status::DYING) {
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
