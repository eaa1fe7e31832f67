// SPDX-License-Identifier: GPL-2.0

//! Sending ARP, and what was learned from it.

use super::{
    bindings,
    netdevice::{Device, MacAddress},
};
use core::{net::Ipv4Addr, ptr};
use kernel::sync::rcu;

/// Sends a gratuitous ARP request on `dev` (to everybody; sender and target are
/// `address`) that says that `address` is at `mac`. Any context.
pub(crate) fn announce(dev: &Device, address: Ipv4Addr, mac: &MacAddress) {
    let address = u32::from_ne_bytes(address.octets());
    // SAFETY: `dev` is live; the addresses are as long as Ethernet's; the null
    // pointers mean broadcast and zeroes.
    unsafe {
        bindings::arp_send(
            bindings::ARPOP_REQUEST as i32,
            bindings::ETH_P_ARP as i32,
            address,
            dev.as_ptr(),
            address,
            ptr::null(),
            mac.as_ptr(),
            ptr::null(),
        );
    }
}

/// Answers an ARP request on `dev`: tells `to` that `address` is at `mac`. The frame
/// comes from `source`. Any context.
pub(crate) fn reply(
    dev: &Device,
    address: Ipv4Addr,
    mac: &MacAddress,
    source: &MacAddress,
    to: Ipv4Addr,
    to_mac: &MacAddress,
) {
    // SAFETY: `dev` is live; the addresses are as long as Ethernet's; a buffer that
    // there is no memory for is null, and is not sent.
    unsafe {
        let skb = bindings::arp_create(
            bindings::ARPOP_REPLY as i32,
            bindings::ETH_P_ARP as i32,
            u32::from_ne_bytes(to.octets()),
            dev.as_ptr(),
            u32::from_ne_bytes(address.octets()),
            to_mac.as_ptr(),
            mac.as_ptr(),
            to_mac.as_ptr(),
        );
        if skb.is_null() {
            return;
        }
        // `arp_create` has written the Ethernet header in front of ARP's.
        bindings::skb_set_ethernet_source(skb, source.as_ptr());
        bindings::arp_xmit(skb);
    }
}

/// Notes what an ARP request told: `address` is at `mac` (`neigh_event_ns`, as
/// ARP itself does for a request that it answers). Any context, RCU held.
pub(crate) fn learn_from_request(dev: &Device, address: Ipv4Addr, mac: &MacAddress) {
    let mut address = address.octets();
    let mut mac = *mac;
    // SAFETY: `dev` is live; the table is ARP's, whose keys are four bytes; the
    // returned count is given back.
    unsafe {
        let neighbour = bindings::neigh_event_ns(
            &raw mut bindings::arp_tbl,
            mac.as_mut_ptr(),
            address.as_mut_ptr().cast(),
            dev.as_ptr(),
        );
        if !neighbour.is_null() {
            bindings::neigh_release(neighbour);
        }
    }
}

/// Whether the host looks for `address`, or has found it, on `dev`: then ARP wants to
/// hear of it there. Any context.
pub(crate) fn knows(dev: &Device, address: Ipv4Addr, _rcu: &rcu::Guard) -> bool {
    // SAFETY: `dev` is live, RCU is held.
    unsafe { bindings::ipv4_neigh_known(dev.as_ptr(), u32::from_ne_bytes(address.octets())) }
}

/// Whether ARP believes on `dev` what nobody has asked for (`arp_accept`). Any context.
pub(crate) fn accepts_unsolicited(dev: &Device, _rcu: &rcu::Guard) -> bool {
    // SAFETY: `dev` is live, RCU is held.
    unsafe { bindings::arp_accept(dev.as_ptr()) }
}

/// Whether ARP may answer on `dev` for `address`, which is another host's (`ip neigh add
/// proxy`, `proxy_arp`). Any context.
pub(crate) fn is_proxied(dev: &Device, address: Ipv4Addr, _rcu: &rcu::Guard) -> bool {
    // SAFETY: `dev` is live, RCU is held.
    unsafe { bindings::arp_is_proxied(dev.as_ptr(), u32::from_ne_bytes(address.octets())) }
}
