// SPDX-License-Identifier: GPL-2.0

//! Who is master: the state machine of one virtual host.
//!
//! ```text
//!            Start                  no advertisement in time,
//!          (running)                a worse master, a bow-out
//!   INIT ─────────────▶ BACKUP ─────────────────────────────▶ MASTER
//!     ▲                   │ ▲                                   │ │
//!     └───────────────────┘ └───────────────────────────────────┘ │
//!     ▲      Stop                   a better master               │
//!     └───────────────────────────────────────────────────────────┘
//! ```
//!
//! The driver owns a [`VirtualHost`] behind a lock, hands it every event with the time
//! and the [`Environment`] of that moment, carries out the [`Effects`], and sets its
//! timer to [`VirtualHost::deadline`]. A timer that expires too early does no harm. After
//! one that expires late, one advertisement is sent, not all that were missed.
//!
//! Source: `carp_proto_input_c`, `carp_setrun`, `carp_master_down`,
//! `carp_send_ad`.

use core::cmp::Ordering;

use super::demotion::visible_to_all;
use super::effects::{Effects, Kind, Outgoing, Reason, Transition};
use super::full_queue::FullQueue;
use super::master_down::MasterDown;
use super::packet::{Advertisement, Counter, COUNTER_LEN, DIGEST_LEN};
use super::time::{Instant, Interval};

/// The addresses are announced again with this advertisement after the one of the
/// takeover, for switches that were slow to learn (`sc_delayed_arp`).
const REPEAT_ANNOUNCEMENT_AFTER: u8 = 2;

/// The state of a virtual host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Not running.
    Init,
    /// Silent, ready to take over.
    Backup,
    /// Has the addresses.
    Master,
}

/// The IP version that an advertisement travels in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4
    Ipv4,
    /// IPv6
    Ipv6,
}

/// A set of families.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Families {
    /// IPv4 is in it.
    pub ipv4: bool,
    /// IPv6 is in it.
    pub ipv6: bool,
}

impl Families {
    /// Whether `family` is in it.
    #[must_use]
    pub const fn contains(self, family: Family) -> bool {
        match family {
            Family::Ipv4 => self.ipv4,
            Family::Ipv6 => self.ipv6,
        }
    }

    /// Whether it is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        !self.ipv4 && !self.ipv6
    }

    /// What is in both.
    const fn and(self, other: Self) -> Self {
        Self {
            ipv4: self.ipv4 && other.ipv4,
            ipv6: self.ipv6 && other.ipv6,
        }
    }
}

/// What the administrator chose for a virtual host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    /// Its number, 1–255. 0 means that it has none, and it does not start.
    pub vhid: u8,
    /// Seconds between advertisements, 0–254.
    pub advbase: u8,
    /// 1/256 s added to that, 0–254.
    pub advskew: u8,
}

impl Config {
    const fn between_advertisements(self) -> Interval {
        Interval::between_advertisements(self.advbase, self.advskew)
    }

    const fn until_master_down(self) -> Interval {
        Interval::until_master_down(self.advbase, self.advskew)
    }

    const fn master_down(self, now: Instant) -> MasterDown {
        MasterDown::new(now, self.advbase, self.advskew)
    }
}

/// What a virtual host needs to know of its surroundings when an event happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Environment {
    /// `net.inet.carp.preempt`: take over from a slower master.
    pub preempt: bool,
    /// The interface's demotion count.
    pub demote: u8,
    /// The families in which the interface has an address.
    pub families: Families,
    /// Whether a demoted host also raises its advskew, which all peers read, see
    /// [`visible_to_all`].
    pub demoteskew: bool,
}

/// Something that happened to a virtual host.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// It may run: the interface and its parent are up, and there is an address. Ignored
    /// if it runs already.
    Start,
    /// It may not run any longer.
    Stop {
        /// If it is master, send a farewell first. The environment must still be the one
        /// in which that can be sent.
        bow_out: bool,
    },
    /// [`VirtualHost::deadline`] may have passed.
    Timer,
    /// A valid advertisement for it came in.
    Received(Family, &'a Advertisement),
    /// The administrator changed the configuration. A virtual host that is INIT because
    /// it had no vhid stays INIT until [`Event::Start`].
    Reconfigured(Config),
    /// The set of families with an address changed while it runs.
    FamiliesChanged,
    /// The administrator asks for this state. Ignored if it does not run, or if the state
    /// is INIT.
    Force(State),
    /// The demotion count changed, and other hosts should know at once.
    AdvertiseNow,
}

