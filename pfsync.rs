// SPDX-License-Identifier: GPL-2.0

//! Interfaces of the kind `pfsync`.
//!
//! An interface ([`device::Pfsync`]) has a table of states, which belongs to another
//! module, and keeps a record of each ([`store::Store`]) behind its lock
//! ([`session::Session`]). Packet paths count packets without that lock and leave word
//! in an inbox; the interface's timer empties it, has `proto` say what is to be sent,
//! and when, and sends it ([`fill`], [`send`]). Frames come in through [`receive`].

mod authentication;
mod buckets;
mod bulk;
mod cells;
mod clear;
mod config;
mod counters;
mod demotion;
mod device;
mod due;
mod events;
mod fill;
mod genetlink;
mod half_open;
mod halves;
mod insert;
mod link;
mod messages;
mod netns;
mod outcome;
mod paged;
mod plain;
mod receive;
mod reconcile;
mod record;
mod send;
mod session;
mod settings;
mod store;
mod sweep;
mod table_walk;
mod twins;
mod write;

use crate::linux;
use kernel::prelude::*;

pub(crate) use device::Pfsync;

/// What pfsync registers, in the order of teardown, as [`crate::carp::Registered`].
pub(crate) struct Registered {
    _link: linux::link::Registered<Pfsync>,
    _family: linux::genetlink::Registered,
    _protocol: linux::inet::Ipv4Registered<receive::Receiver>,
    _protocol6: linux::inet6::Ipv6Registered<receive::Receiver>,
    _notifiers: linux::notifier::Registered<events::Events>,
    _namespaces: linux::namespace::Registered<netns::Namespace>,
}

impl Registered {
    /// Registers it, in the opposite order.
    ///
    /// # Errors
    ///
    /// Those of each registration; EEXIST, if another module has IP protocol 240.
    pub(crate) fn new(module: &'static ThisModule) -> Result<Self> {
        let namespaces = netns::NAMESPACES.register()?;
        let notifiers = events::NOTIFIERS.register()?;
        let protocol = receive::PROTOCOL_IPV4.register().inspect_err(|_| {
            pr_err!("another module has IP protocol 240 already\n");
        })?;
        let protocol6 = receive::PROTOCOL_IPV6.register().inspect_err(|_| {
            pr_err!("another module has IP protocol 240 already, in IPv6\n");
        })?;
        let family = genetlink::FAMILY.register(&genetlink::OPERATIONS, module)?;
        let link = link::LINK.register()?;
        Ok(Self {
            _link: link,
            _family: family,
            _protocol: protocol,
            _protocol6: protocol6,
            _notifiers: notifiers,
            _namespaces: namespaces,
        })
    }
}
