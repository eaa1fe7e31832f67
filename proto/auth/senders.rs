// SPDX-License-Identifier: GPL-2.0

//! Senders, and which of their numbers were there before.
//!
//! There are a few slots. A sender takes one with its first packet that has a good HMAC, so
//! strangers take none; but a group may have more hosts than there are slots, and a host
//! other addresses. What then?
//!
//! - To forget a sender is to believe its recordings again: in mode `Monotonic` all of them,
//!   in mode `Time` those within the window.
//! - To refuse who finds no slot is to have two masters, as soon as that one is the master.
//!
//! So what is forgotten leaves something behind: the *floor*, the greatest number of all
//! senders that have given up their slot. Who has no slot must be above it. Then for each
//! sender, everything that was ever believed of it is not above its slot's mark, or not above
//! the floor, and no recording is believed again, however many senders there are.
//!
//! The slot that is given up is that with the lowest mark, the new sender's own included,
//! for it raises the floor least. Where clocks agree it is also the one that was silent for
//! longest. (The least recently used one need not have the lowest mark, where
//! clocks do not agree: a dead sender's whose clock was ahead would lift the floor above
//! everybody else's clock.) Senders beyond the slots share the floor as one mark: one of them
//! is refused if another one, whose clock is ahead of its own, was heard just before. A group
//! has one master, so it takes more than eight hosts that all advertise at once.
//!
//! In mode `Time` the floor begins with the receiver's clock as it was when it started: who
//! has just started remembers nothing, and would believe what was sent just before. A sender
//! whose clock is behind is refused for as long as it is behind, once.
//!
//! Marks and the floor expire when the receiver's clock is set back by more than the window.
//! Those that are far behind the clock stay until somebody needs the slot; they do no harm,
//! and are still right if the clock returns.

use core::net::IpAddr;

use super::freshness::Freshness;
use super::mode::Outcome;
use super::sequence::Sequence;

/// What is remembered of one sender.
pub trait History {
    /// Forgets everything: numbers up to `floor` are not believed, if there is one.
    fn begin(&mut self, floor: Option<Sequence>);

    /// Whether a number within the window is new.
    ///
    /// # Errors
    ///
    /// [`Outcome::Replayed`] or [`Outcome::Stale`]
    fn judge(&self, number: Sequence, freshness: Freshness, clock: Sequence)
        -> Result<(), Outcome>;

    /// Remembers a number that is new.
    fn take(&mut self, number: Sequence, freshness: Freshness, clock: Sequence);

    /// The greatest number; everything that was believed is not above it.
    fn highest(&self) -> Option<Sequence>;
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot<H> {
    sender: Option<IpAddr>,
    history: H,
    /// Whether it was told that this sender's clock is far from ours.
    is_apart: bool,
}

/// Up to `N` senders that are told apart, and the others.
///
/// With a slot for each, as for the peers of an interface that hears no others, none is
/// ever given up. For those that come by multicast [`MULTICAST`] will do.
#[derive(Clone, Debug)]
pub struct Senders<H, const N: usize> {
    slots: [Slot<H>; N],
    floor: Option<Sequence>,
}

/// Slots for senders that come by multicast.
pub const MULTICAST: usize = 8;

impl<H: History, const N: usize> Senders<H, N> {
    /// Nobody yet. `floor`: numbers up to this one are not believed.
    #[must_use]
    pub fn new(histories: [H; N], floor: Option<Sequence>) -> Self {
        let slot = |history| Slot {
            sender: None,
            history,
            is_apart: false,
        };
        Self {
            slots: histories.map(slot),
            floor,
        }
    }

    /// Whether a number within the window is new for its sender.
    ///
    /// # Errors
    ///
    /// [`Outcome::Replayed`] or [`Outcome::Stale`]
    pub(super) fn judge(
        &self,
        sender: IpAddr,
        number: Sequence,
        freshness: Freshness,
        clock: Sequence,
    ) -> Result<(), Outcome> {
        let mut slots = self.slots.iter();
        if let Some(slot) = slots.find(|slot| slot.sender == Some(sender)) {
            return slot.history.judge(number, freshness, clock);
        }
        match self.floor {
            Some(floor) if !freshness.is_expired(floor, clock) && !number.is_after(floor) => {
                Err(Outcome::Stale)
            }
            _ => Ok(()),
        }
    }

    /// Remembers a number that [`Self::judge`] found new. Returns whether the sender's clock
    /// has come to be far from ours, or close again.
    pub(super) fn take(
        &mut self,
        sender: IpAddr,
        number: Sequence,
        freshness: Freshness,
        clock: Sequence,
    ) -> Option<bool> {
        let slot = self.slot(sender, number, freshness, clock)?;
        slot.history.take(number, freshness, clock);
        let is_apart = freshness.is_apart(number, clock, slot.is_apart);
        let changed = is_apart != slot.is_apart;
        slot.is_apart = is_apart;
        changed.then_some(is_apart)
    }

    /// The sender's slot; `None` if it has none after this.
    fn slot(
        &mut self,
        sender: IpAddr,
        number: Sequence,
        freshness: Freshness,
        clock: Sequence,
    ) -> Option<&mut Slot<H>> {
        let mut slots = self.slots.iter();
        let known = slots.position(|slot| slot.sender == Some(sender));
        if let Some(index) = known {
            return self.slots.get_mut(index);
        }
        let expired = |mark: &Sequence| freshness.is_expired(*mark, clock);
        self.floor = self.floor.filter(|floor| !expired(floor));
        // The mark of a slot, if it is worth anything.
        let mark = |slot: &Slot<H>| {
            slot.sender?;
            slot.history.highest().filter(|mark| !expired(mark))
        };
        let mut lowest = number;
        let mut place = None;
        for (index, slot) in self.slots.iter().enumerate() {
            match mark(slot) {
                None => {
                    place = Some((index, None));
                    break;
                }
                Some(mark) if lowest.is_after(mark) => {
                    lowest = mark;
                    place = Some((index, Some(mark)));
                }
                Some(_) => (),
            }
        }
        let left = match place {
            Some((_, mark)) => mark,
            None => Some(number),
        };
        // The new one has its own beginning: what the floor was before.
        let before = self.floor;
        if let Some(left) = left {
            if before.is_none_or(|floor| left.is_after(floor)) {
                self.floor = Some(left);
            }
        }
        let (index, _) = place?;
        let slot = self.slots.get_mut(index)?;
        slot.sender = Some(sender);
        slot.is_apart = false;
        slot.history.begin(before);
        Some(slot)
    }
}
