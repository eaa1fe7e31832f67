// SPDX-License-Identifier: GPL-2.0

//! A state as Linux hosts tell each other of it, when nobody else listens.
//!
//! pf's message of a state has 264 bytes, most of which say nothing to Linux, and what
//! Linux wants to know stands beside it ([`Extra`]). This says the same
//! in 40 to 100 bytes.
//!
//! | offset | size | field |
//! | --- | --- | --- |
//! | 0 | 12 | id, creatorid |
//! | 12 | 1 | flags: 1 IPv6, 2 confirm it, 4 in use, 8 and 16: see below; in the upper two bits the direction |
//! | 13 | 1 | protocol |
//! | 14 | 2 | status bits |
//! | 16 | 4 | seconds until it expires |
//! | 20 | 4 | seconds since it was made |
//! | 24 | 2 × 4 or 16 | the original tuple: source, destination |
//! | | 2 × 2 | its ids |
//! | | 6 or 18 | with flag 8: source of the reply, and its id; else the destination and second id of the original |
//! | | 6 or 18 | with flag 16: destination of the reply, and its id; else the source and first id of the original |
//!
//! Then, as the protocol has it, [TCP](put_tcp), SCTP or GRE; then attributes.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use zerocopy::byteorder::network_endian::{U16, U32};
use zerocopy::{FromBytes as _, IntoBytes as _};
use zerocopy_derive::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::attributes::{
    gre_bytes, parse_gre, parse_sctp, sctp_bytes, Attributes, Place, GRE_LEN, SCTP_LEN,
};
use super::conntrack::{protocol, Entry, Status, Tcp, TcpLast, TcpSide, TcpState, Tracking, Tuple};
use super::extra::Extra;
use super::frame::Discard;
use super::id::StateId;
use super::mapping;
use super::state::Direction;
use super::tcp::SCALE_MAX;
use super::tuples::nat_status;
use super::update::Update;

/// Bytes that a message has at least: IPv4 without ports' protocol.
pub const MIN_LEN: usize = 36;

/// What a TCP connection over IPv4 takes, as a rule.
pub const USUAL_LEN: usize = 84;

/// Flags.
mod flag {
    pub(super) const IPV6: u8 = 1;
    pub(super) const CONFIRM: u8 = 1 << 1;
    pub(super) const IN_USE: u8 = 1 << 2;
    pub(super) const REPLY_SOURCE: u8 = 1 << 3;
    pub(super) const REPLY_DESTINATION: u8 = 1 << 4;
    pub(super) const DIRECTION: u32 = 6;
}

/// What a message says beside the entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Head {
    /// The state's name.
    pub id: StateId,
    /// Which of pf's two states it is for who has pf beside it.
    pub direction: Direction,
    /// The sender wants to know that it has arrived.
    pub confirm: bool,
    /// The sender was the last to see a packet of it; else it has it from another host.
    pub in_use: bool,
}

/// What is the same in all messages.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct First {
    id: StateId,
    flags: u8,
    protocol: u8,
    status: U16,
    timeout: U32,
    age: U32,
}

/// What is the same of all TCP connections.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct FirstOfTcp {
    first: u8,
    retrans: u8,
    index: u8,
    wscale: u8,
    flags: u8,
    win: U16,
    seen: [Side; 2],
}

/// A side of TCP.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Side {
    end: U32,
    maxend: U32,
    maxwin: U32,
    maxack: U32,
    scale: u8,
    flags: u8,
}

/// Writes a message to `to`. Its length, a multiple of four; `None` if there is no room.
///
/// The entry's addresses are of one family.
pub(super) fn emit(head: &Head, entry: &Entry, to: &mut [u8]) -> Option<usize> {
    let (original, reply) = (&entry.original, &entry.reply);
    let details = &entry.details;
    let [source_id, destination_id] = original.ids;
    let [reply_source_id, reply_destination_id] = reply.ids;
    let source_differs = (reply.source, reply_source_id) != (original.destination, destination_id);
    let destination_differs =
        (reply.destination, reply_destination_id) != (original.source, source_id);
    let set = |flag, on: bool| if on { flag } else { 0 };
    let flags = set(flag::IPV6, original.source.is_ipv6())
        | set(flag::CONFIRM, head.confirm)
        | set(flag::IN_USE, head.in_use)
        | set(flag::REPLY_SOURCE, source_differs)
        | set(flag::REPLY_DESTINATION, destination_differs)
        | ((head.direction as u8) << flag::DIRECTION);
    let first = First {
        id: head.id,
        flags,
        protocol: original.protocol,
        status: U16::new(details.status.only(Status::SHARED).0 as u16),
        timeout: U32::new(entry.timeout),
        age: U32::new(entry.age),
    };
    let mut place = Place::new(to);
    place.put(first.as_bytes());
    put_address(&mut place, &original.source);
    put_address(&mut place, &original.destination);
    place.put(original.ids.map(U16::new).as_bytes());
    if source_differs {
        put_address(&mut place, &reply.source);
        place.put(&reply_source_id.to_be_bytes());
    }
    if destination_differs {
        put_address(&mut place, &reply.destination);
        place.put(&reply_destination_id.to_be_bytes());
    }
    match &details.tracking {
        Tracking::Tcp(tcp) => put_tcp(&mut place, tcp),
        Tracking::Sctp(sctp) => place.put(&sctp_bytes(sctp)),
        Tracking::Gre(gre) => place.put(&gre_bytes(gre)),
        Tracking::Other => (),
    }
    details.attributes(&mut |kind, value| place.attribute(kind, value));
    place.fill_up()
}

