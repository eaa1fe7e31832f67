// SPDX-License-Identifier: GPL-2.0

//! A group of hosts with the network between them, as a model for the checker.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex};

use carp_proto::auth::freshness::Freshness;
use carp_proto::carp::effects::{Effects, Kind, Reason};
use carp_proto::carp::election::{
    Config, Environment, Event, Families, Family, State, VirtualHost,
};
use carp_proto::carp::master_down::COARSE;
use carp_proto::carp::packet::Counter;
use carp_proto::carp::time::{Instant, Interval};
use stateright::{Model, Property};

use crate::enforced::{tidy, Enforced, Number};
use crate::moment::{Action, Host, Moment, Packet, View, BEGINNING};

/// What may happen, again and again and at any moment, until there is peace.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unrest {
    /// A host dies without a word, and another day comes back with nothing in mind.
    pub death: bool,
    /// The administrator takes a host out, which bows out, and puts it back in.
    pub leaving: bool,
    /// Demotion counts go up to this, and down to 0.
    pub demotion: u8,
    /// Packets are lost.
    pub loss: bool,
    /// Packets arrive twice.
    pub doubling: bool,
    /// Somebody sends again what was sent at any time before.
    pub replay: bool,
    /// The administrator makes a host master or backup.
    pub force: bool,
}

/// The group, and what it has to cope with.
#[derive(Clone, Debug)]
pub struct Group<const N: usize> {
    pub configs: [Config; N],
    /// Each of eight bytes that are alike, so that it does not matter which of
    /// them is the next to be used.
    pub counters: [Counter; N],
    pub preempt: bool,
    pub families: Families,
    /// Whether demoted hosts say so to FreeBSD and ucarp as well.
    pub demoteskew: bool,
    /// Whether an advertisement shows switches the virtual MAC: one to a group comes
    /// from it, and one to a peer is accompanied by a frame from it.
    pub accompanied: bool,
    /// Whether they believe only what is authenticated; and then somebody who replays has what
    /// was sent, and not what he likes.
    pub enforce: Option<Freshness>,
    /// So many 1/256 s are a tick.
    pub tick: u32,
    /// So many ticks a packet is under way at most.
    pub delay: u8,
    /// So many ticks a timer is late at most.
    pub lateness: u8,
    pub unrest: Unrest,
    /// What is asked of it.
    pub bounds: Bounds,
    /// Why anybody ever changed its state: what the model has tried out.
    pub reasons: Arc<Mutex<HashSet<Reason>>>,
}

/// The figures in the properties, all of them in ticks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bounds {
    /// For so long two hosts may be master together; `None`: not looked at.
    pub together: Option<u8>,
    /// Whether that counts from the last disturbance on.
    pub since_disturbance: bool,
    /// For so long beyond its own master-down time a host may listen while there
    /// is no master; `None`: not looked at.
    pub waiting: Option<u8>,
    /// So long after the last disturbance everything is as it should be; `None`:
    /// there is no peace.
    pub peace: Option<u8>,
    /// Whether the master is then the one that announced its addresses last.
    pub announced: bool,
    /// Whether switches have then learned the virtual MAC at the master's port.
    pub learned: bool,
}

impl<const N: usize> Group<N> {
    fn env(&self, host: &Host) -> Environment {
        self.env_of(host.demote)
    }

    fn env_of(&self, demote: u8) -> Environment {
        Environment {
            preempt: self.preempt,
            demote,
            families: self.families,
            demoteskew: self.demoteskew,
        }
    }

    fn nanos(&self, ticks: u64) -> Instant {
        Instant(ticks * Interval(self.tick).as_nanos())
    }

    /// Whether everything should be as it should be by now.
    fn is_calm(&self, moment: &Moment<N>) -> bool {
        self.bounds
            .peace
            .is_some_and(|bound| moment.peace == Some(bound))
    }

    /// How many ticks `deadline` is from `now`.
    fn ticks_from(&self, now: u64, deadline: Instant) -> i16 {
        let tick = Interval(self.tick).as_nanos();
        // All that hosts wait for is a whole number of ticks; else two moments
        // that differ would look the same.
        assert_eq!(deadline.0 % tick, 0, "a deadline between ticks");
        let ticks = i128::from(deadline.0 / tick) - i128::from(now);
        ticks.try_into().expect("a deadline not far away")
    }

