// SPDX-License-Identifier: GPL-2.0

//! Which address is announced when, and how switches learn the virtual MAC.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use carp_proto::carp::announcements::{Addresses, Announcements, BATCH, PAUSE};
use carp_proto::carp::learning::{self, Exposure, Learning};
use carp_proto::carp::time::{Instant, Interval};

const NOW: Instant = Instant(1_000_000_000);
const SECOND: Interval = Interval(256);

/// The addresses of an interface, in ascending order.
#[derive(Clone, Copy)]
struct List<'a> {
    ipv4: &'a [Ipv4Addr],
    ipv6: &'a [Ipv6Addr],
}

impl Addresses for List<'_> {
    fn next_after(&self, last: Option<IpAddr>) -> Option<IpAddr> {
        // IpAddr orders IPv4 before IPv6.
        listed(*self)
            .into_iter()
            .find(|address| last.is_none_or(|last| *address > last))
    }
}

fn ipv4(count: u8) -> Vec<Ipv4Addr> {
    (1..=count).map(|n| Ipv4Addr::new(10, 0, 0, n)).collect()
}

fn ipv6(count: u16) -> Vec<Ipv6Addr> {
    (1..=count)
        .map(|n| Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, n))
        .collect()
}

/// Carries out what is due until nothing is, or until `end`. Returns when which
/// addresses were announced.
fn run(
    announcements: &mut Announcements,
    addresses: List<'_>,
    end: Instant,
) -> Vec<(Instant, Vec<IpAddr>)> {
    let mut batches = Vec::new();
    while let Some(at) = announcements.deadline().filter(|at| *at < end) {
        let batch = announcements.due(at, &addresses);
        batches.push((at, batch.into_iter().flatten().collect()));
    }
    batches
}

fn all(batches: &[(Instant, Vec<IpAddr>)]) -> Vec<IpAddr> {
    batches
        .iter()
        .flat_map(|(_, batch)| batch.clone())
        .collect()
}

fn listed(addresses: List<'_>) -> Vec<IpAddr> {
    let ipv4 = addresses.ipv4.iter().copied().map(IpAddr::V4);
    ipv4.chain(addresses.ipv6.iter().copied().map(IpAddr::V6))
        .collect()
}

const NEVER: Instant = Instant(u64::MAX);

#[test]
fn a_few_addresses_are_announced_at_once() {
    let (ipv4, ipv6) = (ipv4(2), ipv6(2));
    let addresses = List {
        ipv4: &ipv4,
        ipv6: &ipv6,
    };
    let mut announcements = Announcements::new();
    assert_eq!(announcements.deadline(), None);
    announcements.begin(NOW);
    let batches = run(&mut announcements, addresses, NEVER);
    assert_eq!(batches, [(NOW, listed(addresses))]);
}

#[test]
fn many_addresses_are_spread() {
    let (ipv4, ipv6) = (ipv4(200), ipv6(300));
    let addresses = List {
        ipv4: &ipv4,
        ipv6: &ipv6,
    };
    let mut announcements = Announcements::new();
    announcements.begin(NOW);
    let batches = run(&mut announcements, addresses, NEVER);
    assert_eq!(all(&batches), listed(addresses), "each of them once");
    for (index, (at, batch)) in batches.iter().enumerate() {
        assert_eq!(batch.len(), BATCH);
        assert_eq!(*at, NOW.after(Interval(PAUSE.0 * index as u32)));
    }
}

#[test]
fn asking_early_or_late_does_no_harm() {
    let ipv4 = ipv4(6);
    let addresses = List {
        ipv4: &ipv4,
        ipv6: &[],
    };
    let mut announcements = Announcements::new();
    announcements.begin(NOW);
    assert_eq!(
        announcements.due(NOW, &addresses).iter().flatten().count(),
        BATCH
    );
    assert_eq!(
        announcements.due(NOW, &addresses),
        [None; BATCH],
        "too early"
    );
    let late = NOW.after(SECOND);
    assert_eq!(
        announcements.due(late, &addresses).iter().flatten().count(),
        2
    );
    assert_eq!(announcements.deadline(), None);
}

#[test]
fn addresses_that_come_and_go_during_a_round_confuse_nobody() {
    let before = ipv4(8);
    let mut announcements = Announcements::new();
    announcements.begin(NOW);
    let first = announcements.due(
        NOW,
        &List {
            ipv4: &before,
            ipv6: &[],
        },
    );
    assert_eq!(first[BATCH - 1], Some(IpAddr::V4(before[3])));
    // The second one goes: the fifth is still the next.
    let mut after = before.clone();
    after.remove(1);
    let rest = run(
        &mut announcements,
        List {
            ipv4: &after,
            ipv6: &[],
        },
        NEVER,
    );
    let wanted: Vec<_> = before[4..].iter().copied().map(IpAddr::V4).collect();
    assert_eq!(all(&rest), wanted);
}

