// SPDX-License-Identifier: GPL-2.0

//! States that a peer has deleted while nobody heard it.
//!
//! A deletion is said a few times and not confirmed. So after the bulk update of a peer this
//! host asks for each copy of a state of that peer's that the update did not name, one by
//! one. The peer sends it, or says that it is over. Nothing is deleted only because it was
//! not named: a frame may have been lost, and OpenBSD's bulk update is not confirmed.
//!
//! ```text
//!   START of a peer      END of it          all records looked at
//!   ───────────────▶ · ───────────▶ a pass ─────────────────────▶ another, if it has asked
//! ```

use super::{
    id::{Creator, StateId},
    time::{Instant, Millis},
};

/// Of so many peers at once: all that are asked for everything answer.
const PEERS: usize = 4;

/// How many passes there are: a question or its answer may be lost.
const PASSES: u8 = 3;

/// From the end of a pass to the next one.
pub const AGAIN: Millis = Millis(1000);

/// How soon the next records are looked at.
pub const EVERY: Millis = Millis(5);

#[derive(Clone, Copy, Debug)]
struct Pass {
    left: u8,
    at: Instant,
    has_asked: bool,
}

/// Of some peers: since when they name what they have.
#[derive(Clone, Copy, Debug, Default)]
struct Since([Option<(Creator, Instant)>; PEERS]);

impl Since {
    /// One more; the oldest makes way.
    fn insert(&mut self, creator: Creator, at: Instant) {
        let by_age = |place: &&mut Option<(Creator, Instant)>| place.map(|(_, at)| at);
        if let Some(place) = self.0.iter_mut().min_by_key(by_age) {
            *place = Some((creator, at));
        }
    }

    fn get(&self, creator: Creator) -> Option<Instant> {
        let mut places = self.0.iter().flatten();
        places
            .find(|(other, _)| *other == creator)
            .map(|(_, at)| *at)
    }

    fn take(&mut self, creator: Creator) -> Option<Instant> {
        let is_its = |place: &(Creator, Instant)| place.0 == creator;
        let mut places = self.0.iter_mut();
        let (_, at) = places.find_map(|place| place.take_if(|place| is_its(place)))?;
        Some(at)
    }
}

/// Asking for what bulk updates have not named.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reconcile {
    /// Who has said START, and when first.
    started: Since,
    /// Whose update has come to its end: what was heard of since is there.
    ended: Since,
    pass: Option<Pass>,
}

impl Reconcile {
    /// A peer said START. It does so several times.
    pub fn started(&mut self, now: Instant, creator: Creator) {
        if self.started.get(creator).is_none() {
            self.started.insert(creator, now);
        }
    }

    /// A peer said END: whether the first pass through all records begins.
    ///
    /// A START that came with it says nothing of what was named before.
    pub fn ended(&mut self, now: Instant, creator: Creator) -> bool {
        let Some(since) = self.started.take(creator).filter(|since| *since < now) else {
            return false;
        };
        self.ended.take(creator);
        self.ended.insert(creator, since);
        self.pass = Some(Pass {
            left: PASSES,
            at: now,
            has_asked: false,
        });
        true
    }

    /// When to look at the next records.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        Some(self.pass?.at)
    }

    /// Whether to ask for the copy of a state that was last heard of at `heard`.
    #[must_use]
    pub fn asks_for(&self, id: &StateId, heard: Instant) -> bool {
        self.ended
            .get(id.creator)
            .is_some_and(|since| heard < since)
    }

    /// Some records were looked at, whether it asked for one of them, and whether these
    /// were the last ones.
    pub fn looked(&mut self, now: Instant, has_asked: bool, is_end: bool) {
        let Some(pass) = &mut self.pass else {
            return;
        };
        pass.has_asked |= has_asked;
        pass.at = EVERY.after(now);
        if !is_end {
            return;
        }
        pass.left = pass.left.saturating_sub(1);
        if pass.left == 0 || !core::mem::take(&mut pass.has_asked) {
            self.pass = None;
            self.ended = Since::default();
            return;
        }
        pass.at = AGAIN.after(now);
    }
}
