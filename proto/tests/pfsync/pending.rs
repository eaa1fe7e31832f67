// SPDX-License-Identifier: GPL-2.0

//! What waits to be sent of each state.

use crate::common::at;
use carp_proto::pfsync::merge::Verdict;
use carp_proto::pfsync::outbox::{Leave, Outbox, DELAY_MAX};
use carp_proto::pfsync::pending::{
    Config, Pending, Place, Queue, Step, ATTEMPTS, DEFAULT_MAX_UPDATES,
};
use carp_proto::pfsync::state::FLAG_ACK;
use carp_proto::pfsync::time::Millis;
use proptest::prelude::*;

/// As OpenBSD does it.
pub const QUIET: Config = Config {
    max_updates: DEFAULT_MAX_UPDATES,
    confirm: false,
};

pub const CONFIRM: Config = Config {
    confirm: true,
    ..QUIET
};

pub const fn queued(queue: Queue) -> Place {
    Place::Queued(queue)
}

pub fn to(step: Step) -> (Place, bool) {
    (step.to, step.send_now)
}

/// A state that peers have been told of.
pub fn told() -> Pending {
    let (mut pending, _) = Pending::created(false);
    let _ = pending.sent(&QUIET, at(0));
    assert_eq!(pending.place(), Place::Nowhere);
    pending
}

#[test]
fn maxupd_is_128_by_default() {
    assert_eq!(Config::default().max_updates, 128);
}

#[test]
fn a_new_state_is_inserted_within_a_second() {
    let (pending, step) = Pending::created(false);
    assert_eq!(to(step), (queued(Queue::Insert), false));
    assert_eq!(pending.flags(&QUIET), 0);
    let mut outbox = Outbox::new(1500, 0);
    assert_eq!(outbox.apply(at(5), &step), Leave::Later);
    assert_eq!(DELAY_MAX, Millis(1000));
    assert_eq!(outbox.deadline(), Some(at(1005)));
}

#[test]
fn a_deferred_packet_makes_it_leave_at_once_and_asks_for_an_acknowledgement() {
    let (pending, step) = Pending::created(true);
    assert_eq!(to(step), (queued(Queue::Insert), true));
    assert_eq!(pending.flags(&QUIET), FLAG_ACK);
    assert_eq!(Outbox::new(1500, 0).apply(at(0), &step), Leave::Everything);
}

#[test]
fn an_insert_swallows_later_updates() {
    let (mut pending, _) = Pending::created(false);
    for _ in 0..100 {
        let step = pending.updated(&QUIET, at(1), true);
        assert!(!step.moves() && !step.send_now);
    }
    assert_eq!(pending.place(), queued(Queue::Insert));
}

#[test]
fn inserted_and_deleted_before_it_was_sent_says_nothing() {
    let (mut pending, _) = Pending::created(false);
    let _ = pending.updated(&QUIET, at(1), true);
    let step = pending.deleted();
    assert_eq!(to(step), (Place::Nowhere, false));
    assert!(step.moves());
}

#[test]
fn a_change_is_a_compressed_update() {
    let mut pending = told();
    let step = pending.updated(&QUIET, at(1), true);
    assert_eq!(to(step), (queued(Queue::UpdateCompressed), false));
    let step = pending.sent(&QUIET, at(2));
    assert_eq!(to(step), (Place::Nowhere, false));
}

#[test]
fn a_tcp_state_that_was_updated_maxupd_more_times_leaves_at_once() {
    let mut pending = told();
    let config = Config {
        max_updates: 3,
        ..QUIET
    };
    let mut urgent = || pending.updated(&config, at(1), true).send_now;
    assert!(!urgent(), "this one queues it");
    assert!(!urgent());
    assert!(!urgent());
    assert!(urgent());
    assert!(urgent());
    let mut udp = told();
    for _ in 0..1000 {
        assert!(!udp.updated(&config, at(1), false).send_now, "only TCP");
    }
    // counted anew each time that it is queued
    let _ = pending.sent(&config, at(2));
    assert!(!pending.updated(&config, at(3), true).send_now);
}

#[test]
fn a_driver_that_counts_updates_says_so_once() {
    let mut pending = told();
    // nothing waits: there is nothing to be hurried
    assert_eq!(to(pending.updated_often()), (Place::Nowhere, false));
    let _ = pending.updated(&QUIET, at(0), true);
    assert_eq!(
        to(pending.updated_often()),
        (queued(Queue::UpdateCompressed), true)
    );
    let (mut new, _) = Pending::created(false);
    assert_eq!(to(new.updated_often()), (queued(Queue::Insert), true));
    let _ = pending.deleted();
    assert!(!pending.updated_often().send_now);
}

#[test]
fn a_state_of_which_nobody_was_told_begins() {
    let mut pending = Pending::found();
    assert_eq!(to(pending.begin()), (queued(Queue::Insert), false));
    assert_eq!(pending.flags(&CONFIRM), FLAG_ACK);
    assert_eq!(to(pending.begin()), (queued(Queue::Insert), false));
    let _ = pending.sent(&CONFIRM, at(0));
    assert_eq!(to(pending.begin()), (Place::Awaiting, false));
    let mut pending = told();
    let _ = pending.deleted();
    let _ = pending.sent(&QUIET, at(0));
    assert_eq!(to(pending.begin()), (Place::Nowhere, false), "it is gone");
}

