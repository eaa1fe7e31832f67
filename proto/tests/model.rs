// SPDX-License-Identifier: GPL-2.0

//! The election, checked in every situation that a small group can get into.
//!
//! A simulation tries out some of what can happen. Here a model checker tries
//! out all of it: the real [`VirtualHost`]s of two or three hosts, with any
//! choice of what happens next, and remembers where it has been.
//!
//! # How time is made finite
//!
//! Time goes in ticks. All that hosts wait for is a whole number of ticks, which
//! the model insists on. Between two ticks timers fire, packets arrive and hosts
//! die in any order. A packet that was sent arrives after 0 to `delay` ticks, in
//! any order with others; a timer fires 0 to `lateness` ticks after it was due.
//!
//! Nothing is lost by that. Each condition on time is of the kind "from so many
//! ticks to so many", its ends included; and all that a host asks of its clock
//! is whether a deadline has come. So a run in which things happen at any
//! fractions of a tick can be rounded, all of it by the same rule (down if the
//! fraction is at most some ε, else up), to a run in whole ticks with the same
//! events in the same order; and if something lasted longer than n ticks, there
//! is an ε by which it still does (Henzinger, Manna, Pnueli: What good are
//! digital clocks?, 1992).
//!
//! What time it is does not matter to a host, only how far off its deadlines
//! are. So two moments are the same if all hosts look the same with their
//! clocks read as "in so many ticks": then there are only so many moments. A
//! host is looked at through what anybody can ask it; the model keeps no copy of
//! its state, with one exception: whether it ever gave way to its like, after
//! which its random bytes count, is written down ([`Reason::EqualMaster`]).
//!
//! Packets that are the same in all respects are one; that one may arrive twice
//! is a disturbance of its own.
//!
//! # What is not in it
//!
//! More than three hosts. Administrators and reboots that are faster than a
//! packet: what a host sent has arrived or was lost before its demotion changes,
//! before it comes back or is forced into another state; else an administrator
//! could fill the network, and with it the memory of this machine. Digests and
//! own echoes, which are judged before the election hears of them.
//!
//! # What is asked
//!
//! The properties have their words in `group.rs`. Disturbances may come without
//! end; "there is one master" is asked some time after the last one, from
//! wherever they have led. `docs/model.md` tells what was found.
//!
//! `CARP_MODEL=large` (`make model`) has finer ticks and more hosts.

#[path = "carp/common.rs"]
#[allow(dead_code)] // it needs a part of it
mod common;

#[path = "model/enforced.rs"]
mod enforced;
#[path = "model/group.rs"]
mod group;
#[path = "model/moment.rs"]
mod moment;

use std::io::Write as _;

use carp_proto::auth::freshness::{Freshness, Window};
use carp_proto::carp::effects::Reason;
use carp_proto::carp::election::{Config, Family};
use carp_proto::carp::time::Interval;
use common::{config, BOTH, IPV4};
use group::{Bounds, Group, Unrest};
use stateright::{Checker, Model};

/// The most situations that one run may visit: some 2 GB.
const MOST: usize = 20_000_000;

const DEATH: Unrest = Unrest {
    death: true,
    leaving: false,
    demotion: 0,
    loss: false,
    doubling: false,
    replay: false,
    force: false,
};

/// Hosts come and go as they like, and packets arrive out of order or twice, but
/// all that are sent arrive.
const GOOD_NETWORK: Unrest = Unrest {
    leaving: true,
    doubling: true,
    ..DEATH
};

const DEMOTION: Unrest = Unrest {
    demotion: 1,
    ..GOOD_NETWORK
};

/// Anything, but for somebody who means it.
const ANYTHING: Unrest = Unrest {
    loss: true,
    force: true,
    ..DEMOTION
};

const MALICE: Unrest = Unrest {
    replay: true,
    ..ANYTHING
};

fn is_large() -> bool {
    std::env::var("CARP_MODEL").is_ok_and(|size| size == "large")
}

fn if_large(large: Unrest, small: Unrest) -> Unrest {
    match is_large() {
        true => large,
        false => small,
    }
}

/// A group in ticks of half a second, of which a packet takes at most one.
fn group<const N: usize>(configs: [Config; N], preempt: bool, unrest: Unrest) -> Group<N> {
    let counter = |index: usize| [index as u8; 8];
    Group {
        configs,
        counters: core::array::from_fn(counter),
        preempt,
        families: IPV4,
        demoteskew: false,
        accompanied: true,
        enforce: None,
        tick: 128,
        delay: 1,
        lateness: 0,
        unrest,
        bounds: Bounds::default(),
        reasons: Default::default(),
    }
}

