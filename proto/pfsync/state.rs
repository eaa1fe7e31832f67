// SPDX-License-Identifier: GPL-2.0

//! A whole state, as INS, UPD and DEL carry it: 264 bytes.
//!
//! | offset | size | field |
//! | --- | --- | --- |
//! | 0 | 8 | id |
//! | 8 | 16 | interface name; `all` for one that floats |
//! | 24 | 2 × 40 | keys: on the wire, and at the stack |
//! | 104 | 2 × 32 | peers: source (the initiator) and destination |
//! | 168 | 16 | route-to address |
//! | 184 | 3 × 4 | rule, anchor, NAT rule; all ones: none |
//! | 196 | 4 | seconds since creation |
//! | 200 | 4 | seconds until it expires |
//! | 204 | 2 × 8 | packets of the initiator, of the other side |
//! | 220 | 2 × 8 | bytes, likewise |
//! | 236 | 4 | creatorid |
//! | 240 | 2 × 4 | routing tables |
//! | 248 | 2 | maximum segment size to enforce |
//! | 250 | 1 | address family |
//! | 251 | 1 | protocol |
//! | 252 | 1 | direction |
//! | 253 | 1 | log |
//! | 254 | 1 | kind of route-to |
//! | 255 | 1 | timeout class |
//! | 256 | 1 | sync flags |
//! | 257 | 1 | updates |
//! | 258 | 1 | TTL to enforce |
//! | 259 | 1 | TOS to set |
//! | 260 | 2 | flags |
//! | 262 | 2 | priorities |

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use zerocopy::byteorder::network_endian::{I32, U16, U32, U64};
use zerocopy::FromBytes as _;
use zerocopy_derive::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::frame::Discard;
use super::id::{Creator, StateId};
use super::peer::{self, Peer};
use super::timeout::Timeout;
use super::update::Update;

/// In [`State::rule`], [`State::anchor`] and [`State::nat_rule`]: none.
pub const NO_RULE: u32 = u32::MAX;

/// In [`State::flags`]: pf does not check windows.
pub const FLAG_SLOPPY: u16 = 0x0002;

/// In [`State::flags`]: not for peers.
pub const FLAG_NO_SYNC: u16 = 0x0008;

/// In [`State::flags`]: the sender wants an INS_ACK.
pub const FLAG_ACK: u16 = 0x0010;

/// The name of an interface, filled up with zeroes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceName(pub [u8; 16]);

impl InterfaceName {
    /// What a state that floats over interfaces has.
    pub const ALL: Self = Self(*b"all\0\0\0\0\0\0\0\0\0\0\0\0\0");

    /// No name: in a CLR, all interfaces.
    pub const NONE: Self = Self([0; 16]);

    /// Its bytes up to the first zero.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        let end = self.0.iter().position(|byte| *byte == 0);
        end.and_then(|end| self.0.get(..end)).unwrap_or(&self.0)
    }
}

/// An address family, by OpenBSD's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Family {
    /// IPv4
    Ipv4 = 2,
    /// IPv6. Linux has another number for it, 10.
    Ipv6 = 24,
}

impl Family {
    /// The family of this number.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        match number {
            2 => Some(Self::Ipv4),
            24 => Some(Self::Ipv6),
            _ => None,
        }
    }
}

/// Which way the first packet went through the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Direction {
    /// Not said. pf accepts it from peers, and makes no such state.
    Any = 0,
    /// In.
    In = 1,
    /// Out.
    Out = 2,
}

impl Direction {
    pub(super) const fn new(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Any),
            1 => Some(Self::In),
            2 => Some(Self::Out),
            _ => None,
        }
    }
}

/// What packets of a state look like: index 0 is the far end, 1 the near end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// Addresses; one of IPv4 stands in the first four bytes.
    pub addresses: [[u8; 16]; 2],
    /// Ports. For ICMP the initiator's is the exchange's id, the other one the
    /// type of the request.
    pub ports: [u16; 2],
    /// The routing domain.
    pub routing_domain: u16,
    /// The family; `None`: that of the state.
    pub family: Option<Family>,
}

/// Bytes of an address as they stand in a key.
#[must_use]
pub fn address_bytes(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        }
        IpAddr::V6(address) => address.octets(),
    }
}

/// The address that stands in a key.
#[must_use]
pub fn address(bytes: &[u8; 16], family: Family) -> IpAddr {
    match family {
        Family::Ipv4 => {
            let [a, b, c, d, ..] = *bytes;
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        }
        Family::Ipv6 => IpAddr::V6(Ipv6Addr::from(*bytes)),
    }
}