/// The state, with the data that belongs to it.
#[derive(Clone, Copy, Debug)]
enum Phase {
    Init,
    Backup {
        /// The master-down timer of IPv4; `None` without IPv4 address.
        ipv4: Option<MasterDown>,
        /// The same for IPv6. The timers are separate: this host takes over as soon as
        /// the master is silent in one family.
        ipv6: Option<MasterDown>,
    },
    Master {
        /// When to advertise next.
        next: Instant,
        /// The addresses are announced again with this advertisement from now on: 1 is
        /// the next one, 0 none.
        announce_in: u8,
        /// Whether the parent's queue dropped the last advertisement.
        full_queue: FullQueue,
    },
}

/// One virtual host.
#[derive(Clone, Debug)]
pub struct VirtualHost {
    config: Config,
    counter: Counter,
    phase: Phase,
    /// How often it has given way to an equal master, see
    /// [`VirtualHost::give_way_to_equal`].
    ties: u8,
}

impl VirtualHost {
    /// A virtual host that does not run yet.
    ///
    /// `counter` is 64 random bits. It never changes, and never takes a value from a
    /// packet: with a peer's counter, an OpenBSD peer would take our advertisements for
    /// its own, looped back.
    #[must_use]
    pub const fn new(config: Config, counter: Counter) -> Self {
        Self {
            config,
            counter,
            phase: Phase::Init,
            ties: 0,
        }
    }

    /// The state now.
    #[must_use]
    pub const fn state(&self) -> State {
        match self.phase {
            Phase::Init => State::Init,
            Phase::Backup { .. } => State::Backup,
            Phase::Master { .. } => State::Master,
        }
    }

    /// The configuration now.
    #[must_use]
    pub const fn config(&self) -> Config {
        self.config
    }

    /// The counter of our advertisements. A received advertisement with it is our own,
    /// looped back.
    #[must_use]
    pub const fn counter(&self) -> &Counter {
        &self.counter
    }

