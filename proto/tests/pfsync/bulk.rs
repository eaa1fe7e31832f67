// SPDX-License-Identifier: GPL-2.0

//! Asking for all states, and sending them.

use crate::common::{at, MS};
use carp_proto::pfsync::bulk_answer::{BulkAnswer, Do, CONFIRMED_WITHIN};
use carp_proto::pfsync::bulk_request::{
    bulk_within, BulkRequest, Effects, Ending, DEMOTION, LINK_DEMOTION, PEER_WITHIN,
};
use carp_proto::pfsync::id::Creator;
use carp_proto::pfsync::time::{Instant, Millis};
use proptest::prelude::*;

const WITHIN: Millis = Millis(1_600_000);

const PEER: Creator = [1, 2, 3, 4];

fn up() -> BulkRequest {
    let mut request = BulkRequest::new(WITHIN, PEER_WITHIN, true);
    let effects = request.up(at(0));
    assert_eq!((effects.demote, effects.request), (DEMOTION, true));
    request
}

#[test]
fn a_bulk_update_may_take_1600_seconds_by_default() {
    // 100,000 states, five in a frame of 1,500 bytes
    assert_eq!(bulk_within(100_000, 5), WITHIN);
    assert_eq!(bulk_within(0, 5), Millis(4000));
    assert_eq!(bulk_within(1000, 0), Millis(80_000));
}

/// It asks every two seconds, and gives up after `last`.
fn asks_until(last: u64, request: &mut BulkRequest) {
    let mut asked = vec![0];
    for ms in 1..=2 * last {
        let effects = request.timer(at(ms));
        if effects.request {
            asked.push(ms);
        }
        if let Some(ending) = effects.ending {
            assert_eq!((ms, ending), (last, Ending::NoAnswer));
            assert_eq!(effects.demote, -DEMOTION);
        }
    }
    let expected: Vec<_> = (0..last / 2000).map(|number| number * 2000).collect();
    assert_eq!(asked, expected);
    assert_eq!(request.deadline(), None);
}

#[test]
fn it_asks_twelve_times_two_seconds_apart_and_gives_up_after_24() {
    let mut request = up();
    // Somebody is there, and does not answer.
    request.peer_heard();
    asks_until(24_000, &mut request);
}

#[test]
fn who_has_heard_nobody_since_there_is_link_asks_for_longer() {
    // A switch with spanning tree lets nothing through for 30 s.
    asks_until(40_000, &mut up());
    let mut request = BulkRequest::new(WITHIN, Millis(5000), true);
    let _ = request.up(at(0));
    asks_until(24_000, &mut request);
    let mut request = BulkRequest::new(WITHIN, Millis(300_001), true);
    let _ = request.up(at(0));
    asks_until(302_000, &mut request);
}

#[test]
fn a_peer_that_is_heard_late_is_still_asked() {
    let mut request = up();
    for ms in (2000..38_000).step_by(2000) {
        assert!(request.timer(at(ms)).request, "{ms}");
    }
    request.peer_heard();
    // It may say many things, and nothing of that counts again.
    for ms in [38_000, 40_000, 42_000] {
        assert!(request.timer(at(ms)).request, "{ms}");
        request.peer_heard();
    }
    let effects = request.timer(at(44_000));
    assert_eq!(effects.ending, Some(Ending::NoAnswer));
}

#[test]
fn link_that_comes_back_begins_the_wait_again() {
    let mut request = up();
    request.peer_heard();
    let _ = request.link(at(10_000), false);
    let _ = request.link(at(20_000), true);
    for ms in (20_000..60_000).step_by(2000).skip(1) {
        assert!(request.timer(at(ms)).request, "{ms}");
    }
    let effects = request.timer(at(60_000));
    assert_eq!(effects.ending, Some(Ending::NoAnswer));
}

#[test]
fn start_moves_on_and_end_takes_the_demotion_back() {
    let mut request = up();
    assert_eq!(request.started(at(100), PEER), Effects::default());
    // it asks no more
    for ms in (100..10_000).step_by(100) {
        assert_eq!(request.timer(at(ms)), Effects::default());
    }
    let effects = request.ended(at(10_000), PEER);
    assert_eq!(effects.demote, -DEMOTION);
    assert_eq!(effects.ending, Some(Ending::Complete));
    assert_eq!(request.ended(at(10_001), PEER), Effects::default());
}