    pub fn ticks(&self, interval: Interval) -> u8 {
        assert_eq!(interval.0 % self.tick, 0, "an interval of whole ticks");
        (interval.0 / self.tick).try_into().expect("a few ticks")
    }

    pub fn interval(&self, index: usize) -> u8 {
        let Config {
            advbase, advskew, ..
        } = self.configs[index];
        self.ticks(Interval::between_advertisements(advbase, advskew))
    }

    pub fn timeout(&self, index: usize) -> u8 {
        let Config {
            advbase, advskew, ..
        } = self.configs[index];
        let wait = self.ticks(Interval::until_master_down(advbase, advskew));
        // The master's clock may be a coarse one, or have been taken for one.
        match advbase {
            0 => wait + self.ticks(COARSE),
            _ => wait,
        }
    }

    /// The lowest rank makes the best master: by what a host says itself.
    fn rank(&self, moment: &Moment<N>, index: usize) -> (u8, Interval) {
        let host = VirtualHost::new(self.configs[index], self.counters[index]);
        let said = host.advertisement(&self.env(&moment.hosts[index]));
        (said.demote, Interval::new(said.advbase, said.advskew))
    }

    /// Looks at a host through what anybody can ask it.
    fn look(&self, now: u64, host: &Host) -> View {
        let Some(machine) = &host.machine else {
            return View::Dead;
        };
        let env = self.env(host);
        let left = |deadline: Option<Instant>| deadline.map(|at| self.ticks_from(now, at));
        match machine.state() {
            State::Init => View::Init,
            State::Backup => {
                // With the addresses of one family, it says when that is due.
                let in_family = |ipv4, ipv6| {
                    let families = Families { ipv4, ipv6 };
                    let mut only = machine.clone();
                    let env = Environment { families, ..env };
                    let _ = only.handle(self.nanos(now), &env, Event::FamiliesChanged);
                    left(only.deadline())
                };
                let timers = [
                    self.families.ipv4.then(|| in_family(true, false)).flatten(),
                    self.families.ipv6.then(|| in_family(false, true)).flatten(),
                ];
                // With advbase 0 it also remembers how punctual the master was.
                let judges = machine.config().advbase == 0;
                View::Backup(timers, judges.then(|| self.memory(now, machine)))
            }
            State::Master => {
                let next = left(machine.deadline()).expect("a master has something to do");
                let mut later = machine.clone();
                let announce_in = (1..=2).find(|_| {
                    let due = later.deadline().expect("a master has something to do");
                    later.handle(due, &env, Event::Timer).announce
                });
                View::Master(next, announce_in.unwrap_or(0))
            }
        }
    }

