// SPDX-License-Identifier: GPL-2.0

//! Lets hosts change their lists of addresses one after the other without two masters in
//! between.
//!
//! The digest covers the list, so hosts whose lists differ discard each other's
//! advertisements, and all of them become master. No administrator can change two hosts
//! at the same time. So for a while after a change a host also uses its earlier lists: it
//! sends an advertisement with the digest of each of them and then of the new one, and it
//! accepts all of them. Whichever of these lists another host has, one digest matches.
//! The hosts may be changed in any order, address by address.
//!
//! Peers that run other systems benefit as well: they accept the advertisement whose
//! digest matches and drop the rest. This does not help two such peers whose lists
//! differ.
//!
//! There is no such period for a changed passphrase, because the old one must not be
//! accepted any more.

use core::net::{Ipv4Addr, Ipv6Addr};

use super::digest::{Digests, Input, Mac, KEY_LEN};
use super::packet::{Advertisement, Counter, Discard, Received};
use super::time::{Instant, Interval};

/// How long earlier lists stay valid after the last change, so that there is time to
/// change the other hosts.
pub const GRACE: Interval = Interval(60 * 256);

/// The most earlier lists that stay valid.
///
/// Each of them costs one more advertisement. Changing a hundred addresses one by one
/// makes a hundred lists. The lists that were current for the longest time are kept,
/// because other hosts are most likely to have those.
pub const EARLIER_MAX: usize = 4;

/// The most lists, with the current one.
const LISTS_MAX: usize = EARLIER_MAX + 1;

/// A list that the virtual host has or had.
struct List<M> {
    digests: Digests<M>,
    /// When it became the current one; `None`: when the virtual host was made.
    since: Option<Instant>,
    /// When it was replaced, if it was.
    until: Instant,
}

impl<M: Default> Default for List<M> {
    fn default() -> Self {
        Self {
            digests: Digests::default(),
            since: None,
            until: Instant(0),
        }
    }
}

impl<M> List<M> {
    /// For how many nanoseconds it was the current list.
    fn lifetime(&self) -> u64 {
        let since = self.since.map_or(0, |since| since.0);
        self.until.0.saturating_sub(since)
    }
}

/// The digests with which a virtual host signs advertisements and checks received ones.
/// By default there are none.
///
/// Must not be moved once it has a list, see [`Mac`]. It does not move the lists inside
/// it either.
pub struct Signer<M> {
    /// Slots for lists.
    lists: [List<M>; LISTS_MAX],
    /// Indices into `lists`: first the slots in use, from the oldest list to the current
    /// one, then the free slots.
    order: [usize; LISTS_MAX],
    /// How many slots are in use.
    used: usize,
    /// When the earlier lists stop being valid.
    grace_ends: Instant,
}

impl<M: Default> Default for Signer<M> {
    fn default() -> Self {
        Self {
            lists: Default::default(),
            order: core::array::from_fn(|place| place),
            used: 0,
            grace_ends: Instant(0),
        }
    }
}

impl<M: Mac> Signer<M> {
    /// Replaces all lists. Called after a change of anything other than the addresses:
    /// earlier digests become invalid.
    pub fn replace<'a, V4, V6>(&mut self, key: &[u8; KEY_LEN], input: &Input<V4, V6>)
    where
        V4: IntoIterator<Item = &'a Ipv4Addr> + Copy,
        V6: IntoIterator<Item = &'a Ipv6Addr> + Copy,
    {
        self.forget_all_but(0);
        self.add(None, key, input);
        self.grace_ends = Instant(0);
    }

    /// Adds a list that became the current one at `now`. If the earlier lists are still
    /// valid they stay so, because other hosts may have any of them.
    pub fn addresses_changed<'a, V4, V6>(
        &mut self,
        now: Instant,
        key: &[u8; KEY_LEN],
        input: &Input<V4, V6>,
    ) where
        V4: IntoIterator<Item = &'a Ipv4Addr> + Copy,
        V6: IntoIterator<Item = &'a Ipv6Addr> + Copy,
    {
        if self.grace_ends <= now {
            self.forget_all_but(1);
        }
        let current = self.in_use().last().copied();
        if let Some(list) = current.and_then(|place| self.lists.get_mut(place)) {
            list.until = now;
        }
        if self.used == LISTS_MAX {
            self.forget(self.shortest());
        }
        self.add(Some(now), key, input);
        self.grace_ends = now.after(GRACE);
    }

    /// The slots in use, in the order of the lists.
    fn in_use(&self) -> &[usize] {
        self.order.get(..self.used).unwrap_or_default()
    }

    /// The index in `order` of the list that was current for the shortest time. Of
    /// several such lists it is the latest one, except that the list that has just been
    /// replaced is chosen last.
    fn shortest(&self) -> usize {
        let latest = self.used.saturating_sub(1);
        let lifetime = |&index: &usize| {
            let place = self.order.get(index);
            let list = place.and_then(|&place| self.lists.get(place));
            list.map(List::lifetime)
        };
        let earlier = (0..latest).rev();
        earlier.chain([latest]).min_by_key(lifetime).unwrap_or(0)
    }

    /// Makes a new list the current one, in a free slot.
    fn add<'a, V4, V6>(
        &mut self,
        since: Option<Instant>,
        key: &[u8; KEY_LEN],
        input: &Input<V4, V6>,
    ) where
        V4: IntoIterator<Item = &'a Ipv4Addr> + Copy,
        V6: IntoIterator<Item = &'a Ipv6Addr> + Copy,
    {
        let free = self.order.get(self.used);
        if let Some(list) = free.and_then(|&place| self.lists.get_mut(place)) {
            list.digests.hash(key, input);
            list.since = since;
            self.used = self.used.saturating_add(1);
        }
    }

    /// Forgets the oldest lists, so that at most `count` stay.
    fn forget_all_but(&mut self, count: usize) {
        while self.used > count {
            self.forget(0);
        }
    }

    /// Forgets the list with this index in `order`. Its slot moves behind those in use.
    fn forget(&mut self, index: usize) {
        let order = self.order.get_mut(index..self.used).unwrap_or_default();
        if let Some(mut carried) = order.first().copied() {
            if let Some(list) = self.lists.get_mut(carried) {
                list.digests.wipe();
            }
            for place in order.iter_mut().rev() {
                core::mem::swap(place, &mut carried);
            }
        }
        self.used = self.used.saturating_sub(1);
    }

    /// The digests over the current list, if there is one.
    #[must_use]
    pub fn current(&self) -> Option<&Digests<M>> {
        let place = *self.in_use().last()?;
        self.lists.get(place).map(|list| &list.digests)
    }

    /// The digests to sign an advertisement with: it is sent once for each of them, in
    /// this order, so that the one of the current list comes last.
    pub fn digests(&self, now: Instant) -> impl Iterator<Item = &Digests<M>> {
        let outdated = if now < self.grace_ends {
            0
        } else {
            self.used.saturating_sub(1)
        };
        self.in_use()
            .iter()
            .skip(outdated)
            .filter_map(|&place| self.lists.get(place))
            .map(|list| &list.digests)
    }

    /// [`Received::authenticate`] by any list that holds.
    ///
    /// # Errors
    ///
    /// The error of the current list.
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
                // Our own advertisement, looped back, whichever list signed it.
                (Err(Discard::Echo), _) => Err(Discard::Echo),
                (Err(_), current) => current,
            })
            .unwrap_or(Err(Discard::BadDigest))
    }
}
