// SPDX-License-Identifier: GPL-2.0

//! Any IPv6 packet: whom it is for, and what the master answers.

#![no_main]

use carp_proto::carp::neighbour::{Class, NaSender, Solicitation};
use libfuzzer_sys::fuzz_target;

const ETHERNET_LEN: usize = 14;

fuzz_target!(|packet: &[u8]| {
    let place = Class::of(packet);
    if packet.len() >= Class::NEEDED {
        assert_eq!(Class::of(&packet[..Class::NEEDED]), place);
    }
    let Some(solicitation) = Solicitation::parse(packet) else {
        return;
    };
    assert_eq!(place, Class::Solicitation);
    assert!(!solicitation.target.is_multicast());
    let sender = NaSender {
        from: [2; 6],
        at: [4; 6],
        router: packet.len() % 2 == 0,
    };
    for frame in [
        sender.answer(&solicitation, [6; 6]),
        sender.announce(solicitation.target),
    ] {
        let answer = &frame[ETHERNET_LEN..];
        assert_eq!(Class::of(answer), Class::Interface);
        assert_eq!(Solicitation::parse(answer), None);
        assert_eq!(answer[8..24], solicitation.target.octets());
        // never to a group's owner in the name of nobody
        assert_ne!(answer[24..40], [0; 16]);
    }
});
