// SPDX-License-Identifier: GPL-2.0

//! Interfaces of the kind `carp`.
//!
//! An interface ([`device::Carp`]) stands on a parent ([`parent::Parent`]) that
//! many may share. An event (a timer, a packet, a change of the parent or of the
//! addresses) goes to the election of `proto` under the interface's lock
//! ([`election`]); what comes back is carried out ([`deliver`]). The packet paths
//! ([`receive`], [`arp`], [`rx`]) take no lock but that of the one interface that an
//! advertisement is for.

mod address_events;
mod address_requests;
mod addresses;
mod advertise;
mod announce;
mod arp;
mod attachment;
pub(crate) mod auth_config;
mod authentication;
mod carpdev;
mod cause_requests;
mod changes;
mod choose_carpdev;
mod claim;
mod config;
mod configure;
mod copies;
mod counters;
mod deliver;
mod demote;
mod demotion;
mod demotion_sysctl;
mod device;
mod driver;
mod election;
mod events;
mod follow_up;
mod genetlink;
mod group_membership;
mod group_requests;
mod groups;
mod history;
mod history_requests;
mod hooks;
mod host;
mod limits;
mod link;
mod lost_parent;
mod members;
mod move_netns;
mod mtu;
mod neighbour;
mod netns;
mod node;
mod notify;
mod outbox;
mod parent;
mod peer_requests;
mod power;
mod published;
mod receive;
mod reconfigure;
mod requested;
mod rounds;
mod routes;
mod rx;
mod settings;
mod solicited;
mod source;
mod stats_requests;
mod status;
mod stopping;
mod switch;
mod transition_counts;
mod transition_requests;
mod wait_for_parent;
mod ways_back;
mod work;

use crate::linux;
use kernel::prelude::*;

pub(crate) use authentication::clock;
pub(crate) use config::is_unicast;
pub(crate) use demote::group_demoted;
pub(crate) use device::Carp;
pub(crate) use groups::{Group, PfsyncCause};
pub(crate) use netns::Namespace;
pub(crate) use switch::read_switch;

/// What carp registers.
///
/// Fields are dropped from first to last, so this is the order of teardown: first nobody
/// can make an interface, and those that exist are unregistered; then packets, events and
/// namespaces, none of which has an interface to look for any more.
pub(crate) struct Registered {
    _link: linux::link::Registered<Carp>,
    // What is written to it sends events.
    _demotion_sysctl: linux::namespace::Registered<demotion_sysctl::DemotionSysctl>,
    // No interface is left that could send an event; requests look into namespaces.
    _family: linux::genetlink::Registered,
    _protocol: linux::inet::Ipv4Registered<receive::Receiver>,
    _protocol6: linux::inet6::Ipv6Registered<receive::Receiver>,
    _notifiers: linux::notifier::Registered<events::Events>,
    _power: linux::power::Registered<power::Power>,
    _hooks: linux::namespace::Registered<hooks::Hooks>,
    _namespaces: linux::namespace::Registered<netns::Namespace>,
}

impl Registered {
    /// Registers it, in the opposite order: what interfaces need comes before them. What
    /// fails undoes what was registered before.
    ///
    /// # Errors
    ///
    /// Those of each registration; EEXIST, if another module has IP protocol 112.
    pub(crate) fn new(module: &'static ThisModule) -> Result<Self> {
        let namespaces = netns::NAMESPACES.register()?;
        let hooks = hooks::HOOKS.register()?;
        let demotion_sysctl = demotion_sysctl::DEMOTION_SYSCTL.register()?;
        let power = power::POWER.register()?;
        let notifiers = events::NOTIFIERS.register()?;
        let protocol = receive::PROTOCOL_IPV4.register().inspect_err(|_| {
            pr_err!("another module has IP protocol 112 already\n");
        })?;
        let protocol6 = receive::PROTOCOL_IPV6.register().inspect_err(|_| {
            pr_err!("another module has IP protocol 112 already, in IPv6\n");
        })?;
        let family = notify::FAMILY.register(&genetlink::OPERATIONS, module)?;
        let link = link::LINK.register()?;
        Ok(Self {
            _link: link,
            _family: family,
            _protocol: protocol,
            _protocol6: protocol6,
            _notifiers: notifiers,
            _power: power,
            _demotion_sysctl: demotion_sysctl,
            _hooks: hooks,
            _namespaces: namespaces,
        })
    }
}
