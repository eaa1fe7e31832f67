// SPDX-License-Identifier: GPL-2.0

//! The generic netlink family `carp`, as `include/uapi/linux/carp.h` and
//! `docs/carp.yaml` have it.

use super::{
    address_requests::AddressGet,
    counters::{Counter, Counters},
    device::{state_to_u32, Carp},
    group_requests::{GroupDemote, GroupGet},
    groups::Group,
    netns::Namespace,
    parent::Parent,
    status::{Node, Status},
};
use crate::{
    linux::{
        bindings,
        genetlink::{self, Do, Dump, Entries, Operation, Permission, Position, Request, Table},
        namespace::Net,
        netdevice::Device,
        netdevice_ops::OwnDevice,
        netlink::{attribute_size, attribute_size_u64, Message, Policies, Policy},
        rx_handler,
    },
    proto::carp::{
        demotion::GROUP_NAME_MAX,
        effects::{Reason, Transition},
        election::{Family, State},
    },
};
use kernel::{prelude::*, sync::rcu};

/// The registration.
pub(crate) static FAMILY: genetlink::Family =
    genetlink::Family::new(c"carp", 1, &OPERATIONS, &GROUPS);

static OPERATIONS: [Operation; 6] = [
    Operation::list::<VhostGet>(),
    Operation::once::<GroupGet>(),
    Operation::list::<GroupGet>(),
    Operation::once::<GroupDemote>(),
    Operation::once::<StatsGet>(),
    Operation::list::<AddressGet>(),
];

static GROUPS: [genetlink::Group; 1] = [genetlink::Group::new(c"events")];

/// Its place in [`GROUPS`].
const EVENTS: u32 = 0;

/// The room of an interface's index and name.
const INTERFACE: usize = attribute_size(4) + attribute_size(bindings::IFNAMSIZ as usize);

pub(super) fn interface(message: &mut Message<'_>, dev: &Device) -> Result {
    message.u32(bindings::CARP_A_IFINDEX, dev.ifindex())?;
    let name = dev.name_bytes();
    let name = name.split(|&byte| byte == 0).next().unwrap_or_default();
    message.string(bindings::CARP_A_IFNAME, name)
}

/// CARP_CMD_VHOST_GET: all virtual hosts, or those of one interface.
struct VhostGet;

static VHOST_GET: Policies<{ bindings::CARP_A_IFINDEX as usize + 1 }> =
    Policies::new(&[(bindings::CARP_A_IFINDEX, Policy::U32)]);

impl Dump for VhostGet {
    const COMMAND: u32 = bindings::CARP_CMD_VHOST_GET;
    const PERMISSION: Permission = Permission::Anyone;
    const ATTRIBUTES: Table = Table::new(&VHOST_GET);

    fn generation(net: &Net) -> u32 {
        Namespace::of(net, &rcu::read_lock()).map_or(0, Namespace::generation)
    }

    fn call(request: &Request<'_>, entries: &mut Entries<'_>, position: &mut Position) -> Result {
        let rcu = rcu::read_lock();
        let only = request.attributes.u32(bindings::CARP_A_IFINDEX);
        if let (Some(ifindex), true) = (only, position.is_begin()) {
            check(request, ifindex, &rcu)?;
            position.outer = ifindex;
        }
        for dev in Device::walk(request.net, position.outer, &rcu) {
            if dev.ifindex() != position.outer {
                *position = Position::new(dev.ifindex());
            }
            if only.is_some_and(|only| only != position.outer) {
                break;
            }
            if let Some((own, carp)) = dev.of_driver::<Carp>(&rcu) {
                let status = carp.status();
                for node in status.nodes() {
                    let place = u32::from(node.vhid);
                    if place >= position.inner {
                        entries.add(|message| fill_vhost(message, own, &status, node))?;
                        position.inner = place.saturating_add(1);
                    }
                }
            }
            *position = Position::new(position.outer.saturating_add(1));
        }
        Ok(())
    }
}

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

