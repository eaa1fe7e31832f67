// SPDX-License-Identifier: GPL-2.0

//! Sending all states to a peer that asks.

use crate::common::at;
use carp_proto::pfsync::bulk_answer::{BulkAnswer, Do, CONFIRMED_WITHIN};

/// Somebody asks a host whose table has no more than it knows.
fn asked(answer: &mut BulkAnswer) {
    assert!(answer.requested(at(0), false));
    assert_eq!(answer.next(at(0), 0), Some(Do::Start));
    assert_eq!(answer.next(at(0), 0), Some(Do::WalkTable));
    answer.table_walked(at(0), false);
}

/// What is done in these milliseconds, and when. `parts`: so many has the table.
fn course(answer: &mut BulkAnswer, ms: std::ops::Range<u64>, mut parts: u32) -> Vec<(u64, Do)> {
    let mut done = vec![];
    for ms in ms {
        while let Some(what) = answer.next(at(ms), 0) {
            done.push((ms, what));
            match what {
                Do::WalkTable => {
                    parts -= 1;
                    answer.table_walked(at(ms), parts > 0);
                }
                Do::States { .. } => return done,
                Do::Start | Do::End => {}
            }
        }
    }
    done
}

#[test]
fn many_states_of_which_none_is_to_be_sent_leave_time_for_others() {
    let mut answer = BulkAnswer::new();
    let _ = answer.requested(at(0), false);
    answer.table_walked(at(0), false);
    let all = Some(Do::States {
        most: 32,
        start: true,
    });
    for now in 0..10 {
        assert_eq!(answer.next(at(now), 0), all, "START is still to be said");
        answer.nothing_found(at(now));
        assert_eq!(answer.next(at(now), 0), None);
        assert_eq!(answer.deadline(), Some(at(now + 1)));
    }
    assert_eq!(answer.next(at(10), 0), all);
    answer.sent(at(10), 4);
    assert!(matches!(answer.next(at(10), 0), Some(Do::States { .. })));
    assert!(!answer.walked(at(10)));
    // it is of no matter when nothing is being sent
    answer.nothing_found(at(10));
    assert_ne!(answer.deadline(), Some(at(11)));
}

#[test]
fn start_is_said_before_the_table_is_walked_and_each_second_of_that() {
    let mut answer = BulkAnswer::new();
    assert!(answer.requested(at(0), false));
    let done = course(&mut answer, 0..10_000, 2500);
    let starts: Vec<_> = done.iter().filter(|(_, what)| *what == Do::Start).collect();
    assert_eq!(
        starts.iter().map(|(ms, _)| *ms).collect::<Vec<_>>(),
        [0, 1000, 2000]
    );
    assert_eq!(done.first(), Some(&(0, Do::Start)));
    // a part each millisecond, and states when all of it is known
    assert_eq!(done.len(), 2500 + 3 + 1);
    assert!(matches!(
        done.last(),
        Some((2499, Do::States { start: true, .. }))
    ));
}

#[test]
fn who_asks_while_the_table_is_walked_gets_a_start_at_once_and_all_once_more() {
    let mut answer = BulkAnswer::new();
    let _ = answer.requested(at(0), false);
    let _ = course(&mut answer, 0..10, 100);
    assert!(!answer.requested(at(10), false), "the walk goes on");
    assert_eq!(answer.next(at(10), 0), Some(Do::Start));
    assert_eq!(answer.next(at(10), 0), Some(Do::WalkTable));
    answer.table_walked(at(10), false);
    assert!(answer.walked(at(11)), "it may miss what was met before");
    assert_eq!(answer.next(at(11), 0), Some(Do::Start));
    assert_eq!(answer.next(at(11), 0), Some(Do::WalkTable));
}

#[test]
fn who_is_asking_itself_lets_others_begin_first() {
    let mut answer = BulkAnswer::new();
    assert!(answer.requested(at(0), true));
    assert!(!answer.requested(at(300), true), "it is about to answer");
    let done = course(&mut answer, 300..1000, 1);
    assert_eq!(done[..2], [(500, Do::Start), (500, Do::WalkTable)]);
}

#[test]
fn a_table_without_states_is_start_and_end_three_times() {
    let mut answer = BulkAnswer::new();
    assert_eq!(answer.next(at(0), 0), None);
    assert!(!answer.is_active());
    asked(&mut answer);
    assert!(answer.is_active());
    let first = answer.next(at(0), 0);
    assert!(matches!(first, Some(Do::States { start: true, .. })));
    assert!(!answer.walked(at(0)));
    let mut ends = vec![];
    for ms in 0..1000 {
        while let Some(what) = answer.next(at(ms), 0) {
            assert_eq!(what, Do::End);
            ends.push(ms);
        }
    }
    assert_eq!(ends, [0, 100, 200]);
    assert!(!answer.is_active());
}

#[test]
fn start_is_said_first_and_in_three_frames() {
    let mut answer = BulkAnswer::new();
    asked(&mut answer);
    let mut starts = vec![];
    for _ in 0..5 {
        let Some(Do::States { start, .. }) = answer.next(at(0), 0) else {
            panic!("more states");
        };
        starts.push(start);
        answer.sent(at(0), 4);
    }
    assert_eq!(starts, [true, true, true, false, false]);
}

