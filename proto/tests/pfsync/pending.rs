// SPDX-License-Identifier: GPL-2.0

//! What waits to be sent, and when it leaves.

use crate::common::at;
use carp_proto::pfsync::listener::SILENCE;
use carp_proto::pfsync::merge::Verdict;
use carp_proto::pfsync::outbox::{Leave, Outbox, DELAY_MAX};
use carp_proto::pfsync::pending::{
    Config, Pending, Place, Queue, Step, ATTEMPTS, CONFIRM_WITHIN, DEFAULT_MAX_UPDATES,
    DELETE_ATTEMPTS,
};
use carp_proto::pfsync::state::FLAG_ACK;
use carp_proto::pfsync::time::{Instant, Millis};
use proptest::prelude::*;

/// As OpenBSD does it.
const QUIET: Config = Config {
    max_updates: DEFAULT_MAX_UPDATES,
    confirm: false,
};

const CONFIRM: Config = Config {
    confirm: true,
    ..QUIET
};

const fn queued(queue: Queue) -> Place {
    Place::Queued(queue)
}

fn to(step: Step) -> (Place, bool) {
    (step.to, step.send_now)
}

/// A state that peers have been told of.
fn told() -> Pending {
    let (mut pending, _) = Pending::created(false);
    let _ = pending.sent(&QUIET, at(0));
    assert_eq!(pending.place(), Place::Nowhere);
    pending
}

#[test]
fn frames_are_filled_in_this_order() {
    let actions = Queue::ORDER.map(|queue| queue.action() as u8);
    assert_eq!(actions, [2, 4, 7, 13, 14]);
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
    let _ = pending.updated(&CONFIRM, at(4000), true);
    let _ = pending.sent(&CONFIRM, at(5000));
    let _ = pending.sent_in_bulk(&CONFIRM, at(5000));
    let _ = pending.acknowledged();
    assert_eq!(to(pending.settled()), (Place::Nowhere, false));
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
}

#[test]
fn a_frame_leaves_when_it_is_full() {
    for (extra, fit) in [(0, 5), (100, 4)] {
        let mut outbox = Outbox::new(1500, extra);
        for _ in 0..fit {
            let (_, step) = Pending::created(false);
            assert_eq!(outbox.apply(at(0), &step), Leave::Later);
        }
        assert_eq!(outbox.waiting(), fit);
        let (_, step) = Pending::created(false);
        assert_eq!(outbox.apply(at(0), &step), Leave::FullFrames);
    }
}

#[test]
fn another_mtu_makes_other_frames() {
    let mut outbox = Outbox::new(1500, 0);
    // 20 of header, 4 of section, one state
    outbox.set_room(20 + 4 + 264);
    let (_, first) = Pending::created(false);
    assert_eq!(outbox.apply(at(0), &first), Leave::Later);
    let (_, second) = Pending::created(false);
    assert_eq!(outbox.apply(at(0), &second), Leave::FullFrames);
}

#[test]
fn once_all_has_left_the_next_second_begins_anew() {
    let mut outbox = Outbox::new(1500, 0);
    let (mut pending, step) = Pending::created(false);
    let _ = outbox.apply(at(0), &step);
    let _ = outbox.apply(at(700), &Pending::created(false).1);
    assert_eq!(outbox.deadline(), Some(at(1000)), "the first one counts");
    let sent = pending.sent(&QUIET, at(1000));
    assert_eq!(outbox.apply(at(1000), &sent), Leave::Later);
    assert_eq!(outbox.deadline(), Some(at(1000)), "one is left");
    let _ = outbox.apply(at(1000), &sent_of(Queue::Insert));
    assert_eq!((outbox.deadline(), outbox.waiting()), (None, 0));
    let _ = outbox.apply(at(5000), &Pending::created(false).1);
    assert_eq!(outbox.deadline(), Some(at(6000)));
}

fn sent_of(queue: Queue) -> Step {
    Step {
        from: queued(queue),
        to: Place::Nowhere,
        send_now: false,
    }
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

    #[test]
    fn time_stops_at_its_end(ms in any::<u32>(), start in any::<u64>()) {
        let end = Millis(ms).after(Instant(start));
        prop_assert!(end >= Instant(start));
        prop_assert!(Millis::from_secs(ms).plus(Millis(ms)) >= Millis(ms));
    }
}
