// SPDX-License-Identifier: GPL-2.0

//! Authentication of whole packets, rule by rule, and what comes to pass with it when clocks
//! are wrong and somebody listens.
//!
//! One program for all of it: a changed line of `carp_proto` links it once.

mod clocks;
mod common;
mod frames;
mod freshness;
mod keys;
mod mode;
mod packets;
#[path = "../random/mod.rs"]
#[allow(dead_code)] // it needs a part of it
mod random;
mod receiver;
mod replay;
mod sender;
mod senders;
mod sequence;
mod trailer;
mod vectors;
