// SPDX-License-Identifier: GPL-2.0

//! What is still to be said of each state.
//!
//! The driver keeps a [`Pending`] in each state, and one list for each
//! [`Place`]. It tells the `Pending` what happens to the state; back comes a
//! [`Step`]: in which list the state is from now on, always at its end, and
//! whether that is to be sent at once. With doubly linked lists through the
//! states every event costs the same, however many states there are.
//!
//! To send, the driver fills frames from the lists of [`Queue::ORDER`], one after
//! the other, and tells each state that was written that it was
//! [`sent`](Pending::sent). What is written is what holds then, so that any
//! number of changes of a waiting state are one message.
//!
//! pfsync confirms nothing unless asked to. We ask for an INS_ACK, or to have the
//! whole frame [confirmed](super::confirmation), with each state that peers may not
//! know; what is not confirmed waits in [`Place::Awaiting`], where the oldest is first,
//! and is sent again as an UPD, which a peer takes whether it knows the state or not.
//! OpenBSD answers only if the state was new to it, hence there is an end to it. All
//! this is the driver's choice ([`Config::confirm`]): it is of use only while a peer listens.

use super::merge::Verdict;
use super::state::FLAG_ACK;
use super::time::{Instant, Millis};

/// How often a TCP state is updated until that is sent at once, by default.
pub const DEFAULT_MAX_UPDATES: u8 = 128;

/// How long a state that a peer told of marks both hosts as active.
pub const BOTH_ACTIVE: Millis = Millis(2000);

/// How long a confirmation may take.
pub const CONFIRM_WITHIN: Millis = Millis(500);

/// How often a state is sent until it is confirmed. With one packet of three
/// lost, one state of 60,000 does not arrive.
pub const ATTEMPTS: u8 = 10;

/// How often is said that a state is gone, which nobody confirms.
pub const DELETE_ATTEMPTS: u8 = 3;

/// Messages that wait to be sent, by type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Queue {
    /// INS_ACK
    InsertAck,
    /// UPD_C
    UpdateCompressed,
    /// DEL_C
    DeleteCompressed,
    /// INS
    Insert,
    /// UPD
    Update,
}

impl Queue {
    /// All of them, in the order in which frames are filled.
    pub const ORDER: [Self; 5] = [
        Self::InsertAck,
        Self::UpdateCompressed,
        Self::DeleteCompressed,
        Self::Insert,
        Self::Update,
    ];

    /// Its place in [`Self::ORDER`].
    #[must_use]
    pub const fn number(self) -> usize {
        self as usize
    }
}

/// The list that a state is in: at most one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// None. A state that was deleted can be freed now.
    #[default]
    Nowhere,
    /// Waits to be sent.
    Queued(Queue),
    /// Was sent and may have to be sent again, see [`Pending::timer`].
    Awaiting,
}

/// What is to be done after an event.
#[must_use = "the state is in the wrong list now"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The list that the state was in.
    pub from: Place,
    /// The list at whose end it belongs; if it is the same, the state stays
    /// where it is in it.
    pub to: Place,
    /// Whether what waits is to be sent at once.
    pub send_now: bool,
}

impl Step {
    /// Whether the state changes lists.
    #[must_use]
    pub fn moves(&self) -> bool {
        self.from != self.to
    }
}

/// What the administrator and the driver chose for all states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    /// How often a TCP state is updated until that is sent at once.
    pub max_updates: u8,
    /// Ask for confirmation, and send again what has none.
    pub confirm: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_updates: DEFAULT_MAX_UPDATES,
            confirm: true,
        }
    }
}

