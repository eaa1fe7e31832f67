// SPDX-License-Identifier: GPL-2.0

//! A frame: what follows the IP header.
//!
//! | offset | size | field |
//! | --- | --- | --- |
//! | 0 | 1 | version 6 |
//! | 1 | 1 | zero |
//! | 2 | 2 | length, these 20 bytes included |
//! | 4 | 16 | checksum of the ruleset; OpenBSD sends zeroes |
//!
//! Then sections, each with four bytes of its own (action, length of a message
//! in 32-bit words, their number in 16 bits) and so many messages of one type.
//! What a receiver does not know it can therefore step over.

use core::net::Ipv4Addr;

use zerocopy::byteorder::network_endian::U16;
use zerocopy::FromBytes as _;
use zerocopy_derive::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::action::{is_unused, Action, AUTHENTICATION};
use super::message::Messages;

/// The IP protocol number.
pub const PROTOCOL: u8 = 240;

/// The TTL, the only one sent and accepted.
pub const TTL: u8 = 255;

/// The IPv4 type of service: low delay, as OpenBSD sends.
pub const TOS: u8 = 0x10;

/// Where frames go unless there is a syncpeer.
pub const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 240);

/// The MTU unless the administrator chose another one; the IP header counts.
pub const DEFAULT_MTU: usize = 1500;

/// Bytes of the IP header, which has no options.
pub const IP_HEADER_LEN: usize = 20;

pub(in super::super) const VERSION: u8 = 6;

/// The bytes of the wire, in their order.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct HeaderWire {
    version: u8,
    pad: u8,
    len: U16,
    ruleset: [u8; 16],
}

/// Bytes before the first section.
pub const HEADER_LEN: usize = size_of::<HeaderWire>();

/// The bytes of the wire, in their order.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct SectionWire {
    action: u8,
    words: u8,
    count: U16,
}

/// Bytes of a section before its first message.
pub const SECTION_LEN: usize = size_of::<SectionWire>();

const _: () = assert!(HEADER_LEN == 20 && SECTION_LEN == 4);

/// Why a frame, the rest of one, or a message was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Discard {
    /// It came through another interface than the syncdev.
    BadInterface,
    /// There is a syncpeer, and it is not from that, or not to this host alone.
    BadPeer,
    /// The TTL is not 255.
    BadTtl,
    /// The packet is shorter than a header, or a message than it must be.
    Short,
    /// The version is not 6. 5 is FreeBSD's, with other layouts.
    BadVersion,
    /// The frame claims to be longer than the packet, or a section than the
    /// frame.
    BadLength,
    /// A section of an unknown action that is empty: the sender is confused.
    BadAction,
    /// A value in a message is none that pf knows.
    BadValue,
    /// The state cannot be taken over, or is not there.
    BadState,
}

/// A received frame whose TTL, version and length hold.
#[derive(Clone, Copy)]
pub struct Frame<'a> {
    bytes: &'a [u8],
    ruleset: &'a [u8; 16],
    sections: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Checks the header. `payload` is what follows the IP header; what exceeds
    /// the length in the header is not looked at.
    ///
    /// # Errors
    ///
    /// [`Discard::BadTtl`], [`Discard::Short`], [`Discard::BadVersion`] or
    /// [`Discard::BadLength`].
    pub fn check(ttl: u8, payload: &'a [u8]) -> Result<Self, Discard> {
        if ttl != TTL {
            return Err(Discard::BadTtl);
        }
        let (header, rest) = HeaderWire::ref_from_prefix(payload).map_err(|_| Discard::Short)?;
        if header.version != VERSION {
            return Err(Discard::BadVersion);
        }
        let whole = usize::from(header.len.get());
        let len = whole.checked_sub(HEADER_LEN).ok_or(Discard::BadLength)?;
        Ok(Self {
            bytes: payload.get(..whole).ok_or(Discard::BadLength)?,
            ruleset: &header.ruleset,
            sections: rest.get(..len).ok_or(Discard::BadLength)?,
        })
    }

    /// The checksum of the sender's ruleset, of no meaning here.
    #[must_use]
    pub const fn ruleset(&self) -> &[u8; 16] {
        self.ruleset
    }

    /// All of its bytes, without what may follow.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Its sections as they are, but for what stands in them. What is wrong ends them.
    pub(super) const fn raw_sections(&self) -> RawSections<'a> {
        RawSections(self.sections)
    }

    /// Its sections, one after the other. What authenticates the frame is left out.
    #[must_use]
    pub const fn sections(&self) -> Sections<'a> {
        Sections(self.raw_sections())
    }
}

