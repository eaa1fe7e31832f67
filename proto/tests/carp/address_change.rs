// SPDX-License-Identifier: GPL-2.0

//! Two hosts whose lists of addresses change one after the other.

use crate::common::{self, Hmac, OURS, THEIRS};
use carp_proto::carp::address_change::{Signer, EARLIER_MAX, GRACE};
use carp_proto::carp::digest::{Input, Mac, KEY_LEN};
use carp_proto::carp::packet::{Advertisement, Digest, Discard, Received, TTL};
use carp_proto::carp::time::{Instant, Interval};
use std::cell::Cell;
use std::net::{Ipv4Addr, Ipv6Addr};

const NOW: Instant = Instant(1_000_000_000);

/// Calls `put` with a key, and with the addresses that end in `last`.
fn with_list<T>(
    pass: &str,
    last: &[u8],
    put: impl FnOnce(&[u8; KEY_LEN], &Input<&[Ipv4Addr], &[Ipv6Addr]>) -> T,
) -> T {
    let ipv4: Vec<_> = last.iter().map(|&n| Ipv4Addr::new(10, 0, 0, n)).collect();
    let input = Input {
        vhid: 1,
        lladdr: None,
        ipv4: &ipv4[..],
        ipv6: &[][..],
    };
    put(&common::key(pass), &input)
}

fn signer(last: &[u8]) -> Signer<Hmac> {
    let mut signer = Signer::default();
    with_list("secret", last, |key, input| signer.replace(key, input));
    signer
}

fn change(signer: &mut Signer<Hmac>, now: Instant, last: &[u8]) {
    with_list("secret", last, |key, input| {
        signer.addresses_changed(now, key, input);
    });
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
        change(&mut a, NOW, list);
        assert!(hears(&a, &b, NOW), "{list:?}");
        assert!(hears(&b, &a, NOW), "{list:?}");
    }
    let later = NOW.after(Interval(256));
    for list in [&[1, 2][..], &[2], &[2, 3]] {
        change(&mut b, later, list);
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
    change(&mut ours, NOW, &[1, 2]);
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
    change(&mut ours, NOW, &[2]);
    assert_eq!(heard(&ours, &ours, NOW).len(), 2);
    // A minute.
    let end = NOW.after(Interval(15_360));
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
        change(&mut ours, now, list);
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
        change(ours, *now, &list(count));
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
    change(&mut ours, NOW, &[2]);
    let later = NOW.after(GRACE).after(GRACE);
    change(&mut ours, later, &[3]);
    assert!(!hears(&signer(&[1]), &ours, later));
    assert!(hears(&signer(&[2]), &ours, later));
}

#[test]
fn a_list_that_nobody_had_is_not_believed() {
    let mut ours = signer(&[1]);
    change(&mut ours, NOW, &[2]);
    assert_eq!(heard(&signer(&[3]), &ours, NOW), [Err(Discard::BadDigest)]);
}

#[test]
fn an_old_passphrase_is_not_believed() {
    let mut ours = signer(&[1]);
    let old = signer(&[1]);
    change(&mut ours, NOW, &[1, 2]);
    with_list("another", &[1, 2], |key, input| ours.replace(key, input));
    assert_eq!(heard(&ours, &ours, NOW).len(), 1);
    assert_eq!(heard(&old, &ours, NOW), [Err(Discard::BadDigest)]);
}

#[test]
fn our_own_echo_is_known_under_either_list() {
    let mut ours = signer(&[1]);
    change(&mut ours, NOW, &[2]);
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

#[test]
fn a_signer_without_a_key_says_nothing_and_believes_nothing() {
    let blank = Signer::default();
    assert_eq!(heard(&blank, &signer(&[1]), NOW), []);
    assert_eq!(heard(&signer(&[1]), &blank, NOW), [Err(Discard::BadDigest)]);
}

thread_local! {
    static KEYED: Cell<usize> = const { Cell::new(0) };
}

/// Is counted in [`KEYED`] as long as it has a key.
#[derive(Default)]
struct Counted(bool);

impl Counted {
    fn set(&mut self, keyed: bool) {
        let others = KEYED.get() - usize::from(self.0);
        self.0 = keyed;
        KEYED.set(others + usize::from(keyed));
    }
}

impl Mac for Counted {
    fn begin(&mut self, _: &[u8; KEY_LEN]) {
        self.set(true);
    }

    fn continue_from(&mut self, other: &Self) {
        self.set(other.0);
    }

    fn update(&mut self, _: &[u8]) {
        assert!(self.0, "it has a key");
    }

    fn digest(&self, _: &[u8]) -> Digest {
        assert!(self.0, "it has a key");
        [0; 20]
    }

    fn wipe(&mut self) {
        self.set(false);
    }
}

#[test]
fn what_is_not_believed_any_more_is_wiped() {
    let mut signer = Signer::<Counted>::default();
    let key = [0; KEY_LEN];
    let global = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    let link_local = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
    let input = |ipv6| Input {
        vhid: 1,
        lladdr: None,
        ipv4: &[][..],
        ipv6,
    };
    let both = [link_local, global];
    let (one, two) = (input(&both[1..]), input(&both[..]));
    assert_eq!(KEYED.get(), 0);
    signer.replace(&key, &two);
    assert_eq!(KEYED.get(), 2, "with link-local addresses and without");
    signer.replace(&key, &one);
    assert_eq!(KEYED.get(), 1, "there are none");
    let mut now = NOW;
    for lists in 1..20 {
        signer.addresses_changed(now, &key, &two);
        now = now.after(Interval(1));
        let earlier: usize = lists.min(EARLIER_MAX);
        assert_eq!(signer.digests(now).count(), earlier + 1);
        // The very first one had no link-local address, and stood since time began.
        assert_eq!(KEYED.get(), 2 * earlier + 1);
    }
    now = now.after(GRACE);
    signer.addresses_changed(now, &key, &one);
    assert_eq!(KEYED.get(), 3, "the grace of the others has ended");
    signer.replace(&key, &one);
    assert_eq!(KEYED.get(), 1, "another passphrase");
}