fn fill_vhost(message: &mut Message<'_>, own: &OwnDevice, status: &Status, node: &Node) -> Result {
    interface(message, own)?;
    message.u8(bindings::CARP_A_VHID, node.vhid)?;
    message.u8(bindings::CARP_A_STATE, number(node.state))?;
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

/// Tells listeners that a virtual host has changed its state. Any context; a lock may be
/// held.
pub(super) fn state_changed(own: &OwnDevice, vhid: u8, demote: u8, transition: &Transition) {
    const SIZE: usize = INTERFACE + 4 * attribute_size(1) + attribute_size(4);
    FAMILY.event(
        own.net(),
        EVENTS,
        bindings::CARP_CMD_STATE_NTF,
        SIZE,
        |message| {
            interface(message, own)?;
            message.u8(bindings::CARP_A_VHID, vhid)?;
            message.u8(bindings::CARP_A_OLD_STATE, number(transition.from))?;
            message.u8(bindings::CARP_A_STATE, number(transition.to))?;
            message.u8(bindings::CARP_A_REASON, reason(transition.reason))?;
            message.u32(bindings::CARP_A_DEMOTE, u32::from(demote))
        },
    );
}

/// Tells listeners that the demotion counter of a group was changed. Any context; a lock
/// may be held.
pub(super) fn demoted(net: &Net, group: &Group, step: i32, cause: &str) {
    let size = attribute_size(GROUP_NAME_MAX.saturating_add(1))
        .saturating_add(2 * attribute_size(4))
        .saturating_add(attribute_size(cause.len().saturating_add(1)));
    let command = bindings::CARP_CMD_DEMOTE_NTF;
    FAMILY.event(net, EVENTS, command, size, |message| {
        message.string(bindings::CARP_A_GROUP, group.name.as_bytes())?;
        message.u32(bindings::CARP_A_DEMOTE, group.counter().get())?;
        message.s32(bindings::CARP_A_STEP, step)?;
        message.string(bindings::CARP_A_CAUSE, cause.as_bytes())
    });
}

/// Tells listeners that an interface has lost its parent, or has it again with the index
/// `carpdev`. Any context; a lock may be held.
pub(super) fn carpdev_changed(
    own: &OwnDevice,
    name: &[u8; bindings::IFNAMSIZ as usize],
    carpdev: Option<u32>,
) {
    const SIZE: usize = INTERFACE + attribute_size(4) + attribute_size(bindings::IFNAMSIZ as usize);
    let command = bindings::CARP_CMD_CARPDEV_NTF;
    FAMILY.event(own.net(), EVENTS, command, SIZE, |message| {
        interface(message, own)?;
        let name = name.split(|&byte| byte == 0).next().unwrap_or_default();
        message.string(bindings::CARP_A_CARPDEV_NAME, name)?;
        match carpdev {
            Some(carpdev) => message.u32(bindings::CARP_A_CARPDEV, carpdev),
            None => Ok(()),
        }
    });
}

/// A state's number in `if_carp.h`.
fn number(state: State) -> u8 {
    u8::try_from(state_to_u32(state)).unwrap_or(0)
}

/// A reason's number in `carp.h`, `enum carp_reason`.
fn reason(reason: Reason) -> u8 {
    let number = match reason {
        Reason::Started => bindings::carp_reason_CARP_REASON_STARTED,
        Reason::Stopped => bindings::carp_reason_CARP_REASON_STOPPED,
        Reason::NoAddress => bindings::carp_reason_CARP_REASON_NO_ADDRESS,
        Reason::Reconfigured => bindings::carp_reason_CARP_REASON_RECONFIGURED,
        Reason::MasterTimedOut(Family::Ipv4) => bindings::carp_reason_CARP_REASON_MASTER_TIMED_OUT,
        Reason::MasterTimedOut(Family::Ipv6) => {
            bindings::carp_reason_CARP_REASON_MASTER_TIMED_OUT_IPV6
        }
        Reason::MasterBowedOut => bindings::carp_reason_CARP_REASON_MASTER_BOWED_OUT,
        Reason::Preempting => bindings::carp_reason_CARP_REASON_PREEMPTING,
        Reason::MasterDemoted => bindings::carp_reason_CARP_REASON_MASTER_DEMOTED,
        Reason::MasterTooSlow => bindings::carp_reason_CARP_REASON_MASTER_TOO_SLOW,
        Reason::BetterMaster => bindings::carp_reason_CARP_REASON_BETTER_MASTER,
        Reason::EqualMaster => bindings::carp_reason_CARP_REASON_EQUAL_MASTER,
        Reason::LessDemotedMaster => bindings::carp_reason_CARP_REASON_LESS_DEMOTED_MASTER,
        Reason::Administrator => bindings::carp_reason_CARP_REASON_ADMINISTRATOR,
    };
    u8::try_from(number).unwrap_or(u8::MAX)
}
