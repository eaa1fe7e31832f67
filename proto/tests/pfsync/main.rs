// SPDX-License-Identifier: GPL-2.0

//! pfsync, message by message, and what hosts come to with it.
//!
//! One program for all of it: a changed line of `carp_proto` links it once.

mod attempts;
mod bulk_answer;
mod bulk_request;
mod common;
mod compact;
mod confirmation;
mod defer;
mod from_pf;
mod host;
mod listener;
mod mapping;
mod merge;
mod messages;
mod network;
mod outbox;
mod packet;
mod pending;
#[path = "../random/mod.rs"]
mod random;
mod reconcile;
mod simulation;
mod syncpeers;
mod tcp;
mod time;
mod tuples;
mod twins;
mod vectors;
mod wheel;
mod wire;
