// SPDX-License-Identifier: GPL-2.0

//! From where to where, and in which zone, in the words of both sides.

use super::bindings;
use kernel::prelude::*;

/// One direction of a connection.
pub(super) type Tuple = bindings::nf_conntrack_tuple;

/// An address as a union of the kernel's; that of IPv4 is followed by zeroes, with
/// which the kernel compares and hashes.
pub(super) fn address(family: u8, bytes: &[u8; 16]) -> bindings::nf_inet_addr {
    let mut all = [0; 4];
    for (word, bytes) in all.iter_mut().zip(bytes.chunks_exact(4)) {
        *word = bytes.try_into().map_or(0, u32::from_ne_bytes);
    }
    if u32::from(family) == bindings::AF_INET {
        let [_, rest @ ..] = &mut all;
        rest.fill(0);
    }
    bindings::nf_inet_addr { all }
}

/// The bytes of an address.
pub(super) fn address_bytes(address: &bindings::nf_inet_addr) -> [u8; 16] {
    // SAFETY: All members of the union are plain numbers, `all` is the longest.
    let all = unsafe { address.all };
    let mut bytes = [0; 16];
    for (to, from) in bytes.chunks_exact_mut(4).zip(all) {
        to.copy_from_slice(&from.to_ne_bytes());
    }
    bytes
}

/// The kernel's tuple for a plain one.
///
/// # Errors
///
/// EINVAL: the family is unknown.
pub(super) fn to_kernel(
    plain: &bindings::pfsync_tuple,
    family: u8,
    protocol: u8,
    direction: bindings::ip_conntrack_dir,
) -> Result<Tuple> {
    if !matches!(u32::from(family), bindings::AF_INET | bindings::AF_INET6) {
        return Err(EINVAL);
    }
    // SAFETY: All zeroes is a valid tuple. Padding included: tuples are hashed.
    let mut tuple: Tuple = unsafe { core::mem::zeroed() };
    let [source, destination] = plain.ids;
    tuple.src.l3num = u16::from(family);
    tuple.src.u3 = address(family, &plain.source);
    tuple.src.u.all = source.to_be();
    tuple.dst.u3 = address(family, &plain.destination);
    tuple.dst.u.all = destination.to_be();
    tuple.dst.protonum = protocol;
    tuple.dst.dir = direction as u8;
    Ok(tuple)
}

/// The plain form of a tuple.
pub(super) fn to_plain(tuple: &Tuple) -> bindings::pfsync_tuple {
    // SAFETY: All members of the unions are plain numbers of two bytes; that of
    // ICMP's type and code is read as one number with the type in its upper byte.
    let ids = unsafe { [tuple.src.u.all, tuple.dst.u.all] };
    bindings::pfsync_tuple {
        source: address_bytes(&tuple.src.u3),
        destination: address_bytes(&tuple.dst.u3),
        ids: ids.map(u16::from_be),
    }
}

/// Whether two tuples are the same, their directions aside.
pub(super) fn same(one: &Tuple, other: &Tuple) -> bool {
    let of = |tuple: &Tuple| {
        let plain = to_plain(tuple);
        (
            plain.source,
            plain.destination,
            plain.ids,
            tuple.src.l3num,
            tuple.dst.protonum,
        )
    };
    of(one) == of(other)
}

/// The tuple of packets that go the other way, without NAT.
pub(super) fn inverse(tuple: &Tuple) -> Option<Tuple> {
    // SAFETY: All zeroes is a valid tuple.
    let mut inverse: Tuple = unsafe { core::mem::zeroed() };
    // SAFETY: Both are valid; the function knows all protocols, and says so if it
    // cannot invert a type of ICMP.
    unsafe { bindings::nf_ct_invert_tuple(&raw mut inverse, tuple) }.then_some(inverse)
}

/// The zone that a plain entry is in.
///
/// # Errors
///
/// EINVAL: it is in none for any direction.
pub(super) fn zone(plain: &bindings::pfsync_plain) -> Result<bindings::nf_conntrack_zone> {
    if !matches!(plain.zone_directions, 1..=3) {
        return Err(EINVAL);
    }
    Ok(bindings::nf_conntrack_zone {
        id: plain.zone,
        flags: 0,
        dir: plain.zone_directions,
    })
}
