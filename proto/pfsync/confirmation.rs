// SPDX-License-Identifier: GPL-2.0

//! Confirming what a frame of [`compact`](super::compact) states told, all at once.
//!
//! The sender gives such a frame a number. Who has read it answers with that number and a
//! bit for each of the frame's compact states, in their order: whether it is here now.
//! `docs/pfsync-linux.md` describes the bytes.

use zerocopy::byteorder::network_endian::U32;
use zerocopy::{FromBytes as _, IntoBytes as _};
use zerocopy_derive::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::id::Creator;

/// So many compact states are in one frame at most.
pub const STATES_MAX: usize = WORDS * 32;

/// Words of bits.
const WORDS: usize = 8;

/// What a frame is called: the number is its sender's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FrameNumber {
    /// Who sent it.
    pub creator: Creator,
    /// Grows from frame to frame, and begins anew after the last one. Never 0.
    pub number: u32,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct FrameNumberWire {
    creator: Creator,
    number: U32,
}

impl FrameNumber {
    /// Bytes on the wire.
    pub const LEN: usize = size_of::<FrameNumberWire>();

    /// `None` if it is too short.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (wire, _) = FrameNumberWire::ref_from_prefix(bytes).ok()?;
        Some(Self {
            creator: wire.creator,
            number: wire.number.get(),
        })
    }

    /// The bytes of the message.
    #[must_use]
    pub fn emit(&self) -> [u8; Self::LEN] {
        zerocopy::transmute!(FrameNumberWire {
            creator: self.creator,
            number: U32::new(self.number),
        })
    }
}

/// Which of a frame's states have arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Confirmation {
    /// Of which frame.
    pub frame: FrameNumber,
    /// How many states were read.
    count: usize,
    bits: [u32; WORDS],
}

impl Confirmation {
    /// Of a frame of which nothing is read yet.
    #[must_use]
    pub fn new(frame: FrameNumber) -> Self {
        Self {
            frame,
            ..Self::default()
        }
    }

    /// The next state of the frame was read, and `is_here` now. What exceeds
    /// [`STATES_MAX`] is not confirmed.
    pub fn read(&mut self, is_here: bool) {
        if let Some(word) = self.bits.get_mut(self.count / 32) {
            *word |= u32::from(is_here) << (self.count % 32);
            self.count = self.count.saturating_add(1);
        }
    }

    /// How many states were read, here or not; of one that came in a multiple of 32.
    #[must_use]
    pub const fn states(&self) -> usize {
        self.count
    }

    /// Whether the state of this place is here.
    #[must_use]
    pub fn is_here(&self, place: usize) -> bool {
        let word = self.bits.get(place / 32).copied().unwrap_or_default();
        (word >> (place % 32)) & 1 != 0
    }

    /// How many are here.
    #[must_use]
    pub fn here(&self) -> u32 {
        self.bits.iter().map(|word| word.count_ones()).sum()
    }

    /// `None` if it is too short. Words that exceed [`STATES_MAX`] are not looked at.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let frame = FrameNumber::parse(bytes)?;
        let mut this = Self::new(frame);
        let words = bytes.get(FrameNumber::LEN..)?.chunks_exact(4);
        for (to, word) in this.bits.iter_mut().zip(words) {
            *to = U32::read_from_bytes(word).ok()?.get();
            this.count = this.count.saturating_add(32);
        }
        Some(this)
    }

    /// Bytes on the wire: so many words of bits as there are states.
    #[must_use]
    pub const fn message_len(&self) -> usize {
        FrameNumber::LEN.saturating_add(self.count.div_ceil(32).saturating_mul(4))
    }

    /// Writes the message to `to`, which is [`Self::message_len`] long.
    pub(super) fn emit(&self, to: &mut [u8]) {
        let Some((head, words)) = to.split_at_mut_checked(FrameNumber::LEN) else {
            return;
        };
        super::attributes::copy_to(head, 0, &self.frame.emit());
        for (to, word) in words.chunks_exact_mut(4).zip(self.bits) {
            super::attributes::copy_to(to, 0, U32::new(word).as_bytes());
        }
    }
}
