// SPDX-License-Identifier: GPL-2.0

//! Causes of demotion: their names, amounts and times, and what carpdemote may take back.

use carp_proto::carp::{
    causes::{
        seconds_since, step, Cause, CauseName, Reason, CAUSE_NAME_MAX, FOR_MAX, MANUAL, REASON_MAX,
    },
    demotion::{Counter, Refusal, COUNT_MAX},
    time::Instant,
};
use proptest::prelude::*;

const SECOND: u64 = 1_000_000_000;

fn name(name: &str) -> CauseName {
    CauseName::new(name.as_bytes()).expect(name)
}

fn counter(value: u32) -> Counter {
    Counter::new(value)
}

#[test]
fn names_are_visible_ascii() {
    for good in [
        "maintenance",
        "check:web",
        "x",
        "manual",
        "link",
        "pfsync",
        "a/b",
    ] {
        assert_eq!(name(good).as_bytes(), good.as_bytes());
        assert_eq!(name(good).as_str(), good);
    }
    for bad in [
        "",
        "a b",
        "tab\t",
        "caf\u{e9}",
        &"x".repeat(CAUSE_NAME_MAX + 1),
    ] {
        assert_eq!(
            CauseName::new(bad.as_bytes()),
            Err(Refusal::CauseName),
            "{bad}"
        );
    }
    assert!(CauseName::new("x".repeat(CAUSE_NAME_MAX).as_bytes()).is_ok());
    assert_eq!(CauseName::manual(), CauseName::new(MANUAL.as_bytes()).ok());
}

#[test]
fn nobody_takes_a_name_of_the_kernels_own() {
    for own in ["link:eth0", "send-errors:carp0", "pfsync-bulk", "pfsync-"] {
        assert_eq!(CauseName::new(own.as_bytes()), Err(Refusal::OwnCause));
    }
}

#[test]
fn a_reason_does_not_write_over_a_terminal() {
    for good in ["", "connection refused", "\u{fc}ber Nacht"] {
        assert_eq!(
            Reason::new(good.as_bytes()).map(|it| it.as_bytes().to_vec()),
            Ok(good.into())
        );
    }
    assert!(Reason::new("x".repeat(REASON_MAX).as_bytes()).is_ok());
    for bad in [
        &b"\x1b[2J"[..],
        b"a\nb",
        b"\xff",
        b"\xc2\x9b",
        &[b'x'; REASON_MAX + 1],
    ] {
        assert_eq!(Reason::new(bad), Err(Refusal::Reason));
    }
    assert_eq!(Reason::NONE.as_bytes(), b"");
}

#[test]
fn amount_and_time_have_bounds() {
    let cause = |amount, seconds| {
        Cause::new(name("x"), amount, Instant(5), seconds, Reason::NONE).map(|it| it.until)
    };
    assert_eq!(cause(1, None), Ok(None));
    assert_eq!(cause(COUNT_MAX, Some(1)), Ok(Some(Instant(5 + SECOND))));
    assert_eq!(
        cause(1, Some(FOR_MAX)),
        Ok(Some(Instant(5 + u64::from(FOR_MAX) * SECOND)))
    );
    for amount in [0, COUNT_MAX + 1, u32::MAX] {
        assert_eq!(cause(amount, None), Err(Refusal::Amount));
    }
    for seconds in [0, FOR_MAX + 1, u32::MAX] {
        assert_eq!(cause(1, Some(seconds)), Err(Refusal::For));
    }
}

#[test]
fn a_cause_ends_when_its_time_has_come() {
    let now = Instant(7 * SECOND);
    let cause = Cause::new(name("x"), 1, now, Some(3), Reason::NONE).expect("is well");
    assert_eq!(cause.since, now);
    assert!(!cause.is_over(Instant(10 * SECOND - 1)));
    assert!(cause.is_over(Instant(10 * SECOND)));
    assert_eq!(cause.seconds_left(now), Some(3));
    assert_eq!(
        cause.seconds_left(Instant(9 * SECOND - 1)),
        Some(2),
        "rounded up"
    );
    assert_eq!(cause.seconds_left(Instant(11 * SECOND)), Some(0));
    let endless = Cause::new(name("x"), 1, now, None, Reason::NONE).expect("is well");
    assert!(!endless.is_over(Instant(u64::MAX)));
    assert_eq!(endless.seconds_left(now), None);
    assert_eq!(
        seconds_since(now, Instant(9 * SECOND - 1)),
        1,
        "whole seconds"
    );
    assert_eq!(seconds_since(now, Instant(0)), 0);
}

// --- carpdemote ---

#[test]
fn carpdemote_adds_and_takes_away() {
    assert_eq!(step(counter(0), 0, 50), Ok(50));
    assert_eq!(step(counter(50), 50, -20), Ok(30));
    assert_eq!(step(counter(30), 30, 0), Ok(30));
}

#[test]
fn a_step_is_at_most_128() {
    assert_eq!(step(counter(0), 0, 128), Ok(128));
    assert_eq!(step(counter(200), 200, -128), Ok(72));
    for by in [129, -129, i32::MAX, i32::MIN] {
        assert_eq!(step(counter(130), 130, by), Err(Refusal::Step));
    }
}

#[test]
fn carpdemote_leads_to_255_at_most() {
    assert_eq!(step(counter(127), 127, 128), Ok(255));
    assert_eq!(step(counter(128), 128, 128), Err(Refusal::Range));
    // with all causes together
    assert_eq!(step(counter(255), 0, 1), Err(Refusal::Range));
    // and leads back from beyond
    assert_eq!(step(counter(300), 100, -1), Ok(99));
}

#[test]
fn carpdemote_takes_back_only_what_it_has_added() {
    assert_eq!(step(counter(1), 0, -1), Err(Refusal::NotManual));
    assert_eq!(step(counter(11), 10, -11), Err(Refusal::NotManual));
    assert_eq!(step(counter(11), 10, -10), Ok(0));
}

#[test]
fn refusals_are_sentences() {
    use Refusal::*;
    for refusal in [
        Step, Range, NotManual, CauseName, OwnCause, Amount, For, Reason, TooMany,
    ] {
        assert!(refusal.as_str().contains(' '));
    }
}

proptest! {
    #[test]
    fn carpdemote_keeps_within_its_range(others in 0u32..=300, manual in 0u32..=255, by: i32) {
        let total = others + manual;
        if let Ok(after) = step(counter(total), manual, by) {
            prop_assert_eq!(i64::from(after), i64::from(manual) + i64::from(by));
            prop_assert!(by <= 0 || others + after <= COUNT_MAX);
        }
    }

    #[test]
    fn any_bytes_are_a_name_or_none(bytes: Vec<u8>) {
        if let Ok(name) = CauseName::new(&bytes) {
            prop_assert_eq!(name.as_bytes(), &bytes[..]);
        }
        if let Ok(reason) = Reason::new(&bytes) {
            prop_assert_eq!(reason.as_bytes(), &bytes[..]);
        }
    }
}
