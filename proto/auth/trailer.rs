// SPDX-License-Identifier: GPL-2.0

//! The trailer on the wire.
//!
//! | offset | size | field |
//! | --- | --- | --- |
//! | 0 | 1 | type: 1, HMAC-SHA256 truncated to 128 bits |
//! | 1 | 1 | key id, 1–255 |
//! | 2 | 2 | CARP: what makes the ones' complement sum of the 28 bytes 0xffff; pfsync: 0 |
//! | 4 | 8 | [`sequence`](super::sequence) |
//! | 12 | 16 | HMAC, see [`mac`](super::mac) |
//!
//! It is that of draft-cassen-vrrp-auth-hmac but for bytes 2 and 3. FreeBSD sums all of an
//! advertisement that came over IPv4, others the 36 bytes that they know: with a trailer whose
//! own sum is neutral, the checksum holds for both.

use core::net::IpAddr;

use zerocopy::byteorder::network_endian::{U16, U64};
use zerocopy::FromBytes as _;
use zerocopy_derive::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::super::carp::frame::copy;
use super::super::carp::packet::{self, checksum};
use super::key::KeyId;
use super::mac::{Covered, Mac, Tag, TAG_LEN};
use super::sequence::Sequence;

/// HMAC-SHA256, truncated to 128 bits.
const TYPE: u8 = 1;

/// The bytes of the wire, in their order.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Wire {
    kind: u8,
    key: u8,
    neutral: U16,
    sequence: U64,
    tag: Tag,
}

/// Bytes of a trailer.
pub const LEN: usize = size_of::<Wire>();

const _: () = assert!(LEN == 28);

/// Bytes of an advertisement with its trailer.
pub const SIGNED_LEN: usize = packet::LEN + LEN;

/// A trailer as its sender meant it. What the HMAC is worth is still to be found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trailer {
    /// By which key it is signed.
    pub key: KeyId,
    /// The number of the packet.
    pub sequence: Sequence,
    /// The HMAC.
    pub tag: Tag,
}

/// There are bytes in the place of a trailer that are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl Trailer {
    /// Reads what follows an advertisement's 36 bytes; `None` if nothing does.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if it is not 28 bytes long, or of another type or sum, or has no key id.
    pub fn behind_advertisement(bytes: &[u8]) -> Result<Option<Self>, Malformed> {
        if bytes.is_empty() {
            return Ok(None);
        }
        let wire = Wire::ref_from_bytes(bytes).map_err(|_| Malformed)?;
        let trailer = Self::read(wire)?;
        if checksum(bytes) != 0 {
            return Err(Malformed);
        }
        Ok(Some(trailer))
    }

    /// Reads the message in a frame of pfsync.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if it is not 28 bytes long, or of another type, or has no key id or
    /// something in bytes 2 and 3.
    pub(in super::super) fn in_frame(message: &[u8]) -> Result<Self, Malformed> {
        let wire = Wire::ref_from_bytes(message).map_err(|_| Malformed)?;
        if wire.neutral.get() != 0 {
            return Err(Malformed);
        }
        Self::read(wire)
    }

    fn read(wire: &Wire) -> Result<Self, Malformed> {
        if wire.kind != TYPE {
            return Err(Malformed);
        }
        Ok(Self {
            key: KeyId::new(wire.key).ok_or(Malformed)?,
            sequence: Sequence::from_bits(wire.sequence.get()),
            tag: wire.tag,
        })
    }

    const fn wire(&self, neutral: u16, tag: Tag) -> Wire {
        Wire {
            kind: TYPE,
            key: self.key.get(),
            neutral: U16::new(neutral),
            sequence: U64::new(self.sequence.to_bits()),
            tag,
        }
    }

    /// The bytes that the HMAC covers.
    pub(super) const fn covered(&self) -> [u8; LEN] {
        zerocopy::transmute!(self.wire(0, [0; TAG_LEN]))
    }

    /// The bytes in a frame of pfsync.
    #[must_use]
    pub(in super::super) const fn emit_in_frame(&self) -> [u8; LEN] {
        zerocopy::transmute!(self.wire(0, self.tag))
    }

    /// The bytes behind an advertisement.
    #[must_use]
    pub fn emit_behind_advertisement(&self) -> [u8; LEN] {
        let neutral = checksum(&self.emit_in_frame());
        zerocopy::transmute!(self.wire(neutral, self.tag))
    }
}

/// An advertisement with its trailer, for a packet from `source`, signed with the key of this id.
#[must_use]
pub fn sign_advertisement<M: Mac>(
    (id, key): (KeyId, &M),
    source: IpAddr,
    sequence: Sequence,
    advertisement: &[u8; packet::LEN],
) -> [u8; SIGNED_LEN] {
    let mut trailer = Trailer {
        key: id,
        sequence,
        tag: [0; TAG_LEN],
    };
    trailer.tag = Covered::Advertisement(advertisement).tag(key, source, &trailer);
    let mut signed = [0; SIGNED_LEN];
    let parts: [&[u8]; 2] = [advertisement, &trailer.emit_behind_advertisement()];
    copy(&mut signed, &parts);
    signed
}
