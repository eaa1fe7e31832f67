// SPDX-License-Identifier: GPL-2.0

//! Demotion of the group `carp`: while this host has not got all states of its peers,
//! and while it cannot hear of them.

use crate::{
    carp::{self, Group, PfsyncCause},
    linux::{netdevice_ops::OwnDevice, rtnl::Rtnl, timer},
    proto::{
        carp::{
            demotion::{GroupName, GROUP_CARP},
            time::Instant,
        },
        pfsync::bulk_request::Effects,
    },
};
use kernel::{prelude::*, sync::Arc};

/// Joins the group that a new interface is in.
///
/// # Errors
///
/// Out of memory.
pub(super) fn join(own: &OwnDevice, rtnl: &Rtnl) -> Result<Arc<Group>> {
    let namespace = carp::Namespace::of(own.net(), rtnl).ok_or(ENODEV)?;
    let name = GroupName::new(GROUP_CARP).ok_or(EINVAL)?;
    namespace.groups().join(name, rtnl)
}

/// Leaves it. What the interface had brought upon it was taken back before.
pub(super) fn leave(own: &OwnDevice, group: &Arc<Group>, rtnl: &Rtnl) {
    if let Some(namespace) = carp::Namespace::of(own.net(), rtnl) {
        namespace.groups().leave(group, rtnl);
    }
}

/// By how much the group was demoted, and why; to be told.
#[derive(Clone, Copy, Default)]
pub(super) struct Demoted {
    by: i32,
    cause: PfsyncCause,
    announce: bool,
}

/// Does to the group what the bulk machine wants. Under the interface's lock: were it
/// done later, what takes a demotion back might come before the demotion, which then
/// nobody would take back.
pub(super) fn demote(group: &Group, effects: &Effects) -> [Demoted; 2] {
    let now = Instant(timer::now());
    [
        (effects.demote, PfsyncCause::Bulk),
        (effects.demote_for_link, PfsyncCause::Link),
    ]
    .map(|(by, cause)| Demoted {
        by,
        cause,
        announce: by != 0 && group.adjust_for(cause, by, now),
    })
}

/// Tells of it. No lock of ours is held.
pub(super) fn tell(own: &OwnDevice, group: &Group, demoted: &[Demoted]) {
    for Demoted {
        by,
        cause,
        announce,
    } in demoted.iter().copied()
    {
        if by != 0 {
            carp::group_demoted(own, group, by, cause, announce);
        }
    }
}
