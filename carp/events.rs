// SPDX-License-Identifier: GPL-2.0

//! What happens to parents and addresses.

use super::{device::Carp, lost_parent::device_appeared, parent::Parent, way_back::parent_changed};
use crate::linux::{
    inet6addr::Inet6Addr,
    inetaddr::InetAddr,
    netdevice::{Device, MacAddress},
    netlink::Extack,
    notifier::{DeviceEvent, Notified, Notifiers},
    rtnl::Rtnl,
    rx_handler,
};
use core::net::Ipv6Addr;
use kernel::{prelude::*, sync::rcu};

/// The receiver of events.
pub(crate) struct Events;

/// Its registration.
pub(crate) static NOTIFIERS: Notifiers<Events> = Notifiers::new();

/// The metric of the route to a virtual address's network: the parent's own route
/// to it is to win, whichever came first.
const METRIC: u32 = 4096;

impl Notified for Events {
    fn device(event: DeviceEvent, dev: &Device, rtnl: &Rtnl) {
        if let Some((own, carp)) = dev.of_driver_rtnl::<Carp>(rtnl) {
            match event {
                DeviceEvent::Unregister if own.is_registered(rtnl) => {
                    carp.leave_namespace(own, rtnl)
                }
                DeviceEvent::Register => carp.come_to_namespace(own, rtnl),
                _ => {}
            }
            // What IP knows of a device may have been made anew.
            own.silence_inet6(rtnl);
            if matches!(
                event,
                DeviceEvent::Register | DeviceEvent::Up | DeviceEvent::Mtu
            ) {
                carp.find_ways_back(own);
            }
            if matches!(event, DeviceEvent::Mtu) {
                carp.mtu_changed(own, rtnl);
            }
            own.pass_over_marked_routes(rtnl);
            if matches!(event, DeviceEvent::Up | DeviceEvent::Change) {
                carp.follow_routes(own, rtnl);
            }
            return;
        }
        if matches!(event, DeviceEvent::Register | DeviceEvent::Name) {
            device_appeared(dev, rtnl);
        }
        let Some(parent) = rx_handler::get::<Parent>(dev, rtnl) else {
            return;
        };
        match event {
            DeviceEvent::Register | DeviceEvent::Name => {}
            // The last moment to say farewell. The host's other addresses go before: until
            // the device is down, what comes back by it still finds its way.
            DeviceEvent::GoingDown => {
                each_upper(dev, rtnl, |carp| carp.parent_fails(rtnl));
                each_upper(dev, rtnl, |carp| carp.say_parent_fails(rtnl));
                parent.for_each(|carp| carp.halt(true));
                each_upper(dev, rtnl, |carp| carp.log_parent_fails(rtnl));
            }
            DeviceEvent::Mtu => {
                join_again(&parent, dev, rtnl);
                parent_changed(dev, &rcu::read_lock());
                each_upper(dev, rtnl, |carp| carp.follow_mtu(dev, rtnl));
            }
            DeviceEvent::Address => parent.for_each(|carp| carp.parents_mac_changed()),
            DeviceEvent::NotifyPeers => parent.for_each(|carp| carp.announce_again()),
            DeviceEvent::Up | DeviceEvent::Down | DeviceEvent::Change => {
                join_again(&parent, dev, rtnl);
                parent_changed(dev, &rcu::read_lock());
                each_upper(dev, rtnl, |carp| carp.update(rtnl));
            }
            // With the last interface the parent's handler goes. Interfaces
            // without a vhid are no ports, but stand on it all the same.
            DeviceEvent::Unregister => {
                while let Some((own, carp)) = dev.upper::<Carp>(0, rtnl) {
                    carp.lose_parent(&own, dev, rtnl);
                }
            }
        }
    }

    fn may_change_type(dev: &Device, rtnl: &Rtnl) -> bool {
        // A parent is Ethernet and stays so.
        rx_handler::get::<Parent>(dev, rtnl).is_none()
    }

