// SPDX-License-Identifier: GPL-2.0

//! How long a master and a backup wait.

use crate::common::{skew, SECOND};
use carp_proto::carp::time::{Instant, Interval};

fn every_pair() -> impl Iterator<Item = (u8, u8)> {
    (0..=255).flat_map(|advbase| (0..=255).map(move |advskew| (advbase, advskew)))
}

#[test]
fn a_unit_is_exact() {
    assert_eq!(Interval(1).as_nanos(), 3_906_250);
    assert_eq!(Interval(256).as_nanos(), SECOND);
}

#[test]
fn advbase_and_advskew_add_up() {
    for (advbase, advskew) in every_pair() {
        let expected = u64::from(advbase) * SECOND + skew(u64::from(advskew));
        assert_eq!(Interval::new(advbase, advskew).as_nanos(), expected);
    }
}

#[test]
fn hosts_compare_as_openbsd_compares_them() {
    // there: seconds, then microseconds rounded down
    let timeval = |(advbase, advskew): (u8, u8)| (advbase, u64::from(advskew) * 1_000_000 / 256);
    let mut previous = None;
    for pair in every_pair() {
        let (ours, theirs) = (Interval::new(pair.0, pair.1), previous);
        if let Some(theirs) = theirs {
            let (advbase, advskew) = theirs;
            assert!(timeval(theirs) < timeval(pair));
            assert!(Interval::new(advbase, advskew) < ours);
        }
        previous = Some(pair);
    }
}

#[test]
fn a_master_waits_advbase_plus_advskew() {
    for (advbase, advskew) in every_pair().skip(1) {
        let expected = u64::from(advbase) * SECOND + skew(u64::from(advskew));
        let interval = Interval::between_advertisements(advbase, advskew);
        assert_eq!(interval.as_nanos(), expected);
    }
}

#[test]
fn a_master_with_neither_waits_a_256th() {
    let interval = Interval::between_advertisements(0, 0);
    assert_eq!(interval.as_nanos(), skew(1));
}

#[test]
fn a_backup_waits_three_times_advbase_plus_advskew() {
    for (advbase, advskew) in every_pair().filter(|(advbase, _)| *advbase > 0) {
        let expected = 3 * u64::from(advbase) * SECOND + skew(u64::from(advskew));
        let interval = Interval::until_master_down(advbase, advskew);
        assert_eq!(interval.as_nanos(), expected);
    }
}

#[test]
fn a_backup_without_advbase_waits_three_times_advskew() {
    for advskew in 1..=255 {
        let interval = Interval::until_master_down(0, advskew);
        assert_eq!(interval.as_nanos(), skew(3 * u64::from(advskew)));
    }
}

#[test]
fn a_backup_with_neither_waits_three_256ths() {
    let interval = Interval::until_master_down(0, 0);
    assert_eq!(interval.as_nanos(), skew(3));
}

#[test]
fn no_seconds_are_no_interval() {
    assert_eq!(Interval::from_seconds(0), None);
    for seconds in 1..=255 {
        let nanos = Interval::from_seconds(seconds).map(Interval::as_nanos);
        assert_eq!(nanos, Some(u64::from(seconds) * SECOND));
    }
}

#[test]
fn time_stops_at_its_end() {
    let end = Instant(u64::MAX);
    assert_eq!(end.after(Interval(1)), end);
    assert_eq!(Instant(u64::MAX - 1).after(Interval(u32::MAX)), end);
    assert_eq!(Instant(5).after(Interval(256)), Instant(SECOND + 5));
}
