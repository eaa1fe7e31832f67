// SPDX-License-Identifier: GPL-2.0

//! Filling a frame.
//!
//! A [`Writer`] is given a buffer as long as a frame may be and takes one
//! message after the other until one does not fit. Messages of one type and
//! length that follow each other share a section.

use zerocopy::IntoBytes as _;

use super::action::Action;
use super::attributes::copy_to;
use super::compact;
use super::confirmation::{Confirmation, FrameNumber};
use super::conntrack::Entry;
use super::expectation::Expectation;
use super::extra::{Extra, GREETING};
use super::frame::{header, section_header, HEADER_LEN, SECTION_LEN};
use super::id::StateId;
use super::short::{Bulk, Clear, Tdb};
use super::state::State;
use super::update::Update;

/// A message to be sent.
#[derive(Clone, Copy, Debug)]
pub enum Outgoing<'a> {
    /// CLR
    Clear(&'a Clear),
    /// INS_ACK
    InsertAck(&'a StateId),
    /// UPD_C
    UpdateCompressed(&'a Update),
    /// UPD_REQ
    Request(&'a StateId),
    /// DEL. We send DEL_C, as OpenBSD does.
    Delete(&'a State),
    /// DEL_C
    DeleteCompressed(&'a StateId),
    /// BUS
    Bulk(&'a Bulk),
    /// INS
    Insert(&'a State),
    /// UPD
    Update(&'a State),
    /// TDB
    Tdb(&'a Tdb),
    /// What is to come just before the state that it belongs to.
    Extra(&'a StateId, &'a Extra),
    /// What a Linux host says of itself: an EXTRA of no state. It is to be the last in its
    /// frame, for some drop what follows a type that they do not know.
    Greeting,
    /// A connection that is expected.
    Expectation(&'a Expectation),
    /// What of a peer's frame has arrived.
    Confirmation(&'a Confirmation),
}

impl Outgoing<'_> {
    /// Its type.
    #[must_use]
    pub const fn action(&self) -> Action {
        match self {
            Self::Clear(_) => Action::Clear,
            Self::InsertAck(_) => Action::InsertAck,
            Self::UpdateCompressed(_) => Action::UpdateCompressed,
            Self::Request(_) => Action::Request,
            Self::Delete(_) => Action::Delete,
            Self::DeleteCompressed(_) => Action::DeleteCompressed,
            Self::Bulk(_) => Action::Bulk,
            Self::Insert(_) => Action::Insert,
            Self::Update(_) => Action::Update,
            Self::Tdb(_) => Action::Tdb,
            Self::Extra(..) | Self::Greeting => Action::Extra,
            Self::Expectation(_) => Action::Expectation,
            Self::Confirmation(_) => Action::Confirmation,
        }
    }

    /// Its bytes on the wire, without those of a section.
    #[must_use]
    pub fn message_len(&self) -> usize {
        match self {
            Self::Extra(_, extra) => extra.message_len(),
            Self::Greeting => GREETING.len(),
            Self::Confirmation(confirmation) => confirmation.message_len(),
            _ => self.action().message_len(),
        }
    }

    fn emit(&self, to: &mut [u8]) {
        let copy = |to: &mut [u8], from: &[u8]| copy_to(to, 0, from);
        match self {
            Self::Clear(clear) => copy(to, &clear.emit()),
            Self::InsertAck(id) | Self::Request(id) | Self::DeleteCompressed(id) => {
                copy(to, id.as_bytes());
            }
            Self::UpdateCompressed(update) => copy(to, &update.emit()),
            Self::Delete(state) | Self::Insert(state) | Self::Update(state) => {
                copy(to, &state.emit());
            }
            Self::Bulk(bulk) => copy(to, &bulk.emit()),
            Self::Tdb(tdb) => copy(to, &tdb.emit()),
            Self::Extra(id, extra) => extra.emit(id, to),
            Self::Greeting => copy(to, &GREETING),
            Self::Expectation(expectation) => copy(to, &expectation.emit()),
            Self::Confirmation(confirmation) => confirmation.emit(to),
        }
    }
}

/// There is no room for a message in what is left of a frame.
///
/// One that does not fit into an empty frame either can never be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// The section that is being filled.
#[derive(Clone, Copy)]
struct Open {
    at: usize,
    action: Action,
    words: u8,
    count: u16,
}

/// A frame that is being filled.
pub struct Writer<'b> {
    buffer: &'b mut [u8],
    /// Up to here there is nothing that would have to be sent.
    start: usize,
    len: usize,
    open: Option<Open>,
}

impl<'b> Writer<'b> {
    /// Begins a frame of at most `buffer`'s length: the MTU without the IP
    /// header. What the buffer holds is overwritten.
    ///
    /// # Errors
    ///
    /// [`Full`] if not even the header fits.
    pub fn new(buffer: &'b mut [u8]) -> Result<Self, Full> {
        if buffer.len() < HEADER_LEN {
            return Err(Full);
        }
        Ok(Self {
            buffer,
            start: HEADER_LEN,
            len: HEADER_LEN,
            open: None,
        })
    }

    /// Takes the number of a frame that is still empty back.
    pub fn take_number_back(&mut self) {
        if self.is_empty() {
            (self.start, self.len, self.open) = (HEADER_LEN, HEADER_LEN, None);
        }
    }

    /// Whether there is nothing in it yet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len <= self.start
    }

    /// Whether it has a number.
    #[must_use]
    pub const fn has_number(&self) -> bool {
        self.start > HEADER_LEN
    }

    /// Gives the frame, which is still empty, a number: its compact states are
    /// [confirmed](super::confirmation) by that.
    ///
    /// # Errors
    ///
    /// [`Full`] if there is no room for it. The frame is as before.
    pub fn set_number(&mut self, number: &FrameNumber) -> Result<(), Full> {
        let (section, start) = self.section(Action::FrameNumber, FrameNumber::LEN)?;
        let end = start.saturating_add(FrameNumber::LEN);
        let to = self.buffer.get_mut(start..end).ok_or(Full)?;
        copy_to(to, 0, &number.emit());
        self.pushed(section, end)?;
        self.start = end;
        Ok(())
    }

    /// Adds a message.
    ///
    /// # Errors
    ///
    /// [`Full`] if there is no room for it. The frame is as before.
    pub fn push(&mut self, message: Outgoing<'_>) -> Result<(), Full> {
        let len = message.message_len();
        let (section, start) = self.section(message.action(), len)?;
        let end = start.saturating_add(len);
        let to = self.buffer.get_mut(start..end).ok_or(Full)?;
        // Messages of variable length end with zeroes.
        to.fill(0);
        message.emit(to);
        self.pushed(section, end)
    }

    /// Adds a state as Linux tells it to Linux.
    ///
    /// # Errors
    ///
    /// [`Full`] if there is no room for it. The frame is as before.
    pub fn push_compact(&mut self, head: &compact::Head, entry: &Entry) -> Result<(), Full> {
        // How long it is, shows when it is written: as a rule as long as the one before,
        // so that it needs no section of its own.
        let behind = self.len.saturating_add(SECTION_LEN);
        let is_open = |open: &Open| open.action == Action::Compact;
        let first = match self.open.filter(is_open) {
            Some(_) => self.len,
            None => behind,
        };
        for place in [first, behind] {
            let to = self.buffer.get_mut(place..).ok_or(Full)?;
            let len = compact::emit(head, entry, to).ok_or(Full)?;
            let (section, start) = self.section(Action::Compact, len)?;
            if start == place {
                return self.pushed(section, start.saturating_add(len));
            }
        }
        Err(Full)
    }

    /// The section to which a message of this length belongs, with it, and where that
    /// begins.
    fn section(&self, action: Action, len: usize) -> Result<(Open, usize), Full> {
        // Lengths are whole words, of which a byte says how many.
        let words = u8::try_from(len / 4).map_err(|_| Full)?;
        let same = |open: &Open| open.action == action && open.words == words;
        Ok(match self.open.filter(same) {
            Some(Open { at, count, .. }) => {
                let count = count.checked_add(1).ok_or(Full)?;
                let open = Open {
                    at,
                    action,
                    words,
                    count,
                };
                (open, self.len)
            }
            None => {
                let open = Open {
                    at: self.len,
                    action,
                    words,
                    count: 1,
                };
                (open, self.len.saturating_add(SECTION_LEN))
            }
        })
    }

    /// A message was written, up to `end`.
    fn pushed(&mut self, section: Open, end: usize) -> Result<(), Full> {
        if end > usize::from(u16::MAX) {
            return Err(Full);
        }
        self.put(
            section.at,
            &section_header(section.action as u8, section.words, section.count),
        );
        self.open = Some(section);
        self.len = end;
        Ok(())
    }

    /// Adds a message about a state with what conntrack knows besides, or
    /// neither.
    ///
    /// # Errors
    ///
    /// [`Full`] if there is no room for both. The frame is as before.
    pub fn push_with(
        &mut self,
        id: &StateId,
        extra: Option<&Extra>,
        message: Outgoing<'_>,
    ) -> Result<(), Full> {
        let before = (self.len, self.open);
        if let Some(extra) = extra {
            self.push(Outgoing::Extra(id, extra))?;
        }
        self.push(message).inspect_err(|Full| {
            (self.len, self.open) = before;
            // The count may have grown already.
            if let Some(open) = self.open {
                self.put(
                    open.at,
                    &section_header(open.action as u8, open.words, open.count),
                );
            }
        })
    }

    /// Ends the section: the next message begins one, whatever it is.
    ///
    /// Between BUS START and BUS END: of a section of BUS, only the first
    /// message is read.
    pub fn end_section(&mut self) {
        self.open = None;
    }

    /// Writes the header. Returns the frame's length: so much of the buffer is
    /// to be sent.
    #[must_use]
    pub fn finish(mut self) -> usize {
        // push() keeps it that short
        let len = u16::try_from(self.len).unwrap_or(u16::MAX);
        self.put(0, &header(len));
        self.len
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        copy_to(self.buffer, at, bytes);
    }
}
