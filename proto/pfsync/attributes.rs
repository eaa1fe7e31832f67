// SPDX-License-Identifier: GPL-2.0

//! What is told of an entry by type, length and value.
//!
//! One byte of type, one byte of length, the value. Type 0 is padding, a single byte. A
//! type that is not known is stepped over, one that is missing has its default.
//! `docs/pfsync-linux.md` describes the values.

use zerocopy::byteorder::network_endian::U32;
use zerocopy::{FromBytes as _, IntoBytes as _};

use super::super::text::Text;
use super::conntrack::{Details, Gre, Sctp, SeqAdjust, Synproxy, TcpSide, Zone};
use super::frame::Discard;
use super::id::StateId;
use super::tcp::SCALE_MAX;

/// The types.
pub(super) mod kind {
    pub(in super::super) const PADDING: u8 = 0;
    pub(in super::super) const STATUS: u8 = 1;
    pub(in super::super) const TIMEOUT: u8 = 2;
    pub(in super::super) const ZONE: u8 = 3;
    pub(in super::super) const MARK: u8 = 4;
    pub(in super::super) const LABELS: u8 = 5;
    pub(in super::super) const HELPER: u8 = 6;
    pub(in super::super) const TCP: u8 = 7;
    pub(in super::super) const TCP_ORIGINAL: u8 = 8;
    pub(in super::super) const TCP_REPLY: u8 = 9;
    pub(in super::super) const ADJUST_ORIGINAL: u8 = 10;
    pub(in super::super) const ADJUST_REPLY: u8 = 11;
    pub(in super::super) const SCTP: u8 = 12;
    pub(in super::super) const GRE: u8 = 13;
    pub(in super::super) const MASTER: u8 = 14;
    pub(in super::super) const SYNPROXY: u8 = 15;
    // 16 and 17 were a security context and the name of a timeout policy.
    pub(in super::super) const IDS: u8 = 18;
    pub(in super::super) const START: u8 = 19;
    pub(in super::super) const OTHER_SIDE: u8 = 20;
    pub(in super::super) const HALF_OF: u8 = 21;
    pub(in super::super) const IN_USE: u8 = 22;
    pub(in super::super) const COMPACT: u8 = 23;
}

/// Received attributes, one after the other. After the first error there is nothing.
#[derive(Clone)]
pub(super) struct Attributes<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<(u8, &'a [u8]), Discard>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (kind, rest) = self.0.split_first()?;
            self.0 = rest;
            if *kind == kind::PADDING {
                continue;
            }
            let value = rest
                .split_first()
                .and_then(|(len, rest)| rest.split_at_checked(usize::from(*len)));
            return Some(match value {
                Some((value, rest)) => {
                    self.0 = rest;
                    Ok((*kind, value))
                }
                None => {
                    self.0 = &[];
                    Err(Discard::BadLength)
                }
            });
        }
    }
}

impl Details {
    /// Calls `put` with type and value of each attribute that has no other place in any
    /// form of a state: all but status and what the protocol needs to know.
    pub(super) fn attributes(&self, put: &mut impl FnMut(u8, &[u8])) {
        if self.zone != Zone::default() {
            let [a, b] = self.zone.id.to_be_bytes();
            put(kind::ZONE, &[a, b, self.zone.directions]);
        }
        if self.mark != 0 {
            put(kind::MARK, &self.mark.to_be_bytes());
        }
        if self.labels != [0; 16] {
            put(kind::LABELS, &self.labels);
        }
        if !self.helper.is_empty() {
            put(kind::HELPER, self.helper.as_bytes());
        }
        let [original, reply] = &self.adjust;
        for (kind, adjust) in [
            (kind::ADJUST_ORIGINAL, original),
            (kind::ADJUST_REPLY, reply),
        ] {
            if *adjust != SeqAdjust::default() {
                let SeqAdjust {
                    position,
                    before,
                    after,
                } = *adjust;
                put(kind, &words([position, before as u32, after as u32]));
            }
        }
        if let Some(master) = &self.master {
            put(kind::MASTER, master.as_bytes());
        }
        if let Some(Synproxy { isn, its, tsoff }) = self.synproxy {
            put(kind::SYNPROXY, &words([isn, its, tsoff]));
        }
        if self.start != 0 {
            put(kind::START, &self.start.to_be_bytes());
        }
    }

