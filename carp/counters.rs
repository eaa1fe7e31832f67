// SPDX-License-Identifier: GPL-2.0

//! The counters of carp(4).

use crate::{
    linux::bindings,
    proto::{auth::mode::Outcome, carp::packet::Discard},
};
use kernel::sync::atomic::{Atomic, Relaxed};

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Counter {
    ReceivedIpv4,
    ReceivedIpv6,
    BadInterface,
    BadTtl,
    Short,
    BadChecksum,
    BadVersion,
    BadLength,
    BadAuthentication,
    BadVhid,
    BadAddressList,
    SentIpv4,
    SentIpv6,
    NoMemory,
    SendError,
    StateUpdates,
    Preempted,
    Echo,
    NotAllowed,
    AuthGood,
    AuthMissing,
    AuthMalformed,
    AuthUnknownKey,
    AuthStale,
    AuthReplayed,
    AuthBadHmac,
}

impl Counter {
    /// All of them, with their attributes in `if_carp.h`.
    pub(crate) const ALL: [(Self, u32); COUNT] = [
        (Self::ReceivedIpv4, bindings::CARP_STATS_RX_IPV4),
        (Self::ReceivedIpv6, bindings::CARP_STATS_RX_IPV6),
        (Self::BadInterface, bindings::CARP_STATS_RX_BAD_INTERFACE),
        (Self::BadTtl, bindings::CARP_STATS_RX_BAD_TTL),
        (Self::Short, bindings::CARP_STATS_RX_SHORT),
        (Self::BadChecksum, bindings::CARP_STATS_RX_BAD_CHECKSUM),
        (Self::BadVersion, bindings::CARP_STATS_RX_BAD_VERSION),
        (Self::BadLength, bindings::CARP_STATS_RX_BAD_LENGTH),
        (Self::BadAuthentication, bindings::CARP_STATS_RX_BAD_AUTH),
        (Self::BadVhid, bindings::CARP_STATS_RX_BAD_VHID),
        (
            Self::BadAddressList,
            bindings::CARP_STATS_RX_BAD_ADDRESS_LIST,
        ),
        (Self::SentIpv4, bindings::CARP_STATS_TX_IPV4),
        (Self::SentIpv6, bindings::CARP_STATS_TX_IPV6),
        (Self::NoMemory, bindings::CARP_STATS_TX_NO_MEMORY),
        (Self::SendError, bindings::CARP_STATS_TX_ERROR),
        (Self::StateUpdates, bindings::CARP_STATS_TX_STATE_UPDATES),
        (Self::Preempted, bindings::CARP_STATS_PREEMPT),
        (Self::Echo, bindings::CARP_STATS_RX_ECHO),
        (Self::NotAllowed, bindings::CARP_STATS_RX_NOT_ALLOWED),
        (Self::AuthGood, bindings::CARP_STATS_RX_AUTH_GOOD),
        (Self::AuthMissing, bindings::CARP_STATS_RX_AUTH_MISSING),
        (Self::AuthMalformed, bindings::CARP_STATS_RX_AUTH_MALFORMED),
        (
            Self::AuthUnknownKey,
            bindings::CARP_STATS_RX_AUTH_UNKNOWN_KEY,
        ),
        (Self::AuthStale, bindings::CARP_STATS_RX_AUTH_STALE),
        (Self::AuthReplayed, bindings::CARP_STATS_RX_AUTH_REPLAYED),
        (Self::AuthBadHmac, bindings::CARP_STATS_RX_AUTH_BAD_HMAC),
    ];
}

impl From<Outcome> for Counter {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Missing => Self::AuthMissing,
            Outcome::Malformed => Self::AuthMalformed,
            Outcome::UnknownKey => Self::AuthUnknownKey,
            Outcome::Stale => Self::AuthStale,
            Outcome::Replayed => Self::AuthReplayed,
            Outcome::BadHmac => Self::AuthBadHmac,
            Outcome::Good => Self::AuthGood,
        }
    }
}

impl Counter {
    /// What counts a packet that was dropped. One that is not authentic is counted already:
    /// such packets are counted whether they are dropped or not.
    fn of(discard: Discard) -> Option<Self> {
        Some(match discard {
            Discard::Unauthenticated(_) => return None,
            Discard::NotAllowed => Self::NotAllowed,
            Discard::BadInterface => Self::BadInterface,
            Discard::BadTtl => Self::BadTtl,
            Discard::BadLength => Self::BadLength,
            Discard::BadChecksum => Self::BadChecksum,
            Discard::BadVhid => Self::BadVhid,
            Discard::BadVersion => Self::BadVersion,
            // carp(4) counts an echo here as well; it has one of its own besides.
            Discard::BadDigest | Discard::Echo => Self::BadAuthentication,
        })
    }
}

const COUNT: usize = 26;

/// One set of counters. Advertisements are few, so plain atomics do.
pub(crate) struct Counters([Atomic<u64>; COUNT]);

impl Counters {
    /// All zero.
    pub(crate) const fn new() -> Self {
        Self([const { Atomic::new(0) }; COUNT])
    }

    /// Counts one more. Any context.
    pub(crate) fn count(&self, counter: Counter) {
        if let Some(value) = self.0.get(counter as usize) {
            value.add(1, Relaxed);
        }
    }

    /// Counts a packet that was dropped. Any context.
    pub(crate) fn discarded(&self, discard: Discard) {
        if let Some(counter) = Counter::of(discard) {
            self.count(counter);
        }
        if discard == Discard::Echo {
            self.count(Counter::Echo);
        }
    }

    /// The count so far.
    pub(crate) fn get(&self, counter: Counter) -> u64 {
        self.0
            .get(counter as usize)
            .map_or(0, |value| value.load(Relaxed))
    }
}
