// SPDX-License-Identifier: GPL-2.0

//! What is asked of the generic netlink family `carp`, as `include/uapi/linux/carp.h` and
//! `docs/carp.yaml` have it.

use super::{
    address_requests::AddressGet,
    cause_requests::{CauseDel, CauseGet, CauseSet},
    group_requests::{GroupDemote, GroupGet},
    history_requests::HistoryGet,
    netns::Namespace,
    notify::{interface, state_number},
    peer_requests::PeerGet,
    requested,
    stats_requests::{StatsGet, StatsList},
    status::{Node, Status},
    transition_requests::TransitionGet,
};
use crate::linux::{
    bindings,
    genetlink::{Dump, Entries, Operation, Permission, Position, Request, Table},
    namespace::Net,
    netdevice_ops::OwnDevice,
    netlink::Message,
};
use kernel::{prelude::*, sync::rcu};

/// In ascending order, as [`genetlink::Family::register`] wants them.
pub(super) static OPERATIONS: [Operation; 13] = [
    Operation::list::<VhostGet>(),
    Operation::once::<GroupGet>(),
    Operation::list::<GroupGet>(),
    Operation::once::<GroupDemote>(),
    Operation::once::<StatsGet>(),
    Operation::list::<StatsList>(),
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
            let status = Status::of(carp, own);
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
    if let Some(carpdev) = &status.carpdev {
        if let Some(index) = carpdev.index {
            message.u32(bindings::CARP_A_CARPDEV, index)?;
        }
        let name = carpdev.name.split(|&byte| byte == 0).next();
        message.string(bindings::CARP_A_CARPDEV_NAME, name.unwrap_or_default())?;
        if let Some(id) = carpdev.netnsid {
            message.s32(bindings::CARP_A_CARPDEV_NETNSID, id)?;
        }
    }
    match status.digest_differs {
        Some(age) => message.u32(bindings::CARP_A_DIGEST_DIFFERS, age),
        None => Ok(()),
    }
}
