// SPDX-License-Identifier: GPL-2.0

//! pfsync version 6, as OpenBSD's pfsync(4) speaks it, for conntrack.

pub mod action;
pub mod bulk_answer;
pub mod bulk_request;
pub mod conntrack;
pub mod defer;
pub mod expectation;
pub mod extra;
pub mod frame;
pub mod id;
pub mod mapping;
pub mod merge;
pub mod message;
pub mod outbox;
pub mod peer;
pub mod pending;
pub mod receive;
pub mod short;
pub mod state;
pub mod tcp;
pub mod time;
pub mod timeout;
pub mod tuples;
pub mod update;
pub mod writer;
