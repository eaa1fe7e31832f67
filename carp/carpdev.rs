// SPDX-License-Identifier: GPL-2.0

//! Attaches an interface to a parent and detaches it, and keeps the parent's filter and
//! multicast groups in line with the interface's settings, addresses and state.

use super::{
    attachment::Attachment,
    demote,
    device::Carp,
    election, hooks,
    lost_parent::LostParent,
    mtu,
    netns::{report, Namespace},
    settings::Settings,
};
use crate::{
    linux::{
        netdevice::Device, netdevice_ops::OwnDevice, netlink::Extack, rcu::RcuSlot, rtnl::Rtnl,
    },
    proto::carp::log::NO_MEMORY,
};
use kernel::{
    prelude::*,
    sync::{rcu, Arc},
};

/// Moves the interface from its old parent, if it has one, to `dev`.
///
/// # Errors
///
/// In words: `dev` cannot be the parent; nothing changed.
pub(super) fn move_to(
    carp: &Arc<Carp>,
    own: &OwnDevice,
    dev: &Device,
    settings: &Settings,
    extack: &Extack<'_>,
    rtnl: &Rtnl,
) -> Result {
    if carp.configured.attachment.borrow_mut(rtnl).is_none() {
        // An event that another change of the attachment causes; that change is still
        // under way.
        return Err(EBUSY);
    }
    let carpdev = RcuSlot::prepare(dev.hold())?;
    hooks::hook_arp(dev.net(), rtnl)?;
    let attachment = Attachment::new(carp, own, dev, settings, extack, rtnl)
        .inspect_err(|_| hooks::unhook_arp(dev.net(), rtnl))?;
    // Nothing can fail from here on.
    disconnect(carp, own, rtnl);
    if let Some(mut slot) = carp.configured.attachment.borrow_mut(rtnl) {
        *slot = Some(attachment);
    }
    carp.published.carpdev.put(carpdev);
    {
        let mut host = carp.host.lock();
        host.carpdev = Some(dev.hold());
        host.demotion.carpdev = dev.name_now();
        // The parent's address decides whether the digest covers the interface's
        // link-layer address.
        host.rehash();
        host.addresses.solicited.forget();
    }
    carp.published.find_ways_back(own);
    join_members(own, dev, rtnl);
    mtu::follow(carp, dev, rtnl);
    join_groups(carp, own, rtnl);
    Ok(())
}

/// Applies changed settings (vhids, mode, link-layer address) to the parent, if there is
/// one.
pub(super) fn change_attachment(
    carp: &Arc<Carp>,
    own: &OwnDevice,
    old: &Settings,
    new: &Settings,
    extack: &Extack<'_>,
    rtnl: &Rtnl,
) -> Result {
    if old.nodes == new.nodes && old.mac() == new.mac() && old.balancing() == new.balancing() {
        return Ok(());
    }
    with_attachment(carp, rtnl, |attachment| {
        attachment.change(carp, own, new, extack, rtnl)
    })
}

/// Whether `dev` is the interface's parent. Any context.
pub(super) fn is_carpdev(carp: &Carp, dev: &Device) -> bool {
    let rcu = rcu::read_lock();
    carp.published
        .carpdev
        .get(&rcu)
        .is_some_and(|carpdev| carpdev.is(dev))
}

/// Calls `change` with the attachment, if there is one.
///
/// # Errors
///
/// Those of `change`.
pub(super) fn with_attachment(
    carp: &Carp,
    rtnl: &Rtnl,
    change: impl FnOnce(&mut Attachment) -> Result,
) -> Result {
    match carp.configured.attachment.borrow_mut(rtnl).as_deref_mut() {
        Some(Some(attachment)) => change(attachment),
        // There is no parent, or another change of the attachment is under way and has
        // caused this call.
        _ => Ok(()),
    }
}

/// Adds the interface's addresses to the parent's receive filter, or removes them.
///
/// # Errors
///
/// Out of memory: nothing changed. With `up` false it cannot fail.
pub(super) fn set_filter(carp: &Carp, up: bool, rtnl: &Rtnl) -> Result {
    let settings = carp.host.lock().settings;
    let masters = carp.published.masters();
    with_attachment(carp, rtnl, |attachment| {
        attachment.set_filter(&settings, up, masters, rtnl)
    })
}

