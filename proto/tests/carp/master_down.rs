// SPDX-License-Identifier: GPL-2.0

//! A backup with advbase 0 behind masters whose clocks are fine or coarse.

use crate::common::*;
use carp_proto::carp::effects::Reason;
use carp_proto::carp::election::{Event, Family, State, VirtualHost};
use carp_proto::carp::master_down::COARSE;
use carp_proto::carp::packet::Advertisement;
use carp_proto::carp::time::{Instant, Interval};

/// Lets the timer expire until `end`, if it does. Whether it then is master.
fn waits_until(host: &mut VirtualHost, end: Instant) -> bool {
    while let Some(at) = host.deadline().filter(|at| *at < end) {
        let _ = host.handle(at, &CALM, Event::Timer);
        if host.state() == State::Master {
            return false;
        }
    }
    true
}

fn hear(host: &mut VirtualHost, now: Instant, advertisement: Advertisement) {
    for family in [Family::Ipv4, Family::Ipv6] {
        let _ = host.handle(now, &CALM, Event::Received(family, &advertisement));
    }
}

/// An interval of advbase 0 on OpenBSD, whose clock ticks every 10 ms: rounded up, and
/// one tick more.
fn openbsd(advskew: u8) -> u64 {
    let nanos = Interval::between_advertisements(0, advskew).as_nanos();
    (nanos.div_ceil(10 * MS) + 1) * 10 * MS
}

#[test]
fn nobody_takes_over_from_an_openbsd_master() {
    for advskew in 0..=254 {
        // As fast as the master by its own words; and the slower ones wait longer.
        let mut host = backup(config(0, advskew), &CALM);
        for round in 1..=100 {
            let now = at(round * openbsd(advskew));
            assert!(
                waits_until(&mut host, now),
                "advskew {advskew}, round {round}"
            );
            hear(&mut host, now, theirs(0, advskew, 0));
        }
    }
}

#[test]
fn two_advertisements_of_it_may_be_lost() {
    for advskew in 0..=254 {
        let mut host = backup(config(0, advskew), &CALM);
        for round in 1..=100 {
            let now = at(3 * round * openbsd(advskew) - MS);
            assert!(
                waits_until(&mut host, now),
                "advskew {advskew}, round {round}"
            );
            hear(&mut host, now, theirs(0, advskew, 0));
        }
    }
}

#[test]
fn one_out_of_turn_does_not_make_a_clock_fine() {
    let mut host = backup(config(0, 0), &CALM);
    let mut now = at(0);
    for round in 0..50 {
        now = Instant(now.0 + if round % 5 == 4 { 3 * MS } else { 20 * MS });
        assert!(waits_until(&mut host, now), "round {round}");
        hear(&mut host, now, theirs(0, 0, 0));
    }
}

#[test]
fn behind_a_fine_clock_the_wait_is_the_protocols() {
    for (advskew, master) in [(0, 0), (1, 0), (2, 1), (100, 50)] {
        let mut host = backup(config(0, advskew), &CALM);
        let step = Interval::between_advertisements(0, master);
        let wait = Interval::until_master_down(0, advskew);
        let mut now = at(0);
        assert_eq!(host.deadline(), Some(now.after(wait).after(COARSE)));
        for round in 1..=20 {
            now = now.after(step);
            hear(&mut host, now, theirs(0, master, 0));
            let wait = if round < 3 { wait.0 + COARSE.0 } else { wait.0 };
            assert_eq!(host.deadline(), Some(now.after(Interval(wait))));
        }
    }
}

#[test]
fn another_master_is_judged_anew() {
    let mut host = backup(config(0, 0), &CALM);
    let mut now = at(0);
    for _ in 0..20 {
        now = now.after(Interval(1));
        hear(&mut host, now, theirs(0, 0, 0));
    }
    let another = Advertisement {
        counter: [7; 8],
        ..theirs(0, 0, 0)
    };
    now = now.after(Interval(1));
    hear(&mut host, now, another);
    for _ in 0..20 {
        now = Instant(now.0 + 20 * MS);
        assert!(waits_until(&mut host, now));
        hear(&mut host, now, another);
    }
}

#[test]
fn with_advbase_1_a_clock_of_10_ms_does_not_matter() {
    let mut host = backup(config(1, 0), &CALM);
    assert_eq!(host.deadline(), Some(at(3 * SECOND)));
    hear(&mut host, at(SECOND + 20 * MS), theirs(1, 0, 0));
    assert_eq!(host.deadline(), Some(at(4 * SECOND + 20 * MS)));
    let effects = host.handle(at(4 * SECOND + 20 * MS), &CALM, Event::Timer);
    assert_eq!(
        effects,
        takeover(Reason::MasterTimedOut(Family::Ipv4), BOTH)
    );
}
