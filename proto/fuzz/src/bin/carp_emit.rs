// SPDX-License-Identifier: GPL-2.0

//! Any advertisement, made into frames: what comes out is what went in.

#![no_main]

use std::net::{Ipv4Addr, Ipv6Addr};

use arbitrary::{Arbitrary, Result, Unstructured};
use carp_proto::carp::digest::{hashed_lladdr, Digests, Input, KEY_LEN};
use carp_proto::carp::frame;
use carp_proto::carp::packet::{Advertisement, Received, LEN, TTL};
use carp_proto_fuzz::{advertisement, Transparent};
use libfuzzer_sys::fuzz_target;

fn read(payload: &[u8], input: &Input<&[Ipv4Addr], &[Ipv6Addr]>) -> Advertisement {
    let received = Received::check(TTL, payload).expect("what we send is right");
    let mut digests = Digests::<Transparent>::default();
    digests.hash(&[0; KEY_LEN], input);
    // not the counter in it
    let own = payload[8..16]
        .try_into()
        .map(|own: [u8; 8]| own.map(|byte| !byte));
    let own = own.expect("eight bytes");
    received
        .authenticate(&digests, &own)
        .expect("the digest is right")
}

fuzz_target!(|data: &[u8]| {
    let _ = run(&mut Unstructured::new(data));
});

fn run(u: &mut Unstructured<'_>) -> Result<()> {
    let sent = Advertisement {
        digest: [0; 20],
        ..advertisement(u)?
    };
    let mac = <[u8; 6]>::arbitrary(u)?;
    let (source4, peer4) = (Ipv4Addr::arbitrary(u)?, Ipv4Addr::arbitrary(u)?);
    let (source6, peer6) = (Ipv6Addr::arbitrary(u)?, Ipv6Addr::arbitrary(u)?);
    let mut ipv4 = Vec::<Ipv4Addr>::arbitrary(u)?;
    let mut ipv6 = Vec::<Ipv6Addr>::arbitrary(u)?;
    let lladdr = hashed_lladdr(true, mac, [0; 6], [1; 6]);
    let input = Input {
        vhid: sent.vhid,
        lladdr,
        ipv4: ipv4.as_slice(),
        ipv6: ipv6.as_slice(),
    };
    let frames: [&[u8]; 4] = [
        &frame::ipv4(mac, source4, &sent.emit()),
        &frame::ipv6(mac, source6, &sent.emit()),
        &frame::ipv4_packet(source4, peer4, &sent.emit()),
        &frame::ipv6_packet(source6, peer6, &sent.emit()),
    ];
    for frame in frames {
        assert_eq!(read(&frame[frame.len() - LEN..], &input), sent);
    }

    // The order of addresses is no matter, nor is how often one occurs.
    let hash = |ipv4: &[Ipv4Addr], ipv6: &[Ipv6Addr]| {
        let mut digests = Digests::<Recorder>::default();
        digests.hash(
            &[0; KEY_LEN],
            &Input {
                vhid: sent.vhid,
                lladdr,
                ipv4,
                ipv6,
            },
        );
        (
            digests.sign(&sent.counter),
            digests.sign_with_link_local(&sent.counter),
        )
    };
    let expected = hash(&ipv4, &ipv6);
    ipv4.reverse();
    ipv6.reverse();
    assert_eq!(hash(&ipv4, &ipv6), expected);
    ipv4.extend_from_within(..);
    ipv6.sort();
    assert_eq!(hash(&ipv4, &ipv6), expected);
    Ok(())
}

/// A hash of which bytes went in, in which order.
#[derive(Default)]
struct Recorder(u64);

impl carp_proto::carp::digest::Mac for Recorder {
    fn begin(&mut self, _: &[u8; KEY_LEN]) {
        self.0 = 0;
    }

    fn continue_from(&mut self, other: &Self) {
        self.0 = other.0;
    }

    fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn digest(&self, last: &[u8]) -> [u8; 20] {
        let mut whole = Self(self.0);
        whole.update(last);
        let mut digest = [0; 20];
        digest[..8].copy_from_slice(&whole.0.to_be_bytes());
        digest
    }

    fn wipe(&mut self) {
        self.0 = 0;
    }
}
