// SPDX-License-Identifier: GPL-2.0

//! Whether anybody listens, and whether who listens has missed something.
//!
//! Who goes down, dies or loses its link asks for everything when it is back. Who is cut
//! off while its link stays up, by a switch between, does not know. But the others do:
//! what they say is not confirmed. So while something is not, and nobody is heard, they
//! say a state again now and then, to be confirmed by whoever has it; and when somebody
//! is heard at last they send everything, as if they had been asked. If no state was given
//! up by then, those that wait are tried as often as if they were new.
//!
//! Nobody confirms a deletion. So after one, too, somebody is asked whether he is there, if
//! all are Linux.
//!
//! Linux confirms whatever it is asked to; OpenBSD only what is new to it, so that a full
//! update which it did not need is no sign of anything.

use super::bulk_answer::CONFIRMED_WITHIN;
use super::time::{Instant, Millis};

/// Nobody is heard for so long: then somebody is asked whether he is there.
pub const ASK_AFTER: Millis = Millis(1000);

/// Nobody is heard for so long, in which several were asked: then what was not confirmed
/// meanwhile is missing somewhere. Less than a state is sent again.
pub const SILENCE: Millis = Millis(4000);

/// So many states in a row, each sent as often as it may be, and no word from anybody
/// meanwhile: then nobody is there.
pub const UNANSWERED_MAX: u32 = 8;

/// Who has been heard listens, until too much was sent that nobody has confirmed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Listener {
    is_there: bool,
    unanswered: u32,
    heard_at: Option<Instant>,
    /// When somebody was heard after a silence.
    back_at: Option<Instant>,
    confirms: bool,
    missed: bool,
    /// When a deletion was told of, if nobody was heard since.
    deleted_at: Option<Instant>,
}

impl Listener {
    /// Whether there is one: somebody to confirm what is sent.
    #[must_use]
    pub const fn is_there(&self) -> bool {
        self.is_there
    }

    /// A frame came in. Returns whether its sender may have missed something.
    pub fn heard(&mut self, now: Instant) -> bool {
        let is_back = self.is_silent_for(SILENCE, now);
        let is_late = |at: Instant| self.confirms && now >= SILENCE.after(at);
        let missed = self.missed || self.deleted_at.is_some_and(is_late);
        *self = Self {
            is_there: true,
            unanswered: 0,
            heard_at: Some(now),
            back_at: if is_back { Some(now) } else { self.back_at },
            confirms: self.confirms,
            missed: false,
            deleted_at: None,
        };
        missed
    }

    /// A confirmation came in: whoever is there sends them.
    pub fn confirmed(&mut self) {
        self.confirms = true;
    }

    /// A deletion was sent, to hosts that confirm whatever they are asked to.
    pub fn told_of_deletion(&mut self, now: Instant) {
        self.deleted_at.get_or_insert(now);
    }

    /// A state was sent for the last time, and not confirmed. `unknown`: who is there
    /// would have confirmed it, for it was new, or all confirm everything.
    ///
    /// Who was heard meanwhile is there, and does not want that state.
    pub fn unanswered(&mut self, now: Instant, unknown: bool) {
        self.missed |= unknown && self.confirms && self.is_silent_for(SILENCE, now);
        self.unanswered = self.unanswered.saturating_add(1);
        if self.unanswered >= UNANSWERED_MAX {
            self.is_there = false;
        }
    }

    /// Whether somebody was silent for long and came back so lately that a state which waits
    /// to be confirmed may have been sent in vain until then.
    #[must_use]
    pub fn came_back(&self, now: Instant) -> bool {
        self.back_at
            .is_some_and(|at| now < CONFIRMED_WITHIN.after(at))
    }

    /// Whether to ask if anybody is there. `awaiting`: something is not confirmed.
    #[must_use]
    pub fn asks(&self, now: Instant, awaiting: bool) -> bool {
        (awaiting || self.missed || self.deleted_at.is_some())
            && self.confirms
            && self.is_silent_for(ASK_AFTER, now)
    }

    fn is_silent_for(&self, time: Millis, now: Instant) -> bool {
        self.heard_at.is_some_and(|at| now >= time.after(at))
    }
}
