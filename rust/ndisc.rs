// SPDX-License-Identifier: GPL-2.0

//! Neighbour discovery: what it needs to know, and what was learned from it.
//!
//! Who answers and asks for an address that lives on another device than the packet
//! came in on (`net/ipv6/ndisc.c`): nobody. `ndisc_recv_ns` answers for addresses of
//! the very device, its VRF, and proxies; and `ndisc_solicit` names the source of the
//! packet that waits only if the very device has that address, else the device's
//! link-local one. So unlike ARP it needs no filters. (A device without any link-local
//! address cannot ask in the name of others at all: `ndisc_send_ns` then sends
//! nothing.)

use super::{
    bindings,
    inet6::enabled,
    netdevice::{Device, MacAddress},
    rwonce::read_once,
};
use core::net::Ipv6Addr;
use kernel::sync::rcu;

/// Whether the host forwards IPv6 packets that come in on `dev`, and says in
/// neighbour advertisements that it is a router. Any context.
pub(crate) fn is_forwarding(dev: &Device, _rcu: &rcu::Guard) -> bool {
    // SAFETY: `dev` is live, RCU is held; a plain field.
    unsafe {
        bindings::in6_dev_peek(dev.as_ptr())
            .as_ref()
            .is_some_and(|idev| read_once(&raw const idev.cnf.forwarding) != 0)
    }
}

/// Notes what a neighbour solicitation told: `address` is at `mac`
/// (`neigh_event_ns`, with the same result as `ndisc_recv_ns` for a solicitation that
/// it answers). Not for the unspecified address. Any context, RCU held.
pub(crate) fn learn_from_solicitation(
    dev: &Device,
    address: Ipv6Addr,
    mac: &MacAddress,
    _rcu: &rcu::Guard,
) {
    // Without an `inet6_dev` the table has no parameters for the device.
    // SAFETY: `dev` is live, RCU is held.
    let has_inet6 = unsafe { !bindings::in6_dev_peek(dev.as_ptr()).is_null() };
    if !enabled() || !has_inet6 {
        return;
    }
    let mut address = address.octets();
    let mut mac = *mac;
    // SAFETY: `dev` is live; the table is neighbour discovery's, set up as IPv6 is
    // there, and its keys are 16 bytes; the returned count is given back.
    unsafe {
        let neighbour = bindings::neigh_event_ns(
            &raw mut bindings::nd_tbl,
            mac.as_mut_ptr(),
            address.as_mut_ptr().cast(),
            dev.as_ptr(),
        );
        if !neighbour.is_null() {
            bindings::neigh_release(neighbour);
        }
    }
}

/// Whether the host looks for `address`, or has found it, on `dev`: then neighbour
/// discovery wants to hear of it there. Any context.
pub(crate) fn knows(dev: &Device, address: Ipv6Addr, _rcu: &rcu::Guard) -> bool {
    if !enabled() {
        return false;
    }
    let address = address.octets();
    // SAFETY: `dev` is live, RCU is held; the key is 16 bytes.
    unsafe { bindings::ipv6_neigh_known(dev.as_ptr(), address.as_ptr().cast()) }
}
