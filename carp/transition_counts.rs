// SPDX-License-Identifier: GPL-2.0

//! How often a virtual host has changed its state.

use super::notify;
use crate::{linux::bindings, proto::carp::effects::Transition};
use kernel::prelude::*;

/// How many states there are.
const STATES: usize = 3;
/// How many reasons there are.
const REASONS: usize = bindings::carp_reason_CARP_REASON_ADMINISTRATOR as usize + 1;

/// The changes since the virtual host was made, by their new state and their reason, as
/// `if_carp.h` and `carp.h` number them. A count that is full begins anew.
#[derive(Clone, Copy)]
pub(super) struct TransitionCounts([[u32; REASONS]; STATES]);

impl TransitionCounts {
    /// Nothing has changed yet.
    pub(super) const fn new() -> Self {
        Self([[0; REASONS]; STATES])
    }

    /// Counts a change.
    pub(super) fn add(&mut self, transition: &Transition) {
        let state = usize::from(notify::state_number(transition.to));
        let reason = usize::from(notify::reason_number(transition.reason));
        if let Some(count) = self.0.get_mut(state).and_then(|it| it.get_mut(reason)) {
            *count = count.wrapping_add(1);
        }
    }

    /// Tells of those that have happened: new state, reason, how often.
    ///
    /// # Errors
    ///
    /// The first of `each`, after which it ends.
    pub(super) fn try_for_each(&self, mut each: impl FnMut(u8, u8, u32) -> Result) -> Result {
        for (state, counts) in (0..).zip(&self.0) {
            for (reason, count) in (0..).zip(counts) {
                if *count != 0 {
                    each(state, reason, *count)?;
                }
            }
        }
        Ok(())
    }
}
