// SPDX-License-Identifier: GPL-2.0

//! What an interface knows of demotion: the groups that it is in, and what it brings upon
//! them by itself.

use super::{groups::Group, limits::GROUPS_MAX};
use crate::proto::carp::{
    demotion::{self, GroupName},
    send_errors::SendErrors,
};
use kernel::{prelude::*, sync::Arc};

/// What an interface knows of demotion; behind the host's lock.
pub(super) struct Demotion {
    /// The groups, in order of joining, with room for all that there may be. Changes
    /// under RTNL only.
    pub(super) groups: KVec<Arc<Group>>,
    /// What this interface has brought upon its groups.
    pub(super) own: demotion::Counter,
    /// Whether the parent's failure is among that.
    pub(super) suppressed: bool,
    /// Whether it is, but was not logged yet.
    pub(super) is_unlogged: bool,
    /// Whether errors of sending are.
    pub(super) send_errors: SendErrors,
}

impl Demotion {
    /// In no group.
    ///
    /// # Errors
    ///
    /// Out of memory.
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            groups: KVec::with_capacity(GROUPS_MAX, GFP_KERNEL_ACCOUNT)?,
            own: demotion::Counter::default(),
            suppressed: false,
            is_unlogged: false,
            send_errors: SendErrors::new(),
        })
    }

    /// What the interface sends and compares.
    pub(super) fn count(&self) -> u8 {
        let groups = self.groups.iter().map(|group| {
            let automatic = demotion::is_automatic(group.name.as_bytes());
            (automatic, group.counter())
        });
        demotion::count(groups, self.own)
    }

    /// What a group gains or loses with this interface.
    pub(super) fn share(&self) -> i32 {
        i32::try_from(self.own.get()).unwrap_or(i32::MAX)
    }

    /// The group with this index.
    pub(super) fn group(&self, index: usize) -> Option<Arc<Group>> {
        self.groups.get(index).cloned()
    }

    /// Whether the interface is in the group.
    pub(super) fn is_in(&self, group: &Arc<Group>) -> bool {
        self.groups.iter().any(|it| Arc::ptr_eq(it, group))
    }

    /// Whether the interface is in the group of this name.
    pub(super) fn is_in_group(&self, name: &GroupName) -> bool {
        self.groups.iter().any(|it| it.name == *name)
    }
}