/// What is still to be said of one state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    place: Place,
    /// A peer has it, as far as we know.
    known: bool,
    /// It is gone; only that is still to be said.
    deleted: bool,
    /// A packet waits for the confirmation.
    held: bool,
    /// Whoever is there is to say so.
    asks: bool,
    /// Updates since it was queued.
    updates: u8,
    /// How often it was sent without a confirmation.
    attempts: u8,
    /// It was updated since it was sent, and waits for a confirmation of what it was.
    changed: bool,
    /// A change of it was told that nobody has confirmed: it may be lost.
    unsettled: bool,
    /// When to stop waiting for one.
    until: Option<Instant>,
    /// When a peer last told of it.
    heard: Option<Instant>,
}

impl Pending {
    /// A new state of this host. `held`: a packet waits until a peer has it.
    pub fn created(held: bool) -> (Self, Step) {
        let mut this = Self {
            held,
            ..Self::default()
        };
        let step = this.go(Place::Queued(Queue::Insert), held);
        (this, step)
    }

    /// A state that was there before anybody asked for peers. The next bulk
    /// update tells of it, or its next change.
    #[must_use]
    pub fn found() -> Self {
        Self::default()
    }

    /// A state that a peer told of. It is not sent on.
    ///
    /// `confirm`: the peer wants an INS_ACK, and its packets may wait for it.
    pub fn received(now: Instant, confirm: bool) -> (Self, Step) {
        let mut this = Self {
            known: true,
            heard: Some(now),
            ..Self::default()
        };
        let step = this.confirm(confirm);
        (this, step)
    }

    /// The list that it is in.
    #[must_use]
    pub const fn place(&self) -> Place {
        self.place
    }

    /// The flags of the state that an INS or UPD of it carries.
    #[must_use]
    pub const fn flags(&self, config: &Config) -> u16 {
        let wanted = self.held || self.asks || (config.confirm && !self.known);
        if wanted && !self.deleted {
            FLAG_ACK
        } else {
            0
        }
    }

    /// Until when it waits in [`Place::Awaiting`]: the first in that list is the
    /// first to be due.
    #[must_use]
    pub const fn deadline(&self) -> Option<Instant> {
        self.until
    }

    /// A local packet has changed it.
    pub fn updated(&mut self, config: &Config, now: Instant, tcp: bool) -> Step {
        if self.deleted {
            return self.stay();
        }
        let both_active = self
            .heard
            .is_some_and(|heard| now < BOTH_ACTIVE.after(heard));
        match self.place {
            Place::Queued(Queue::Insert | Queue::Update | Queue::UpdateCompressed) => {
                let mut often = false;
                if tcp {
                    self.updates = self.updates.saturating_add(1);
                    often = self.updates >= config.max_updates;
                }
                self.again(both_active || often)
            }
            // What peers may not have is sent whole.
            Place::Awaiting if both_active => self.go(Place::Queued(Queue::Update), true),
            // It is sent again soon, unless it is confirmed before. If each change sent
            // it, the attempts would be over before anybody can be found missing.
            Place::Awaiting => {
                self.changed = true;
                self.stay()
            }
            // Any update is as good as an INS_ACK.
            Place::Nowhere | Place::Queued(Queue::InsertAck | Queue::DeleteCompressed) => {
                self.go(Place::Queued(Queue::UpdateCompressed), both_active)
            }
        }
    }

    /// Local packets have changed it so often that [`Config::max_updates`] is
    /// reached, says a driver that counts them by itself: [`Self::updated`] was
    /// told of the first one.
    pub fn updated_often(&mut self) -> Step {
        match self.place {
            // What is deleted is in none of these.
            Place::Queued(Queue::Insert | Queue::Update | Queue::UpdateCompressed) => {
                self.again(true)
            }
            _ => self.stay(),
        }
    }

    /// Whether its last change was told without being confirmed.
    #[must_use]
    pub const fn is_unsettled(&self) -> bool {
        self.unsettled
    }

    /// Nobody has heard of it, and it is time: tells it as new.
    pub fn begin(&mut self) -> Step {
        match self.place {
            Place::Nowhere if !self.deleted => self.go(Place::Queued(Queue::Insert), false),
            _ => self.stay(),
        }
    }

