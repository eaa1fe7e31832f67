// SPDX-License-Identifier: GPL-2.0

//! Who listens, and who has missed something.

use carp_proto::pfsync::bulk_answer::CONFIRMED_WITHIN;
use carp_proto::pfsync::listener::{Listener, SILENCE, UNANSWERED_MAX};
use carp_proto::pfsync::time::Instant;

/// One that has confirmed something, and was heard then.
fn known() -> Listener {
    let mut listener = Listener::default();
    assert!(!listener.heard(at(0)));
    listener.confirmed();
    listener
}

const fn at(ms: u64) -> Instant {
    Instant(ms * 1_000_000)
}

#[test]
fn nobody_is_there_at_first() {
    let mut listener = Listener::default();
    assert!(!listener.is_there());
    assert!(!listener.asks(at(100_000), true));
    listener.unanswered(at(100_000), true);
    assert!(
        !listener.heard(at(100_001)),
        "who comes later asks by itself"
    );
    assert!(listener.is_there());
}

#[test]
fn gone_after_too_much_that_nobody_confirmed() {
    let mut listener = Listener::default();
    listener.heard(at(0));
    for _ in 1..UNANSWERED_MAX {
        listener.unanswered(at(10), true);
        assert!(listener.is_there());
    }
    listener.unanswered(at(10), true);
    assert!(!listener.is_there());
    listener.heard(at(20));
    assert!(listener.is_there());
}

#[test]
fn a_word_between_counts_from_the_beginning() {
    let mut listener = Listener::default();
    for _ in 0..3 {
        listener.heard(at(0));
        for _ in 1..UNANSWERED_MAX {
            listener.unanswered(at(1), true);
        }
        assert!(listener.is_there());
    }
}

#[test]
fn who_was_cut_off_has_missed_what_was_not_confirmed() {
    let mut listener = known();
    listener.unanswered(at(4000), true);
    assert!(listener.is_there(), "it may be the only state");
    listener.unanswered(at(4000), true);
    assert!(listener.heard(at(9000)));
    assert!(!listener.heard(at(9001)), "told once");
}

#[test]
fn who_answers_otherwise_does_not_want_that_state() {
    let mut listener = known();
    listener.heard(at(3000));
    listener.unanswered(at(5500), true);
    assert!(!listener.heard(at(9000)));
}

#[test]
fn asks_while_something_is_not_confirmed_or_was_missed() {
    let mut listener = known();
    assert!(!listener.asks(at(999), true));
    assert!(listener.asks(at(1000), true));
    assert!(!listener.asks(at(100_000), false), "nothing to be said");
    listener.unanswered(at(5000), true);
    assert!(listener.asks(at(100_000), false));
    listener.heard(at(100_001));
    assert!(!listener.asks(at(200_000), false));
}

#[test]
fn who_confirms_nothing_at_all_cannot_be_missed() {
    let mut listener = Listener::default();
    listener.heard(at(0));
    assert!(!listener.asks(at(2000), true));
    listener.unanswered(at(6000), true);
    assert!(!listener.heard(at(9000)));
    listener.confirmed();
    listener.unanswered(at(20_000), true);
    assert!(listener.heard(at(20_001)), "but later it may be");
}

#[test]
fn what_openbsd_knows_it_does_not_confirm() {
    let mut listener = known();
    listener.unanswered(at(6000), false);
    assert!(!listener.heard(at(9000)));
}

#[test]
fn who_comes_back_just_before_a_state_is_given_up() {
    let mut listener = known();
    let back = u64::from(SILENCE.0);
    assert!(!listener.came_back(at(back)));
    assert!(!listener.heard(at(back)), "nothing was given up");
    // a word more does not end it
    listener.heard(at(back + 100));
    let ends = back + u64::from(CONFIRMED_WITHIN.0);
    assert!(listener.came_back(at(back)));
    assert!(listener.came_back(at(ends - 1)));
    assert!(!listener.came_back(at(ends)));
}

#[test]
fn who_was_silent_for_a_moment_does_not_come_back() {
    let mut listener = known();
    listener.heard(at(u64::from(SILENCE.0) - 1));
    assert!(!listener.came_back(at(u64::from(SILENCE.0))));
    let mut first = Listener::default();
    first.heard(at(100_000));
    assert!(!first.came_back(at(100_000)), "who is new asks by itself");
}

#[test]
fn who_may_have_missed_a_deletion() {
    let mut listener = known();
    listener.told_of_deletion(at(100));
    assert!(!listener.asks(at(999), false));
    assert!(listener.asks(at(1000), false));
    assert!(!listener.heard(at(1100)), "the answer came at once");
    assert!(!listener.asks(at(5000), false), "it is settled");
    listener.told_of_deletion(at(5000));
    assert!(listener.heard(at(5000 + u64::from(SILENCE.0))));
    assert!(!listener.heard(at(20_000)), "that was answered");
}

#[test]
fn it_is_the_time_since_the_deletion_that_counts() {
    let mut listener = known();
    // nobody had anything to say for long
    listener.told_of_deletion(at(100_000));
    listener.told_of_deletion(at(100_900));
    assert!(listener.asks(at(101_000), false));
    assert!(!listener.heard(at(101_001)), "it was there all the time");
}

#[test]
fn who_confirms_nothing_is_not_asked_about_a_deletion() {
    let mut listener = Listener::default();
    listener.heard(at(0));
    listener.told_of_deletion(at(0));
    assert!(!listener.asks(at(1000), false));
    assert!(!listener.heard(at(10_000)));
}
