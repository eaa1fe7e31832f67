// SPDX-License-Identifier: GPL-2.0

//! Sending IP packets that were made elsewhere, by way of the routing table.
//!
//! All of it works in any context but hard interrupts, and never sleeps. No lock that
//! a receiver of this host takes may be held: a packet to an address of this host
//! comes in again at once.

use super::{
    bindings,
    compat::EAFNOSUPPORT,
    inet6::{enabled, from_raw, to_raw, Header},
    netdevice::Device,
    skbuff::{xmit_result, Skb},
};
use core::net::{Ipv4Addr, Ipv6Addr};
use kernel::{error::from_err_ptr, error::to_result, prelude::*, sync::rcu};

/// `<linux/rtnetlink.h>`: an address that may be used anywhere.
const RT_SCOPE_UNIVERSE: c_int = 0;

/// Lengths of the headers.
const IPV4_LEN: usize = 20;
const IPV6_LEN: usize = 40;

/// The address that the host would use as the source of a packet to `peer` that
/// leaves on `dev` (`inet_select_addr`): one of `dev`'s, or of another device if it
/// has none. Any context.
pub(crate) fn source_ipv4(dev: &Device, peer: Ipv4Addr) -> Option<Ipv4Addr> {
    // SAFETY: `dev` is live; the scope is that of the whole world.
    let source = unsafe {
        bindings::inet_select_addr(
            dev.as_ptr(),
            u32::from_ne_bytes(peer.octets()),
            RT_SCOPE_UNIVERSE,
        )
    };
    (source != 0).then(|| Ipv4Addr::from(source.to_ne_bytes()))
}

/// The same for IPv6 (`ipv6_dev_get_saddr`, RFC 6724). A tentative address is none.
/// Any context.
pub(crate) fn source_ipv6(dev: &Device, peer: Ipv6Addr) -> Option<Ipv6Addr> {
    if !enabled() {
        return None;
    }
    let peer = to_raw(peer);
    let mut source = to_raw(Ipv6Addr::UNSPECIFIED);
    // SAFETY: `dev` is live and in its namespace; no preferences.
    to_result(unsafe {
        bindings::ipv6_dev_get_saddr(dev.net().as_ptr(), dev.as_ptr(), &peer, 0, &mut source)
    })
    .ok()?;
    Some(from_raw(&source))
}

/// The device that a packet is to leave on, as the routing table is asked: where Ethernet has
/// no ARP nobody is reached, so any will do, of `dev`'s VRF.
fn out_on(dev: &Device) -> Result<c_int> {
    if dev.has_arp() || !dev.is_ethernet() {
        return Ok(c_int::try_from(dev.ifindex())?);
    }
    // SAFETY: `dev` is live, the callers hold RCU.
    Ok(unsafe { bindings::l3mdev_master_ifindex_rcu(dev.as_ptr()) })
}

/// Sends a complete IPv4 packet without options (`ip_route_output_flow`,
/// `ip_local_out`): out on `dev`, by way of a gateway if there is a route to one, else
/// to `dev`'s own link, which is what IPv4 takes for granted where a device is named. For
/// Ethernet without ARP it leaves by whatever route leads there.
/// Its source is an address of this host. Total length and checksum are filled in
/// again.
///
/// # Errors
///
/// EINVAL: it is no such packet, or not our source. EPERM: a filter took it. ENOBUFS
/// and ENOMEM: too much at once. That nobody answers for the next hop shows too late to
/// be told.
pub(crate) fn send_ipv4(dev: &Device, packet: &[u8], priority: u32) -> Result {
    let skb = route_ipv4(dev, packet, priority)?;
    send_routed_ipv4(dev, skb)
}

/// A packet for [`send_routed_ipv4`], as [`send_ipv4`] takes it. A lock may be held.
///
/// # Errors
///
/// As [`send_ipv4`].
pub(crate) fn route_ipv4(dev: &Device, packet: &[u8], priority: u32) -> Result<Skb> {
    let len = u16::try_from(packet.len())?;
    let header = packet.first_chunk::<IPV4_LEN>().ok_or(EINVAL)?;
    let [0x45, tos, _, _, _, _, _, _, _, protocol, _, _, rest @ ..] = header else {
        return Err(EINVAL);
    };
    let [s0, s1, s2, s3, d0, d1, d2, d3] = *rest;
    let _rcu = rcu::Guard::new();
    // SAFETY: All zeroes is a valid `flowi4`.
    let mut flow: bindings::flowi4 = unsafe { core::mem::zeroed() };
    flow.__fl_common.flowic_oif = out_on(dev)?;
    flow.__fl_common.flowic_proto = *protocol;
    // SAFETY: The function has no preconditions.
    flow.__fl_common.flowic_dscp = unsafe { bindings::inet_dsfield_to_dscp(*tos) };
    flow.saddr = u32::from_ne_bytes([s0, s1, s2, s3]);
    flow.daddr = u32::from_ne_bytes([d0, d1, d2, d3]);
    let net = dev.net().as_ptr();
    // SAFETY: The namespace is live, no socket asks.
    let route = unsafe { bindings::ip_route_output_flow(net, &mut flow, core::ptr::null()) };
    let route = from_err_ptr(route)?;
    // SAFETY: The length is the packet's; the route is ours, and given to the packet.
    unsafe { routed(packet, len, IPV4_LEN, &raw mut (*route).dst, priority) }
}