/// Updates the parent's receive filter after a change of state, if the filter depends on
/// the state.
pub(super) fn follow_state(carp: &Carp, own: &OwnDevice, rtnl: &Rtnl) {
    let (up, follows) = {
        let host = carp.host.lock();
        let carpdev = host.carpdev.as_deref();
        (
            host.admin_up,
            carpdev.is_some_and(Attachment::filter_follows_state),
        )
    };
    if follows && set_filter(carp, up, rtnl).is_err() {
        report!(
            own,
            NO_MEMORY,
            "{}: no memory for the receive filter of its parent\n",
            own.name()
        );
    }
}

/// Adds the multicast groups joined on the interface to the parent's receive filter, if
/// the interface is up.
pub(super) fn join_members(own: &OwnDevice, carpdev: &Device, rtnl: &Rtnl) {
    if own.is_up() {
        own.lock_and_sync_multicast(carpdev, rtnl);
    }
}

/// Removes the multicast groups joined on the interface from the parent's receive filter.
pub(super) fn leave_members(carp: &Carp, own: &OwnDevice, rtnl: &Rtnl) {
    let carpdev = {
        let rcu = rcu::read_lock();
        carp.published
            .carpdev
            .get(&rcu)
            .map(|carpdev| (*carpdev).clone())
    };
    if let Some(carpdev) = carpdev {
        own.unsync_multicast(&carpdev, rtnl);
    }
}

/// Lets the parent join again the multicast groups that it has lost.
pub(super) fn refresh_groups(carp: &Carp, rtnl: &Rtnl) {
    // This cannot fail.
    let _ = with_attachment(carp, rtnl, |attachment| {
        attachment.refresh_groups(rtnl);
        Ok(())
    });
}

/// Lets the parent join and leave solicited-node groups as the interface's IPv6 addresses
/// change.
pub(super) fn join_groups(carp: &Carp, own: &OwnDevice, rtnl: &Rtnl) {
    let joined = with_attachment(carp, rtnl, |attachment| {
        let mut result = Ok(());
        // RTNL keeps others from carrying out a later change before this one.
        let next = || carp.host.lock().addresses.solicited.next();
        while let Some((group, member)) = next() {
            let done = if member {
                attachment.join(group, rtnl)
            } else {
                attachment.leave(group, rtnl);
                Ok(())
            };
            result = result.and(done);
        }
        result
    });
    if joined.is_err() {
        report!(
            own,
            NO_MEMORY,
            "{}: no memory for a multicast group: switches may not know that it listens\n",
            own.name()
        );
    }
}

/// Detaches the interface from its parent, and stops waiting for a parent that was
/// deleted.
pub(super) fn disconnect(carp: &Carp, own: &OwnDevice, rtnl: &Rtnl) {
    set_lost(carp, own, None, rtnl);
    detach(carp, own, rtnl);
    // Without a parent there is no failure of the parent to demote for.
    demote::suppress(carp, false, rtnl);
}

/// Detaches the interface from its parent: masters send a farewell if they still can, and
/// all virtual hosts become INIT.
pub(super) fn detach(carp: &Carp, own: &OwnDevice, rtnl: &Rtnl) {
    election::halt(carp, true);
    let attachment = match carp.configured.attachment.borrow_mut(rtnl) {
        Some(mut slot) => slot.take(),
        None => None,
    };
    let carpdev = carp.host.lock().carpdev.take();
    carp.published.carpdev.clear();
    if let Some(attachment) = attachment {
        // Whoever joins a group from now on finds no parent.
        own.unsync_multicast(attachment.parent().device(), rtnl);
        let parent = attachment.detach(own, rtnl);
        hooks::unhook_arp(parent.device().net(), rtnl);
    }
    drop(carpdev);
    mtu::free(own, rtnl);
    demote::reset_send_errors(carp);
}

/// Updates the parent's ingress hook after flowtables were added there or removed.
pub(super) fn follow_ingress(carp: &Carp, own: &OwnDevice, rtnl: &Rtnl) {
    if with_attachment(carp, rtnl, |attachment| {
        attachment.parent().follow_ingress(rtnl)
    })
    .is_err()
    {
        report!(
            own,
            NO_MEMORY,
            "{}: no memory to keep frames for other hosts from flowtables\n",
            own.name()
        );
    }
}

/// Sets which deleted parent the interface waits for; `None` if it waits for none.
pub(super) fn set_lost(carp: &Carp, own: &OwnDevice, lost: Option<LostParent>, rtnl: &Rtnl) {
    let was = core::mem::replace(&mut carp.host.lock().lost, lost);
    if let Some(namespace) = Namespace::of(own.net(), rtnl) {
        namespace.count_waiting(was.is_some(), lost.is_some(), rtnl);
    }
}
