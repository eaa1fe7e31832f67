// SPDX-License-Identifier: GPL-2.0

//! CARP, the Common Address Redundancy Protocol, as OpenBSD's carp(4) has it, and
//! pfsync(4), which keeps connection states the same on several hosts.
//!
//! This is the root of `carp.ko`. Data flows one way through three layers:
//! `linux` (the folder `rust/`) wraps what the kernel crate lacks, `proto` says
//! what the protocols say and knows no kernel, and `carp` and `pfsync` connect the
//! two: events go in, effects are carried out.

use kernel::prelude::*;

#[forbid(unsafe_code)]
mod carp;
#[path = "rust/mod.rs"]
mod linux;
#[forbid(unsafe_code)]
mod pfsync;
#[forbid(unsafe_code)]
mod proto;

module! {
    type: CarpModule,
    name: "carp",
    authors: ["The authors of CARP for Linux"],
    description: "Common Address Redundancy Protocol",
    license: "GPL",
    // What `ip link add type carp` asks for, and who looks for the generic netlink
    // family.
    alias: [
        "rtnl-link-carp",
        "rtnl-link-pfsync",
        "net-pf-16-proto-16-family-carp",
        "net-pf-16-proto-16-family-pfsync",
    ],
    // `netif_pre_changeaddr_notify`
    imports_ns: ["NETDEV_INTERNAL"],
}

/// What is registered while the module is loaded.
///
/// Fields are dropped from first to last, so this is the order of teardown: last, what
/// readers may still have seen is gone.
struct CarpModule {
    _open: linux::link::Open,
    // Its interfaces are in groups of carp's.
    _pfsync: pfsync::Registered,
    _carp: carp::Registered,
    _barrier: linux::rcu::Barrier,
}

impl kernel::Module for CarpModule {
    fn init(module: &'static ThisModule) -> Result<Self> {
        // The other way round: a registration that fails drops, and undoes, those before it.
        let barrier = linux::rcu::Barrier;
        let carp = carp::Registered::new(module)?;
        let pfsync = pfsync::Registered::new(module)?;
        Ok(Self {
            _open: linux::link::Open,
            _pfsync: pfsync,
            _carp: carp,
            _barrier: barrier,
        })
    }
}