impl<const N: usize> Group<N> {
    fn longest(&self, of: impl Fn(&Self, usize) -> u8) -> u8 {
        (0..N).map(|index| of(self, index)).max().unwrap_or(0)
    }

    /// The most that passes from when something is due until others know of it.
    fn lag(&self) -> u8 {
        self.delay + self.lateness
    }

    /// What holds on a network that loses nothing, whatever hosts do.
    fn strict(mut self) -> Self {
        self.bounds = Bounds {
            together: Some(self.lag()),
            announced: true,
            ..self.usual()
        };
        // An announcement is repeated after two advertisements.
        let repeat = 2 * self.longest(Self::interval);
        self.bounds.peace = self.bounds.peace.map(|peace| peace + repeat);
        self
    }

    /// What holds in any case.
    fn weak(mut self) -> Self {
        self.bounds = self.usual();
        self
    }

    fn usual(&self) -> Bounds {
        let interval = self.longest(Self::interval);
        let timeout = self.longest(Self::timeout);
        // With preempt a third host can make it happen once more: one that gave
        // way is pushed by what the worst had said before.
        let times = if self.preempt { N as u8 - 1 } else { 1 };
        Bounds {
            together: Some(times * (interval + self.lag())),
            since_disturbance: true,
            waiting: Some(self.lag()).filter(|_| !self.unrest.replay),
            // Somebody's time runs out, a better one hears of it, the others
            // hear of that.
            peace: Some(timeout + interval + 2 * self.lag()),
            announced: false,
            learned: false,
        }
    }

    /// When everything is as it should be, switches know so as well.
    fn and_switches_learn(mut self) -> Self {
        self.bounds.learned = true;
        self
    }

    /// With hosts that meet their like: each time both give way, and one of them
    /// waits for `delay` ticks longer.
    fn with_ties(mut self, delay: u8) -> Self {
        let round = self.longest(Self::timeout) + delay + self.lag();
        self.bounds.waiting = self.bounds.waiting.map(|lag| lag + delay);
        self.bounds.peace = self.bounds.peace.map(|peace| peace + 2 * round);
        self
    }

    fn large(mut self, change: impl Fn(&mut Self)) -> Self {
        if is_large() {
            change(&mut self);
        }
        self
    }

    /// Visits every moment. Returns how each property was broken.
    fn visit(self, name: &str) -> Vec<(&'static str, String)> {
        let start = std::time::Instant::now();
        let reasons = self.reasons.clone();
        let preempt = if self.preempt { ", preempt" } else { "" };
        let checker = self
            .checker()
            .target_state_count(MOST * 10)
            .spawn_bfs()
            .join();
        let reasons = reasons.lock().unwrap().len();
        let (unique, steps) = (checker.unique_state_count(), checker.state_count());
        // past the test harness, which shows only what failed
        let _ = writeln!(
            std::io::stderr(),
            "  {name}{preempt}: {unique} states, {steps} steps, {reasons} reasons, {:.1?}",
            start.elapsed()
        );
        assert!(unique < MOST, "more than what fits into memory");
        let broken = checker.discoveries().into_iter();
        broken
            .map(|(property, path)| {
                let steps = path.into_vec().into_iter();
                let lines = steps.map(|(moment, action)| match action {
                    Some(action) => format!("  {moment:?}\n      {action:?}\n"),
                    None => format!("  {moment:?}\n"),
                });
                (property, lines.collect())
            })
            .collect()
    }

    /// Nothing breaks any property.
    fn holds(self, name: &str) {
        let preempt = self.preempt;
        let bounds = self.bounds;
        if let Some((property, path)) = self.visit(name).first() {
            panic!("{name}, preempt {preempt}, {bounds:?}: not so: {property}\n{path}");
        }
    }

    /// Something breaks `property`: what the protocol cannot do.
    fn breaks(self, name: &str, property: &str) {
        let broken = self.visit(name);
        let found = broken.iter().find(|(broken, _)| broken.contains(property));
        let (_, path) = found.expect("what was known to go wrong does not any more");
        if std::env::var_os("CARP_MODEL_SHOW").is_some() {
            let _ = writeln!(std::io::stderr(), "{name}: {property}\n{path}");
        }
    }
}

const TOGETHER: &str = "master together";
const WAITING: &str = "nobody listens";
const ONE_MASTER: &str = "there is one master";
const ANNOUNCED: &str = "announced the addresses last";
const LEARNED: &str = "switches have learned";

/// 1 s and 1.5 s between advertisements.
const TWO: [Config; 2] = [config(1, 0), config(1, 128)];

/// And 2 s: more than its like would wait without a word is 3 s.
const THREE: [Config; 3] = [config(1, 0), config(1, 128), config(2, 0)];

