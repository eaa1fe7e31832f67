// SPDX-License-Identifier: GPL-2.0

//! Errors of sending: when they demote, and how that ends.

use carp_proto::carp::send_errors::SendErrors;
use carp_proto::carp::time::Instant;
use proptest::prelude::*;

const NONE: [i32; 0] = [];

const NOW: Instant = Instant(1_000_000_000);

/// This many seconds after [`NOW`].
const fn after(seconds: u64) -> Instant {
    Instant(NOW.0 + seconds * 1_000_000_000)
}

fn record(errors: &mut SendErrors, sent: bool, times: u32, hosts: u32) -> Vec<i32> {
    record_at(errors, NOW, sent, times, hosts)
}

fn record_at(
    errors: &mut SendErrors,
    now: Instant,
    sent: bool,
    times: u32,
    hosts: u32,
) -> Vec<i32> {
    (0..times)
        .filter_map(|_| errors.record(now, sent, hosts))
        .collect()
}

#[test]
fn three_errors_a_host_in_a_row_demote_by_one() {
    for hosts in 1..=32 {
        let mut errors = SendErrors::new();
        assert_eq!(record(&mut errors, false, 3 * hosts - 1, hosts), NONE);
        assert_eq!(errors.record(NOW, false, hosts), Some(1));
        // and not again
        assert_eq!(record(&mut errors, false, 1000, hosts), NONE);
    }
}

#[test]
fn as_many_successes_in_a_row_take_it_back() {
    for hosts in 1..=32 {
        let mut errors = SendErrors::new();
        let _ = record(&mut errors, false, 3 * hosts, hosts);
        assert_eq!(record(&mut errors, true, 3 * hosts - 1, hosts), NONE);
        assert_eq!(errors.record(NOW, true, hosts), Some(-1));
        assert_eq!(errors, SendErrors::new());
        assert_eq!(record(&mut errors, true, 1000, hosts), NONE);
        assert_eq!(record(&mut errors, false, 3 * hosts, hosts), [1]);
    }
}

#[test]
fn a_row_is_interrupted_by_the_opposite() {
    let mut errors = SendErrors::new();
    for _ in 0..10 {
        assert_eq!(record(&mut errors, false, 2, 1), NONE);
        assert_eq!(record(&mut errors, true, 1, 1), NONE);
    }
    assert_eq!(record(&mut errors, false, 3, 1), [1]);
    for _ in 0..10 {
        assert_eq!(record(&mut errors, true, 2, 1), NONE);
        assert_eq!(record(&mut errors, false, 1, 1), NONE);
    }
    assert_eq!(record(&mut errors, true, 3, 1), [-1]);
}

#[test]
fn who_sends_nothing_any_more_is_tried_ten_seconds_after_its_last_error() {
    let mut errors = SendErrors::new();
    assert_eq!(errors.deadline(), None);
    let _ = record(&mut errors, false, 3, 1);
    assert_eq!(errors.deadline(), Some(after(10)));
    // it failed once more, and heard then that another is master
    let _ = record_at(&mut errors, after(1), false, 1, 1);
    assert_eq!(errors.deadline(), Some(after(11)));
    assert_eq!(errors.expired(after(10)), None);
    assert_eq!(errors.expired(after(11)), Some(-1));
    assert_eq!(errors.expired(after(11)), None);
    assert_eq!(errors.deadline(), None);
}

#[test]
fn a_trial_that_fails_doubles_the_time_up_to_320_seconds() {
    let mut errors = SendErrors::new();
    let mut now = NOW;
    for wait in [10, 20, 40, 80, 160, 320, 320] {
        assert_eq!(record_at(&mut errors, now, false, 3, 1), [1]);
        let trial = Instant(now.0 + wait * 1_000_000_000);
        assert_eq!(errors.deadline(), Some(trial));
        assert_eq!(errors.expired(trial), Some(-1));
        // a success or two prove nothing
        assert_eq!(record_at(&mut errors, trial, true, 2, 1), NONE);
        now = trial;
    }
}

#[test]
fn a_trial_that_succeeds_ends_it() {
    let mut errors = SendErrors::new();
    let _ = record(&mut errors, false, 3, 1);
    let _ = errors.expired(after(10));
    assert_eq!(record_at(&mut errors, after(10), true, 3, 1), NONE);
    assert_eq!(errors, SendErrors::new());
}

#[test]
fn a_reset_takes_back_what_was_demoted() {
    let mut errors = SendErrors::new();
    assert_eq!(errors.reset(), None);
    let _ = record(&mut errors, false, 3, 1);
    assert_eq!(errors.reset(), Some(-1));
    assert_eq!(errors, SendErrors::new());
    // during a trial nothing is demoted
    let _ = record(&mut errors, false, 3, 1);
    let _ = errors.expired(after(10));
    assert_eq!(errors.reset(), None);
    assert_eq!(errors, SendErrors::new());
}

proptest! {
    #[test]
    fn what_send_errors_demote_is_always_zero_or_one(
        results in prop::collection::vec((any::<bool>(), 0u32..5, 0u64..20), 0..500),
    ) {
        // also when the number of virtual hosts changes meanwhile
        let mut errors = SendErrors::new();
        let (mut demoted, mut now) = (0, NOW);
        for (sent, hosts, seconds) in results {
            now = Instant(now.0 + seconds * 1_000_000_000);
            demoted += errors.expired(now).unwrap_or(0);
            demoted += errors.record(now, sent, hosts).unwrap_or(0);
            prop_assert!(demoted == 0 || demoted == 1);
            prop_assert_eq!(errors.deadline().is_some(), demoted == 1);
        }
        demoted += errors.reset().unwrap_or(0);
        prop_assert_eq!(demoted, 0);
    }
}

proptest! {
    /// Who does not tell of successes when they do not count comes to the same.
    #[test]
    fn successes_that_do_not_count_need_not_be_told(
        results in proptest::collection::vec((any::<bool>(), 0..30_u64), 0..200),
        hosts in 1..4_u32,
    ) {
        let (mut all, mut some) = (SendErrors::new(), SendErrors::new());
        let mut now = 0;
        for (sent, seconds) in results {
            now += seconds;
            prop_assert_eq!(all.expired(after(now)), some.expired(after(now)));
            let by = all.record(after(now), sent, hosts);
            if sent && !some.counts_successes() {
                prop_assert_eq!(by, None);
            } else {
                prop_assert_eq!(by, some.record(after(now), sent, hosts));
            }
            prop_assert_eq!(all, some);
        }
    }
}
