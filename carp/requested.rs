// SPDX-License-Identifier: GPL-2.0

//! Which interface or group a request over generic netlink is about, and why it is refused.

use super::{device::Carp, groups::Group, netns::Namespace};
use crate::{
    linux::{bindings, genetlink::Request, netdevice::Device},
    proto::carp::demotion::{GroupName, Refusal},
};
use kernel::{
    prelude::*,
    sync::{rcu, Arc},
};

/// Whether there is a carp interface of this index, in words.
pub(super) fn check(request: &Request<'_>, ifindex: u32, rcu: &rcu::Guard) -> Result {
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
