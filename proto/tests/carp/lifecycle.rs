// SPDX-License-Identifier: GPL-2.0

//! A virtual host's life apart from the election: start and stop, advertising,
//! announcing, and what the administrator does to it.

use crate::common::*;
use carp_proto::carp::effects::{Effects, Kind, Outgoing, Reason};
use carp_proto::carp::election::{Config, Environment, Event, Family, State, VirtualHost};
use carp_proto::carp::packet::Advertisement;

const NO_ADDRESS: Environment = Environment {
    families: NEITHER,
    ..CALM
};

/// Fires the timer just when it is due; returns when that was.
fn fire(host: &mut VirtualHost, env: &Environment) -> (u64, Effects) {
    let due = host.deadline().expect("something is due");
    (due.0 - at(0).0, host.handle(due, env, Event::Timer))
}

fn farewell(reason: Reason, to: State) -> Effects {
    Effects {
        advertise: Some(Outgoing {
            kind: Kind::BowOut,
            families: BOTH,
        }),
        ..changed(State::Master, to, reason)
    }
}

// --- start and stop ---

#[test]
fn init_becomes_backup_first() {
    let mut host = VirtualHost::new(config(1, 0), OURS);
    assert_eq!((host.state(), host.deadline()), (State::Init, None));
    for env in [CALM, PREEMPT] {
        let mut host = host.clone();
        let effects = host.handle(at(0), &env, Event::Start);
        assert_eq!(
            effects,
            changed(State::Init, State::Backup, Reason::Started)
        );
    }
    let refused = host.handle(at(0), &CALM, Event::Force(State::Master));
    assert_eq!((refused, host.state()), (Effects::NONE, State::Init));
}

#[test]
fn starting_again_is_no_news() {
    let mut host = backup(config(1, 0), &CALM);
    assert_eq!(host.handle(at(SECOND), &CALM, Event::Start), Effects::NONE);
    assert_eq!(host.deadline(), Some(at(3 * SECOND)));
    let mut host = master(config(1, 0), &CALM);
    assert_eq!(host.handle(at(1), &CALM, Event::Start), Effects::NONE);
    assert_eq!(host.state(), State::Master);
}

#[test]
fn without_vhid_or_address_it_stays_init() {
    let nobody = Config {
        vhid: 0,
        ..config(1, 0)
    };
    let mut host = VirtualHost::new(nobody, OURS);
    assert_eq!(host.handle(at(0), &CALM, Event::Start), Effects::NONE);
    let mut host = VirtualHost::new(config(1, 0), OURS);
    assert_eq!(host.handle(at(0), &NO_ADDRESS, Event::Start), Effects::NONE);
    assert_eq!(host.state(), State::Init);
}

#[test]
fn a_master_set_down_bows_out() {
    let mut host = master(config(1, 0), &CALM);
    let effects = host.handle(at(1), &CALM, Event::Stop { bow_out: true });
    assert_eq!(effects, farewell(Reason::Stopped, State::Init));
    assert_eq!((host.state(), host.deadline()), (State::Init, None));
}

#[test]
fn a_master_without_parent_falls_silent() {
    let mut host = master(config(1, 0), &CALM);
    let effects = host.handle(at(1), &CALM, Event::Stop { bow_out: false });
    let expected = changed(State::Master, State::Init, Reason::Stopped);
    assert_eq!(effects, expected);
}

#[test]
fn only_a_master_bows_out() {
    let mut host = backup(config(1, 0), &CALM);
    let effects = host.handle(at(1), &CALM, Event::Stop { bow_out: true });
    let expected = changed(State::Backup, State::Init, Reason::Stopped);
    assert_eq!(effects, expected);
    let again = host.handle(at(2), &CALM, Event::Stop { bow_out: true });
    assert_eq!(again, Effects::NONE);
}

#[test]
fn a_stopped_host_begins_anew() {
    let mut host = master(config(1, 0), &CALM);
    let _ = host.handle(at(1), &CALM, Event::Stop { bow_out: false });
    let effects = host.handle(at(SECOND), &CALM, Event::Start);
    assert_eq!(
        effects,
        changed(State::Init, State::Backup, Reason::Started)
    );
    assert_eq!(host.deadline(), Some(at(4 * SECOND)));
}

// --- advertising ---

#[test]
fn takeover_advertises_and_announces_at_once() {
    let mut host = backup(config(1, 0), &CALM);
    let expected = takeover(Reason::MasterTimedOut(Family::Ipv4), BOTH);
    assert_eq!(fire(&mut host, &CALM), (3 * SECOND, expected));
}

#[test]
fn a_master_advertises_at_its_interval_in_the_families_it_has() {
    for (families, advbase, advskew, interval) in [
        (BOTH, 1, 0, SECOND),
        (IPV4, 1, 100, SECOND + skew(100)),
        (IPV6, 0, 100, skew(100)),
        (BOTH, 0, 0, skew(1)),
        (IPV6, 254, 254, 254 * SECOND + skew(254)),
    ] {
        let env = Environment { families, ..CALM };
        let mut host = master(config(advbase, advskew), &env);
        assert_eq!(fire(&mut host, &env), (interval, advertised(families)));
    }
}