#[test]
fn only_who_began_can_end() {
    let other = [9; 4];
    let mut request = up();
    let _ = request.started(at(100), PEER);
    // another peer answers, too, or answers somebody else; it may have no states at all
    assert_eq!(request.started(at(200), other), Effects::default());
    assert_eq!(request.ended(at(200), other), Effects::default());
    let effects = request.ended(at(300), PEER);
    assert_eq!(effects.ending, Some(Ending::Complete));
    assert_eq!(effects.demote, -DEMOTION);
}

#[test]
fn openbsd_without_states_answers_with_a_lone_end() {
    let effects = up().ended(at(1), PEER);
    assert_eq!(effects.ending, Some(Ending::Complete));
    assert_eq!(effects.demote, -DEMOTION);
}

#[test]
fn a_lost_end_is_noticed_when_nothing_comes_any_more() {
    let mut request = up();
    let _ = request.started(at(0), PEER);
    let mut now = 0;
    for _ in 0..50 {
        now += 9_999;
        assert_eq!(request.timer(at(now)), Effects::default());
        request.heard(at(now));
    }
    assert_eq!(request.timer(at(now + 9_999)), Effects::default());
    let effects = request.timer(at(now + 10_000));
    assert!(effects.request, "one more try");
    assert_eq!(effects.demote, 0);
    // that one is not answered at all
    let mut asked = 1;
    for ms in now + 10_001..now + 20_000 {
        let effects = request.timer(at(ms));
        asked += u32::from(effects.request);
        if let Some(ending) = effects.ending {
            assert_eq!((ms - now, ending), (16_000, Ending::Incomplete));
            assert_eq!(effects.demote, -DEMOTION);
        }
    }
    assert_eq!(asked, 3);
}

#[test]
fn a_bulk_that_does_not_end_is_tried_once_more_and_then_it_is_over() {
    let mut request = up();
    let _ = request.started(at(0), PEER);
    let mut now = 0;
    let mut ending = None;
    let mut asked = 0;
    while ending.is_none() {
        now += 1000;
        // somebody says START for ever, and sends states
        let effects = request.started(at(now), PEER);
        assert_eq!(effects.ending, None);
        request.heard(at(now));
        let effects = request.timer(at(now));
        asked += u32::from(effects.request);
        ending = effects.ending;
    }
    assert_eq!(asked, 1);
    assert_eq!(ending, Some(Ending::Incomplete));
    assert!(now <= 2 * 1_600_000 + 2000);
}

#[test]
fn without_link_it_waits_for_30_seconds() {
    let mut request = BulkRequest::new(WITHIN, PEER_WITHIN, false);
    let effects = request.up(at(0));
    assert_eq!(effects.demote, DEMOTION);
    assert_eq!(effects.demote_for_link, LINK_DEMOTION);
    assert!(!effects.request);
    assert_eq!(request.timer(at(29_999)), Effects::default());
    let effects = request.timer(at(30_000));
    assert_eq!(effects.ending, Some(Ending::NoLink));
    assert_eq!((effects.demote, effects.demote_for_link), (-DEMOTION, 0));
    // OpenBSD gives up for good; we ask when there is link at last
    let effects = request.link(at(99_000), true);
    assert_eq!(
        (effects.demote, effects.demote_for_link),
        (0, -LINK_DEMOTION)
    );
    assert!(effects.request);
}

#[test]
fn link_in_time_begins_the_asking() {
    let mut request = BulkRequest::new(WITHIN, PEER_WITHIN, false);
    let _ = request.up(at(0));
    let effects = request.link(at(20_000), true);
    assert_eq!(
        (effects.request, effects.demote, effects.demote_for_link),
        (true, 0, -LINK_DEMOTION)
    );
    assert_eq!(request.link(at(20_001), true), Effects::default());
}

#[test]
fn a_lost_link_demotes_by_one() {
    let mut request = up();
    let _ = request.ended(at(5), PEER);
    let effects = request.link(at(10), false);
    assert_eq!(
        (effects.demote, effects.demote_for_link),
        (0, LINK_DEMOTION)
    );
    let effects = request.down();
    assert_eq!(
        (effects.demote, effects.demote_for_link),
        (0, -LINK_DEMOTION)
    );
    assert_eq!(request.down(), Effects::default());
}

#[test]
fn who_goes_down_takes_everything_back() {
    let mut request = up();
    assert_eq!(request.down().demote, -DEMOTION);
    assert_eq!(request.deadline(), None);
    assert_eq!(request.link(at(9), false), Effects::default(), "it is down");
    let effects = request.up(at(10));
    assert_eq!(effects.demote, DEMOTION);
    assert_eq!(effects.demote_for_link, LINK_DEMOTION);
}

