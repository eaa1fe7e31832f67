// SPDX-License-Identifier: GPL-2.0

//! A connection that conntrack expects: a message of Linux' own.
//!
//! It has a section of its own and says that an expectation is there, or that it
//! is gone. It follows the state of the connection that expects it, its master.
//! `docs/pfsync-linux.md` describes the bytes.

use core::net::IpAddr;

use zerocopy::byteorder::network_endian::{U16, U32};
use zerocopy::FromBytes as _;
use zerocopy_derive::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::super::text::Text;
use super::frame::Discard;
use super::id::StateId;
use super::state::{address, address_bytes, Family};

/// Bytes that a message has at least.
pub const MIN_LEN: usize = Expectation::LEN;

/// The bytes of the wire, in their order.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Wire {
    master: StateId,
    number: U32,
    kind: u8,
    family: u8,
    protocol: u8,
    nat_direction: u8,
    source: [u8; 16],
    destination: [u8; 16],
    ids: [U16; 2],
    mask_source: [u8; 16],
    mask_id: U16,
    nat_id: U16,
    nat_address: [u8; 16],
    timeout: U32,
    flags: U32,
    class: U32,
    helper: [u8; 16],
    assign_helper: [u8; 16],
    function: [u8; 32],
}

/// Whether an expectation is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// It is there, new or not.
    Present = 1,
    /// It is not any more.
    Gone = 2,
}

/// A connection that is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Expectation {
    /// The connection that expects it.
    pub master: StateId,
    /// Tells it from others of the same master; the sender's choice.
    pub number: u32,
    /// Whether it is there. If not, no other field below counts.
    pub kind: Kind,
    /// The IP protocol.
    pub protocol: u8,
    /// Who will send.
    pub source: IpAddr,
    /// To whom.
    pub destination: IpAddr,
    /// Ports.
    pub ids: [u16; 2],
    /// Which bits of the source count.
    pub mask_source: [u8; 16],
    /// Which bits of the source port count.
    pub mask_id: u16,
    /// NAT: the address before translation. All zeroes: none.
    pub nat_address: [u8; 16],
    /// NAT: the port before translation.
    pub nat_id: u16,
    /// NAT: which direction of the master it goes with.
    pub nat_direction: u8,
    /// Seconds until it expires.
    pub timeout: u32,
    /// Flags (`NF_CT_EXPECT_…`).
    pub flags: u32,
    /// The class, by which helpers limit them.
    pub class: u32,
    /// The helper that made it.
    pub helper: Text<16>,
    /// The helper that the connection will have.
    pub assign_helper: Text<16>,
    /// The name of the function that sets the connection up.
    pub function: Text<32>,
}

impl Expectation {
    /// Bytes on the wire.
    pub const LEN: usize = size_of::<Wire>();

    /// The bytes of the message.
    #[must_use]
    pub fn emit(&self) -> [u8; Self::LEN] {
        let [source_id, destination_id] = self.ids;
        zerocopy::transmute!(Wire {
            master: self.master,
            number: U32::new(self.number),
            kind: self.kind as u8,
            family: match self.destination {
                IpAddr::V4(_) => Family::Ipv4 as u8,
                IpAddr::V6(_) => Family::Ipv6 as u8,
            },
            protocol: self.protocol,
            nat_direction: self.nat_direction,
            source: address_bytes(self.source),
            destination: address_bytes(self.destination),
            ids: [U16::new(source_id), U16::new(destination_id)],
            mask_source: self.mask_source,
            mask_id: U16::new(self.mask_id),
            nat_id: U16::new(self.nat_id),
            nat_address: self.nat_address,
            timeout: U32::new(self.timeout),
            flags: U32::new(self.flags),
            class: U32::new(self.class),
            helper: *self.helper.padded(),
            assign_helper: *self.assign_helper.padded(),
            function: *self.function.padded(),
        })
    }
}

const _: () = assert!(Expectation::LEN == 168 && Expectation::LEN % 4 == 0);

/// A received message, of which only the length was checked.
#[derive(Clone, Copy)]
pub struct Received<'a>(&'a Wire);

impl<'a> Received<'a> {
    /// `None` if it is too short.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        Wire::ref_from_prefix(bytes)
            .ok()
            .map(|(wire, _)| Self(wire))
    }

    /// What it says.
    ///
    /// # Errors
    ///
    /// [`Discard::BadValue`] if a value is none that there is.
    pub fn parse(&self) -> Result<Expectation, Discard> {
        let wire = self.0;
        let family = Family::new(wire.family).ok_or(Discard::BadValue)?;
        if wire.nat_direction > 1 {
            return Err(Discard::BadValue);
        }
        let [source_id, destination_id] = wire.ids;
        let text = |bytes: &[u8; 16]| Text::new(bytes).ok_or(Discard::BadValue);
        Ok(Expectation {
            master: wire.master,
            number: wire.number.get(),
            kind: match wire.kind {
                1 => Kind::Present,
                2 => Kind::Gone,
                _ => return Err(Discard::BadValue),
            },
            protocol: wire.protocol,
            source: address(&wire.source, family),
            destination: address(&wire.destination, family),
            ids: [source_id.get(), destination_id.get()],
            mask_source: wire.mask_source,
            mask_id: wire.mask_id.get(),
            nat_address: wire.nat_address,
            nat_id: wire.nat_id.get(),
            nat_direction: wire.nat_direction,
            timeout: wire.timeout.get(),
            flags: wire.flags.get(),
            class: wire.class.get(),
            helper: text(&wire.helper)?,
            assign_helper: text(&wire.assign_helper)?,
            function: Text::new(&wire.function).ok_or(Discard::BadValue)?,
        })
    }
}