    /// All that a host remembers, with its moments as seen from now, as a number.
    fn memory(&self, now: u64, machine: &VirtualHost) -> u64 {
        let debug = format!("{machine:?}");
        let mut parts = debug.split("Instant(");
        let mut hasher = DefaultHasher::new();
        parts.next().hash(&mut hasher);
        for part in parts {
            let (nanos, rest) = part.split_once(')').expect("a derived Debug");
            let at = Instant(nanos.parse().expect("a number"));
            (self.ticks_from(now, at), rest).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// Something happens to a host, if it lives.
    fn event(&self, moment: &mut Moment<N>, index: usize, event: Event<'_>) {
        let host = &mut moment.hosts[index];
        let env = self.env(host);
        let Some(machine) = &mut host.machine else {
            return;
        };
        let Effects {
            transition,
            advertise,
            announce,
        } = machine.handle(self.nanos(moment.now), &env, event);
        if let Some(transition) = transition {
            self.reasons.lock().unwrap().insert(transition.reason);
            if transition.reason == Reason::EqualMaster {
                // All eight bytes are alike here: only the first time is different.
                host.ties = 1;
            }
        }
        let demote = host.demote;
        if announce {
            moment.announced = Some(index as u8);
        }
        // `learning` has it so where intervals are not below its pause.
        let shows = announce
            || self.accompanied && advertise.is_some_and(|it| it.kind == Kind::Advertisement);
        if shows && self.bounds.learned {
            moment.learned = Some(index as u8);
        }
        if let Some(outgoing) = advertise {
            for to in (0..N).filter(|to| *to != index) {
                for ipv6 in [false, true] {
                    let family = if ipv6 { Family::Ipv6 } else { Family::Ipv4 };
                    if !outgoing.families.contains(family) {
                        continue;
                    }
                    self.send(
                        moment,
                        Packet {
                            from: index as u8,
                            to: to as u8,
                            bow_out: outgoing.kind == Kind::BowOut,
                            ipv6,
                            demote,
                            left: self.delay,
                            age: 0,
                            serial: 0,
                            number: Number::default(),
                        },
                    );
                }
            }
        }
    }

    fn send(&self, moment: &mut Moment<N>, mut packet: Packet) {
        if let Some(enforced) = &mut moment.enforced {
            enforced.send(&mut packet);
            if !self.unrest.replay || moment.peace.is_some() {
                enforced.recorded.clear();
            }
        }
        // Nobody is there to hear it.
        if moment.hosts[usize::from(packet.to)].machine.is_none() {
            return;
        }
        if let Err(place) = moment.packets.binary_search(&packet) {
            moment.packets.insert(place, packet);
        }
    }

    fn receive(&self, moment: &mut Moment<N>, packet: &Packet) {
        // Who is not running does not listen.
        let is_running = moment.state(usize::from(packet.to)) != State::Init;
        if let Some(enforced) = moment.enforced.as_mut().filter(|_| is_running) {
            if !enforced.believes(packet) {
                return;
            }
        }
        let from = usize::from(packet.from);
        let sender = VirtualHost::new(self.configs[from], self.counters[from]);
        let env = self.env_of(packet.demote);
        let advertisement = match packet.bow_out {
            false => sender.advertisement(&env),
            true => sender.bow_out(&env),
        };
        let family = if packet.ipv6 {
            Family::Ipv6
        } else {
            Family::Ipv4
        };
        let event = Event::Received(family, &advertisement);
        self.event(moment, usize::from(packet.to), event);
    }

    fn boot(&self, moment: &mut Moment<N>, index: usize) {
        let machine = VirtualHost::new(self.configs[index], self.counters[index]);
        moment.hosts[index].machine = Some(machine);
        moment.hosts[index].ties = 0;
        if let Some(enforced) = &mut moment.enforced {
            enforced.boot(index);
        }
        self.event(moment, index, Event::Start);
    }

    fn kill(&self, moment: &mut Moment<N>, index: usize) {
        moment.hosts[index].machine = None;
        moment.hosts[index].ties = 0;
        moment.hosts[index].waiting = 0;
        moment.hosts[index].demote = 0;
        moment.packets.retain(|packet| packet.to != index as u8);
        if let Some(enforced) = &mut moment.enforced {
            enforced.kill(index);
        }
    }

    fn overdue(&self, host: &Host) -> Option<i16> {
        match host.view {
            View::Dead | View::Init => None,
            View::Backup(left, _) => left.into_iter().flatten().min(),
            View::Master(next, _) => Some(next),
        }
    }

    fn tick(&self, moment: &mut Moment<N>) -> bool {
        let late = |host| {
            self.overdue(host)
                .is_some_and(|left| left <= -i16::from(self.lateness))
        };
        if moment.packets.iter().any(|packet| packet.left == 0) || moment.hosts.iter().any(late) {
            return false;
        }
        moment.now += 1;
        for packet in &mut moment.packets {
            packet.left -= 1;
        }
        if let Some(enforced) = &mut moment.enforced {
            enforced.tick(self.nanos(moment.now).0);
            for packet in &mut moment.packets {
                packet.age += 1;
            }
        }
        // They were ordered by what does not change, too; and two that were sent
        // at different times may now look the same.
        moment.packets.sort_unstable();
        moment.packets.dedup();
        let masters = moment.masters().count();
        let count = |so_far: u8, goes_on: bool, bound: Option<u8>| match bound {
            Some(bound) if goes_on => (so_far + 1).min(bound + 1),
            _ => 0,
        };
        let bounds = &self.bounds;
        moment.together = count(moment.together, masters > 1, bounds.together);
        for index in 0..N {
            let waits = masters == 0 && moment.state(index) == State::Backup;
            let bound = bounds.waiting.map(|more| self.timeout(index) + more);
            let host = &mut moment.hosts[index];
            host.waiting = count(host.waiting, waits, bound);
        }
        if let (Some(peace), Some(bound)) = (&mut moment.peace, self.bounds.peace) {
            *peace = (*peace + 1).min(bound);
            if *peace == bound && moment.settled.is_none() {
                let first = moment.masters().next();
                moment.settled = first.map(|index| index as u8);
            }
        }
        true
    }

    fn disturbances(&self, moment: &Moment<N>, actions: &mut Vec<Action>) {
        let unrest = &self.unrest;
        for index in 0..N as u8 {
            let host = &moment.hosts[usize::from(index)];
            if unrest.death && host.machine.is_some() {
                actions.push(Action::Die(index));
            }
            if unrest.leaving && matches!(host.view, View::Backup(..) | View::Master(..)) {
                actions.push(Action::Leave(index));
            }
            // Administrators and reboots are slower than a packet.
            if moment.packets.iter().any(|packet| packet.from == index) {
                continue;
            }
            // Else there would be no end of what somebody can record within a tick.
            let recorded = moment.enforced.iter().flat_map(|it| &it.recorded);
            if recorded
                .into_iter()
                .any(|it| it.from == index && it.age == 0)
            {
                continue;
            }
            if unrest.death && host.machine.is_none() {
                actions.push(Action::Boot(index));
            }
            if unrest.leaving && host.view == View::Init {
                actions.push(Action::Return(index));
            }
            if unrest.demotion > 0 && host.machine.is_some() {
                let other = |demote: &u8| *demote != host.demote;
                let counts = (0..=unrest.demotion).filter(other);
                actions.extend(counts.map(|demote| Action::Demote(index, demote)));
            }
            if unrest.force {
                match host.view {
                    View::Backup(..) => actions.push(Action::Force(index, State::Master)),
                    View::Master(..) => actions.push(Action::Force(index, State::Backup)),
                    _ => (),
                }
            }
        }
        for packet in &moment.packets {
            if unrest.loss {
                actions.push(Action::Lose(*packet));
            }
            if unrest.doubling {
                actions.push(Action::ArriveTwice(*packet));
            }
        }
        if let Some(enforced) = &moment.enforced {
            actions.extend(enforced.recorded.iter().copied().map(Action::Replay));
        } else if unrest.replay {
            for from in 0..N as u8 {
                for to in (0..N as u8).filter(|to| *to != from) {
                    for bow_out in [false, true] {
                        for demote in 0..=unrest.demotion {
                            actions.push(Action::Replay(Packet {
                                from,
                                to,
                                bow_out,
                                ipv6: false,
                                demote,
                                left: 0,
                                age: 0,
                                serial: 0,
                                number: Number::default(),
                            }));
                        }
                    }
                }
            }
        }
    }
}

impl<const N: usize> Model for Group<N> {
    type State = Moment<N>;
    type Action = Action;

    /// Everybody is dead.
    fn init_states(&self) -> Vec<Moment<N>> {
        let host = Host {
            machine: None,
            demote: 0,
            ties: 0,
            waiting: 0,
            view: View::Dead,
        };
        let mut moment = Moment {
            now: BEGINNING,
            hosts: [(); N].map(|()| host.clone()),
            packets: Vec::new(),
            together: 0,
            peace: None,
            settled: None,
            announced: None,
            learned: None,
            enforced: self
                .enforce
                .map(|freshness| Enforced::new(freshness, self.nanos(BEGINNING).0)),
        };
        if !self.unrest.death {
            for index in 0..N {
                self.boot(&mut moment, index);
                moment.hosts[index].view = self.look(moment.now, &moment.hosts[index]);
            }
        }
        vec![moment]
    }

    fn actions(&self, moment: &Moment<N>, actions: &mut Vec<Action>) {
        actions.push(Action::Tick);
        for (index, host) in moment.hosts.iter().enumerate() {
            if self.overdue(host).is_some_and(|left| left <= 0) {
                actions.push(Action::Timer(index as u8));
            }
        }
        actions.extend(moment.packets.iter().copied().map(Action::Arrive));
        if moment.peace.is_none() {
            self.disturbances(moment, actions);
            if self.bounds.peace.is_some() {
                actions.push(Action::Peace);
            }
        }
    }

    fn next_state(&self, last: &Moment<N>, action: Action) -> Option<Moment<N>> {
        let mut moment = last.clone();
        if self.bounds.since_disturbance && action.is_disturbance() {
            moment.together = 0;
        }
        let take = |moment: &mut Moment<N>, packet| {
            moment.packets.retain(|other| *other != packet);
        };
        match action {
            Action::Tick => {
                if !self.tick(&mut moment) {
                    return None;
                }
            }
            Action::Timer(index) => self.event(&mut moment, usize::from(index), Event::Timer),
            Action::Arrive(packet) => {
                take(&mut moment, packet);
                self.receive(&mut moment, &packet);
            }
            Action::ArriveTwice(packet) | Action::Replay(packet) => {
                self.receive(&mut moment, &packet);
            }
            Action::Lose(packet) => take(&mut moment, packet),
            Action::Die(index) => self.kill(&mut moment, usize::from(index)),
            Action::Boot(index) => self.boot(&mut moment, usize::from(index)),
            Action::Leave(index) => {
                let event = Event::Stop { bow_out: true };
                self.event(&mut moment, usize::from(index), event);
            }
            Action::Return(index) => self.event(&mut moment, usize::from(index), Event::Start),
            Action::Demote(index, demote) => {
                let index = usize::from(index);
                let before = core::mem::replace(&mut moment.hosts[index].demote, demote);
                if before < demote {
                    self.event(&mut moment, index, Event::AdvertiseNow);
                }
            }
            Action::Force(index, state) => {
                self.event(&mut moment, usize::from(index), Event::Force(state));
            }
            Action::Peace => {
                moment.peace = Some(0);
                if let Some(enforced) = &mut moment.enforced {
                    enforced.recorded.clear();
                }
            }
        }
        tidy(&mut moment);
        for index in 0..N {
            let host = &mut moment.hosts[index];
            host.view = self.look(moment.now, host);
        }
        // Counting ends with whatever ends it, not only with a tick.
        let masters = moment.masters().count();
        if masters < 2 {
            moment.together = 0;
        }
        for host in &mut moment.hosts {
            if masters > 0 || !matches!(host.view, View::Backup(..)) {
                host.waiting = 0;
            }
        }
        Some(moment)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = Vec::new();
        if self.bounds.together.is_some() {
            properties.push(Property::always(
                "two hosts are master together for no longer than said",
                |group: &Self, moment: &Moment<N>| {
                    group
                        .bounds
                        .together
                        .is_none_or(|bound| moment.together <= bound)
                },
            ));
        }
        if self.bounds.waiting.is_some() {
            properties.push(Property::always(
                "nobody listens for longer than its master-down time while there is no master",
                |group: &Self, moment: &Moment<N>| {
                    group.bounds.waiting.is_none_or(|more| {
                        (0..N).all(|i| moment.hosts[i].waiting <= group.timeout(i) + more)
                    })
                },
            ));
        }
        if self.bounds.peace.is_some() {
            properties.push(Property::always(
                "soon after the last disturbance there is one master, if anybody runs",
                |group: &Self, moment: &Moment<N>| {
                    !group.is_calm(moment)
                        || moment.masters().count() == moment.running().count().min(1)
                },
            ));
            properties.push(Property::always(
                "and it stays master",
                |_: &Self, moment: &Moment<N>| {
                    moment
                        .settled
                        .is_none_or(|settled| moment.masters().eq([usize::from(settled)]))
                },
            ));
            properties.push(Property::always(
                "and it is not demoted further than another one",
                |group: &Self, moment: &Moment<N>| {
                    !group.is_calm(moment)
                        || moment.masters().all(|master| {
                            moment.running().all(|other| {
                                moment.hosts[master].demote <= moment.hosts[other].demote
                            })
                        })
                },
            ));
            properties.push(Property::always(
                "and with preempt it is the one with the lowest interval",
                |group: &Self, moment: &Moment<N>| {
                    !group.preempt
                        || !group.is_calm(moment)
                        || moment.masters().all(|master| {
                            moment.running().all(|other| {
                                group.rank(moment, master) <= group.rank(moment, other)
                            })
                        })
                },
            ));
        }
        if self.bounds.peace.is_some() && self.bounds.announced {
            properties.push(Property::always(
                "and it announced the addresses last",
                |group: &Self, moment: &Moment<N>| {
                    !group.is_calm(moment)
                        || moment
                            .masters()
                            .all(|master| moment.announced == Some(master as u8))
                },
            ));
        }
        if self.bounds.peace.is_some() && self.bounds.learned {
            properties.push(Property::always(
                "and switches have learned the virtual MAC at its port",
                |group: &Self, moment: &Moment<N>| {
                    !group.is_calm(moment)
                        || moment
                            .masters()
                            .all(|master| moment.learned == Some(master as u8))
                },
            ));
        }
        properties
    }
}
