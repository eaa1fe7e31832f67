// SPDX-License-Identifier: GPL-2.0

//! What holds for the election whatever happens.

use crate::common::{self, theirs, OURS};
use carp_proto::carp::effects::{Effects, Kind};
use carp_proto::carp::election::{
    Config, Environment, Event, Families, Family, State, VirtualHost,
};
use carp_proto::carp::packet::Advertisement;
use carp_proto::carp::time::Instant;
use proptest::prelude::*;

/// An [`Event`] that owns its advertisement.
#[derive(Clone, Debug)]
enum Happening {
    Received(Family, Advertisement),
    Other(Event<'static>),
}

impl Happening {
    fn event(&self) -> Event<'_> {
        match self {
            Self::Received(family, advertisement) => Event::Received(*family, advertisement),
            Self::Other(event) => *event,
        }
    }
}

fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![
        Just(0u8),
        Just(1),
        Just(2),
        Just(85),
        Just(254),
        Just(255),
        any::<u8>()
    ]
}

fn config() -> impl Strategy<Value = Config> {
    (byte(), byte(), byte()).prop_map(|(vhid, advbase, advskew)| Config {
        vhid,
        advbase,
        advskew,
    })
}

fn environment() -> impl Strategy<Value = Environment> {
    (any::<[bool; 4]>(), byte()).prop_map(|([preempt, demoteskew, ipv4, ipv6], demote)| {
        Environment {
            preempt,
            demote,
            families: Families { ipv4, ipv6 },
            demoteskew,
        }
    })
}

fn family() -> impl Strategy<Value = Family> {
    prop_oneof![Just(Family::Ipv4), Just(Family::Ipv6)]
}

fn state() -> impl Strategy<Value = State> {
    prop_oneof![Just(State::Init), Just(State::Backup), Just(State::Master)]
}

fn happening() -> impl Strategy<Value = Happening> {
    let received = (family(), byte(), byte(), byte())
        .prop_map(|(family, b, s, d)| Happening::Received(family, theirs(b, s, d)));
    let other = prop_oneof![
        2 => Just(Event::Start),
        1 => any::<bool>().prop_map(|bow_out| Event::Stop { bow_out }),
        4 => Just(Event::Timer),
        1 => config().prop_map(Event::Reconfigured),
        1 => Just(Event::FamiliesChanged),
        1 => state().prop_map(Event::Force),
        1 => Just(Event::AdvertiseNow),
    ]
    .prop_map(Happening::Other);
    prop_oneof![received, other]
}

fn nanos() -> impl Strategy<Value = u64> {
    prop_oneof![
        0u64..5_000_000_000,
        Just(0),
        Just(1),
        Just(u64::MAX / 2),
        Just(u64::MAX)
    ]
}

/// The rules as they are told, not as they are coded: whether a master gives way.
fn gives_way(ours: u32, theirs: u32, d: u8, their_d: u8) -> bool {
    (ours >= theirs && their_d <= d) || their_d < d
}

