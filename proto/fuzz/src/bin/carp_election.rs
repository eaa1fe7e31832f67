// SPDX-License-Identifier: GPL-2.0

//! Any sequence of events in the life of a virtual host.

#![no_main]

use arbitrary::{Arbitrary, Result, Unstructured};
use carp_proto::carp::effects::Kind;
use carp_proto::carp::election::{Event, State, VirtualHost};
use carp_proto::carp::master_down::COARSE;
use carp_proto::carp::time::{Instant, Interval};
use carp_proto_fuzz::{advertisement, config, environment, family, pause};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = run(&mut Unstructured::new(data));
});

fn run(u: &mut Unstructured<'_>) -> Result<()> {
    let counter = <[u8; 8]>::arbitrary(u)?;
    let mut host = VirtualHost::new(config(u)?, counter);
    let mut now = Instant(u64::from(u32::arbitrary(u)?));
    let mut env = environment(u)?;
    while !u.is_empty() {
        if u.ratio(3, 4)? {
            now = Instant(now.0.saturating_add(pause(u)?));
        } else if let Some(deadline) = host.deadline() {
            now = now.max(deadline);
        }
        if u.ratio(1, 4)? {
            env = environment(u)?;
        }
        let theirs;
        let event = match u.int_in_range(0..=9)? {
            0 => Event::Start,
            1 => Event::Stop {
                bow_out: bool::arbitrary(u)?,
            },
            2..=3 => Event::Timer,
            4..=5 => {
                theirs = advertisement(u)?;
                Event::Received(family(u)?, &theirs)
            }
            6 => Event::Reconfigured(config(u)?),
            7 => Event::FamiliesChanged,
            8 => Event::Force(*u.choose(&[State::Init, State::Backup, State::Master])?),
            _ => Event::AdvertiseNow,
        };
        let before = host.clone();
        let effects = host.handle(now, &env, event);

        assert_eq!(
            effects.transition.map(|t| (t.from, t.to)),
            (before.state() != host.state()).then_some((before.state(), host.state()))
        );
        if before.state() == State::Init {
            assert_ne!(host.state(), State::Master, "BACKUP comes first");
        }
        match effects.advertise.map(|outgoing| outgoing.kind) {
            Some(Kind::Advertisement) => assert_eq!(host.state(), State::Master),
            Some(Kind::BowOut) => {
                assert_eq!(before.state(), State::Master);
                assert_ne!(host.state(), State::Master);
            }
            None => (),
        }
        if let Some(outgoing) = effects.advertise {
            assert!(!outgoing.families.is_empty());
        }
        assert!(!effects.announce || host.state() == State::Master);
        assert!(host.config().vhid != 0 || host.state() == State::Init);
        assert_eq!(host.counter(), &counter);
        // Nobody waits for longer than it must, with the delay after ties.
        let config = host.config();
        let most = match host.state() {
            State::Init => {
                assert_eq!(host.deadline(), None);
                continue;
            }
            State::Backup => {
                let wait = Interval::until_master_down(config.advbase, config.advskew);
                let coarse = if config.advbase == 0 { COARSE.0 } else { 0 };
                Interval(wait.0 * 2 + coarse)
            }
            State::Master => {
                assert!(host.deadline().is_some());
                Interval::between_advertisements(config.advbase, config.advskew)
            }
        };
        if before.deadline() != host.deadline() {
            assert!(host
                .deadline()
                .is_none_or(|deadline| deadline <= now.after(most)));
        }
        // What we say is what the other end of the wire takes it for.
        let said = host.advertisement(&env);
        assert_eq!((said.demote, said.counter), (env.demote, counter));
        assert!(host.bow_out(&env).is_bow_out());
    }
    Ok(())
}
