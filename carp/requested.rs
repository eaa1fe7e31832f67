// SPDX-License-Identifier: GPL-2.0

//! Which interface or group a request over generic netlink is about, and why it is refused.

use super::{device::Carp, groups::Group, netns::Namespace};
use crate::{
    linux::{
        bindings,
        genetlink::{Position, Request},
        namespace::Net,
        netdevice::Device,
        netdevice_ops::OwnDevice,
        netlink::{Policies, Policy},
    },
    proto::carp::demotion::{GroupName, Refusal, GROUP_NAME_MAX},
};
use kernel::{
    prelude::*,
    sync::{rcu, Arc},
};

/// What a request about interfaces may say: the index of one.
pub(super) static INTERFACE: Policies<{ bindings::CARP_A_IFINDEX as usize + 1 }> =
    Policies::new(&[(bindings::CARP_A_IFINDEX, Policy::U32)]);

/// The policy of a group's name.
pub(super) const GROUP: (u32, Policy) = (
    bindings::CARP_A_GROUP,
    Policy::String(GROUP_NAME_MAX as u16),
);

/// Calls `each` with the interfaces that a dump is about, all or the one that the request
/// names, from `position` on. [`Position::outer`] is the interface's index; the rest of it
/// is for `each`, and begins anew with every interface.
///
/// # Errors
///
/// In words: there is no such interface. Those of `each`.
pub(super) fn each_interface(
    request: &Request<'_>,
    position: &mut Position,
    mut each: impl FnMut(&OwnDevice, &Carp, &mut Position) -> Result,
) -> Result {
    let rcu = rcu::read_lock();
    let only = request.attributes.u32(bindings::CARP_A_IFINDEX);
    if let (Some(ifindex), true) = (only, position.is_begin()) {
        check(request, ifindex, &rcu)?;
        *position = Position::new(ifindex);
    }
    for (own, carp) in Carp::walk(request.net, position.outer, &rcu) {
        if own.ifindex() != position.outer {
            *position = Position::new(own.ifindex());
        }
        if only.is_some_and(|only| only != position.outer) {
            break;
        }
        each(own, carp, position)?;
        *position = Position::new(position.outer.saturating_add(1));
    }
    Ok(())
}

/// Whether there is a carp interface of this index, in words.
fn check(request: &Request<'_>, ifindex: u32, rcu: &rcu::Guard) -> Result {
    let index = c_int::try_from(ifindex).unwrap_or(-1);
    let Some(dev) = Device::by_index_rcu(request.net, index, rcu) else {
        return Err(request.extack.error(
            ENODEV,
            format_args!("there is no interface with index {}", ifindex),
        ));
    };
    if dev.of_driver::<Carp>(rcu).is_none() {
        return Err(request.extack.error(
            EINVAL,
            format_args!("{} is not a carp interface", dev.name()),
        ));
    }
    Ok(())
}

/// The group after `skip` others, in the order in which they were made.
pub(super) fn nth_group(net: &Net, skip: usize) -> Option<Arc<Group>> {
    let rcu = rcu::read_lock();
    Namespace::of(net, &rcu)?.groups().nth(skip)
}

/// The group that a request names, or in words why there is none.
pub(super) fn group(request: &Request<'_>) -> Result<Arc<Group>> {
    let extack = &request.extack;
    let name = request
        .attributes
        .string(bindings::CARP_A_GROUP)
        .ok_or_else(|| extack.error(EINVAL, format_args!("no group is named")))?;
    let name = GroupName::new(name).ok_or_else(|| {
        extack.error(
            EINVAL,
            format_args!("a group's name is 1-15 visible characters, the last not a digit"),
        )
    })?;
    Namespace::of(request.net, &rcu::read_lock())
        .and_then(|namespace| namespace.groups().find(&name))
        .ok_or_else(|| {
            extack.error(
                ENOENT,
                format_args!("no carp interface is in a group {}", name.as_str()),
            )
        })
}

/// Says why a change of demotion is refused.
pub(super) fn refuse(request: &Request<'_>, refusal: Refusal) -> Error {
    let error = match refusal {
        Refusal::Step | Refusal::Range | Refusal::NotManual => ERANGE,
        Refusal::TooMany => ENOSPC,
        _ => EINVAL,
    };
    let extack = &request.extack;
    extack.error(error, format_args!("{}", refusal.as_str()))
}
