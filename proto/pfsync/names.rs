// SPDX-License-Identifier: GPL-2.0

//! The names that this host gives to its states, and which of them are over.
//!
//! Numbers grow, and no other host makes names of this creator. So where a peer has a
//! state of such a name that is not here, it is over, and the peer has not heard of that:
//! it was cut off. There are three exceptions, for which there is a mark. What was given up
//! because its address has gone to the peer is the peer's now. What has expired here as a
//! copy may be in use there. And while the interface was down nobody has watched.

use super::id::{Creator, StateId};

/// The names of one host.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    creator: Creator,
    last: u64,
    /// Of names up to this one nobody knows whether they are over.
    unknown: u64,
}

impl Names {
    /// `creator` is not zero; `random` is for numbers that a restart does not use again, as
    /// OpenBSD has it.
    #[must_use]
    pub const fn new(creator: Creator, random: [u8; 4]) -> Self {
        let last = (u32::from_ne_bytes(random) as u64) << 32;
        Self {
            creator,
            last,
            unknown: last,
        }
    }

    /// Who we are, to peers.
    #[must_use]
    pub const fn creator(&self) -> Creator {
        self.creator
    }

    /// A name that no state has had.
    #[must_use]
    pub fn give(&mut self) -> StateId {
        self.last = self.last.wrapping_add(1);
        StateId {
            id: self.last.to_be_bytes(),
            creator: self.creator,
        }
    }

    /// Nobody has watched the states for a while.
    pub fn unwatched(&mut self) {
        self.unknown = self.last;
    }

    /// This state may go on at a peer.
    pub fn handed_over(&mut self, id: &StateId) {
        if id.creator == self.creator {
            self.unknown = self.unknown.max(u64::from_be_bytes(id.id));
        }
    }

    /// Whether the state of this name, which is not here, is over.
    #[must_use]
    pub fn is_over(&self, id: &StateId) -> bool {
        let number = u64::from_be_bytes(id.id);
        id.creator == self.creator && number > self.unknown && number <= self.last
    }
}
