// SPDX-License-Identifier: GPL-2.0

//! What an interface knows of demotion: the groups that it is in, and what it brings upon
//! them by itself.

use super::{
    groups::{Group, Share},
    limits::GROUPS_MAX,
};
use crate::{
    linux::netdevice::DeviceName,
    proto::{
        carp::{
            causes::CAUSE_NAME_MAX,
            demotion::{self, GroupName},
            send_errors::SendErrors,
            time::Instant,
        },
        text::Text,
    },
};
use kernel::{prelude::*, sync::Arc};

/// Why an interface demotes its groups by itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum OwnCause {
    /// Its parent has no link, is down or gone.
    Link,
    /// Advertisements cannot be sent.
    SendErrors,
}

/// The name of such a cause, with the device that it is about: "link:eth0".
pub(super) type OwnCauseName = Text<CAUSE_NAME_MAX>;

fn own_cause_name(prefix: &str, device: DeviceName) -> OwnCauseName {
    let mut bytes = [0; CAUSE_NAME_MAX];
    let text = Iterator::chain(prefix.bytes(), device.as_bytes().iter().copied());
    for (to, byte) in bytes.iter_mut().zip(text) {
        *to = byte;
    }
    OwnCauseName::new(&bytes).unwrap_or_default()
}

/// What an interface knows of demotion; behind the host's lock.
pub(super) struct Demotion {
    /// The groups, in order of joining, with room for all that there may be. Changes
    /// under RTNL only.
    pub(super) groups: KVec<Arc<Group>>,
    /// What this interface has brought upon its groups for its parent's failure.
    link: Share,
    /// The same for errors of sending.
    errors: Share,
    /// The parent's name when it was last seen.
    pub(super) carpdev: DeviceName,
    /// Whether the parent fails, which is to be a part of that.
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
            link: Share::NONE,
            errors: Share::NONE,
            carpdev: DeviceName::default(),
            suppressed: false,
            is_unlogged: false,
            send_errors: SendErrors::new(),
        })
    }

    /// What the interface sends and compares.
    pub(super) fn count(&self) -> u8 {
        let groups = self.groups.iter();
        let groups = groups.map(|group| (group.is_automatic(), group.counter()));
        demotion::count(groups, demotion::Counter::new(self.own()))
    }

    /// What this interface has brought upon its groups.
    fn own(&self) -> u32 {
        self.link.amount.saturating_add(self.errors.amount)
    }

    /// Changes it by so much.
    pub(super) fn adjust(&mut self, cause: OwnCause, by: i32, now: Instant) {
        match cause {
            OwnCause::Link => self.link.adjust(by, now),
            OwnCause::SendErrors => self.errors.adjust(by, now),
        }
    }

    /// The name of a cause of the interface called `own`.
    pub(super) fn name_of(&self, cause: OwnCause, own: DeviceName) -> OwnCauseName {
        match cause {
            OwnCause::Link => own_cause_name("link:", self.carpdev),
            OwnCause::SendErrors => own_cause_name("send-errors:", own),
        }
    }

    /// All that it has brought upon its groups.
    pub(super) fn shares(&self) -> [(OwnCause, Share); 2] {
        [
            (OwnCause::Link, self.link),
            (OwnCause::SendErrors, self.errors),
        ]
    }

    /// Whether it is time to try whether sending works again, or a cause has ended.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        due(self.send_errors.deadline()) || due(self.next_expiry())
    }

    /// When a cause of one of the groups ends by itself next.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.groups
            .iter()
            .filter_map(|group| group.next_expiry())
            .min()
    }

    /// What a group gains or loses with this interface.
    pub(super) fn share(&self) -> i32 {
        i32::try_from(self.own()).unwrap_or(i32::MAX)
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
