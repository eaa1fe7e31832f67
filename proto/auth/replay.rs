// SPDX-License-Identifier: GPL-2.0

//! What is remembered of a sender whose frames overtake each other: the greatest numbers.
//!
//! pfsync's frames leave by several processors and come by several queues, so they are
//! out of order by some microseconds. A bitmap over the numbers, as of IPsec, is of no use:
//! numbers follow the clock, some 4 billion a second, and leave all of them out but those of a
//! few frames. So the numbers themselves are kept, in order, in a ring of 1,024.
//!
//! A number is believed if it is
//!
//! - not in the ring, and
//! - greater than the *floor*: the greatest of the numbers that have left the ring.
//!
//! When the ring is full the lowest number leaves it, be it the new one. All that was ever
//! believed is in the ring, or not above the floor; so nothing is believed twice, and a frame
//! is refused for its age only when 1,024 later ones have come before it. How many frames
//! a moment of the clock has does not matter, nor how far numbers lie apart.
//!
//! The one that is greater than all, as nearly each is, is put behind the others; to find
//! whether one is there takes ten comparisons; one that comes late moves those that came
//! before it.

use core::ops::DerefMut;

use super::freshness::Freshness;
use super::mode::Outcome;
use super::senders::History;
use super::sequence::Sequence;

/// So many numbers are kept of a sender: 8 KiB.
pub const RING: usize = 1024;

/// Where there is no floor yet, how far below the first number it is: half of what serial
/// arithmetic can tell from numbers above, 34 years.
const BELOW: u64 = 1 << 62;

/// The numbers of a sender, in memory `B` of the caller's: a vector or a box of [`RING`] of
/// them, whatever is in it. With fewer the window is smaller; with none, frames must come in
/// their order.
#[derive(Clone, Debug, Default)]
pub struct Replay<B> {
    /// Ascending from `head` on, all of them above `floor`.
    ring: B,
    head: usize,
    len: usize,
    floor: Option<Sequence>,
}

impl<B: DerefMut<Target = [Sequence]>> Replay<B> {
    /// One that remembers nothing.
    #[must_use]
    pub const fn new(ring: B) -> Self {
        Self {
            ring,
            head: 0,
            len: 0,
            floor: None,
        }
    }

    /// Where the number of this rank is; the lowest one has rank 0.
    fn index(&self, rank: usize) -> usize {
        let index = self.head.wrapping_add(rank);
        match index.checked_sub(self.ring.len()) {
            Some(wrapped) => wrapped,
            None => index,
        }
    }

    fn get(&self, rank: usize) -> Option<Sequence> {
        self.ring.get(self.index(rank)).copied()
    }

    fn set(&mut self, rank: usize, number: Sequence) {
        let index = self.index(rank);
        if let Some(place) = self.ring.get_mut(index) {
            *place = number;
        }
    }

    /// How many numbers are below this one, and whether the next is the same.
    ///
    /// Numbers are compared by how far they are above the floor. All are less than 2^63 above
    /// it, so that has an order where serial arithmetic by itself has none.
    fn find(&self, number: Sequence, floor: Sequence) -> (usize, bool) {
        let above = |number: Sequence| number.units_after(floor);
        let is_last = |last: Sequence| above(last) < above(number);
        let last = self.len.checked_sub(1).and_then(|rank| self.get(rank));
        if last.is_none_or(is_last) {
            return (self.len, false);
        }
        let (mut low, mut high) = (0, self.len);
        while low < high {
            let middle = low.midpoint(high);
            match self.get(middle) {
                Some(other) if above(other) < above(number) => low = middle.saturating_add(1),
                _ => high = middle,
            }
        }
        (low, self.get(low) == Some(number))
    }

    /// Gives up what is further ahead of the clock than the window: it was set back.
    fn expire(&mut self, freshness: Freshness, clock: Sequence) {
        while let Some(last) = self.len.checked_sub(1) {
            let number = self.get(last);
            if !number.is_some_and(|number| freshness.is_expired(number, clock)) {
                return;
            }
            self.len = last;
        }
        self.floor = self
            .floor
            .filter(|floor| !freshness.is_expired(*floor, clock));
    }
}

impl<B: DerefMut<Target = [Sequence]>> History for Replay<B> {
    fn begin(&mut self, floor: Option<Sequence>) {
        (self.head, self.len, self.floor) = (0, 0, floor);
    }

    fn judge(
        &self,
        number: Sequence,
        freshness: Freshness,
        clock: Sequence,
    ) -> Result<(), Outcome> {
        let Some(floor) = self.floor else {
            return Ok(());
        };
        // Then all that is above it is so as well.
        if freshness.is_expired(floor, clock) {
            return Ok(());
        }
        if !number.is_after(floor) {
            return Err(Outcome::Stale);
        }
        match self.find(number, floor) {
            (_, true) => Err(Outcome::Replayed),
            (_, false) => Ok(()),
        }
    }

    fn take(&mut self, number: Sequence, freshness: Freshness, clock: Sequence) {
        self.expire(freshness, clock);
        let floor = *self.floor.get_or_insert_with(|| number.earlier(BELOW));
        let (mut rank, _) = self.find(number, floor);
        if self.len >= self.ring.len() {
            if rank == 0 {
                self.floor = Some(number);
                return;
            }
            self.floor = self.get(0).or(self.floor);
            self.head = self.index(1);
            self.len = self.len.saturating_sub(1);
            rank = rank.saturating_sub(1);
        }
        let mut place = self.len;
        while place > rank {
            let below = place.saturating_sub(1);
            if let Some(moved) = self.get(below) {
                self.set(place, moved);
            }
            place = below;
        }
        self.set(rank, number);
        self.len = self.len.saturating_add(1);
    }

    fn highest(&self) -> Option<Sequence> {
        let last = self.len.checked_sub(1).and_then(|rank| self.get(rank));
        last.or(self.floor)
    }
}