#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct KeyWire {
    addresses: [[u8; 16]; 2],
    ports: [U16; 2],
    routing_domain: U16,
    family: u8,
    pad: u8,
}

impl Key {
    const fn parse(wire: &KeyWire, family: Option<Family>) -> Self {
        let [a, b] = wire.ports;
        Self {
            addresses: wire.addresses,
            ports: [a.get(), b.get()],
            routing_domain: wire.routing_domain.get(),
            family,
        }
    }

    const fn emit(&self) -> KeyWire {
        let [a, b] = self.ports;
        KeyWire {
            addresses: self.addresses,
            ports: [U16::new(a), U16::new(b)],
            routing_domain: U16::new(self.routing_domain),
            family: match self.family {
                None => 0,
                Some(family) => family as u8,
            },
            pad: 0,
        }
    }
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Wire {
    id: [u8; 8],
    interface: [u8; 16],
    wire_key: KeyWire,
    stack_key: KeyWire,
    src: peer::Wire,
    dst: peer::Wire,
    route_to: [u8; 16],
    rule: U32,
    anchor: U32,
    nat_rule: U32,
    creation: U32,
    expire: U32,
    packets: [U64; 2],
    bytes: [U64; 2],
    creator: Creator,
    routing_tables: [I32; 2],
    max_mss: U16,
    family: u8,
    protocol: u8,
    direction: u8,
    log: u8,
    route_to_kind: u8,
    timeout: u8,
    sync_flags: u8,
    updates: u8,
    min_ttl: u8,
    tos: u8,
    flags: U16,
    priorities: [u8; 2],
}

/// A whole state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// Its name. The creator is never 0.
    pub id: StateId,
    /// The interface that it is bound to.
    pub interface: InterfaceName,
    /// Packets as on the wire. Differs from [`Self::stack_key`] under NAT.
    pub wire_key: Key,
    /// Packets as the host's own stack sees them.
    pub stack_key: Key,
    /// The initiator.
    pub src: Peer,
    /// The other side.
    pub dst: Peer,
    /// Where packets are routed to, if by a rule.
    pub route_to: [u8; 16],
    /// The rule that made it, or [`NO_RULE`].
    pub rule: u32,
    /// The anchor that the rule is in, or [`NO_RULE`].
    pub anchor: u32,
    /// Of older versions; [`NO_RULE`].
    pub nat_rule: u32,
    /// Seconds since it was made.
    pub creation: u32,
    /// Seconds until it expires. 0: its class's full timeout.
    pub expire: u32,
    /// Packets of the initiator, packets of the other side.
    pub packets: [u64; 2],
    /// Bytes, likewise.
    pub bytes: [u64; 2],
    /// Routing tables; −1 for the initiator.
    pub routing_tables: [i32; 2],
    /// The maximum segment size to enforce, or 0.
    pub max_mss: u16,
    /// The address family.
    pub family: Family,
    /// The IP protocol.
    pub protocol: u8,
    /// Which way the first packet went.
    pub direction: Direction,
    /// What is logged.
    pub log: u8,
    /// What [`Self::route_to`] is for.
    pub route_to_kind: u8,
    /// The timeout class.
    pub timeout: Timeout,
    /// Nothing since version 6.
    pub sync_flags: u8,
    /// How often it changed since the last message.
    pub updates: u8,
    /// The TTL to enforce, or 0.
    pub min_ttl: u8,
    /// The TOS to set, or 0.
    pub tos: u8,
    /// `FLAG_…`
    pub flags: u16,
    /// Priorities to set.
    pub priorities: [u8; 2],
}

impl State {
    /// Bytes on the wire.
    pub const LEN: usize = size_of::<Wire>();

    /// The bytes of the message.
    #[must_use]
    pub fn emit(&self) -> [u8; Self::LEN] {
        let [packets_src, packets_dst] = self.packets;
        let [bytes_src, bytes_dst] = self.bytes;
        let [table_wire, table_stack] = self.routing_tables;
        zerocopy::transmute!(Wire {
            id: self.id.id,
            interface: self.interface.0,
            wire_key: self.wire_key.emit(),
            stack_key: self.stack_key.emit(),
            src: self.src.emit(),
            dst: self.dst.emit(),
            route_to: self.route_to,
            rule: U32::new(self.rule),
            anchor: U32::new(self.anchor),
            nat_rule: U32::new(self.nat_rule),
            creation: U32::new(self.creation),
            expire: U32::new(self.expire),
            packets: [U64::new(packets_src), U64::new(packets_dst)],
            bytes: [U64::new(bytes_src), U64::new(bytes_dst)],
            creator: self.id.creator,
            routing_tables: [I32::new(table_wire), I32::new(table_stack)],
            max_mss: U16::new(self.max_mss),
            family: self.family as u8,
            protocol: self.protocol,
            direction: self.direction as u8,
            log: self.log,
            route_to_kind: self.route_to_kind,
            timeout: self.timeout.number(),
            sync_flags: self.sync_flags,
            updates: self.updates,
            min_ttl: self.min_ttl,
            tos: self.tos,
            flags: U16::new(self.flags),
            priorities: self.priorities,
        })
    }

