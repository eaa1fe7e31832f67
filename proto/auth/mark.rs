// SPDX-License-Identifier: GPL-2.0

//! What is remembered of a sender whose packets come in their order: the last number.

use super::freshness::Freshness;
use super::mode::Outcome;
use super::senders::History;
use super::sequence::Sequence;

/// The high-water mark of a sender. It moves only after a good HMAC: else a forger could
/// lock the sender out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark(Option<Sequence>);

impl History for Mark {
    fn begin(&mut self, floor: Option<Sequence>) {
        self.0 = floor;
    }

    fn judge(
        &self,
        number: Sequence,
        freshness: Freshness,
        clock: Sequence,
    ) -> Result<(), Outcome> {
        match self.0 {
            Some(mark) if !freshness.is_expired(mark, clock) && !number.is_after(mark) => {
                Err(Outcome::Replayed)
            }
            _ => Ok(()),
        }
    }

    fn take(&mut self, number: Sequence, _: Freshness, _: Sequence) {
        self.0 = Some(number);
    }

    fn highest(&self) -> Option<Sequence> {
        self.0
    }
}
