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
/// Fields are dropped from first to last, so this is the order of teardown:
/// first nobody can make an interface, and those that exist are unregistered;
/// then packets, events and namespaces, none of which has an interface to look
/// for any more; last, what readers may still have seen is gone.
struct CarpModule {
    _open: linux::link::Open,
    // Its interfaces are in groups of carp's.
    _pfsync: PfsyncParts,
    _link: linux::link::Registered<carp::Carp>,
    // No interface is left that could send an event; requests look into namespaces.
    _family: linux::genetlink::Registered,
    _protocol: linux::inet::Ipv4Registered<carp::Receiver>,
    _protocol6: linux::inet6::Ipv6Registered<carp::Receiver>,
    _notifiers: linux::notifier::Registered<carp::Events>,
    _power: linux::power::Registered<carp::Power>,
    _namespaces: linux::namespace::Registered<carp::Namespace>,
    _barrier: linux::rcu::Barrier,
}

/// What of it belongs to pfsync, in the same order.
struct PfsyncParts {
    _link: linux::link::Registered<pfsync::Pfsync>,
    _family: linux::genetlink::Registered,
    _protocol: linux::inet::Ipv4Registered<pfsync::Receiver>,
    _protocol6: linux::inet6::Ipv6Registered<pfsync::Receiver>,
    _notifiers: linux::notifier::Registered<pfsync::Events>,
    _namespaces: linux::namespace::Registered<pfsync::Namespace>,
}

impl PfsyncParts {
    fn register(module: &'static ThisModule) -> Result<Self> {
        let namespaces = pfsync::NAMESPACES.register()?;
        let notifiers = pfsync::NOTIFIERS.register()?;
        let protocol = pfsync::PROTOCOL_IPV4.register().inspect_err(|_| {
            pr_err!("another module has IP protocol 240 already\n");
        })?;
        let protocol6 = pfsync::PROTOCOL_IPV6.register().inspect_err(|_| {
            pr_err!("another module has IP protocol 240 already, in IPv6\n");
        })?;
        let family = pfsync::FAMILY.register(module)?;
        let link = pfsync::LINK.register()?;
        Ok(Self {
            _link: link,
            _family: family,
            _protocol: protocol,
            _protocol6: protocol6,
            _notifiers: notifiers,
            _namespaces: namespaces,
        })
    }
}

impl kernel::Module for CarpModule {
    fn init(module: &'static ThisModule) -> Result<Self> {
        // The other way round: what the interfaces need comes before them. A
        // registration that fails drops, and undoes, those before it.
        let barrier = linux::rcu::Barrier;
        let namespaces = carp::NAMESPACES.register()?;
        let power = carp::POWER.register()?;
        let notifiers = carp::NOTIFIERS.register()?;
        let protocol = carp::PROTOCOL_IPV4.register().inspect_err(|_| {
            pr_err!("another module has IP protocol 112 already\n");
        })?;
        let protocol6 = carp::PROTOCOL_IPV6.register().inspect_err(|_| {
            pr_err!("another module has IP protocol 112 already, in IPv6\n");
        })?;
        let family = carp::FAMILY.register(module)?;
        let link = carp::LINK.register()?;
        let pfsync = PfsyncParts::register(module)?;
        Ok(Self {
            _open: linux::link::Open,
            _pfsync: pfsync,
            _link: link,
            _family: family,
            _protocol: protocol,
            _protocol6: protocol6,
            _notifiers: notifiers,
            _power: power,
            _namespaces: namespaces,
            _barrier: barrier,
        })
    }
}
