// SPDX-License-Identifier: GPL-2.0

//! The short messages that are more than a state's name: CLR, BUS and TDB.

use zerocopy::byteorder::network_endian::{U16, U32, U64};
use zerocopy::FromBytes as _;
use zerocopy_derive::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::id::Creator;
use super::state::InterfaceName;

/// CLR: delete all states of a creator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Clear {
    /// Only those bound to this interface; empty: wherever they are.
    pub interface: InterfaceName,
    /// Whose states.
    pub creator: Creator,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct ClearWire {
    interface: [u8; 16],
    creator: Creator,
}

impl Clear {
    /// Bytes on the wire.
    pub const LEN: usize = size_of::<ClearWire>();

    /// `None` if it is too short.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (wire, _) = ClearWire::ref_from_prefix(bytes).ok()?;
        Some(Self {
            interface: InterfaceName(wire.interface),
            creator: wire.creator,
        })
    }

    /// The bytes of the message.
    #[must_use]
    pub fn emit(&self) -> [u8; Self::LEN] {
        zerocopy::transmute!(ClearWire {
            interface: self.interface.0,
            creator: self.creator,
        })
    }
}

/// Where a bulk update has got to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BulkStatus {
    /// All states follow.
    Start,
    /// All states have been sent.
    End,
    /// Nothing that anybody sends.
    Unknown(u8),
}

/// BUS: a bulk update starts or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bulk {
    /// The sender.
    pub creator: Creator,
    /// Meant for the time that the update took; always 0.
    pub end_time: u32,
    /// Which of the two.
    pub status: BulkStatus,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct BulkWire {
    creator: Creator,
    end_time: U32,
    status: u8,
    pad: [u8; 3],
}

impl Bulk {
    /// Bytes on the wire.
    pub const LEN: usize = size_of::<BulkWire>();

    const START: u8 = 1;
    const END: u8 = 2;

    /// What `creator` sends.
    #[must_use]
    pub const fn new(creator: Creator, status: BulkStatus) -> Self {
        Self {
            creator,
            end_time: 0,
            status,
        }
    }

    /// `None` if it is too short.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (wire, _) = BulkWire::ref_from_prefix(bytes).ok()?;
        Some(Self {
            creator: wire.creator,
            end_time: wire.end_time.get(),
            status: match wire.status {
                Self::START => BulkStatus::Start,
                Self::END => BulkStatus::End,
                other => BulkStatus::Unknown(other),
            },
        })
    }

    /// The bytes of the message.
    #[must_use]
    pub fn emit(&self) -> [u8; Self::LEN] {
        zerocopy::transmute!(BulkWire {
            creator: self.creator,
            end_time: U32::new(self.end_time),
            status: match self.status {
                BulkStatus::Start => Self::START,
                BulkStatus::End => Self::END,
                BulkStatus::Unknown(other) => other,
            },
            pad: [0; 3],
        })
    }
}

/// TDB: how far the counters of an IPsec association have got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tdb {
    /// The association's number.
    pub spi: u32,
    /// Its destination, a BSD sockaddr.
    pub destination: [u8; 28],
    /// The replay counter.
    pub replay: u64,
    /// Bytes so far.
    pub bytes: u64,
    /// ESP or AH.
    pub protocol: u8,
    /// How often it changed since the last message.
    pub updates: u8,
    /// The routing domain.
    pub routing_domain: u16,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct TdbWire {
    spi: U32,
    destination: [u8; 28],
    replay: U64,
    bytes: U64,
    protocol: u8,
    updates: u8,
    routing_domain: U16,
}

impl Tdb {
    /// Bytes on the wire.
    pub const LEN: usize = size_of::<TdbWire>();

    /// `None` if it is too short.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (wire, _) = TdbWire::ref_from_prefix(bytes).ok()?;
        Some(Self {
            spi: wire.spi.get(),
            destination: wire.destination,
            replay: wire.replay.get(),
            bytes: wire.bytes.get(),
            protocol: wire.protocol,
            updates: wire.updates,
            routing_domain: wire.routing_domain.get(),
        })
    }

    /// The bytes of the message.
    #[must_use]
    pub fn emit(&self) -> [u8; Self::LEN] {
        zerocopy::transmute!(TdbWire {
            spi: U32::new(self.spi),
            destination: self.destination,
            replay: U64::new(self.replay),
            bytes: U64::new(self.bytes),
            protocol: self.protocol,
            updates: self.updates,
            routing_domain: U16::new(self.routing_domain),
        })
    }
}

const _: () = assert!(Clear::LEN == 20 && Bulk::LEN == 12 && Tdb::LEN == 52);
