// SPDX-License-Identifier: GPL-2.0

//! Judging what comes in, in two steps: before the HMAC and after it.
//!
//! What can be refused without an HMAC is refused before, so that recordings cost next to
//! nothing; what is remembered is changed after it. In between stand two types: nothing but a
//! [`Verified`] moves a mark, and nothing but an HMAC makes one.

use core::fmt;
use core::net::IpAddr;

use super::super::carp::digest::equal;
use super::freshness::Freshness;
use super::key::{KeyId, Keys};
use super::mac::{Covered, Mac};
use super::mode::Outcome;
use super::senders::{History, Senders};
use super::sequence::Sequence;
use super::trailer::{Malformed, Trailer};

/// What has a trailer that may be good.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Unverified {
    sender: IpAddr,
    trailer: Trailer,
}

/// What was signed by a key of ours.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Verified {
    sender: IpAddr,
    number: Sequence,
}

impl Unverified {
    /// By which key it says that it was signed: one that there is.
    #[must_use]
    pub const fn key(&self) -> KeyId {
        self.trailer.key
    }

    /// Compares the HMAC, in constant time. `packet` is the one whose trailer this is; `key`
    /// that of [`Self::key`].
    ///
    /// # Errors
    ///
    /// [`Outcome::BadHmac`]
    pub fn verify<M: Mac>(self, key: &M, packet: Covered<'_>) -> Result<Verified, Outcome> {
        let Self { sender, trailer } = self;
        if !equal(&packet.tag(key, sender, &trailer), &trailer.tag) {
            return Err(Outcome::BadHmac);
        }
        Ok(Verified {
            sender,
            number: trailer.sequence,
        })
    }
}

/// To be told once, until the other one comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The sender's clock is half a window or more from ours: this many nanoseconds ahead, or
    /// behind, if less than 0. How long the packet was on its way counts.
    Apart(i64),
    /// It is close to ours again.
    Together,
}

impl fmt::Display for Notice {
    /// What is said of the sender's clock.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = |nanos: i64| nanos.unsigned_abs() / 1_000_000;
        match *self {
            Self::Apart(nanos @ ..0) => write!(f, "{} ms behind ours", milliseconds(nanos)),
            Self::Apart(nanos) => write!(f, "{} ms ahead of ours", milliseconds(nanos)),
            Self::Together => f.write_str("close to ours again"),
        }
    }
}

/// Who is believed, and what was.
#[derive(Clone, Debug)]
pub struct Receiver<H, const N: usize> {
    freshness: Freshness,
    senders: Senders<H, N>,
}

impl<H: History, const N: usize> Receiver<H, N> {
    /// One that starts now, with memory for `N` senders.
    ///
    /// Nothing is kept over a restart, so it does not believe what was sent before, where
    /// clocks can tell.
    #[must_use]
    pub fn new(freshness: Freshness, histories: [H; N], clock: Sequence) -> Self {
        let floor = match freshness {
            Freshness::Time(_) => Some(clock),
            Freshness::Monotonic => None,
        };
        Self {
            freshness,
            senders: Senders::new(histories, floor),
        }
    }

    /// Judges by other rules from now on. What was there stays so.
    pub fn set_freshness(&mut self, freshness: Freshness) {
        self.freshness = freshness;
    }

    /// By which rules it judges.
    #[must_use]
    pub const fn freshness(&self) -> Freshness {
        self.freshness
    }

    /// Judges a packet from `sender`, as far as can be without an HMAC. Nothing changes.
    ///
    /// # Errors
    ///
    /// Any [`Outcome`] but `BadHmac` and `Good`
    pub fn examine<K>(
        &self,
        keys: &Keys<K>,
        sender: IpAddr,
        trailer: Result<Option<Trailer>, Malformed>,
        clock: Sequence,
    ) -> Result<Unverified, Outcome> {
        let trailer = match trailer {
            Ok(Some(trailer)) => trailer,
            Ok(None) => return Err(Outcome::Missing),
            Err(Malformed) => return Err(Outcome::Malformed),
        };
        if keys.get(trailer.key).is_none() {
            return Err(Outcome::UnknownKey);
        }
        self.judge(sender, trailer.sequence, clock)?;
        Ok(Unverified { sender, trailer })
    }

    fn judge(&self, sender: IpAddr, number: Sequence, clock: Sequence) -> Result<(), Outcome> {
        if self.freshness.is_stale(number, clock) {
            return Err(Outcome::Stale);
        }
        self.senders.judge(sender, number, self.freshness, clock)
    }

    /// Believes a packet whose HMAC is good, and remembers its number: it is
    /// [`Outcome::Good`], unless another one came in between.
    ///
    /// # Errors
    ///
    /// [`Outcome::Replayed`] or [`Outcome::Stale`]
    pub fn accept(&mut self, packet: Verified, clock: Sequence) -> Result<Option<Notice>, Outcome> {
        let Verified { sender, number } = packet;
        self.judge(sender, number, clock)?;
        let changed = self.senders.take(sender, number, self.freshness, clock);
        Ok(changed.map(|is_apart| match is_apart {
            true => Notice::Apart(number.nanos_after(clock)),
            false => Notice::Together,
        }))
    }

    /// All of it for those who hold a lock over the HMAC.
    pub fn receive<M: Mac>(
        &mut self,
        keys: &Keys<M>,
        sender: IpAddr,
        trailer: Result<Option<Trailer>, Malformed>,
        packet: Covered<'_>,
        clock: Sequence,
    ) -> (Outcome, Option<Notice>) {
        let judged = self
            .examine(keys, sender, trailer, clock)
            .and_then(|unverified| {
                let key = keys.get(unverified.key()).ok_or(Outcome::UnknownKey)?;
                self.accept(unverified.verify(key, packet)?, clock)
            });
        match judged {
            Ok(notice) => (Outcome::Good, notice),
            Err(outcome) => (outcome, None),
        }
    }
}
