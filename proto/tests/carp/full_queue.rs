// SPDX-License-Identifier: GPL-2.0

//! Advertisements for which the parent's queue has no room.

use crate::common::*;
use carp_proto::carp::effects::{Effects, Outgoing};
use carp_proto::carp::election::{Environment, Event, State, VirtualHost};
use carp_proto::carp::time::Instant;

/// Lets the host do what is due next; when that was, and what it sent.
fn next(host: &mut VirtualHost, env: &Environment) -> (Instant, Option<Outgoing>) {
    let due = host.deadline().expect("a master waits for something");
    let early = Instant(due.0 - 1);
    assert_eq!(host.handle(early, env, Event::Timer), Effects::NONE);
    (due, host.handle(due, env, Event::Timer).advertise)
}

#[test]
fn it_is_sent_again_in_the_family_that_was_dropped() {
    let mut host = master(config(1, 0), &CALM);
    let (sent, outgoing) = next(&mut host, &CALM);
    assert_eq!(outgoing, advertised(BOTH).advertise);
    host.dropped(sent, 1, IPV6);
    let (again, outgoing) = next(&mut host, &CALM);
    assert_eq!(again.0 - sent.0, SECOND / 64);
    assert_eq!(outgoing, advertised(IPV6).advertise);
    // It has left: the next one comes when it would have come.
    let (ordinary, outgoing) = next(&mut host, &CALM);
    assert_eq!(ordinary.0 - sent.0, SECOND);
    assert_eq!(outgoing, advertised(BOTH).advertise);
}

#[test]
fn a_queue_that_lets_nothing_pass_is_tried_a_bounded_number_of_times() {
    for (advbase, advskew) in [(0, 0), (0, 1), (0, 64), (1, 0), (1, 254), (254, 254)] {
        let mut host = master(config(advbase, advskew), &CALM);
        let (start, _) = next(&mut host, &CALM);
        let interval = host.deadline().map_or(0, |due| due.0 - start.0);
        host.dropped(start, 8, BOTH);
        let mut tries = 0_u64;
        while host
            .deadline()
            .is_some_and(|due| due.0 - start.0 < 20 * interval)
        {
            let (now, outgoing) = next(&mut host, &CALM);
            assert_eq!(outgoing, advertised(BOTH).advertise);
            host.dropped(now, 8, BOTH);
            tries += 1;
        }
        // As many as there is time for before the next one.
        let units = interval / skew(1);
        let pause = (units / 64).max(1);
        let most = 64.min((units - 1) / pause);
        assert_eq!(tries, 20 * (most + 1) - 1, "{advbase} {advskew}");
        assert_eq!(host.state(), State::Master);
    }
}

#[test]
fn many_on_one_parent_try_no_more_than_some_together() {
    for sharing in 1..=255 {
        let mut host = master(config(1, 0), &CALM);
        let (start, _) = next(&mut host, &CALM);
        let mut tries = 0;
        host.dropped(start, sharing, BOTH);
        while host.deadline().is_some_and(|due| due.0 - start.0 < SECOND) {
            let (now, _) = next(&mut host, &CALM);
            host.dropped(now, sharing, BOTH);
            tries += 1;
        }
        // The last of them would be when the next advertisement comes.
        assert!((1..=64).contains(&tries), "{sharing}: {tries}");
        assert!(tries * sharing <= 512, "{sharing}: {tries}");
        assert!(sharing > 8 || tries == 63, "{sharing}: {tries}");
    }
}

#[test]
fn a_family_without_addresses_by_then_is_left_out() {
    let mut host = master(config(1, 0), &CALM);
    let (sent, _) = next(&mut host, &CALM);
    host.dropped(sent, 1, IPV6);
    let env = Environment {
        families: IPV4,
        ..CALM
    };
    let (_, outgoing) = next(&mut host, &env);
    assert_eq!(outgoing, None);
}

#[test]
fn who_is_no_master_tries_nothing() {
    let mut host = backup(config(1, 0), &CALM);
    let before = host.deadline();
    host.dropped(at(5), 1, BOTH);
    assert_eq!(host.deadline(), before);
}