    fn mac_wanted(dev: &Device, mac: &MacAddress, extack: &Extack<'_>, rtnl: &Rtnl) -> Result {
        match dev.of_driver_rtnl::<Carp>(rtnl) {
            Some((own, carp)) => carp.check_lladdr(own, mac, extack, rtnl),
            None => Ok(()),
        }
    }

    fn address_wanted(dev: &Device, extack: &Extack<'_>, rtnl: &Rtnl) -> Result {
        let Some((_, carp)) = dev.of_driver_rtnl::<Carp>(rtnl) else {
            return Ok(());
        };
        carp.reserve_address(extack)
    }

    fn route_metric(dev: &Device, rtnl: &Rtnl) -> Option<u32> {
        dev.of_driver_rtnl::<Carp>(rtnl).map(|_| METRIC)
    }

    fn address_added(dev: &Device, address: &InetAddr, rtnl: &Rtnl) {
        let Some((own, carp)) = dev.of_driver_rtnl::<Carp>(rtnl) else {
            parent_changed(dev, &rcu::read_lock());
            return;
        };
        let ipv4 = address.address();
        carp.choose_carpdev(own, rtnl, |other, rcu| other.subnet_of(ipv4, rcu));
        carp.find_way_back_for(ipv4.into(), address.prefix());
        carp.address_added(own, address);
        carp.announce_address(own, ipv4.into());
    }

    fn address_removed(dev: &Device, address: &InetAddr, rtnl: &Rtnl) {
        if let Some((own, carp)) = dev.of_driver_rtnl::<Carp>(rtnl) {
            carp.address_removed(address);
            Carp::ask_for_ways_back(own);
        } else {
            parent_changed(dev, &rcu::read_lock());
        }
    }

    fn address6_wanted(
        dev: &Device,
        address: Ipv6Addr,
        extack: &Extack<'_>,
        rtnl: &Rtnl,
    ) -> Result {
        if let Some((own, carp)) = dev.of_driver_rtnl::<Carp>(rtnl) {
            own.silence_inet6(rtnl);
            carp.reserve_address6(extack)?;
            // Not once it is added: nothing may sleep then.
            carp.choose_carpdev(own, rtnl, |other, rcu| other.subnet_of6(address, rcu));
            return Ok(());
        }
        if let Some(parent) = rx_handler::get::<Parent>(dev, rtnl) {
            // IPv6 may have met the device just now.
            join_again(&parent, dev, rtnl);
        }
        Ok(())
    }

    fn address6_added(dev: &Device, address: &Inet6Addr, rcu: &rcu::Guard) -> Option<u32> {
        let Some((own, carp)) = dev.of_driver::<Carp>(rcu) else {
            parent_changed(dev, rcu);
            return None;
        };
        carp.find_way_back_for(address.address().into(), address.prefix());
        carp.address6_added(own, address);
        carp.announce_address(own, address.address().into());
        carp.ask_for_groups(own);
        Some(METRIC)
    }

    fn address6_removed(dev: &Device, address: &Inet6Addr, rcu: &rcu::Guard) {
        if let Some((own, carp)) = dev.of_driver::<Carp>(rcu) {
            carp.address6_removed(address);
            carp.ask_for_groups(own);
            Carp::ask_for_ways_back(own);
        } else {
            parent_changed(dev, rcu);
        }
    }
}

/// Has the parent join its groups again where it has lost them.
fn join_again(parent: &Parent, dev: &Device, rtnl: &Rtnl) {
    parent.refresh_groups(rtnl);
    each_upper(dev, rtnl, |carp| carp.refresh_groups(rtnl));
}

/// Calls `each` with every interface on the parent: without a vhid, too, for it may get
/// one, and suffers when the parent fails.
fn each_upper(dev: &Device, rtnl: &Rtnl, each: impl Fn(&Carp)) {
    for skip in 0..usize::MAX {
        match dev.upper::<Carp>(skip, rtnl) {
            Some((_, carp)) => each(&carp),
            None => break,
        }
    }
}
