// SPDX-License-Identifier: GPL-2.0

//! Hosts on a network that loses, delays, doubles, reorders, damages and echoes
//! what they send, in virtual time.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use carp_proto::carp::digest::{Digests, Input};
use carp_proto::carp::effects::{Effects, Kind};
use carp_proto::carp::election::{
    Config, Environment, Event, Families, Family, State, VirtualHost,
};
use carp_proto::carp::master_down::MasterDown;
use carp_proto::carp::packet::{Advertisement, Discard, Received, LEN, TTL};
use carp_proto::carp::time::{Instant, Interval};

use crate::common::{self, Hmac, BOTH, MS};
use crate::random::Random;

/// How bad the network is. Rates are per mille, times in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    pub delay_max: u64,
    pub loss: u64,
    pub doubling: u64,
    pub damage: u64,
    pub echo: u64,
}

impl Weather {
    pub const FAIR: Self = Self {
        delay_max: 5 * MS,
        loss: 0,
        doubling: 0,
        damage: 0,
        echo: 0,
    };

    pub fn foul(random: &mut Random) -> Self {
        Self {
            delay_max: random.up_to(500) * MS,
            loss: random.up_to(600),
            doubling: random.up_to(200),
            damage: random.up_to(200),
            echo: random.up_to(200),
        }
    }
}

/// How late a timer fires at most.
pub const LATENESS_MAX: u64 = MS;

pub struct Host {
    pub config: Config,
    pub env: Environment,
    /// `None` while it is dead.
    machine: Option<VirtualHost>,
    /// Packets pass between hosts of the same segment only.
    pub segment: u64,
    /// Until then it handles nothing; all of it comes then.
    frozen_until: u64,
    pub advertisements: u64,
    pub announced_at: Option<u64>,
    pub changed_at: u64,
}

impl Host {
    pub fn state(&self) -> State {
        let machine = self.machine.as_ref();
        machine.map_or(State::Init, VirtualHost::state)
    }

    pub fn is_up(&self) -> bool {
        self.state() != State::Init
    }

    /// The rank among masters: the lowest wins.
    pub fn rank(&self) -> (u8, Interval) {
        // What it says itself.
        let said = VirtualHost::new(self.config, [0; 8]).advertisement(&self.env);
        let Advertisement {
            advbase, advskew, ..
        } = said;
        (self.env.demote, Interval::new(advbase, advskew))
    }

    pub fn timeout(&self) -> u64 {
        let Config {
            advbase, advskew, ..
        } = self.config;
        // With what a backup adds that does not know the master's clock yet.
        MasterDown::new(Instant(0), advbase, advskew).deadline().0
    }

    pub fn interval(&self) -> u64 {
        let Config {
            advbase, advskew, ..
        } = self.config;
        Interval::between_advertisements(advbase, advskew).as_nanos()
    }
}

enum Item {
    Packet(Family, [u8; LEN]),
    Timer,
    /// Came for a host that was frozen.
    PutOff(Box<Item>),
}

pub struct Cluster {
    pub now: u64,
    pub random: Random,
    pub weather: Weather,
    pub hosts: Vec<Host>,
    pub discards: BTreeMap<Discard, u64>,
    pub report: String,
    digests: Digests<Hmac>,
    /// What is to come, in order: when, a number that makes it unique, for whom.
    agenda: BTreeMap<(u64, u64), (usize, Item)>,
    sequence: u64,
}

