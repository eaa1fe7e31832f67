// SPDX-License-Identifier: GPL-2.0

//! Every state is looked at when its time has come: not later, and hardly ever before.

use carp_proto::pfsync::wheel::{Link, Links, Wheel};
use proptest::prelude::*;

const NONE: [u32; 0] = [];

#[derive(Default)]
struct States(Vec<Option<Link>>);

impl States {
    fn of(count: usize) -> Self {
        Self(vec![Some(Link::new()); count])
    }
}

impl Links for States {
    fn link(&mut self, number: u32) -> Option<&mut Link> {
        self.0.get_mut(number as usize)?.as_mut()
    }
}

/// All that are due at this second.
fn due(wheel: &mut Wheel, states: &mut States, now: u32) -> Vec<u32> {
    let mut due = Vec::new();
    while let Some(number) = wheel.pop(states, now) {
        due.push(number);
    }
    due.sort_unstable();
    due
}

#[test]
fn one_after_the_other() {
    let (mut wheel, mut states) = (Wheel::new(1000), States::of(4));
    for (number, at) in [(0, 1003), (1, 1001), (2, 1003), (3, 1063)] {
        wheel.set(&mut states, number, at);
        assert_eq!(states.0[number as usize].unwrap().at(), Some(at));
    }
    assert_eq!(due(&mut wheel, &mut states, 1000), NONE);
    assert_eq!(due(&mut wheel, &mut states, 1001), [1]);
    assert_eq!(due(&mut wheel, &mut states, 1002), NONE);
    assert_eq!(due(&mut wheel, &mut states, 1003), [0, 2]);
    assert_eq!(states.0[0].unwrap().at(), None);
    assert_eq!(due(&mut wheel, &mut states, 1062), NONE);
    assert_eq!(due(&mut wheel, &mut states, 1063), [3]);
}

#[test]
fn what_is_late_comes_at_once() {
    let (mut wheel, mut states) = (Wheel::new(1000), States::of(2));
    assert_eq!(due(&mut wheel, &mut states, 1010), NONE);
    wheel.set(&mut states, 0, 900);
    wheel.set(&mut states, 1, 1010);
    assert_eq!(due(&mut wheel, &mut states, 1010), [0, 1]);
    // and nothing that was put back is seen twice in a second
    wheel.set(&mut states, 0, 1011);
    assert_eq!(due(&mut wheel, &mut states, 1010), NONE);
}

#[test]
fn sooner_but_not_later() {
    let (mut wheel, mut states) = (Wheel::new(0), States::of(1));
    wheel.sooner(&mut states, 0, 500);
    wheel.sooner(&mut states, 0, 30);
    wheel.sooner(&mut states, 0, 40);
    assert_eq!(states.0[0].unwrap().at(), Some(30));
    assert_eq!(due(&mut wheel, &mut states, 29), NONE);
    assert_eq!(due(&mut wheel, &mut states, 30), [0]);
}

#[test]
fn who_is_gone_is_not_looked_at() {
    let (mut wheel, mut states) = (Wheel::new(0), States::of(3));
    for number in 0..3 {
        wheel.set(&mut states, number, 5);
    }
    wheel.remove(&mut states, 1);
    wheel.remove(&mut states, 1);
    states.0[1] = None;
    wheel.set(&mut states, 1, 5);
    assert_eq!(due(&mut wheel, &mut states, 5), [0, 2]);
}

/// A machine that slept for a day does not lose anything.
#[test]
fn a_clock_that_jumps_leaves_nothing_behind() {
    let (mut wheel, mut states) = (Wheel::new(7), States::of(200));
    for number in 0..200 {
        wheel.set(&mut states, number, 7 + 37 * number);
    }
    assert_eq!(
        due(&mut wheel, &mut states, 100_000),
        (0..200).collect::<Vec<_>>()
    );
}

proptest! {
    /// Looked at in its second, or too early from a list of several seconds; who looks too
    /// early says so again. At most one look in 64 seconds is too early, and one in an hour
    /// for what is farther away.
    #[test]
    fn never_later(
        start in 0..10_000_u32,
        wishes in proptest::collection::vec((0..20_u32, 0..20_000_u32, any::<bool>()), 1..60),
        steps in proptest::collection::vec(1..200_u32, 1..150),
    ) {
        let (mut wheel, mut states) = (Wheel::new(start), States::of(20));
        let mut wanted = [None; 20];
        let mut early = [0_u32; 20];
        let mut now = start;
        let mut wishes = wishes.into_iter();
        for step in steps {
            if let Some((number, within, soon)) = wishes.next() {
                let at = now + if soon { within % 100 } else { within };
                let known: &mut Option<u32> = &mut wanted[number as usize];
                if known.is_none_or(|known| at < known) {
                    *known = Some(at);
                    early[number as usize] = 0;
                }
                wheel.sooner(&mut states, number, at);
            }
            now += step;
            while let Some(number) = wheel.pop(&mut states, now) {
                let at = wanted[number as usize].expect("nobody asked for it");
                if at <= now {
                    wanted[number as usize] = None;
                } else {
                    early[number as usize] += 1;
                    prop_assert!(early[number as usize] <= 1 + 20_000 / (62 * 64) + 1);
                    wheel.set(&mut states, number, at);
                }
            }
            for at in wanted.iter().flatten() {
                prop_assert!(*at > now, "{} was not looked at by {}", at, now);
            }
        }
    }
}
