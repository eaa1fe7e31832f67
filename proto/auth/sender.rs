// SPDX-License-Identifier: GPL-2.0

//! The numbers of what is sent.

use super::freshness::Freshness;
use super::sequence::Sequence;

/// What a sender remembers, and only while it runs: its last number.
///
/// What has one `Sender` must be sent in the order of its numbers, and be judged by one
/// [`Receiver`](super::receiver::Receiver): for CARP the interface has both, for all of its
/// virtual hosts. Frames of pfsync may overtake each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sender {
    last: Option<Sequence>,
}

impl Sender {
    /// One that has sent nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { last: None }
    }

    /// The number of the next packet: the greater of the clock and the last one plus 1.
    ///
    /// Where the clock was set back so far that the last number is beyond the window, numbers
    /// go back with it: receivers would refuse the others as stale. Not in mode `Monotonic`,
    /// where receivers would refuse these.
    #[must_use]
    pub fn next(&mut self, freshness: Freshness, clock: Sequence) -> Sequence {
        let number = match self.last {
            Some(last) if !clock.is_after(last) && !freshness.is_expired(last, clock) => {
                last.next()
            }
            _ => clock,
        };
        self.last = Some(number);
        number
    }
}
