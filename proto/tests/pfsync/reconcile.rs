// SPDX-License-Identifier: GPL-2.0

//! Which names are over, and which copies are asked for after a bulk update.

use crate::common::at;
use carp_proto::pfsync::id::{Creator, StateId};
use carp_proto::pfsync::names::Names;
use carp_proto::pfsync::reconcile::{Reconcile, AGAIN, EVERY};

const HERE: Creator = *b"here";
const PEER: Creator = *b"peer";
const OTHER: Creator = *b"othr";

fn names() -> Names {
    Names::new(HERE, [1, 2, 3, 4])
}

fn named(creator: Creator) -> StateId {
    StateId {
        id: [0, 0, 0, 0, 0, 0, 0, 5],
        creator,
    }
}

/// The same number, and so many more.
fn after(id: &StateId, more: u64) -> StateId {
    StateId {
        id: (u64::from_be_bytes(id.id) + more).to_be_bytes(),
        creator: id.creator,
    }
}

#[test]
fn names_grow_and_those_that_were_given_are_over() {
    let mut names = names();
    let first = names.give();
    let second = names.give();
    assert_eq!(first.creator, HERE);
    assert!(first < second);
    assert!(names.is_over(&first) && names.is_over(&second));
    // Not given yet, and not ours.
    assert!(!names.is_over(&after(&second, 1)));
    assert!(!names.is_over(&StateId {
        creator: PEER,
        ..first
    }));
    assert!(!names.is_over(&StateId::EVERYTHING));
}

#[test]
fn another_start_has_other_names() {
    let before = Names::new(HERE, [0, 0, 0, 1]).give();
    assert!(!names().is_over(&before));
}

#[test]
fn what_goes_on_at_a_peer_is_not_over() {
    let mut names = names();
    let ids = [names.give(), names.give(), names.give()];
    names.handed_over(&ids[1]);
    assert_eq!(ids.map(|id| names.is_over(&id)), [false, false, true]);
    // An older one does not take that back, nor one of somebody else.
    names.handed_over(&ids[0]);
    names.handed_over(&StateId {
        creator: PEER,
        ..ids[2]
    });
    assert_eq!(ids.map(|id| names.is_over(&id)), [false, false, true]);
}

#[test]
fn what_nobody_has_watched_is_not_over() {
    let mut names = names();
    let before = names.give();
    names.unwatched();
    let since = names.give();
    assert!(!names.is_over(&before));
    assert!(names.is_over(&since));
}

/// A bulk update of a second, which has ended now.
fn ended() -> Reconcile {
    let mut reconcile = Reconcile::default();
    reconcile.started(at(1000), PEER);
    assert_eq!(reconcile.deadline(), None);
    assert!(reconcile.ended(at(2000), PEER));
    assert_eq!(reconcile.deadline(), Some(at(2000)));
    reconcile
}

#[test]
fn what_was_not_named_since_start_is_asked_for() {
    let reconcile = ended();
    for (creator, heard, asks) in [
        (PEER, 999, true),
        (PEER, 1000, false),
        (PEER, 1500, false),
        (OTHER, 10, false),
        (HERE, 10, false),
    ] {
        assert_eq!(reconcile.asks_for(&named(creator), at(heard)), asks);
    }
    assert!(!Reconcile::default().asks_for(&named(PEER), at(10)));
}

#[test]
fn start_is_said_several_times_and_the_first_counts() {
    let mut reconcile = Reconcile::default();
    reconcile.started(at(1000), PEER);
    reconcile.started(at(1900), PEER);
    assert!(reconcile.ended(at(2000), PEER));
    assert!(!reconcile.asks_for(&named(PEER), at(1500)));
}

#[test]
fn an_end_without_its_start_says_nothing() {
    let mut reconcile = Reconcile::default();
    assert!(!reconcile.ended(at(2000), PEER));
    // They come in one frame, for who has missed the first START.
    reconcile.started(at(3000), PEER);
    assert!(!reconcile.ended(at(3000), PEER));
    // That of another host.
    reconcile.started(at(4000), OTHER);
    assert!(!reconcile.ended(at(5000), PEER));
    assert_eq!(reconcile.deadline(), None);
    assert!(reconcile.ended(at(6000), OTHER));
}

#[test]
fn several_answer_at_once() {
    let mut reconcile = Reconcile::default();
    for (ms, creator) in [(1000, PEER), (1100, OTHER)] {
        reconcile.started(at(ms), creator);
    }
    // START comes once more with END.
    reconcile.started(at(2000), PEER);
    assert!(reconcile.ended(at(2000), PEER));
    reconcile.looked(at(2000), true, true);
    reconcile.started(at(2500), OTHER);
    assert!(reconcile.ended(at(2500), OTHER));
    assert!(reconcile.asks_for(&named(PEER), at(999)));
    assert!(reconcile.asks_for(&named(OTHER), at(1050)));
    assert!(!reconcile.asks_for(&named(PEER), at(1050)));
    assert_eq!(reconcile.deadline(), Some(at(2500)), "from the beginning");
    // More than there is room for: the oldest are forgotten.
    for number in 0..9 {
        reconcile.started(at(3000 + u64::from(number)), [number; 4]);
    }
    assert!(!reconcile.ended(at(4000), [4; 4]));
    for number in 5..9 {
        assert!(reconcile.ended(at(4000), [number; 4]));
    }
}

#[test]
fn an_update_counts_once() {
    let mut reconcile = ended();
    reconcile.looked(at(2000), false, true);
    assert!(!reconcile.ended(at(3000), PEER));
}

#[test]
fn passes_go_on_while_something_is_asked_for() {
    let mut reconcile = ended();
    let mut now = at(2000);
    for pass in 0..3 {
        // The first records, then the last ones.
        reconcile.looked(now, pass < 2, false);
        now = EVERY.after(now);
        assert_eq!(reconcile.deadline(), Some(now));
        reconcile.looked(now, true, true);
        now = AGAIN.after(now);
        assert_eq!(reconcile.deadline(), (pass < 2).then_some(now));
    }
    assert!(!reconcile.asks_for(&named(PEER), at(10)));
}

#[test]
fn nothing_asked_for_ends_it() {
    let mut reconcile = ended();
    // What was asked for in the first pass does not count in the second.
    reconcile.looked(at(2000), true, false);
    reconcile.looked(at(2005), false, true);
    assert_eq!(reconcile.deadline(), Some(at(3005)));
    reconcile.looked(at(3005), false, true);
    assert_eq!(reconcile.deadline(), None);
    // Nothing is left to be looked at.
    reconcile.looked(at(3010), true, true);
    assert_eq!(reconcile.deadline(), None);
}
