// SPDX-License-Identifier: GPL-2.0

//! What conntrack knows of a connection and a pf state has no field for.
//!
//! A message of Linux' own, in a section that OpenBSD steps over. It stands just
//! before the INS, UPD or UPD_C of the same state ([`Companion`] joins the two)
//! and holds the state's name, then attributes: one byte of type, one byte of
//! length, the value. Type 0 is padding. An attribute that is not known is
//! stepped over, one that is missing has its default. `docs/pfsync-linux.md`
//! describes the bytes.

use zerocopy::byteorder::network_endian::U32;
use zerocopy::{FromBytes as _, IntoBytes as _};

use super::conntrack::{
    Details, Gre, Sctp, SeqAdjust, Status, Synproxy, Tcp, TcpLast, TcpSide, TcpState, Text,
    Tracking, Zone,
};
use super::frame::Discard;
use super::id::StateId;

/// Bytes that a message has at least.
pub const MIN_LEN: usize = StateId::LEN;

/// The types of attributes.
mod kind {
    pub(super) const PADDING: u8 = 0;
    pub(super) const STATUS: u8 = 1;
    pub(super) const TIMEOUT: u8 = 2;
    pub(super) const ZONE: u8 = 3;
    pub(super) const MARK: u8 = 4;
    pub(super) const LABELS: u8 = 5;
    pub(super) const HELPER: u8 = 6;
    pub(super) const TCP: u8 = 7;
    pub(super) const TCP_ORIGINAL: u8 = 8;
    pub(super) const TCP_REPLY: u8 = 9;
    pub(super) const ADJUST_ORIGINAL: u8 = 10;
    pub(super) const ADJUST_REPLY: u8 = 11;
    pub(super) const SCTP: u8 = 12;
    pub(super) const GRE: u8 = 13;
    pub(super) const MASTER: u8 = 14;
    pub(super) const SYNPROXY: u8 = 15;
    pub(super) const SECURITY: u8 = 16;
    pub(super) const POLICY: u8 = 17;
    pub(super) const IDS: u8 = 18;
    pub(super) const START: u8 = 19;
    pub(super) const OTHER_SIDE: u8 = 20;
    pub(super) const HALF_OF: u8 = 21;
    pub(super) const IN_USE: u8 = 22;
}

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
        if details.zone != Zone::default() {
            let [a, b] = details.zone.id.to_be_bytes();
            put(kind::ZONE, &[a, b, details.zone.directions]);
        }
        if details.mark != 0 {
            put(kind::MARK, &details.mark.to_be_bytes());
        }
        if details.labels != [0; 16] {
            put(kind::LABELS, &details.labels);
        }
        for (kind, text) in [
            (kind::HELPER, details.helper.as_bytes()),
            (kind::SECURITY, details.security.as_bytes()),
            (kind::POLICY, details.policy.as_bytes()),
        ] {
            if !text.is_empty() {
                put(kind, text);
            }
        }
        match &details.tracking {
            Tracking::Tcp(tcp) => {
                put(kind::TCP, &tcp_bytes(tcp));
                let [original, reply] = &tcp.seen;
                put(kind::TCP_ORIGINAL, &side_bytes(original));
                put(kind::TCP_REPLY, &side_bytes(reply));
            }
            Tracking::Sctp(sctp) => put(kind::SCTP, &sctp_bytes(sctp)),
            Tracking::Gre(gre) => put(kind::GRE, &words([gre.timeout, gre.stream_timeout])),
            Tracking::Other => (),
        }
        let [original, reply] = details.adjust;
        for (kind, adjust) in [
            (kind::ADJUST_ORIGINAL, original),
            (kind::ADJUST_REPLY, reply),
        ] {
            if adjust != SeqAdjust::default() {
                put(
                    kind,
                    &words([adjust.position, adjust.before as u32, adjust.after as u32]),
                );
            }
        }
        if let Some(master) = &details.master {
            put(kind::MASTER, master.as_bytes());
        }
        if let Some(synproxy) = &details.synproxy {
            let Synproxy { isn, its, tsoff } = *synproxy;
            put(kind::SYNPROXY, &words([isn, its, tsoff]));
        }
        if let Some([[a, b], [c, d]]) = self.ids {
            let high = |a: u16, b: u16| (u32::from(a) << 16) | u32::from(b);
            put(kind::IDS, &words([high(a, b), high(c, d)]));
        }
        if details.start != 0 {
            put(kind::START, &details.start.to_be_bytes());
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
        let mut to = to.iter_mut();
        let mut put = |from: &[u8]| {
            for (from, to) in from.iter().zip(&mut to) {
                *to = *from;
            }
        };
        put(id.as_bytes());
        self.attributes(|kind, value| {
            // no value is longer than the longest text
            put(&[kind, u8::try_from(value.len()).unwrap_or(0)]);
            put(value);
        });
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
        let mut rest = self.attributes;
        while let [kind, tail @ ..] = rest {
            if *kind == kind::PADDING {
                rest = tail;
                continue;
            }
            let [len, tail @ ..] = tail else {
                return Err(Discard::BadLength);
            };
            let (value, tail) = tail
                .split_at_checked(usize::from(*len))
                .ok_or(Discard::BadLength)?;
            rest = tail;
            match *kind {
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
            kind::ZONE => {
                let [a, b, directions] = *value.first_chunk()?;
                if !matches!(directions, 1..=3) {
                    return None;
                }
                details.zone = Zone {
                    id: u16::from_be_bytes([a, b]),
                    directions,
                };
            }
            kind::MARK => details.mark = word(value)?,
            kind::LABELS => details.labels = *value.first_chunk()?,
            kind::HELPER => details.helper = Text::new(value)?,
            kind::SECURITY => details.security = Text::new(value)?,
            kind::POLICY => details.policy = Text::new(value)?,
            kind::ADJUST_ORIGINAL => {
                let [original, _] = &mut details.adjust;
                *original = parse_adjust(value)?;
            }
            kind::ADJUST_REPLY => {
                let [_, reply] = &mut details.adjust;
                *reply = parse_adjust(value)?;
            }
            kind::SCTP => details.tracking = Tracking::Sctp(parse_sctp(value)?),
            kind::GRE => {
                let [timeout, stream_timeout] = parse_words(value)?;
                details.tracking = Tracking::Gre(Gre {
                    timeout,
                    stream_timeout,
                });
            }
            kind::MASTER => {
                details.master = Some(StateId::read_from_prefix(value).ok()?.0);
            }
            kind::SYNPROXY => {
                let [isn, its, tsoff] = parse_words(value)?;
                details.synproxy = Some(Synproxy { isn, its, tsoff });
            }
            kind::IDS => {
                let [original, reply] = parse_words(value)?;
                let halves = |word: u32| [(word >> 16) as u16, word as u16];
                self.ids = Some([halves(original), halves(reply)]);
            }
            kind::OTHER_SIDE => self.other_side = Some(*value.first_chunk()?),
            kind::HALF_OF => self.half_of = Some(StateId::read_from_prefix(value).ok()?.0),
            kind::IN_USE => self.in_use = Some(*value.first()? != 0),
            kind::START => details.start = u64::from_be_bytes(*value.first_chunk()?),
            _ => (),
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

/// Words as they stand on the wire; `N` is twice or three times four bytes.
fn words<const W: usize>(words: [u32; W]) -> impl core::ops::Deref<Target = [u8]> {
    Words(words.map(U32::new))
}

struct Words<const W: usize>([U32; W]);

impl<const W: usize> core::ops::Deref for Words<W> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

fn word(value: &[u8]) -> Option<u32> {
    value.first_chunk().copied().map(u32::from_be_bytes)
}

fn parse_words<const W: usize>(value: &[u8]) -> Option<[u32; W]> {
    let mut words = [0; W];
    let mut rest = value;
    for to in &mut words {
        let (bytes, tail) = rest.split_first_chunk()?;
        *to = u32::from_be_bytes(*bytes);
        rest = tail;
    }
    Some(words)
}

fn parse_adjust(value: &[u8]) -> Option<SeqAdjust> {
    let [position, before, after] = parse_words(value)?;
    Some(SeqAdjust {
        position,
        before: before as i32,
        after: after as i32,
    })
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

fn side_bytes(side: &TcpSide) -> [u8; 18] {
    let [a, b, c, d] = side.end.to_be_bytes();
    let [e, f, g, h] = side.maxend.to_be_bytes();
    let [i, j, k, l] = side.maxwin.to_be_bytes();
    let [m, n, o, p] = side.maxack.to_be_bytes();
    let TcpSide { scale, flags, .. } = *side;
    [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, scale, flags]
}

fn parse_side(value: &[u8]) -> Option<TcpSide> {
    let (head, rest) = value.split_at_checked(16)?;
    let [end, maxend, maxwin, maxack] = parse_words(head)?;
    let [scale, flags] = *rest.first_chunk()?;
    // conntrack shifts by it
    if scale > 14 {
        return None;
    }
    Some(TcpSide {
        end,
        maxend,
        maxwin,
        maxack,
        scale,
        flags,
    })
}

fn sctp_bytes(sctp: &Sctp) -> [u8; 13] {
    let [[a, b, c, d], [e, f, g, h]] = sctp.vtag;
    let [init_a, init_b] = sctp.init;
    let Sctp {
        state,
        last_direction,
        flags,
        ..
    } = *sctp;
    [
        state,
        a,
        b,
        c,
        d,
        e,
        f,
        g,
        h,
        init_a,
        init_b,
        last_direction,
        flags,
    ]
}

fn parse_sctp(value: &[u8]) -> Option<Sctp> {
    let [state, a, b, c, d, e, f, g, h, init_a, init_b, last_direction, flags] =
        *value.first_chunk()?;
    Some(Sctp {
        state,
        vtag: [[a, b, c, d], [e, f, g, h]],
        init: [init_a, init_b],
        last_direction,
        flags,
    })
}
