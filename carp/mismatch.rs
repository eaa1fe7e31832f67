// SPDX-License-Identifier: GPL-2.0

//! CARP's best known trouble: hosts whose lists of addresses or passphrases differ
//! do not hear each other, and all of them are master.

use crate::proto::carp::{
    packet::{Advertisement, Discard},
    time::Instant,
};
use core::net::IpAddr;

/// Who sends advertisements for one of our vhids with a digest that is wrong; the
/// last one who did.
pub(super) struct Mismatch(Option<(IpAddr, Instant)>);

/// How long it is worth telling, in ns: longer than the longest interval.
const LATELY: u64 = 300_000_000_000;

impl Mismatch {
    pub(super) const fn new() -> Self {
        Self(None)
    }

    /// An advertisement came from `source`.
    pub(super) fn heard(
        &mut self,
        now: Instant,
        source: IpAddr,
        authenticated: &Result<Advertisement, Discard>,
    ) {
        match authenticated {
            Err(Discard::BadDigest) => self.0 = Some((source, now)),
            Err(_) => {}
            Ok(_) => {
                if self.0.is_some_and(|(other, _)| other == source) {
                    self.0 = None;
                }
            }
        }
    }

    /// How long ago the last one was, in ms, if it was lately.
    pub(super) fn age(&self, now: Instant) -> Option<u32> {
        let (_, at) = self.0?;
        let age = now.0.saturating_sub(at.0);
        (age < LATELY).then(|| u32::try_from(age / 1_000_000).unwrap_or(u32::MAX))
    }
}
