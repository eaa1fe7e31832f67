// SPDX-License-Identifier: GPL-2.0

//! What authenticates a frame: its last section, action 198, with one message of 28 bytes.
//!
//! It is the [trailer](super::super::auth::trailer) of CARP's advertisements with bytes 2 and 3
//! as 0. Who does not know it steps over it. `docs/pfsync-linux.md` describes the bytes.

use core::net::IpAddr;

use super::super::auth::key::KeyId;
use super::super::auth::mac::{Covered, Mac, TAG_LEN};
use super::super::auth::sequence::Sequence;
use super::super::auth::trailer::{self, Malformed, Trailer};
use super::action::AUTHENTICATION;
use super::attributes::copy_to;
use super::frame::{header, section_header, Frame, HEADER_LEN, SECTION_LEN};
use super::writer::Full;

/// Bytes to be kept free behind a frame that is to be signed.
pub const LEN: usize = SECTION_LEN + trailer::LEN;

/// Words of a message.
const WORDS: u8 = 7;

const _: () = assert!(WORDS as usize * 4 == trailer::LEN);

/// What authenticates a received frame, if something does. It steps from section to section.
///
/// # Errors
///
/// [`Malformed`] if there are several, or it is not the last section, or not as it must be.
pub fn trailer(frame: &Frame<'_>) -> Result<Option<Trailer>, Malformed> {
    let mut sections = frame.raw_sections();
    let Some(section) = sections.find(|section| section.action == AUTHENTICATION) else {
        return Ok(None);
    };
    if section.left != 0 || section.count != 1 {
        return Err(Malformed);
    }
    Trailer::in_frame(section.body).map(Some)
}

/// Signs a frame that is in the first `len` bytes of `buffer`, as
/// [`Writer::finish`](super::writer::Writer::finish) left it, with the key of this id, for a
/// packet from `source`. Returns its length then.
///
/// # Errors
///
/// [`Full`] if there are not [`LEN`] bytes left, or it is no frame. It is as before.
pub fn sign<M: Mac>(
    (id, key): (KeyId, &M),
    source: IpAddr,
    sequence: Sequence,
    buffer: &mut [u8],
    len: usize,
) -> Result<usize, Full> {
    let end = len.checked_add(LEN).ok_or(Full)?;
    let total = u16::try_from(end).map_err(|_| Full)?;
    let frame = buffer.get_mut(..end).ok_or(Full)?;
    if len < HEADER_LEN {
        return Err(Full);
    }
    let mut trailer = Trailer {
        key: id,
        sequence,
        tag: [0; TAG_LEN],
    };
    copy_to(frame, 0, &header(total));
    copy_to(frame, len, &section_header(AUTHENTICATION, WORDS, 1));
    let message = len.saturating_add(SECTION_LEN);
    copy_to(frame, message, &trailer.emit_in_frame());
    trailer.tag = Covered::Frame(frame).tag(key, source, &trailer);
    copy_to(frame, message, &trailer.emit_in_frame());
    Ok(end)
}
