// SPDX-License-Identifier: GPL-2.0

//! Spans in milliseconds, and whole seconds and milliseconds between two points.

use crate::common::{at, MS};
use carp_proto::pfsync::time::{millis_since, seconds_before, seconds_since, Instant, Millis};
use proptest::prelude::*;

#[test]
fn seconds_that_have_begun_do_not_count() {
    for (ms, seconds) in [(0, 0), (999, 0), (1000, 1), (1999, 1), (90_000, 90)] {
        assert_eq!(seconds_since(at(500), at(500 + ms)), seconds, "{ms}");
    }
    assert_eq!(seconds_since(at(2000), at(1000)), 0);
    assert_eq!(seconds_since(at(0), Instant(u64::MAX)), u32::MAX);
}

#[test]
fn milliseconds_that_have_begun_do_not_count() {
    for (ns, ms) in [(0, 0), (MS - 1, 0), (MS, 1), (1234 * MS + 5, 1234)] {
        assert_eq!(millis_since(at(7), Instant(7 * MS + ns)), ms, "{ns}");
    }
    assert_eq!(millis_since(at(2000), at(1000)), 0);
}

#[test]
fn nothing_was_before_the_beginning_of_time() {
    assert_eq!(seconds_before(at(7500), 7), at(500));
    assert_eq!(seconds_before(at(7500), 8), at(0));
    assert_eq!(seconds_before(at(7500), u32::MAX), at(0));
}

#[test]
fn a_second_has_a_thousand_milliseconds() {
    assert_eq!(Millis::from_secs(3), Millis(3000));
    assert_eq!(Millis::from_secs(u32::MAX), Millis(u32::MAX));
    assert_eq!(Millis(300).plus(Millis(45)), Millis(345));
    assert_eq!(Millis(u32::MAX).plus(Millis(1)), Millis(u32::MAX));
    assert_eq!(Millis(345).after(at(5)), at(350));
}

proptest! {
    #[test]
    fn time_stops_at_its_end(ms in any::<u32>(), start in any::<u64>()) {
        let end = Millis(ms).after(Instant(start));
        prop_assert!(end >= Instant(start));
    }
}
