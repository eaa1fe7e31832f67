// SPDX-License-Identifier: GPL-2.0

//! Any packets held: each comes out once, and in time.

#![no_main]

use std::collections::BTreeMap;

use arbitrary::{Result, Unstructured};
use carp_proto::pfsync::defer::{Deferred, Slot, Ticket, HELD_MAX, HOLD};
use carp_proto::pfsync::time::Instant;
use carp_proto_fuzz::pause;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = run(&mut Unstructured::new(data));
});

fn run(u: &mut Unstructured<'_>) -> Result<()> {
    let slots: Vec<Slot<u32>> = (0..HELD_MAX).map(|_| Slot::default()).collect();
    let mut deferred = Deferred::new(slots);
    // By number, which grows: since when each is held.
    let mut held: BTreeMap<u32, Instant> = BTreeMap::new();
    let mut tickets: Vec<(Ticket, u32)> = Vec::new();
    let mut number = 0;
    let mut now = Instant(0);
    while !u.is_empty() {
        if u.ratio(1, 4)? {
            now = Instant(now.0.saturating_add(pause(u)?).min(u64::MAX / 2));
        }
        match u.int_in_range(0..=4)? {
            // so many that there is no room
            0..=1 => {
                for _ in 0..u.int_in_range(1..=40)? {
                    number += 1;
                    let oldest = held.first_key_value().map(|(oldest, _)| *oldest);
                    let full = held.len() == HELD_MAX;
                    let (ticket, early) = deferred.hold(now, number);
                    assert_eq!(early, oldest.filter(|_| full), "the oldest makes room");
                    if let Some(early) = early {
                        held.remove(&early);
                    }
                    held.insert(number, now);
                    tickets.push((ticket.expect("there is room"), number));
                }
            }
            2 => {
                if tickets.is_empty() {
                    continue;
                }
                let (ticket, packet) = tickets[u.choose_index(tickets.len())?];
                let expected = held.remove(&packet).map(|_| packet);
                assert_eq!(
                    deferred.release(ticket),
                    expected,
                    "once, and only this one"
                );
            }
            3 => {
                while let Some(packet) = deferred.expired(now) {
                    let since = held.remove(&packet).expect("it was held");
                    assert!(HOLD.after(since) <= now);
                }
                assert!(held.values().all(|since| HOLD.after(*since) > now));
            }
            _ => {
                let oldest = held.pop_first().map(|(oldest, _)| oldest);
                assert_eq!(deferred.any(), oldest);
            }
        }
        let first = held.first_key_value().map(|(_, since)| HOLD.after(*since));
        assert_eq!(deferred.deadline(), first);
    }
    while let Some((oldest, _)) = held.pop_first() {
        assert_eq!(deferred.any(), Some(oldest), "nothing is lost");
    }
    assert_eq!(deferred.any(), None);
    assert_eq!(deferred.deadline(), None);
    Ok(())
}
