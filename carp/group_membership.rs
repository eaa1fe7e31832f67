// SPDX-License-Identifier: GPL-2.0

//! Interfaces join groups and leave them, and bring their own demotion along.

use super::{
    demote::advertise_everywhere,
    device::Carp,
    election,
    groups::{Group, Groups},
    host::Host,
    limits::GROUPS_MAX,
    notify,
};
use crate::{
    linux::{netlink::Extack, rtnl::Rtnl},
    proto::carp::{causes::Reason, demotion::GroupName},
};
use kernel::prelude::*;

/// The interface comes with what it had brought upon its other groups, or goes with it.
const JOINED: &str = "joined";
const LEFT: &str = "left";

/// Joins a group, and brings its own demotion along. In a group that it is in
/// already it stays.
///
/// # Errors
///
/// In words: it is in too many. Out of memory. Nothing changed.
pub(super) fn join(
    carp: &Carp,
    groups: &Groups,
    name: GroupName,
    extack: &Extack<'_>,
    rtnl: &Rtnl,
) -> Result {
    let group = groups.join(name, rtnl)?;
    if carp.host.lock().demotion.is_in(&group) {
        groups.leave(&group, rtnl);
        return Ok(());
    }
    let mut host = carp.host.lock();
    let joined = host.demotion.groups.push_within_capacity(group.clone());
    if joined.is_err() {
        drop(host);
        groups.leave(&group, rtnl);
        return Err(extack.error(
            EINVAL,
            format_args!("an interface is in at most {GROUPS_MAX} groups"),
        ));
    }
    groups.membership_changed();
    let announce = apply_share(&host, &group, host.demotion.share(), JOINED);
    let dev = host.own.clone();
    drop(host);
    if let (Some(dev), true) = (dev, announce) {
        advertise_everywhere(dev.net());
    }
    Ok(())
}

/// Leaves a group, and takes its own demotion away with it. Whether it was in
/// it.
pub(super) fn leave(carp: &Carp, groups: &Groups, name: &GroupName, rtnl: &Rtnl) -> bool {
    let group = {
        let mut host = carp.host.lock();
        let demotion = &mut host.demotion;
        let index = demotion.groups.iter().position(|group| group.name == *name);
        let Some(Ok(group)) = index.map(|index| demotion.groups.remove(index)) else {
            return false;
        };
        groups.membership_changed();
        apply_share(&host, &group, host.demotion.share().saturating_neg(), LEFT);
        group
    };
    groups.leave(&group, rtnl);
    true
}

/// Leaves all groups of a namespace, as [`leave`], but remembers which they
/// were.
pub(super) fn leave_all_groups(carp: &Carp, groups: &Groups, rtnl: &Rtnl) {
    for index in 0..usize::MAX {
        let Some(group) = carp.group(index) else {
            break;
        };
        {
            let host = carp.host.lock();
            apply_share(&host, &group, host.demotion.share().saturating_neg(), LEFT);
        }
        groups.leave(&group, rtnl);
    }
}

/// Joins the groups of the same names in another namespace.
///
/// # Errors
///
/// Out of memory: some are not joined.
pub(super) fn join_groups_again(carp: &Carp, groups: &Groups, rtnl: &Rtnl) -> Result {
    let mut result = Ok(());
    let mut announce = false;
    let mut index: usize = 0;
    while let Some(old) = carp.group(index) {
        let group = groups.join(old.name, rtnl);
        let mut host = carp.host.lock();
        match (group, host.demotion.groups.get_mut(index)) {
            (Ok(group), Some(known)) => {
                *known = group.clone();
                groups.membership_changed();
                announce |= apply_share(&host, &group, host.demotion.share(), JOINED);
                index = index.saturating_add(1);
            }
            (group, _) => {
                // The old one was left already, and is the other namespace's.
                let _ = host.demotion.groups.remove(index);
                result = result.and(group.map(drop));
            }
        }
    }
    // A cause of theirs may end by itself.
    election::arm(carp, &carp.host.lock());
    let dev = carp.host.lock().own.clone();
    if let (Some(dev), true) = (dev, announce) {
        advertise_everywhere(dev.net());
    }
    result
}

/// Leaves all groups.
pub(super) fn leave_all(carp: &Carp, groups: &Groups, rtnl: &Rtnl) {
    while let Some(group) = carp.group(0) {
        leave(carp, groups, &group.name, rtnl);
    }
}

/// An interface joins a group with its own demotion, or leaves it and takes that away:
/// the group's counter changes `by` so much. Whether masters are to say so at once.
fn apply_share(host: &Host, group: &Group, by: i32, cause: &str) -> bool {
    let announce = group.adjust(by);
    if let (Some(dev), true) = (&host.own, by != 0) {
        if group.is_automatic() {
            notify::demoted(dev.net(), group, by, cause, &Reason::NONE);
        }
    }
    announce
}
