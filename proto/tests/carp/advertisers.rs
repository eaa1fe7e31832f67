// SPDX-License-Identifier: GPL-2.0

//! Who is kept of those that advertise a virtual host.

use carp_proto::carp::{
    advertisers::{Advertiser, Advertisers, KEPT},
    effects::Reason,
    election::Family,
    packet::{Advertisement, Discard, Received, TTL},
    time::Instant,
};
use std::net::{IpAddr, Ipv4Addr};

fn address(number: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, number).into()
}

/// Host `number`, heard at second `at`.
fn host(number: u8, at: u64, digest_differs: bool) -> Advertiser {
    Advertiser {
        address: address(number),
        at: Instant(at),
        advbase: 1,
        advskew: number,
        demote: 0,
        digest_differs,
    }
}

fn numbers(all: &Advertisers) -> Vec<u8> {
    let mut numbers: Vec<u8> = all.iter().map(|it| it.advskew).collect();
    numbers.sort_unstable();
    numbers
}

/// With hosts 1 to 8, heard in this order.
fn full() -> Advertisers {
    let mut all = Advertisers::new();
    for number in 1..=KEPT as u8 {
        all.heard(host(number, number.into(), false));
    }
    all
}

#[test]
fn what_an_advertisement_says() {
    let sent = Advertisement {
        vhid: 3,
        advskew: 100,
        demote: 7,
        advbase: 2,
        counter: [1; 8],
        digest: [2; 20],
    }
    .emit();
    let received = Received::check(TTL, &sent).expect("is whole");
    let read = |discard| Advertiser::new(address(9), Instant(5), &received, discard);
    let heard = read(None).expect("is one");
    assert_eq!((heard.address, heard.at), (address(9), Instant(5)));
    assert_eq!((heard.advbase, heard.advskew, heard.demote), (2, 100, 7));
    assert!(!heard.digest_differs);
    let differs = read(Some(Discard::BadDigest)).expect("is one");
    assert!(differs.digest_differs);
    assert_eq!(read(Some(Discard::Echo)), None);
    assert_eq!(read(Some(Discard::BadVersion)), None);
}

#[test]
fn each_address_once() {
    let mut all = Advertisers::new();
    assert_eq!(all, Advertisers::default());
    for (at, demote) in [(1, 0), (2, 7)] {
        all.heard(Advertiser {
            demote,
            ..host(1, at, false)
        });
    }
    let [only] = *all.iter().collect::<Vec<_>>() else {
        panic!("{all:?}")
    };
    assert_eq!((only.at, only.demote), (Instant(2), 7));
}

#[test]
fn the_longest_silent_makes_room() {
    let mut all = full();
    all.heard(host(1, 20, false));
    all.heard(host(9, 21, false));
    assert_eq!(numbers(&all), [1, 3, 4, 5, 6, 7, 8, 9]);
}

#[test]
fn a_stranger_makes_room_first() {
    let mut all = full();
    all.heard(host(5, 30, true));
    all.heard(host(9, 31, false));
    assert_eq!(numbers(&all), [1, 2, 3, 4, 6, 7, 8, 9]);
}

#[test]
fn strangers_drive_out_strangers_alone() {
    let mut all = full();
    all.heard(host(200, 40, true));
    assert_eq!(all, full());
    let mut all = Advertisers::new();
    for number in 1..KEPT as u8 {
        all.heard(host(number, number.into(), false));
    }
    all.heard(host(200, 40, true));
    all.heard(host(201, 41, true));
    assert_eq!(numbers(&all), [1, 2, 3, 4, 5, 6, 7, 201]);
}

#[test]
fn who_is_behind_a_change() {
    let mut all = Advertisers::new();
    assert_eq!(all.behind(Reason::BetterMaster), None);
    let ipv6: IpAddr = "fe80::2".parse().expect("is one");
    all.heard(host(2, 10, false));
    all.heard(host(3, 11, false));
    all.heard(Advertiser {
        address: ipv6,
        ..host(3, 12, false)
    });
    all.heard(host(200, 13, true));
    for reason in [
        Reason::MasterBowedOut,
        Reason::Preempting,
        Reason::MasterDemoted,
        Reason::MasterTooSlow,
        Reason::BetterMaster,
        Reason::EqualMaster,
        Reason::LessDemotedMaster,
        Reason::MasterTimedOut(Family::Ipv6),
    ] {
        assert_eq!(all.behind(reason), Some(ipv6), "{reason}");
    }
    let silent = all.behind(Reason::MasterTimedOut(Family::Ipv4));
    assert_eq!(silent, Some(address(3)));
    for reason in [
        Reason::Started,
        Reason::Stopped,
        Reason::NoAddress,
        Reason::Reconfigured,
        Reason::Administrator,
    ] {
        assert_eq!(all.behind(reason), None, "{reason}");
    }
}

#[test]
fn a_digest_that_differs_is_told_until_it_is_good() {
    let mut all = full();
    assert_eq!(all.digest_differed_at(), None);
    all.heard(host(3, 50, true));
    all.heard(host(4, 49, true));
    assert_eq!(all.digest_differed_at(), Some(Instant(50)));
    all.heard(host(3, 51, false));
    assert_eq!(all.digest_differed_at(), Some(Instant(49)));
    all.heard(host(4, 51, false));
    assert_eq!(all.digest_differed_at(), None);
}
