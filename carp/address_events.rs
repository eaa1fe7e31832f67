// SPDX-License-Identifier: GPL-2.0

//! Addresses that an interface gets and loses.

use super::{
    addresses::Addresses, deliver::deliver, device::Carp, election, limits, netns::report,
    outbox::Outbox,
};
use crate::{
    linux::{
        inet6addr::Inet6Addr, inetaddr::InetAddr, netdevice_ops::OwnDevice, netlink::Extack, timer,
    },
    proto::carp::{election::Event, log::NO_MEMORY, time::Instant},
};
use core::net::IpAddr;
use kernel::{prelude::*, rbtree::RBTreeNodeReservation};

/// Makes room for one more IPv4 address, for [`added`] has nobody to
/// tell that there is none. Process context, may sleep.
///
/// # Errors
///
/// In words: out of memory, or there are too many for the user.
pub(super) fn reserve(carp: &Carp, extack: &Extack<'_>) -> Result {
    check(carp, extack)?;
    let room = room(extack)?;
    let old = carp.host.lock().addresses.spare.ipv4.replace(room);
    drop(old);
    Ok(())
}

/// The same for IPv6.
///
/// # Errors
///
/// As above.
pub(super) fn reserve6(carp: &Carp, extack: &Extack<'_>) -> Result {
    check(carp, extack)?;
    let (room, group) = (room(extack)?, room(extack)?);
    let old = {
        let spare = &mut carp.host.lock().addresses.spare;
        (spare.ipv6.replace(room), spare.group.replace(group))
    };
    drop(old);
    Ok(())
}

fn check(carp: &Carp, extack: &Extack<'_>) -> Result {
    let len = carp.host.lock().addresses.len();
    limits::check_address(len, extack)
}

fn room<K, V>(extack: &Extack<'_>) -> Result<RBTreeNodeReservation<K, V>> {
    RBTreeNodeReservation::new(GFP_KERNEL_ACCOUNT)
        .map_err(|error| extack.error(error, format_args!("no memory for one more address")))
}

/// An IPv4 address was added. Any context.
pub(super) fn added(carp: &Carp, own: &OwnDevice, address: &InetAddr) {
    insert(carp, own, |addresses| addresses.insert(address));
}

/// An IPv6 address was added. Any context.
pub(super) fn added6(carp: &Carp, own: &OwnDevice, address: &Inet6Addr) {
    insert(carp, own, |addresses| addresses.insert6(address));
}

fn insert(carp: &Carp, own: &OwnDevice, insert: impl FnOnce(&mut Addresses) -> Result<bool>) {
    if change(carp, insert).is_err() {
        report!(
            own,
            NO_MEMORY,
            "{}: no memory for the list of addresses: the digest is that of the old one\n",
            own.name()
        );
    }
}

/// An IPv4 address was removed. Any context.
pub(super) fn removed(carp: &Carp, address: &InetAddr) {
    remove(carp, address.address().into(), |addresses| {
        addresses.remove(address)
    });
}

/// An IPv6 address was removed. Any context.
pub(super) fn removed6(carp: &Carp, address: &Inet6Addr) {
    remove(carp, address.address().into(), |addresses| {
        addresses.remove6(address)
    });
}

fn remove(carp: &Carp, address: IpAddr, remove: impl FnOnce(&mut Addresses) -> bool) {
    let last = {
        let host = carp.host.lock();
        host.addresses.len() == 1 && host.addresses.iter().next() == Some(address)
    };
    if last {
        // Still under the old list, which a farewell is signed with.
        election::halt(carp, true);
    }
    // Removing never fails.
    let _ = change(carp, |addresses| Ok(remove(addresses)));
}

/// Changes the list of addresses, of which `change` says whether the digest is
/// another one: what is hashed, sent and run for follows.
///
/// # Errors
///
/// Those of `change`.
fn change(carp: &Carp, change: impl FnOnce(&mut Addresses) -> Result<bool>) -> Result {
    let mut outbox = Outbox::new();
    {
        let mut host = carp.host.lock();
        let host = &mut *host;
        let before = host.families();
        host.invalidate_dumps();
        let changes_digest = change(&mut host.addresses)?;
        host.addresses_changed(changes_digest, Instant(timer::now()));
        if host.families() == before {
            return Ok(());
        }
        election::handle_locked(carp, host, Event::FamiliesChanged, &mut outbox);
    }
    deliver(carp, &mut outbox);
    election::start_or_stop(carp);
    Ok(())
}
