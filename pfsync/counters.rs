// SPDX-License-Identifier: GPL-2.0

//! The counters of pfsync(4), and some more.

use crate::{
    linux::bindings,
    proto::{
        auth::mode::Outcome,
        pfsync::{action::Action, frame::Discard},
    },
};
use kernel::sync::atomic::{Atomic, Relaxed};

/// Makes the list of what is counted, with its attributes in `if_pfsync.h`.
macro_rules! counters {
    ($($name:ident = $attribute:ident,)*) => {
        /// What is counted.
        #[derive(Clone, Copy, PartialEq, Eq)]
        #[repr(usize)]
        pub(crate) enum Counter {
            $($name,)*
        }

        impl Counter {
            /// All of them, with their attributes.
            pub(crate) const ALL: [(Self, u32); COUNT] =
                [$((Self::$name, bindings::$attribute),)*];
        }

        const COUNT: usize = [$(bindings::$attribute,)*].len();
    };
}

counters! {
    ReceivedIpv4 = PFSYNC_STATS_IPACKETS,
    ReceivedIpv6 = PFSYNC_STATS_IPACKETS6,
    BadInterface = PFSYNC_STATS_BADIF,
    BadTtl = PFSYNC_STATS_BADTTL,
    Short = PFSYNC_STATS_HDROPS,
    BadVersion = PFSYNC_STATS_BADVER,
    BadAuthentication = PFSYNC_STATS_BADAUTH,
    BadAction = PFSYNC_STATS_BADACT,
    BadLength = PFSYNC_STATS_BADLEN,
    BadValue = PFSYNC_STATS_BADVAL,
    Stale = PFSYNC_STATS_STALE,
    BadState = PFSYNC_STATS_BADSTATE,
    Skipped = PFSYNC_STATS_SKIPPED,
    SentIpv4 = PFSYNC_STATS_OPACKETS,
    SentIpv6 = PFSYNC_STATS_OPACKETS6,
    NoMemory = PFSYNC_STATS_ONOMEM,
    SendError = PFSYNC_STATS_OERRORS,
    Inserted = PFSYNC_STATS_INSERTED,
    Updated = PFSYNC_STATS_UPDATED,
    Deleted = PFSYNC_STATS_DELETED,
    Acknowledged = PFSYNC_STATS_ACKNOWLEDGED,
    Requested = PFSYNC_STATS_REQUESTED,
    Full = PFSYNC_STATS_FULL,
    SentInserts = PFSYNC_STATS_SENT_INSERTS,
    SentUpdates = PFSYNC_STATS_SENT_UPDATES,
    SentCompressed = PFSYNC_STATS_SENT_COMPRESSED,
    SentDeletes = PFSYNC_STATS_SENT_DELETES,
    SentAcks = PFSYNC_STATS_SENT_ACKS,
    SentRequests = PFSYNC_STATS_SENT_REQUESTS,
    Repeated = PFSYNC_STATS_REPEATED,
    Unanswered = PFSYNC_STATS_UNANSWERED,
    Deferred = PFSYNC_STATS_DEFERRED,
    Undeferred = PFSYNC_STATS_UNDEFERRED,
    BulkAsked = PFSYNC_STATS_BULK_ASKED,
    BulkAnswered = PFSYNC_STATS_BULK_ANSWERED,
    BulkReceived = PFSYNC_STATS_BULK_RECEIVED,
    Conflicts = PFSYNC_STATS_CONFLICTS,
    AuthGood = PFSYNC_STATS_AUTH_GOOD,
    AuthMissing = PFSYNC_STATS_AUTH_MISSING,
    AuthMalformed = PFSYNC_STATS_AUTH_MALFORMED,
    AuthUnknownKey = PFSYNC_STATS_AUTH_UNKNOWN_KEY,
    AuthStale = PFSYNC_STATS_AUTH_STALE,
    AuthReplayed = PFSYNC_STATS_AUTH_REPLAYED,
    AuthBadHmac = PFSYNC_STATS_AUTH_BAD_HMAC,
}

impl From<Discard> for Counter {
    fn from(discard: Discard) -> Self {
        match discard {
            Discard::BadInterface => Self::BadInterface,
            Discard::BadPeer => Self::BadAuthentication,
            Discard::BadTtl => Self::BadTtl,
            Discard::Short => Self::Short,
            Discard::BadVersion => Self::BadVersion,
            Discard::BadLength => Self::BadLength,
            Discard::BadAction => Self::BadAction,
            Discard::BadValue => Self::BadValue,
            Discard::BadState => Self::BadState,
        }
    }
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
    /// A message that is sent, if those are counted.
    pub(crate) const fn sent(action: Action) -> Option<Self> {
        Some(match action {
            Action::Insert => Self::SentInserts,
            Action::Update => Self::SentUpdates,
            Action::UpdateCompressed => Self::SentCompressed,
            Action::DeleteCompressed | Action::Delete => Self::SentDeletes,
            Action::InsertAck => Self::SentAcks,
            Action::Request => Self::SentRequests,
            Action::Clear
            | Action::Bulk
            | Action::Tdb
            | Action::Extra
            | Action::Expectation
            | Action::Compact
            | Action::FrameNumber
            | Action::Confirmation => return None,
        })
    }
}

/// One set of counters, counted under the interface's lock for the most part.
pub(crate) struct Counters([Atomic<u64>; COUNT]);

impl Counters {
    /// All zero.
    pub(crate) const fn new() -> Self {
        Self([const { Atomic::new(0) }; COUNT])
    }

    /// Counts one more. Any context.
    pub(crate) fn count(&self, counter: Counter) {
        self.add(counter, 1);
    }

    /// Counts some more. Any context.
    pub(crate) fn add(&self, counter: Counter, number: u64) {
        if let Some(value) = self.0.get(counter as usize) {
            value.add(number, Relaxed);
        }
    }

    /// The count so far.
    pub(crate) fn get(&self, counter: Counter) -> u64 {
        self.0
            .get(counter as usize)
            .map_or(0, |value| value.load(Relaxed))
    }
}
