// SPDX-License-Identifier: GPL-2.0

//! Two hosts whose lists of addresses change one after the other.

mod common;

use carp_proto::carp::address_change::{Signer, EARLIER_MAX, GRACE};
use carp_proto::carp::digest::{Digests, Input};
use carp_proto::carp::packet::{Advertisement, Discard, Received, TTL};
use carp_proto::carp::time::{Instant, Interval};
use common::{Hmac, OURS, THEIRS};
use std::net::Ipv4Addr;

const NOW: Instant = Instant(1_000_000_000);

fn digests(pass: &str, last: &[u8]) -> Digests<Hmac> {
    let ipv4: Vec<_> = last.iter().map(|&n| Ipv4Addr::new(10, 0, 0, n)).collect();
    let input = Input {
        vhid: 1,
        lladdr: None,
        ipv4: &ipv4,
        ipv6: &[],
    };
    Digests::new(Hmac::new(pass), &input)
}

fn signer(last: &[u8]) -> Signer<Hmac> {
    Signer::new(digests("secret", last))
}

/// What `to` makes of each advertisement that `from` sends.
fn heard(from: &Signer<Hmac>, to: &Signer<Hmac>, now: Instant) -> Vec<Result<(), Discard>> {
    from.digests(now)
        .map(|digests| {
            let packet = Advertisement {
                vhid: 1,
                advskew: 0,
                demote: 0,
                advbase: 1,
                counter: THEIRS,
                digest: digests.sign(&THEIRS),
            }
            .emit();
            let received = Received::check(TTL, &packet).expect("a good packet");
            to.authenticate(now, &received, &OURS).map(|_| ())
        })
        .collect()
}

fn hears(from: &Signer<Hmac>, to: &Signer<Hmac>, now: Instant) -> bool {
    heard(from, to, now).contains(&Ok(()))
}

#[test]
fn whoever_is_changed_first_they_hear_each_other() {
    let mut a = signer(&[1]);
    let mut b = signer(&[1]);
    // One address after the other, on one host and then on the other.
    for list in [&[1, 2][..], &[1, 2, 3], &[2, 3]] {
        a.addresses_changed(NOW, digests("secret", list));
        assert!(hears(&a, &b, NOW), "{list:?}");
        assert!(hears(&b, &a, NOW), "{list:?}");
    }
    let later = NOW.after(Interval(256));
    for list in [&[1, 2][..], &[2], &[2, 3]] {
        b.addresses_changed(later, digests("secret", list));
        assert!(hears(&a, &b, later), "{list:?}");
        assert!(hears(&b, &a, later), "{list:?}");
    }
    let end = later.after(GRACE);
    assert!(hears(&a, &b, end));
    assert_eq!(heard(&b, &a, end), [Ok(())], "one list again");
}

#[test]
fn a_host_that_knows_no_grace_hears_both_lists() {
    let mut ours = signer(&[1]);
    ours.addresses_changed(NOW, digests("secret", &[1, 2]));
    let old = signer(&[1]);
    let new = signer(&[1, 2]);
    assert_eq!(heard(&ours, &old, NOW), [Ok(()), Err(Discard::BadDigest)]);
    assert_eq!(heard(&ours, &new, NOW), [Err(Discard::BadDigest), Ok(())]);
    assert_eq!(heard(&old, &ours, NOW), [Ok(())]);
    assert_eq!(heard(&new, &ours, NOW), [Ok(())]);
}

#[test]
fn the_grace_ends() {
    let mut ours = signer(&[1]);
    ours.addresses_changed(NOW, digests("secret", &[2]));
    assert_eq!(heard(&ours, &ours, NOW).len(), 2);
    let end = NOW.after(GRACE);
    assert_eq!(heard(&ours, &ours, end).len(), 1);
    let old = signer(&[1]);
    assert_eq!(heard(&old, &ours, end), [Err(Discard::BadDigest)]);
    assert_eq!(heard(&ours, &old, end), [Err(Discard::BadDigest)]);
}

