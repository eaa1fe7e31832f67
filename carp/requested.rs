// SPDX-License-Identifier: GPL-2.0

//! Which interface a request over generic netlink is about.

use super::device::Carp;
use crate::linux::{genetlink::Request, netdevice::Device};
use kernel::{prelude::*, sync::rcu};

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
