// SPDX-License-Identifier: GPL-2.0

//! Any bytes after an IP header: checked, authenticated, and heard by virtual
//! hosts in each state.

#![no_main]

use carp_proto::carp::address_change::Signer;
use carp_proto::carp::digest::{Digests, Input, KEY_LEN};
use carp_proto::carp::election::{
    Config, Environment, Event, Families, Family, State, VirtualHost,
};
use carp_proto::carp::packet::{Discard, Received, LEN, TTL};
use carp_proto::carp::time::Instant;
use carp_proto_fuzz::Transparent;
use libfuzzer_sys::fuzz_target;

const OURS: [u8; 8] = *b"ourselve";

fuzz_target!(|data: &[u8]| {
    let [ttl, flags, payload @ ..] = data else {
        return;
    };
    // Most of them get past the TTL.
    let ttl = if flags & 1 == 0 { TTL } else { *ttl };
    let received = match Received::check(ttl, payload) {
        Ok(received) => received,
        Err(Discard::BadTtl) => return assert_ne!(ttl, TTL),
        Err(Discard::BadLength) => return assert!(payload.len() < LEN),
        Err(Discard::BadChecksum) => return,
        Err(other) => panic!("{other:?} is not judged yet"),
    };
    assert_eq!(Received::peek_vhid(payload), Some(received.vhid()));
    let input = Input {
        vhid: received.vhid(),
        lladdr: None,
        ipv4: &[],
        ipv6: &[],
    };
    let key = [0; KEY_LEN];
    let mut digests = Digests::<Transparent>::default();
    digests.hash(&key, &input);
    let mut signer = Signer::<Transparent>::default();
    signer.replace(&key, &input);
    signer.addresses_changed(Instant(0), &key, &input);
    let by_signer = signer.authenticate(Instant(1), &received, &OURS);
    let advertisement = received.authenticate(&digests, &OURS);
    assert_eq!(advertisement, by_signer);
    let advertisement = match advertisement {
        Ok(advertisement) => advertisement,
        Err(Discard::BadVersion | Discard::BadDigest) => return,
        Err(Discard::Echo) => return assert_eq!(payload[8..16], OURS),
        Err(other) => panic!("{other:?} was judged before"),
    };
    let emitted = advertisement.emit();
    let again = Received::check(TTL, &emitted).expect("what we send is right");
    assert_eq!(again.authenticate(&digests, &OURS), Ok(advertisement));

    let env = Environment {
        preempt: flags & 2 != 0,
        demote: flags & 4,
        families: Families {
            ipv4: true,
            ipv6: true,
        },
        demoteskew: flags & 8 != 0,
    };
    let config = Config {
        vhid: received.vhid(),
        advbase: 1,
        advskew: 100,
    };
    for family in [Family::Ipv4, Family::Ipv6] {
        for state in [State::Init, State::Backup, State::Master] {
            let mut host = VirtualHost::new(config, OURS);
            if state != State::Init {
                let _ = host.handle(Instant(0), &env, Event::Start);
                let _ = host.handle(Instant(0), &env, Event::Force(state));
            }
            let before = host.state();
            let event = Event::Received(family, &advertisement);
            let effects = host.handle(Instant(1), &env, event);
            assert_eq!(effects.transition.is_some(), before != host.state());
            // A farewell never leaves nobody.
            if before == State::Master && advertisement.is_bow_out() {
                assert_eq!(host.state(), State::Master);
            }
        }
    }
});