#[test]
fn a_state_that_peers_have_asks_whether_anybody_is_there() {
    let mut pending = told();
    let _ = pending.acknowledged();
    assert_eq!(to(pending.ask()), (queued(Queue::Update), true));
    // also where nothing else is to be confirmed, for nobody is there
    for config in [QUIET, CONFIRM] {
        assert_eq!(pending.flags(&config), FLAG_ACK);
    }
    assert_eq!(to(pending.ask()), (queued(Queue::Update), false));
    assert_eq!(to(pending.sent(&CONFIRM, at(0))), (Place::Nowhere, false));
    assert_eq!(pending.flags(&CONFIRM), 0, "once");
    let _ = pending.deleted();
    assert_eq!(to(pending.ask()), (queued(Queue::DeleteCompressed), false));
    let _ = pending.sent(&QUIET, at(0));
    assert_eq!(to(pending.ask()), (Place::Nowhere, false), "it is gone");
}

#[test]
fn both_ends_are_active_for_two_seconds_after_a_peer_told_of_a_state() {
    let (inserted, _) = Pending::received(at(1000), false);
    let mut updated = told();
    let _ = updated.updated_by_peer(at(1000), Verdict::both(true), false);
    for pending in [inserted, updated] {
        for (ms, expected) in [(1000, true), (2999, true), (3000, false), (9000, false)] {
            let mut pending = pending;
            let step = pending.updated(&QUIET, at(ms), false);
            assert_eq!(to(step), (queued(Queue::UpdateCompressed), expected));
            // and again, though it is queued already
            assert_eq!(pending.updated(&QUIET, at(ms), false).send_now, expected);
        }
    }
}

#[test]
fn a_delete_replaces_whatever_waits() {
    let queues: [fn(&mut Pending); 3] = [
        |pending| {
            let _ = pending.updated(&QUIET, at(0), true);
        },
        |pending| {
            let _ = pending.requested();
        },
        |pending| {
            let _ = pending.updated_by_peer(at(0), Verdict::both(true), true);
        },
    ];
    let mut places = vec![];
    for queue in queues {
        let mut pending = told();
        queue(&mut pending);
        places.push(pending.place());
        let step = pending.deleted();
        assert_eq!(to(step), (queued(Queue::DeleteCompressed), false));
        // nothing moves it from there but its being sent
        assert!(!pending.updated(&QUIET, at(0), true).moves());
        assert!(!pending
            .updated_by_peer(at(0), Verdict::both(false), true)
            .moves());
        assert!(!pending.deleted().moves());
        assert!(!pending.requested().moves());
        assert!(!pending.acknowledged().moves());
        assert_eq!(to(pending.sent(&QUIET, at(0))), (Place::Nowhere, false));
    }
    let expected = [Queue::UpdateCompressed, Queue::Update, Queue::InsertAck].map(queued);
    assert_eq!(places, expected);
}

#[test]
fn what_arrived_from_a_peer_is_not_sent_on() {
    let (mut pending, step) = Pending::received(at(0), false);
    assert_eq!(to(step), (Place::Nowhere, false));
    for _ in 0..3 {
        let step = pending.updated_by_peer(at(1), Verdict::both(true), false);
        assert_eq!(to(step), (Place::Nowhere, false));
    }
    assert_eq!(to(pending.forgotten()), (Place::Nowhere, false));
}

#[test]
fn a_peer_that_deletes_a_state_is_not_told_so() {
    let mut pending = told();
    let _ = pending.updated(&QUIET, at(0), true);
    assert_eq!(to(pending.deleted_by_peer(false)), (Place::Nowhere, false));
}

#[test]
fn what_a_peer_deletes_while_it_is_used_here_is_told_again() {
    let mut pending = told();
    assert_eq!(
        to(pending.deleted_by_peer(true)),
        (queued(Queue::Update), true)
    );
    // as a whole, to be confirmed, for the peer has nothing of it
    let step = pending.sent(&CONFIRM, at(0));
    assert_eq!(to(step), (Place::Awaiting, false));
}

#[test]
fn an_insert_acknowledgement_leaves_at_once() {
    let (mut pending, step) = Pending::received(at(0), true);
    assert_eq!(to(step), (queued(Queue::InsertAck), true));
    assert_eq!(to(pending.sent(&CONFIRM, at(0))), (Place::Nowhere, false));
    // an update is as good as that
    let (mut pending, _) = Pending::received(at(0), true);
    let step = pending.updated(&QUIET, at(5000), true);
    assert_eq!(to(step), (queued(Queue::UpdateCompressed), false));
}

