// SPDX-License-Identifier: GPL-2.0

//! The election, rule by rule, for what is received and what is not.

use crate::common::*;
use carp_proto::carp::effects::{Effects, Reason};
use carp_proto::carp::election::{Environment, Event, Family, State, VirtualHost};
use carp_proto::carp::master_down::COARSE;
use carp_proto::carp::packet::Advertisement;
use Family::{Ipv4, Ipv6};

fn receive(
    host: &mut VirtualHost,
    nanos: u64,
    env: &Environment,
    advertisement: Advertisement,
) -> Effects {
    receive_in(Ipv4, host, nanos, env, advertisement)
}

fn receive_in(
    family: Family,
    host: &mut VirtualHost,
    nanos: u64,
    env: &Environment,
    advertisement: Advertisement,
) -> Effects {
    host.handle(at(nanos), env, Event::Received(family, &advertisement))
}

const fn demoted(demote: u8, env: Environment) -> Environment {
    Environment { demote, ..env }
}

// --- INIT ---

#[test]
fn init_ignores_advertisements() {
    let mut host = VirtualHost::new(config(1, 0), OURS);
    for advertisement in [theirs(1, 200, 0), theirs(1, 200, 9), BOW_OUT] {
        let effects = receive(&mut host, 0, &PREEMPT, advertisement);
        assert_eq!(effects, Effects::NONE);
        assert_eq!(host.state(), State::Init);
        assert_eq!(host.deadline(), None);
    }
}

// --- MASTER ---

#[test]
fn master_gives_way_to_a_faster_one() {
    for preempt in [false, true] {
        let env = Environment { preempt, ..CALM };
        let mut host = master(config(1, 100), &env);
        let effects = receive(&mut host, 5, &env, theirs(1, 99, 0));
        assert_eq!(effects, way_given(Reason::BetterMaster));
        assert_eq!(host.state(), State::Backup);
    }
}

#[test]
fn master_gives_way_to_one_as_fast() {
    let mut host = master(config(1, 100), &CALM);
    let effects = receive(&mut host, 5, &CALM, theirs(1, 100, 0));
    assert_eq!(effects, way_given(Reason::EqualMaster));
    assert_eq!(host.deadline(), Some(at(5 + 3 * SECOND + skew(100))));
}

#[test]
fn master_that_gives_way_to_its_like_repeatedly_comes_back_at_different_times() {
    let mut host = backup(config(1, 100), &CALM);
    let limit = 3 * SECOND + skew(100);
    let mut delays = vec![];
    for _ in 0..=16 {
        let expired = host.deadline().unwrap();
        let _ = host.handle(expired, &CALM, Event::Timer);
        for family in [Ipv4, Ipv6] {
            // which says it twice; the second time must not undo the delay
            let _ = host.handle(expired, &CALM, Event::Received(family, &theirs(1, 100, 0)));
        }
        let next = host.deadline().unwrap();
        delays.push((next.0 - expired.0 - limit) / skew(1));
    }
    let expected: Vec<u64> = OURS.iter().map(|byte| u64::from(*byte)).collect();
    assert_eq!(delays[0], 0);
    assert_eq!(delays[1..9], expected);
    assert_eq!(delays[9..], expected);
}

#[test]
fn the_delay_after_a_tie_ends_with_the_next_advertisement() {
    let mut host = master(config(1, 100), &CALM);
    for nanos in [1, 2] {
        let _ = host.handle(at(nanos), &CALM, Event::Force(State::Master));
        let _ = receive(&mut host, nanos, &CALM, theirs(1, 100, 0));
    }
    let limit = 3 * SECOND + skew(100);
    assert!(host.deadline() > Some(at(2 + limit)));
    for family in [Ipv4, Ipv6] {
        let _ = receive_in(family, &mut host, 2 * SECOND, &CALM, theirs(1, 100, 0));
    }
    assert_eq!(host.deadline(), Some(at(2 * SECOND + limit)));
}

#[test]
fn master_stands_against_a_slower_one() {
    let mut host = master(config(1, 100), &CALM);
    for advertisement in [theirs(1, 101, 0), theirs(2, 0, 0), theirs(254, 254, 0)] {
        let effects = receive(&mut host, 5, &CALM, advertisement);
        assert_eq!(effects, Effects::NONE);
        assert_eq!(host.state(), State::Master);
    }
}

#[test]
fn master_compares_advbase_before_advskew() {
    let mut host = master(config(2, 0), &CALM);
    let effects = receive(&mut host, 5, &CALM, theirs(1, 254, 0));
    assert_eq!(effects, way_given(Reason::BetterMaster));
}

#[test]
fn master_stands_against_one_that_is_demoted_further() {
    let mut host = master(config(1, 100), &demoted(3, CALM));
    let effects = receive(&mut host, 5, &demoted(3, CALM), theirs(1, 0, 4));
    assert_eq!(effects, Effects::NONE);
}

