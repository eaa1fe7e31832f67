// SPDX-License-Identifier: GPL-2.0

//! Linux' connection tracking as a state table of pfsync.
//!
//! This is the root of `pfsync_conntrack.ko`, an adapter as `include/pfsync_table.h`
//! describes it: carp.ko asks for it when a pfsync interface is made, and finds it by
//! the name of its table. `linux` (the folder `rust/conntrack/`) wraps connection
//! tracking, `conntrack` makes a table of it.

use kernel::prelude::*;

#[forbid(unsafe_code)]
mod conntrack;
#[path = "rust/conntrack/mod.rs"]
mod linux;

module! {
    type: Adapter,
    name: "pfsync_conntrack",
    authors: ["The authors of CARP for Linux"],
    description: "Connection tracking as a state table of pfsync",
    license: "GPL",
    alias: ["pfsync-table-conntrack"],
}

/// What carp.ko looks for, by this name. C exports it.
#[no_mangle]
static pfsync_table_conntrack: linux::adapter::calls::Operations<conntrack::Attached> =
    conntrack::OPERATIONS;

/// Who has the table keeps the module, so nothing is attached when it goes.
struct Adapter;

impl kernel::Module for Adapter {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self)
    }
}
