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

use core::net::{Ipv4Addr, Ipv6Addr};

use super::digest::{Digests, Input, Mac, KEY_LEN};
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

/// How many lists there are at most.
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

/// The digests by which a virtual host signs and believes. By default there are none.
///
/// Once it has some it is not to be moved: see [`Mac`]. The lists in it are not moved,
/// either.
pub struct Signer<M> {
    /// Places for lists.
    lists: [List<M>; LISTS_MAX],
    /// Which places are in use, from that of the oldest list to that of the current one;
    /// then the free places.
    order: [usize; LISTS_MAX],
    /// How many are in use.
    used: usize,
    /// When the earlier lists cease to hold.
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
    /// Something other than the addresses changed: nothing of old is believed.
    pub fn replace<'a, V4, V6>(&mut self, key: &[u8; KEY_LEN], input: &Input<V4, V6>)
    where
        V4: IntoIterator<Item = &'a Ipv4Addr> + Copy,
        V6: IntoIterator<Item = &'a Ipv6Addr> + Copy,
    {
        self.forget_all_but(0);
        self.add(None, key, input);
        self.grace_ends = Instant(0);
    }

    /// The list of addresses changed, at `now`. Lists of the time before the last
    /// change go on to hold: others may have any of them.
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

    /// The places in use.
    fn in_use(&self) -> &[usize] {
        self.order.get(..self.used).unwrap_or_default()
    }

    /// Where in the order that list is that stood for the shortest time. Of several the
    /// latest, but rather an earlier one than the one that has just been replaced.
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

    /// Makes a new list the current one, in a free place.
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

    /// Forgets the list that is there in the order. Its place goes behind those that are
    /// in use.
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

    /// What an advertisement is to be signed with: once for each of them, in
    /// this order, so that the last word is the new list's.
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
