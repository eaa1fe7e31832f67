// SPDX-License-Identifier: GPL-2.0

//! What is asked over generic netlink about how often virtual hosts have changed their state.

use super::{device::Carp, notify, requested, transition_counts::TransitionCounts};
use crate::linux::{
    bindings,
    genetlink::{Dump, Entries, Permission, Position, Request, Table},
    namespace::Net,
    netdevice_ops::OwnDevice,
    netlink::Message,
};
use kernel::prelude::*;

/// CARP_CMD_TRANSITION_GET: of all interfaces, or of one.
pub(super) struct TransitionGet;

impl Dump for TransitionGet {
    const COMMAND: u32 = bindings::CARP_CMD_TRANSITION_GET;
    const PERMISSION: Permission = Permission::Anyone;
    const ATTRIBUTES: Table = Table::new(&requested::INTERFACE);

    /// A count that grows while it is read makes nothing wrong.
    fn generation(_net: &Net) -> u32 {
        0
    }

    fn call(request: &Request<'_>, entries: &mut Entries<'_>, position: &mut Position) -> Result {
        requested::each_interface(request, position, |own, carp, position| {
            while let Some((vhid, counts)) = next(carp, position) {
                entries.add(|message| fill(message, own, vhid, &counts))?;
                position.inner = u32::from(vhid).saturating_add(1);
            }
            Ok(())
        })
    }
}

/// The virtual host whose vhid is [`Position::inner`] or the next one.
fn next(carp: &Carp, position: &Position) -> Option<(u8, TransitionCounts)> {
    let host = carp.host.lock();
    let node = host.node_from(position.inner)?;
    Some((node.vhid(), node.transitions))
}

fn fill(message: &mut Message<'_>, own: &OwnDevice, vhid: u8, counts: &TransitionCounts) -> Result {
    notify::interface(message, own)?;
    message.u8(bindings::CARP_A_VHID, vhid)?;
    counts.try_for_each(|state, reason, count| {
        message.nest(bindings::CARP_A_TRANSITION, |message| {
            message.u8(bindings::CARP_TRANSITION_STATE, state)?;
            message.u8(bindings::CARP_TRANSITION_REASON, reason)?;
            message.u32(bindings::CARP_TRANSITION_COUNT, count)
        })
    })
}
