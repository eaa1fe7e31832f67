// SPDX-License-Identifier: GPL-2.0

//! A state table of pfsync in its own memory, for tests of the protocol alone.
//!
//! This is the root of `pfsync_memory.ko`, an adapter as `include/pfsync_table.h`
//! describes it. It needs no connection tracking, and is never installed.

use kernel::prelude::*;

#[path = "rust/memory/mod.rs"]
mod linux;
#[forbid(unsafe_code)]
mod memory;

module! {
    type: Adapter,
    name: "pfsync_memory",
    authors: ["The authors of CARP for Linux"],
    description: "A state table of pfsync for tests",
    license: "GPL",
    alias: ["pfsync-table-memory"],
}

/// What carp.ko looks for, by this name. C exports it.
#[no_mangle]
static pfsync_table_memory: linux::adapter::calls::Operations<memory::Attached> =
    memory::OPERATIONS;

/// First nobody can say anything; then there is no table, for who has one keeps the
/// module.
#[pin_data]
struct Adapter {
    #[pin]
    _device: memory::device::Registration,
    _tables: linux::shared::Set<memory::Tables>,
}

impl kernel::InPlaceModule for Adapter {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            _tables: memory::TABLES.set(memory::tables()?),
            _device <- memory::device::register(),
        })
    }
}
