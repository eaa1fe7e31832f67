// SPDX-License-Identifier: GPL-2.0

//! What frames on their way have told, until they are [confirmed](super::confirmation).
//!
//! States are places of the driver's. A frame that is so old that its room was needed for
//! younger ones cannot be confirmed any more: what it told is sent again.

use core::ops::DerefMut;

use super::confirmation::STATES_MAX;

/// Frames that are remembered.
pub const FRAMES: usize = 2048;

/// States that are remembered: as many as are told of in half a second, after which they
/// are sent again ([`CONFIRM_WITHIN`](super::pending::CONFIRM_WITHIN)), while 30,000
/// connections a second come.
pub const STATES: usize = 16_384;

/// A frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    number: u32,
    /// Where its states begin; counted on and on.
    first: u32,
    count: u32,
}

impl Sent {
    /// How many states it told of.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }
}

/// In which frames a state was sent since a peer has confirmed it.
///
/// What changed was told in the last one. But a confirmation may be late, and come when the
/// state was sent again already: then each of them says that the state is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SentIn {
    /// 0: none.
    first: u32,
    last: u32,
}

impl SentIn {
    /// It was sent in the frame of this number.
    pub fn sent(&mut self, number: u32) {
        if self.first == 0 {
            self.first = number;
        }
        self.last = number;
    }

    /// A peer has it.
    pub fn confirmed(&mut self) {
        self.first = 0;
    }

    /// Whether the frame of this number is one of them, or as old.
    #[must_use]
    pub const fn has(&self, number: u32) -> bool {
        let age = self.last.wrapping_sub(self.first);
        self.first != 0 && number.wrapping_sub(self.first) <= age
    }

    /// Whether it is the last one.
    #[must_use]
    pub const fn is_last(&self, number: u32) -> bool {
        self.first != 0 && self.last == number
    }
}

/// The frames that were sent last; the room for them is the driver's: `F` for frames, `S`
/// for states.
#[derive(Clone, Debug)]
pub struct Flight<F: DerefMut<Target = [Sent]>, S: DerefMut<Target = [u32]>> {
    frames: F,
    states: S,
    number: u32,
    /// Behind the states of the last frame.
    end: u32,
}

/// The place in a ring of `len`.
fn place(number: u32, len: usize) -> usize {
    let number = usize::try_from(number).unwrap_or_default();
    number.checked_rem(len).unwrap_or_default()
}

impl<F: DerefMut<Target = [Sent]>, S: DerefMut<Target = [u32]>> Flight<F, S> {
    /// None yet; the first one follows `number`. The lengths of both rooms are powers of
    /// two.
    #[must_use]
    pub const fn new(number: u32, frames: F, states: S) -> Self {
        Self {
            frames,
            states,
            number,
            end: 0,
        }
    }

    /// The number of the last frame; 0 if there was none.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// Begins a frame. Its number.
    pub fn begin(&mut self) -> u32 {
        // 0 is no frame's.
        self.number = self.number.checked_add(1).unwrap_or(1);
        let at = place(self.number, self.frames.len());
        if let Some(frame) = self.frames.get_mut(at) {
            *frame = Sent {
                number: self.number,
                first: self.end,
                count: 0,
            };
        }
        self.number
    }

    /// The frame is written. Without a state it is none: nobody confirms it.
    pub fn finish(&mut self) {
        if self.last().is_some_and(|frame| frame.count == 0) {
            self.number = self.number.saturating_sub(1);
        }
    }

    fn last(&self) -> Option<Sent> {
        self.find(self.number)
    }

    /// Whether the frame holds as many states as can be confirmed.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let most = STATES_MAX.min(self.states.len());
        self.last()
            .and_then(|frame| usize::try_from(frame.count).ok())
            .is_none_or(|count| count >= most)
    }

    /// The state is the next one in the frame.
    pub fn push(&mut self, state: u32) {
        let at = place(self.end, self.states.len());
        if let Some(slot) = self.states.get_mut(at) {
            *slot = state;
        }
        self.end = self.end.wrapping_add(1);
        let at = place(self.number, self.frames.len());
        if let Some(frame) = self.frames.get_mut(at) {
            frame.count = frame.count.saturating_add(1);
        }
    }

    /// What was sent in the frame of this number, if that is still known.
    #[must_use]
    pub fn find(&self, number: u32) -> Option<Sent> {
        let frame = *self.frames.get(place(number, self.frames.len()))?;
        let age = usize::try_from(self.end.wrapping_sub(frame.first)).ok()?;
        let is_whole = frame.number == number && number != 0 && age <= self.states.len();
        is_whole.then_some(frame)
    }

    /// The state at this place of a frame. It may have been told of again since, or be
    /// another one by now: the driver keeps [`SentIn`] with it.
    #[must_use]
    pub fn state(&self, frame: &Sent, at: u32) -> Option<u32> {
        let at = (at < frame.count).then(|| frame.first.wrapping_add(at))?;
        self.states.get(place(at, self.states.len())).copied()
    }
}