#[test]
fn master_gives_way_to_one_that_is_demoted_less_however_slow() {
    let env = demoted(3, PREEMPT);
    let mut host = master(config(1, 0), &env);
    let effects = receive(&mut host, 5, &env, theirs(1, 200, 2));
    assert_eq!(effects, way_given(Reason::LessDemotedMaster));
}

#[test]
fn master_that_is_demoted_as_much_gives_way_to_a_faster_one_only() {
    let env = demoted(3, CALM);
    let mut host = master(config(1, 100), &env);
    assert_eq!(
        receive(&mut host, 5, &env, theirs(1, 101, 3)),
        Effects::NONE
    );
    let effects = receive(&mut host, 6, &env, theirs(1, 99, 3));
    assert_eq!(effects, way_given(Reason::BetterMaster));
}

#[test]
fn master_that_gives_way_listens_in_both_families() {
    let mut host = master(config(1, 128), &CALM);
    let _ = receive(&mut host, SECOND, &CALM, theirs(1, 0, 0));
    let limit = 3 * SECOND + SECOND / 2;
    assert_eq!(host.deadline(), Some(at(SECOND + limit)));
    // IPv6 alone keeps IPv4 waiting
    let _ = receive_in(Ipv6, &mut host, 2 * SECOND, &CALM, theirs(1, 0, 0));
    assert_eq!(host.deadline(), Some(at(SECOND + limit)));
}

#[test]
fn master_does_not_give_way_to_one_that_bows_out() {
    // whatever the demotion counts: nobody would be left
    for demote in [0, 1, 255] {
        let env = demoted(demote, CALM);
        let mut host = master(config(1, 0), &env);
        assert_eq!(receive(&mut host, 5, &env, BOW_OUT), Effects::NONE);
        assert_eq!(host.state(), State::Master);
    }
}

#[test]
fn the_second_half_of_a_bow_out_does_not_undo_the_takeover() {
    let env = demoted(1, CALM);
    let mut host = backup(config(1, 100), &env);
    let first = receive_in(Ipv4, &mut host, 5, &env, BOW_OUT);
    assert_eq!(first, takeover(Reason::MasterBowedOut, BOTH));
    let second = receive_in(Ipv6, &mut host, 6, &env, BOW_OUT);
    assert_eq!(second, Effects::NONE);
    assert_eq!(host.state(), State::Master);
}

// --- BACKUP, rule 1: preemption ---

#[test]
fn backup_preempts_a_slower_master() {
    let mut host = backup(config(1, 100), &PREEMPT);
    let effects = receive(&mut host, 5, &PREEMPT, theirs(1, 101, 0));
    assert_eq!(effects, takeover(Reason::Preempting, BOTH));
    assert_eq!(host.state(), State::Master);
}

#[test]
fn backup_does_not_preempt_without_leave() {
    let mut host = backup(config(1, 100), &CALM);
    let effects = receive(&mut host, 5, &CALM, theirs(1, 101, 0));
    assert_eq!(effects, Effects::NONE);
    assert_eq!(host.state(), State::Backup);
}

#[test]
fn backup_does_not_preempt_a_master_as_fast() {
    let mut host = backup(config(1, 100), &PREEMPT);
    let effects = receive(&mut host, 5, &PREEMPT, theirs(1, 100, 0));
    assert_eq!(effects, Effects::NONE);
}

#[test]
fn backup_does_not_preempt_a_master_that_is_demoted_less() {
    let env = demoted(3, PREEMPT);
    let mut host = backup(config(1, 0), &env);
    assert_eq!(
        receive(&mut host, 5, &env, theirs(1, 200, 2)),
        Effects::NONE
    );
    let effects = receive(&mut host, 6, &env, theirs(1, 200, 3));
    assert_eq!(effects, takeover(Reason::Preempting, BOTH));
}

#[test]
fn without_advbase_and_advskew_a_master_counts_as_fastest() {
    // what is compared is 0, although it waits 1/256 s
    let mut host = backup(config(0, 1), &PREEMPT);
    assert_eq!(
        receive(&mut host, 5, &PREEMPT, theirs(0, 0, 0)),
        Effects::NONE
    );
    let mut host = backup(config(0, 0), &PREEMPT);
    let effects = receive(&mut host, 5, &PREEMPT, theirs(0, 1, 0));
    assert_eq!(effects, takeover(Reason::Preempting, BOTH));
}

// --- BACKUP, rule 2: demotion ---

