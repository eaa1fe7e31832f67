// SPDX-License-Identifier: GPL-2.0

//! What a state table of one's own takes: entries with a count, a packet that is only a
//! number, and a place for all tables.

#[path = "../adapter/mod.rs"]
pub(crate) mod adapter;
pub(crate) mod bindings;
pub(crate) mod counted;
pub(crate) mod shared;
