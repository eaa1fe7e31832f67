// SPDX-License-Identifier: GPL-2.0

//! The virtual hosts take over new settings.

use super::{
    auth_config::AuthChange, authentication::Authentication, deliver::deliver, device::Carp,
    election, host::Host, node::Node, outbox::Outbox, settings::Settings,
};
use crate::{
    linux::crypto::Secret,
    proto::carp::{digest::KEY_LEN, election::Event, time::Interval},
};
use kernel::prelude::*;

/// What new settings come with, made before anything changes.
pub(super) struct Fresh {
    /// A new passphrase, padded.
    pub(super) key: Option<Secret<KEY_LEN>>,
    /// Room for keys, where there was none.
    pub(super) auth: Option<KBox<Authentication>>,
    /// Which keys come and go.
    pub(super) auth_change: Option<AuthChange>,
    /// The virtual hosts that the settings ask for.
    pub(super) nodes: KVec<Node>,
}

impl Fresh {
    /// Nothing but virtual hosts.
    pub(super) const fn nodes(nodes: KVec<Node>) -> Self {
        Self {
            key: None,
            auth: None,
            auth_change: None,
            nodes,
        }
    }
}

/// Takes over settings that were checked. Of the virtual hosts, those that there are already
/// go on, and the rest of the old ones bow out.
pub(super) fn configure(carp: &Carp, settings: Settings, mut fresh: Fresh) {
    let mut outbox = Outbox::new();
    {
        let mut host = carp.host.lock();
        let host = &mut *host;
        host.hash_addresses();
        let moment = host.moment();
        for index in 0..host.nodes.len() {
            let stays = host
                .nodes
                .get(index)
                .is_some_and(|node| settings.nodes.contains(node.vhid()));
            if !stays {
                let stop = Event::Stop { bow_out: true };
                election::handle_node(carp, host, index, &moment, stop, &mut outbox);
            }
        }
        let old = core::mem::replace(&mut host.settings, settings);
        change_auth(host, &mut fresh);
        for node in fresh.nodes.iter_mut() {
            let known = host.nodes.iter_mut().find(|it| it.vhid() == node.vhid());
            match known {
                Some(known) => core::mem::swap(known, node),
                // Not before: an address may come while it is made.
                None => host.hash(&host.settings, core::slice::from_mut(node), None),
            }
        }
        core::mem::swap(&mut host.nodes, &mut fresh.nodes);
        host.invalidate_dumps();
        let same_key = fresh.key.is_none();
        if let Some(key) = fresh.key.take() {
            host.key = key;
        }
        // First: what is sent now is signed with it.
        if !(same_key && old.signs_like(&host.settings)) {
            host.rehash();
        }
        carp.published.set_mode(&host.settings);
        carp.published.set_arp_hash(host.arp_hash());
        let moment = host.moment();
        for index in 0..host.nodes.len() {
            let config = host
                .nodes
                .get(index)
                .and_then(|node| host.settings.config_for(node.vhid()));
            if let Some(config) = config {
                let event = Event::Reconfigured(config);
                election::handle_node(carp, host, index, &moment, event, &mut outbox);
                // Where the parent has no ARP these are the peers'.
                let event = Event::FamiliesChanged;
                election::handle_node(carp, host, index, &moment, event, &mut outbox);
            }
        }
        election::publish(carp, host);
        let every = Interval::from_seconds(host.settings.announce);
        let announces = host.settings.balancing().announces(true) && carp.published.is_master();
        host.announcements.repeat(moment.now, every, announces);
        election::settle(carp, host, moment.now, &mut outbox);
    }
    deliver(carp, &mut outbox);
    drop(fresh);
}

/// Takes over keys, and the settings' rules for them.
fn change_auth(host: &mut Host, fresh: &mut Fresh) {
    if fresh.auth.is_some() {
        host.auth = fresh.auth.take();
    }
    if let Some(auth) = &mut host.auth {
        if let Some(change) = fresh.auth_change.take() {
            auth.change_keys(change);
        }
        auth.set_freshness(host.settings.freshness());
    }
}

/// The parent has another link-layer address, and whether one that was set by hand
/// is hashed depends on that.
pub(super) fn parents_mac_changed(carp: &Carp) {
    let mut host = carp.host.lock();
    if host.settings.lladdr.is_some() {
        host.rehash();
    }
}