    /// It does not change any more for now: if its last change was told without being
    /// confirmed, tells it once more, as a whole, to be confirmed. An UPD_C that is lost
    /// would otherwise leave the peer behind for as long as the connection is idle.
    ///
    /// Only Linux confirms a state that it knows.
    pub fn settled(&mut self) -> Step {
        match self.place {
            Place::Nowhere if self.unsettled && !self.deleted => {
                self.unsettled = false;
                self.known = false;
                self.attempts = 0;
                self.go(Place::Queued(Queue::Update), false)
            }
            _ => self.stay(),
        }
    }

    /// Tells it as a whole, to be confirmed by whoever has it, once: to learn whether
    /// anybody is there.
    pub fn ask(&mut self) -> Step {
        match self.place {
            Place::Nowhere if !self.deleted => {
                self.asks = true;
                self.go(Place::Queued(Queue::Update), true)
            }
            _ => self.stay(),
        }
    }

    /// It is gone. The driver keeps its name until it is [`Place::Nowhere`].
    pub fn deleted(&mut self) -> Step {
        self.deleted = true;
        self.held = false;
        match self.place {
            // Nobody has heard of it. One that was sent before and is back in
            // this queue there is not: it would be an UPD.
            Place::Queued(Queue::Insert) => self.go(Place::Nowhere, false),
            Place::Queued(Queue::DeleteCompressed) => self.stay(),
            _ => {
                self.attempts = 0;
                self.go(Place::Queued(Queue::DeleteCompressed), false)
            }
        }
    }

    /// A peer has deleted it. A host that has it `in_use`, for it was the last to see a
    /// packet, keeps it, and answers with what it has.
    pub fn deleted_by_peer(&mut self, in_use: bool) -> Step {
        match in_use {
            true => self.requested(),
            false => self.forgotten(),
        }
    }

    /// Nothing is to be said of it any more.
    pub fn forgotten(&mut self) -> Step {
        self.held = false;
        self.go(Place::Nowhere, false)
    }

    /// A peer's INS, UPD or UPD_C of it came in.
    ///
    /// If any of that was stale, ours is sent back, at once: the peer is wrong.
    pub fn updated_by_peer(&mut self, now: Instant, verdict: Verdict, confirm: bool) -> Step {
        if self.deleted {
            return self.stay();
        }
        self.heard = Some(now);
        let done = self.acknowledged();
        self.unsettled &= verdict.stale() > 0;
        if verdict.stale() > 0 {
            let to = match self.place {
                Place::Queued(Queue::Insert | Queue::Update | Queue::UpdateCompressed) => {
                    self.place
                }
                _ => Place::Queued(Queue::UpdateCompressed),
            };
            return Step {
                from: done.from,
                ..self.go(to, true)
            };
        }
        let step = match self.place {
            // An update that waits says as much.
            Place::Queued(_) => self.again(confirm),
            _ => self.confirm(confirm),
        };
        Step {
            from: done.from,
            ..step
        }
    }

    /// A peer asks for it.
    pub fn requested(&mut self) -> Step {
        self.known = false;
        self.attempts = 0;
        match self.place {
            Place::Queued(Queue::Insert | Queue::Update | Queue::DeleteCompressed) => {
                self.again(true)
            }
            // It is still to be said that it is gone.
            _ if self.deleted => self.go(Place::Queued(Queue::DeleteCompressed), true),
            _ => self.go(Place::Queued(Queue::Update), true),
        }
    }

    /// A peer has it now: its INS_ACK came, or anything else that it said of it.
    pub fn acknowledged(&mut self) -> Step {
        if self.deleted {
            return self.stay();
        }
        self.known = true;
        self.held = false;
        self.attempts = 0;
        match self.place {
            Place::Awaiting if self.changed => {
                self.go(Place::Queued(Queue::UpdateCompressed), false)
            }
            Place::Awaiting => self.go(Place::Nowhere, false),
            _ => self.stay(),
        }
    }

