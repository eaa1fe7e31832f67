// SPDX-License-Identifier: GPL-2.0

//! What conntrack knows of a connection and a pf state has no field for.
//!
//! A message of Linux' own, in a section that OpenBSD steps over. It stands just
//! before the INS, UPD or UPD_C of the same state ([`Companion`] joins the two)
//! and holds the state's name, then attributes: one byte of type, one byte of
//! length, the value. Type 0 is padding. An attribute that is not known is
//! stepped over, one that is missing has its default. `docs/pfsync-linux.md`
//! describes the bytes.

use zerocopy::{FromBytes as _, IntoBytes as _};

use super::attributes::{
    gre_bytes, kind, parse_gre, parse_sctp, parse_side, parse_words, sctp_bytes, side_bytes, word,
    words, Attributes, Place,
};
use super::conntrack::{Details, Status, Tcp, TcpLast, TcpSide, TcpState, Tracking};
use super::frame::Discard;
use super::id::StateId;

/// Bytes that a message has at least.
pub const MIN_LEN: usize = StateId::LEN;

/// What a Linux host says of itself: a message about no state, that this host reads
/// states as Linux tells Linux of them ([`super::compact`]).
pub const GREETING: [u8; StateId::LEN + 4] = {
    let mut bytes = [0; StateId::LEN + 4];
    bytes[StateId::LEN] = kind::COMPACT;
    bytes
};

/// What a message says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Extra {
    /// What belongs to the entry.
    pub details: Details,
    /// Seconds until it expires.
    pub timeout: u32,
    /// The ids of both tuples, where the state's keys do not tell them: codes of
    /// ICMP, keys of GRE.
    pub ids: Option<[[u16; 2]; 2]>,
    /// The address that pf's other state of the connection translates, as keys have it:
    /// of one whose first packet went out the original destination, of one whose first
    /// packet came in the destination of its answers. Nothing, if there is none.
    pub other_side: Option<[u8; 16]>,
    /// The state beside it is for pf alone: it is the other one of the two that pf has of
    /// this connection, of which Linux tells by the name that is here. Nothing else counts.
    pub half_of: Option<StateId>,
    /// Whether who tells of it was the last to see a packet of it; else it has it from
    /// another host. Nothing, if it does not say.
    pub in_use: Option<bool>,
}

impl Extra {
    /// What stands beside the other one of pf's two states of this connection.
    #[must_use]
    pub fn half_of(name: StateId) -> Self {
        Self {
            half_of: Some(name),
            ..Self::default()
        }
    }

    /// Calls `put` with type and value of each attribute that is to be sent.
    fn attributes(&self, mut put: impl FnMut(u8, &[u8])) {
        if let Some(name) = &self.half_of {
            put(kind::HALF_OF, name.as_bytes());
            return;
        }
        let details = &self.details;
        let status = details.status.only(Status::SHARED);
        put(kind::STATUS, &status.0.to_be_bytes());
        put(kind::TIMEOUT, &self.timeout.to_be_bytes());
        match &details.tracking {
            Tracking::Tcp(tcp) => {
                put(kind::TCP, &tcp_bytes(tcp));
                let [original, reply] = &tcp.seen;
                put(kind::TCP_ORIGINAL, &side_bytes(original));
                put(kind::TCP_REPLY, &side_bytes(reply));
            }
            Tracking::Sctp(sctp) => put(kind::SCTP, &sctp_bytes(sctp)),
            Tracking::Gre(gre) => put(kind::GRE, &gre_bytes(gre)),
            Tracking::Other => (),
        }
        details.attributes(&mut put);
        if let Some([[a, b], [c, d]]) = self.ids {
            let high = |a: u16, b: u16| (u32::from(a) << 16) | u32::from(b);
            put(kind::IDS, &words([high(a, b), high(c, d)]));
        }
        if let Some(address) = &self.other_side {
            put(kind::OTHER_SIDE, address);
        }
        if let Some(in_use) = self.in_use {
            put(kind::IN_USE, &[in_use.into()]);
        }
    }

    /// Bytes on the wire: a multiple of four.
    #[must_use]
    pub fn message_len(&self) -> usize {
        let mut len = StateId::LEN;
        self.attributes(|_, value| {
            len = len.saturating_add(2).saturating_add(value.len());
        });
        len.saturating_add(3) & !3
    }

    /// Writes the message to `to`, which is zero and [`Self::message_len`] long.
    pub(super) fn emit(&self, id: &StateId, to: &mut [u8]) {
        let mut place = Place::new(to);
        place.put(id.as_bytes());
        self.attributes(|kind, value| place.attribute(kind, value));
    }
}

/// A received message, of which only the length was checked.
#[derive(Clone, Copy)]
pub struct Received<'a> {
    id: StateId,
    attributes: &'a [u8],
}

