// SPDX-License-Identifier: GPL-2.0

//! The driver: interfaces of the kind `pfsync`.
//!
//! An interface ([`device::Pfsync`]) has a table of states, which belongs to another
//! module, and keeps a record of each ([`store::Store`]) behind its lock
//! ([`session::Session`]). Packet paths count packets without that lock and leave word
//! in an inbox; the interface's timer empties it, has `proto` say what is to be sent,
//! and when, and sends it ([`fill`], [`send`]). Frames come in through [`receive`].

mod buckets;
mod bulk;
mod cells;
mod clear;
pub(crate) mod config;
pub(crate) mod counters;
pub(crate) mod demotion;
pub(crate) mod device;
mod due;
pub(crate) mod events;
mod fill;
mod genetlink;
mod half_open;
mod halves;
mod insert;
pub(crate) mod link;
mod messages;
pub(crate) mod netns;
mod outcome;
mod paged;
mod plain;
pub(crate) mod receive;
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

pub(crate) use device::Pfsync;
pub(crate) use events::{Events, NOTIFIERS};
pub(crate) use genetlink::FAMILY;
pub(crate) use link::LINK;
pub(crate) use netns::{Namespace, NAMESPACES};
pub(crate) use receive::{Receiver, PROTOCOL_IPV4, PROTOCOL_IPV6};