fn put_address(place: &mut Place<'_>, address: &IpAddr) {
    match address {
        IpAddr::V4(address) => place.put(&address.octets()),
        IpAddr::V6(address) => place.put(&address.octets()),
    }
}

/// In the first byte of TCP, beside the state: the direction of the last packet, and
/// which of its numbers are given.
mod last {
    pub(super) const STATE: u8 = 0x0f;
    pub(super) const REPLY: u8 = 1 << 4;
    pub(super) const END: u8 = 1 << 5;
    pub(super) const SEQ: u8 = 1 << 6;
    pub(super) const ACK: u8 = 1 << 7;
}

/// The numbers that the last packet has as a rule: those which its sender's side has.
fn usual(tcp: &Tcp) -> (u32, u32) {
    let [original, reply] = &tcp.seen;
    let sender = if tcp.last.direction == 0 {
        original
    } else {
        reply
    };
    (sender.end, sender.maxack)
}

/// One byte of state and flags; of the last packet retransmissions 1, kind 1, window
/// scale 1, flags 1, window 2; both sides, as in attributes 8 and 9; and of the last
/// packet's numbers those of 4 bytes each that the flags name: its end, if it is not the
/// sender's `td_end`; its sequence number, if that is not its end; its acknowledgement,
/// if it is not the sender's `td_maxack`.
fn put_tcp(place: &mut Place<'_>, tcp: &Tcp) {
    let TcpLast {
        direction,
        retrans,
        index,
        wscale,
        flags,
        win,
        seq,
        ack,
        end,
    } = tcp.last;
    let (usual_end, usual_ack) = usual(tcp);
    let set = |flag, on: bool| if on { flag } else { 0 };
    let first = tcp.state as u8
        | set(last::REPLY, direction != 0)
        | set(last::END, end != usual_end)
        | set(last::SEQ, seq != end)
        | set(last::ACK, ack != usual_ack);
    let [original, reply] = &tcp.seen;
    let side = |side: &TcpSide| Side {
        end: U32::new(side.end),
        maxend: U32::new(side.maxend),
        maxwin: U32::new(side.maxwin),
        maxack: U32::new(side.maxack),
        scale: side.scale,
        flags: side.flags,
    };
    let all = FirstOfTcp {
        first,
        retrans,
        index,
        wscale,
        flags,
        win: U16::new(win),
        seen: [side(original), side(reply)],
    };
    place.put(all.as_bytes());
    for (number, flag) in [(end, last::END), (seq, last::SEQ), (ack, last::ACK)] {
        if first & flag != 0 {
            place.put(&number.to_be_bytes());
        }
    }
}

/// A received message, of which only the length was checked.
#[derive(Clone, Copy)]
pub struct Received<'a> {
    first: &'a First,
    rest: &'a [u8],
}

