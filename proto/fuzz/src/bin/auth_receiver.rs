// SPDX-License-Identifier: GPL-2.0

//! Any numbers of any senders by any clocks: nothing is believed twice as long as the
//! receiver's clock does not go back, and a sender is believed again when clocks agree.

#![no_main]

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};

use arbitrary::{Arbitrary as _, Result, Unstructured};
use carp_proto::auth::freshness::{Freshness, Window};
use carp_proto::auth::key::{KeyId, Keys};
use carp_proto::auth::mac::{Covered, Mac};
use carp_proto::auth::mark::Mark;
use carp_proto::auth::mode::Outcome;
use carp_proto::auth::receiver::Receiver;
use carp_proto::auth::replay::Replay;
use carp_proto::auth::sender::Sender;
use carp_proto::auth::senders::History;
use carp_proto::auth::sequence::Sequence;
use carp_proto::auth::trailer::Trailer;
use libfuzzer_sys::fuzz_target;

/// All HMACs are good.
struct Any;

impl Mac for Any {
    fn hmac(&self, _: &[&[u8]]) -> [u8; 32] {
        [0; 32]
    }
}

const SECOND: u64 = 1_000_000_000;
const START: u64 = 4_294_967_290 * SECOND;

fuzz_target!(|data: &[u8]| {
    let _ = run(&mut Unstructured::new(data));
});

fn run(u: &mut Unstructured<'_>) -> Result<()> {
    let freshness = match u8::arbitrary(u)? {
        0..64 => Freshness::Monotonic,
        seconds => Freshness::Time(Window::new(seconds.into()).expect("a window")),
    };
    if bool::arbitrary(u)? {
        go(u, freshness, [Mark::default(); 3], true)
    } else {
        let len = u.int_in_range(0..=6)?;
        let ring = || Replay::new(vec![Sequence::default(); len]);
        go(u, freshness, [(); 3].map(|()| ring()), false)
    }
}

fn go<H: History>(
    u: &mut Unstructured<'_>,
    freshness: Freshness,
    histories: [H; 3],
    in_order: bool,
) -> Result<()> {
    let mut unix = START;
    let mut keys = Keys::default();
    let id = KeyId::new(1).expect("not 0");
    keys.insert(id, Any).ok().expect("there is room");
    let mut receiver = Receiver::new(freshness, histories, Sequence::at(unix));
    let mut believed = HashSet::new();
    let mut highest = [None::<Sequence>; 5];
    while !u.is_empty() {
        let who = u.int_in_range(0..=4_u8)?;
        // Clocks go on; that they go back is tried below.
        unix += u64::from(u16::arbitrary(u)?) * SECOND / 4096;
        let off = i64::from(i16::arbitrary(u)?) << u.int_in_range(0..=26)?;
        let bits = Sequence::at(unix).to_bits().wrapping_add_signed(off);
        let number = Sequence::from_bits(bits);
        let outcome = hear(&mut receiver, &keys, who, number, unix);
        let fresh = !freshness.is_stale(number, Sequence::at(unix));
        match outcome {
            Outcome::Good => {
                assert!(fresh);
                assert!(believed.insert((who, bits)), "twice");
                let last = &mut highest[usize::from(who)];
                if in_order {
                    assert!(last.is_none_or(|last| number.is_after(last)));
                }
                *last = Some(number);
            }
            Outcome::Stale => (),
            Outcome::Replayed => assert!(fresh),
            other => panic!("{other:?}"),
        }
    }
    // The clock is set back by a day, and so is that of a sender.
    unix -= 86_400 * SECOND;
    let mut sender = Sender::new();
    let _ = sender.next(freshness, Sequence::at(START));
    let number = sender.next(freshness, Sequence::at(unix));
    if freshness != Freshness::Monotonic {
        assert_eq!(number, Sequence::at(unix));
        assert_eq!(hear(&mut receiver, &keys, 9, number, unix), Outcome::Good);
    }
    Ok(())
}

fn hear<H: History>(
    receiver: &mut Receiver<H, 3>,
    keys: &Keys<Any>,
    who: u8,
    number: Sequence,
    unix: u64,
) -> Outcome {
    let sender = IpAddr::V4(Ipv4Addr::new(10, 0, 0, who));
    let trailer = Trailer {
        key: KeyId::new(1).expect("not 0"),
        sequence: number,
        tag: [0; 16],
    };
    let clock = Sequence::at(unix);
    let packet = Covered::Frame(&[]);
    receiver
        .receive(keys, sender, Ok(Some(trailer)), packet, clock)
        .0
}
