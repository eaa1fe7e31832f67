// SPDX-License-Identifier: GPL-2.0

//! Changing the list of addresses without two masters in between.
//!
//! The digest covers the list, so hosts whose lists differ do not hear each
//! other, and all of them become master. No administrator can change two hosts
//! in the same instant. So for a while after a change a host goes on speaking
//! both languages: it advertises under the old list and then under the new one,
//! and it believes both. Whatever list another host has, one of them is right,
//! and the hosts may be changed in any order, address by address.
//!
//! Hosts of other systems profit as well: they hear what they understand, and
//! drop the rest. Two of *them* at odds we cannot help.
//!
//! A passphrase is another matter: it is changed because the old one is not to be
//! believed any more.

use super::digest::{Digests, Mac};
use super::packet::{Advertisement, Counter, Discard, Received};
use super::time::{Instant, Interval};

/// How long after its last change the list before the first one holds: time to
/// change the other hosts.
pub const GRACE: Interval = Interval(60 * 256);

/// The digests by which a virtual host signs and believes.
#[derive(Clone)]
pub struct Signer<M> {
    current: Digests<M>,
    previous: Option<(Digests<M>, Instant)>,
}

impl<M: Mac> Signer<M> {
    /// A host that has not changed yet.
    #[must_use]
    pub const fn new(current: Digests<M>) -> Self {
        Self {
            current,
            previous: None,
        }
    }

    /// Something other than the addresses changed: nothing of old is believed.
    pub fn replace(&mut self, current: Digests<M>) {
        *self = Self::new(current);
    }

    /// The list of addresses changed, at `now`. Of several changes in a row it is
    /// the list before the first one that others may still have.
    pub fn addresses_changed(&mut self, now: Instant, current: Digests<M>) {
        let old = core::mem::replace(&mut self.current, current);
        let agreed = match self.previous.take() {
            Some((previous, until)) if now < until => previous,
            _ => old,
        };
        self.previous = Some((agreed, now.after(GRACE)));
    }

    /// What an advertisement is to be signed with: once for each of them, in
    /// this order, so that the last word is the new list's.
    pub fn digests(&self, now: Instant) -> impl Iterator<Item = &Digests<M>> {
        self.previous
            .iter()
            .filter(move |(_, until)| now < *until)
            .map(|(digests, _)| digests)
            .chain([&self.current])
    }

    /// Whether the list before the last change still holds.
    #[must_use]
    pub fn is_changing(&self, now: Instant) -> bool {
        self.digests(now).nth(1).is_some()
    }

    /// [`Received::authenticate`] by any list that holds.
    ///
    /// # Errors
    ///
    /// What the current list says of it.
    pub fn authenticate(
        &self,
        now: Instant,
        received: &Received<'_>,
        own: &Counter,
    ) -> Result<Advertisement, Discard> {
        self.digests(now)
            .map(|digests| received.authenticate(digests, own))
            .reduce(|previous, current| match (previous, current) {
                (Ok(advertisement), _) => Ok(advertisement),
                // Our own, looped back, whichever of the two it was.
                (Err(Discard::Echo), _) => Err(Discard::Echo),
                (Err(_), current) => current,
            })
            .unwrap_or(Err(Discard::BadDigest))
    }
}
