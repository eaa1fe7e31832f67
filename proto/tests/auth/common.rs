// SPDX-License-Identifier: GPL-2.0

//! What several tests need.

use carp_proto::auth::freshness::{Freshness, Window};
use carp_proto::auth::key::{KeyId, Keys};
use carp_proto::auth::mac::{Covered, Mac};
use carp_proto::auth::mark::Mark;
use carp_proto::auth::mode::Outcome;
use carp_proto::auth::receiver::{Notice, Receiver};
use carp_proto::auth::sender::Sender;
use carp_proto::auth::sequence::Sequence;
use carp_proto::auth::trailer::{sign_advertisement, SIGNED_LEN};
use carp_proto::carp::packet::{Advertisement, Received, TTL};
use hmac::Mac as _;
use std::net::{IpAddr, Ipv4Addr};

/// HMAC-SHA256 as others wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key(pub Vec<u8>);

impl Mac for Key {
    fn hmac(&self, pieces: &[&[u8]]) -> [u8; 32] {
        let mut hmac =
            hmac::Hmac::<sha2::Sha256>::new_from_slice(&self.0).expect("any key will do");
        for piece in pieces {
            hmac.update(piece);
        }
        hmac.finalize().into_bytes().into()
    }
}

/// 2026-11-30, in nanoseconds since 1970.
pub const NOW: u64 = 1_796_000_000 * SECOND;
pub const SECOND: u64 = 1_000_000_000;
pub const MS: u64 = 1_000_000;
pub const HOUR: u64 = 3600 * SECOND;
pub const YEAR: u64 = 365 * 24 * HOUR;

pub const MONOTONIC: Freshness = Freshness::Monotonic;

/// A window of so many seconds.
pub fn time(seconds: u32) -> Freshness {
    Freshness::Time(Window::new(seconds).expect("a window"))
}

pub fn at(unix: u64) -> Sequence {
    Sequence::at(unix)
}

pub fn id(number: u8) -> KeyId {
    KeyId::new(number).expect("not 0")
}

pub fn key(byte: u8) -> Key {
    Key(vec![byte; 32])
}

/// The only key, active.
pub fn keys() -> Keys<Key> {
    let mut keys = Keys::default();
    keys.insert(id(1), key(1)).expect("there is room");
    keys.activate(id(1)).expect("there is one");
    keys
}

/// A host of the segment.
pub const fn host(number: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, number))
}

pub const A: IpAddr = host(1);
pub const B: IpAddr = host(2);

pub const fn advertisement(demote: u8) -> Advertisement {
    Advertisement {
        vhid: 1,
        advskew: 0,
        demote,
        advbase: 1,
        counter: *b"somebody",
        digest: [7; 20],
    }
}

pub type Signed = [u8; SIGNED_LEN];

/// A signed advertisement.
pub fn signed(source: IpAddr, number: Sequence) -> Signed {
    signed_by(1, source, number, &advertisement(0))
}

pub fn signed_by(by: u8, source: IpAddr, number: Sequence, said: &Advertisement) -> Signed {
    sign_advertisement((id(by), &key(by)), source, number, &said.emit())
}

pub type Marks = Receiver<Mark, 8>;

/// A receiver of advertisements that started at this time.
pub fn receiver(freshness: Freshness, unix: u64) -> Marks {
    Receiver::new(freshness, [Mark::default(); 8], at(unix))
}

/// A packet from `source` comes in.
pub fn hear(receiver: &mut Marks, source: IpAddr, payload: &[u8], unix: u64) -> Outcome {
    hear_all(receiver, source, payload, unix).0
}

pub fn hear_all(
    receiver: &mut Marks,
    source: IpAddr,
    payload: &[u8],
    unix: u64,
) -> (Outcome, Option<Notice>) {
    let received = Received::check(TTL, payload).expect("an advertisement");
    let covered = Covered::Advertisement(received.bytes());
    receiver.receive(&keys(), source, received.trailer(), covered, at(unix))
}

/// A host that advertises.
pub struct Host {
    pub address: IpAddr,
    pub freshness: Freshness,
    pub sender: Sender,
}

impl Host {
    pub fn new(address: IpAddr, freshness: Freshness) -> Self {
        Self {
            address,
            freshness,
            sender: Sender::new(),
        }
    }

    /// An advertisement by its clock.
    pub fn says(&mut self, unix: u64) -> Signed {
        signed(self.address, self.sender.next(self.freshness, at(unix)))
    }
}