/// Whether a backup takes over, by rules 1 to 3.
fn takes_over(preempt: bool, own: Config, theirs: u32, d: u8, their_d: u8) -> bool {
    let ours = u32::from(own.advbase) * 256 + u32::from(own.advskew);
    let limit = 3 * u32::from(own.advbase) * 256 + u32::from(own.advskew);
    (preempt && ours < theirs && their_d >= d) || their_d > d || (own.advbase > 0 && limit < theirs)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_election_follows_the_rules_as_written(
        config in config(),
        env in environment(),
        family in family(),
        advbase in byte(),
        advskew in byte(),
        demote in byte(),
        is_master: bool,
    ) {
        let config = Config { vhid: 1, ..config };
        // with demoteskew what is compared is not what is configured
        let env = Environment { families: common::BOTH, demoteskew: false, ..env };
        let advertisement = theirs(advbase, advskew, demote);
        // tested on its own, as there is more to it
        prop_assume!(!advertisement.is_bow_out());
        let interval = u32::from(advbase) * 256 + u32::from(advskew);
        let ours = u32::from(config.advbase) * 256 + u32::from(config.advskew);
        // so is this: of two that are demoted alike one stays
        prop_assume!(demote == 0 || demote != env.demote || interval != ours);

        let (mut host, changes) = if is_master {
            let changes = gives_way(ours, interval, env.demote, demote);
            (common::master(config, &env), changes)
        } else {
            let changes = takes_over(env.preempt, config, interval, env.demote, demote);
            (common::backup(config, &env), changes)
        };
        let before = host.state();
        let effects = host.handle(common::at(1), &env, Event::Received(family, &advertisement));
        prop_assert_eq!(effects.transition.is_some(), changes);
        prop_assert_eq!(host.state() != before, changes);
    }

    #[test]
    fn no_sequence_of_events_breaks_an_invariant(
        first in config(),
        start: u64,
        steps in prop::collection::vec((nanos(), environment(), happening()), 1..60),
    ) {
        let mut host = VirtualHost::new(first, OURS);
        let mut now = Instant(start);
        for (pause, env, happening) in steps {
            now = Instant(now.0.saturating_add(pause));
            let before = host.clone();
            let effects = host.handle(now, &env, happening.event());
            check(&before, &host, now, &env, &happening, effects)?;
        }
    }
}

fn check(
    before: &VirtualHost,
    after: &VirtualHost,
    now: Instant,
    env: &Environment,
    happening: &Happening,
    effects: Effects,
) -> Result<(), TestCaseError> {
    // the state changes just when it is said to
    match effects.transition {
        None => prop_assert_eq!(before.state(), after.state()),
        Some(transition) => {
            prop_assert_eq!(transition.from, before.state());
            prop_assert_eq!(transition.to, after.state());
            prop_assert_ne!(transition.from, transition.to);
            prop_assert!(!transition.reason.to_string().is_empty());
        }
    }
    // from INIT, BACKUP comes first
    if before.state() == State::Init {
        prop_assert_ne!(after.state(), State::Master);
    }
    // only a master sends, and only one that was master bows out
    if let Some(outgoing) = effects.advertise {
        prop_assert_eq!(outgoing.families, env.families);
        prop_assert!(!outgoing.families.is_empty());
        match outgoing.kind {
            Kind::Advertisement => prop_assert_eq!(after.state(), State::Master),
            Kind::BowOut => {
                prop_assert_eq!(before.state(), State::Master);
                prop_assert_ne!(after.state(), State::Master);
            }
        }
    }
    // a takeover is advertised and announced; nobody else announces
    let took_over = before.state() != State::Master && after.state() == State::Master;
    if took_over {
        prop_assert!(effects.announce);
        prop_assert_eq!(effects.advertise.is_some(), !env.families.is_empty());
    }
    if effects.announce {
        prop_assert_eq!(after.state(), State::Master);
    }
    // INIT waits for nothing, a master always has something to do, and no timer
    // that was served is due again
    match after.state() {
        State::Init => prop_assert_eq!(after.deadline(), None),
        State::Backup => (),
        State::Master => prop_assert!(after.deadline().is_some()),
    }
    if matches!(happening, Happening::Other(Event::Timer)) && now.0 < u64::MAX {
        prop_assert!(after.deadline().is_none_or(|deadline| deadline > now));
    }
    // the counter is ours for ever, the configuration the administrator's
    prop_assert_eq!(after.counter(), &OURS);
    match happening {
        Happening::Other(Event::Reconfigured(config)) => {
            prop_assert_eq!(after.config(), *config);
        }
        _ => prop_assert_eq!(after.config(), before.config()),
    }
    // nobody runs without a vhid
    if after.config().vhid == 0 {
        prop_assert_eq!(after.state(), State::Init);
    }
    Ok(())
}