impl<'a> Received<'a> {
    /// `None` if it is too short.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let (id, attributes) = StateId::read_from_prefix(bytes).ok()?;
        Some(Self { id, attributes })
    }

    /// Which state it is about.
    #[must_use]
    pub const fn id(&self) -> StateId {
        self.id
    }

    /// Whether its sender says of itself that it reads [compact](super::compact) states.
    #[must_use]
    pub fn reads_compact(&self) -> bool {
        Attributes(self.attributes).any(|attribute| matches!(attribute, Ok((kind::COMPACT, _))))
    }

    /// What it says.
    ///
    /// # Errors
    ///
    /// [`Discard::BadLength`] if an attribute exceeds the message,
    /// [`Discard::BadValue`] if one is too short or means nothing.
    pub fn parse(&self) -> Result<Extra, Discard> {
        let mut extra = Extra::default();
        let mut tcp: Option<Tcp> = None;
        let mut seen = [TcpSide::default(); 2];
        for attribute in Attributes(self.attributes) {
            let (kind, value) = attribute?;
            match kind {
                kind::TCP => tcp = Some(parse_tcp(value).ok_or(Discard::BadValue)?),
                kind::TCP_ORIGINAL => {
                    let [original, _] = &mut seen;
                    *original = parse_side(value).ok_or(Discard::BadValue)?;
                }
                kind::TCP_REPLY => {
                    let [_, reply] = &mut seen;
                    *reply = parse_side(value).ok_or(Discard::BadValue)?;
                }
                other => extra.set(other, value).ok_or(Discard::BadValue)?,
            }
        }
        if let Some(tcp) = tcp {
            extra.details.tracking = Tracking::Tcp(Tcp { seen, ..tcp });
        }
        Ok(extra)
    }
}

impl Extra {
    /// Takes over an attribute, `None` if it means nothing.
    fn set(&mut self, kind: u8, value: &[u8]) -> Option<()> {
        let details = &mut self.details;
        match kind {
            kind::STATUS => details.status = Status(word(value)?).only(Status::SHARED),
            kind::TIMEOUT => self.timeout = word(value)?,
            kind::SCTP => details.tracking = Tracking::Sctp(parse_sctp(value)?),
            kind::GRE => details.tracking = Tracking::Gre(parse_gre(value)?),
            kind::IDS => {
                let [original, reply] = parse_words(value)?;
                let halves = |word: u32| [(word >> 16) as u16, word as u16];
                self.ids = Some([halves(original), halves(reply)]);
            }
            kind::OTHER_SIDE => self.other_side = Some(*value.first_chunk()?),
            kind::HALF_OF => self.half_of = Some(StateId::read_from_prefix(value).ok()?.0),
            kind::IN_USE => self.in_use = Some(*value.first()? != 0),
            other => details.set(other, value)?,
        }
        Some(())
    }
}

/// Joins a message of Linux' own with that of the state, which comes next.
///
/// Whoever reads a frame offers it each message of its own, and takes from it at
/// each state. What nobody takes is gone with the next.
#[derive(Clone, Copy, Default)]
pub struct Companion<'a>(Option<Received<'a>>);

impl<'a> Companion<'a> {
    /// Keeps `received` for the state that comes next.
    pub fn offer(&mut self, received: Received<'a>) {
        self.0 = Some(received);
    }

    /// What was said of the state `id`, if its message came just before.
    ///
    /// # Errors
    ///
    /// Those of [`Received::parse`]. The state itself may still be good.
    pub fn take(&mut self, id: &StateId) -> Result<Option<Extra>, Discard> {
        match self.0.take().filter(|received| received.id == *id) {
            None => Ok(None),
            Some(received) => received.parse().map(Some),
        }
    }
}

fn tcp_bytes(tcp: &Tcp) -> [u8; 20] {
    let TcpLast {
        direction,
        retrans,
        index,
        wscale,
        flags,
        win,
        ..
    } = tcp.last;
    let [win_a, win_b] = win.to_be_bytes();
    let [a, b, c, d] = tcp.last.seq.to_be_bytes();
    let [e, f, g, h] = tcp.last.ack.to_be_bytes();
    let [i, j, k, l] = tcp.last.end.to_be_bytes();
    let state = tcp.state as u8;
    [
        state, direction, retrans, index, wscale, flags, win_a, win_b, a, b, c, d, e, f, g, h, i,
        j, k, l,
    ]
}

fn parse_tcp(value: &[u8]) -> Option<Tcp> {
    let (head, rest) = value.split_first_chunk()?;
    let [state, direction, retrans, index, wscale, flags, win_a, win_b] = *head;
    let [seq, ack, end] = parse_words(rest)?;
    Some(Tcp {
        state: TcpState::new(state)?,
        seen: [TcpSide::default(); 2],
        last: TcpLast {
            direction,
            retrans,
            index,
            wscale,
            flags,
            win: u16::from_be_bytes([win_a, win_b]),
            seq,
            ack,
            end,
        },
    })
}
