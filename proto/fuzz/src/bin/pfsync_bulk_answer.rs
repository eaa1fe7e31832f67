// SPDX-License-Identifier: GPL-2.0

//! Any course of sending all states: it comes to an end, and says so.

#![no_main]

use arbitrary::{Arbitrary, Result, Unstructured};
use carp_proto::pfsync::bulk_answer::{BulkAnswer, Do};
use carp_proto::pfsync::time::Instant;
use carp_proto_fuzz::pause;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = run(&mut Unstructured::new(data));
});

/// How far a driver's walk has got.
struct Walk {
    /// So many are left of the table.
    parts: u32,
    table: u32,
    at: u32,
    unconfirmed: usize,
    starts: u32,
    ends: u32,
}

/// Does what is to be done now; whether there was anything.
fn act(answer: &mut BulkAnswer, walk: &mut Walk, now: Instant) -> bool {
    match answer.next(now, walk.unconfirmed) {
        None => return false,
        Some(Do::Start) => walk.starts += 1,
        Some(Do::WalkTable) => {
            walk.parts = walk.parts.saturating_sub(1);
            answer.table_walked(now, walk.parts > 0);
        }
        Some(Do::End) => walk.ends += 1,
        Some(Do::States { most, start }) => {
            assert!(most > 0, "a frame of nothing");
            let states = most.min(walk.table - walk.at).min(4);
            if states == 0 {
                if answer.walked(now) {
                    walk.at = 0;
                }
                return true;
            }
            walk.starts += u32::from(start);
            walk.at += states;
            walk.unconfirmed += states as usize;
            answer.sent(now, states);
        }
    }
    true
}

fn run(u: &mut Unstructured<'_>) -> Result<()> {
    let mut answer = BulkAnswer::new();
    let mut walk = Walk {
        parts: u32::from(u8::arbitrary(u)?),
        table: u32::from(u8::arbitrary(u)?),
        at: 0,
        unconfirmed: 0,
        starts: 0,
        ends: 0,
    };
    let mut now = Instant(0);
    let mut asked = false;
    while !u.is_empty() {
        now = Instant(now.0.saturating_add(pause(u)?).min(u64::MAX / 2));
        match u.int_in_range(0..=5)? {
            0 => {
                asked = true;
                let was_active = answer.is_active();
                if answer.requested(now, bool::arbitrary(u)?) {
                    walk.at = 0;
                    (walk.starts, walk.ends) = (0, 0);
                } else {
                    assert!(was_active);
                }
            }
            1 => {
                walk.unconfirmed = walk.unconfirmed.saturating_sub(1);
                answer.confirmed(now);
            }
            2 if u.ratio(1, 8)? => {
                answer.stop();
                asked = false;
            }
            _ => {
                let _ = act(&mut answer, &mut walk, now);
            }
        }
        assert!(asked || !answer.is_active());
        assert_eq!(answer.deadline().is_some(), answer.is_active());
        assert!(walk.ends <= 3);
    }
    // Even if nobody confirms anything any more.
    for _ in 0..10_000 {
        if act(&mut answer, &mut walk, now) {
            continue;
        }
        let Some(deadline) = answer.deadline() else {
            break;
        };
        assert!(deadline > now, "waits for what was, with nothing to do");
        now = deadline;
    }
    assert!(!answer.is_active(), "never ends");
    assert!(!asked || walk.ends == 3);
    Ok(())
}
