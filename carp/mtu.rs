// SPDX-License-Identifier: GPL-2.0

//! The interface's MTU: its parent's, or a smaller one that was asked for.

use super::device::Carp;
use crate::linux::{
    bindings::ETH_MAX_MTU, netdevice::Device, netdevice_ops::OwnDevice, netlink::Extack, rtnl::Rtnl,
};
use kernel::{prelude::*, sync::rcu};

/// The interface is made with this MTU, and on this parent, if any.
///
/// # Errors
///
/// In words: it is more than the parent's.
pub(super) fn begin(
    carp: &Carp,
    mtu: u32,
    carpdev: Option<&Device>,
    extack: &Extack<'_>,
    rtnl: &Rtnl,
) -> Result {
    if let Some(carpdev) = carpdev.filter(|carpdev| mtu > carpdev.mtu()) {
        return Err(extack.error(
            EINVAL,
            format_args!(
                "mtu {} is more than {} has: {}",
                mtu,
                carpdev.name(),
                carpdev.mtu()
            ),
        ));
    }
    carp.configured.wanted_mtu.replace(mtu, rtnl);
    Ok(())
}

/// The interface has another MTU. Who gives it the parent's has it follow the parent.
pub(super) fn changed(carp: &Carp, own: &OwnDevice, rtnl: &Rtnl) {
    let mtu = own.mtu();
    let rcu = rcu::read_lock();
    let carpdev = carp.published.carpdev.get(&rcu);
    let parents = carpdev.map(|carpdev| carpdev.mtu());
    let wanted = if parents == Some(mtu) { 0 } else { mtu };
    carp.configured.wanted_mtu.replace(wanted, rtnl);
}

/// Without a parent it can have any MTU that Ethernet has.
pub(super) fn free(own: &OwnDevice, rtnl: &Rtnl) {
    own.set_max_mtu(ETH_MAX_MTU, rtnl);
}

/// The parent has another MTU, or is another device. What is sent on the interface
/// leaves there, so it can have no more.
pub(super) fn follow(carp: &Carp, carpdev: &Device, rtnl: &Rtnl) {
    let own = carp.host.lock().own.clone();
    let Some(own) = own else {
        return;
    };
    let most = carpdev.mtu();
    let wanted = carp.configured.wanted_mtu.get(rtnl);
    own.set_max_mtu(most, rtnl);
    // Fails below the least that Ethernet has: then nothing is sent there either.
    let _ = own.change_mtu(if wanted == 0 { most } else { wanted.min(most) }, rtnl);
    // Nobody asked for what [`changed`] saw now.
    carp.configured.wanted_mtu.replace(wanted, rtnl);
}
