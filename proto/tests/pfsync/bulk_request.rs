// SPDX-License-Identifier: GPL-2.0

//! Asking for all states.

use crate::common::{at, MS};
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