    /// The part of it that an UPD_C carries. Its expire is 0, as OpenBSD's.
    #[must_use]
    pub const fn update(&self) -> Update {
        Update {
            id: self.id,
            src: self.src,
            dst: self.dst,
            expire: 0,
            timeout: self.timeout,
            flags: self.flags as u8,
        }
    }
}

const _: () = assert!(State::LEN == 264);

/// A received state, of which only the length was checked.
///
/// How much of it must hold depends on what it is for: of a state to be deleted
/// only the name counts.
#[derive(Clone, Copy)]
pub struct Received<'a>(&'a Wire);

impl<'a> Received<'a> {
    /// `None` if it is too short.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        Wire::ref_from_prefix(bytes)
            .ok()
            .map(|(wire, _)| Self(wire))
    }

    /// Its name.
    #[must_use]
    pub const fn id(&self) -> StateId {
        StateId {
            id: self.0.id,
            creator: self.0.creator,
        }
    }

    /// Whether the sender wants an INS_ACK.
    #[must_use]
    pub fn wants_ack(&self) -> bool {
        self.0.flags.get() & FLAG_ACK != 0
    }

    /// What it says of a state that we have.
    ///
    /// # Errors
    ///
    /// [`Discard::BadValue`] if timeout class or a peer's state is none that pf
    /// knows. Nothing else is looked at: the rest of it we have already.
    pub fn for_update(&self) -> Result<Update, Discard> {
        let wire = self.0;
        Ok(Update {
            id: self.id(),
            src: Peer::parse(&wire.src).ok_or(Discard::BadValue)?,
            dst: Peer::parse(&wire.dst).ok_or(Discard::BadValue)?,
            expire: wire.expire.get(),
            timeout: Timeout::new(wire.timeout).ok_or(Discard::BadValue)?,
            flags: wire.flags.get() as u8,
        })
    }

    /// All of it, for a state that we do not have.
    ///
    /// # Errors
    ///
    /// [`Discard::BadValue`] if timeout class, a peer's state, the direction or
    /// a family is none that pf knows; [`Discard::BadState`] without a creator.
    pub fn for_insert(&self) -> Result<State, Discard> {
        let wire = self.0;
        let update = self.for_update()?;
        let direction = Direction::new(wire.direction).ok_or(Discard::BadValue)?;
        let family = Family::new(wire.family).ok_or(Discard::BadValue)?;
        let families = match (wire.wire_key.family, wire.stack_key.family) {
            (0, 0) => (None, None),
            (on_wire, at_stack) => (
                Some(Family::new(on_wire).ok_or(Discard::BadValue)?),
                Some(Family::new(at_stack).ok_or(Discard::BadValue)?),
            ),
        };
        if wire.creator == [0; 4] {
            return Err(Discard::BadState);
        }
        let [packets_src, packets_dst] = wire.packets;
        let [bytes_src, bytes_dst] = wire.bytes;
        let [table_wire, table_stack] = wire.routing_tables;
        Ok(State {
            id: self.id(),
            interface: InterfaceName(wire.interface),
            wire_key: Key::parse(&wire.wire_key, families.0),
            stack_key: Key::parse(&wire.stack_key, families.1),
            src: update.src,
            dst: update.dst,
            route_to: wire.route_to,
            rule: wire.rule.get(),
            anchor: wire.anchor.get(),
            nat_rule: wire.nat_rule.get(),
            creation: wire.creation.get(),
            expire: wire.expire.get(),
            packets: [packets_src.get(), packets_dst.get()],
            bytes: [bytes_src.get(), bytes_dst.get()],
            routing_tables: [table_wire.get(), table_stack.get()],
            max_mss: wire.max_mss.get(),
            family,
            protocol: wire.protocol,
            direction,
            log: wire.log,
            route_to_kind: wire.route_to_kind,
            timeout: update.timeout,
            sync_flags: wire.sync_flags,
            updates: wire.updates,
            min_ttl: wire.min_ttl,
            tos: wire.tos,
            flags: wire.flags.get(),
            priorities: wire.priorities,
        })
    }
}
