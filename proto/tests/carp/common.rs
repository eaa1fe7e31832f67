// SPDX-License-Identifier: GPL-2.0

//! What several tests need.

use carp_proto::carp::digest::{self, Digests, Input, Mac, KEY_LEN};
use carp_proto::carp::effects::{Effects, Kind, Outgoing, Reason, Transition};
use carp_proto::carp::election::{Config, Environment, Event, Families, State, VirtualHost};
use carp_proto::carp::packet::{Advertisement, Counter, Digest};
use carp_proto::carp::time::Instant;
use hmac::Mac as _;
use std::net::{Ipv4Addr, Ipv6Addr};

/// HMAC-SHA1 as others wrote it.
#[derive(Default)]
pub struct Hmac(Option<hmac::Hmac<sha1::Sha1>>);

impl Mac for Hmac {
    fn begin(&mut self, key: &[u8; KEY_LEN]) {
        self.0 = Some(hmac::Hmac::new_from_slice(key).expect("any key will do"));
    }

    fn continue_from(&mut self, other: &Self) {
        self.0.clone_from(&other.0);
    }

    fn update(&mut self, bytes: &[u8]) {
        self.0.as_mut().expect("it has a key").update(bytes);
    }

    fn digest(&self, last: &[u8]) -> Digest {
        let hmac = self.0.clone().expect("it has a key");
        hmac.chain_update(last).finalize().into_bytes().into()
    }

    fn wipe(&mut self) {
        self.0 = None;
    }
}

/// The key of a passphrase.
pub fn key(pass: &str) -> [u8; KEY_LEN] {
    let mut key = [0; KEY_LEN];
    digest::write_key(pass.as_bytes(), &mut key).expect("a short passphrase");
    key
}

/// The digests of a virtual host.
pub fn digests<M: Mac>(pass: &str, input: &Input<&[Ipv4Addr], &[Ipv6Addr]>) -> Digests<M> {
    let mut digests = Digests::default();
    digests.hash(&key(pass), input);
    digests
}

/// An SHA-1 of one piece.
pub fn sha1(bytes: &[u8]) -> Digest {
    use sha1::Digest as _;
    sha1::Sha1::digest(bytes).into()
}

pub const OURS: Counter = *b"ourselve";
pub const THEIRS: Counter = *b"somebody";

pub const NEITHER: Families = Families {
    ipv4: false,
    ipv6: false,
};
pub const IPV4: Families = Families {
    ipv4: true,
    ipv6: false,
};
pub const IPV6: Families = Families {
    ipv4: false,
    ipv6: true,
};
pub const BOTH: Families = Families {
    ipv4: true,
    ipv6: true,
};

/// No preemption, no demotion, both families.
pub const CALM: Environment = Environment {
    preempt: false,
    demote: 0,
    families: BOTH,
    demoteskew: false,
};

pub const PREEMPT: Environment = Environment {
    preempt: true,
    ..CALM
};

pub const fn config(advbase: u8, advskew: u8) -> Config {
    Config {
        vhid: 1,
        advbase,
        advskew,
    }
}

/// Somebody else's advertisement.
pub const fn theirs(advbase: u8, advskew: u8, demote: u8) -> Advertisement {
    Advertisement {
        vhid: 1,
        advskew,
        demote,
        advbase,
        counter: THEIRS,
        digest: [0; 20],
    }
}

pub const BOW_OUT: Advertisement = theirs(255, 255, 0);

pub const MS: u64 = 1_000_000;
pub const SECOND: u64 = 1000 * MS;

/// This many 1/256 s, in nanoseconds, reckoned in another way than the code.
pub const fn skew(units: u64) -> u64 {
    units * SECOND / 256
}

/// A moment of the test, after boot.
pub const fn at(nanos: u64) -> Instant {
    Instant(3600 * SECOND + nanos)
}

/// A virtual host that began to listen at the moment 0.
pub fn backup(config: Config, env: &Environment) -> VirtualHost {
    let mut host = VirtualHost::new(config, OURS);
    let effects = host.handle(at(0), env, Event::Start);
    assert_eq!(effects.transition.map(|t| t.to), Some(State::Backup));
    host
}

/// A virtual host that was made master at the moment 0.
pub fn master(config: Config, env: &Environment) -> VirtualHost {
    let mut host = backup(config, env);
    let effects = host.handle(at(0), env, Event::Force(State::Master));
    assert_eq!(effects.transition.map(|t| t.to), Some(State::Master));
    host
}

/// The effects of a takeover.
pub fn takeover(reason: Reason, families: Families) -> Effects {
    Effects {
        transition: Some(Transition {
            from: State::Backup,
            to: State::Master,
            reason,
        }),
        advertise: Some(Outgoing {
            kind: Kind::Advertisement,
            families,
        }),
        announce: true,
    }
}

/// The effects of giving way.
pub fn way_given(reason: Reason) -> Effects {
    changed(State::Master, State::Backup, reason)
}

/// The effects of a change of state and nothing else.
pub fn changed(from: State, to: State, reason: Reason) -> Effects {
    Effects {
        transition: Some(Transition { from, to, reason }),
        ..Effects::NONE
    }
}

/// The effects of a master's ordinary advertisement.
pub fn advertised(families: Families) -> Effects {
    Effects {
        advertise: Some(Outgoing {
            kind: Kind::Advertisement,
            families,
        }),
        ..Effects::NONE
    }
}
