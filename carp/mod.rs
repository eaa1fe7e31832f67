// SPDX-License-Identifier: GPL-2.0

//! The driver: interfaces of the kind `carp`.
//!
//! An interface ([`device::Carp`]) stands on a parent ([`parent::Parent`]) that
//! many may share. An event (a timer, a packet, a change of the parent or of the
//! addresses) goes to the election of `proto` under the interface's lock
//! ([`host`]); what comes back is carried out ([`announce`]). The packet paths
//! ([`receive`], [`arp`], the parent's rx handler) take no lock but that of the
//! one interface that an advertisement is for.

mod address_requests;
mod addresses;
pub(crate) mod announce;
pub(crate) mod arp;
mod choice;
mod claim;
pub(crate) mod config;
mod copies;
pub(crate) mod counters;
mod demotion;
pub(crate) mod device;
pub(crate) mod events;
pub(crate) mod follow_up;
pub(crate) mod genetlink;
mod group_requests;
pub(crate) mod groups;
pub(crate) mod host;
mod limits;
pub(crate) mod link;
mod lost_parent;
mod mismatch;
mod mtu;
mod neighbour;
pub(crate) mod netns;
mod no_arp;
mod node;
pub(crate) mod parent;
mod place;
pub(crate) mod power;
pub(crate) mod receive;
mod routes;
mod settings;
mod solicited;
mod source;
pub(crate) mod status;
mod way_back;

pub(crate) use demotion::group_demoted;
pub(crate) use device::Carp;
pub(crate) use events::{Events, NOTIFIERS};
pub(crate) use genetlink::FAMILY;
pub(crate) use groups::Group;
pub(crate) use link::LINK;
pub(crate) use netns::{Namespace, NAMESPACES};
pub(crate) use power::{Power, POWER};
pub(crate) use receive::{Receiver, PROTOCOL_IPV4, PROTOCOL_IPV6};
