// SPDX-License-Identifier: GPL-2.0

//! What is told until somebody confirms it.

use crate::common::at;
use crate::pending::{queued, to, told, CONFIRM, QUIET};
use carp_proto::pfsync::listener::SILENCE;
use carp_proto::pfsync::merge::Verdict;
use carp_proto::pfsync::pending::{
    Pending, Place, Queue, ATTEMPTS, CONFIRM_WITHIN, DELETE_ATTEMPTS,
};
use carp_proto::pfsync::state::FLAG_ACK;

#[test]
fn the_last_change_of_an_idle_state_is_confirmed() {
    let mut pending = told();
    let _ = pending.updated(&CONFIRM, at(0), true);
    // what waits says it already
    assert_eq!(
        to(pending.settled()),
        (queued(Queue::UpdateCompressed), false)
    );
    let _ = pending.sent(&CONFIRM, at(1000));
    assert_eq!(pending.place(), Place::Nowhere, "nobody confirms an UPD_C");
    assert_eq!(to(pending.settled()), (queued(Queue::Update), false));
    assert_eq!(pending.flags(&CONFIRM), FLAG_ACK);
    let _ = pending.sent(&CONFIRM, at(2000));
    assert_eq!(pending.place(), Place::Awaiting);
    // it is in good hands
    assert_eq!(to(pending.settled()), (Place::Awaiting, false));
    assert_eq!(to(pending.acknowledged()), (Place::Nowhere, false));
    let _ = pending.deleted();
    assert_eq!(
        to(pending.settled()),
        (queued(Queue::DeleteCompressed), false)
    );
}

#[test]
fn what_is_confirmed_is_not_told_again() {
    let mut pending = told();
    assert_eq!(to(pending.settled()), (Place::Nowhere, false));
    let _ = pending.updated(&CONFIRM, at(0), true);
    let _ = pending.sent(&CONFIRM, at(1000));
    // a peer that is not behind knows the change
    let _ = pending.updated_by_peer(at(1000), Verdict::both(true), false);
    assert_eq!(to(pending.settled()), (Place::Nowhere, false));
    let _ = pending.updated(&CONFIRM, at(2000), true);
    let _ = pending.sent(&CONFIRM, at(3000));
    // one that is behind does not
    let _ = pending.updated_by_peer(at(3000), Verdict::both(false), false);
    assert!(pending.is_unsettled());
    let _ = pending.updated(&CONFIRM, at(4000), true);
    let _ = pending.sent(&CONFIRM, at(5000));
    let _ = pending.sent_in_bulk(&CONFIRM, at(5000));
    let _ = pending.acknowledged();
    assert_eq!(to(pending.settled()), (Place::Nowhere, false));
}

#[test]
fn a_change_that_has_arrived_is_not_told_again() {
    let mut pending = told();
    let _ = pending.updated(&CONFIRM, at(0), true);
    let _ = pending.sent(&CONFIRM, at(1000));
    assert!(pending.is_unsettled());
    assert_eq!(to(pending.arrived()), (Place::Nowhere, false));
    assert!(!pending.is_unsettled());
    assert_eq!(to(pending.settled()), (Place::Nowhere, false));
    // and a new state is confirmed by that as by an INS_ACK
    let (mut pending, _) = Pending::created(true);
    let _ = pending.sent(&CONFIRM, at(0));
    assert_eq!(pending.place(), Place::Awaiting);
    assert_eq!(to(pending.arrived()), (Place::Nowhere, false));
    assert_eq!(pending.flags(&CONFIRM), 0);
    // of what has changed since, that change is still to be told
    let _ = pending.requested();
    let _ = pending.sent(&CONFIRM, at(10));
    let _ = pending.updated(&CONFIRM, at(11), true);
    assert_eq!(
        to(pending.arrived()),
        (queued(Queue::UpdateCompressed), false)
    );
}