#[test]
fn a_host_that_has_a_list_in_between_hears_us_and_is_heard() {
    let mut ours = signer(&[1]);
    let mut now = NOW;
    // ifup adds two addresses to a running interface, ifdown takes all away.
    for list in [&[1, 2][..], &[1, 2, 3], &[2, 3], &[3]] {
        ours.addresses_changed(now, digests("secret", list));
        now = now.after(Interval(256));
    }
    for list in [&[1][..], &[1, 2], &[1, 2, 3], &[2, 3], &[3]] {
        let peer = signer(list);
        assert!(hears(&ours, &peer, now), "{list:?}");
        assert!(hears(&peer, &ours, now), "{list:?}");
    }
    assert_eq!(heard(&ours, &signer(&[3]), now).last(), Some(&Ok(())));
}

#[test]
fn of_many_lists_those_hold_that_stood_longest() {
    let long = Interval(8 * 256);
    let mut ours = signer(&[]);
    let list = |count: u8| (1..=count).collect::<Vec<_>>();
    let mut now = NOW;
    let change = |ours: &mut Signer<Hmac>, now: &mut Instant, count: u8, stands: Interval| {
        ours.addresses_changed(*now, digests("secret", &list(count)));
        *now = now.after(stands);
    };
    // Twenty addresses one by one, which stand for a while, and away again.
    for count in 1..20 {
        change(&mut ours, &mut now, count, Interval(1));
    }
    change(&mut ours, &mut now, 20, long);
    for count in (0..20).rev() {
        change(&mut ours, &mut now, count, Interval(1));
    }
    assert!(heard(&ours, &ours, now).len() <= EARLIER_MAX + 1);
    for count in [0, 20] {
        let peer = signer(&list(count));
        assert!(hears(&ours, &peer, now), "{count}");
        assert!(hears(&peer, &ours, now), "{count}");
    }
}

#[test]
fn a_list_of_the_time_before_a_grace_that_ended_does_not_come_back() {
    let mut ours = signer(&[1]);
    ours.addresses_changed(NOW, digests("secret", &[2]));
    let later = NOW.after(GRACE).after(GRACE);
    ours.addresses_changed(later, digests("secret", &[3]));
    assert!(!hears(&signer(&[1]), &ours, later));
    assert!(hears(&signer(&[2]), &ours, later));
}

#[test]
fn a_list_that_nobody_had_is_not_believed() {
    let mut ours = signer(&[1]);
    ours.addresses_changed(NOW, digests("secret", &[2]));
    assert_eq!(heard(&signer(&[3]), &ours, NOW), [Err(Discard::BadDigest)]);
}

#[test]
fn an_old_passphrase_is_not_believed() {
    let mut ours = signer(&[1]);
    let old = ours.clone();
    ours.addresses_changed(NOW, digests("secret", &[1, 2]));
    ours.replace(digests("another", &[1, 2]));
    assert_eq!(heard(&ours, &ours, NOW).len(), 1);
    assert_eq!(heard(&old, &ours, NOW), [Err(Discard::BadDigest)]);
}

#[test]
fn our_own_echo_is_known_under_either_list() {
    let mut ours = signer(&[1]);
    ours.addresses_changed(NOW, digests("secret", &[2]));
    let echoes: Vec<_> = ours
        .digests(NOW)
        .map(|digests| {
            let packet = Advertisement {
                vhid: 1,
                advskew: 0,
                demote: 0,
                advbase: 1,
                counter: OURS,
                digest: digests.sign(&OURS),
            }
            .emit();
            let received = Received::check(TTL, &packet).expect("a good packet");
            ours.authenticate(NOW, &received, &OURS).unwrap_err()
        })
        .collect();
    assert_eq!(echoes, [Discard::Echo, Discard::Echo]);
}