    /// Takes over one of these; `None` if it means nothing. Others are stepped over.
    pub(super) fn set(&mut self, kind: u8, value: &[u8]) -> Option<()> {
        match kind {
            kind::ZONE => {
                let [a, b, directions] = *value.first_chunk()?;
                if !matches!(directions, 1..=3) {
                    return None;
                }
                self.zone = Zone {
                    id: u16::from_be_bytes([a, b]),
                    directions,
                };
            }
            kind::MARK => self.mark = word(value)?,
            kind::LABELS => self.labels = *value.first_chunk()?,
            kind::HELPER => self.helper = Text::new(value)?,
            kind::ADJUST_ORIGINAL => {
                let [original, _] = &mut self.adjust;
                *original = parse_adjust(value)?;
            }
            kind::ADJUST_REPLY => {
                let [_, reply] = &mut self.adjust;
                *reply = parse_adjust(value)?;
            }
            kind::MASTER => self.master = Some(StateId::read_from_prefix(value).ok()?.0),
            kind::SYNPROXY => {
                let [isn, its, tsoff] = parse_words(value)?;
                self.synproxy = Some(Synproxy { isn, its, tsoff });
            }
            kind::START => self.start = u64::from_be_bytes(*value.first_chunk()?),
            _ => (),
        }
        Some(())
    }
}

/// Bytes that are written one after the other. What does not fit is left out, and
/// counted.
pub(super) struct Place<'b> {
    to: &'b mut [u8],
    len: usize,
}

impl<'b> Place<'b> {
    pub(super) fn new(to: &'b mut [u8]) -> Self {
        Self { to, len: 0 }
    }

    /// Puts bytes at the end.
    pub(super) fn put(&mut self, bytes: &[u8]) {
        copy_to(self.to, self.len, bytes);
        self.len = self.len.saturating_add(bytes.len());
    }

    /// Puts an attribute at the end. No value is longer than a byte can say.
    pub(super) fn attribute(&mut self, kind: u8, value: &[u8]) {
        self.put(&[kind, u8::try_from(value.len()).unwrap_or(0)]);
        self.put(value);
    }

    /// Fills it up with zeroes to a multiple of four bytes. So many there are now; `None`
    /// if there was no room for them.
    pub(super) fn fill_up(mut self) -> Option<usize> {
        let padding = self.len.wrapping_neg() & 3;
        self.put([0; 3].get(..padding)?);
        (self.len <= self.to.len()).then_some(self.len)
    }
}

/// Copies bytes to a place of a buffer, if they fit there.
#[inline]
pub(super) fn copy_to(buffer: &mut [u8], place: usize, bytes: &[u8]) {
    let rest = buffer.get_mut(place..).unwrap_or_default();
    if let Some((to, _)) = rest.split_at_mut_checked(bytes.len()) {
        to.copy_from_slice(bytes);
    }
}

/// Words as they stand on the wire.
pub(super) fn words<const W: usize>(words: [u32; W]) -> impl core::ops::Deref<Target = [u8]> {
    Words(words.map(U32::new))
}

struct Words<const W: usize>([U32; W]);

impl<const W: usize> core::ops::Deref for Words<W> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

pub(super) fn word(value: &[u8]) -> Option<u32> {
    value.first_chunk().copied().map(u32::from_be_bytes)
}

pub(super) fn parse_words<const W: usize>(value: &[u8]) -> Option<[u32; W]> {
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

pub(super) fn side_bytes(side: &TcpSide) -> [u8; 18] {
    let [a, b, c, d] = side.end.to_be_bytes();
    let [e, f, g, h] = side.maxend.to_be_bytes();
    let [i, j, k, l] = side.maxwin.to_be_bytes();
    let [m, n, o, p] = side.maxack.to_be_bytes();
    let TcpSide { scale, flags, .. } = *side;
    [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, scale, flags]
}

pub(super) fn parse_side(value: &[u8]) -> Option<TcpSide> {
    let (head, rest) = value.split_at_checked(16)?;
    let [end, maxend, maxwin, maxack] = parse_words(head)?;
    let [scale, flags] = *rest.first_chunk()?;
    if scale > SCALE_MAX {
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

/// Bytes of SCTP.
pub(super) const SCTP_LEN: usize = 13;

pub(super) fn sctp_bytes(sctp: &Sctp) -> [u8; SCTP_LEN] {
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

pub(super) fn parse_sctp(value: &[u8]) -> Option<Sctp> {
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

/// Bytes of GRE.
pub(super) const GRE_LEN: usize = 8;

pub(super) fn gre_bytes(gre: &Gre) -> [u8; GRE_LEN] {
    let [a, b, c, d] = gre.timeout.to_be_bytes();
    let [e, f, g, h] = gre.stream_timeout.to_be_bytes();
    [a, b, c, d, e, f, g, h]
}

pub(super) fn parse_gre(value: &[u8]) -> Option<Gre> {
    let [timeout, stream_timeout] = parse_words(value)?;
    Some(Gre {
        timeout,
        stream_timeout,
    })
}
