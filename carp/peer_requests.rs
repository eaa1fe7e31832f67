// SPDX-License-Identifier: GPL-2.0

//! What is asked over generic netlink about the other hosts that advertise.

use super::{device::Carp, link::fill_ip, notify, requested};
use crate::{
    linux::{
        bindings,
        genetlink::{Dump, Entries, Permission, Position, Request, Table},
        namespace::Net,
        netdevice_ops::OwnDevice,
        netlink::Message,
        timer,
    },
    proto::carp::advertisers::{Advertiser, Advertisers},
};
use kernel::prelude::*;

/// CARP_CMD_PEER_GET: of all interfaces, or of one.
pub(super) struct PeerGet;

impl Dump for PeerGet {
    const COMMAND: u32 = bindings::CARP_CMD_PEER_GET;
    const PERMISSION: Permission = Permission::Anyone;
    const ATTRIBUTES: Table = Table::new(&requested::INTERFACE);

    /// Who is heard while it is read is in it or not; nothing is wrong then.
    fn generation(_net: &Net) -> u32 {
        0
    }

    /// [`Position::inner`] is the next vhid; the first byte of [`Position::key`] is how many
    /// of its hosts are told.
    fn call(request: &Request<'_>, entries: &mut Entries<'_>, position: &mut Position) -> Result {
        requested::each_interface(request, position, |own, carp, position| {
            while let Some((vhid, advertisers)) = next(carp, position) {
                if u32::from(vhid) != position.inner {
                    position.inner = u32::from(vhid);
                    position.key = [0; 16];
                }
                let [told, ..] = position.key;
                for advertiser in advertisers.iter().skip(usize::from(told)) {
                    entries.add(|message| fill(message, own, vhid, advertiser))?;
                    let [told, ..] = &mut position.key;
                    *told = told.saturating_add(1);
                }
                position.inner = u32::from(vhid).saturating_add(1);
                position.key = [0; 16];
            }
            Ok(())
        })
    }
}

/// The virtual host whose vhid is [`Position::inner`] or the next one, and who advertises it.
fn next(carp: &Carp, position: &Position) -> Option<(u8, Advertisers)> {
    let host = carp.host.lock();
    let node = host.node_from(position.inner)?;
    Some((node.vhid(), node.advertisers))
}

fn fill(message: &mut Message<'_>, own: &OwnDevice, vhid: u8, advertiser: &Advertiser) -> Result {
    notify::interface(message, own)?;
    message.u8(bindings::CARP_A_VHID, vhid)?;
    fill_ip(advertiser.address, bindings::CARP_A_ADDRESS, message)?;
    message.u8(bindings::CARP_A_ADVBASE, advertiser.advbase)?;
    message.u8(bindings::CARP_A_ADVSKEW, advertiser.advskew)?;
    message.u32(bindings::CARP_A_DEMOTE, u32::from(advertiser.demote))?;
    let digest = if advertiser.digest_differs {
        bindings::carp_digest_CARP_DIGEST_DIFFERS
    } else {
        bindings::carp_digest_CARP_DIGEST_GOOD
    };
    message.u8(bindings::CARP_A_DIGEST, u8::try_from(digest).unwrap_or(0))?;
    let ago = timer::now().saturating_sub(advertiser.at.0);
    message.u64(bindings::CARP_A_AGO, ago, bindings::CARP_A_PAD)
}
