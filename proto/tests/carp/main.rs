// SPDX-License-Identifier: GPL-2.0

//! CARP, rule by rule, and what groups of hosts come to with it.
//!
//! One program for all of it: a changed line of `carp_proto` links it once.

mod address_change;
mod advertisers;
mod announcements;
mod balancing;
mod causes;
mod cluster;
mod common;
mod demotion;
mod digest;
mod election;
mod full_queue;
mod lifecycle;
mod log;
mod master_down;
mod neighbour;
mod packet;
mod properties;
#[path = "../random/mod.rs"]
mod random;
mod send_errors;
mod simulation;
mod time;
mod vectors;
mod way_back;