const PREEMPT: [bool; 2] = [false, true];

#[test]
fn two_hosts_on_a_good_network() {
    for preempt in PREEMPT {
        group(TWO, preempt, GOOD_NETWORK)
            .large(|group| (group.tick, group.delay, group.lateness) = (32, 2, 1))
            .strict()
            .holds("two hosts on a good network");
    }
}

#[test]
fn two_hosts_whatever_happens() {
    for preempt in PREEMPT {
        group(TWO, preempt, ANYTHING)
            .large(|group| (group.tick, group.delay, group.lateness) = (64, 2, 1))
            .weak()
            .and_switches_learn()
            .holds("two hosts, whatever happens");
    }
}

#[test]
fn two_hosts_and_somebody_who_replays() {
    for preempt in PREEMPT {
        group(TWO, preempt, MALICE)
            .large(|group| (group.tick, group.delay, group.lateness) = (64, 2, 1))
            .weak()
            .holds("two hosts and somebody who replays");
    }
}

#[test]
fn two_hosts_in_two_families() {
    for preempt in PREEMPT {
        let mut group = group(TWO, preempt, if_large(ANYTHING, GOOD_NETWORK));
        group.families = BOTH;
        group.weak().holds("two hosts in IPv4 and IPv6");
    }
}

#[test]
fn two_hosts_of_less_than_a_second() {
    for preempt in PREEMPT {
        let few = Unrest {
            loss: true,
            ..DEATH
        };
        let unrest = if_large(ANYTHING, few);
        let mut group = group([config(0, 4), config(0, 5)], preempt, unrest);
        group.tick = 1;
        group.weak().holds("two hosts of less than a second");
    }
}

#[test]
fn two_hosts_that_are_alike() {
    for preempt in PREEMPT {
        let mut group = group([config(1, 0); 2], preempt, if_large(ANYTHING, DEMOTION));
        group.tick = 64;
        group.counters = [[0; 8], [3 * 64; 8]];
        group.weak().with_ties(3).holds("two hosts that are alike");
    }
}

#[test]
fn two_hosts_that_say_their_demotion_to_all() {
    for preempt in PREEMPT {
        let unrest = if_large(ANYTHING, DEMOTION);
        let mut group = group([config(1, 0), config(1, 64)], preempt, unrest);
        group.tick = 64;
        group.demoteskew = true;
        group.counters = [[0; 8], [3 * 64; 8]];
        group
            .weak()
            .with_ties(3)
            .holds("two hosts that say their demotion in their advskew");
    }
}

#[test]
fn three_hosts() {
    for preempt in PREEMPT {
        group(THREE, preempt, DEATH)
            .weak()
            .and_switches_learn()
            .holds("three hosts that die");
    }
}

#[test]
fn three_hosts_that_bow_out() {
    if !is_large() {
        return;
    }
    for preempt in PREEMPT {
        let unrest = Unrest {
            leaving: true,
            ..DEATH
        };
        group(THREE, preempt, unrest)
            .weak()
            .holds("three hosts that die and bow out");
    }
}

// --- authenticated as a whole ---

impl<const N: usize> Group<N> {
    /// Believes only what is authenticated, and no older than so many seconds.
    fn enforce(mut self, seconds: u8) -> Self {
        let window = Window::new(seconds.into()).expect("a window");
        self.enforce = Some(Freshness::Time(window));
        self
    }

    /// The window in ticks.
    fn window(&self) -> u8 {
        match self.enforce {
            Some(Freshness::Time(window)) => {
                self.ticks(Interval(256 * u32::from(window.seconds())))
            }
            _ => 0,
        }
    }
}

/// The window of two hosts, the default, in seconds; with three there would be too much to be
/// repeated.
const WINDOW: u8 = 5;

#[test]
fn who_only_repeats_what_was_authenticated_changes_nothing() {
    for preempt in PREEMPT {
        let unrest = Unrest {
            replay: true,
            ..DEATH
        };
        let group = group(TWO, preempt, unrest).enforce(WINDOW);
        group.strict().holds("replay of what is authenticated");
    }
}

#[test]
fn who_only_repeats_what_was_authenticated_changes_nothing_between_three_hosts() {
    for preempt in PREEMPT {
        let unrest = Unrest {
            replay: true,
            ..DEATH
        };
        group(THREE, preempt, unrest)
            .enforce(1)
            .weak()
            .holds("replay of what is authenticated, three hosts");
    }
}

#[test]
fn who_holds_authenticated_packets_back_keeps_others_quiet_for_the_window_at_most() {
    for preempt in PREEMPT {
        let unrest = Unrest {
            loss: true,
            replay: true,
            ..DEATH
        };
        let mut group = group(TWO, preempt, unrest).enforce(WINDOW).weak();
        group.bounds.waiting = Some(group.window() + group.lag());
        group.holds("authenticated packets held back");
    }
}