#[test]
fn a_round_that_is_asked_for_during_another_follows_it() {
    let ipv4 = ipv4(100);
    let addresses = List {
        ipv4: &ipv4,
        ipv6: &[],
    };
    let mut announcements = Announcements::new();
    announcements.begin(NOW);
    let _ = announcements.due(NOW, &addresses);
    announcements.begin(NOW.after(PAUSE));
    announcements.begin(NOW.after(PAUSE));
    let batches = run(&mut announcements, addresses, NEVER);
    assert_eq!(all(&batches).len(), 2 * ipv4.len() - BATCH);
}

#[test]
fn a_round_ends_with_mastership() {
    let ipv4 = ipv4(100);
    let addresses = List {
        ipv4: &ipv4,
        ipv6: &[],
    };
    let mut announcements = Announcements::new();
    announcements.repeat(NOW, Some(SECOND), false);
    announcements.begin(NOW);
    let _ = announcements.due(NOW, &addresses);
    announcements.stop();
    assert_eq!(announcements.deadline(), None);
    assert_eq!(
        announcements.due(NOW.after(SECOND), &addresses),
        [None; BATCH]
    );
}

#[test]
fn a_round_is_repeated_if_the_administrator_says_so() {
    let ipv4 = ipv4(2);
    let addresses = List {
        ipv4: &ipv4,
        ipv6: &[],
    };
    let mut announcements = Announcements::new();
    announcements.repeat(NOW, Some(SECOND), false);
    assert_eq!(announcements.deadline(), None, "not before it is master");
    announcements.begin(NOW);
    let end = NOW.after(Interval(256 * 3 + 1));
    let batches = run(&mut announcements, addresses, end);
    let times: Vec<_> = batches.iter().map(|(at, _)| *at).collect();
    let wanted: Vec<_> = (0..=3).map(|n| NOW.after(Interval(n * 256))).collect();
    assert_eq!(times, wanted);
    assert!(batches.iter().all(|(_, batch)| batch.len() == 2));
    // Twice as often, and not at all.
    announcements.repeat(end, Some(Interval(128)), true);
    assert_eq!(announcements.deadline(), Some(end.after(Interval(128))));
    announcements.repeat(end, None, true);
    assert_eq!(announcements.deadline(), None);
}

#[test]
fn rounds_that_take_longer_than_their_interval_do_not_pile_up() {
    let ipv4 = ipv4(200);
    let addresses = List {
        ipv4: &ipv4,
        ipv6: &[],
    };
    let mut announcements = Announcements::new();
    announcements.repeat(NOW, Some(Interval(10)), false);
    announcements.begin(NOW);
    let batches = run(&mut announcements, addresses, NOW.after(SECOND));
    let gaps = batches.windows(2).map(|pair| pair[1].0 .0 - pair[0].0 .0);
    assert!(gaps.into_iter().all(|gap| gap >= PAUSE.as_nanos()));
}

#[test]
fn single_announcements_take_turns() {
    let (ipv4, ipv6) = (ipv4(2), ipv6(1));
    let addresses = List {
        ipv4: &ipv4,
        ipv6: &ipv6,
    };
    let mut announcements = Announcements::new();
    let seen: Vec<_> = (0..4)
        .filter_map(|_| announcements.in_turn(&addresses))
        .collect();
    let mut wanted = listed(addresses);
    wanted.push(IpAddr::V4(ipv4[0]));
    assert_eq!(seen, wanted);
    let none = List {
        ipv4: &[],
        ipv6: &[],
    };
    assert_eq!(announcements.in_turn(&none), None);
}

#[test]
fn an_advertisement_to_peers_is_accompanied_by_a_frame_from_the_virtual_mac() {
    let mut learning = Learning::new();
    for second in 0..10 {
        assert!(learning.advertised(NOW.after(Interval(256 * second)), false));
    }
}

#[test]
fn one_to_a_group_is_not() {
    let mut learning = Learning::new();
    for second in 0..10 {
        assert!(!learning.advertised(NOW.after(Interval(256 * second)), true));
    }
}

#[test]
fn broadcasts_are_not_more_frequent_than_ten_a_second() {
    let mut learning = Learning::new();
    let sent = (0..256).filter(|n| learning.advertised(NOW.after(Interval(*n)), false));
    assert_eq!(sent.count(), 256usize.div_ceil(learning::PAUSE.0 as usize));
}

#[test]
fn an_address_that_another_host_has_shown_is_taken_back_by_who_is_left_alone() {
    const VIRTUAL: [u8; 6] = [0, 0, 0x5e, 0, 1, 1];
    let mut exposure = Exposure::new();
    assert!(!exposure.advertised(true), "nobody has shown it");
    exposure.heard(None, VIRTUAL);
    exposure.heard(Some([2, 0, 0, 0, 0, 1]), VIRTUAL);
    assert!(!exposure.advertised(true));
    exposure.heard(Some(VIRTUAL), VIRTUAL);
    for _ in 0..10 {
        assert!(!exposure.advertised(false), "it is still there");
    }
    let frames = (0..10).filter(|_| exposure.advertised(true));
    assert_eq!(frames.count(), 3);
}
