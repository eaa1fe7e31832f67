// SPDX-License-Identifier: GPL-2.0

//! The messages of a section.

use zerocopy::FromBytes as _;

use super::action::Action;
use super::compact;
use super::confirmation::{Confirmation, FrameNumber};
use super::expectation;
use super::extra;
use super::id::StateId;
use super::short::{Bulk, Clear, Tdb};
use super::state;

/// A received message.
///
/// Where values of a message can be wrong, they are not checked yet: what is
/// then done depends on what it is for.
#[derive(Clone, Copy)]
pub enum Message<'a> {
    /// Delete all states of a creator.
    Clear(Clear),
    /// The peer has inserted a state of ours.
    InsertAck(StateId),
    /// [`Update::parse`](super::update::Update::parse) reads it.
    UpdateCompressed(&'a [u8]),
    /// Send this state, or all.
    Request(StateId),
    /// Delete a state. Of all that is sent, only the name counts.
    Delete(StateId),
    /// Delete a state.
    DeleteCompressed(StateId),
    /// A bulk update starts or ends.
    Bulk(Bulk),
    /// A new state.
    Insert(state::Received<'a>),
    /// A whole state, known or not.
    Update(state::Received<'a>),
    /// An IPsec association's counters.
    Tdb(Tdb),
    /// What conntrack knows of the next state and pf does not.
    Extra(extra::Received<'a>),
    /// A connection that conntrack expects.
    Expectation(expectation::Received<'a>),
    /// A state, as Linux tells it to Linux.
    Compact(compact::Received<'a>),
    /// What the frame is called that it is in.
    FrameNumber(FrameNumber),
    /// What of a frame of somebody's has arrived.
    Confirmation(Confirmation),
}

impl<'a> Message<'a> {
    fn parse(action: Action, bytes: &'a [u8]) -> Option<Self> {
        let name = || StateId::read_from_prefix(bytes).ok().map(|(id, _)| id);
        Some(match action {
            Action::Clear => Self::Clear(Clear::parse(bytes)?),
            Action::InsertAck => Self::InsertAck(name()?),
            Action::UpdateCompressed => Self::UpdateCompressed(bytes),
            Action::Request => Self::Request(name()?),
            Action::Delete => Self::Delete(state::Received::new(bytes)?.id()),
            Action::DeleteCompressed => Self::DeleteCompressed(name()?),
            Action::Bulk => Self::Bulk(Bulk::parse(bytes)?),
            Action::Insert => Self::Insert(state::Received::new(bytes)?),
            Action::Update => Self::Update(state::Received::new(bytes)?),
            Action::Tdb => Self::Tdb(Tdb::parse(bytes)?),
            Action::Extra => Self::Extra(extra::Received::new(bytes)?),
            Action::Expectation => Self::Expectation(expectation::Received::new(bytes)?),
            Action::Compact => Self::Compact(compact::Received::new(bytes)?),
            Action::FrameNumber => Self::FrameNumber(FrameNumber::parse(bytes)?),
            Action::Confirmation => Self::Confirmation(Confirmation::parse(bytes)?),
        })
    }
}

/// The messages of a section, one after the other.
#[derive(Clone)]
pub struct Messages<'a> {
    action: Action,
    len: usize,
    rest: &'a [u8],
}

impl<'a> Messages<'a> {
    /// `len` is that of one message and at least its action's.
    pub(super) const fn new(action: Action, len: usize, rest: &'a [u8]) -> Self {
        Self { action, len, rest }
    }

    /// What type they are of.
    #[must_use]
    pub const fn action(&self) -> Action {
        self.action
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Message<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let (message, rest) = self.rest.split_at_checked(self.len)?;
        // Of BUS only the first is read, as OpenBSD does: the others would say
        // what the first has said.
        self.rest = match self.action {
            Action::Bulk => &[],
            _ => rest,
        };
        Message::parse(self.action, message)
    }
}
