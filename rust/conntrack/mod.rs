// SPDX-License-Identifier: GPL-2.0

//! Safe abstractions over Linux' connection tracking.
//!
//! This is the only place of the adapter with `unsafe` code and with C. It knows
//! nothing of pfsync but what an adapter offers to it (`table.rs`).

pub(crate) mod bindings;
pub(crate) mod context;
pub(crate) mod entry;
pub(crate) mod expectation;
pub(crate) mod extension;
pub(crate) mod helper;
pub(crate) mod hook;
pub(crate) mod module_request;
pub(crate) mod nat;
pub(crate) mod net;
pub(crate) mod new_entry;
pub(crate) mod packet;
pub(crate) mod table;
pub(crate) mod table_calls;
pub(crate) mod tracking;
pub(crate) mod tuple;
pub(crate) mod walk;
