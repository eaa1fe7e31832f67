// SPDX-License-Identifier: GPL-2.0

//! Packets that wait until a peer has their state.
//!
//! With `defer`, the first packet of a connection is held for a moment: until a
//! peer confirms the state, with an INS_ACK or by any update of it, or until
//! 20 ms have passed. So the answer may come back through the peer.
//!
//! Source: `pfsync_defer`, `pfsync_deferred`.

use core::ops::DerefMut;

use super::time::{Instant, Millis};

/// How long a packet is held.
pub const HOLD: Millis = Millis(20);

/// How many packets are held; the oldest makes room for one more.
pub const HELD_MAX: usize = 128;

/// A packet that is held: its place, and which of the packets in it.
///
/// The state keeps it, to have the packet released. It does no harm to keep it
/// for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket {
    slot: u8,
    number: u64,
}

struct Held<T> {
    packet: T,
    number: u64,
    until: Instant,
}

/// Room for a packet.
pub struct Slot<T> {
    held: Option<Held<T>>,
    /// The next younger packet; or the next free slot.
    next: Option<u8>,
    /// The next older packet.
    previous: Option<u8>,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self {
            held: None,
            next: None,
            previous: None,
        }
    }
}

/// The packets that are held; `T` is what the driver has of a packet, and `S` the
/// room for them, which the driver provides: some kilobytes are nothing for a
/// kernel's stack.
pub struct Deferred<T, S: DerefMut<Target = [Slot<T>]>> {
    slots: S,
    oldest: Option<u8>,
    youngest: Option<u8>,
    free: Option<u8>,
    count: u64,
}

impl<T, S: DerefMut<Target = [Slot<T>]>> Deferred<T, S> {
    /// None yet. Of the room as much is used as there is, up to [`HELD_MAX`].
    #[must_use]
    pub fn new(mut slots: S) -> Self {
        let len = slots.len().min(HELD_MAX);
        for (index, slot) in slots.iter_mut().take(len).enumerate() {
            let next = index.saturating_add(1);
            *slot = Slot {
                next: u8::try_from(next).ok().filter(|_| next < len),
                ..Slot::default()
            };
        }
        Self {
            slots,
            oldest: None,
            youngest: None,
            free: (len > 0).then_some(0),
            count: 0,
        }
    }

    /// Holds a packet. Returns by what to release it, and the oldest packet if
    /// there was no room: it is to be sent now.
    ///
    /// The state's INS is to be sent at once, and wants an INS_ACK.
    pub fn hold(&mut self, now: Instant, packet: T) -> (Option<Ticket>, Option<T>) {
        let early = match (self.free, self.oldest) {
            (None, Some(oldest)) => self.remove(oldest),
            _ => None,
        };
        self.count = self.count.wrapping_add(1);
        let number = self.count;
        let youngest = self.youngest;
        let Some(index) = self.free else {
            // There is always room now; who holds a packet must not lose it.
            return (None, Some(packet));
        };
        let Some(slot) = self.slots.get_mut(usize::from(index)) else {
            return (None, Some(packet));
        };
        self.free = slot.next;
        *slot = Slot {
            held: Some(Held {
                packet,
                number,
                until: HOLD.after(now),
            }),
            next: None,
            previous: youngest,
        };
        self.youngest = Some(index);
        match youngest.and_then(|youngest| self.slots.get_mut(usize::from(youngest))) {
            Some(slot) => slot.next = Some(index),
            None => self.oldest = Some(index),
        }
        let ticket = Ticket {
            slot: index,
            number,
        };
        (Some(ticket), early)
    }

    /// A peer has the state. Returns the packet, to be sent now, if it is still
    /// held.
    pub fn release(&mut self, ticket: Ticket) -> Option<T> {
        let slot = self.slots.get(usize::from(ticket.slot))?;
        let held = slot.held.as_ref()?;
        match held.number == ticket.number {
            true => self.remove(ticket.slot),
            false => None,
        }
    }

    /// A packet that was held for long enough, to be sent now. To be called
    /// until there is none.
    pub fn expired(&mut self, now: Instant) -> Option<T> {
        match self.deadline()? <= now {
            true => self.any(),
            false => None,
        }
    }

    /// The oldest packet, however long it was held: when the interface goes
    /// down, to be called until there is none.
    pub fn any(&mut self) -> Option<T> {
        self.remove(self.oldest?)
    }

    /// When the oldest packet has been held for long enough.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let slot = self.slots.get(usize::from(self.oldest?))?;
        slot.held.as_ref().map(|held| held.until)
    }

    fn remove(&mut self, index: u8) -> Option<T> {
        let slot = self.slots.get_mut(usize::from(index))?;
        let held = slot.held.take()?;
        let (previous, next) = (slot.previous.take(), slot.next);
        slot.next = self.free;
        self.free = Some(index);
        match previous.and_then(|previous| self.slots.get_mut(usize::from(previous))) {
            Some(slot) => slot.next = next,
            None => self.oldest = next,
        }
        match next.and_then(|next| self.slots.get_mut(usize::from(next))) {
            Some(slot) => slot.previous = previous,
            None => self.youngest = previous,
        }
        Some(held.packet)
    }
}
