// SPDX-License-Identifier: GPL-2.0

//! Changes that a user asks for. Each is carried out completely or not at all.

use super::{
    authentication::Authentication,
    carpdev,
    config::Change,
    configure::{configure, Fresh},
    device::Carp,
    election, group_membership,
    host::make_nodes,
    limits,
    netns::Namespace,
    settings::Settings,
};
use crate::{
    linux::{
        compat::ENETDOWN, link::LinkKind, netdevice::MacAddress, netdevice_ops::OwnDevice,
        netlink::Extack, rtnl::Rtnl,
    },
    proto::carp::election::State,
};
use kernel::{
    prelude::*,
    sync::{rcu, Arc},
};

/// Carries out a change completely or not at all: the steps that can fail come first, and
/// are undone if a later one fails.
pub(super) fn reconfigure(
    carp: &Arc<Carp>,
    own: &OwnDevice,
    mut change: Change<'_>,
    extack: &Extack<'_>,
    rtnl: &Rtnl,
) -> Result {
    let old = carp.host.lock().settings;
    let new = change.apply_to(old, extack)?;
    // A state can be forced only on an interface that runs before and after the change.
    let runs = carp.published.state() != 0
        && match change.carpdev {
            None => true,
            Some(None) => false,
            Some(Some(dev)) => dev.is_up() && dev.has_carrier(),
        };
    if change.state.is_some() && !runs {
        return Err(extack.error(
            ENETDOWN,
            format_args!("state cannot be set while the interface is INIT"),
        ));
    }
    let namespace = Namespace::of(own.net(), rtnl).ok_or(ENODEV)?;
    let groups = namespace.groups();
    limits::check(own.net(), &old, &new, extack, rtnl)?;
    check_peers(carp, &change, extack)?;
    let auth = prepare_auth(carp, &change, &new, extack)?;
    if let Some(name) = &change.leave {
        if !carp.host.lock().demotion.is_in_group(name) {
            return Err(extack.error(
                ENOENT,
                format_args!("{} is not in group {}", own.name(), name.as_str()),
            ));
        }
    }
    if own.mac() != new.mac() {
        carp.configured.is_changing_mac.replace(true, rtnl);
        let answer = own.pre_change_mac(&new.mac(), extack, rtnl);
        carp.configured.is_changing_mac.replace(false, rtnl);
        answer?;
    }
    let fresh = make_nodes(&new)?;
    // A group that the interface is in already must not be left again if a later step
    // fails.
    let joined = change
        .join
        .filter(|name| !carp.host.lock().demotion.is_in_group(name));
    if let Some(name) = joined {
        group_membership::join(carp, groups, name, extack, rtnl)?;
    }
    // Before the new settings are applied: a master that moves sends its farewell on the
    // old parent, signed with the old digest.
    let placed = match change.carpdev {
        Some(Some(dev)) if !carpdev::is_carpdev(carp, dev) => {
            carpdev::move_to(carp, own, dev, &new, extack, rtnl)
        }
        Some(None) => {
            carpdev::disconnect(carp, own, rtnl);
            Ok(())
        }
        _ => carpdev::change_attachment(carp, own, &old, &new, extack, rtnl),
    };
    if let Err(error) = placed {
        if let Some(name) = &joined {
            group_membership::leave(carp, groups, name, rtnl);
        }
        return Err(error);
    }
    // Nothing can fail from here on.
    if let Some(name) = &change.leave {
        group_membership::leave(carp, groups, name, rtnl);
    }
    if let Some(peers) = &mut change.peers {
        core::mem::swap(&mut carp.host.lock().peers, peers);
    }
    configure(
        carp,
        new,
        Fresh {
            key: change.key.take(),
            auth,
            auth_change: Some(change.auth),
            nodes: fresh,
        },
    );
    if carp.host.lock().is_counted {
        namespace.count_hosts(old.hosts(), new.hosts(), rtnl);
    }
    if own.mac() != new.mac() {
        own.change_mac(&new.mac(), rtnl);
        // Neighbours have the old one.
        election::announce_again(carp);
    }
    election::update(carp, rtnl);
    match change.state {
        Some(State::Init) | None => {}
        Some(state) => election::force(carp, state),
    }
    Ok(())
}

/// Checks whether the interface can have this link-layer address. Done here because there
/// is an extack, so that the user gets the error in words.
///
/// # Errors
///
/// The interface cannot have it; in words.
pub(super) fn check_lladdr(
    carp: &Carp,
    own: &OwnDevice,
    lladdr: &MacAddress,
    extack: &Extack<'_>,
    rtnl: &Rtnl,
) -> Result {
    // The address is part of new settings, which are checked against the parent as a
    // whole.
    if carp.configured.is_changing_mac.get(rtnl) {
        return Ok(());
    }
    let mut settings = carp.host.lock().settings;
    settings.set_lladdr(*lladdr);
    carpdev::with_attachment(carp, rtnl, |attachment| {
        attachment.check_lladdr(carp, own, &settings, extack)
    })
}

/// Gives the interface a link-layer address of its own.
///
/// # Errors
///
/// Another interface has the address, or there is no memory; nothing changed.
pub(super) fn set_lladdr(
    carp: &Arc<Carp>,
    own: &OwnDevice,
    lladdr: MacAddress,
    rtnl: &Rtnl,
) -> Result {
    let old = carp.host.lock().settings;
    let mut new = old;
    new.set_lladdr(lladdr);
    let fresh = make_nodes(&new)?;
    carpdev::change_attachment(carp, own, &old, &new, &Extack::NONE, rtnl)?;
    configure(carp, new, Fresh::nodes(fresh));
    own.set_mac(&new.mac(), rtnl);
    // Neighbours have the old one.
    election::announce_again(carp);
    Ok(())
}

/// Checks what is asked for authentication, and makes room for it where there was none.
///
/// # Errors
///
/// In words: it does not go together with the keys that there are. Out of memory.
fn prepare_auth(
    carp: &Carp,
    change: &Change<'_>,
    new: &Settings,
    extack: &Extack<'_>,
) -> Result<Option<KBox<Authentication>>> {
    let is_there = {
        let host = carp.host.lock();
        let keys = host.auth.as_ref().map(|auth| auth.keys());
        change.auth.check(&new.auth, keys, extack)?;
        keys.is_some()
    };
    if is_there || !change.auth.adds_keys() {
        return Ok(None);
    }
    Authentication::new().map(Some)
}

/// Checks that there are peers where the parent, old or new, has no ARP.
///
/// # Errors
///
/// In words: there are none.
fn check_peers(carp: &Carp, change: &Change<'_>, extack: &Extack<'_>) -> Result {
    let rcu = rcu::read_lock();
    let carpdev = change.carpdev.unwrap_or_else(|| carp.lower(&rcu));
    let Some(carpdev) = carpdev.filter(|carpdev| !carpdev.has_arp()) else {
        return Ok(());
    };
    let none = match &change.peers {
        Some(peers) => peers.is_empty(),
        None => carp.host.lock().peers.is_empty(),
    };
    if none {
        return Err(extack.error(
            EINVAL,
            format_args!(
                "{} has no ARP, so there must be unicast peers (carppeer)",
                carpdev.name()
            ),
        ));
    }
    Ok(())
}