    /// A peer has it as it was sent last, changes that nobody asked to confirm among it.
    pub fn arrived(&mut self) -> Step {
        self.unsettled = false;
        self.acknowledged()
    }

    /// It was written into a frame from its queue.
    pub fn sent(&mut self, config: &Config, now: Instant) -> Step {
        let Place::Queued(queue) = self.place else {
            return self.stay();
        };
        // To ask is to tell what was told before.
        let asked = core::mem::take(&mut self.asks);
        self.changed = false;
        let again = match queue {
            Queue::InsertAck | Queue::UpdateCompressed => false,
            Queue::DeleteCompressed => config.confirm && self.attempts_left(DELETE_ATTEMPTS),
            Queue::Insert | Queue::Update => {
                config.confirm && !self.known && self.attempts_left(ATTEMPTS)
            }
        };
        self.unsettled = match queue {
            Queue::InsertAck | Queue::DeleteCompressed => self.unsettled,
            Queue::UpdateCompressed => true,
            Queue::Insert | Queue::Update => config.confirm && !again && (self.unsettled || !asked),
        };
        self.go_awaiting(again, now)
    }

    /// Whether a bulk update tells of it.
    #[must_use]
    pub const fn is_bulk(&self) -> bool {
        !self.deleted
    }

    /// It was written into a frame of a bulk update, with the flags of a state
    /// that peers do not know. Whoever asked may be new.
    pub fn sent_in_bulk(&mut self, config: &Config, now: Instant) -> Step {
        self.attempts = 0;
        match self.place {
            // It will be sent again anyway; one that waits to be confirmed
            // keeps its turn.
            Place::Queued(_) | Place::Awaiting => self.stay(),
            Place::Nowhere => {
                self.known = false;
                self.attempts = 1;
                self.unsettled &= !config.confirm;
                self.go_awaiting(config.confirm, now)
            }
        }
    }

    /// Nobody was there to confirm it: attempts are counted anew.
    pub fn start_over(&mut self) {
        if !self.deleted {
            self.attempts = 0;
        }
    }

    /// [`Self::deadline`] has passed.
    pub fn timer(&mut self, now: Instant) -> Step {
        if self.place != Place::Awaiting || self.until.is_some_and(|until| now < until) {
            return self.stay();
        }
        if self.deleted {
            return self.go(Place::Queued(Queue::DeleteCompressed), false);
        }
        if self.attempts >= ATTEMPTS {
            // Whoever does not have it by now knows it already, or is not there.
            self.known = true;
            self.held = false;
            let to = match core::mem::take(&mut self.changed) {
                true => Place::Queued(Queue::UpdateCompressed),
                false => Place::Nowhere,
            };
            return self.go(to, false);
        }
        self.go(Place::Queued(Queue::Update), true)
    }

    /// Counts an attempt. Whether another one may follow, after a while.
    fn attempts_left(&mut self, most: u8) -> bool {
        self.attempts = self.attempts.saturating_add(1);
        // The last attempt at a state waits as well: for its confirmation.
        self.attempts < most || (!self.deleted && self.attempts == most)
    }

    fn confirm(&mut self, wanted: bool) -> Step {
        match wanted {
            true => self.go(Place::Queued(Queue::InsertAck), true),
            false => self.stay(),
        }
    }

    fn go_awaiting(&mut self, await_it: bool, now: Instant) -> Step {
        if !await_it {
            return self.go(Place::Nowhere, false);
        }
        let step = self.go(Place::Awaiting, false);
        self.until = Some(CONFIRM_WITHIN.after(now));
        step
    }

    fn go(&mut self, to: Place, send_now: bool) -> Step {
        let from = self.place;
        if from != to {
            self.updates = 0;
            self.until = None;
        }
        self.place = to;
        Step { from, to, send_now }
    }

    fn stay(&mut self) -> Step {
        self.go(self.place, false)
    }

    fn again(&mut self, send_now: bool) -> Step {
        self.go(self.place, send_now)
    }
}
