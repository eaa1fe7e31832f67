// SPDX-License-Identifier: GPL-2.0

//! An entry of Linux' connection tracking, in plain numbers.
//!
//! The driver's adapter fills it in from a `struct nf_conn` and makes one of it.
//! The numbers of states, flags and status bits are those of the kernel's
//! user-space interface, which do not change.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::super::text::Text;
use super::id::StateId;

/// IP protocols that are told apart.
pub mod protocol {
    /// ICMP for IPv4
    pub const ICMP: u8 = 1;
    /// TCP
    pub const TCP: u8 = 6;
    /// UDP
    pub const UDP: u8 = 17;
    /// DCCP
    pub const DCCP: u8 = 33;
    /// GRE
    pub const GRE: u8 = 47;
    /// ICMP for IPv6
    pub const ICMPV6: u8 = 58;
    /// SCTP
    pub const SCTP: u8 = 132;
    /// UDP-Lite
    pub const UDPLITE: u8 = 136;
}

/// One direction of a connection: from where to where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tuple {
    /// Who sends.
    pub source: IpAddr,
    /// Who receives.
    pub destination: IpAddr,
    /// The IP protocol.
    pub protocol: u8,
    /// Source and destination port; 0 where the protocol has none.
    ///
    /// ICMP: the exchange's id, which is first in both directions, and the type
    /// (upper byte) with the code. GRE: the two keys.
    pub ids: [u16; 2],
}

/// As an administrator reads it: "10.0.0.1:1024 to \[2001:db8::1\]:53".
impl fmt::Display for Tuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [source, destination] = self.ids;
        let source = SocketAddr::new(self.source, source);
        let destination = SocketAddr::new(self.destination, destination);
        write!(f, "{source} to {destination}")
    }
}

/// Status bits (`enum ip_conntrack_status`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Status(pub u32);

impl Status {
    /// An expectation led to it.
    pub const EXPECTED: Self = Self(1);
    /// There was an answer.
    pub const SEEN_REPLY: Self = Self(1 << 1);
    /// It is not thrown out when room is short.
    pub const ASSURED: Self = Self(1 << 2);
    /// The source is translated.
    pub const SRC_NAT: Self = Self(1 << 4);
    /// The destination is translated.
    pub const DST_NAT: Self = Self(1 << 5);
    /// TCP's sequence numbers are adjusted.
    pub const SEQ_ADJUST: Self = Self(1 << 6);
    /// Its timeout does not start again with each packet.
    pub const FIXED_TIMEOUT: Self = Self(1 << 10);
    /// Its helper was chosen by a rule.
    pub const HELPER: Self = Self(1 << 13);

    /// Those that hold on another host too. The others say how far this host has
    /// got with making or freeing the entry, and what its hardware does.
    pub const SHARED: Self = Self(
        Self::EXPECTED.0
            | Self::SEEN_REPLY.0
            | Self::ASSURED.0
            | Self::SRC_NAT.0
            | Self::DST_NAT.0
            | Self::SEQ_ADJUST.0
            | Self::FIXED_TIMEOUT.0
            | Self::HELPER.0,
    );

    /// Packets go past connection tracking, by flow tables of software or hardware.
    const OFFLOAD: Self = Self((1 << 14) | (1 << 15));

    /// Whether packets of it pass that conntrack does not see.
    #[must_use]
    pub const fn is_offloaded(self) -> bool {
        self.0 & Self::OFFLOAD.0 != 0
    }

    /// Whether all of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// With those of `other`, if `condition` holds.
    #[must_use]
    pub const fn with_if(self, other: Self, condition: bool) -> Self {
        match condition {
            true => Self(self.0 | other.0),
            false => self,
        }
    }

    /// Only those that are in `other` too.
    #[must_use]
    pub const fn only(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

/// TCP's state, one for both sides (`enum tcp_conntrack`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum TcpState {
    /// Nothing seen.
    #[default]
    None = 0,
    /// A SYN was seen.
    SynSent = 1,
    /// A SYN was answered by SYN and ACK.
    SynRecv = 2,
    /// And that by an ACK.
    Established = 3,
    /// A FIN was seen.
    FinWait = 4,
    /// And acknowledged.
    CloseWait = 5,
    /// The other side's FIN was seen too.
    LastAck = 6,
    /// And acknowledged.
    TimeWait = 7,
    /// An RST was seen.
    Close = 8,
    /// A SYN was answered by a SYN.
    SynSent2 = 9,
}

impl TcpState {
    /// Whether its handshake is complete, and nobody has reset it.
    #[must_use]
    pub fn is_open(self) -> bool {
        (Self::Established..=Self::TimeWait).contains(&self)
    }

    /// The state of this number.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::None,
            1 => Self::SynSent,
            2 => Self::SynRecv,
            3 => Self::Established,
            4 => Self::FinWait,
            5 => Self::CloseWait,
            6 => Self::LastAck,
            7 => Self::TimeWait,
            8 => Self::Close,
            9 => Self::SynSent2,
            _ => return None,
        })
    }
}

/// In [`TcpSide::flags`]: offered to scale windows.
pub const TCP_WINDOW_SCALE: u8 = 0x01;