impl<'a> Received<'a> {
    /// `None` if it is too short.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let (first, rest) = First::ref_from_prefix(bytes).ok()?;
        Some(Self { first, rest })
    }

    /// What it says: writes the entry, which is empty, and returns what stands beside it.
    ///
    /// # Errors
    ///
    /// [`Discard::BadLength`] if it is too short for what it says is there,
    /// [`Discard::BadValue`] if a value means nothing, [`Discard::BadState`] without a
    /// creator.
    pub fn read(&self, entry: &mut Entry) -> Result<Head, Discard> {
        let First {
            id,
            flags,
            protocol,
            status,
            timeout,
            age,
        } = *self.first;
        if id.creator == [0; 4] {
            return Err(Discard::BadState);
        }
        let mut rest = Rest(self.rest);
        let status = Status(status.get().into()).only(Status::SHARED);
        let ipv6 = flags & flag::IPV6 != 0;
        let (source, destination) = (rest.address(ipv6)?, rest.address(ipv6)?);
        let (source_id, destination_id) = (rest.id()?, rest.id()?);
        let (reply_source, reply_source_id) = match flags & flag::REPLY_SOURCE {
            0 => (destination, destination_id),
            _ => (rest.address(ipv6)?, rest.id()?),
        };
        let (reply_destination, reply_destination_id) = match flags & flag::REPLY_DESTINATION {
            0 => (source, source_id),
            _ => (rest.address(ipv6)?, rest.id()?),
        };
        entry.original = Tuple {
            source,
            destination,
            protocol,
            ids: [source_id, destination_id],
        };
        entry.reply = Tuple {
            source: reply_source,
            destination: reply_destination,
            protocol,
            ids: [reply_source_id, reply_destination_id],
        };
        entry.timeout = timeout.get();
        entry.age = age.get();
        let nat = nat_status(&entry.original, &entry.reply);
        let told = Status(status.0 & !(Status::SRC_NAT.0 | Status::DST_NAT.0));
        let details = &mut entry.details;
        details.status = Status(told.0 | nat.0);
        details.tracking = rest.tracking(protocol)?;
        for attribute in Attributes(rest.0) {
            let (kind, value) = attribute?;
            details.set(kind, value).ok_or(Discard::BadValue)?;
        }
        Ok(Head {
            id,
            direction: match Direction::new(flags >> flag::DIRECTION) {
                None | Some(Direction::Any) => return Err(Discard::BadValue),
                Some(direction) => direction,
            },
            confirm: flags & flag::CONFIRM != 0,
            in_use: flags & flag::IN_USE != 0,
        })
    }
}

/// What is still to be read.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Discard> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(Discard::BadLength)?;
        self.0 = rest;
        Ok(*bytes)
    }

    fn id(&mut self) -> Result<u16, Discard> {
        self.take().map(u16::from_be_bytes)
    }

    fn address(&mut self, ipv6: bool) -> Result<IpAddr, Discard> {
        Ok(match ipv6 {
            false => IpAddr::V4(Ipv4Addr::from(self.take::<4>()?)),
            true => IpAddr::V6(Ipv6Addr::from(self.take::<16>()?)),
        })
    }

    fn tracking(&mut self, protocol: u8) -> Result<Tracking, Discard> {
        Ok(match protocol {
            protocol::TCP => Tracking::Tcp(self.tcp()?),
            protocol::SCTP => {
                let bytes: [u8; SCTP_LEN] = self.take()?;
                Tracking::Sctp(parse_sctp(&bytes).ok_or(Discard::BadValue)?)
            }
            protocol::GRE => {
                let bytes: [u8; GRE_LEN] = self.take()?;
                Tracking::Gre(parse_gre(&bytes).ok_or(Discard::BadValue)?)
            }
            _ => Tracking::Other,
        })
    }

    fn tcp(&mut self) -> Result<Tcp, Discard> {
        let (all, rest) = FirstOfTcp::ref_from_prefix(self.0).map_err(|_| Discard::BadLength)?;
        self.0 = rest;
        let first = all.first;
        let [original, reply] = &all.seen;
        // conntrack shifts by it
        if original.scale > SCALE_MAX || reply.scale > SCALE_MAX {
            return Err(Discard::BadValue);
        }
        let side = |side: &Side| TcpSide {
            end: side.end.get(),
            maxend: side.maxend.get(),
            maxwin: side.maxwin.get(),
            maxack: side.maxack.get(),
            scale: side.scale,
            flags: side.flags,
        };
        let mut tcp = Tcp {
            state: TcpState::new(first & last::STATE).ok_or(Discard::BadValue)?,
            seen: [side(original), side(reply)],
            last: TcpLast {
                direction: (first & last::REPLY != 0).into(),
                retrans: all.retrans,
                index: all.index,
                wscale: all.wscale,
                flags: all.flags,
                win: all.win.get(),
                ..TcpLast::default()
            },
        };
        let (usual_end, usual_ack) = usual(&tcp);
        let mut number = |flag, usual| match first & flag {
            0 => Ok(usual),
            _ => self.take().map(u32::from_be_bytes),
        };
        let end = number(last::END, usual_end)?;
        tcp.last.seq = number(last::SEQ, end)?;
        tcp.last.ack = number(last::ACK, usual_ack)?;
        tcp.last.end = end;
        Ok(tcp)
    }
}

/// What an entry of a peer's says of a state that is known here: as pf would say it, and
/// what stands beside that.
#[must_use]
pub fn update(head: &Head, entry: &Entry) -> (Update, Extra) {
    let (src, dst, timeout) = mapping::peers(entry);
    let update = Update {
        id: head.id,
        src,
        dst,
        expire: 0,
        timeout,
        flags: 0,
    };
    let extra = Extra {
        details: entry.details,
        timeout: entry.timeout,
        in_use: Some(head.in_use),
        ..Extra::default()
    };
    (update, extra)
}
