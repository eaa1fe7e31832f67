// SPDX-License-Identifier: GPL-2.0

//! Decides when the master announces which address.
//!
//! All addresses are announced when a host becomes master, and again later. Switches and
//! hosts limit the rate of ARP and neighbour discovery packets, so most of a thousand
//! announcements in one burst would be lost. A *round* through the addresses is therefore
//! sent in batches with a pause between them.
//!
//! The later batches delay nothing. All addresses have the same MAC address, which does
//! not change with the master: the first frame of a round shows switches where it is now,
//! and the neighbours' cache entries are still valid.

use core::net::IpAddr;

use super::time::{Instant, Interval};

/// The most addresses in a batch.
pub const BATCH: usize = 4;

/// The time between two batches of a round: 2/256 s.
pub const PAUSE: Interval = Interval(2);

/// Addresses that are to be announced now.
pub type Batch = [Option<IpAddr>; BATCH];

/// The addresses of an interface: the IPv4 ones and then the IPv6 ones, each family in
/// an order that stays the same while addresses come and go.
pub trait Addresses {
    /// Returns the address after `last`, or the first one if that is `None`. `last` may
    /// have been removed. Returns `None` at the end.
    fn next_after(&self, last: Option<IpAddr>) -> Option<IpAddr>;
}

/// A round that is not finished.
#[derive(Clone, Copy, Debug)]
struct Round {
    /// The last address that was announced. An address rather than an index, because
    /// addresses may be added and removed during a round.
    last: Option<IpAddr>,
    /// When the next batch is due.
    due: Instant,
}

/// The announcements of an interface.
#[derive(Clone, Debug, Default)]
pub struct Announcements {
    /// The time from the beginning of a round to the next one; `None`: a round is
    /// not repeated by itself.
    every: Option<Interval>,
    round: Option<Round>,
    /// When the next round begins, at the earliest.
    next: Option<Instant>,
    /// The last address of [`Self::in_turn`].
    turn: Option<IpAddr>,
}

impl Announcements {
    /// An interface that announces nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            every: None,
            round: None,
            next: None,
            turn: None,
        }
    }

    /// Begins a round through all addresses at `now`. If a round is under way, it is
    /// finished first.
    pub fn begin(&mut self, now: Instant) {
        if self.round.is_some() {
            self.next = Some(now);
        } else {
            self.start(now);
        }
    }

    fn start(&mut self, now: Instant) {
        self.round = Some(Round {
            last: None,
            due: now,
        });
        self.next = self.every.map(|every| now.after(every));
    }

    /// Ends all announcements: the host is not master any more.
    pub fn stop(&mut self) {
        self.round = None;
        self.next = None;
    }

    /// Sets how often a round is repeated, from `now` on if the host is `master`.
    pub fn repeat(&mut self, now: Instant, every: Option<Interval>, master: bool) {
        if self.every != every {
            self.every = every;
            self.next = every.map(|every| now.after(every)).filter(|_| master);
        }
    }

    /// When [`Self::due`] must be called next.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.round.map(|round| round.due).or(self.next)
    }

    /// Returns the addresses that are to be announced at `now`.
    #[must_use]
    pub fn due(&mut self, now: Instant, addresses: &impl Addresses) -> Batch {
        let mut batch = [None; BATCH];
        if self.round.is_none() && self.next.is_some_and(|next| next <= now) {
            self.start(now);
        }
        let Some(round) = self.round.as_mut().filter(|round| round.due <= now) else {
            return batch;
        };
        for slot in &mut batch {
            let Some(next) = addresses.next_after(round.last) else {
                break;
            };
            *slot = Some(next);
            round.last = Some(next);
        }
        round.due = now.after(PAUSE);
        if addresses.next_after(round.last).is_none() {
            self.next = self.next.map(|next| next.max(round.due));
            self.round = None;
        }
        batch
    }

    /// Returns the next address to announce where a single one is announced. It goes
    /// through all addresses in turn.
    #[must_use]
    pub fn in_turn(&mut self, addresses: &impl Addresses) -> Option<IpAddr> {
        let next = addresses.next_after(self.turn);
        self.turn = next.or_else(|| addresses.next_after(None));
        self.turn
    }
}
