// SPDX-License-Identifier: GPL-2.0

//! An interface enters a network namespace, and leaves it.

use super::{
    device::Carp,
    group_membership, hooks,
    netns::{report, Namespace},
};
use crate::{
    linux::{netdevice_ops::OwnDevice, rtnl::Rtnl},
    proto::carp::log::NO_MEMORY,
};
use kernel::prelude::*;

/// The interface is in this namespace from now on.
///
/// # Errors
///
/// Out of memory: ARP is not watched for it.
pub(super) fn enter(carp: &Carp, own: &OwnDevice, rtnl: &Rtnl) -> Result {
    hooks::add_interface(own.net(), rtnl)?;
    let hosts = {
        let mut host = carp.host.lock();
        host.is_counted = true;
        host.settings.hosts()
    };
    if let Some(namespace) = Namespace::of(own.net(), rtnl) {
        namespace.count_hosts(0, hosts, rtnl);
    }
    Ok(())
}

/// The interface is in its namespace no longer.
pub(super) fn leave(carp: &Carp, own: &OwnDevice, rtnl: &Rtnl) {
    let hosts = {
        let mut host = carp.host.lock();
        if !core::mem::take(&mut host.is_counted) {
            return;
        }
        host.settings.hosts()
    };
    hooks::remove_interface(own.net(), rtnl);
    if let Some(namespace) = Namespace::of(own.net(), rtnl) {
        namespace.count_hosts(hosts, 0, rtnl);
    }
}

/// The interface is about to move to another namespace. It is down by now and its
/// addresses are about to go; the parent stays, and stays where it is.
pub(super) fn moving_out(carp: &Carp, own: &OwnDevice, rtnl: &Rtnl) {
    if let Some(namespace) = Namespace::of(own.net(), rtnl) {
        group_membership::leave_all_groups(carp, namespace.groups(), rtnl);
        namespace.count_waiting(carp.has_lost_parent(rtnl), false, rtnl);
    }
    leave(carp, own, rtnl);
}

/// The interface is registered in a namespace: after a move, or for the first time,
/// when it is not alive yet.
pub(super) fn registered(carp: &Carp, own: &OwnDevice, rtnl: &Rtnl) {
    if carp.host.lock().own.is_none() {
        return;
    }
    if let Some(namespace) = Namespace::of(own.net(), rtnl) {
        namespace.count_waiting(false, carp.has_lost_parent(rtnl), rtnl);
    }
    let groups = Namespace::of(own.net(), rtnl).map(Namespace::groups);
    let joined = groups.map_or(Ok(()), |groups| {
        group_membership::join_groups_again(carp, groups, rtnl)
    });
    // Nobody could be told in another way.
    if enter(carp, own, rtnl).and(joined).is_err() {
        report!(
            own,
            NO_MEMORY,
            "{}: no memory to settle in another network namespace\n",
            own.name()
        );
    }
}