/// Sends what [`route_ipv4`] has made for `dev`.
///
/// # Errors
///
/// As [`send_ipv4`]; EINVAL: the packet has no route.
pub(crate) fn send_routed_ipv4(dev: &Device, skb: Skb) -> Result {
    let net = dev.net().as_ptr();
    // SAFETY: The packet is ours.
    if !unsafe { bindings::skb_has_dst(skb.as_ptr()) } {
        return Err(EINVAL);
    }
    let _rcu = rcu::Guard::new();
    // SAFETY: The packet is ours and given away, with its route and its headers.
    xmit_result(unsafe { bindings::ip_local_out(net, core::ptr::null_mut(), skb.into_raw()) })
}

/// The same for an IPv6 packet without extension headers (`ip6_dst_lookup_flow`,
/// `ip6_local_out`). The payload's length is filled in again. Without a route on
/// `dev` it goes nowhere.
///
/// # Errors
///
/// As [`send_ipv4`]; ENETUNREACH: no route; EHOSTUNREACH, EACCES: a route that says so;
/// EAFNOSUPPORT where IPv6 is turned off.
pub(crate) fn send_ipv6(dev: &Device, packet: &[u8], priority: u32) -> Result {
    let skb = route_ipv6(dev, packet, priority)?;
    send_routed_ipv6(dev, skb)
}

/// A packet for [`send_routed_ipv6`], as [`send_ipv6`] takes it. A lock may be held.
///
/// # Errors
///
/// As [`send_ipv6`].
pub(crate) fn route_ipv6(dev: &Device, packet: &[u8], priority: u32) -> Result<Skb> {
    if !enabled() {
        return Err(EAFNOSUPPORT);
    }
    let len = u16::try_from(packet.len())?;
    let header = packet.first_chunk::<IPV6_LEN>().ok_or(EINVAL)?;
    if !matches!(header, [0x60..=0x6f, ..]) {
        return Err(EINVAL);
    }
    let header = Header::from(*header);
    let _rcu = rcu::Guard::new();
    // SAFETY: All zeroes is a valid `flowi6`.
    let mut flow: bindings::flowi6 = unsafe { core::mem::zeroed() };
    flow.__fl_common.flowic_oif = out_on(dev)?;
    flow.__fl_common.flowic_proto = header.next;
    flow.saddr = to_raw(header.source);
    flow.daddr = to_raw(header.destination);
    let net = dev.net().as_ptr();
    // SAFETY: The namespace is live, no socket asks, no other destination is the last.
    let route = unsafe {
        bindings::ip6_dst_lookup_flow(net, core::ptr::null(), &mut flow, core::ptr::null())
    };
    let route = from_err_ptr(route)?;
    // SAFETY: The length is the packet's; the route is ours, and given to the packet.
    unsafe { routed(packet, len, IPV6_LEN, route, priority) }
}

/// Sends what [`route_ipv6`] has made for `dev`.
///
/// # Errors
///
/// As [`send_ipv6`]; EINVAL: the packet has no route.
pub(crate) fn send_routed_ipv6(dev: &Device, skb: Skb) -> Result {
    let net = dev.net().as_ptr();
    // SAFETY: The packet is ours.
    if !unsafe { bindings::skb_has_dst(skb.as_ptr()) } {
        return Err(EINVAL);
    }
    let _rcu = rcu::Guard::new();
    // SAFETY: The packet is ours and given away, with its route and its headers.
    xmit_result(unsafe { bindings::ip6_local_out(net, core::ptr::null_mut(), skb.into_raw()) })
}

/// How long a packet may be that goes the way of one that [`route_ipv4`] or [`route_ipv6`]
/// has made: less than what the device takes, if IPsec or a tunnel is on the way.
pub(crate) fn route_mtu(skb: &Skb) -> u32 {
    // SAFETY: The packet is ours; a route that it has is valid.
    unsafe {
        match bindings::skb_has_dst(skb.as_ptr()) {
            true => bindings::dst_mtu(bindings::skb_dst(skb.as_ptr())),
            false => u32::MAX,
        }
    }
}

/// A buffer with `packet`, its length being `len`, and its route.
///
/// # Safety
///
/// `len` is the packet's length. `route` is valid; the caller gives up a count of it.
unsafe fn routed(
    packet: &[u8],
    len: u16,
    header: usize,
    route: *mut bindings::dst_entry,
    priority: u32,
) -> Result<Skb> {
    let len = u32::from(len);
    // SAFETY: A route holds its device. The buffer is new, ours, and has room for the
    // packet behind what layer 2 needs.
    unsafe {
        let dev = bindings::dst_dev(route);
        let head = bindings::ll_reserved_space(dev);
        let tail = u32::from((*dev).needed_tailroom);
        let skb = bindings::alloc_skb(head as u32 + len + tail, kernel::bindings::GFP_ATOMIC);
        if skb.is_null() {
            bindings::dst_release(route);
            return Err(ENOMEM);
        }
        bindings::skb_reserve(skb, head);
        let data = bindings::skb_put(skb, len);
        core::ptr::copy_nonoverlapping(packet.as_ptr(), data.cast(), packet.len());
        bindings::skb_reset_network_header(skb);
        bindings::skb_set_transport_header(skb, header as c_int);
        bindings::skb_set_priority(skb, priority);
        bindings::skb_dst_set(skb, route);
        Ok(Skb::from_raw(skb))
    }
}