/// In [`TcpSide::flags`]: sent its FIN first.
pub const TCP_CLOSE_INIT: u8 = 0x04;

/// In [`TcpSide::flags`]: windows are not checked.
pub const TCP_BE_LIBERAL: u8 = 0x08;

/// What one side of a TCP connection sent (`struct ip_ct_tcp_state`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TcpSide {
    /// `td_end`: the highest sequence number sent, plus one.
    pub end: u32,
    /// `td_maxend`: up to where the other side lets it send.
    pub maxend: u32,
    /// `td_maxwin`: the largest window that it offered, scaled.
    pub maxwin: u32,
    /// `td_maxack`: the highest acknowledgement that it sent.
    pub maxack: u32,
    /// `td_scale`: by how many bits its windows are scaled.
    pub scale: u8,
    /// `TCP_…`, and others that only conntrack understands.
    pub flags: u8,
}

/// The last packet of a TCP connection, kept to judge the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TcpLast {
    /// Its direction.
    pub direction: u8,
    /// How often it was repeated.
    pub retrans: u8,
    /// What kind of packet it was.
    pub index: u8,
    /// The window scale in it.
    pub wscale: u8,
    /// The flags to be set if its SYN turns out to be in sync.
    pub flags: u8,
    /// Its window.
    pub win: u16,
    /// Its sequence number.
    pub seq: u32,
    /// What it acknowledged.
    pub ack: u32,
    /// Its sequence number and length.
    pub end: u32,
}

/// What is known of a TCP connection (`struct ip_ct_tcp`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tcp {
    /// The state of both sides.
    pub state: TcpState,
    /// The initiator, the other side.
    pub seen: [TcpSide; 2],
    /// The last packet.
    pub last: TcpLast,
}

/// What is known of an SCTP association (`struct ip_ct_sctp`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Sctp {
    /// The state of both sides.
    pub state: u8,
    /// The verification tags, bytes as on the wire.
    pub vtag: [[u8; 4]; 2],
    /// Whether an INIT was seen.
    pub init: [u8; 2],
    /// The direction of the last packet.
    pub last_direction: u8,
    /// Flags.
    pub flags: u8,
}

/// What is known of a GRE tunnel (`struct nf_ct_gre`), in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Gre {
    /// The timeout before there was an answer.
    pub timeout: u32,
    /// The timeout after that.
    pub stream_timeout: u32,
}

/// What a protocol needs to know of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Tracking {
    /// TCP
    Tcp(Tcp),
    /// SCTP
    Sctp(Sctp),
    /// GRE
    Gre(Gre),
    /// Others, of which status and timeout say all.
    #[default]
    Other,
}

/// How TCP's sequence numbers of one direction are adjusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SeqAdjust {
    /// Up to which sequence number [`Self::before`] counts.
    pub position: u32,
    /// What is added up to there.
    pub before: i32,
    /// What is added after that.
    pub after: i32,
}

/// A conntrack zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Zone {
    /// Its number.
    pub id: u16,
    /// For which directions it counts: 1 original, 2 reply, 3 both.
    pub directions: u8,
}

impl Default for Zone {
    fn default() -> Self {
        Self {
            id: 0,
            directions: 3,
        }
    }
}

/// What the SYN proxy remembers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Synproxy {
    /// The initial sequence number.
    pub isn: u32,
    /// The initial timestamp.
    pub its: u32,
    /// The offset of timestamps.
    pub tsoff: u32,
}

/// What belongs to an entry beside its two tuples, its clocks and its counters.
///
/// Most of it has no field in a pf state. Between Linux hosts all of it travels
/// (see [`extra`](super::extra)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Details {
    /// Status bits; only [`Status::SHARED`] travel.
    pub status: Status,
    /// What the protocol needs to know.
    pub tracking: Tracking,
    /// How sequence numbers are adjusted, of the initiator and of the other.
    pub adjust: [SeqAdjust; 2],
    /// The zone.
    pub zone: Zone,
    /// The mark.
    pub mark: u32,
    /// The labels.
    pub labels: [u8; 16],
    /// The helper's name.
    pub helper: Text<16>,
    /// The connection that this one was expected by.
    pub master: Option<StateId>,
    /// What the SYN proxy remembers.
    pub synproxy: Option<Synproxy>,
    /// When it was made: nanoseconds since 1970. 0: not known.
    pub start: u64,
}

/// An entry of the connection tracking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// The initiator's direction.
    pub original: Tuple,
    /// The answer's. Under NAT not just the inverse.
    pub reply: Tuple,
    /// Seconds until it expires.
    pub timeout: u32,
    /// Seconds since it was made.
    pub age: u32,
    /// Packets of the initiator, of the other side.
    pub packets: [u64; 2],
    /// Bytes, likewise.
    pub bytes: [u64; 2],
    /// Everything else.
    pub details: Details,
}

/// Nothing: a place for what is read.
impl Default for Entry {
    fn default() -> Self {
        let tuple = Tuple {
            source: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            destination: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            protocol: 0,
            ids: [0; 2],
        };
        Self {
            original: tuple,
            reply: tuple,
            timeout: 0,
            age: 0,
            packets: [0; 2],
            bytes: [0; 2],
            details: Details::default(),
        }
    }
}
