// SPDX-License-Identifier: GPL-2.0

//! What happens to parents and addresses.

use super::{
    address_events, announce::announce, carpdev, choose_carpdev, configure, demote, device::Carp,
    election, move_netns, mtu, parent::Parent, reconfigure, routes, wait_for_parent, work,
};
use crate::linux::{
    inet6addr::Inet6Addr,
    inetaddr::InetAddr,
    netdevice::{Device, MacAddress},
    netlink::Extack,
    notifier::{DeviceEvent, Notified, Notifiers},
    rtnl::Rtnl,
    rx_handler,
};
use core::net::{IpAddr, Ipv6Addr};
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
                    move_netns::moving_out(carp, own, rtnl)
                }
                DeviceEvent::Register => move_netns::registered(carp, own, rtnl),
                _ => {}
            }
            // What IP knows of a device may have been made anew.
            own.disable_inet6_output(rtnl);
            if matches!(
                event,
                DeviceEvent::Register | DeviceEvent::Up | DeviceEvent::Mtu
            ) {
                carp.published.find_ways_back(own);
            }
            if matches!(event, DeviceEvent::Mtu) {
                mtu::changed(carp, own, rtnl);
            }
            own.pass_over_marked_routes(rtnl);
            if matches!(event, DeviceEvent::Up | DeviceEvent::Change) {
                routes::follow(carp, own, rtnl);
            }
            return;
        }
        if matches!(event, DeviceEvent::Register | DeviceEvent::Name) {
            wait_for_parent::device_appeared(dev, rtnl);
        }
        let Some(parent) = rx_handler::get::<Parent>(dev, rtnl) else {
            return;
        };
        match event {
            DeviceEvent::Register | DeviceEvent::Name => {}
            // The last moment to say farewell. The host's other addresses go before: until
            // the device is down, what comes back by it still finds its way.
            DeviceEvent::GoingDown => {
                each_upper(dev, rtnl, |carp| demote::parent_fails(carp, rtnl));
                each_upper(dev, rtnl, |carp| {
                    demote::advertise_parent_failure(carp, rtnl)
                });
                parent.for_each(|carp| election::halt(carp, true));
                each_upper(dev, rtnl, |carp| demote::log_parent_failure(carp, rtnl));
            }
            DeviceEvent::Mtu => {
                join_again(&parent, dev, rtnl);
                parent_addresses_changed(dev, &rcu::read_lock());
                each_upper(dev, rtnl, |carp| mtu::follow(carp, dev, rtnl));
            }
            DeviceEvent::Address => parent.for_each(|carp| configure::parents_mac_changed(carp)),
            DeviceEvent::NotifyPeers => parent.for_each(|carp| election::announce_again(carp)),
            DeviceEvent::Up | DeviceEvent::Down | DeviceEvent::Change => {
                join_again(&parent, dev, rtnl);
                parent_addresses_changed(dev, &rcu::read_lock());
                each_upper(dev, rtnl, |carp| election::update(carp, rtnl));
            }
            // With the last interface the parent's handler goes. Interfaces
            // without a vhid are no ports, but stand on it all the same.
            DeviceEvent::Unregister => {
                while let Some((own, carp)) = dev.upper::<Carp>(0, rtnl) {
                    wait_for_parent::lose_parent(&carp, &own, dev, rtnl);
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
            Some((own, carp)) => reconfigure::check_lladdr(carp, own, mac, extack, rtnl),
            None => Ok(()),
        }
    }

    fn address_wanted(dev: &Device, extack: &Extack<'_>, rtnl: &Rtnl) -> Result {
        let Some((_, carp)) = dev.of_driver_rtnl::<Carp>(rtnl) else {
            return Ok(());
        };
        address_events::reserve(carp, extack)
    }

    fn route_metric(dev: &Device, rtnl: &Rtnl) -> Option<u32> {
        dev.of_driver_rtnl::<Carp>(rtnl).map(|_| METRIC)
    }

    fn address_added(dev: &Device, address: &InetAddr, rtnl: &Rtnl) {
        let Some((own, carp)) = dev.of_driver_rtnl::<Carp>(rtnl) else {
            parent_addresses_changed(dev, &rcu::read_lock());
            return;
        };
        let ipv4 = address.address();
        choose_carpdev::choose(carp, own, rtnl, |other, rcu| other.subnet_of(ipv4, rcu));
        find_way_back_for(carp, ipv4.into(), address.prefix());
        address_events::added(carp, own, address);
        announce(carp, own, &[Some(ipv4.into())]);
    }

    fn address_removed(dev: &Device, address: &InetAddr, rtnl: &Rtnl) {
        if let Some((own, carp)) = dev.of_driver_rtnl::<Carp>(rtnl) {
            address_events::removed(carp, address);
            own.schedule_work(work::WAYS_BACK);
        } else {
            parent_addresses_changed(dev, &rcu::read_lock());
        }
    }

    fn address6_wanted(
        dev: &Device,
        address: Ipv6Addr,
        extack: &Extack<'_>,
        rtnl: &Rtnl,
    ) -> Result {
        if let Some((own, carp)) = dev.of_driver_rtnl::<Carp>(rtnl) {
            own.disable_inet6_output(rtnl);
            address_events::reserve6(carp, extack)?;
            // Not once it is added: nothing may sleep then.
            choose_carpdev::choose(carp, own, rtnl, |other, rcu| other.subnet_of6(address, rcu));
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
            parent_addresses_changed(dev, rcu);
            return None;
        };
        find_way_back_for(carp, address.address().into(), address.prefix());
        address_events::added6(carp, own, address);
        announce(carp, own, &[Some(address.address().into())]);
        own.schedule_work(work::GROUPS);
        Some(METRIC)
    }

    fn address6_removed(dev: &Device, address: &Inet6Addr, rcu: &rcu::Guard) {
        if let Some((own, carp)) = dev.of_driver::<Carp>(rcu) {
            address_events::removed6(carp, address);
            own.schedule_work(work::GROUPS);
            own.schedule_work(work::WAYS_BACK);
        } else {
            parent_addresses_changed(dev, rcu);
        }
    }
}

/// Has the parent join its groups again where it has lost them.
fn join_again(parent: &Parent, dev: &Device, rtnl: &Rtnl) {
    parent.refresh_groups(rtnl);
    each_upper(dev, rtnl, |carp| carpdev::refresh_groups(carp, rtnl));
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

/// The addresses of `dev` changed: if it is a parent, its interfaces find out who
/// receives. Any context.
fn parent_addresses_changed(dev: &Device, rcu: &rcu::Guard) {
    if let Some(parent) = rx_handler::get_rcu::<Parent>(dev, rcu) {
        for port in parent.ports(rcu).filter(|port| port.index == 0) {
            port.dev.schedule_work(work::WAYS_BACK);
        }
    }
}

/// Finds out who receives, after the interface has got an address.
fn find_way_back_for(carp: &Carp, address: IpAddr, prefix: u8) {
    let rcu = rcu::read_lock();
    if let Some(carpdev) = carp.published.carpdev.get(&rcu) {
        let ways_back = &carp.published.ways_back;
        ways_back.address_added(address, prefix, carpdev, &rcu);
    }
}
