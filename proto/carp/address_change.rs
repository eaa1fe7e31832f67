// SPDX-License-Identifier: GPL-2.0

//! Changing the list of addresses without two masters in between.
//!
//! The digest covers the list, so hosts whose lists differ do not hear each
//! other, and all of them become master. No administrator can change two hosts
//! in the same instant. So for a while after a change a host also uses the lists
//! that it had before: it advertises under each of them and then under the new
//! one, and it believes all of them. Whatever list another host has, one of them
//! is right, and the hosts may be changed in any order, address by address.
//!
//! Hosts of other systems profit as well: they hear what they understand, and
//! drop the rest. Two of *them* at odds we cannot help.
//!
//! A passphrase is another matter: it is changed because the old one is not to be
//! believed any more.

use super::digest::{Digests, Mac};
use super::packet::{Advertisement, Counter, Discard, Received};
use super::time::{Instant, Interval};

/// How long after the last change earlier lists hold: time to change the other
/// hosts.
pub const GRACE: Interval = Interval(60 * 256);

/// How many earlier lists hold at most.
///
/// Each of them costs an advertisement more. Whoever changes a hundred addresses one
/// by one has a hundred lists; those that stood longest are kept, for they are the
/// ones that another host is likely to have.
pub const EARLIER_MAX: usize = 4;

/// A list that the virtual host had.
#[derive(Clone)]
struct Earlier<M> {
    digests: Digests<M>,
    /// When it became the current one; `None`: when the virtual host was made.
    since: Option<Instant>,
    /// When it was replaced.
    until: Instant,
}

impl<M> Earlier<M> {
    /// For how many nanoseconds it was the current list.
    fn lifetime(&self) -> u64 {
        let since = self.since.map_or(0, |since| since.0);
        self.until.0.saturating_sub(since)
    }
}

/// The digests by which a virtual host signs and believes.
#[derive(Clone)]
pub struct Signer<M> {
    current: Digests<M>,
    /// When the current list became that.
    since: Option<Instant>,
    /// Earlier lists from the oldest to the latest, then `None`.
    earlier: [Option<Earlier<M>>; EARLIER_MAX],
    /// When the earlier lists cease to hold.
    grace_ends: Instant,
}

impl<M: Mac> Signer<M> {
    /// A host that has not changed yet.
    #[must_use]
    pub const fn new(current: Digests<M>) -> Self {
        Self {
            current,
            since: None,
            earlier: [const { None }; EARLIER_MAX],
            grace_ends: Instant(0),
        }
    }

    /// Something other than the addresses changed: nothing of old is believed.
    pub fn replace(&mut self, current: Digests<M>) {
        *self = Self::new(current);
    }

    /// The list of addresses changed, at `now`. Lists of the time before the last
    /// change go on to hold: others may have any of them.
    pub fn addresses_changed(&mut self, now: Instant, current: Digests<M>) {
        if self.grace_ends <= now {
            self.earlier = [const { None }; EARLIER_MAX];
        }
        let old = Earlier {
            digests: core::mem::replace(&mut self.current, current),
            since: self.since.replace(now),
            until: now,
        };
        self.grace_ends = now.after(GRACE);
        self.keep(old);
    }

    /// Adds the latest of the earlier lists, in place of the one that stood for the
    /// shortest time if there is no room.
    fn keep(&mut self, latest: Earlier<M>) {
        if let Some(free) = self.earlier.iter_mut().find(|slot| slot.is_none()) {
            *free = Some(latest);
            return;
        }
        let shortest = self
            .earlier
            .iter()
            .flatten()
            .map(Earlier::lifetime)
            .min()
            .unwrap_or(0);
        if latest.lifetime() < shortest {
            return;
        }
        // The others keep their order: the shortest goes out, and all behind it move
        // up by one.
        let mut carried = Some(latest);
        for slot in self.earlier.iter_mut().rev() {
            core::mem::swap(slot, &mut carried);
            if carried
                .as_ref()
                .is_some_and(|list| list.lifetime() == shortest)
            {
                return;
            }
        }
    }

    /// What an advertisement is to be signed with: once for each of them, in
    /// this order, so that the last word is the new list's.
    pub fn digests(&self, now: Instant) -> impl Iterator<Item = &Digests<M>> {
        let holds = now < self.grace_ends;
        self.earlier
            .iter()
            .flatten()
            .filter(move |_| holds)
            .map(|list| &list.digests)
            .chain([&self.current])
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
                // Our own, looped back, whichever of them it was.
                (Err(Discard::Echo), _) => Err(Discard::Echo),
                (Err(_), current) => current,
            })
            .unwrap_or(Err(Discard::BadDigest))
    }
}
