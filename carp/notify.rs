// SPDX-License-Identifier: GPL-2.0

//! What listeners of the generic netlink family `carp` are told, as
//! `include/uapi/linux/carp.h` and `docs/carp.yaml` have it.

use super::{groups::Group, published::state_to_u32};
use crate::{
    linux::{
        bindings, genetlink,
        namespace::Net,
        netdevice::Device,
        netdevice_ops::OwnDevice,
        netlink::{attribute_size, Message},
    },
    proto::carp::{
        causes::{Reason, REASON_MAX},
        demotion::GROUP_NAME_MAX,
        effects::{self, Transition},
        election::{Family, State},
    },
};
use kernel::prelude::*;

/// The family; [`super::genetlink`] has its operations.
pub(super) static FAMILY: genetlink::Family = genetlink::Family::new(c"carp", 1, &GROUPS);

static GROUPS: [genetlink::Group; 1] = [genetlink::Group::new(c"events")];

/// Its index in [`GROUPS`].
const EVENTS: u32 = 0;

/// The room of an interface's index and name.
const INTERFACE: usize = attribute_size(4) + attribute_size(bindings::IFNAMSIZ as usize);

/// Writes an interface's index and name.
///
/// # Errors
///
/// EMSGSIZE: there is no room.
pub(super) fn interface(message: &mut Message<'_>, dev: &Device) -> Result {
    message.u32(bindings::CARP_A_IFINDEX, dev.ifindex())?;
    let name = dev.name_bytes();
    let name = name.split(|&byte| byte == 0).next().unwrap_or_default();
    message.string(bindings::CARP_A_IFNAME, name)
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
            fill_transition(message, vhid, demote, transition)
        },
    );
}

/// Writes a change of a virtual host's state.
///
/// # Errors
///
/// EMSGSIZE: there is no room.
pub(super) fn fill_transition(
    message: &mut Message<'_>,
    vhid: u8,
    demote: u8,
    transition: &Transition,
) -> Result {
    message.u8(bindings::CARP_A_VHID, vhid)?;
    message.u8(bindings::CARP_A_OLD_STATE, state_number(transition.from))?;
    message.u8(bindings::CARP_A_STATE, state_number(transition.to))?;
    message.u8(bindings::CARP_A_REASON, reason_number(transition.reason))?;
    message.u32(bindings::CARP_A_DEMOTE, u32::from(demote))
}

/// Tells listeners that the demotion counter of a group was changed. Any context; a lock
/// may be held.
pub(super) fn demoted(net: &Net, group: &Group, step: i32, cause: &str, reason: &Reason) {
    let size = attribute_size(GROUP_NAME_MAX.saturating_add(1))
        .saturating_add(2 * attribute_size(4))
        .saturating_add(attribute_size(cause.len().saturating_add(1)))
        .saturating_add(attribute_size(REASON_MAX + 1));
    let command = bindings::CARP_CMD_DEMOTE_NTF;
    FAMILY.event(net, EVENTS, command, size, |message| {
        message.string(bindings::CARP_A_GROUP, group.name.as_bytes())?;
        message.u32(bindings::CARP_A_DEMOTE, group.counter().get())?;
        message.s32(bindings::CARP_A_STEP, step)?;
        message.string(bindings::CARP_A_CAUSE, cause.as_bytes())?;
        match reason.as_bytes() {
            [] => Ok(()),
            reason => message.string(bindings::CARP_A_CAUSE_REASON, reason),
        }
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
pub(super) fn state_number(state: State) -> u8 {
    u8::try_from(state_to_u32(state)).unwrap_or(0)
}

/// A reason's number in `carp.h`, `enum carp_reason`.
pub(super) fn reason_number(reason: effects::Reason) -> u8 {
    let number = match reason {
        effects::Reason::Started => bindings::carp_reason_CARP_REASON_STARTED,
        effects::Reason::Stopped => bindings::carp_reason_CARP_REASON_STOPPED,
        effects::Reason::NoAddress => bindings::carp_reason_CARP_REASON_NO_ADDRESS,
        effects::Reason::Reconfigured => bindings::carp_reason_CARP_REASON_RECONFIGURED,
        effects::Reason::MasterTimedOut(Family::Ipv4) => {
            bindings::carp_reason_CARP_REASON_MASTER_TIMED_OUT
        }
        effects::Reason::MasterTimedOut(Family::Ipv6) => {
            bindings::carp_reason_CARP_REASON_MASTER_TIMED_OUT_IPV6
        }
        effects::Reason::MasterBowedOut => bindings::carp_reason_CARP_REASON_MASTER_BOWED_OUT,
        effects::Reason::Preempting => bindings::carp_reason_CARP_REASON_PREEMPTING,
        effects::Reason::MasterDemoted => bindings::carp_reason_CARP_REASON_MASTER_DEMOTED,
        effects::Reason::MasterTooSlow => bindings::carp_reason_CARP_REASON_MASTER_TOO_SLOW,
        effects::Reason::BetterMaster => bindings::carp_reason_CARP_REASON_BETTER_MASTER,
        effects::Reason::EqualMaster => bindings::carp_reason_CARP_REASON_EQUAL_MASTER,
        effects::Reason::LessDemotedMaster => bindings::carp_reason_CARP_REASON_LESS_DEMOTED_MASTER,
        effects::Reason::Administrator => bindings::carp_reason_CARP_REASON_ADMINISTRATOR,
    };
    u8::try_from(number).unwrap_or(u8::MAX)
}
