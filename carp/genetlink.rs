// SPDX-License-Identifier: GPL-2.0

//! What is asked of the generic netlink family `carp`, as `include/uapi/linux/carp.h` and
//! `docs/carp.yaml` have it.

use super::{
    address_requests::AddressGet,
    cause_requests::{CauseDel, CauseGet, CauseSet},
    counters::{Counter, Counters},
    device::Carp,
    group_requests::{GroupDemote, GroupGet},
    history_requests::HistoryGet,
    netns::Namespace,
    notify::{interface, state_number},
    parent::Parent,
    peer_requests::PeerGet,
    requested,
    status::{Node, Status},
    transition_requests::TransitionGet,
};
use crate::linux::{
    bindings,
    genetlink::{Do, Dump, Entries, Operation, Permission, Position, Request, Table},
    namespace::Net,
    netdevice::Device,
    netdevice_ops::OwnDevice,
    netlink::{attribute_size, attribute_size_u64, Message},
    rx_handler,
};
use kernel::{prelude::*, sync::rcu};

/// In ascending order, as [`genetlink::Family::register`] wants them.
pub(super) static OPERATIONS: [Operation; 12] = [
    Operation::list::<VhostGet>(),
    Operation::once::<GroupGet>(),
    Operation::list::<GroupGet>(),
    Operation::once::<GroupDemote>(),
    Operation::once::<StatsGet>(),
    Operation::list::<AddressGet>(),
    Operation::list::<CauseGet>(),
    Operation::once::<CauseSet>(),
    Operation::once::<CauseDel>(),
    Operation::list::<HistoryGet>(),
    Operation::list::<PeerGet>(),
    Operation::list::<TransitionGet>(),
];

/// CARP_CMD_VHOST_GET: all virtual hosts, or those of one interface.
struct VhostGet;

impl Dump for VhostGet {
    const COMMAND: u32 = bindings::CARP_CMD_VHOST_GET;
    const PERMISSION: Permission = Permission::Anyone;
    const ATTRIBUTES: Table = Table::new(&requested::INTERFACE);

    fn generation(net: &Net) -> u32 {
        Namespace::of(net, &rcu::read_lock()).map_or(0, Namespace::generation)
    }

    fn call(request: &Request<'_>, entries: &mut Entries<'_>, position: &mut Position) -> Result {
        requested::each_interface(request, position, |own, carp, position| {
            let status = Status::of(carp);
            for node in status.nodes() {
                let vhid = u32::from(node.vhid);
                if vhid >= position.inner {
                    entries.add(|message| fill_vhost(message, own, &status, node))?;
                    position.inner = vhid.saturating_add(1);
                }
            }
            Ok(())
        })
    }
}

fn fill_vhost(message: &mut Message<'_>, own: &OwnDevice, status: &Status, node: &Node) -> Result {
    interface(message, own)?;
    message.u8(bindings::CARP_A_VHID, node.vhid)?;
    message.u8(bindings::CARP_A_STATE, state_number(node.state))?;
    message.u8(bindings::CARP_A_ADVBASE, status.advbase)?;
    message.u8(bindings::CARP_A_ADVSKEW, node.advskew)?;
    message.u32(bindings::CARP_A_DEMOTE, status.demote)?;
    if let Some(carpdev) = status.carpdev {
        message.u32(bindings::CARP_A_CARPDEV, carpdev)?;
    }
    Ok(())
}

/// CARP_CMD_STATS_GET: the counters of the namespace and all that is in it.
struct StatsGet;

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