#[test]
fn who_is_asked_whether_he_is_there_has_not_confirmed_the_last_change() {
    let mut pending = told();
    let _ = pending.updated(&CONFIRM, at(0), true);
    let _ = pending.acknowledged();
    let _ = pending.sent(&CONFIRM, at(1000));
    let _ = pending.ask();
    let _ = pending.sent(&CONFIRM, at(1001));
    assert_eq!(to(pending.settled()), (queued(Queue::Update), false));
    // and asking alone leaves nothing to be settled
    let _ = pending.sent(&CONFIRM, at(2000));
    let _ = pending.acknowledged();
    let _ = pending.ask();
    let _ = pending.sent(&CONFIRM, at(3000));
    assert_eq!(to(pending.settled()), (Place::Nowhere, false));
}

#[test]
fn a_change_that_is_told_whole_to_a_peer_who_has_the_state_is_confirmed_as_well() {
    let (mut pending, _) = Pending::created(false);
    let _ = pending.sent(&CONFIRM, at(0));
    let _ = pending.updated_by_peer(at(100), Verdict::both(true), false);
    let _ = pending.requested();
    let _ = pending.acknowledged();
    assert_eq!(pending.place(), queued(Queue::Update));
    let _ = pending.sent(&CONFIRM, at(200));
    assert_eq!(pending.place(), Place::Nowhere);
    assert_eq!(to(pending.settled()), (queued(Queue::Update), false));
}

#[test]
fn what_is_not_confirmed_is_sent_again_as_an_update() {
    let (mut pending, _) = Pending::created(false);
    assert_eq!(pending.flags(&CONFIRM), FLAG_ACK);
    let mut now = 0;
    for _ in 1..ATTEMPTS {
        assert_eq!(pending.sent(&CONFIRM, at(now)).to, Place::Awaiting);
        let deadline = CONFIRM_WITHIN.after(at(now));
        assert_eq!(pending.deadline(), Some(deadline));
        assert!(!pending.timer(at(now + 499)).moves());
        now += 500;
        let step = pending.timer(at(now));
        assert_eq!(to(step), (queued(Queue::Update), true));
        assert_eq!(pending.flags(&CONFIRM), FLAG_ACK);
    }
    let _ = pending.sent(&CONFIRM, at(now));
    assert_eq!(to(pending.timer(at(now + 500))), (Place::Nowhere, false));
    assert_eq!(pending.flags(&CONFIRM), 0);
}

#[test]
fn attempts_at_nobody_do_not_count() {
    let (mut pending, _) = Pending::created(false);
    let mut now = 0;
    for _ in 0..ATTEMPTS {
        let _ = pending.sent(&CONFIRM, at(now));
        now += 500;
        pending.start_over();
        let step = pending.timer(at(now));
        assert_eq!(to(step), (queued(Queue::Update), true));
    }
    // but those to say that it is gone do
    let mut pending = told();
    let _ = pending.deleted();
    for _ in 1..DELETE_ATTEMPTS {
        pending.start_over();
        assert_eq!(pending.sent(&CONFIRM, at(now)).to, Place::Awaiting);
        now += 500;
        let _ = pending.timer(at(now));
    }
    pending.start_over();
    assert_eq!(pending.sent(&CONFIRM, at(now)).to, Place::Nowhere);
}

#[test]
fn a_confirmation_ends_that() {
    let (mut pending, _) = Pending::created(false);
    let _ = pending.sent(&CONFIRM, at(0));
    assert_eq!(to(pending.acknowledged()), (Place::Nowhere, false));
    // and so does whatever else a peer says of it
    let (mut pending, _) = Pending::created(false);
    let _ = pending.sent(&CONFIRM, at(0));
    let step = pending.updated_by_peer(at(1), Verdict::both(true), false);
    assert_eq!(step.from, Place::Awaiting);
    assert_eq!(to(step), (Place::Nowhere, false));
}

