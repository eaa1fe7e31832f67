// SPDX-License-Identifier: GPL-2.0

//! States that somebody has to look at, at a time that is known.
//!
//! conntrack has one listener for events in a namespace, and that is ctnetlink; and it
//! raises none at all when an entry that was born without a listener goes. But no entry
//! goes before the time that it was given, unless somebody takes it out
//! ([`super::sweep`]), and a packet that shortens that time is told of. So each state is
//! looked at when its entry may have gone, or when something else is due; packets only
//! make that later, and cost nothing here.

use super::{
    session::Session,
    store::{Record, Slot},
};
use crate::proto::pfsync::time::{seconds_since, Instant, Millis};

/// How many states are looked at in one go: some hundred microseconds.
const AT_ONCE: u32 = 1024;

/// How soon the next ones are.
const NEXT: Millis = Millis(1);

/// How long the windows that a peer told of may be behind what the connection's ends
/// know: a peer that dies may have let many packets pass of which it could not tell any
/// more, and what was lost with it is sent again until both ends agree. After that the
/// connection was idle, or its packets have said how far it has got.
const LENIENT_SECONDS: u32 = 60;

/// After so many seconds at most an offloaded state is told of again, for none of its
/// packets is seen.
const REFRESH: u32 = 30;

/// After so many seconds what was told without being confirmed is told once more, unless
/// it changes again meanwhile.
const SETTLED: u32 = 1;

impl Session {
    /// Looks at the states whose time has come. When to go on, if there are more.
    pub(super) fn look_at_due(&mut self, now: Instant) -> Option<Instant> {
        for _ in 0..AT_ONCE {
            let slot = self.store.due(now)?;
            if let Some(seconds) = self.look_at(now, slot) {
                self.store.look_again(slot, now, seconds);
            }
        }
        Some(NEXT.after(now))
    }

    /// Notices what has happened to a state. In how many seconds to look again.
    fn look_at(&mut self, now: Instant, slot: Slot) -> Option<u32> {
        let record = self.store.get(slot)?;
        let live = record.live.as_ref()?;
        let Some(expires_in) = live.entry.expires_in() else {
            self.gone(now, slot);
            return None;
        };
        let is_offloaded = live.entry.is_offloaded();
        let is_unsettled = record.pending.is_unsettled() && self.peers.has_linux();
        let has_packets = live.watched.has_packets();
        let mut seconds = expires_in.get();
        if record.lenient {
            match LENIENT_SECONDS.checked_sub(seconds_since(record.heard, now)) {
                None | Some(0) => self.be_strict(slot),
                Some(left) => seconds = seconds.min(left),
            }
        }
        if is_offloaded {
            self.refresh(now, slot);
            // Not all that were met at once in one second for ever.
            seconds = seconds.min(REFRESH.saturating_sub(slot % 16));
        }
        if is_unsettled {
            match has_packets {
                true => seconds = seconds.min(SETTLED),
                // It has not changed for a while: peers shall have its last change.
                false => self.step(now, slot, |record| record.pending.settled()),
            }
        }
        Some(seconds)
    }

    /// Peers are told that an offloaded state is still there, by all its names: a flow table
    /// keeps only those that have packets.
    fn refresh(&mut self, now: Instant, slot: Slot) {
        let other = self.store.get(slot).and_then(Record::other);
        for slot in [Some(slot), other].into_iter().flatten() {
            self.step(now, slot, |record| record.pending.ask());
        }
    }

    /// The entry of a state goes in so many seconds, as was just read or told: somebody has
    /// to look at it then, or earlier.
    pub(super) fn expires(&mut self, now: Instant, slot: Slot, timeout: u32, is_offloaded: bool) {
        let main = self.store.main(slot);
        let Some(record) = self.store.get(slot) else {
            return;
        };
        let mut seconds = timeout.saturating_add(1);
        if record.pending.is_unsettled() {
            seconds = seconds.min(SETTLED);
        }
        if is_offloaded {
            seconds = seconds.min(REFRESH);
        }
        if record.lenient {
            seconds = seconds.min(LENIENT_SECONDS);
        }
        self.store.look_sooner(main, now, seconds);
    }
}
