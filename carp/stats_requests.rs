// SPDX-License-Identifier: GPL-2.0

//! What is asked over generic netlink about counters: the sum over a namespace, or those of
//! each interface.

use super::{
    counters::{Counter, Counters},
    device::Carp,
    netns::Namespace,
    notify,
    parent::Parent,
    requested,
};
use crate::linux::{
    bindings,
    genetlink::{Do, Dump, Entries, Permission, Position, Request, Table},
    namespace::Net,
    netdevice::Device,
    netdevice_ops::OwnDevice,
    netlink::{attribute_size, attribute_size_u64, Message},
    rx_handler,
};
use kernel::{prelude::*, sync::rcu};

/// CARP_CMD_STATS_GET, asked once: the counters of the namespace and all that is in it.
pub(super) struct StatsGet;

impl Do for StatsGet {
    const COMMAND: u32 = bindings::CARP_CMD_STATS_GET;
    const PERMISSION: Permission = Permission::Anyone;
    const ATTRIBUTES: Table = Table::NONE;

    fn call(request: &Request<'_>) -> Result {
        let mut sums = Counter::ALL.map(|(_, attribute)| (attribute, 0u64));
        let mut add = |counters: &Counters| {
            for ((_, sum), (counter, _)) in sums.iter_mut().zip(Counter::ALL) {
                *sum = sum.wrapping_add(counters.get(counter));
            }
        };
        let rcu = rcu::read_lock();
        if let Some(namespace) = Namespace::of(request.net, &rcu) {
            add(&namespace.counters);
        }
        for dev in Device::walk(request.net, 0, &rcu) {
            if let Some((_, carp)) = dev.of_driver::<Carp>(&rcu) {
                add(&carp.counters);
            }
            if let Some(parent) = rx_handler::get_rcu::<Parent>(dev, &rcu) {
                add(&parent.counters);
            }
        }
        drop(rcu);
        let size =
            attribute_size(0).saturating_add(sums.len().saturating_mul(attribute_size_u64()));
        request.reply(size, |message| {
            message.nest(bindings::CARP_A_STATS, |message| {
                for (attribute, sum) in sums {
                    message.u64(attribute, sum, bindings::CARP_STATS_PAD)?;
                }
                Ok(())
            })
        })
    }
}

/// CARP_CMD_STATS_GET as a list: the counters of all interfaces, or of one.
pub(super) struct StatsList;

impl Dump for StatsList {
    const COMMAND: u32 = bindings::CARP_CMD_STATS_GET;
    const PERMISSION: Permission = Permission::Anyone;
    const ATTRIBUTES: Table = Table::new(&requested::INTERFACE);

    /// A counter that grows while it is read makes nothing wrong.
    fn generation(_net: &Net) -> u32 {
        0
    }

    fn call(request: &Request<'_>, entries: &mut Entries<'_>, position: &mut Position) -> Result {
        requested::each_interface(request, position, |own, carp, _| {
            entries.add(|message| fill(message, own, carp))
        })
    }
}

/// Most counters of most interfaces are 0, and thousands of interfaces are read at once.
fn fill(message: &mut Message<'_>, own: &OwnDevice, carp: &Carp) -> Result {
    notify::interface(message, own)?;
    message.nest(bindings::CARP_A_STATS, |message| {
        let mut counted = of_interface(carp, own.net()).filter(|(_, value)| *value != 0);
        counted.try_for_each(|(attribute, value)| {
            message.u64(attribute, value, bindings::CARP_STATS_PAD)
        })
    })
}

/// An interface's own counters by their attributes, and with them those of packets that nobody
/// could be charged with: on its parent, and in its namespace. Any context.
pub(super) fn of_interface(carp: &Carp, net: &Net) -> impl Iterator<Item = (u32, u64)> {
    let rcu = rcu::read_lock();
    let parent = Parent::lower_of(carp, &rcu).map(|it| &it.counters);
    let namespace = Namespace::of(net, &rcu).map(|it| &it.counters);
    Counter::ALL
        .map(|(counter, attribute)| {
            let values = [Some(&carp.counters), parent, namespace]
                .into_iter()
                .flatten();
            let sum = values.fold(0u64, |sum, it| sum.saturating_add(it.get(counter)));
            (attribute, sum)
        })
        .into_iter()
}