/// What a section holds.
#[derive(Clone)]
pub enum Section<'a> {
    /// Messages to be read.
    Messages(Messages<'a>),
    /// Nothing for us: to be counted, no more.
    Skipped(Skipped),
}

/// Why a section was skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Skipped {
    /// Its action is not in use any more, or never was.
    Unused,
    /// Its action is newer than this, or another system's own.
    Unknown,
    /// Its messages are shorter than those of its action must be.
    TooShort,
}

/// A section as it is.
pub(super) struct RawSection<'a> {
    pub(super) action: u8,
    message_len: usize,
    pub(super) count: u16,
    pub(super) body: &'a [u8],
    /// How many bytes of the frame follow.
    pub(super) left: usize,
}

/// Sections of which nothing is known but how long they are.
#[derive(Clone)]
pub(super) struct RawSections<'a>(&'a [u8]);

impl<'a> RawSections<'a> {
    fn section(&mut self) -> Option<RawSection<'a>> {
        let (header, rest) = SectionWire::ref_from_prefix(self.0).ok()?;
        let message_len = usize::from(header.words).saturating_mul(4);
        let count = header.count.get();
        let len = message_len.saturating_mul(usize::from(count));
        let (body, rest) = rest.split_at_checked(len)?;
        self.0 = rest;
        Some(RawSection {
            action: header.action,
            message_len,
            count,
            body,
            left: rest.len(),
        })
    }

    /// Whether nothing follows but padding: fewer bytes than a section begins with, to
    /// OpenBSD too.
    const fn is_at_end(&self) -> bool {
        self.0.len() < SECTION_LEN
    }
}

impl<'a> Iterator for RawSections<'a> {
    type Item = RawSection<'a>;

    fn next(&mut self) -> Option<RawSection<'a>> {
        self.section()
    }
}

/// The sections of a frame. The first one that is wrong is the last: where the
/// next would begin cannot be known.
#[derive(Clone)]
pub struct Sections<'a>(RawSections<'a>);

impl<'a> Sections<'a> {
    fn judge(section: &RawSection<'a>) -> Result<Section<'a>, Discard> {
        let RawSection {
            action: number,
            message_len,
            body,
            ..
        } = *section;
        let action = Action::new(number);
        if action.is_none() && !is_unused(number) && body.is_empty() {
            return Err(Discard::BadAction);
        }
        Ok(match action {
            None if is_unused(number) => Section::Skipped(Skipped::Unused),
            None => Section::Skipped(Skipped::Unknown),
            Some(action) if message_len < action.message_len() => {
                Section::Skipped(Skipped::TooShort)
            }
            Some(action) => Section::Messages(Messages::new(action, message_len, body)),
        })
    }
}

impl<'a> Iterator for Sections<'a> {
    type Item = Result<Section<'a>, Discard>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.0.is_at_end() {
            let section = self.0.section();
            if matches!(&section, Some(it) if it.action == AUTHENTICATION && !it.body.is_empty()) {
                continue;
            }
            let judged = section
                .ok_or(Discard::BadLength)
                .and_then(|section| Self::judge(&section));
            if judged.is_err() {
                self.0 = RawSections(&[]);
            }
            return Some(judged);
        }
        None
    }
}

/// The header of a frame of `len` bytes in all.
pub(super) fn header(len: u16) -> [u8; HEADER_LEN] {
    zerocopy::transmute!(HeaderWire {
        version: VERSION,
        pad: 0,
        len: U16::new(len),
        ruleset: [0; 16],
    })
}

/// The four bytes before a section's messages.
pub(super) fn section_header(action: u8, words: u8, count: u16) -> [u8; SECTION_LEN] {
    zerocopy::transmute!(SectionWire {
        action,
        words,
        count: U16::new(count),
    })
}
