// SPDX-License-Identifier: GPL-2.0

//! Who is heard, and in which form states are told of: in the one that all read.

use std::net::IpAddr;

use carp_proto::pfsync::syncpeers::{Syncpeer, Syncpeers, PEERS_MAX};
use carp_proto::pfsync::time::Instant;

fn address(last: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, last])
}

/// What a host of this address said.
fn hear(peers: &mut Syncpeers, last: u8, what: impl FnOnce(&mut Syncpeer)) {
    let number = peers.heard(address(last), Instant(7));
    what(peers.get_mut(number).unwrap());
}

#[test]
fn nobody_was_heard() {
    let peers = Syncpeers::default();
    assert!(!peers.read_compact() && !peers.has_linux() && !peers.has_pf());
    assert!(!peers.all_confirm() && peers.iter().next().is_none());
}

#[test]
fn linux_hosts_that_read_it_are_told_in_their_own_form() {
    let mut peers = Syncpeers::default();
    hear(&mut peers, 2, Syncpeer::heard_linux);
    assert!(!peers.read_compact() && peers.has_linux() && peers.all_confirm());
    hear(&mut peers, 2, |peer| peer.heard_greeting(true));
    assert!(peers.read_compact());
    let mut peers = Syncpeers::default();
    hear(&mut peers, 2, Syncpeer::heard_compact);
    assert!(peers.read_compact() && peers.has_linux() && peers.all_confirm());
}

#[test]
fn an_older_one_among_them_is_heeded() {
    for first in [true, false] {
        let mut peers = Syncpeers::default();
        hear(&mut peers, 2, |peer| peer.heard_greeting(first));
        hear(&mut peers, 3, |peer| peer.heard_greeting(!first));
        hear(
            &mut peers,
            if first { 2 } else { 3 },
            Syncpeer::heard_compact,
        );
        assert!(!peers.read_compact() && peers.all_confirm());
    }
}

#[test]
fn who_has_not_shown_what_it_reads_may_read_less() {
    let mut peers = Syncpeers::default();
    hear(&mut peers, 2, |peer| peer.heard_greeting(true));
    hear(&mut peers, 3, |_| ());
    assert!(!peers.read_compact());
    hear(&mut peers, 3, |peer| peer.heard_greeting(true));
    assert!(peers.read_compact());
}

#[test]
fn a_host_with_another_version_greets_anew() {
    let mut peers = Syncpeers::default();
    hear(&mut peers, 2, Syncpeer::heard_pf);
    hear(&mut peers, 2, |peer| peer.heard_greeting(true));
    assert!(peers.read_compact() && !peers.has_pf());
    hear(&mut peers, 2, |peer| peer.heard_greeting(false));
    assert!(!peers.read_compact());
    hear(&mut peers, 2, |peer| peer.heard_greeting(true));
    assert!(peers.read_compact());
}

#[test]
fn with_pf_among_them_all_is_said_as_pf_says_it() {
    let mut peers = Syncpeers::default();
    hear(&mut peers, 2, Syncpeer::heard_compact);
    hear(&mut peers, 3, Syncpeer::heard_pf);
    assert!(!peers.read_compact() && peers.has_pf() && peers.has_linux());
    assert!(!peers.all_confirm());
    let kinds: Vec<_> = peers.iter().map(|it| (it.is_linux(), it.is_pf())).collect();
    assert_eq!(kinds, [(true, false), (false, true)]);
}

#[test]
fn somebody_tells_of_pf() {
    let mut peers = Syncpeers::default();
    hear(&mut peers, 2, Syncpeer::heard_compact);
    hear(&mut peers, 2, Syncpeer::heard_of_pf);
    assert!(!peers.read_compact() && peers.has_pf() && !peers.all_confirm());
    assert!(peers.iter().all(|peer| !peer.is_pf()));
    // it has met another one instead
    hear(&mut peers, 2, |peer| peer.heard_greeting(true));
    assert!(peers.read_compact() && !peers.has_pf());
}

#[test]
fn who_ends_a_bulk_update_without_a_greeting_may_be_pf() {
    let mut peers = Syncpeers::default();
    hear(&mut peers, 2, Syncpeer::heard_compact);
    hear(&mut peers, 2, Syncpeer::heard_end_without_greeting);
    assert!(!peers.read_compact() && !peers.has_pf());
}

#[test]
fn one_alone() {
    let mut peers = Syncpeers::default();
    assert!(!peers.is_one());
    hear(&mut peers, 2, |_| ());
    hear(&mut peers, 2, |_| ());
    assert!(peers.is_one());
    hear(&mut peers, 3, |_| ());
    assert!(!peers.is_one());
}

#[test]
fn when_and_how_often_they_were_heard() {
    let mut peers = Syncpeers::default();
    for (at, last) in [(10, 2), (20, 3), (30, 2)] {
        peers.heard(address(last), Instant(at));
    }
    let heard: Vec<_> = peers
        .iter()
        .map(|it| (it.address(), it.heard(), it.frames()))
        .collect();
    let expected = [
        (Some(address(2)), Instant(30), 2),
        (Some(address(3)), Instant(20), 1),
    ];
    assert_eq!(heard, expected);
}

#[test]
fn how_far_one_is_behind() {
    let mut peer = Syncpeer::default();
    assert_eq!(peer.behind(5), None);
    peer.has_confirmed(3);
    assert_eq!(peer.behind(5), Some(2));
    // an older one that was late
    peer.has_confirmed(2);
    assert_eq!(peer.behind(5), Some(2));
    peer.has_confirmed(u32::MAX - 1);
    assert_eq!(peer.behind(5), Some(2));
    let mut peer = Syncpeer::default();
    peer.has_confirmed(u32::MAX - 1);
    assert_eq!(peer.behind(1), Some(3));
    peer.has_confirmed(1);
    assert_eq!(peer.behind(1), Some(0));
}

#[test]
fn a_crowd_is_bounded() {
    let mut peers = Syncpeers::default();
    for last in 0..200 {
        hear(&mut peers, last, |peer| peer.heard_greeting(true));
    }
    assert_eq!(peers.iter().count(), PEERS_MAX + 1);
    assert!(!peers.read_compact(), "one may be deaf, and others greet");
    let last = peers.iter().last().unwrap();
    assert_eq!(
        (last.address(), last.frames()),
        (None, 200 - PEERS_MAX as u64)
    );
    // those that were there first are still told apart
    let number = peers.heard(address(1), Instant(9));
    assert_eq!(peers.get_mut(number).unwrap().frames(), 2);
}
