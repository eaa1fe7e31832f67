// SPDX-License-Identifier: GPL-2.0

//! The window.

use crate::common::{at, time, HOUR, MONOTONIC, NOW, SECOND, YEAR};
use carp_proto::auth::freshness::{Freshness, Window};
use carp_proto::auth::sequence::Sequence;
use carp_proto::carp::time::Interval;

#[test]
fn a_window_is_1_to_300_seconds() {
    let seconds = |seconds| Window::new(seconds).map(Window::seconds);
    assert_eq!(seconds(0), None);
    assert_eq!(seconds(1), Some(1));
    assert_eq!(seconds(300), Some(300));
    assert_eq!(seconds(301), None);
    assert_eq!(seconds(65_536 + 5), None);
}

#[test]
fn the_default_is_the_greater_of_5_seconds_and_three_intervals() {
    let default = |advbase, advskew| {
        let interval = Interval::between_advertisements(advbase, advskew);
        Window::default_for(interval).seconds()
    };
    assert_eq!(default(0, 0), 5);
    assert_eq!(default(1, 0), 5);
    assert_eq!(default(1, 170), 5, "4.99 s");
    assert_eq!(default(1, 171), 6, "5.004 s");
    assert_eq!(default(2, 0), 6);
    assert_eq!(default(10, 128), 32, "31.5 s");
    assert_eq!(default(100, 0), 300);
    assert_eq!(default(100, 1), 300, "no more than there is");
    assert_eq!(default(254, 254), 300);
    assert_eq!(Window::default_for(Interval(u32::MAX)).seconds(), 300);
}

#[test]
fn a_number_further_from_the_clock_than_the_window_is_stale() {
    let clock = at(NOW);
    let stale = |unix| time(5).is_stale(at(unix), clock);
    assert!(!stale(NOW) && !stale(NOW - 5 * SECOND) && !stale(NOW + 5 * SECOND));
    let units = |by: i64| Sequence::from_bits(clock.to_bits().wrapping_add_signed(by));
    let window = 5_i64 << 32;
    for (by, stale) in [
        (window, false),
        (window + 1, true),
        (-window, false),
        (-window - 1, true),
        (i64::MIN, true),
        (i64::MAX, true),
    ] {
        assert_eq!(time(5).is_stale(units(by), clock), stale, "{by}");
    }
    for far in [HOUR, YEAR, 30 * YEAR] {
        assert!(stale(NOW - far) && stale(NOW + far));
        assert!(!MONOTONIC.is_stale(at(NOW - far), clock));
        assert!(!MONOTONIC.is_stale(at(NOW + far), clock));
    }
}

#[test]
fn a_mark_expires_only_ahead_of_the_clock() {
    let clock = at(NOW);
    assert!(time(5).is_expired(at(NOW + 6 * SECOND), clock));
    assert!(!time(5).is_expired(at(NOW + 5 * SECOND), clock));
    assert!(!time(5).is_expired(at(NOW - YEAR), clock));
    assert!(!MONOTONIC.is_expired(at(NOW + YEAR), clock));
}

#[test]
fn the_window_holds_where_seconds_begin_again() {
    let end = (1 << 32) * SECOND;
    for freshness in [time(1), time(300)] {
        assert!(!freshness.is_stale(at(end), at(end - SECOND)));
        assert!(!freshness.is_stale(at(end - SECOND), at(end)));
        assert!(freshness.is_stale(at(end + 301 * SECOND), at(end - SECOND)));
    }
    assert_ne!(Freshness::Monotonic, time(1));
}
