// SPDX-License-Identifier: GPL-2.0

//! An advertisement for which a queue on its way had no room is sent again soon: one to a
//! unicast peer, or on a device with another below. Those to the group do not wait in the
//! parent's own queue.
//!
//! A queue that users' traffic keeps full has room for a moment each time that a packet
//! leaves. Three advertisements that miss these moments would cost a healthy master its
//! place, so it tries often. Backups time the families separately, so each family in which
//! nothing left counts. The next advertisement ends it: a queue, or a filter, that lets
//! nothing pass is tried a bounded number of times in each interval.

use super::election::Families;
use super::time::{Instant, Interval};

/// How often an advertisement is tried again at most, spread over the interval until the
/// next one.
const TRIES: u8 = 64;

/// What has become of a master's last advertisement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FullQueue {
    again: Option<(Instant, Families)>,
    left: u8,
}

impl FullQueue {
    /// An advertisement is sent now, and nothing is known of it.
    #[must_use]
    pub(super) const fn new() -> Self {
        Self {
            again: None,
            left: TRIES,
        }
    }

    /// The queue dropped it in these families. `interval` is the time between
    /// advertisements.
    pub fn dropped(&mut self, now: Instant, interval: Interval, families: Families) {
        let Some(left) = self.left.checked_sub(1) else {
            return;
        };
        self.left = left;
        let pause = interval.divided_by(TRIES);
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
