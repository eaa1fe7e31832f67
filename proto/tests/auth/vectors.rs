// SPDX-License-Identifier: GPL-2.0

//! Packets that were made from the description alone, their HMACs by OpenSSL.
//! qemu-tests/test_auth_lib.py compares them with what the tests in guests send.

use crate::common::{at, id, Key, NOW};
use carp_proto::auth::freshness::Freshness;
use carp_proto::auth::key::Keys;
use carp_proto::auth::mac::{Covered, Mac};
use carp_proto::auth::mark::Mark;
use carp_proto::auth::mode::Outcome;
use carp_proto::auth::receiver::Receiver;
use carp_proto::auth::sequence::Sequence;
use carp_proto::auth::trailer::{sign_advertisement, Malformed, Trailer};
use carp_proto::carp::packet::{checksum, Received, TTL};
use carp_proto::pfsync::authentication;
use carp_proto::pfsync::frame::{self, Frame};
use serde::Deserialize;
use std::cell::RefCell;
use std::net::IpAddr;

#[derive(Deserialize)]
struct Signature {
    note: String,
    source: IpAddr,
    key: String,
    key_id: u8,
    seconds: u32,
    fraction: u16,
    counter: u16,
    input: String,
    hmac: String,
}

#[derive(Deserialize)]
struct Advertisement {
    #[serde(flatten)]
    signature: Signature,
    advertisement: String,
    trailer: String,
}

#[derive(Deserialize)]
struct Signed {
    #[serde(flatten)]
    signature: Signature,
    frame: String,
    signed: String,
}

#[derive(Deserialize)]
struct BadTrailer {
    note: String,
    trailer: String,
}

#[derive(Deserialize)]
struct BadFrame {
    note: String,
    frame: String,
}

#[derive(Deserialize)]
struct Vectors {
    advertisements: Vec<Advertisement>,
    frames: Vec<Signed>,
    malformed_trailers: Vec<BadTrailer>,
    malformed_frames: Vec<BadFrame>,
}

/// A key that writes down what it was asked to cover.
struct Witness(Key, RefCell<Vec<u8>>);

impl Mac for Witness {
    fn hmac(&self, pieces: &[&[u8]]) -> [u8; 32] {
        *self.1.borrow_mut() = pieces.concat();
        self.0.hmac(pieces)
    }
}

impl Signature {
    fn witness(&self) -> Witness {
        Witness(Key(hex(&self.key)), RefCell::default())
    }

    fn sequence(&self) -> Sequence {
        let [seconds, fraction, counter] =
            [self.seconds, self.fraction.into(), self.counter.into()].map(u64::from);
        Sequence::from_bits((seconds << 32) + (fraction << 16) + counter)
    }

    /// The witness has seen what must be seen, and answered what must be answered.
    fn agrees(&self, witness: &Witness) {
        let seen = witness.1.borrow();
        assert_eq!(*seen, hex(&self.input), "{}", self.note);
        let hmac = witness.0.hmac(&[&seen[..]]);
        assert_eq!(hmac[..], hex(&self.hmac), "{}", self.note);
    }

    fn is_good(&self, trailer: Result<Option<Trailer>, Malformed>, packet: Covered<'_>) {
        let mut keys = Keys::default();
        keys.insert(id(self.key_id), self.witness()).unwrap();
        let mut receiver = Receiver::new(Freshness::Monotonic, [Mark::default()], at(NOW));
        let mut hear = |source| receiver.receive(&keys, source, trailer, packet, at(NOW)).0;
        let other: IpAddr = "10.99.99.99".parse().unwrap();
        assert_eq!(hear(other), Outcome::BadHmac, "{}", self.note);
        assert_eq!(hear(self.source), Outcome::Good, "{}", self.note);
        assert_eq!(hear(self.source), Outcome::Replayed, "{}", self.note);
    }
}

fn hex(text: &str) -> Vec<u8> {
    let digits = |i: usize| u8::from_str_radix(&text[i..i + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digits).collect()
}

fn vectors() -> Vectors {
    let vectors: Vectors = serde_json::from_str(include_str!("../../vectors/auth.json")).unwrap();
    let Vectors {
        advertisements,
        frames,
        malformed_trailers,
        malformed_frames,
    } = &vectors;
    assert_eq!((advertisements.len(), frames.len()), (7, 3));
    assert_eq!((malformed_trailers.len(), malformed_frames.len()), (8, 10));
    vectors
}

#[test]
fn advertisements_are_signed_like_this() {
    for vector in vectors().advertisements {
        let signature = &vector.signature;
        let said: [u8; 36] = hex(&vector.advertisement).try_into().unwrap();
        let witness = signature.witness();
        let by = (id(signature.key_id), &witness);
        let signed = sign_advertisement(by, signature.source, signature.sequence(), &said);
        signature.agrees(&witness);
        assert_eq!(signed[36..], hex(&vector.trailer), "{}", signature.note);
        assert_eq!(signed[..36], said);
        assert_eq!(checksum(&signed), 0, "{}", signature.note);
    }
}

#[test]
fn signed_advertisements_are_believed() {
    for vector in vectors().advertisements {
        let bytes = hex(&(vector.advertisement + &vector.trailer));
        let received = Received::check(TTL, &bytes).unwrap();
        let packet = Covered::Advertisement(received.bytes());
        vector.signature.is_good(received.trailer(), packet);
    }
}

#[test]
fn frames_are_signed_like_this() {
    for vector in vectors().frames {
        let signature = &vector.signature;
        let mut buffer = hex(&vector.frame);
        let len = buffer.len();
        buffer.resize(len + authentication::LEN, 0xaa);
        let witness = signature.witness();
        let by = (id(signature.key_id), &witness);
        let number = signature.sequence();
        let whole = authentication::sign(by, signature.source, number, &mut buffer, len);
        assert_eq!(whole, Ok(len + 32));
        signature.agrees(&witness);
        assert_eq!(buffer, hex(&vector.signed), "{}", signature.note);
    }
}

#[test]
fn signed_frames_are_believed() {
    for vector in vectors().frames {
        let mut bytes = hex(&vector.signed);
        bytes.extend(b"what follows is no part of it");
        let frame = Frame::check(frame::TTL, &bytes).unwrap();
        let packet = Covered::Frame(frame.bytes());
        vector
            .signature
            .is_good(authentication::trailer(&frame), packet);
    }
}

#[test]
fn what_is_no_trailer() {
    for vector in vectors().malformed_trailers {
        let read = Trailer::behind_advertisement(&hex(&vector.trailer));
        assert_eq!(read, Err(Malformed), "{}", vector.note);
    }
}

#[test]
fn what_is_no_signed_frame() {
    for vector in vectors().malformed_frames {
        let bytes = hex(&vector.frame);
        let frame = Frame::check(frame::TTL, &bytes).unwrap();
        let read = authentication::trailer(&frame);
        assert_eq!(read, Err(Malformed), "{}", vector.note);
    }
}
