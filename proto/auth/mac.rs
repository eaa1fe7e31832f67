// SPDX-License-Identifier: GPL-2.0

//! What the HMAC of a packet covers.
//!
//! | bytes | what |
//! | --- | --- |
//! | 1 | 4 or 6, IP's version |
//! | 1 | the protocol's version: CARP's 2, pfsync's 6 |
//! | 1 | CARP's vhid; for pfsync 240, the number of the IP protocol |
//! | 1 | 0 |
//! | 16 | the source address of the IP header; IPv4's in the first four |
//! | … | CARP: the advertisement, its checksum read as 0; pfsync: the frame, up to the HMAC |
//! | 28 | CARP: the trailer, bytes 2 and 3 and the HMAC read as 0 |
//! | 16 | pfsync: in place of the HMAC, 0 |

use core::net::IpAddr;

use super::super::carp::frame::copy;
use super::super::carp::packet;
use super::super::pfsync::frame;
use super::trailer::{self, Trailer};

/// Bytes of an HMAC in a trailer: the first half of it.
pub const TAG_LEN: usize = 16;

/// The HMAC of a packet, truncated.
pub type Tag = [u8; TAG_LEN];

/// Bytes before the packet.
const PSEUDO_LEN: usize = 20;

/// Where an advertisement has its checksum.
const CHECKSUM: core::ops::Range<usize> = 6..8;

/// A key that can make HMAC-SHA256s: prepared once, it stays where it is.
pub trait Mac {
    /// The HMAC of all `pieces`, one behind the other. What it needs on the way it wipes.
    fn hmac(&self, pieces: &[&[u8]]) -> [u8; 32];
}

/// A packet without what carries it.
#[derive(Clone, Copy, Debug)]
pub enum Covered<'a> {
    /// The 36 bytes of an advertisement.
    Advertisement(&'a [u8; packet::LEN]),
    /// A frame of pfsync, its trailer included.
    Frame(&'a [u8]),
}

impl Covered<'_> {
    /// The HMAC that belongs to it, in a packet from `source` with this `trailer`.
    pub(in super::super) fn tag<M: Mac>(self, key: &M, source: IpAddr, trailer: &Trailer) -> Tag {
        let whole = match self {
            Self::Advertisement(bytes) => {
                let mut input = [0; PSEUDO_LEN + packet::LEN + trailer::LEN];
                let vhid = packet::Received::peek_vhid(bytes).unwrap_or_default();
                let pseudo = pseudo(source, packet::VERSION, vhid);
                copy(&mut input, &[&pseudo, bytes, &trailer.covered()]);
                let advertisement = input.get_mut(PSEUDO_LEN..).unwrap_or_default();
                advertisement.get_mut(CHECKSUM).unwrap_or_default().fill(0);
                key.hmac(&[&input])
            }
            Self::Frame(bytes) => {
                let pseudo = pseudo(source, frame::VERSION, frame::PROTOCOL);
                let (before, _) = bytes
                    .split_last_chunk::<TAG_LEN>()
                    .unwrap_or((bytes, &[0; TAG_LEN]));
                key.hmac(&[&pseudo, before, &[0; TAG_LEN]])
            }
        };
        let (tag, _): (&Tag, _) = whole.split_first_chunk().unwrap_or((&[0; TAG_LEN], &[]));
        *tag
    }
}

/// What stands for the IP header.
fn pseudo(source: IpAddr, version: u8, number: u8) -> [u8; PSEUDO_LEN] {
    let mut address = [0; 16];
    let family = match source {
        IpAddr::V4(ipv4) => {
            copy(&mut address, &[&ipv4.octets()]);
            4
        }
        IpAddr::V6(ipv6) => {
            address = ipv6.octets();
            6
        }
    };
    let mut pseudo = [0; PSEUDO_LEN];
    copy(&mut pseudo, &[&[family, version, number, 0], &address]);
    pseudo
}