#[test]
fn what_changes_while_it_is_not_confirmed_waits_for_that() {
    let (mut pending, _) = Pending::created(false);
    let _ = pending.sent(&CONFIRM, at(0));
    let step = pending.updated(&CONFIRM, at(1), true);
    assert_eq!(to(step), (Place::Awaiting, false));
    // a peer has what it was: the change is news
    let step = pending.acknowledged();
    assert_eq!(step.from, Place::Awaiting);
    assert_eq!(to(step), (queued(Queue::UpdateCompressed), false));
    assert_eq!(pending.sent(&CONFIRM, at(2)).to, Place::Nowhere);
    // nobody has: it is sent whole
    let (mut pending, _) = Pending::created(false);
    let _ = pending.sent(&CONFIRM, at(0));
    let _ = pending.updated(&CONFIRM, at(1), true);
    assert_eq!(to(pending.timer(at(500))), (queued(Queue::Update), true));
    let _ = pending.sent(&CONFIRM, at(500));
    assert_eq!(to(pending.acknowledged()), (Place::Nowhere, false));
}

#[test]
fn changes_do_not_use_up_the_attempts() {
    let (mut pending, _) = Pending::created(false);
    let mut now = 0;
    // the last change is told of, although nobody confirms anything
    while pending.timer(at(now)).to != queued(Queue::UpdateCompressed) {
        if matches!(pending.place(), Place::Queued(_)) {
            let _ = pending.sent(&CONFIRM, at(now));
        }
        let _ = pending.updated(&CONFIRM, at(now), true);
        now += 100;
    }
    assert_eq!(now, u64::from(CONFIRM_WITHIN.0) * u64::from(ATTEMPTS));
    assert!(
        now > u64::from(SILENCE.0),
        "whoever missed it is found missing"
    );
}

#[test]
fn what_both_hosts_see_is_sent_whole_at_once_when_it_changes() {
    let (mut pending, _) = Pending::received(at(0), false);
    let _ = pending.requested();
    let _ = pending.sent(&CONFIRM, at(1));
    let step = pending.updated(&CONFIRM, at(2), true);
    assert_eq!(step.from, Place::Awaiting);
    assert_eq!(to(step), (queued(Queue::Update), true));
}

#[test]
fn a_delete_is_said_several_times() {
    let mut pending = told();
    let mut step = pending.deleted();
    for said in 1..=DELETE_ATTEMPTS {
        assert_eq!(step.to, queued(Queue::DeleteCompressed));
        assert_eq!(pending.flags(&CONFIRM), 0);
        let sent = pending.sent(&CONFIRM, at(0));
        if said == DELETE_ATTEMPTS {
            assert_eq!(sent.to, Place::Nowhere);
            return;
        }
        assert_eq!(sent.to, Place::Awaiting);
        step = pending.timer(at(500));
    }
    panic!("it is never done");
}

#[test]
fn what_is_deleted_twice_is_not_said_more_often() {
    let mut pending = told();
    let _ = pending.deleted();
    for _ in 1..DELETE_ATTEMPTS {
        assert_eq!(pending.sent(&CONFIRM, at(0)).to, Place::Awaiting);
        let _ = pending.timer(at(500));
        assert_eq!(
            to(pending.deleted()),
            (queued(Queue::DeleteCompressed), false)
        );
    }
    assert_eq!(pending.sent(&CONFIRM, at(0)).to, Place::Nowhere);
}

#[test]
fn a_bulk_update_waits_for_confirmation_too() {
    let mut pending = Pending::found();
    assert!(pending.is_bulk());
    assert_eq!(pending.sent_in_bulk(&CONFIRM, at(0)).to, Place::Awaiting);
    let step = pending.timer(at(500));
    assert_eq!(to(step), (queued(Queue::Update), true));
    let mut pending = Pending::found();
    assert_eq!(pending.sent_in_bulk(&QUIET, at(0)).to, Place::Nowhere);
    let (mut pending, _) = Pending::created(false);
    assert!(!pending.sent_in_bulk(&CONFIRM, at(0)).moves());
    let mut pending = told();
    let _ = pending.deleted();
    assert!(!pending.is_bulk(), "of what is gone it says nothing");
}