impl Cluster {
    pub fn new(mut random: Random, configs: &[Config], preempt: impl Fn(usize) -> bool) -> Self {
        let families = *random.pick(&[
            BOTH,
            BOTH,
            Families {
                ipv4: true,
                ipv6: false,
            },
            Families {
                ipv4: false,
                ipv6: true,
            },
        ]);
        let demoteskew = random.chance(500);
        let hosts = configs.iter().enumerate().map(|(index, config)| Host {
            config: *config,
            env: Environment {
                preempt: preempt(index),
                demote: 0,
                families,
                demoteskew,
            },
            machine: None,
            segment: 0,
            frozen_until: 0,
            advertisements: 0,
            announced_at: None,
            changed_at: 0,
        });
        let input = Input {
            vhid: configs[0].vhid,
            lladdr: None,
            ipv4: &[[10, 0, 0, 1].into()][..],
            ipv6: &[
                [0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into(),
                [0xfe80, 0, 0, 0, 0, 0, 0, 1].into(),
            ][..],
        };
        Self {
            now: 0,
            weather: Weather::FAIR,
            hosts: hosts.collect(),
            discards: BTreeMap::new(),
            report: String::new(),
            digests: common::digests("simulated", &input),
            agenda: BTreeMap::new(),
            sequence: 0,
            random,
        }
    }

    pub fn masters(&self) -> Vec<usize> {
        let all = self.hosts.iter().enumerate();
        all.filter(|(_, host)| host.state() == State::Master)
            .map(|(index, _)| index)
            .collect()
    }

    /// The host comes up, with everything forgotten.
    pub fn boot(&mut self, index: usize) {
        if self.hosts[index].machine.is_some() {
            return;
        }
        let counter = self.random.next().to_be_bytes();
        let config = self.hosts[index].config;
        self.hosts[index].machine = Some(VirtualHost::new(config, counter));
        self.note(index, "boots");
        self.event(index, Event::Start);
    }

    /// The host dies without a word.
    pub fn kill(&mut self, index: usize) {
        self.note(index, "dies");
        self.hosts[index].machine = None;
    }

    /// The host handles nothing for a while, and then everything at once.
    pub fn freeze(&mut self, index: usize, nanos: u64) {
        self.note(index, "freezes");
        self.hosts[index].frozen_until = self.now + nanos;
    }

    /// Nobody is frozen any longer; what was put off for them comes now.
    pub fn thaw(&mut self) {
        for host in &mut self.hosts {
            host.frozen_until = 0;
        }
        for (key, (index, item)) in core::mem::take(&mut self.agenda) {
            let when = match item {
                Item::PutOff(_) => self.now,
                _ => key.0,
            };
            self.agenda.insert((when, key.1), (index, item));
        }
    }

    /// Something happens to the host, if it lives.
    pub fn event(&mut self, index: usize, event: Event<'_>) {
        let host = &mut self.hosts[index];
        let Some(machine) = &mut host.machine else {
            return;
        };
        let effects = machine.handle(Instant(self.now), &host.env, event);
        let deadline = machine.deadline();
        if let Some(Instant(deadline)) = deadline {
            // Old timers are left to fire: they must do no harm.
            let late = self.random.up_to(LATENESS_MAX);
            self.schedule(deadline.max(self.now) + late, index, Item::Timer);
        }
        self.carry_out(index, effects);
    }

    fn carry_out(&mut self, index: usize, effects: Effects) {
        if let Some(transition) = effects.transition {
            self.hosts[index].changed_at = self.now;
            let text = format!("{:?}: {}", transition.to, transition.reason);
            self.note(index, &text);
        }
        if let Some(outgoing) = effects.advertise {
            self.hosts[index].advertisements += 1;
            for family in [Family::Ipv4, Family::Ipv6] {
                if outgoing.families.contains(family) {
                    self.send(index, outgoing.kind, family);
                }
            }
        }
        if effects.announce {
            self.hosts[index].announced_at = Some(self.now);
        }
    }

    fn send(&mut self, from: usize, kind: Kind, family: Family) {
        let host = &self.hosts[from];
        let machine = host.machine.as_ref().expect("only the living send");
        let mut advertisement = match kind {
            Kind::Advertisement => machine.advertisement(&host.env),
            Kind::BowOut => machine.bow_out(&host.env),
        };
        advertisement.digest = self.digests.sign(&advertisement.counter);
        if self.random.chance(100) {
            // a FreeBSD host would
            advertisement.digest = self.digests.sign_with_link_local(&advertisement.counter);
        }
        let bytes = advertisement.emit();
        for to in 0..self.hosts.len() {
            if self.hosts[to].segment != self.hosts[from].segment {
                continue;
            }
            let rate = if to == from { self.weather.echo } else { 1000 };
            let copies = 1 + u64::from(self.random.chance(self.weather.doubling));
            for _ in 0..copies {
                if !self.random.chance(rate) || self.random.chance(self.weather.loss) {
                    continue;
                }
                let mut bytes = bytes;
                if self.random.chance(self.weather.damage) {
                    let bit = self.random.up_to(LEN as u64 * 8 - 1) as usize;
                    bytes[bit / 8] ^= 1 << (bit % 8);
                }
                let delay = self.random.up_to(self.weather.delay_max);
                self.schedule(self.now + delay, to, Item::Packet(family, bytes));
            }
        }
    }

    fn schedule(&mut self, when: u64, index: usize, item: Item) {
        self.sequence += 1;
        self.agenda.insert((when, self.sequence), (index, item));
    }

    /// Lets time pass until `end`; `watch` looks on after everything that happens.
    pub fn run_until(
        &mut self,
        end: u64,
        mut watch: impl FnMut(&Self) -> Result<(), String>,
    ) -> Result<(), String> {
        while let Some(entry) = self.agenda.first_entry() {
            if entry.key().0 > end {
                break;
            }
            let ((when, _), (index, item)) = entry.remove_entry();
            self.now = self.now.max(when);
            let frozen_until = self.hosts[index].frozen_until;
            if frozen_until > self.now {
                self.schedule(frozen_until, index, Item::PutOff(Box::new(item)));
                continue;
            }
            self.take_in(index, item);
            watch(self)?;
        }
        self.now = end;
        Ok(())
    }

    fn take_in(&mut self, index: usize, item: Item) {
        match item {
            Item::Timer => self.event(index, Event::Timer),
            Item::Packet(family, bytes) => self.receive(index, family, &bytes),
            Item::PutOff(item) => self.take_in(index, *item),
        }
    }

    /// Lets packets arrive that are under way.
    pub fn settle(&mut self) -> Result<(), String> {
        let is_packet = |item: &Item| matches!(item, Item::Packet(..));
        while self.agenda.values().any(|(_, item)| is_packet(item)) {
            self.run_until(self.now + MS, |_| Ok(()))?;
        }
        Ok(())
    }

    fn receive(&mut self, index: usize, family: Family, bytes: &[u8; LEN]) {
        let Some(machine) = &self.hosts[index].machine else {
            return;
        };
        let checked = Received::check(TTL, bytes)
            .and_then(|received| received.authenticate(&self.digests, machine.counter()));
        match checked {
            Ok(advertisement) => self.event(index, Event::Received(family, &advertisement)),
            Err(discard) => *self.discards.entry(discard).or_default() += 1,
        }
    }

    fn note(&mut self, index: usize, what: &str) {
        let seconds = self.now as f64 / 1e9;
        let _ = writeln!(self.report, "{seconds:10.4} s  host {index} {what}");
    }
}
