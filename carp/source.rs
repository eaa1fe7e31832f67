// SPDX-License-Identifier: GPL-2.0

//! Drops packets that programs send with a shared address as source while this host is
//! not master. Such a packet would leave through the parent with the parent's MAC, the
//! reply would go to the master, and two hosts would communicate with one peer under one
//! address.
//!
//! The hooks are there only while an interface of the namespace is not master.

use super::{device::Carp, netns::Namespace, parent::Parent};
use crate::{
    linux::{
        namespace::Net,
        netdevice::Device,
        netdevice_ops::OwnDevice,
        netfilter_local_out::{LocalOutFilter, LocalPacket, Verdict},
        rx_handler,
    },
    proto::{carp::packet, pfsync::frame as pfsync},
};
use core::net::IpAddr;
use kernel::sync::rcu;

/// The filter of all carp interfaces of a namespace.
pub(crate) struct Filter;

/// What hosts say to their link, in whatever name.
const IGMP: u8 = 2;

impl LocalOutFilter for Filter {
    fn local_out(net: &Net, dev: &Device, packet: &LocalPacket, rcu: &rcu::Guard) -> Verdict {
        if let Some((own, carp)) = dev.of_driver::<Carp>(rcu) {
            if carp.published.masters().is_any() {
                return Verdict::Accept;
            }
            // Nothing would come of it, and nobody would be told.
            own.count_not_sent();
            return Verdict::Unreachable;
        }
        // To this host itself it may speak as it likes.
        if dev.is_loopback() || dev.is_l3_master() || is_exempt(packet.protocol) {
            return Verdict::Accept;
        }
        match Source::of(net, dev, packet, rcu) {
            Some(source) if !source.may_leave(net, dev, packet, rcu) => {
                source.own.count_not_sent();
                Verdict::Unreachable
            }
            _ => Verdict::Accept,
        }
    }
}

/// Whether packets of this protocol are none of programs', or this module's own.
fn is_exempt(protocol: u8) -> bool {
    matches!(protocol, packet::PROTOCOL | pfsync::PROTOCOL | IGMP)
}

/// The interface whose address a packet has as its source.
struct Source<'a> {
    own: &'a OwnDevice,
    carp: &'a Carp,
}

impl<'a> Source<'a> {
    /// Whose address it is, if it is an interface's, and perhaps others' as well.
    ///
    /// Link-local addresses are their device's alone, which sends nothing.
    fn of(
        net: &'a Net,
        dev: &'a Device,
        packet: &LocalPacket,
        rcu: &'a rcu::Guard,
    ) -> Option<Self> {
        let first = match packet.source {
            IpAddr::V4(source) => Device::by_address_rcu(net, source, rcu),
            IpAddr::V6(source) if source.is_unicast_link_local() => None,
            // None in a VRF, where the parent is as well.
            IpAddr::V6(source) => {
                return match Device::by_address6_rcu(net, source, rcu) {
                    Some(first) => Self::new(first, rcu),
                    None => Self::on(dev, packet.source, rcu, |_| true),
                }
            }
        };
        Self::new(first?, rcu)
    }

    fn new(dev: &'a Device, rcu: &'a rcu::Guard) -> Option<Self> {
        let (own, carp) = dev.of_driver::<Carp>(rcu)?;
        Some(Self { own, carp })
    }

    /// An interface on `carpdev` that has the address and is `wanted`.
    fn on(
        carpdev: &'a Device,
        address: IpAddr,
        rcu: &'a rcu::Guard,
        wanted: impl Fn(&Carp) -> bool,
    ) -> Option<Self> {
        rx_handler::get_rcu::<Parent>(carpdev, rcu)?
            .ports(rcu)
            .filter(|port| port.index == 0 && wanted(&port.carp))
            .find(|port| has(&port.dev, address, rcu))
            .map(|port| Self {
                own: &port.dev,
                carp: &port.carp,
            })
    }

    /// Whether a packet with the address may leave by `dev`.
    fn may_leave(
        &self,
        net: &'a Net,
        dev: &'a Device,
        packet: &LocalPacket,
        rcu: &'a rcu::Guard,
    ) -> bool {
        let speaks = |carp: &Carp| carp.published.masters().is_any();
        if speaks(self.carp) || Namespace::of(net, rcu).is_some_and(Namespace::lets_backups_send) {
            return true;
        }
        // Somebody's who asked on another way than the one that leads to the master: a
        // container or a virtual machine on this host.
        if packet.is_reply && rx_handler::get_rcu::<Parent>(dev, rcu).is_none() {
            return true;
        }
        // The address is not the interface's alone. Several interfaces on a parent may
        // have it (`arpbalance`), or one in another VRF.
        let carpdev = self
            .carp
            .published
            .carpdev
            .get(rcu)
            .map(|carpdev| &**carpdev);
        let others = [Some(dev), carpdev, Some(net.loopback(rcu))];
        others
            .into_iter()
            .flatten()
            .any(|other| has(other, packet.source, rcu))
            || [Some(dev), carpdev]
                .into_iter()
                .flatten()
                .any(|carpdev| Self::on(carpdev, packet.source, rcu, speaks).is_some())
    }
}

fn has(dev: &Device, address: IpAddr, rcu: &rcu::Guard) -> bool {
    match address {
        IpAddr::V4(address) => dev.has_address(address, rcu),
        IpAddr::V6(address) => dev.has_address6(address, rcu),
    }
}
