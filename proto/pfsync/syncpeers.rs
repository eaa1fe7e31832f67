// SPDX-License-Identifier: GPL-2.0

//! Who has been heard, what systems they are as far as they have shown it, and so in
//! which form all are told of states.
//!
//! OpenBSD knows pf's messages alone. Linux reads those as well, with what stands beside
//! them; and, if it has said so in its greeting or speaks so itself, its own
//! [`compact`](super::compact) ones. A group hears what all in it understand.

use core::net::IpAddr;

use super::time::Instant;

/// So many are told apart; what more there are count as one.
pub const PEERS_MAX: usize = 8;

/// A host that was heard since the interface went up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Syncpeer {
    address: Option<IpAddr>,
    heard: Instant,
    frames: u64,
    confirmed: u32,
    is_linux: bool,
    is_pf: bool,
    tells_of_pf: bool,
    reads_compact: bool,
    reads_no_compact: bool,
}

impl Syncpeer {
    /// Where its frames come from; nothing for all that are not told apart.
    #[must_use]
    pub const fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// When its last frame came in.
    #[must_use]
    pub const fn heard(&self) -> Instant {
        self.heard
    }

    /// How many came in.
    #[must_use]
    pub const fn frames(&self) -> u64 {
        self.frames
    }

    /// Whether it has said something of Linux' own.
    #[must_use]
    pub const fn is_linux(&self) -> bool {
        self.is_linux
    }

    /// Whether it has said what only pf says.
    #[must_use]
    pub const fn is_pf(&self) -> bool {
        self.is_pf
    }

    /// How many frames were sent that it has not confirmed, `last` being the number of the
    /// last one; nothing, if it confirms no frames.
    #[must_use]
    pub fn behind(&self, last: u32) -> Option<u32> {
        (self.confirmed != 0).then(|| last.wrapping_sub(self.confirmed))
    }

    /// Something of Linux' own was heard.
    pub fn heard_linux(&mut self) {
        self.is_linux = true;
    }

    /// What only pf says was heard.
    pub fn heard_pf(&mut self) {
        self.is_pf = true;
    }

    /// A compact state was heard.
    pub fn heard_compact(&mut self) {
        self.is_linux = true;
        self.reads_compact = true;
    }

    /// A Linux host's greeting was heard, which says whether that reads compact states.
    pub fn heard_greeting(&mut self, reads_compact: bool) {
        self.is_linux = true;
        // It may have been another system before.
        self.is_pf = false;
        self.tells_of_pf = false;
        self.reads_compact = reads_compact;
        self.reads_no_compact = !reads_compact;
    }

    /// It has told of a host that is pf, which need not have been heard.
    pub fn heard_of_pf(&mut self) {
        self.tells_of_pf = true;
    }

    /// A bulk update has ended without the greeting that Linux sends with that: who has no
    /// states may be pf, and has not shown it yet.
    pub fn heard_end_without_greeting(&mut self) {
        self.reads_no_compact = true;
    }

    /// It has confirmed the frame of this number.
    pub fn has_confirmed(&mut self, number: u32) {
        let is_later = number.wrapping_sub(self.confirmed) < 1 << 31;
        if self.confirmed == 0 || is_later {
            self.confirmed = number;
        }
    }
}

/// All who have been heard since the interface went up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Syncpeers {
    /// The last one stands for all that are not told apart.
    peers: [Syncpeer; PEERS_MAX + 1],
    count: usize,
}

impl Syncpeers {
    /// A frame came in from this address. By what its sender is called from now on.
    pub fn heard(&mut self, address: IpAddr, now: Instant) -> usize {
        let known = self.iter().position(|peer| peer.address == Some(address));
        let number = known.unwrap_or_else(|| self.add(address));
        if let Some(peer) = self.peers.get_mut(number) {
            peer.heard = now;
            peer.frames = peer.frames.saturating_add(1);
        }
        number
    }

    fn add(&mut self, address: IpAddr) -> usize {
        let number = self.count.min(PEERS_MAX);
        self.count = number.saturating_add(1);
        if let Some(peer) = self.peers.get_mut(number) {
            peer.address = (number < PEERS_MAX).then_some(address);
        }
        number
    }

    /// One of them.
    pub fn get_mut(&mut self, number: usize) -> Option<&mut Syncpeer> {
        self.peers.get_mut(number)
    }

    /// All of them.
    pub fn iter(&self) -> core::slice::Iter<'_, Syncpeer> {
        self.peers.get(..self.count).unwrap_or_default().iter()
    }

    /// Whether it is one host that hears what is sent.
    #[must_use]
    pub const fn is_one(&self) -> bool {
        self.count == 1
    }

    /// Whether somebody is Linux.
    #[must_use]
    pub fn has_linux(&self) -> bool {
        self.iter().any(Syncpeer::is_linux)
    }

    /// Whether somebody is none, as OpenBSD: it has two states of each connection.
    #[must_use]
    pub fn has_pf(&self) -> bool {
        self.iter().any(|peer| peer.is_pf || peer.tells_of_pf)
    }

    /// Whether all are Linux, as far as anybody was heard: they confirm whatever they are
    /// asked to.
    #[must_use]
    pub fn all_confirm(&self) -> bool {
        self.has_linux() && !self.has_pf()
    }

    /// Whether states are told of in Linux' own form alone: all who were heard read it. Of
    /// those that are not told apart nobody knows.
    #[must_use]
    pub fn read_compact(&self) -> bool {
        let reads = |peer: &Syncpeer| peer.reads_compact && !peer.reads_no_compact;
        (1..=PEERS_MAX).contains(&self.count) && self.iter().all(reads) && !self.has_pf()
    }
}