#[test]
fn who_holds_an_authenticated_farewell_back_makes_nobody_master_for_good() {
    // With preempt there is more to be recorded than fits into memory.
    let unrest = Unrest {
        leaving: true,
        replay: true,
        ..Unrest::default()
    };
    let mut group = group(TWO, false, unrest).enforce(1).weak();
    group.bounds.waiting = Some(group.window() + group.lag());
    group.holds("an authenticated farewell held back");
}

#[test]
fn who_holds_authenticated_packets_back_does_keep_others_quiet_that_long() {
    let unrest = Unrest {
        loss: true,
        replay: true,
        ..DEATH
    };
    let mut group = group(TWO, false, unrest).enforce(WINDOW).weak();
    group.bounds.waiting = Some(group.window() - 1);
    group.breaks("authenticated packets held back", WAITING);
}

// --- what the protocol cannot do: docs/model.md tells each as a time line ---

#[test]
fn a_lost_advertisement_can_make_two_masters_for_an_interval() {
    let unrest = Unrest {
        loss: true,
        ..DEATH
    };
    let mut group = group(TWO, false, unrest).weak();
    group.bounds.together = Some(group.lag());
    group.breaks("loss", TOGETHER);
}

#[test]
fn a_demotion_that_is_taken_back_can_make_two_masters_for_an_interval() {
    let mut group = group(TWO, false, DEMOTION).weak();
    group.bounds.together = Some(group.lag());
    group.breaks("demotion taken back", TOGETHER);
}

#[test]
fn a_bow_out_that_is_overtaken_can_make_two_masters_for_an_interval() {
    let unrest = Unrest {
        leaving: true,
        ..DEATH
    };
    let mut group = group(THREE, false, unrest).weak();
    group.bounds.together = Some(group.lag());
    group.bounds.peace = None;
    group.bounds.waiting = None;
    group.breaks("a bow-out that is overtaken", TOGETHER);
}

#[test]
fn an_advertisement_that_is_late_can_make_two_masters_for_an_interval() {
    let mut group = group(THREE, true, DEATH).weak();
    group.bounds.together = Some(group.lag());
    group.bounds.peace = None;
    group.bounds.waiting = None;
    group.breaks("a late advertisement and preempt", TOGETHER);
}

#[test]
fn replayed_advertisements_of_a_dead_master_keep_the_others_quiet() {
    let unrest = Unrest {
        replay: true,
        ..DEATH
    };
    let mut group = group(TWO, false, unrest).weak();
    group.bounds.waiting = Some(group.lag());
    group.breaks("replay", WAITING);
}

#[test]
fn a_host_more_patient_than_the_other_can_wait_is_never_left_in_peace() {
    let mut group = group([config(1, 0), config(4, 0)], false, DEMOTION).weak();
    group.bounds.together = None;
    group.breaks("an interval beyond the other's patience", ONE_MASTER);
}

#[test]
fn hosts_of_the_same_interval_and_the_same_random_bytes_may_never_agree() {
    let mut group = group([config(1, 0); 2], false, DEATH);
    group.counters = [[0; 8]; 2];
    group
        .weak()
        .with_ties(0)
        .breaks("the same random bytes", ONE_MASTER);
}

#[test]
fn a_master_that_never_hears_of_the_other_does_not_announce_again() {
    let unrest = Unrest {
        loss: true,
        ..DEATH
    };
    let mut group = group(TWO, false, unrest).strict();
    group.bounds.together = None;
    group.breaks("a master that hears nothing of a split", ANNOUNCED);
}

#[test]
fn switches_would_not_learn_from_announcements_alone() {
    let unrest = Unrest {
        loss: true,
        ..DEATH
    };
    let mut group = group(TWO, false, unrest).weak().and_switches_learn();
    group.accompanied = false;
    group.breaks("advertisements from the parent's MAC alone", LEARNED);
}

// --- the model itself ---

#[test]
fn everything_that_can_happen_happens_in_the_model() {
    let group = group(TWO, true, ANYTHING).weak();
    let reasons = group.reasons.clone();
    group.holds("all reasons");
    let seen = reasons.lock().unwrap();
    for reason in [
        Reason::Started,
        Reason::Stopped,
        Reason::MasterTimedOut(Family::Ipv4),
        Reason::MasterBowedOut,
        Reason::Preempting,
        Reason::MasterDemoted,
        Reason::BetterMaster,
        Reason::LessDemotedMaster,
        Reason::Administrator,
    ] {
        assert!(seen.contains(&reason), "{reason:?}");
    }
}
