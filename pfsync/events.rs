// SPDX-License-Identifier: GPL-2.0

//! What happens to the syncdev, and to the interface itself.

use super::{bulk::has_link, device::Pfsync, netns::Namespace};
use crate::linux::{
    inetaddr::InetAddr,
    netdevice::Device,
    netlink::Extack,
    notifier::{DeviceEvent, Notified, Notifiers},
    rtnl::Rtnl,
};
use kernel::{
    prelude::*,
    sync::{rcu, Arc},
};

/// The receiver of events.
pub(crate) struct Events;

/// Its registration.
pub(crate) static NOTIFIERS: Notifiers<Events> = Notifiers::new();

/// The interface of the namespace that `dev` is in, if it has to do with `dev`.
fn concerned(dev: &Device, rtnl: &Rtnl) -> Option<Arc<Pfsync>> {
    let own = {
        let rcu = rcu::read_lock();
        let (own, _) = Namespace::interface_of(dev.net(), &rcu)?;
        own.hold()
    };
    let this = own.data::<Pfsync>(rtnl)?;
    let is_syncdev = {
        let session = this.session.lock();
        session.syncdev.as_ref().is_some_and(|it| it.is(dev))
    };
    (is_syncdev || own.is(dev)).then_some(this)
}

impl Notified for Events {
    fn device(event: DeviceEvent, dev: &Device, rtnl: &Rtnl) {
        let Some(this) = concerned(dev, rtnl) else {
            return;
        };
        let is_own = dev.of_driver_rtnl::<Pfsync>(rtnl).is_some();
        match event {
            DeviceEvent::Mtu => {
                if let (Some(membership), false) = (&mut *this.membership.lock(), is_own) {
                    membership.refresh(rtnl);
                }
                this.mtu_changed(rtnl);
            }
            DeviceEvent::Up | DeviceEvent::Down | DeviceEvent::Change if !is_own => {
                this.link_changed(has_link(dev));
            }
            DeviceEvent::Unregister if !is_own => {
                this.set_syncdev(None, rtnl);
                // Ending never fails.
                let _ = this.adapt(rtnl);
            }
            _ => {}
        }
    }

    fn may_change_type(dev: &Device, rtnl: &Rtnl) -> bool {
        // Its type was checked when it became the syncdev.
        concerned(dev, rtnl).is_none()
    }

    fn address_wanted(_dev: &Device, _extack: &Extack<'_>, _rtnl: &Rtnl) -> Result {
        Ok(())
    }

    fn address_added(_dev: &Device, _address: &InetAddr, _rtnl: &Rtnl) {}

    fn address_removed(_dev: &Device, _address: &InetAddr, _rtnl: &Rtnl) {}
}
