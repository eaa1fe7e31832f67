// SPDX-License-Identifier: GPL-2.0

//! Addresses and ports: a pf state's two keys, conntrack's two tuples.
//!
//! pf describes a connection as it looks on the wire and as it looks at the
//! host's own stack; conntrack as the initiator's packets come in, and as the
//! answers come in. Of a state whose first packet went out, the stack's key is
//! the original tuple and the wire's key the inverse of the reply; of one whose
//! first packet came in, it is the other way round. Under NAT the two differ.
//!
//! For a connection that it forwards pf has two states, one where it comes in
//! and one where it goes out, and each tells what its own interface translates:
//! destinations the one, sources the other. Between the two, at the stack, both
//! see the same packets. conntrack has one entry for both.

use core::net::IpAddr;

use super::conntrack::{protocol, Entry, Status, Tuple};
use super::state::{address, address_bytes, Direction, Family, Key, State};

/// Why a state cannot be an entry, or an entry no state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unmappable {
    /// It does not say which way its first packet went.
    NoDirection,
    /// IPv4 is translated to IPv6 or back, which conntrack cannot.
    TwoFamilies,
    /// pf looks at no ports of this protocol, and conntrack needs them.
    NoPorts,
    /// pf answers for one side, so that no sequence numbers are known.
    Proxy,
}

impl Unmappable {
    /// The reason in words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoDirection => "state without direction",
            Self::TwoFamilies => "translation between address families",
            Self::NoPorts => "pf does not know the ports of this protocol",
            Self::Proxy => "connection is still being proxied",
        }
    }
}

/// One end of a connection: its address, and its port or what stands for it.
#[derive(Clone, Copy)]
struct End(IpAddr, u16);

/// The types of ICMP that ask, and of the answers to them.
const ICMP_PAIRS: [(u8, u8); 4] = [(8, 0), (13, 14), (15, 16), (17, 18)];

/// The same for IPv6.
const ICMPV6_PAIRS: [(u8, u8); 2] = [(128, 129), (139, 140)];

const fn is_icmp(protocol: u8) -> bool {
    matches!(protocol, protocol::ICMP | protocol::ICMPV6)
}

/// Whether the ids of a tuple are ports, which pf would put into a key.
const fn has_ports(protocol: u8) -> bool {
    matches!(
        protocol,
        protocol::TCP | protocol::UDP | protocol::UDPLITE | protocol::SCTP | protocol::DCCP
    )
}

/// The type of ICMP that answers this one, or that this one answers.
fn icmp_inverse(protocol: u8, kind: u8) -> u8 {
    let pairs: &[_] = match protocol {
        protocol::ICMP => &ICMP_PAIRS,
        _ => &ICMPV6_PAIRS,
    };
    let inverse = pairs.iter().find_map(|(a, b)| match kind {
        kind if kind == *a => Some(*b),
        kind if kind == *b => Some(*a),
        _ => None,
    });
    inverse.unwrap_or(kind)
}

/// Type and code of ICMP, and the same of the other direction.
fn icmp_id_inverse(protocol: u8, id: u16) -> u16 {
    let [kind, code] = id.to_be_bytes();
    u16::from_be_bytes([icmp_inverse(protocol, kind), code])
}

/// The tuple of packets that go the other way, without NAT.
#[must_use]
pub fn inverse(tuple: &Tuple) -> Tuple {
    let [first, second] = tuple.ids;
    Tuple {
        source: tuple.destination,
        destination: tuple.source,
        protocol: tuple.protocol,
        ids: if is_icmp(tuple.protocol) {
            [first, icmp_id_inverse(tuple.protocol, second)]
        } else {
            [second, first]
        },
    }
}

/// A tuple read as a key reads it: the initiator's end, the other one.
fn ends(tuple: &Tuple) -> (End, End) {
    let [first, second] = tuple.ids;
    let (initiator, other) = if is_icmp(tuple.protocol) {
        (first, second >> 8)
    } else if has_ports(tuple.protocol) {
        (first, second)
    } else {
        (0, 0)
    };
    (End(tuple.source, initiator), End(tuple.destination, other))
}

fn tuple(protocol: u8, initiator: End, other: End) -> Tuple {
    let (End(source, first), End(destination, second)) = (initiator, other);
    Tuple {
        source,
        destination,
        protocol,
        ids: if is_icmp(protocol) {
            // pf keeps the type alone; those who ask have code 0.
            let [_, kind] = second.to_be_bytes();
            [first, u16::from_be_bytes([kind, 0])]
        } else {
            [first, second]
        },
    }
}

