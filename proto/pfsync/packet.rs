// SPDX-License-Identifier: GPL-2.0

//! What stands before a frame: the headers of IP and, to the group, of Ethernet.
//!
//! To the group the driver hands complete frames to the syncdev; on the way through
//! the IP stack they would be looped back. To a syncpeer the stack must find the way.

use super::super::carp::frame::{
    ipv4_header, ipv6_header, multicast_mac, MacAddress, ETHERNET_LEN, ETHERTYPE_IPV4,
    IPV4_HEADER_LEN, IPV6_HEADER_LEN,
};
use super::frame::{Discard, GROUP, PROTOCOL, TOS};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The bytes of an IPv4 header, which has no options.
pub const IPV4_LEN: usize = IPV4_HEADER_LEN;

/// The bytes of an IPv6 header.
pub const IPV6_LEN: usize = IPV6_HEADER_LEN;

/// The bytes before a frame to the group.
pub const GROUP_LEN: usize = ETHERNET_LEN + IPV4_HEADER_LEN;

/// Whether a frame from `source` to `destination` is heard. With a syncpeer only what that
/// sends to this host alone is; without one, whatever comes over the syncdev.
///
/// # Errors
///
/// It is not.
pub fn check_sender(
    syncpeer: Option<IpAddr>,
    source: IpAddr,
    destination: IpAddr,
) -> Result<(), Discard> {
    match syncpeer {
        Some(peer) if source != peer || destination.is_multicast() => Err(Discard::BadPeer),
        _ => Ok(()),
    }
}

/// The headers of a frame of `len` bytes to the group.
#[must_use]
pub fn to_group(mac: MacAddress, source: Ipv4Addr, len: u16) -> [u8; GROUP_LEN] {
    let mut headers = [0; GROUP_LEN];
    let ip = to_ipv4(source, GROUP, len);
    let parts: [&[u8]; 4] = [&multicast_mac(GROUP), &mac, &ETHERTYPE_IPV4, &ip];
    let bytes = parts.into_iter().flatten();
    for (to, from) in headers.iter_mut().zip(bytes) {
        *to = *from;
    }
    headers
}

/// The header of a frame of `len` bytes to a syncpeer.
#[must_use]
pub fn to_ipv4(source: Ipv4Addr, peer: Ipv4Addr, len: u16) -> [u8; IPV4_HEADER_LEN] {
    ipv4_header(TOS, len, PROTOCOL, source, peer)
}

/// The same in IPv6.
#[must_use]
pub fn to_ipv6(source: Ipv6Addr, peer: Ipv6Addr, len: u16) -> [u8; IPV6_HEADER_LEN] {
    ipv6_header(TOS, len, PROTOCOL, source, peer)
}
