// SPDX-License-Identifier: GPL-2.0

//! The last changes of an interface's virtual hosts.

use crate::proto::carp::{effects::Transition, time::Instant};
use kernel::prelude::*;

/// How many are kept.
const KEPT: usize = 64;

/// A change of state.
#[derive(Clone, Copy)]
pub(super) struct Past {
    /// When it happened.
    pub(super) at: Instant,
    /// Whose it was.
    pub(super) vhid: u8,
    /// What it was.
    pub(super) transition: Transition,
    /// What the interface advertised as its demotion count.
    pub(super) demote: u8,
}

/// The changes, of which the oldest makes room for the newest.
pub(super) struct History {
    /// With room for all that are kept.
    ring: KVec<Past>,
    /// How many there were; the newest has the number before.
    count: u32,
}

impl History {
    /// Nothing has happened. Process context, may sleep.
    ///
    /// # Errors
    ///
    /// Out of memory.
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            ring: KVec::with_capacity(KEPT, GFP_KERNEL_ACCOUNT)?,
            count: 0,
        })
    }

    /// Where the change of this number lies.
    fn index(number: u32) -> usize {
        // A power of two: the count may wrap around.
        number as usize % KEPT
    }

    /// Something has happened.
    pub(super) fn push(&mut self, past: Past) {
        match self.ring.get_mut(Self::index(self.count)) {
            Some(oldest) => *oldest = past,
            // There is room until all that are kept are there.
            None => {
                let _ = self.ring.push_within_capacity(past);
            }
        }
        self.count = self.count.wrapping_add(1);
    }

    /// The number of the oldest one that is kept.
    pub(super) fn first(&self) -> u32 {
        let kept = u32::try_from(self.ring.len()).unwrap_or(0);
        self.count.wrapping_sub(kept)
    }

    /// The change of this number, if it is kept.
    pub(super) fn get(&self, number: u32) -> Option<&Past> {
        let kept = u32::try_from(self.ring.len()).unwrap_or(0);
        if number.wrapping_sub(self.first()) >= kept {
            return None;
        }
        self.ring.get(Self::index(number))
    }
}
