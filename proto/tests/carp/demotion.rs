// SPDX-License-Identifier: GPL-2.0

//! Demotion counters, and who is told.

use crate::common::theirs;
use carp_proto::carp::demotion::{
    count, is_automatic, visible_to_all, Counter, GroupName, DEMOTED_ADVSKEW,
};

fn counter(value: i32) -> Counter {
    let mut counter = Counter::default();
    counter.adjust(value);
    assert_eq!(counter.get(), value as u32);
    counter
}

// --- automatic demotion ---

#[test]
fn automatic_demotion_stops_at_zero() {
    let mut group = counter(2);
    group.adjust(-5);
    assert_eq!(group.get(), 0);
    group.adjust(3);
    assert_eq!(group.get(), 3);
    group.adjust(i32::MIN);
    assert_eq!(group.get(), 0);
}

#[test]
fn automatic_demotion_may_exceed_255_but_not_overflow() {
    let mut group = counter(255);
    group.adjust(1);
    assert_eq!(group.get(), 256);
    for _ in 0..3 {
        group.adjust(i32::MAX);
    }
    assert_eq!(group.get(), u32::MAX);
}

#[test]
fn masters_advertise_when_an_automatic_increase_leaves_exactly_one() {
    assert!(counter(0).adjust(1));
    assert!(!counter(0).adjust(2));
    assert!(!counter(1).adjust(1));
    // not when a decrease does, and not for nothing
    assert!(!counter(2).adjust(-1));
    assert!(!counter(1).adjust(0));
}

#[test]
fn the_group_of_all_interfaces_is_skipped() {
    assert!(!is_automatic(b"all"));
    for group in [&b"carp"[..], b"al", b"all2", b"ALL", b""] {
        assert!(is_automatic(group));
    }
}

// --- the interface's count ---

/// Groups that carry automatic demotion.
fn groups<const N: usize>(counters: [u32; N]) -> [(bool, Counter); N] {
    counters.map(|it| (true, Counter::new(it)))
}

#[test]
fn the_count_is_the_sum_over_the_groups() {
    let none = Counter::default();
    assert_eq!(count([], none), 0);
    assert_eq!(count(groups([3, 4]), none), 7);
    assert_eq!(count(groups([1, 0]), counter(2)), 1);
}

#[test]
fn the_count_is_at_most_255() {
    let none = Counter::default();
    assert_eq!(count(groups([255, 1]), none), 255);
    assert_eq!(count(groups([256]), none), 255);
    let mut most = counter(i32::MAX);
    most.adjust(i32::MAX);
    assert_eq!(count(groups([most.get(); 3]), none), 255);
    assert_eq!(count([], most), 255);
    assert_eq!(count([(false, most)], most), 255);
}

#[test]
fn the_own_share_counts_where_no_group_carries_it() {
    assert_eq!(count([], counter(2)), 2);
    let all = |value| (false, Counter::new(value));
    assert_eq!(count([all(0)], counter(2)), 2);
    assert_eq!(count([all(3)], counter(2)), 5);
    assert_eq!(count([all(3), (true, counter(2))], counter(2)), 5);
}

// --- peers that ignore the count ---

#[test]
fn a_demoted_host_can_raise_its_advskew_for_freebsd_and_ucarp() {
    assert_eq!(DEMOTED_ADVSKEW, 240);
    for (own, sent) in [
        (0, 240),
        (16, 240),
        (17, 241),
        (100, 245),
        (240, 254),
        (254, 254),
    ] {
        assert_eq!(visible_to_all(theirs(1, own, 1)), theirs(1, sent, 1));
    }
    assert_eq!(visible_to_all(theirs(1, 100, 0)), theirs(1, 100, 0));
    // and still bows out
    assert!(visible_to_all(theirs(255, 255, 1)).is_bow_out());
}

#[test]
fn a_groups_name_is_not_an_interfaces() {
    for name in ["carp", "a", "egress", "fifteen-letters", "x_y.z"] {
        let group = GroupName::new(name.as_bytes()).expect(name);
        assert_eq!(group.as_str(), name);
    }
    for name in [
        "",
        "carp0",
        "9",
        "a b",
        "a/b",
        "sixteen-letters-",
        "caf\u{e9}",
        "a\0",
    ] {
        assert_eq!(GroupName::new(name.as_bytes()), None, "{name:?}");
    }
}
