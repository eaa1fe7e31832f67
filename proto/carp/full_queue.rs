// SPDX-License-Identifier: GPL-2.0

//! An advertisement for which a queue on its way had no room is sent again soon: one to a
//! unicast peer, or on a device with another below. Those to the group do not wait in the
//! parent's own queue.
//!
//! A queue that users' traffic keeps full has room for a moment each time that a packet
//! leaves. Three advertisements that miss these moments would cost a healthy master its
//! place, so it tries often. Backups time the families separately, so each family in which
//! nothing left counts. The next advertisement ends it: a queue, or a filter, that lets
//! nothing pass is tried a bounded number of times in each interval, by all virtual hosts
//! on it together.

use super::election::Families;
use super::time::{Instant, Interval};

/// How often an advertisement is tried again at most, spread over the interval until the
/// next one.
const TRIES: u32 = 64;

/// How often those of all virtual hosts on a parent are, that are more than a few: each
/// try costs as much as an advertisement.
const TRIES_TOGETHER: u32 = 512;

/// How often each of them is all the same.
const TRIES_MIN: u32 = 2;

/// What has become of a master's last advertisement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FullQueue {
    again: Option<(Instant, Families)>,
    tried: u32,
}

impl FullQueue {
    /// An advertisement is sent now, and nothing is known of it.
    #[must_use]
    pub(super) const fn new() -> Self {
        Self {
            again: None,
            tried: 0,
        }
    }

    /// The queue dropped it in these families. `interval` is the time between
    /// advertisements; so many virtual hosts are on the parent (`sharing`).
    pub fn dropped(&mut self, now: Instant, interval: Interval, sharing: u32, families: Families) {
        let tries = TRIES_TOGETHER
            .checked_div(sharing)
            .unwrap_or(TRIES)
            .clamp(TRIES_MIN, TRIES);
        if self.tried >= tries {
            return;
        }
        self.tried = self.tried.saturating_add(1);
        let pause = interval.divided_by(tries);
        self.again = Some((now.after(pause), families));
    }

    /// When [`Self::due`] is; `None` if nothing is to be sent again.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.again.map(|(at, _)| at)
    }

    /// In which families it is to be sent again `now`, if at all; once.
    pub fn due(&mut self, now: Instant) -> Option<Families> {
        self.again
            .take_if(|(at, _)| *at <= now)
            .map(|(_, families)| families)
    }
}
