// SPDX-License-Identifier: GPL-2.0
//! CARP
use kernel::prelude::*;
#[path = "rust/mod.rs"]
mod linux;
module! {
    type: Module,
    name: "carp",
    authors: ["The carp for Linux authors"],
    description: "Common Address Redundancy Protocol",
    license: "GPL",
    alias: ["rtnl-link-carp"],
}
struct Module;
impl kernel::Module for Module {
    fn init(_m: &'static ThisModule) -> Result<Self> {
        pr_info!("hello {}\n", core::mem::size_of::<linux::bindings::net_device>());
        Ok(Module)
    }
}