#[test]
fn what_waits_to_be_told_answers_who_wants_a_confirmation() {
    let mut changed = told();
    let _ = changed.updated(&QUIET, at(0), true);
    let (mut new, _) = Pending::created(false);
    for (pending, queue) in [
        (&mut changed, Queue::UpdateCompressed),
        (&mut new, Queue::Insert),
    ] {
        for confirm in [false, true] {
            let step = pending.updated_by_peer(at(0), Verdict::both(true), confirm);
            assert_eq!(to(step), (queued(queue), confirm));
        }
    }
}

#[test]
fn who_is_behind_gets_ours_at_once() {
    for verdict in [
        Verdict::both(false),
        Verdict {
            take_src: true,
            take_dst: false,
        },
    ] {
        let mut pending = told();
        let step = pending.updated_by_peer(at(0), verdict, false);
        assert_eq!(to(step), (queued(Queue::UpdateCompressed), true));
        let (mut fresh, _) = Pending::created(false);
        let step = fresh.updated_by_peer(at(0), verdict, false);
        assert_eq!(to(step), (queued(Queue::Insert), true));
    }
}

#[test]
fn an_answer_to_a_request_leaves_at_once_and_is_whole() {
    let mut pending = told();
    assert_eq!(to(pending.requested()), (queued(Queue::Update), true));
    let mut pending = told();
    let _ = pending.updated(&QUIET, at(0), true);
    assert_eq!(to(pending.requested()), (queued(Queue::Update), true));
    let (mut pending, _) = Pending::created(false);
    assert_eq!(to(pending.requested()), (queued(Queue::Insert), true));
}

#[derive(Clone, Copy, Debug)]
enum Happening {
    Updated(bool),
    Deleted,
    Forgotten,
    ByPeer(bool, bool, bool),
    Requested,
    Acknowledged,
    Sent,
    Bulk,
    Timer,
}

fn happenings() -> impl Strategy<Value = Vec<(u64, Happening)>> {
    let happening = prop_oneof![
        any::<bool>().prop_map(Happening::Updated),
        Just(Happening::Deleted),
        Just(Happening::Forgotten),
        any::<(bool, bool, bool)>().prop_map(|(a, b, c)| Happening::ByPeer(a, b, c)),
        Just(Happening::Requested),
        Just(Happening::Acknowledged),
        Just(Happening::Sent),
        Just(Happening::Bulk),
        Just(Happening::Timer),
    ];
    proptest::collection::vec((0..700_u64, happening), 0..60)
}

proptest! {
    /// Each step says truly where the state was and is; what is counted is what
    /// waits; and whatever happens, it comes to rest.
    #[test]
    fn a_state_is_in_one_list_at_most(
        happenings in happenings(), start in 0..4_u8, confirm in any::<bool>(),
    ) {
        let config = Config { confirm, ..CONFIRM };
        let mut outbox = Outbox::new(1500, 0);
        let mut now = 0;
        let (mut pending, first) = match start {
            0 => Pending::created(false),
            1 => Pending::created(true),
            2 => Pending::received(at(0), true),
            _ => {
                let pending = Pending::found();
                (pending, Step { from: Place::Nowhere, to: Place::Nowhere, send_now: false })
            }
        };
        let _ = outbox.apply(at(0), &first);
        let mut deleted = false;
        for (ms, happening) in happenings {
            now += ms;
            let before = pending.place();
            let step = match happening {
                Happening::Updated(tcp) => pending.updated(&config, at(now), tcp),
                Happening::Deleted => { deleted = true; pending.deleted() }
                Happening::Forgotten => pending.forgotten(),
                Happening::ByPeer(take_src, take_dst, confirm) => {
                    let verdict = Verdict { take_src, take_dst };
                    pending.updated_by_peer(at(now), verdict, confirm)
                }
                Happening::Requested => pending.requested(),
                Happening::Acknowledged => pending.acknowledged(),
                Happening::Sent => pending.sent(&config, at(now)),
                Happening::Bulk if !pending.is_bulk() => continue,
                Happening::Bulk => pending.sent_in_bulk(&config, at(now)),
                Happening::Timer => pending.timer(at(now)),
            };
            prop_assert_eq!(step.from, before);
            prop_assert_eq!(step.to, pending.place());
            let leave = outbox.apply(at(now), &step);
            prop_assert_eq!(leave == Leave::Everything, step.send_now);
            let waits = matches!(pending.place(), Place::Queued(_));
            prop_assert_eq!(outbox.waiting(), u32::from(waits));
            prop_assert_eq!(outbox.deadline().is_some(), waits);
            let awaits = pending.place() == Place::Awaiting;
            prop_assert_eq!(pending.deadline().is_some(), awaits);
            if deleted {
                let place = pending.place();
                let allowed = matches!(place, Place::Nowhere | Place::Awaiting)
                    || place == queued(Queue::DeleteCompressed);
                prop_assert!(allowed, "{:?}", place);
            }
        }
        for _ in 0..2 * u32::from(ATTEMPTS) + 2 {
            now += 500;
            let _ = pending.timer(at(now));
            let _ = pending.sent(&config, at(now));
        }
        prop_assert_eq!(pending.place(), Place::Nowhere);
    }
}
