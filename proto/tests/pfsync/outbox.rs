// SPDX-License-Identifier: GPL-2.0

//! When frames leave, and how much they hold.

use crate::common::at;
use crate::pending::{queued, QUIET};
use carp_proto::pfsync::compact::USUAL_LEN;
use carp_proto::pfsync::outbox::{Leave, Outbox};
use carp_proto::pfsync::pending::{Pending, Place, Queue, Step};

#[test]
fn frames_are_filled_in_this_order() {
    let actions = Queue::ORDER.map(|queue| queue.action() as u8);
    assert_eq!(actions, [2, 4, 7, 13, 14]);
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

/// How many states wait in this queue until they fill a frame of 1500 bytes.
fn fitting(mut outbox: Outbox, queue: Queue) -> u32 {
    let queue = Step {
        from: Place::Nowhere,
        to: queued(queue),
        send_now: false,
    };
    let fit = (0..1000).take_while(|_| outbox.apply(at(0), &queue) == Leave::Later);
    u32::try_from(fit.count()).unwrap()
}

#[test]
fn what_stands_beside_states_stands_beside_those_that_are_told_of_alone() {
    // 20 of IP, 20 of header, 4 of section
    let room = 1500 - 44;
    for (queue, len) in [
        (Queue::InsertAck, 12),
        (Queue::UpdateCompressed, 84 + 100),
        (Queue::DeleteCompressed, 12),
        (Queue::Insert, 264 + 100),
        (Queue::Update, 264 + 100),
    ] {
        let fit = fitting(Outbox::new(1500, 100), queue);
        assert_eq!(fit, room / len, "{queue:?}");
    }
}

#[test]
fn linux_own_form_of_states_takes_less_room() {
    let mut outbox = Outbox::new(1500, 100);
    assert!(!outbox.is_compact());
    outbox.set_compact(true);
    assert!(outbox.is_compact());
    let room = 1500 - 44;
    for queue in Queue::ORDER {
        let len = match queue.tells() {
            true => u32::try_from(USUAL_LEN).unwrap(),
            false => 12,
        };
        assert_eq!(fitting(outbox, queue), room / len, "{queue:?}");
    }
    outbox.set_compact(false);
    assert!(!outbox.is_compact());
    assert_eq!(fitting(outbox, Queue::Insert), room / (264 + 100));
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
