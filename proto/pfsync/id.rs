// SPDX-License-Identifier: GPL-2.0

//! What a state is called on the wire.

use zerocopy_derive::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The host that made a state: random at its start, never all zeroes.
///
/// Its bytes mean nothing and are never turned around.
pub type Creator = [u8; 4];

/// The name of a state, the same on all hosts: a number that its creator chose,
/// and the creator.
///
/// Also the bytes of the wire, for the messages that say nothing else.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    FromBytes,
    IntoBytes,
    KnownLayout,
    Immutable,
    Unaligned,
)]
#[repr(C)]
pub struct StateId {
    /// The creator's number for it.
    pub id: [u8; 8],
    /// Who made it.
    pub creator: Creator,
}

impl StateId {
    /// Bytes on the wire.
    pub const LEN: usize = size_of::<Self>();

    /// In a UPD_REQ: all states.
    pub const EVERYTHING: Self = Self {
        id: [0; 8],
        creator: [0; 4],
    };

    /// Whether a request of this name asks for all states.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        *self == Self::EVERYTHING
    }
}

const _: () = assert!(StateId::LEN == 12);
