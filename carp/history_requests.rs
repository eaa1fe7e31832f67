// SPDX-License-Identifier: GPL-2.0

//! What is asked over generic netlink about the past.

use super::{device::Carp, history::Past, notify, requested};
use crate::{
    linux::{
        bindings,
        genetlink::{Dump, Entries, Permission, Position, Request, Table},
        namespace::Net,
        netdevice_ops::OwnDevice,
        netlink::Message,
        timer,
    },
    proto::carp::time::Instant,
};
use kernel::prelude::*;

/// CARP_CMD_HISTORY_GET: of all interfaces, or of one.
pub(super) struct HistoryGet;

/// In [`Position::key`]: [`Position::inner`] is the number of the next change.
const BEGUN: [u8; 16] = [1; 16];

impl Dump for HistoryGet {
    const COMMAND: u32 = bindings::CARP_CMD_HISTORY_GET;
    const PERMISSION: Permission = Permission::Anyone;
    const ATTRIBUTES: Table = Table::new(&requested::INTERFACE);

    /// What is added while it is read comes at the end, and makes nothing wrong.
    fn generation(_net: &Net) -> u32 {
        0
    }

    fn call(request: &Request<'_>, entries: &mut Entries<'_>, position: &mut Position) -> Result {
        requested::each_interface(request, position, |own, carp, position| {
            while let Some((number, past)) = next(carp, position) {
                entries.add(|message| fill(message, own, &past))?;
                position.inner = number.wrapping_add(1);
                position.key = BEGUN;
            }
            Ok(())
        })
    }
}

/// The next change of an interface, and its number: some may have gone meanwhile.
fn next(carp: &Carp, position: &Position) -> Option<(u32, Past)> {
    let host = carp.host.lock();
    let first = host.history.first();
    let wanted = if position.key == BEGUN {
        position.inner
    } else {
        first
    };
    // Older than the oldest, in a count that may wrap around.
    let is_gone = wanted.wrapping_sub(first) > u32::MAX / 2;
    let number = if is_gone { first } else { wanted };
    Some((number, *host.history.get(number)?))
}

fn fill(message: &mut Message<'_>, own: &OwnDevice, past: &Past) -> Result {
    notify::interface(message, own)?;
    notify::fill_transition(message, past.vhid, past.demote, &past.transition)?;
    let Instant(at) = past.at;
    let ago = timer::now().saturating_sub(at);
    message.u64(bindings::CARP_A_AGO, ago, bindings::CARP_A_PAD)
}