#[test]
fn backup_takes_over_from_a_master_that_is_demoted_further_preempt_or_not() {
    for env in [CALM, PREEMPT] {
        let env = demoted(2, env);
        let mut host = backup(config(1, 200), &env);
        let effects = receive(&mut host, 5, &env, theirs(1, 0, 3));
        assert_eq!(effects, takeover(Reason::MasterDemoted, BOTH));
    }
}

#[test]
fn backup_leaves_a_master_alone_that_is_demoted_as_much() {
    let env = demoted(3, CALM);
    let mut host = backup(config(1, 200), &env);
    assert_eq!(receive(&mut host, 5, &env, theirs(1, 0, 3)), Effects::NONE);
}

// --- BACKUP, rule 3: too slow ---

#[test]
fn backup_takes_over_from_a_master_that_would_time_out() {
    let mut host = backup(config(1, 100), &CALM);
    // 3 + 100/256 s just suffices
    assert_eq!(
        receive(&mut host, 5, &CALM, theirs(3, 100, 0)),
        Effects::NONE
    );
    let effects = receive(&mut host, 6, &CALM, theirs(3, 101, 0));
    assert_eq!(effects, takeover(Reason::MasterTooSlow, BOTH));
}

#[test]
fn backup_takes_over_from_a_slow_master_although_it_is_demoted_less() {
    let env = demoted(3, CALM);
    let mut host = backup(config(1, 0), &env);
    let effects = receive(&mut host, 5, &env, theirs(4, 0, 0));
    assert_eq!(effects, takeover(Reason::MasterTooSlow, BOTH));
}

#[test]
fn backup_without_advbase_lets_slow_masters_be() {
    // otherwise it would preempt without leave
    let mut host = backup(config(0, 1), &CALM);
    for advertisement in [theirs(0, 4, 0), theirs(1, 0, 0), theirs(254, 254, 0)] {
        assert_eq!(receive(&mut host, 5, &CALM, advertisement), Effects::NONE);
    }
}

// --- BACKUP: a bow-out ---

#[test]
fn backup_takes_over_at_once_when_the_master_bows_out() {
    let all = [
        (1, 0),
        (1, 254),
        (20, 0),
        (85, 0),
        (85, 254),
        (0, 0),
        (0, 254),
    ];
    for (advbase, advskew) in all {
        for env in [CALM, PREEMPT, demoted(9, CALM), demoted(9, PREEMPT)] {
            let mut host = backup(config(advbase, advskew), &env);
            let effects = receive(&mut host, 5, &env, BOW_OUT);
            assert_eq!(effects, takeover(Reason::MasterBowedOut, BOTH));
        }
    }
}

#[test]
fn backup_whose_own_timeout_is_longer_than_256_seconds_waits() {
    for (advbase, advskew) in [(85, 255), (86, 0), (254, 0)] {
        let mut host = backup(config(advbase, advskew), &CALM);
        let effects = receive(&mut host, 5, &CALM, BOW_OUT);
        assert_eq!(effects, Effects::NONE);
        // unless it may preempt
        let effects = receive(&mut host, 6, &PREEMPT, BOW_OUT);
        assert_eq!(effects, takeover(Reason::MasterBowedOut, BOTH));
    }
}

// --- BACKUP, rule 4: listen on ---

#[test]
fn backup_rearms_the_timer_of_the_packets_family_only() {
    let mut host = backup(config(1, 0), &CALM);
    let advertisement = theirs(1, 0, 0);
    for (nanos, family) in [(SECOND, Ipv4), (2 * SECOND, Ipv4)] {
        let _ = host.handle(at(nanos), &CALM, Event::Received(family, &advertisement));
        assert_eq!(host.deadline(), Some(at(3 * SECOND)));
    }
    let _ = receive_in(Ipv6, &mut host, 2 * SECOND + 1, &CALM, advertisement);
    assert_eq!(host.deadline(), Some(at(5 * SECOND)));
    let _ = receive_in(Ipv4, &mut host, 2 * SECOND + 2, &CALM, advertisement);
    assert_eq!(host.deadline(), Some(at(5 * SECOND + 1)));
}

#[test]
fn backup_does_not_watch_a_family_in_which_it_has_no_address() {
    // a peer with link-local addresses may send there, and stop when they go
    let env = Environment {
        families: IPV4,
        ..CALM
    };
    let mut host = backup(config(1, 0), &env);
    let _ = receive_in(Ipv6, &mut host, 1, &env, theirs(1, 0, 0));
    assert_eq!(host.deadline(), Some(at(3 * SECOND)));
    let _ = receive_in(Ipv4, &mut host, 2 * SECOND, &env, theirs(1, 0, 0));
    assert_eq!(host.deadline(), Some(at(5 * SECOND)));
}

