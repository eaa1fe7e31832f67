// SPDX-License-Identifier: GPL-2.0

//! Packets that wait until a peer has their state.

use std::collections::VecDeque;

use crate::common::at;
use carp_proto::pfsync::defer::{Deferred, Slot, Ticket, HELD_MAX, HOLD};
use carp_proto::pfsync::time::Millis;
use proptest::prelude::*;

fn none<T>() -> Deferred<T, Vec<Slot<T>>> {
    Deferred::new((0..HELD_MAX).map(|_| Slot::default()).collect())
}

#[test]
fn a_packet_is_held_for_20_milliseconds() {
    assert_eq!(HOLD, Millis(20));
    let mut held = none();
    assert_eq!(held.deadline(), None);
    assert_eq!(held.hold(at(100), "packet").1, None);
    assert_eq!(held.deadline(), Some(at(120)));
    assert_eq!(held.expired(at(119)), None);
    assert_eq!(held.expired(at(120)), Some("packet"));
    assert_eq!(held.expired(at(120)), None);
    assert_eq!(held.deadline(), None);
}

#[test]
fn a_confirmation_releases_it_once() {
    let mut held = none();
    let (first, _) = held.hold(at(0), "first");
    let (second, _) = held.hold(at(1), "second");
    assert_eq!(held.release(second.unwrap()), Some("second"));
    assert_eq!(held.release(second.unwrap()), None);
    // the place is another packet's now
    let (third, _) = held.hold(at(2), "third");
    assert_eq!(held.release(second.unwrap()), None);
    assert_eq!(held.release(third.unwrap()), Some("third"));
    assert_eq!(held.release(first.unwrap()), Some("first"));
    assert_eq!(held.any(), None);
}

#[test]
fn from_128_packets_the_oldest_leaves_early() {
    assert_eq!(HELD_MAX, 128);
    let mut held = none();
    for number in 0..128 {
        let (ticket, early) = held.hold(at(number), number);
        assert!(ticket.is_some());
        assert_eq!(early, None);
    }
    for number in 128..400 {
        let (ticket, early) = held.hold(at(number), number);
        assert!(ticket.is_some());
        assert_eq!(early, Some(number - 128));
    }
    let all: Vec<_> = std::iter::from_fn(|| held.any()).collect();
    assert_eq!(all, (272..400).collect::<Vec<_>>());
}

proptest! {
    /// As a list would do it that looks at each packet.
    #[test]
    fn it_does_as_a_simple_list(
        steps in proptest::collection::vec((0..4_u8, 0..200_usize, 0..3_u64), 0..600),
    ) {
        let mut held = none();
        let mut list: VecDeque<(Ticket, u32, u64)> = VecDeque::new();
        let mut old = vec![];
        let (mut now, mut packet) = (0, 0);
        for (what, which, ms) in steps {
            now += ms;
            match what {
                0 | 1 => {
                    packet += 1;
                    let (ticket, early) = held.hold(at(now), packet);
                    let expected = (list.len() == HELD_MAX)
                        .then(|| list.pop_front().map(|(_, packet, _)| packet))
                        .flatten();
                    prop_assert_eq!(early, expected);
                    list.push_back((ticket.unwrap(), packet, now + 20));
                    old.push(ticket.unwrap());
                }
                2 => {
                    let Some(ticket) = old.get(which % old.len().max(1)) else { continue };
                    let at = list.iter().position(|(other, _, _)| other == ticket);
                    let expected = at.and_then(|at| list.remove(at)).map(|(_, packet, _)| packet);
                    prop_assert_eq!(held.release(*ticket), expected);
                }
                _ => {
                    while let Some(packet) = held.expired(at(now)) {
                        let front = list.pop_front().unwrap();
                        prop_assert_eq!(packet, front.1);
                        prop_assert!(front.2 <= now);
                    }
                }
            }
            prop_assert_eq!(held.deadline(), list.front().map(|(_, _, until)| at(*until)));
        }
    }
}