    /// When [`Event::Timer`] is due; `None` if no timer runs.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Init => None,
            Phase::Backup { ipv4, ipv6 } => [ipv4, ipv6]
                .iter()
                .flatten()
                .map(MasterDown::deadline)
                .min(),
            Phase::Master {
                next, full_queue, ..
            } => Some(full_queue.deadline().map_or(next, |again| again.min(next))),
        }
    }

    /// The advertisement to send now. Its digest is zero; the caller signs it.
    #[must_use]
    pub const fn advertisement(&self, env: &Environment) -> Advertisement {
        let advertisement = Advertisement {
            vhid: self.config.vhid,
            advskew: self.config.advskew,
            demote: env.demote,
            advbase: self.config.advbase,
            counter: self.counter,
            digest: [0; DIGEST_LEN],
        };
        match env.demoteskew {
            true => visible_to_all(advertisement),
            false => advertisement,
        }
    }

    /// The interval that this host compares with that of others: the one in its
    /// advertisements, which others compare with theirs. If it compared another one, two
    /// hosts that are demoted alike could each consider itself the better one, and both
    /// stay master.
    const fn compared(&self, env: &Environment) -> Interval {
        let Advertisement {
            advbase, advskew, ..
        } = self.advertisement(env);
        Interval::new(advbase, advskew)
    }

    /// The farewell to send now. Its digest is zero; the caller signs it.
    #[must_use]
    pub const fn bow_out(&self, env: &Environment) -> Advertisement {
        self.advertisement(env).into_bow_out()
    }

    /// Handles `event`, which happens at `now`, and returns what the caller has to do.
    pub fn handle(&mut self, now: Instant, env: &Environment, event: Event<'_>) -> Effects {
        match event {
            Event::Start => self.start(now, env),
            Event::Stop { bow_out } => self.stop(env, bow_out, Reason::Stopped),
            Event::Timer => self.timer(now, env),
            Event::Received(family, theirs) => match self.phase {
                Phase::Init => Effects::NONE,
                Phase::Backup { .. } => self.received_as_backup(now, env, family, theirs),
                Phase::Master { .. } => self.received_as_master(now, env, theirs),
            },
            Event::Reconfigured(config) => self.reconfigured(now, env, config),
            Event::FamiliesChanged => self.families_changed(now, env),
            Event::Force(state) => self.force(now, env, state),
            Event::AdvertiseNow => self.advertise(now, env),
        }
    }

    /// Records that the parent's queue dropped the last advertisement in these families.
    /// It is sent again soon, see [`super::full_queue`]. `sharing` is the number of
    /// virtual hosts on the parent.
    pub fn dropped(&mut self, now: Instant, sharing: u32, families: Families) {
        let interval = self.config.between_advertisements();
        if let Phase::Master { full_queue, .. } = &mut self.phase {
            full_queue.dropped(now, interval, sharing, families);
        }
    }

    fn start(&mut self, now: Instant, env: &Environment) -> Effects {
        match self.phase {
            Phase::Init if self.config.vhid != 0 && !env.families.is_empty() => {
                self.become_backup(now, env, Reason::Started)
            }
            _ => Effects::NONE,
        }
    }

    fn stop(&mut self, env: &Environment, bow_out: bool, reason: Reason) -> Effects {
        let farewell = bow_out && matches!(self.phase, Phase::Master { .. });
        Effects {
            advertise: Outgoing::new(Kind::BowOut, env.families).filter(|_| farewell),
            ..self.change_phase(Phase::Init, reason)
        }
    }

    fn timer(&mut self, now: Instant, env: &Environment) -> Effects {
        let due = |timer: Option<MasterDown>| timer.is_some_and(|it| it.deadline() <= now);
        match self.phase {
            Phase::Backup { ipv4, .. } if due(ipv4) => {
                self.take_over(now, env, Reason::MasterTimedOut(Family::Ipv4))
            }
            Phase::Backup { ipv6, .. } if due(ipv6) => {
                self.take_over(now, env, Reason::MasterTimedOut(Family::Ipv6))
            }
            Phase::Master { next, .. } if next <= now => self.advertise(now, env),
            Phase::Master {
                ref mut full_queue, ..
            } => match full_queue.due(now) {
                Some(families) => Effects {
                    advertise: Outgoing::new(Kind::Advertisement, families.and(env.families)),
                    ..Effects::NONE
                },
                None => Effects::NONE,
            },
            _ => Effects::NONE,
        }
    }

    fn received_as_backup(
        &mut self,
        now: Instant,
        env: &Environment,
        family: Family,
        theirs: &Advertisement,
    ) -> Effects {
        match self.reason_to_take_over(env, theirs) {
            Some(_) if theirs.is_bow_out() => self.take_over(now, env, Reason::MasterBowedOut),
            Some(reason) => self.take_over(now, env, reason),
            None => {
                let fresh = self.config.master_down(now);
                if let Phase::Backup { ipv4, ipv6 } = &mut self.phase {
                    // A family in which we have no address gets no timer, although a peer
                    // with link-local addresses may send in it.
                    let timer = match family {
                        Family::Ipv4 => ipv4,
                        Family::Ipv6 => ipv6,
                    };
                    if env.families.contains(family) {
                        timer.get_or_insert(fresh).heard(now, theirs);
                    }
                }
                Effects::NONE
            }
        }
    }

    /// Why a backup should take over from a master with this advertisement; `None` if it
    /// should not.
    fn reason_to_take_over(&self, env: &Environment, theirs: &Advertisement) -> Option<Reason> {
        let their_interval = Interval::new(theirs.advbase, theirs.advskew);

        if env.preempt && self.compared(env) < their_interval && theirs.demote >= env.demote {
            return Some(Reason::Preempting);
        }
        if theirs.demote > env.demote {
            return Some(Reason::MasterDemoted);
        }
        // Our timer would expire before this master advertises again, so take over now.
        // Not with advbase 0: there this would be true of masters that are only a little
        // slower, and would preempt them although preemption may be off. A master that
        // bows out does not advertise again, so for it the rule holds with any advbase.
        if (self.config.advbase > 0 || theirs.is_bow_out())
            && self.config.until_master_down() < their_interval
        {
            return Some(Reason::MasterTooSlow);
        }
        None
    }

    fn received_as_master(
        &mut self,
        now: Instant,
        env: &Environment,
        theirs: &Advertisement,
    ) -> Effects {
        // Never give way to a master that leaves, whatever the demotion counts: nobody
        // would be left. It sends a farewell in each family, and the first one may just
        // have made us master.
        if theirs.is_bow_out() {
            return Effects::NONE;
        }
        if theirs.demote < env.demote {
            return self.become_backup(now, env, Reason::LessDemotedMaster);
        }
        if theirs.demote == env.demote {
            let their_interval = Interval::new(theirs.advbase, theirs.advskew);
            match their_interval.cmp(&self.compared(env)) {
                Ordering::Less => return self.become_backup(now, env, Reason::BetterMaster),
                // Of two equal demoted masters, the one with the smaller counter stays.
                // Otherwise, when a master is demoted further, all backups take over at
                // once, give way to each other, and the one that is demoted further
                // becomes master again, and so on.
                Ordering::Equal if env.demote > 0 && self.counter < theirs.counter => (),
                Ordering::Equal => return self.give_way_to_equal(now, env),
                Ordering::Greater => (),
            }
        }
        // There are two masters, so the network was split and is joined again. Our next
        // advertisement makes the other master give way; then the hosts that used it need
        // an announcement. After a takeover one is due anyway.
        if let Phase::Master { announce_in, .. } = &mut self.phase {
            *announce_in = (*announce_in).max(1);
        }
        Effects::NONE
    }

    /// Gives way to a master that is neither better nor worse.
    ///
    /// If the advertisements of both cross, the other one gives way as well. If then both
    /// timers expire at the same time, the advertisements cross again, and so on. So a
    /// host that gives way repeatedly adds a delay each time, another one of the random
    /// bytes of its counter. The delay has no effect if the other one stays master.
    fn give_way_to_equal(&mut self, now: Instant, env: &Environment) -> Effects {
        let limit = self.config.until_master_down();
        let delay = match self.ties.checked_sub(1) {
            None => 0,
            Some(repeated) => {
                let byte = self.counter.get(usize::from(repeated)).map_or(0, |b| *b);
                u32::from(byte).checked_rem(limit.0).unwrap_or(0)
            }
        };
        self.ties = match usize::from(self.ties) {
            COUNTER_LEN => 1,
            _ => self.ties.saturating_add(1),
        };
        let phase = self.listening(now, env, Interval(delay));
        self.change_phase(phase, Reason::EqualMaster)
    }

    fn reconfigured(&mut self, now: Instant, env: &Environment, config: Config) -> Effects {
        let previous = core::mem::replace(&mut self.config, config);
        if config == previous {
            return Effects::NONE;
        }
        if config.vhid == 0 {
            return self.stop(env, false, Reason::Reconfigured);
        }
        match self.phase {
            Phase::Init => Effects::NONE,
            // With a new vhid it is another virtual host, and its master is not known
            // yet.
            _ if config.vhid != previous.vhid => self.become_backup(now, env, Reason::Reconfigured),
            Phase::Backup { .. } => {
                self.phase = self.listening(now, env, Interval(0));
                Effects::NONE
            }
            // The others time us by the old values, so advertise the new ones at once.
            Phase::Master { .. } => self.advertise(now, env),
        }
    }

    fn families_changed(&mut self, now: Instant, env: &Environment) -> Effects {
        if env.families.is_empty() {
            return self.stop(env, false, Reason::NoAddress);
        }
        let fresh = self.config.master_down(now);
        if let Phase::Backup { ipv4, ipv6 } = &mut self.phase {
            *ipv4 = env.families.ipv4.then(|| ipv4.unwrap_or(fresh));
            *ipv6 = env.families.ipv6.then(|| ipv6.unwrap_or(fresh));
        }
        Effects::NONE
    }

    fn force(&mut self, now: Instant, env: &Environment, state: State) -> Effects {
        match (self.phase, state) {
            (Phase::Backup { .. }, State::Master) => {
                self.take_over(now, env, Reason::Administrator)
            }
            // The farewell saves the others from waiting for their timers.
            (Phase::Master { .. }, State::Backup) => Effects {
                advertise: Outgoing::new(Kind::BowOut, env.families),
                ..self.become_backup(now, env, Reason::Administrator)
            },
            _ => Effects::NONE,
        }
    }

    /// Sends an advertisement if master. The next one is due one interval after now, not
    /// after the last deadline: an advertisement that was late is not followed by a
    /// burst.
    fn advertise(&mut self, now: Instant, env: &Environment) -> Effects {
        let Phase::Master {
            next,
            announce_in,
            full_queue,
        } = &mut self.phase
        else {
            return Effects::NONE;
        };
        *full_queue = FullQueue::new();
        let announce = *announce_in == 1;
        *announce_in = announce_in.saturating_sub(1);
        *next = now.after(self.config.between_advertisements());
        Effects {
            transition: None,
            advertise: Outgoing::new(Kind::Advertisement, env.families),
            announce,
        }
    }

    fn take_over(&mut self, now: Instant, env: &Environment, reason: Reason) -> Effects {
        let phase = Phase::Master {
            next: now.after(self.config.between_advertisements()),
            announce_in: REPEAT_ANNOUNCEMENT_AFTER,
            full_queue: FullQueue::new(),
        };
        Effects {
            advertise: Outgoing::new(Kind::Advertisement, env.families),
            announce: true,
            ..self.change_phase(phase, reason)
        }
    }

    fn become_backup(&mut self, now: Instant, env: &Environment, reason: Reason) -> Effects {
        self.change_phase(self.listening(now, env, Interval(0)), reason)
    }

    /// The state of a backup whose master-down timers start now. The first wait is longer
    /// by `delay`.
    fn listening(&self, now: Instant, env: &Environment, delay: Interval) -> Phase {
        let mut timer = self.config.master_down(now);
        if delay.0 > 0 {
            timer = timer.delayed(delay);
        }
        Phase::Backup {
            ipv4: env.families.ipv4.then_some(timer),
            ipv6: env.families.ipv6.then_some(timer),
        }
    }

    fn change_phase(&mut self, phase: Phase, reason: Reason) -> Effects {
        let from = self.state();
        self.phase = phase;
        let to = self.state();
        Effects {
            transition: (from != to).then_some(Transition { from, to, reason }),
            ..Effects::NONE
        }
    }
}
