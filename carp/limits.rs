// SPDX-License-Identifier: GPL-2.0

//! What needs CAP_NET_ADMIN in the initial user namespace. Anybody can be administrator
//! of a network namespace that he made, and is not to take the machine's processor from
//! there: what an interface does by itself, in softirqs, is charged to nobody.
//!
//! Memory is accounted where it is allocated, and needs no limit of ours.

use super::{netns::Namespace, settings::Settings};
use crate::{
    linux::{capability, namespace::Net, netlink::Extack, rtnl::Rtnl},
    proto::carp::time::Interval,
};
use kernel::prelude::*;

/// The shortest time between advertisements, in 1/256 s: 100 ms.
const INTERVAL_MIN: Interval = Interval(26);

/// The most virtual hosts in a network namespace.
const HOSTS_MAX: usize = 128;

/// The most addresses of an interface: whenever they change, each of its virtual hosts
/// hashes all of them.
const ADDRESSES_MAX: usize = 1000;

/// The most groups of an interface, for everybody: their counters are summed up with
/// each event.
pub(super) const GROUPS_MAX: usize = 16;

/// Whether the interface, of which `old` is known in `net`, may become `new`. What it
/// is already it may stay: one that was made by who may, and given to who may not,
/// becomes no faster, and has no more virtual hosts that are as fast.
///
/// # Errors
///
/// EPERM, in words.
pub(super) fn check(
    net: &Net,
    old: &Settings,
    new: &Settings,
    extack: &Extack<'_>,
    rtnl: &Rtnl,
) -> Result {
    if shortest_interval(new) < shortest_interval(old).min(INTERVAL_MIN)
        || fast_hosts(new) > fast_hosts(old)
    {
        privileged(extack, format_args!("an interval below 100 ms needs"))?;
    }
    let more = new.hosts().saturating_sub(old.hosts());
    let others = Namespace::of(net, rtnl).map_or(0, |namespace| namespace.hosts(rtnl));
    if more != 0 && others.saturating_add(more) > HOSTS_MAX {
        privileged(
            extack,
            format_args!("more than {HOSTS_MAX} virtual hosts need"),
        )?;
    }
    Ok(())
}

/// Whether an interface with so many addresses may have one more.
///
/// # Errors
///
/// EPERM, in words.
pub(super) fn check_address(addresses: usize, extack: &Extack<'_>) -> Result {
    if addresses < ADDRESSES_MAX {
        return Ok(());
    }
    privileged(
        extack,
        format_args!("more than {ADDRESSES_MAX} addresses need"),
    )
}

fn privileged(extack: &Extack<'_>, what: core::fmt::Arguments<'_>) -> Result {
    if capability::is_net_admin() {
        return Ok(());
    }
    Err(extack.error(
        EPERM,
        format_args!("{what} CAP_NET_ADMIN in the initial user namespace"),
    ))
}

/// The shortest time between two advertisements of one of its virtual hosts.
fn shortest_interval(settings: &Settings) -> Interval {
    intervals(settings).min().unwrap_or(INTERVAL_MIN)
}

/// How many of its virtual hosts are faster than those of everybody.
fn fast_hosts(settings: &Settings) -> usize {
    intervals(settings).filter(|it| *it < INTERVAL_MIN).count()
}

/// The times between two advertisements of each of its virtual hosts.
fn intervals(settings: &Settings) -> impl Iterator<Item = Interval> + '_ {
    let nodes = settings.nodes.iter();
    nodes.map(|node| Interval::between_advertisements(settings.advbase, node.advskew))
}