#[test]
fn a_link_that_comes_and_goes_for_ever_does_not_demote_for_ever() {
    let mut request = up();
    let longest = u64::from(BulkRequest::longest(WITHIN, PEER_WITHIN).0);
    let mut has_link = true;
    let (mut now, mut demoted) = (0, DEMOTION);
    while demoted > 0 {
        now += 1000;
        has_link = !has_link;
        let by_link = request.link(at(now), has_link);
        let by_timer = request.timer(at(now));
        demoted += by_link.demote + by_timer.demote;
        assert_eq!(demoted == 0, now >= longest, "{now}");
    }
    assert_eq!(now, longest.next_multiple_of(1000));
    // but what comes is still taken, and asked for
    assert!(request.link(at(now), !has_link).request ^ has_link);
}

#[derive(Clone, Copy, Debug)]
enum Happening {
    Up,
    Down,
    Link(bool),
    Started(Creator),
    Ended(Creator),
    Heard,
    Timer,
}

/// One of two.
fn peer() -> impl Strategy<Value = Creator> {
    any::<bool>().prop_map(|other| if other { [9; 4] } else { PEER })
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        1 => Just(Happening::Up),
        1 => Just(Happening::Down),
        2 => any::<bool>().prop_map(Happening::Link),
        6 => peer().prop_map(Happening::Started),
        1 => peer().prop_map(Happening::Ended),
        8 => Just(Happening::Heard),
        8 => Just(Happening::Timer),
    ]
}

proptest! {
    /// Whatever comes or is lost: what was added to the demotion is taken away
    /// again, and not later than promised, if only the timer is kept.
    #[test]
    fn the_demotion_is_always_taken_back(
        happenings in proptest::collection::vec((0..400_000_u64, happening()), 0..80),
        within in 0..2_000_000_u32, link in any::<bool>(),
    ) {
        let within = Millis(within);
        let mut request = BulkRequest::new(within, PEER_WITHIN, link);
        let (mut now, mut demoted, mut for_link) = (0_u64, 0, 0);
        let mut since = None;
        let longest = u64::from(BulkRequest::longest(within, PEER_WITHIN).0);
        let mut check = |now: u64, effects: Effects| {
            demoted += effects.demote;
            for_link += effects.demote_for_link;
            assert!(demoted == 0 || demoted == DEMOTION);
            assert!(for_link == 0 || for_link == LINK_DEMOTION);
            since = if demoted == 0 { None } else { since.or(Some(now)) };
            assert!(since.is_none_or(|since| now - since <= longest));
        };
        for (ms, happening) in happenings {
            let next = now + ms;
            // the timers that fire meanwhile
            while let Some(Instant(due)) = request.deadline().filter(|due| *due <= at(next)) {
                let due = due.div_ceil(MS).max(now);
                let effects = request.timer(at(due));
                check(due, effects);
                prop_assert!(request.deadline().is_none_or(|later| later > at(due)));
                now = due;
            }
            now = next;
            let effects = match happening {
                Happening::Up => request.up(at(now)),
                Happening::Down => request.down(),
                Happening::Link(link) => request.link(at(now), link),
                Happening::Started(peer) => request.started(at(now), peer),
                Happening::Ended(peer) => request.ended(at(now), peer),
                Happening::Heard => {
                    request.heard(at(now));
                    Effects::default()
                }
                Happening::Timer => request.timer(at(now)),
            };
            check(now, effects);
        }
        while let Some(Instant(due)) = request.deadline() {
            now = due.div_ceil(MS).max(now);
            let effects = request.timer(at(now));
            check(now, effects);
        }
        prop_assert_eq!(demoted, 0);
    }
}

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
fn the_longest_demotion_is_all_waits_one_after_the_other() {
    let longest = |within, peer_within| BulkRequest::longest(Millis(within), Millis(peer_within));
    // Link, twelve requests and an answer, three requests and an answer.
    assert_eq!(
        longest(100_000, 1000),
        Millis(30_000 + 24_000 + 6000 + 200_000)
    );
    // Whoever was silent for longer is asked three times more.
    let late = 40_000 + 2000 + 6000;
    assert_eq!(
        longest(100_000, 40_000),
        Millis(30_000 + late + 6000 + 200_000)
    );
}

#[test]
fn how_it_ended_in_words() {
    use Ending::{Complete, Incomplete, NoAnswer, NoLink};
    let words = [Complete, NoLink, NoAnswer, Incomplete].map(Ending::as_str);
    let expected = [
        "received a full update",
        "no link, going on without peers",
        "no peer answered, going on without",
        "a full update did not end, going on",
    ];
    assert_eq!(words, expected);
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