/// The tuples of a state: the original one and the reply.
///
/// # Errors
///
/// [`Unmappable::NoDirection`] or [`Unmappable::TwoFamilies`].
pub fn from_state(state: &State) -> Result<(Tuple, Tuple), Unmappable> {
    let read = |key: &Key| -> Result<(End, End), Unmappable> {
        if key.family.is_some_and(|family| family != state.family) {
            return Err(Unmappable::TwoFamilies);
        }
        let [far, near] = &key.addresses;
        let [far_port, near_port] = key.ports;
        Ok((
            End(address(far, state.family), far_port),
            End(address(near, state.family), near_port),
        ))
    };
    let (wire_far, wire_near) = read(&state.wire_key)?;
    let (stack_far, stack_near) = read(&state.stack_key)?;
    match state.direction {
        Direction::Any => Err(Unmappable::NoDirection),
        Direction::Out => Ok((
            tuple(state.protocol, stack_near, stack_far),
            inverse(&tuple(state.protocol, wire_near, wire_far)),
        )),
        Direction::In => Ok((
            tuple(state.protocol, wire_far, wire_near),
            inverse(&tuple(state.protocol, stack_far, stack_near)),
        )),
    }
}

/// The packets of the initiator between pf's two states: their destination is
/// translated, their source is not yet.
#[must_use]
pub fn between(original: &Tuple, reply: &Tuple) -> Tuple {
    let translated = inverse(reply);
    let ([first, _], [_, second]) = (original.ids, translated.ids);
    Tuple {
        destination: translated.destination,
        ids: [first, second],
        ..*original
    }
}

/// The keys of an entry as pf's state for one direction has them: family, that
/// on the wire, that at the stack.
///
/// # Errors
///
/// [`Unmappable::NoDirection`] or [`Unmappable::TwoFamilies`].
pub fn keys(
    original: &Tuple,
    reply: &Tuple,
    direction: Direction,
) -> Result<(Family, Key, Key), Unmappable> {
    let family = match original.source {
        IpAddr::V4(_) => Family::Ipv4,
        IpAddr::V6(_) => Family::Ipv6,
    };
    let addresses = [
        original.source,
        original.destination,
        reply.source,
        reply.destination,
    ];
    if addresses
        .iter()
        .any(|address| address.is_ipv4() != (family == Family::Ipv4))
    {
        return Err(Unmappable::TwoFamilies);
    }
    let key = |far: End, near: End| Key {
        addresses: [address_bytes(far.0), address_bytes(near.0)],
        ports: [far.1, near.1],
        routing_domain: 0,
        family: Some(family),
    };
    let (near, far) = ends(&between(original, reply));
    match direction {
        Direction::Any => Err(Unmappable::NoDirection),
        Direction::Out => {
            let (sent, to) = ends(&inverse(reply));
            Ok((family, key(to, sent), key(far, near)))
        }
        Direction::In => {
            let (from, received) = ends(original);
            Ok((family, key(from, received), key(near, far)))
        }
    }
}

/// The direction of the one of pf's two states that tells what the entry translates:
/// destinations where packets come in, sources where they go out. Where both are, it is
/// the latter, and the address before that goes beside it ([`untold`]).
#[must_use]
pub const fn direction(status: Status) -> Direction {
    if status.contains(Status::DST_NAT) && !status.contains(Status::SRC_NAT) {
        Direction::In
    } else {
        Direction::Out
    }
}

/// The bits that say which address is translated.
#[must_use]
pub fn nat_status(original: &Tuple, reply: &Tuple) -> Status {
    let straight = inverse(reply);
    let [first, second] = original.ids;
    let [straight_first, straight_second] = straight.ids;
    Status::default()
        .with_if(
            Status::SRC_NAT,
            (original.source, first) != (straight.source, straight_first),
        )
        .with_if(
            Status::DST_NAT,
            (original.destination, second) != (straight.destination, straight_second),
        )
}

/// Where the entry of pf's other state is found, whose own tuples are `original` and
/// `reply`: by its original tuple or, if the flag is set, by that of its reply.
///
/// `None`: the state does not say which one it is.
#[must_use]
pub fn other_half(direction: Direction, original: &Tuple, reply: &Tuple) -> Option<(Tuple, bool)> {
    match direction {
        Direction::Any => None,
        Direction::In => Some((inverse(reply), false)),
        Direction::Out => Some((inverse(original), true)),
    }
}

/// The tuples of pf's two states of a forwarded connection, as one entry has them:
/// each knows the translation of its own interface only. `None` if they do not belong
/// together.
#[must_use]
pub fn combine(inbound: (Tuple, Tuple), outbound: (Tuple, Tuple)) -> Option<(Tuple, Tuple)> {
    let ((original, inbound_reply), (outbound_original, reply)) = (inbound, outbound);
    (inverse(&inbound_reply) == outbound_original).then_some((original, reply))
}

/// What the keys of a state of this direction do not tell of an entry's tuples: all ids,
/// if some are missing; and the address that the other one of pf's states translates.
#[must_use]
pub(super) fn untold(state: &State, entry: &Entry) -> (Option<[[u16; 2]; 2]>, Option<IpAddr>) {
    let Ok((original, reply)) = from_state(state) else {
        return (None, None);
    };
    let ids = [entry.original.ids, entry.reply.ids];
    let address = [
        (original.destination, entry.original.destination),
        (reply.destination, entry.reply.destination),
    ];
    let address = address.iter().find(|(told, is)| told != is);
    (
        ([original.ids, reply.ids] != ids).then_some(ids),
        address.map(|(_, is)| *is),
    )
}
