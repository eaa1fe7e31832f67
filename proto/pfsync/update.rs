// SPDX-License-Identifier: GPL-2.0

//! What changes often in a state: the message UPD_C.
//!
//! | offset | size | field |
//! | --- | --- | --- |
//! | 0 | 8 | id |
//! | 8 | 32 | source peer |
//! | 40 | 32 | destination peer |
//! | 72 | 4 | creatorid |
//! | 76 | 4 | expire, 0 |
//! | 80 | 1 | timeout class |
//! | 81 | 1 | state flags, the lower byte |
//! | 82 | 2 | zero |

use zerocopy::byteorder::network_endian::U32;
use zerocopy::FromBytes as _;
use zerocopy_derive::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::frame::Discard;
use super::id::{Creator, StateId};
use super::peer::{self, Peer};
use super::timeout::Timeout;

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Wire {
    id: [u8; 8],
    src: peer::Wire,
    dst: peer::Wire,
    creator: Creator,
    expire: U32,
    timeout: u8,
    flags: u8,
    pad: [u8; 2],
}

/// What an update says of a state, be it an UPD_C or the same part of an UPD.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Update {
    /// Which state.
    pub id: StateId,
    /// The initiator.
    pub src: Peer,
    /// The other side.
    pub dst: Peer,
    /// Seconds until it expires; peers send 0 and ignore it.
    pub expire: u32,
    /// The timeout class.
    pub timeout: Timeout,
    /// The lower byte of the state's flags.
    pub flags: u8,
}

impl Update {
    /// Bytes on the wire.
    pub const LEN: usize = size_of::<Wire>();

    /// Checks an UPD_C.
    ///
    /// # Errors
    ///
    /// [`Discard::Short`], or [`Discard::BadValue`] if timeout class or a peer's
    /// state is none that pf knows.
    pub fn parse(bytes: &[u8]) -> Result<Self, Discard> {
        let (wire, _) = Wire::ref_from_prefix(bytes).map_err(|_| Discard::Short)?;
        let known = |peer| Peer::parse(peer).ok_or(Discard::BadValue);
        Ok(Self {
            id: StateId {
                id: wire.id,
                creator: wire.creator,
            },
            src: known(&wire.src)?,
            dst: known(&wire.dst)?,
            expire: wire.expire.get(),
            timeout: Timeout::new(wire.timeout).ok_or(Discard::BadValue)?,
            flags: wire.flags,
        })
    }

    /// The bytes of an UPD_C.
    #[must_use]
    pub fn emit(&self) -> [u8; Self::LEN] {
        zerocopy::transmute!(Wire {
            id: self.id.id,
            src: self.src.emit(),
            dst: self.dst.emit(),
            creator: self.id.creator,
            expire: U32::new(self.expire),
            timeout: self.timeout.number(),
            flags: self.flags,
            pad: [0; 2],
        })
    }
}

const _: () = assert!(Update::LEN == 84);