#[test]
fn a_timer_that_fires_too_early_does_nothing() {
    for mut host in [backup(config(1, 0), &CALM), master(config(1, 0), &CALM)] {
        let (state, deadline) = (host.state(), host.deadline());
        for nanos in [0, 1, SECOND - 1] {
            assert_eq!(host.handle(at(nanos), &CALM, Event::Timer), Effects::NONE);
        }
        assert_eq!((host.state(), host.deadline()), (state, deadline));
    }
    let mut host = VirtualHost::new(config(1, 0), OURS);
    assert_eq!(
        host.handle(at(9 * SECOND), &CALM, Event::Timer),
        Effects::NONE
    );
}

#[test]
fn a_late_timer_is_made_up_for_once() {
    let mut host = master(config(1, 0), &CALM);
    let late = 10 * SECOND + 5;
    assert_eq!(host.handle(at(late), &CALM, Event::Timer), advertised(BOTH));
    assert_eq!(host.handle(at(late), &CALM, Event::Timer), Effects::NONE);
    assert_eq!(host.deadline(), Some(at(late + SECOND)));
}

#[test]
fn an_advertisement_says_what_is_configured_and_how_it_stands() {
    let config = Config {
        vhid: 7,
        advbase: 3,
        advskew: 9,
    };
    let host = VirtualHost::new(config, OURS);
    let env = Environment { demote: 5, ..CALM };
    let expected = Advertisement {
        vhid: 7,
        advskew: 9,
        demote: 5,
        advbase: 3,
        counter: OURS,
        digest: [0; 20],
    };
    assert_eq!(host.advertisement(&env), expected);
    let bow_out = host.bow_out(&env);
    assert!(bow_out.is_bow_out() && !expected.is_bow_out());
    let (advbase, advskew) = (255, 255);
    assert_eq!(
        bow_out,
        Advertisement {
            advbase,
            advskew,
            ..expected
        }
    );
}

#[test]
fn a_new_demotion_is_advertised_at_once_by_a_master() {
    let mut host = master(config(1, 0), &CALM);
    let effects = host.handle(at(SECOND / 2), &CALM, Event::AdvertiseNow);
    assert_eq!(effects, advertised(BOTH));
    assert_eq!(host.deadline(), Some(at(SECOND / 2 + SECOND)));
    let mut silent = [
        VirtualHost::new(config(1, 0), OURS),
        backup(config(1, 0), &CALM),
    ];
    for host in &mut silent {
        let before = host.deadline();
        assert_eq!(
            host.handle(at(1), &CALM, Event::AdvertiseNow),
            Effects::NONE
        );
        assert_eq!(host.deadline(), before);
    }
}

// --- announcing ---

#[test]
fn the_addresses_are_announced_again_after_the_second_following_advertisement() {
    let mut host = backup(config(1, 0), &CALM);
    let announced: Vec<bool> = (0..8).map(|_| fire(&mut host, &CALM).1.announce).collect();
    let (yes, no) = (true, false);
    assert_eq!(announced, [yes, no, yes, no, no, no, no, no]);
}

#[test]
fn giving_way_cancels_the_second_announcement() {
    let mut host = master(config(1, 100), &CALM);
    let _ = host.handle(
        at(1),
        &CALM,
        Event::Received(Family::Ipv4, &theirs(1, 0, 0)),
    );
    let effects = host.handle(at(2), &CALM, Event::Force(State::Master));
    assert!(effects.announce);
    assert!(!fire(&mut host, &CALM).1.announce);
    assert!(fire(&mut host, &CALM).1.announce);
    assert!(!fire(&mut host, &CALM).1.announce);
}

#[test]
fn after_a_split_has_healed_the_remaining_master_announces_once_more() {
    let mut host = master(config(1, 0), &CALM);
    let (mut established, mut effects) = (0, Effects::NONE);
    for _ in 0..5 {
        (established, effects) = fire(&mut host, &CALM);
    }
    assert_eq!(effects, advertised(BOTH));
    // the other master speaks up, in both families
    let slower = theirs(1, 100, 0);
    for family in [Family::Ipv4, Family::Ipv6] {
        let event = Event::Received(family, &slower);
        assert_eq!(host.handle(at(established), &CALM, event), Effects::NONE);
    }
    // our next advertisement silences it, then its listeners are told
    let announced: Vec<bool> = (0..4).map(|_| fire(&mut host, &CALM).1.announce).collect();
    assert_eq!(announced, [true, false, false, false]);
}

#[test]
fn a_master_that_answers_during_a_takeover_adds_no_announcement() {
    // as the one that is preempted does, in the other family
    let mut host = backup(config(1, 0), &PREEMPT);
    for family in [Family::Ipv4, Family::Ipv6] {
        let _ = host.handle(at(0), &PREEMPT, Event::Received(family, &theirs(1, 100, 0)));
    }
    let announced: Vec<bool> = (0..4).map(|_| fire(&mut host, &CALM).1.announce).collect();
    assert_eq!(announced, [false, true, false, false]);
}

// --- the administrator ---

