// SPDX-License-Identifier: GPL-2.0

//! pfsync version 6, as OpenBSD's pfsync(4) speaks it, for conntrack.
//!
//! No standard describes pfsync. The reference is OpenBSD's implementation
//! (`sys/net/if_pfsync.c` and `if_pfsync.h`); where a comment names a function,
//! it is one of that file.
//!
//! # A frame that comes in
//!
//! [`frame::Frame::check`] looks at TTL and header, [`frame::Frame::sections`]
//! steps from section to section, and each yields [`message::Message`]s. An
//! [`extra::Companion`] keeps what stands beside a state. The driver
//! takes over a state that it does not have ([`mapping::import`]) and merges what is
//! newer ([`merge::judge`], [`mapping::apply`]), be it called INS or UPD: one that is
//! sent again, because its confirmation was lost, is no fault. Of a state that it does
//! not have it asks for all, if an UPD_C tells a part; Linux tells Linux all at once
//! ([`compact`]), if [`syncpeers`] says that nobody else listens, and has a whole frame
//! confirmed ([`confirmation`], [`flight`]). If its
//! addresses have another name here, [`twins`] says which of both lives. The
//! state's [`pending::Pending`] is told, so that an INS_ACK leaves or ours is
//! sent back. BUS and UPD_REQ for everything go to [`bulk_request`] and
//! [`bulk_answer`].
//!
//! # A state that changes
//!
//! The driver keeps a [`pending::Pending`] in each state, six lists through
//! them, and one [`outbox::Outbox`]. Each event gives a [`pending::Step`] to be
//! taken, which the outbox counts: all in a time that does not depend on how
//! many states there are. When the outbox says so, or its deadline has passed,
//! the driver fills frames with a [`writer::Writer`] from the lists in order,
//! each state by [`mapping::export`], or as it is. When to look whether a state is still
//! there, says the [`wheel`].
//!
//! Nothing here has a clock: the driver sets one timer to the earliest of
//! [`outbox::Outbox::deadline`], [`pending::Pending::deadline`] of the first
//! state in the list of those that await confirmation,
//! [`bulk_request::BulkRequest::deadline`], [`reconcile::Reconcile::deadline`],
//! [`bulk_answer::BulkAnswer::deadline`] and [`defer::Deferred::deadline`].
//!
//! There is no authentication in version 6: whoever can send to the syncdev can
//! insert states. Linux has its own, in an [`authentication`] section.

pub mod action;
mod attributes;
pub mod authentication;
pub mod bulk_answer;
pub mod bulk_request;
pub mod compact;
pub mod confirmation;
pub mod conntrack;
pub mod defer;
pub mod expectation;
pub mod extra;
pub mod flight;
pub mod frame;
pub mod id;
pub mod listener;
pub mod mapping;
pub mod merge;
pub mod message;
pub mod names;
pub mod outbox;
pub mod packet;
pub mod peer;
pub mod pending;
pub mod reconcile;
pub mod short;
pub mod state;
pub mod syncpeers;
pub mod tcp;
pub mod time;
pub mod timeout;
pub mod tuples;
pub mod twins;
pub mod update;
pub mod wheel;
pub mod writer;