#[test]
fn backup_judges_advertisements_of_a_family_in_which_it_has_no_address() {
    let env = Environment {
        families: IPV4,
        ..PREEMPT
    };
    let mut host = backup(config(1, 0), &env);
    let effects = receive_in(Ipv6, &mut host, 1, &env, theirs(1, 1, 0));
    assert_eq!(effects, takeover(Reason::Preempting, IPV4));
}

// --- silence ---

#[test]
fn either_family_falling_silent_makes_a_backup_master() {
    for (silent, other) in [(Ipv4, Ipv6), (Ipv6, Ipv4)] {
        let mut host = backup(config(1, 0), &CALM);
        let _ = receive_in(other, &mut host, 2 * SECOND, &CALM, theirs(1, 0, 0));
        assert_eq!(
            host.handle(at(3 * SECOND - 1), &CALM, Event::Timer),
            Effects::NONE
        );
        assert_eq!(
            host.handle(at(3 * SECOND), &CALM, Event::Timer),
            takeover(Reason::MasterTimedOut(silent), BOTH)
        );
    }
}

#[test]
fn a_single_family_is_watched_alone() {
    for (families, family) in [(IPV4, Ipv4), (IPV6, Ipv6)] {
        let env = Environment { families, ..CALM };
        let mut host = backup(config(0, 7), &env);
        // The master's clock may be a coarse one.
        let limit = skew(21 + u64::from(COARSE.0));
        assert_eq!(host.deadline(), Some(at(limit)));
        assert_eq!(
            host.handle(at(limit), &env, Event::Timer),
            takeover(Reason::MasterTimedOut(family), families)
        );
    }
}

#[test]
fn takeover_comes_after_three_times_advbase_plus_advskew() {
    for (advbase, advskew, limit) in [
        (1, 0, 3 * SECOND),
        (1, 254, 3 * SECOND + skew(254)),
        (254, 254, 762 * SECOND + skew(254)),
        (0, 254, skew(762)),
        (0, 0, skew(3)),
    ] {
        let mut host = backup(config(advbase, advskew), &CALM);
        // With advbase 0 it takes a few to see that the master's clock is fine.
        for _ in 0..3 {
            let _ = receive(&mut host, 7, &CALM, theirs(advbase, advskew, 0));
            let _ = receive_in(Ipv6, &mut host, 7, &CALM, theirs(advbase, advskew, 0));
        }
        assert_eq!(host.deadline(), Some(at(7 + limit)));
    }
}

// --- counters ---

#[test]
fn the_counter_never_takes_a_peers_value() {
    let mut host = backup(config(1, 0), &PREEMPT);
    for advertisement in [theirs(1, 0, 0), theirs(1, 1, 0), theirs(1, 0, 0), BOW_OUT] {
        let _ = receive(&mut host, 5, &PREEMPT, advertisement);
        assert_eq!(host.counter(), &OURS);
        assert_eq!(host.advertisement(&PREEMPT).counter, OURS);
        assert_eq!(host.bow_out(&PREEMPT).counter, OURS);
    }
}

// --- demotion that all peers read ---

const SAY_IT: Environment = Environment {
    demote: 32,
    demoteskew: true,
    ..CALM
};

#[test]
fn of_two_that_are_demoted_alike_and_say_so_in_their_advskew_the_better_one_is_master() {
    for env in [
        SAY_IT,
        Environment {
            preempt: true,
            ..SAY_IT
        },
    ] {
        let better = VirtualHost::new(config(1, 0), THEIRS).advertisement(&env);
        let worse = VirtualHost::new(config(1, 100), THEIRS).advertisement(&env);
        assert_eq!((better.advskew, worse.advskew), (240, 245));
        let mut host = master(config(1, 0), &env);
        assert_eq!(receive(&mut host, 5, &env, worse), Effects::NONE);
        let mut host = master(config(1, 100), &env);
        let effects = receive(&mut host, 5, &env, better);
        assert_eq!(effects, way_given(Reason::BetterMaster));
        // OpenBSD says just what it is: it compares with what we say.
        let mut host = master(config(1, 0), &env);
        let effects = receive(&mut host, 5, &env, theirs(1, 100, 32));
        assert_eq!(effects, way_given(Reason::BetterMaster));
    }
}

#[test]
fn of_two_that_are_alike_and_demoted_alike_the_one_with_the_lower_counter_stays() {
    let twin = VirtualHost::new(config(1, 3), THEIRS).advertisement(&SAY_IT);
    let mut host = master(config(1, 0), &SAY_IT);
    assert!(*host.counter() < twin.counter);
    assert_eq!(receive(&mut host, 5, &SAY_IT, twin), Effects::NONE);
    assert_eq!(host.state(), State::Master);
    let lower = Advertisement {
        counter: [0; 8],
        ..twin
    };
    let effects = receive(&mut host, 6, &SAY_IT, lower);
    assert_eq!(effects, way_given(Reason::EqualMaster));
}
