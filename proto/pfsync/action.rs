// SPDX-License-Identifier: GPL-2.0

//! What a section of a frame holds: its messages' type.

use super::compact;
use super::confirmation::FrameNumber;
use super::expectation;
use super::extra;
use super::id::StateId;
use super::short::{Bulk, Clear, Tdb};
use super::state::State;
use super::update::Update;

/// Linux only: what [authenticates](super::authentication) the frame whose last section it
/// is. It is no [`Action`], as it was looked at before anything else of the frame.
pub(super) const AUTHENTICATION: u8 = 0xc6;

/// Up to here OpenBSD has given numbers a meaning at some time.
const LAST_ASSIGNED: u8 = 15;

/// The type of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Action {
    /// CLR: delete all states of a creator.
    Clear = 0,
    /// INS_ACK: a state was inserted that asked for this.
    InsertAck = 2,
    /// UPD_C: what changes often in a state.
    UpdateCompressed = 4,
    /// UPD_REQ: send me this state, or all.
    Request = 5,
    /// DEL: a whole state, to be deleted.
    Delete = 6,
    /// DEL_C: the name of a state to be deleted.
    DeleteCompressed = 7,
    /// BUS: all states are about to follow, or have been sent.
    Bulk = 10,
    /// INS: a new state.
    Insert = 13,
    /// UPD: a whole state, known or not.
    Update = 14,
    /// TDB: the replay counters of an IPsec association.
    Tdb = 15,
    /// Linux only: what conntrack knows of the next state and pf does not.
    ///
    /// Far above what OpenBSD has assigned, so that it skips it, and so that
    /// what it will assign next does not meet it.
    Extra = 0xc1,
    /// Linux only: a connection that conntrack expects.
    Expectation = 0xc2,
    /// Linux only: a state, when only Linux listens.
    Compact = 0xc3,
    /// Linux only: the number of the frame that it is in.
    FrameNumber = 0xc4,
    /// Linux only: what of a numbered frame has arrived.
    Confirmation = 0xc5,
}

impl Action {
    const ALL: [Self; 15] = [
        Self::Clear,
        Self::InsertAck,
        Self::UpdateCompressed,
        Self::Request,
        Self::Delete,
        Self::DeleteCompressed,
        Self::Bulk,
        Self::Insert,
        Self::Update,
        Self::Tdb,
        Self::Extra,
        Self::Expectation,
        Self::Compact,
        Self::FrameNumber,
        Self::Confirmation,
    ];

    /// The action of this number, if it is one that is in use.
    #[must_use]
    pub fn new(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|action| *action as u8 == number)
    }

    /// The bytes that a message must have at least. What exceeds them belongs to
    /// a later revision and is not looked at.
    #[must_use]
    pub const fn message_len(self) -> usize {
        match self {
            Self::Clear => Clear::LEN,
            Self::InsertAck | Self::Request | Self::DeleteCompressed => StateId::LEN,
            Self::UpdateCompressed => Update::LEN,
            Self::Delete | Self::Insert | Self::Update => State::LEN,
            Self::Bulk => Bulk::LEN,
            Self::Tdb => Tdb::LEN,
            Self::Extra => extra::MIN_LEN,
            Self::Expectation => expectation::MIN_LEN,
            Self::Compact => compact::MIN_LEN,
            Self::FrameNumber | Self::Confirmation => FrameNumber::LEN,
        }
    }
}

/// Whether a number is old, deprecated or was never implemented, but is known.
///
/// OpenBSD skips sections of these whatever they look like; those of numbers
/// that it has never heard of must not be empty.
#[must_use]
pub fn is_unused(number: u8) -> bool {
    number <= LAST_ASSIGNED && Action::new(number).is_none()
}
