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
    netdevice_ops::OwnDevice,
    skbuff::{xmit_result, Skb, State},
};
use core::{
    marker::PhantomData,
    net::{Ipv4Addr, Ipv6Addr},
    ops::Deref,
};
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

/// An IP packet of the family of `A` with its route. A lock may be held while it is made, and it
/// is sent later.
///
/// # Invariants
///
/// The data begin with the packet's IP header of that family, without options; the offsets of
/// the network and the transport header are set. The packet has a count of its route, whose
/// device that holds.
pub(crate) struct RoutedSkb<A> {
    skb: Skb,
    _family: PhantomData<fn() -> A>,
}

impl<A> RoutedSkb<A> {
    /// How long a packet may be that goes this way: less than what the device takes, if IPsec or
    /// a tunnel is on the way.
    pub(crate) fn mtu(&self) -> u32 {
        // SAFETY: The packet is ours, and by the type invariant has a route.
        unsafe { bindings::dst_mtu(bindings::skb_dst(self.skb.as_ptr())) }
    }

    /// Shows the packet to the taps of a device that has no link layer. Any context but hard
    /// interrupts.
    pub(crate) fn show_ip_to_taps(&mut self, dev: &OwnDevice) {
        // SAFETY: By the type invariant the network header is in place.
        unsafe { self.skb.show_ip_to_taps(dev) }
    }

    /// A buffer with `packet`, its length being `len`, and its route.
    ///
    /// # Errors
    ///
    /// Out of memory.
    ///
    /// # Safety
    ///
    /// `len` is the packet's length, and it begins with an IP header of the family, of `header`
    /// bytes. `route` is valid, and of the family; the caller gives up a count of it.
    unsafe fn new(
        packet: &[u8],
        len: u16,
        header: usize,
        route: *mut bindings::dst_entry,
        priority: u32,
    ) -> Result<Self> {
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
            // INVARIANT: The caller promises the header; the route is the packet's.
            Ok(Self {
                skb: Skb::from_raw(skb),
                _family: PhantomData,
            })
        }
    }
}

impl RoutedSkb<Ipv4Addr> {
    /// Finds a complete IPv4 packet without options its way (`ip_route_output_flow`): out on
    /// `dev`, by way of a gateway if there is a route to one, else to `dev`'s own link, which is
    /// what IPv4 takes for granted where a device is named. For Ethernet without ARP it leaves
    /// by whatever route leads there. Its source is an address of this host.
    ///
    /// # Errors
    ///
    /// EINVAL: it is no such packet, or not our source. ENOBUFS and ENOMEM: too much at once.
    pub(crate) fn route(dev: &Device, packet: &[u8], priority: u32) -> Result<Self> {
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
        unsafe { Self::new(packet, len, IPV4_LEN, &raw mut (*route).dst, priority) }
    }

    /// Sends the packet (`ip_local_out`), which was made for `dev`. Total length and checksum are
    /// filled in again.
    ///
    /// # Errors
    ///
    /// EPERM: a filter took it. ENOBUFS and ENOMEM: too much at once. That nobody answers for the
    /// next hop shows too late to be told.
    pub(crate) fn send(self, dev: &Device) -> Result {
        let net = dev.net().as_ptr();
        let skb = self.skb.into_raw();
        let _rcu = rcu::Guard::new();
        // SAFETY: The packet is ours and given away, with its route and its headers.
        xmit_result(unsafe { bindings::ip_local_out(net, core::ptr::null_mut(), skb) })
    }
}

impl RoutedSkb<Ipv6Addr> {
    /// The same for an IPv6 packet without extension headers (`ip6_dst_lookup_flow`). Without a
    /// route on `dev` it goes nowhere.
    ///
    /// # Errors
    ///
    /// As for IPv4; ENETUNREACH: no route; EHOSTUNREACH, EACCES: a route that says so;
    /// EAFNOSUPPORT where IPv6 is turned off.
    pub(crate) fn route(dev: &Device, packet: &[u8], priority: u32) -> Result<Self> {
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
        unsafe { Self::new(packet, len, IPV6_LEN, route, priority) }
    }

    /// Sends the packet (`ip6_local_out`), which was made for `dev`. The payload's length is
    /// filled in again.
    ///
    /// # Errors
    ///
    /// As for IPv4.
    pub(crate) fn send(self, dev: &Device) -> Result {
        let net = dev.net().as_ptr();
        let skb = self.skb.into_raw();
        let _rcu = rcu::Guard::new();
        // SAFETY: The packet is ours and given away, with its route and its headers.
        xmit_result(unsafe { bindings::ip6_local_out(net, core::ptr::null_mut(), skb) })
    }
}

impl<A> Deref for RoutedSkb<A> {
    type Target = Skb;

    fn deref(&self) -> &Skb {
        &self.skb
    }
}

// SAFETY: The route is the buffer's.
unsafe impl<A> State for RoutedSkb<A> {
    fn into_raw(self) -> *mut bindings::sk_buff {
        self.skb.into_raw()
    }

    unsafe fn from_raw(ptr: *mut bindings::sk_buff) -> Self {
        // INVARIANT: The caller has the buffer from `into_raw`.
        Self {
            // SAFETY: As above.
            skb: unsafe { Skb::from_raw(ptr) },
            _family: PhantomData,
        }
    }
}

/// Finds an IPv4 packet its way and sends it: [`RoutedSkb::route`], [`RoutedSkb::send`].
///
/// # Errors
///
/// Those of both.
pub(crate) fn send_ipv4(dev: &Device, packet: &[u8], priority: u32) -> Result {
    RoutedSkb::<Ipv4Addr>::route(dev, packet, priority)?.send(dev)
}

/// The same for IPv6.
///
/// # Errors
///
/// Those of both.
pub(crate) fn send_ipv6(dev: &Device, packet: &[u8], priority: u32) -> Result {
    RoutedSkb::<Ipv6Addr>::route(dev, packet, priority)?.send(dev)
}
