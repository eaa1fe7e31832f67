// SPDX-License-Identifier: GPL-2.0

//! Whose knowledge of a state is newer.
//!
//! Two hosts may see different packets of one connection, and messages overtake
//! each other. So each of the two peers is judged alone, and none ever goes
//! back. Source: `pfsync_upd_tcp`, `pfsync_in_upd`, `pfsync_in_upd_c`.

use super::conntrack::protocol;
use super::peer::{Peer, PeerState};
use super::update::Update;

/// What to take of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Verdict {
    /// The initiator of the update is at least as new as ours.
    pub take_src: bool,
    /// The other side is.
    pub take_dst: bool,
}

impl Verdict {
    /// Takes both or neither.
    #[must_use]
    pub const fn both(take: bool) -> Self {
        Self {
            take_src: take,
            take_dst: take,
        }
    }

    /// How much of the update was stale: 0, 1 or 2 peers. If any, it counts as
    /// "stale", and ours is to be sent back.
    #[must_use]
    pub const fn stale(self) -> u8 {
        match (self.take_src, self.take_dst) {
            (true, true) => 0,
            (false, false) => 2,
            _ => 1,
        }
    }

    /// Whether the timeout class is taken, and its full timeout starts again:
    /// unless both peers were stale.
    #[must_use]
    pub const fn take_timeout(self) -> bool {
        self.take_src || self.take_dst
    }
}

/// Judges what `update` says of a state whose peers we know as `src` and `dst`.
#[must_use]
pub fn judge(protocol: u8, src: &Peer, dst: &Peer, update: &Update) -> Verdict {
    let tcp = protocol == protocol::TCP;
    Verdict {
        take_src: is_newer(tcp, src, &update.src),
        take_dst: is_newer(tcp, dst, &update.dst),
    }
}

/// Whether `theirs` is not behind `ours`.
fn is_newer(tcp: bool, ours: &Peer, theirs: &Peer) -> bool {
    if !tcp {
        return theirs.state >= ours.state;
    }
    // A proxy's states are high numbers, but they come first.
    if ours.state.is_proxy() != theirs.state.is_proxy() {
        return ours.state.is_proxy();
    }
    if ours.state != theirs.state {
        return theirs.state > ours.state;
    }
    // Before its SYN a side has no sequence number that could be compared.
    ours.state < PeerState::SYN_SENT || !is_after(ours.seqlo, theirs.seqlo)
}

/// Whether the sequence number `a` comes after `b`, in a circle of 2^32.
const fn is_after(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) > 0
}