/// Sends `states` to a peer that confirms them `after` so many milliseconds, or
/// not at all. Returns the milliseconds that it took and the most on the way.
fn transfer(states: u32, after: Option<u64>) -> (u64, u32) {
    let mut answer = BulkAnswer::new();
    asked(&mut answer);
    let (mut left, mut most_on_the_way) = (states, 0);
    let mut confirmations: std::collections::VecDeque<(u64, u32)> = Default::default();
    for ms in 0.. {
        while confirmations.front().is_some_and(|(due, _)| *due <= ms) {
            let (_, count) = confirmations.pop_front().unwrap();
            (0..count).for_each(|_| answer.confirmed(at(ms)));
        }
        while let Some(Do::States { most, .. }) = answer.next(at(ms), 0) {
            let sent = left.min(5).min(most);
            if sent == 0 {
                return (ms, most_on_the_way);
            }
            left -= sent;
            answer.sent(at(ms), sent);
            if let Some(after) = after {
                confirmations.push_back((ms + after, sent));
            }
            let on_the_way = confirmations.iter().map(|(_, count)| count).sum();
            most_on_the_way = most_on_the_way.max(on_the_way);
        }
    }
    unreachable!()
}

#[test]
fn the_receiver_sets_the_pace() {
    let (fast, on_the_way) = transfer(200_000, Some(1));
    assert!(fast < 1000, "200,000 states took {fast} ms");
    assert!(on_the_way <= 2048);
    let (slow, _) = transfer(200_000, Some(10));
    assert!(slow > fast && slow < 10_000, "{slow}");
}

#[test]
fn who_confirms_nothing_gets_what_openbsd_would_send() {
    let (ms, _) = transfer(10_000, None);
    // OpenBSD: five states every 20 ms
    assert!(ms < 10_000 / 5 * 20, "{ms}");
    assert!(ms > 10_000, "and is not flooded: {ms}");
}

/// How many states may be sent now.
fn window(answer: &mut BulkAnswer, ms: u64) -> u32 {
    match answer.next(at(ms), 0) {
        Some(Do::States { most, .. }) => most,
        _ => 0,
    }
}

#[test]
fn what_is_not_confirmed_counts_no_longer_and_half_as_many_follow() {
    let mut answer = BulkAnswer::new();
    asked(&mut answer);
    let mut windows = vec![];
    for ms in (0..100).step_by(20) {
        let most = window(&mut answer, ms);
        answer.sent(at(ms), most);
        assert_eq!(window(&mut answer, ms + 19), 0);
        windows.push(most);
    }
    assert_eq!(windows, [32, 16, 8, 8, 8]);
}

#[test]
fn what_is_lost_halves_what_may_be_on_its_way_once_each_quarter_of_a_second() {
    let mut answer = BulkAnswer::new();
    asked(&mut answer);
    answer.sent(at(0), 32);
    for _ in 0..32 {
        answer.confirmed(at(0));
    }
    let mut windows = vec![window(&mut answer, 0)];
    for ms in [1, 2, 250, 251, 501, 751, 1001] {
        answer.lost(at(ms));
        windows.push(window(&mut answer, ms));
    }
    assert_eq!(windows, [64, 32, 32, 32, 16, 8, 8, 8]);
}

#[test]
fn the_end_waits_for_confirmations_but_not_for_ever() {
    let mut answer = BulkAnswer::new();
    asked(&mut answer);
    let _ = answer.walked(at(0));
    let until = u64::from(CONFIRMED_WITHIN.0);
    assert_eq!(answer.next(at(until - 1), 7), None);
    assert_eq!(answer.deadline(), Some(at(until)));
    let mut early = answer;
    assert_eq!(early.next(at(5), 0), Some(Do::End));
    assert_eq!(answer.next(at(until), 7), Some(Do::End));
}

#[test]
fn who_asks_meanwhile_gets_a_start_at_once_and_the_table_once_more() {
    let mut answer = BulkAnswer::new();
    asked(&mut answer);
    for _ in 0..4 {
        answer.sent(at(0), 4);
    }
    assert!(matches!(
        answer.next(at(0), 0),
        Some(Do::States { start: false, .. })
    ));
    for _ in 0..3 {
        assert!(!answer.requested(at(1), false), "the walk goes on");
    }
    assert!(matches!(
        answer.next(at(1), 0),
        Some(Do::States { start: true, .. })
    ));
    assert!(answer.walked(at(2)), "from the first state");
    let again = course(&mut answer, 2..3, 1);
    assert_eq!(again[..2], [(2, Do::Start), (2, Do::WalkTable)]);
    assert!(!answer.walked(at(3)), "once is enough");
    assert_eq!(answer.next(at(3), 0), Some(Do::End));
    assert!(answer.requested(at(4), false), "that was the end");
    answer.stop();
    assert_eq!((answer.next(at(5), 0), answer.deadline()), (None, None));
}