#[test]
fn a_backup_can_be_made_master() {
    let mut host = backup(config(1, 0), &CALM);
    let effects = host.handle(at(1), &CALM, Event::Force(State::Master));
    assert_eq!(effects, takeover(Reason::Administrator, BOTH));
}

#[test]
fn a_master_made_backup_bows_out_and_listens() {
    let mut host = master(config(1, 0), &CALM);
    let effects = host.handle(at(1), &CALM, Event::Force(State::Backup));
    assert_eq!(effects, farewell(Reason::Administrator, State::Backup));
    assert_eq!(host.deadline(), Some(at(1 + 3 * SECOND)));
}

#[test]
fn a_state_that_it_has_or_cannot_have_changes_nothing() {
    let hosts = [
        VirtualHost::new(config(1, 0), OURS),
        backup(config(1, 0), &CALM),
        master(config(1, 0), &CALM),
    ];
    for host in hosts {
        for state in [host.state(), State::Init] {
            let mut same = host.clone();
            let effects = same.handle(at(1), &CALM, Event::Force(state));
            assert_eq!(effects, Effects::NONE);
            assert_eq!(same.state(), host.state());
            assert_eq!(same.deadline(), host.deadline());
        }
    }
}

#[test]
fn a_new_configuration_restarts_the_timers() {
    let mut host = backup(config(1, 0), &CALM);
    let effects = host.handle(at(SECOND), &CALM, Event::Reconfigured(config(2, 128)));
    assert_eq!(effects, Effects::NONE);
    assert_eq!(host.config(), config(2, 128));
    assert_eq!(host.deadline(), Some(at(7 * SECOND + SECOND / 2)));

    let mut host = master(config(10, 0), &CALM);
    let effects = host.handle(at(SECOND), &CALM, Event::Reconfigured(config(1, 128)));
    assert_eq!(effects, advertised(BOTH));
    assert_eq!(host.deadline(), Some(at(2 * SECOND + SECOND / 2)));
}

#[test]
fn the_same_configuration_changes_nothing() {
    for mut host in [backup(config(1, 0), &CALM), master(config(1, 0), &CALM)] {
        let before = host.deadline();
        let effects = host.handle(at(1), &CALM, Event::Reconfigured(config(1, 0)));
        assert_eq!((effects, host.deadline()), (Effects::NONE, before));
    }
}

#[test]
fn another_vhid_begins_as_backup() {
    let other = Config {
        vhid: 2,
        ..config(1, 0)
    };
    let mut host = master(config(1, 0), &CALM);
    let effects = host.handle(at(1), &CALM, Event::Reconfigured(other));
    assert_eq!(effects, way_given(Reason::Reconfigured));
    assert_eq!(host.deadline(), Some(at(1 + 3 * SECOND)));

    let mut host = VirtualHost::new(config(1, 0), OURS);
    let effects = host.handle(at(1), &CALM, Event::Reconfigured(other));
    assert_eq!((effects, host.state()), (Effects::NONE, State::Init));
}

#[test]
fn without_a_vhid_it_becomes_init() {
    let nobody = Config {
        vhid: 0,
        ..config(1, 0)
    };
    let mut host = master(config(1, 0), &CALM);
    let effects = host.handle(at(1), &CALM, Event::Reconfigured(nobody));
    let expected = changed(State::Master, State::Init, Reason::Reconfigured);
    assert_eq!(effects, expected);
}

// --- addresses ---

#[test]
fn a_family_is_watched_from_its_first_address_to_its_last() {
    let ipv4 = Environment {
        families: IPV4,
        ..CALM
    };
    let mut host = backup(config(1, 0), &ipv4);
    let _ = host.handle(at(SECOND), &CALM, Event::FamiliesChanged);
    // IPv6 from now on, IPv4 as before
    assert_eq!(host.deadline(), Some(at(3 * SECOND)));
    let ipv6 = Environment {
        families: IPV6,
        ..CALM
    };
    let _ = host.handle(at(2 * SECOND), &ipv6, Event::FamiliesChanged);
    assert_eq!(host.deadline(), Some(at(4 * SECOND)));
    assert_eq!(
        host.handle(at(4 * SECOND), &ipv6, Event::Timer),
        takeover(Reason::MasterTimedOut(Family::Ipv6), IPV6)
    );
}

#[test]
fn changed_addresses_leave_the_state_alone() {
    // OpenBSD drops to INIT and back
    for mut host in [backup(config(1, 0), &CALM), master(config(1, 0), &CALM)] {
        let (state, deadline) = (host.state(), host.deadline());
        let effects = host.handle(at(1), &CALM, Event::FamiliesChanged);
        assert_eq!(effects, Effects::NONE);
        assert_eq!((host.state(), host.deadline()), (state, deadline));
    }
}

#[test]
fn without_the_last_address_it_becomes_init() {
    let mut host = master(config(1, 0), &CALM);
    let effects = host.handle(at(1), &NO_ADDRESS, Event::FamiliesChanged);
    let expected = changed(State::Master, State::Init, Reason::NoAddress);
    assert_eq!(effects, expected);
    assert_eq!(host.deadline(), None);
}
