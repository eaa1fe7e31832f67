// SPDX-License-Identifier: GPL-2.0

//! The interface's MTU: its parent's, or a smaller one that was asked for.

use super::device::Carp;
use crate::linux::{
    bindings, link::LinkKind, netdevice::Device, netdevice_ops::OwnDevice, netlink::Extack,
    rtnl::Rtnl,
};
use kernel::{
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        rcu,
    },
};

const ETH_MAX_MTU: u32 = bindings::ETH_MAX_MTU;

/// The MTU that was asked for; 0: whatever the parent has. RTNL.
pub(super) struct WantedMtu(Atomic<u32>);

impl WantedMtu {
    /// None.
    pub(super) const fn new() -> Self {
        Self(Atomic::new(0))
    }
}

impl Carp {
    /// The interface is made with this MTU, and on this parent, if any.
    ///
    /// # Errors
    ///
    /// In words: it is more than the parent's.
    pub(super) fn begin_with_mtu(
        &self,
        mtu: u32,
        carpdev: Option<&Device>,
        extack: &Extack<'_>,
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
        self.wanted_mtu.0.store(mtu, Relaxed);
        Ok(())
    }

    /// The interface has another MTU. Who gives it the parent's has it follow the parent.
    pub(super) fn mtu_changed(&self, own: &OwnDevice, _rtnl: &Rtnl) {
        let mtu = own.mtu();
        let parents = self.lower(&rcu::read_lock()).map(Device::mtu);
        let wanted = if parents == Some(mtu) { 0 } else { mtu };
        self.wanted_mtu.0.store(wanted, Relaxed);
    }

    /// Without a parent it can have any MTU that Ethernet has.
    pub(super) fn free_mtu(own: &OwnDevice, rtnl: &Rtnl) {
        own.set_max_mtu(ETH_MAX_MTU, rtnl);
    }

    /// The parent has another MTU, or is another device. What is sent on the interface
    /// leaves there, so it can have no more.
    pub(super) fn follow_mtu(&self, carpdev: &Device, rtnl: &Rtnl) {
        let own = self.host.lock().own.clone();
        let Some(own) = own else {
            return;
        };
        let most = carpdev.mtu();
        let wanted = self.wanted_mtu.0.load(Relaxed);
        own.set_max_mtu(most, rtnl);
        // Fails below the least that Ethernet has: then nothing is sent there either.
        let _ = own.change_mtu(if wanted == 0 { most } else { wanted.min(most) }, rtnl);
        // Nobody asked for what `mtu_changed` saw now.
        self.wanted_mtu.0.store(wanted, Relaxed);
    }
}
