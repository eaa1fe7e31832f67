// SPDX-License-Identifier: GPL-2.0

//! Safe abstractions over Linux' connection tracking.
//!
//! This is the only place of the adapter with `unsafe` code and with C. It knows
//! nothing of pfsync but what an adapter offers to it (`rust/adapter/`).

#[path = "../adapter/mod.rs"]
pub(crate) mod adapter;
pub(crate) mod bindings;
pub(crate) mod entry;
pub(crate) mod expectation;
pub(crate) mod extension;
pub(crate) mod helper;
pub(crate) mod hook;
pub(crate) mod local;
pub(crate) mod masquerade;
pub(crate) mod nat;
pub(crate) mod new_entry;
pub(crate) mod packet;
#[path = "../rwonce.rs"]
mod rwonce;
pub(crate) mod tracked;
pub(crate) mod tracking;
pub(crate) mod tuple;
pub(crate) mod walk;
