// SPDX-License-Identifier: GPL-2.0

//! TCP connections whose handshake is not complete: with the word `established` peers hear
//! of them when it is.

use super::{
    session::Session,
    store::{Record, Slot},
};
use crate::proto::pfsync::{conntrack::TcpState, time::Instant};

impl Session {
    /// Whether a TCP connection in this state of conntrack's is too young to be told of.
    pub(super) fn is_too_young(&self, state: u8) -> bool {
        self.settings.established && !TcpState::new(state).is_some_and(TcpState::is_open)
    }

    /// The record of a TCP connection of which nobody was told yet, where that matters.
    fn untold(&self, slot: Slot) -> Option<&Record> {
        if !self.settings.established {
            return None;
        }
        let main = self.store.get(self.store.main(slot))?;
        (main.tcp && main.told.is_none()).then_some(main)
    }

    /// Whether nobody was told of a TCP connection yet, nor is now.
    pub(super) fn is_half_open(&self, slot: Slot) -> bool {
        let live = self.untold(slot).and_then(|main| main.live.as_ref());
        live.is_some_and(|live| self.is_too_young(live.entry.read().tcp.state))
    }

    /// A packet of a connection has passed. Whether nobody was told of it yet: then it is
    /// told of as new, if its handshake is complete.
    pub(super) fn begins(&mut self, now: Instant, slot: Slot) -> bool {
        let Some(main) = self.untold(slot) else {
            return false;
        };
        if let Some(live) = &main.live {
            // Before it is read: a packet that passes meanwhile says so.
            live.watched.reset();
        }
        if !self.is_half_open(slot) {
            self.step(now, slot, |record| record.pending.begin());
        }
        true
    }
}
