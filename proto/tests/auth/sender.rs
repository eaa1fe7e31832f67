// SPDX-License-Identifier: GPL-2.0

//! The numbers of what is sent.

use crate::common::{at, time, HOUR, MONOTONIC, MS, NOW, SECOND, YEAR};
use carp_proto::auth::sender::Sender;

#[test]
fn the_next_number_is_the_greater_of_the_clock_and_the_last_one_plus_1() {
    for freshness in [time(5), MONOTONIC] {
        let mut sender = Sender::new();
        let mut next = |unix| sender.next(freshness, at(unix));
        assert_eq!(next(NOW), at(NOW));
        assert_eq!(next(NOW), at(NOW).next(), "within one moment");
        assert_eq!(next(NOW), at(NOW).next().next());
        assert_eq!(next(NOW + MS), at(NOW + MS));
        assert_eq!(next(NOW), at(NOW + MS).next(), "the clock was set back");
        assert_eq!(next(NOW + SECOND), at(NOW + SECOND));
    }
}

#[test]
fn numbers_go_back_with_the_clock_once_the_last_is_beyond_the_window() {
    let mut sender = Sender::new();
    let mut next = |unix| sender.next(time(5), at(unix));
    assert_eq!(next(NOW), at(NOW));
    assert_eq!(next(NOW - 5 * SECOND), at(NOW).next(), "just within it");
    assert_eq!(next(NOW - 5 * SECOND - MS), at(NOW - 5 * SECOND - MS));
    for back in [HOUR, YEAR, 40 * YEAR] {
        assert_eq!(next(NOW), at(NOW));
        assert_eq!(next(NOW - back), at(NOW - back));
        assert_eq!(next(NOW - back), at(NOW - back).next());
    }
}

#[test]
fn without_a_common_clock_numbers_never_go_back() {
    let mut sender = Sender::new();
    let mut next = |unix| sender.next(MONOTONIC, at(unix));
    assert_eq!(next(NOW), at(NOW));
    assert_eq!(next(NOW - HOUR), at(NOW).next());
    assert_eq!(next(NOW - 40 * YEAR), at(NOW).next().next());
}

#[test]
fn numbers_grow_where_seconds_begin_again() {
    let end = (1 << 32) * SECOND;
    for freshness in [time(1), MONOTONIC] {
        let mut sender = Sender::default();
        let mut last = sender.next(freshness, at(end - SECOND));
        for tick in 1..=40 {
            let next = sender.next(freshness, at(end - SECOND + tick * 50 * MS));
            assert!(next.is_after(last));
            last = next;
        }
        assert_eq!(last, at(end + SECOND));
    }
}
