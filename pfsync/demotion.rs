// SPDX-License-Identifier: GPL-2.0

//! Demotion of the group `carp`: while this host has not got all states of its peers,
//! and while it cannot hear of them.

use crate::{
    carp::{self, Group},
    linux::{netdevice_ops::OwnDevice, rtnl::Rtnl},
    proto::carp::demotion::{GroupName, GROUP_CARP},
};
use kernel::{prelude::*, sync::Arc};

/// Why demotion changes, in OpenBSD's words.
const BULK_START: &str = "pfsync bulk start";
const BULK_END: &str = "pfsync bulk done";
const LINK_DOWN: &str = "pfsync link down";
const LINK_UP: &str = "pfsync link up";

/// Joins the group that a new interface is in.
///
/// # Errors
///
/// Out of memory.
pub(super) fn join(own: &OwnDevice, rtnl: &Rtnl) -> Result<Arc<Group>> {
    let namespace = carp::Namespace::of(own.net()).ok_or(ENODEV)?;
    let name = GroupName::new(GROUP_CARP).ok_or(EINVAL)?;
    namespace.groups().join(name, rtnl)
}

/// Leaves it. What the interface had brought upon it was taken back before.
pub(super) fn leave(own: &OwnDevice, group: &Arc<Group>, rtnl: &Rtnl) {
    if let Some(namespace) = carp::Namespace::of(own.net()) {
        namespace.groups().leave(group, rtnl);
    }
}

/// Carries out what the bulk machine wants. No lock of ours is held.
pub(super) fn demote(own: &OwnDevice, group: &Group, bulk: i32, link: i32) {
    let cause = |by, more, less| if by > 0 { more } else { less };
    for (by, cause) in [
        (bulk, cause(bulk, BULK_START, BULK_END)),
        (link, cause(link, LINK_DOWN, LINK_UP)),
    ] {
        if by != 0 {
            carp::demote_group(own, group, by, cause);
        }
    }
}
