// SPDX-License-Identifier: GPL-2.0

//! What to do with a message about a state.

use super::frame::Discard;
use super::id::StateId;
use super::merge::{judge, Verdict};
use super::peer::Peer;
use super::state::{Received, State};
use super::update::Update;

/// What we know of a state, as pf would say it:
/// [`mapping::peers`](super::mapping::peers) tells it of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The IP protocol.
    pub protocol: u8,
    /// The initiator.
    pub src: Peer,
    /// The other side.
    pub dst: Peer,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)] // there is no heap to put the large one on
pub enum Course {
    /// Take it over; it is new.
    Insert(State),
    /// Take as much of it as is newer than what we know.
    Merge(Update, Verdict),
    /// Ask for all of it: we do not have it, and this is only a part.
    Request(StateId),
}

/// An INS or UPD came in of a state of which we know `known`.
///
/// Both are taken whether we have the state or not. OpenBSD refuses an INS of a
/// state that it has; but one that is sent again, because its confirmation was
/// lost, is no fault.
///
/// # Errors
///
/// Those of [`Received::for_insert`] if it is new, else of
/// [`Received::for_update`].
pub fn state(received: &Received<'_>, known: Option<&Known>) -> Result<Course, Discard> {
    match known {
        None => received.for_insert().map(Course::Insert),
        Some(known) => received.for_update().map(|update| merge(update, known)),
    }
}

/// An UPD_C came in of a state of which we know `known`.
#[must_use]
pub fn update(update: Update, known: Option<&Known>) -> Course {
    match known {
        None => Course::Request(update.id),
        Some(known) => merge(update, known),
    }
}

fn merge(update: Update, known: &Known) -> Course {
    let verdict = judge(known.protocol, &known.src, &known.dst, &update);
    Course::Merge(update, verdict)
}
