// SPDX-License-Identifier: GPL-2.0

//! pfsync version 6, as OpenBSD's pfsync(4) speaks it, for conntrack.

pub mod action;
pub mod conntrack;
pub mod expectation;
pub mod extra;
pub mod frame;
pub mod id;
pub mod message;
pub mod peer;
pub mod short;
pub mod state;
pub mod time;
pub mod timeout;
pub mod update;
pub mod writer;
