// SPDX-License-Identifier: GPL-2.0

//! Two names for one five-tuple: one connection that two hosts have named, or two, of
//! which one is a thing of the past.
//!
//! An old copy of a connection must never harm a new one with the same ports. Linux
//! enforces windows, so what was taken of the wrong one would have packets dropped.

use super::conntrack::{protocol, Entry};
use super::id::StateId;
use super::mapping::peers;
use super::peer::{Peer, PeerState};
use super::state::State;

/// What a host knows of a state to which a peer gives another name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Twin {
    /// The host's own name for it.
    pub id: StateId,
    /// The initiator.
    pub src: Peer,
    /// The other side.
    pub dst: Peer,
    /// How many seconds it has lived; more, if the host does not know.
    pub age: u32,
}

impl Twin {
    /// What a peer tells of it.
    #[must_use]
    pub const fn from_state(state: &State) -> Self {
        Self {
            id: state.id,
            src: state.src,
            dst: state.dst,
            age: state.creation,
        }
    }

    /// What this host knows of it, as `entry`.
    #[must_use]
    pub fn from_entry(id: StateId, entry: &Entry) -> Self {
        let (src, dst, _) = peers(entry);
        let age = entry.age;
        Self { id, src, dst, age }
    }

    /// Whether it began after the other one did, by more than what may be chance.
    #[must_use]
    pub const fn is_later(&self, other: &Self) -> bool {
        self.age.saturating_add(YOUNGER) < other.age
    }

    /// Whether both ends have said their last word. A proxy's states are high numbers, but
    /// they come first.
    fn is_over(&self) -> bool {
        [self.src, self.dst]
            .iter()
            .all(|peer| peer.state >= PeerState::FIN_WAIT_2 && !peer.state.is_proxy())
    }

    fn is_new(&self) -> bool {
        self.src.state.min(self.dst.state) <= PeerState::SYN_SENT
    }

    /// Whether the sequence numbers of both are those of one connection, one a little
    /// behind the other: as far as a side has one.
    fn is_near(&self, other: &Self) -> bool {
        let near = |ours: &Peer, theirs: &Peer| {
            // Who has put it into the table without a packet, as conntrackd, knew none.
            let is_known = |peer: &Peer| (peer.seqlo, peer.seqhi, peer.max_win) != (0, 0, 0);
            let has_number = |peer: &Peer| {
                peer.state >= PeerState::SYN_SENT && !peer.state.is_proxy() && is_known(peer)
            };
            let ahead = ours.seqlo.wrapping_sub(theirs.seqlo) as i32;
            !has_number(ours) || !has_number(theirs) || ahead.unsigned_abs() < NEAR
        };
        near(&self.src, &other.src) && near(&self.dst, &other.dst)
    }
}

/// What packets have told this host of a state to which a peer gives another name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// It is a copy: a peer has told of it last.
    Copy,
    /// It was in the table before the host looked into that; nobody has told of it since.
    Found,
    /// A packet of it has passed since a peer told of it.
    Passed,
}

/// Of two states with the same tuples and different names: whether they are one
/// connection, or which of them is a thing of the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Twins {
    /// One connection, as far as can be told. `take`: what the peer says of it may be
    /// taken, where that is newer.
    Same {
        /// Not, if packets here know better.
        take: bool,
    },
    /// Ours is over, and a new connection has taken its ports; or it is but an old copy.
    OursIsOver,
    /// Theirs is.
    TheirsIsOver,
    /// They are two connections, and both hosts have seen packets: nobody can say which
    /// of them lives.
    Unsure,
}

/// Sequence numbers that are farther apart are not those of one connection. Those of two
/// are nearer once in a thousand times.
const NEAR: u32 = 1 << 26;

/// By how many seconds a connection must be younger to be the later one: a message takes
/// its time, and the rest is rounding.
const YOUNGER: u32 = 2;

/// Compares a state of ours with one that has another name.
///
/// A TCP state that is over has high numbers, and [`judge`](super::merge::judge) would take it for the newer
/// one: a connection would end as it begins. An old copy of a connection may have higher
/// sequence numbers than a new one with the same ports, and what conntrack enforced for
/// that would be windows that were never its own.
///
/// `is_whole`: both are all that their hosts have of a connection, as Linux, or both are the
/// same one of pf's two states, that where it comes in or that where it goes out. The
/// numbers that a host gives to those grow.
#[must_use]
pub fn twins(protocol: u8, ours: &Twin, used: Use, theirs: &Twin, is_whole: bool) -> Twins {
    let is_tcp = protocol == protocol::TCP;
    let is_near = !is_tcp || ours.is_near(theirs);
    let by_number = match used {
        Use::Copy => true,
        // A number that was given to what was there says nothing of when it began.
        Use::Found => false,
        // Who has lost an entry names what its packets make anew: it is the same connection.
        Use::Passed => !is_near,
    };
    if is_whole && ours.id.creator == theirs.id.creator && by_number {
        return match ours.id.id < theirs.id.id {
            true => Twins::OursIsOver,
            false => Twins::TheirsIsOver,
        };
    }
    if is_tcp && ours.is_over() && theirs.is_new() {
        return Twins::OursIsOver;
    }
    if is_tcp && ours.is_new() && theirs.is_over() {
        return Twins::TheirsIsOver;
    }
    match used {
        // Whatever it was, theirs is what somebody knows of it now; unless that is old, too.
        Use::Copy if is_whole => match !is_near && (theirs.is_over() || ours.is_later(theirs)) {
            true => Twins::TheirsIsOver,
            false => Twins::OursIsOver,
        },
        Use::Copy => Twins::Same { take: true },
        // A handshake is seen by both, if anything is.
        _ if is_near => Twins::Same {
            take: !is_tcp || used == Use::Found || ours.is_new(),
        },
        _ if theirs.is_later(ours) => Twins::OursIsOver,
        _ if ours.is_later(theirs) => Twins::TheirsIsOver,
        Use::Found => Twins::OursIsOver,
        _ => Twins::Unsure,
    }
}

/// Compares a state of pf's with the other one of its two, by the packets between both.
///
/// `None`: another host made it, so they do not belong together. One of two may be left
/// of an older connection, whose end was not heard.
#[must_use]
pub fn halves(protocol: u8, ours: &Twin, theirs: &Twin) -> Option<Twins> {
    if ours.id.creator != theirs.id.creator {
        return None;
    }
    let is_one = protocol != protocol::TCP || ours.is_near(theirs);
    Some(if is_one {
        Twins::Same { take: true }
    } else if theirs.is_later(ours) {
        Twins::OursIsOver
    } else if ours.is_later(theirs) {
        Twins::TheirsIsOver
    } else {
        // pf has changed the sequence numbers of one of the two.
        Twins::Same { take: false }
    })
}
