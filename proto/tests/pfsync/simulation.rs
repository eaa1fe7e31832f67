// SPDX-License-Identifier: GPL-2.0

//! Hosts that tell each other of their states over a network that loses, delays,
//! doubles and reorders frames, in virtual time.

use crate::host::{self, Host};
use crate::network::{Network, Weather};
use crate::random::Random;
use carp_proto::pfsync::bulk_request::{BulkRequest, Ending, PEER_WITHIN};

/// Lets both hosts run until `ms`.
fn run(hosts: &mut [Host; 2], network: &mut Network, until: u64) {
    while network.now < until {
        network.now += 1;
        for (number, host) in hosts.iter_mut().enumerate() {
            for frame in network.due(number) {
                host.receive(network, &frame);
            }
        }
        for host in hosts.iter_mut() {
            host.tick(network);
        }
    }
}

fn same_states(hosts: &[Host; 2]) -> bool {
    let [a, b] = hosts;
    a.alive().all(|id| b.has(id)) && b.alive().all(|id| a.has(id))
}

fn pair(confirm: bool) -> [Host; 2] {
    [Host::new(0, confirm), Host::new(1, confirm)]
}

#[test]
fn in_fair_weather_every_state_arrives_within_a_second() {
    for confirm in [false, true] {
        let mut hosts = pair(confirm);
        let mut network = Network::new(1, Weather::FAIR);
        for host in &mut hosts {
            host.up(&mut network);
        }
        run(&mut hosts, &mut network, 1000);
        for number in 0..200 {
            hosts[number % 2].create(&mut network, number as u64);
        }
        run(&mut hosts, &mut network, 2010);
        assert_eq!(hosts[0].alive().count(), 200);
        assert!(same_states(&hosts));
    }
}

#[test]
fn without_loss_each_state_is_sent_once() {
    let mut hosts = pair(false);
    let mut network = Network::new(1, Weather::FAIR);
    hosts.iter_mut().for_each(|host| host.up(&mut network));
    run(&mut hosts, &mut network, 1000);
    let before = network.states_sent;
    let frames_before = network.frames_sent;
    (0..1000).for_each(|number| hosts[0].create(&mut network, number));
    run(&mut hosts, &mut network, 5000);
    assert_eq!(network.states_sent - before, 1000);
    // and four of them share a frame, with what goes beside them
    let frames = network.frames_sent - frames_before;
    assert!((250..260).contains(&frames), "{frames}");
}

#[test]
fn the_states_of_a_frame_are_confirmed_in_one_frame() {
    let mut hosts = pair(true);
    let mut network = Network::new(1, Weather::FAIR);
    hosts.iter_mut().for_each(|host| host.up(&mut network));
    run(&mut hosts, &mut network, 1000);
    let before = network.frames_sent;
    (0..1000).for_each(|number| hosts[0].create(&mut network, number));
    run(&mut hosts, &mut network, 5000);
    assert_eq!(hosts[1].alive().count(), 1000);
    let frames = network.frames_sent - before;
    assert!((500..520).contains(&frames), "{frames}");
}

#[test]
fn every_state_arrives_also_under_loss() {
    for seed in 0..12 {
        let mut random = Random::new(seed);
        let weather = Weather::foul(&mut random);
        let mut hosts = pair(true);
        let mut network = Network::new(seed, weather);
        hosts.iter_mut().for_each(|host| host.up(&mut network));
        let mut number = 0;
        for step in 0..40 {
            for _ in 0..random.up_to(30) {
                hosts[random.up_to(1) as usize].create(&mut network, number);
                number += 1;
            }
            let busy = &mut hosts[random.up_to(1) as usize];
            (0..random.up_to(20)).for_each(|_| busy.touch(&mut network, &mut random));
            run(&mut hosts, &mut network, 100 * (step + 1));
        }
        run(&mut hosts, &mut network, 15_000);
        assert_eq!(
            hosts[0].alive().count(),
            number as usize,
            "{seed} {weather:?}"
        );
        assert!(same_states(&hosts), "seed {seed}, {weather:?}");
        assert!(hosts.iter().all(Host::is_quiet), "seed {seed}, {weather:?}");
    }
}

#[test]
fn a_host_that_starts_gets_all_states_also_under_loss() {
    for seed in 0..5 {
        let mut random = Random::new(seed);
        let weather = match seed {
            0 => Weather::FAIR,
            _ => Weather::foul(&mut random),
        };
        let mut hosts = pair(true);
        let mut network = Network::new(seed, weather);
        hosts[0].up(&mut network);
        run(&mut hosts, &mut network, 45_000);
        assert_eq!(hosts[0].ending, Some(Ending::NoAnswer));
        (0..600).for_each(|number| hosts[0].create(&mut network, number));
        run(&mut hosts, &mut network, 60_000);
        assert_eq!(hosts[1].alive().count(), 0, "it is off");
        hosts[1].up(&mut network);
        assert_eq!(hosts[1].demotion, 32);
        run(&mut hosts, &mut network, 135_000);
        assert_eq!(hosts[1].demotion, 0, "seed {seed}, {weather:?}");
        assert!(same_states(&hosts), "seed {seed}, {weather:?}");
        assert_eq!(hosts[1].alive().count(), 600);
    }
}

#[test]
fn in_fair_weather_a_bulk_update_takes_a_moment() {
    let mut hosts = pair(true);
    let mut network = Network::new(1, Weather::FAIR);
    hosts[0].up(&mut network);
    run(&mut hosts, &mut network, 45_000);
    (0..2000).for_each(|number| hosts[0].create(&mut network, number));
    run(&mut hosts, &mut network, 55_000);
    hosts[1].up(&mut network);
    // OpenBSD would need 8 s
    run(&mut hosts, &mut network, 56_000);
    assert_eq!(hosts[1].ending, Some(Ending::Complete));
    assert_eq!(hosts[1].alive().count(), 2000);
}

#[test]
fn a_bulk_update_always_ends_whatever_is_lost() {
    for seed in 0..6 {
        let mut hosts = pair(true);
        let weather = Weather {
            loss: 700 + 60 * seed,
            ..Weather::FAIR
        };
        let mut network = Network::new(seed, weather);
        (0..50).for_each(|number| hosts[0].create(&mut network, number));
        hosts[0].up(&mut network);
        hosts[1].up(&mut network);
        let longest = u64::from(BulkRequest::longest(host::WITHIN, PEER_WITHIN).0);
        run(&mut hosts, &mut network, longest + 1000);
        assert!(hosts.iter().all(|host| host.demotion == 0), "seed {seed}");
        assert!(hosts.iter().all(Host::is_quiet), "seed {seed}");
    }
}

#[test]
fn a_state_that_is_deleted_is_gone_on_both() {
    let mut random = Random::new(5);
    let mut hosts = pair(true);
    let mut network = Network::new(5, Weather::FAIR);
    hosts.iter_mut().for_each(|host| host.up(&mut network));
    (0..300).for_each(|number| hosts[0].create(&mut network, number));
    run(&mut hosts, &mut network, 3000);
    assert_eq!(hosts[1].alive().count(), 300);
    for number in 0..300 {
        hosts[(random.next() % 2) as usize].delete(&mut network, number);
    }
    run(&mut hosts, &mut network, 10_000);
    assert_eq!(hosts[0].alive().count() + hosts[1].alive().count(), 0);
    assert!(hosts.iter().all(Host::is_quiet));
}
