// SPDX-License-Identifier: GPL-2.0

//! The addresses of an interface, as the digest covers them.
//!
//! The kernel tells of each address that comes and goes, so this list follows change
//! by change, in logarithmic time; nothing reads the device's list again.

use super::solicited::{self, SolicitedGroups};
use crate::{
    linux::{
        bug::warn_on_once,
        inet6addr::Inet6Addr,
        inetaddr::{AddressId, InetAddr},
    },
    proto::carp::{
        announcements, digest::hash_order, election::Families, neighbour::solicited_node,
    },
};
use core::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};
use kernel::{
    prelude::*,
    rbtree::{self, RBTree, RBTreeNodeReservation},
};

/// Where an address stands in the list: by what is hashed of it, and then by its entry
/// in the kernel's list, where an address can occur twice with different prefixes.
type Key<T> = (T, AddressId);

/// Room for one more address.
type Reservation<T> = RBTreeNodeReservation<Key<T>, T>;

/// The addresses of one family in the order in which they are hashed.
pub(super) struct Sorted<T> {
    tree: RBTree<Key<T>, T>,
    len: usize,
}

impl<T: Copy + Ord> Sorted<T> {
    fn new() -> Self {
        Self {
            tree: RBTree::new(),
            len: 0,
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The smallest.
    pub(super) fn first(&self) -> Option<T> {
        self.into_iter().next().copied()
    }

    /// Calls `each` with the addresses from the first one on that is hashed after or
    /// at `from`.
    ///
    /// # Errors
    ///
    /// The first one of `each`.
    pub(super) fn try_for_each_from(
        &mut self,
        from: T,
        mut each: impl FnMut(T) -> Result,
    ) -> Result {
        let mut cursor = self.tree.cursor_lower_bound_mut(&(from, AddressId::FIRST));
        while let Some(current) = cursor {
            each(*current.current().1)?;
            cursor = current.move_next();
        }
        Ok(())
    }

    /// The next one that is hashed after `order`.
    fn after(&self, order: T) -> Option<T> {
        let cursor = self.tree.cursor_lower_bound(&(order, AddressId::LAST))?;
        Some(*cursor.current().1)
    }

    /// Whether an address that is hashed like this is there.
    fn contains(&self, order: T) -> bool {
        self.tree
            .cursor_lower_bound(&(order, AddressId::FIRST))
            .is_some_and(|cursor| cursor.current().0 .0 == order)
    }

    /// Puts an address in its place, if it is not there. Returns whether the digest
    /// changes.
    fn insert(&mut self, key: Key<T>, address: T, room: Reservation<T>) -> bool {
        let changes = !self.contains(key.0);
        if self.tree.insert(room.into_node(key, address)).is_none() {
            self.len = self.len.saturating_add(1);
        }
        changes
    }

    /// Takes an address out. Returns whether the digest changes; nothing if it was not
    /// there.
    fn remove(&mut self, key: &Key<T>) -> Option<bool> {
        self.tree.remove(key)?;
        warn_on_once!(self.len == 0);
        self.len = self.len.saturating_sub(1);
        Some(!self.contains(key.0))
    }
}

impl<'a, T> IntoIterator for &'a Sorted<T> {
    type Item = &'a T;
    type IntoIter = core::iter::Map<rbtree::Iter<'a, Key<T>, T>, fn((&'a Key<T>, &'a T)) -> &'a T>;

    fn into_iter(self) -> Self::IntoIter {
        self.tree.iter().map(|(_, address)| address)
    }
}

/// The addresses of an interface.
pub(super) struct Addresses {
    pub(super) ipv4: Sorted<Ipv4Addr>,
    pub(super) ipv6: Sorted<Ipv6Addr>,
    /// The groups of the IPv6 ones.
    pub(super) solicited: SolicitedGroups,
    /// Room for an address that is about to be added.
    pub(super) spare: Spare,
}

/// Room that was made while there was somebody to be told that there is none.
#[derive(Default)]
pub(super) struct Spare {
    pub(super) ipv4: Option<Reservation<Ipv4Addr>>,
    pub(super) ipv6: Option<Reservation<Ipv6Addr>>,
    pub(super) group: Option<solicited::Reservation>,
}

/// Takes what was reserved, or makes it, in any context.
fn room<K, V>(
    spare: &mut Option<RBTreeNodeReservation<K, V>>,
) -> Result<RBTreeNodeReservation<K, V>> {
    spare
        .take()
        .map_or_else(|| RBTreeNodeReservation::new(GFP_ATOMIC), Ok)
}

impl Addresses {
    /// An interface without addresses.
    pub(super) fn new() -> Self {
        Self {
            ipv4: Sorted::new(),
            ipv6: Sorted::new(),
            solicited: SolicitedGroups::new(),
            spare: Spare::default(),
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.ipv4.len().saturating_add(self.ipv6.len())
    }

    /// All of them: IPv4 first, each family in the order in which it is hashed.
    pub(super) fn iter(&self) -> impl Iterator<Item = IpAddr> + '_ {
        let ipv4 = self.ipv4.into_iter().map(|it| IpAddr::V4(*it));
        let ipv6 = self.ipv6.into_iter().map(|it| IpAddr::V6(*it));
        Iterator::chain(ipv4, ipv6)
    }

    /// The families in which there is one.
    pub(super) fn families(&self) -> Families {
        Families {
            ipv4: self.ipv4.len() != 0,
            ipv6: self.ipv6.len() != 0,
        }
    }

    /// An IPv4 address was added. Returns whether the digest changes. Any context.
    ///
    /// # Errors
    ///
    /// Out of memory; nothing changed.
    pub(super) fn insert(&mut self, address: &InetAddr) -> Result<bool> {
        let room = room(&mut self.spare.ipv4)?;
        let key = (address.address(), address.id());
        Ok(self.ipv4.insert(key, address.address(), room))
    }

    /// An IPv4 address was removed. Returns whether the digest changes. Any context.
    pub(super) fn remove(&mut self, address: &InetAddr) -> bool {
        let key = (address.address(), address.id());
        self.ipv4.remove(&key).unwrap_or(false)
    }

    /// An IPv6 address was added. Returns whether the digest changes. Any context.
    ///
    /// One that has been removed already is left out: where a router's advertisement
    /// adds it, another processor may tell of its end before its beginning.
    ///
    /// # Errors
    ///
    /// Out of memory; nothing changed.
    pub(super) fn insert6(&mut self, address: &Inet6Addr) -> Result<bool> {
        let unicast = address.address();
        if address.is_dead() || unicast.is_multicast() {
            return Ok(false);
        }
        let room_for_group = room(&mut self.spare.group)?;
        let room = room(&mut self.spare.ipv6)?;
        let key = (hash_order(unicast), address.id());
        let len = self.ipv6.len();
        let changes = self.ipv6.insert(key, unicast, room);
        if self.ipv6.len() != len {
            self.solicited.add(solicited_node(unicast), room_for_group);
        }
        Ok(changes)
    }

    /// An IPv6 address was removed. Returns whether the digest changes. Any context.
    pub(super) fn remove6(&mut self, address: &Inet6Addr) -> bool {
        let unicast = address.address();
        let key = (hash_order(unicast), address.id());
        let Some(changes) = self.ipv6.remove(&key) else {
            return false;
        };
        self.solicited.remove(solicited_node(unicast));
        changes
    }
}

impl announcements::Addresses for Addresses {
    fn next_after(&self, last: Option<IpAddr>) -> Option<IpAddr> {
        match last {
            None => self.iter().next(),
            Some(IpAddr::V4(last)) => self
                .ipv4
                .after(last)
                .map(IpAddr::V4)
                .or_else(|| self.ipv6.first().map(IpAddr::V6)),
            Some(IpAddr::V6(last)) => self.ipv6.after(hash_order(last)).map(IpAddr::V6),
        }
    }
}

/// How many addresses a line of the log names.
const LISTED: usize = 8;

/// A list of addresses for the log, which has no room for many.
pub(super) struct Listed {
    first: [Option<IpAddr>; LISTED],
    more: usize,
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, address) in self.first.iter().flatten().enumerate() {
            let comma = if number == 0 { "" } else { ", " };
            write!(f, "{comma}{address}")?;
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

impl Listed {
    /// The first ones, and how many there are besides.
    pub(super) fn new(addresses: &Addresses) -> Self {
        let mut first = [None; LISTED];
        for (slot, address) in first.iter_mut().zip(addresses.iter()) {
            *slot = Some(address);
        }
        Self {
            first,
            more: addresses.len().saturating_sub(LISTED),
        }
    }
}
