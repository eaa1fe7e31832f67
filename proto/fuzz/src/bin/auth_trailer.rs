// SPDX-License-Identifier: GPL-2.0

//! Any bytes behind an advertisement, and any frame of pfsync: whether they have a trailer, and
//! whether what is signed is believed, and nothing else.

#![no_main]

use std::net::IpAddr;

use carp_proto::auth::freshness::Freshness;
use carp_proto::auth::key::{KeyId, Keys};
use carp_proto::auth::mac::{Covered, Mac};
use carp_proto::auth::mark::Mark;
use carp_proto::auth::mode::Outcome;
use carp_proto::auth::receiver::Receiver;
use carp_proto::auth::sequence::Sequence;
use carp_proto::auth::trailer::{sign_advertisement, Malformed, Trailer, LEN};
use carp_proto::carp::packet::{self, checksum, Received};
use carp_proto::pfsync::authentication;
use carp_proto::pfsync::frame::{self, Frame};
use libfuzzer_sys::fuzz_target;

/// An HMAC that anybody can compute, of which bytes there are, in which order.
struct Transparent;

impl Mac for Transparent {
    fn hmac(&self, pieces: &[&[u8]]) -> [u8; 32] {
        let mut hash = 0_u64;
        for byte in pieces.iter().copied().flatten() {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&hash.to_be_bytes());
        digest
    }
}

const SENDER: IpAddr = IpAddr::V4(core::net::Ipv4Addr::LOCALHOST);

fn hear(trailer: Result<Option<Trailer>, Malformed>, packet: Covered<'_>) -> Outcome {
    let mut keys = Keys::default();
    for id in (1..=8).filter_map(KeyId::new) {
        keys.insert(id, Transparent).expect("there is room");
    }
    let clock = Sequence::from_bits(0);
    let mut receiver = Receiver::new(Freshness::Monotonic, [Mark::default()], clock);
    let mut hear = || receiver.receive(&keys, SENDER, trailer, packet, clock).0;
    let outcome = hear();
    if outcome == Outcome::Good {
        assert_eq!(hear(), Outcome::Replayed);
    }
    outcome
}

fn advertisement(data: &[u8]) {
    let Some((said, behind)) = data.split_first_chunk::<{ packet::LEN }>() else {
        return;
    };
    let mut said = *said;
    said[6..8].fill(0);
    let sum = checksum(&said);
    said[6..8].copy_from_slice(&sum.to_be_bytes());
    let payload = [&said[..], behind].concat();
    let received = Received::check(packet::TTL, &payload).expect("the checksum is right");
    match received.trailer() {
        Ok(None) => assert!(behind.is_empty()),
        Ok(Some(trailer)) => {
            assert_eq!(behind.len(), LEN);
            assert_eq!(checksum(behind), 0);
            let again = trailer.emit_behind_advertisement();
            // 0 and 0xffff are the same in a ones' complement sum.
            assert_eq!(again[..2], behind[..2]);
            assert_eq!(again[4..], behind[4..]);
        }
        Err(Malformed) => assert!(!behind.is_empty()),
    }
    hear(received.trailer(), Covered::Advertisement(received.bytes()));

    let number = Sequence::from_bits(sum.into());
    let id = KeyId::new(3).expect("not 0");
    let mut signed = sign_advertisement((id, &Transparent), SENDER, number, &said);
    let judge = |signed: &[u8]| {
        let received = Received::check(packet::TTL, signed).ok()?;
        let packet = Covered::Advertisement(received.bytes());
        Some(hear(received.trailer(), packet))
    };
    assert_eq!(judge(&signed), Some(Outcome::Good));
    assert_eq!(checksum(&signed), checksum(&said));
    let changed = usize::from(behind.first().copied().unwrap_or(0));
    if let Some(byte) = signed.get_mut(changed) {
        *byte ^= 1;
        assert_ne!(judge(&signed), Some(Outcome::Good));
    }
}

fn pfsync(data: &[u8]) {
    let Ok(received) = Frame::check(frame::TTL, data) else {
        return;
    };
    let trailer = authentication::trailer(&received);
    let bytes = received.bytes();
    if trailer.is_ok_and(|trailer| trailer.is_some()) {
        let at = bytes.len() - authentication::LEN;
        assert_eq!(bytes[at..at + 5], [198, 7, 0, 1, 1]);
    }
    hear(trailer, Covered::Frame(bytes));
    let whole = received.sections().all(|section| section.is_ok());

    let mut buffer = bytes.to_vec();
    let len = buffer.len();
    buffer.resize(len + authentication::LEN, 0xff);
    let id = KeyId::new(3).expect("not 0");
    let number = Sequence::from_bits(7);
    let Ok(end) = authentication::sign((id, &Transparent), SENDER, number, &mut buffer, len) else {
        return;
    };
    assert_eq!(end, buffer.len());
    let signed = Frame::check(frame::TTL, &buffer).expect("it was right before");
    let trailer_now = authentication::trailer(&signed);
    // Padding, or what is wrong, hides what stands behind it.
    let padded = signed.sections().any(|section| section.is_err());
    if trailer == Ok(None) && whole && !padded {
        let outcome = hear(trailer_now, Covered::Frame(signed.bytes()));
        assert!(matches!(
            outcome,
            Outcome::Good | Outcome::Missing | Outcome::Malformed
        ));
    }
}

fuzz_target!(|data: &[u8]| {
    match data {
        [0, data @ ..] => pfsync(data),
        [_, data @ ..] => advertisement(data),
        [] => (),
    }
});
