// SPDX-License-Identifier: GPL-2.0

//! What is kept of a state.

use super::{
    cells::{Slot, NONE},
    device::Newborn,
};
use crate::{
    linux::{state_table::Entry, watch::Watched},
    proto::pfsync::{
        defer::Ticket, flight::SentIn, id::StateId, pending::Pending, state::Direction,
        time::Instant, twins::Use, wheel::Link,
    },
};
use core::num::NonZeroU32;

/// An entry of the table. Packet paths lose sight of it before its count is given back:
/// then its memory may be that of another one.
pub(super) struct Live {
    /// What packet paths see.
    pub(super) watched: Watched<Newborn>,
    /// The entry itself.
    pub(super) entry: Entry,
}

/// A state.
pub(super) struct Record {
    /// Its name.
    pub(super) id: StateId,
    /// What is still to be said of it.
    pub(super) pending: Pending,
    /// What is there of it; nothing, if the other one of a pair has it, or when the table
    /// has forgotten it and only that is still to be said.
    pub(super) live: Option<Live>,
    /// Its first packet, if that is held.
    pub(super) ticket: Option<Ticket>,
    /// When it began; before that, if nobody knows.
    pub(super) born: Instant,
    /// When a peer last told of it, or this host found it by itself.
    pub(super) heard: Instant,
    /// Its [fingerprint](Entry::fingerprint) when it was told of last, or a peer told of it;
    /// nothing, if it was never.
    pub(super) told: Option<NonZeroU32>,
    /// TCP: updates are counted.
    pub(super) tcp: bool,
    /// Who was the last to see a packet of it; unless that is a peer, it is for this host
    /// to say when it is gone.
    pub(super) used: Use,
    /// It was made lenient about windows here, until its first packet.
    pub(super) lenient: bool,
    /// In which frames it was sent, as far as those have numbers.
    pub(super) sent_in: SentIn,
    /// It was sent in answer to a bulk request, and is still to be confirmed.
    pub(super) in_bulk: bool,
    /// Which of pf's two states it is: see [`super::halves`].
    pub(super) direction: Direction,
    /// A peer told of it as pf does, of one side alone.
    pub(super) of_pf: bool,
    /// Its sequence numbers are not those of the other one of the two, which has them.
    pub(super) is_modulated: bool,
    /// The record of the other one of the two. One of them has what is in the table.
    pub(super) other: Slot,
    pub(super) next: Slot,
    pub(super) previous: Slot,
    /// The next one in its bucket.
    pub(super) chain: Slot,
    /// The hash of its name.
    pub(super) hash: u32,
    /// When somebody looks at it.
    pub(super) due: Link,
}

impl Record {
    /// A record that is in no list.
    pub(super) fn new(id: StateId, pending: Pending, live: Option<Live>) -> Self {
        Self {
            id,
            pending,
            live,
            ticket: None,
            born: Instant(0),
            heard: Instant(0),
            told: None,
            tcp: false,
            used: Use::Copy,
            lenient: false,
            sent_in: SentIn::default(),
            in_bulk: false,
            direction: Direction::Any,
            of_pf: false,
            is_modulated: false,
            other: NONE,
            next: NONE,
            previous: NONE,
            chain: NONE,
            hash: 0,
            due: Link::new(),
        }
    }

    /// Whether it is this host's, not a copy of what a peer has told.
    pub(super) fn is_own(&self) -> bool {
        self.used != Use::Copy
    }

    /// Whether it is this host's, and still there.
    pub(super) fn is_in_use(&self) -> bool {
        let live = self.live.as_ref();
        self.is_own() && live.is_some_and(|live| live.entry.is_alive())
    }

    /// Whether the table has forgotten it.
    pub(super) fn is_gone(&self) -> bool {
        self.live.is_none() && self.other == NONE
    }

    /// The record of the other one of pf's two states of the same connection.
    pub(super) fn other(&self) -> Option<Slot> {
        (self.other != NONE).then_some(self.other)
    }
}
