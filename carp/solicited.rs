// SPDX-License-Identifier: GPL-2.0

//! The multicast groups in which others look for the interface's IPv6 addresses
//! (solicited-node groups, RFC 4291, section 2.7.1): the parent is to be a member.
//!
//! An address may come in a context in which no group can be joined. So each change is
//! remembered here, and carried out later by whoever may sleep: one group for each
//! change, however many there are.

use crate::linux::bug::warn_on_once;
use core::net::Ipv6Addr;
use kernel::rbtree::{RBTree, RBTreeNodeReservation};

/// How many addresses a group has.
type Group = usize;

/// Room for a group.
pub(super) type Reservation = RBTreeNodeReservation<Ipv6Addr, Group>;

/// The groups of an interface's addresses; each is in one of the trees.
pub(super) struct SolicitedGroups {
    /// Those that the parent was told of.
    settled: RBTree<Ipv6Addr, Group>,
    /// Those that it is to be told of: has addresses and had none, or the reverse.
    changed: RBTree<Ipv6Addr, Group>,
}

impl SolicitedGroups {
    /// None.
    pub(super) fn new() -> Self {
        Self {
            settled: RBTree::new(),
            changed: RBTree::new(),
        }
    }

    /// One more address is in `group`. Any context.
    pub(super) fn add(&mut self, group: Ipv6Addr, room: Reservation) {
        let known = match self.settled.get_mut(&group) {
            None => self.changed.get_mut(&group),
            known => known,
        };
        match known {
            Some(addresses) => *addresses = addresses.saturating_add(1),
            None => {
                self.changed.insert(room.into_node(group, 1));
            }
        }
    }

    /// One address less is in `group`. Any context.
    pub(super) fn remove(&mut self, group: Ipv6Addr) {
        if let Some(addresses) = self.changed.get_mut(&group) {
            warn_on_once!(*addresses == 0);
            *addresses = addresses.saturating_sub(1);
            return;
        }
        let Some(addresses) = self.settled.get_mut(&group) else {
            return;
        };
        warn_on_once!(*addresses == 0);
        *addresses = addresses.saturating_sub(1);
        if *addresses == 0 {
            if let Some(node) = self.settled.remove_node(&group) {
                self.changed.insert(node);
            }
        }
    }

    /// The next group of which the parent is to be told, and whether it is to be a
    /// member; it counts as told. Any context.
    pub(super) fn next(&mut self) -> Option<(Ipv6Addr, bool)> {
        let cursor = self.changed.cursor_front_mut()?;
        let (&group, &addresses) = cursor.current();
        let (_, node) = cursor.remove_current();
        if addresses != 0 {
            self.settled.insert(node);
        }
        Some((group, addresses != 0))
    }

    /// The parent is a new one, and knows nothing.
    pub(super) fn forget(&mut self) {
        while let Some(cursor) = self.settled.cursor_front_mut() {
            let (_, node) = cursor.remove_current();
            self.changed.insert(node);
        }
    }
}
