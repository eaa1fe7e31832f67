// SPDX-License-Identifier: GPL-2.0

//! What an interface keeps behind its lock, and what every event has in common; what
//! comes of it is an [`Outcome`].

use super::{
    authentication::Signer,
    bulk::Walk,
    clear::Clearing,
    counters::Counter,
    device::{Found, Newborn, Pfsync},
    fill::EXPECTING_MAX,
    outcome::Outcome,
    settings::Settings,
    store::{Live, Record, Slot, Store},
    sweep::Sweep,
    table_walk::EachSecond,
};
use crate::{
    carp::Group,
    linux::{
        bug::warn_on_once,
        netdevice::Device,
        netdevice_ops::OwnDevice,
        random,
        state_table::{Entry, Held, Table},
        timer,
        watch::{InboxItem, Watch, Watched},
    },
    proto::pfsync::{
        bulk_answer::BulkAnswer,
        bulk_request::{bulk_within, BulkRequest},
        confirmation::Confirmation,
        conntrack::{protocol, Status},
        defer::{self, Deferred, HELD_MAX},
        flight::{Flight, Sent},
        frame::{DEFAULT_MTU, HEADER_LEN, IP_HEADER_LEN, SECTION_LEN},
        id::{Creator, StateId},
        listener::Listener,
        names::Names,
        outbox::{Leave, Outbox},
        pending::{Config, Pending, Place, Queue, Step},
        reconcile::Reconcile,
        state::State,
        syncpeers::Syncpeers,
        time::{seconds_before, Instant, Millis},
        tuples,
        twins::Use,
    },
};
use kernel::{
    alloc::Flags,
    prelude::*,
    sync::{aref::ARef, Arc},
};

/// What an [`Extra`](crate::proto::pfsync::extra::Extra) and its section take beside
/// a TCP connection.
pub(super) const EXTRA_LEN: usize = 96;

/// How many states are sent again at once: a dozen frames.
const REPEAT_AT_ONCE: u32 = 64;

/// How soon after these the next ones are.
const REPEAT_EVERY: Millis = Millis(5);

/// How many requests for single states are sent for one frame, or answered.
pub(super) const REQUESTS_MAX: usize = 96;

/// The least room for a frame, whatever the MTU: what the smallest MTU of Ethernet leaves.
/// With less, not even a header fits on a syncdev that has no such limit, as VLANs, and
/// what waits would be due for ever.
const ROOM_MIN: usize = 68 - IP_HEADER_LEN;

/// What is behind the lock.
pub(super) struct Session {
    /// What the administrator chose.
    pub(super) settings: Settings,
    /// The interface's device, while it is registered.
    pub(super) own: Option<ARef<OwnDevice>>,
    /// Keeps the timer open.
    pub(super) timer: Option<timer::Guard<Pfsync>>,
    /// The group that it demotes.
    pub(super) group: Option<Arc<Group>>,
    /// Whether the administrator has set it up.
    pub(super) admin_up: bool,
    /// The device over which frames go.
    pub(super) syncdev: Option<ARef<Device>>,
    /// The least MTU of the routes to the syncpeer that were seen.
    pub(super) route_mtu: u32,
    /// The state table, while states are synchronised.
    pub(super) table: Option<Arc<Table<Pfsync>>>,
    /// The states.
    pub(super) store: Store,
    /// What is to be sent, and when.
    pub(super) outbox: Outbox,
    /// Getting all states of the peers.
    pub(super) request: BulkRequest,
    /// Sending all states to them.
    pub(super) answer: BulkAnswer,
    /// Where that is.
    pub(super) walk: Walk,
    /// How many records are [`Record::in_bulk`].
    pub(super) in_bulk: u32,
    /// First packets that wait for a peer.
    pub(super) deferred: Deferred<Held, KVec<defer::Slot<Held>>>,
    /// Looking after states that nobody tells of.
    pub(super) sweep: Sweep,
    /// Looking for entries of which nobody tells.
    pub(super) each_second: EachSecond,
    /// Whose states are to go.
    pub(super) clearing: Clearing,
    /// Before that no state is sent again.
    repeat_at: Instant,
    /// The most urgent of what was heard from the outbox.
    pub(super) leave: Leave,
    /// States to be asked for.
    pub(super) wanted: KVec<StateId>,
    /// States that were just sent and may expect others.
    pub(super) expecting: KVec<Slot>,
    /// Whether there is a peer.
    pub(super) listener: Listener,
    /// Who has been heard.
    pub(super) peers: Syncpeers,
    /// What is on its way to them, to be confirmed.
    pub(super) flight: Flight<KVVec<Sent>, KVVec<Slot>>,
    /// What has arrived in the frame that came in just now.
    pub(super) confirmation: Option<Confirmation>,
    /// By how much the group is demoted.
    pub(super) demoted: i32,
    /// Where frames are built.
    pub(super) buffer: KVec<u8>,
    /// Signs frames.
    pub(super) signer: Signer,
    /// What this host calls its states.
    pub(super) names: Names,
    /// States to be asked for, as a bulk update has not named them.
    pub(super) reconcile: Reconcile,
    /// The next record to be looked at for that.
    pub(super) reconciled: Slot,
    /// States that peers are to be told of that they are over.
    pub(super) over: KVec<StateId>,
}

impl Session {
    /// Of an interface that is down, which asks for memory so.
    ///
    /// # Errors
    ///
    /// Out of memory.
    pub(super) fn new(settings: Settings, flags: Flags) -> Result<Self> {
        let creator = loop {
            let creator: Creator = random::bytes();
            // 0 stands for everybody.
            if creator != [0; 4] {
                break creator;
            }
        };
        let mut slots = KVec::with_capacity(HELD_MAX, GFP_KERNEL_ACCOUNT)?;
        for _ in 0..HELD_MAX {
            slots.push(defer::Slot::default(), GFP_KERNEL_ACCOUNT)?;
        }
        Ok(Self {
            settings,
            own: None,
            timer: None,
            group: None,
            admin_up: false,
            syncdev: None,
            route_mtu: u32::MAX,
            table: None,
            store: Store::new(Instant(timer::now()), flags),
            outbox: Outbox::new(DEFAULT_MTU, EXTRA_LEN),
            request: BulkRequest::new(Millis::default(), Millis::default(), false),
            answer: BulkAnswer::new(),
            walk: Walk::default(),
            in_bulk: 0,
            deferred: Deferred::new(slots),
            sweep: Sweep::default(),
            each_second: EachSecond::default(),
            clearing: Clearing::default(),
            repeat_at: Instant(0),
            leave: Leave::Later,
            wanted: KVec::with_capacity(REQUESTS_MAX, GFP_KERNEL_ACCOUNT)?,
            expecting: KVec::with_capacity(EXPECTING_MAX, GFP_KERNEL_ACCOUNT)?,
            listener: Listener::default(),
            peers: Syncpeers::default(),
            flight: Flight::new(0, KVVec::new(), KVVec::new()),
            confirmation: None,
            demoted: 0,
            buffer: KVec::new(),
            signer: Signer::new(),
            names: Names::new(creator, random::bytes()),
            reconcile: Reconcile::default(),
            reconciled: 0,
            over: KVec::with_capacity(REQUESTS_MAX, GFP_KERNEL_ACCOUNT)?,
        })
    }

    /// What the protocol wants to know. Without a listener nothing is asked to be
    /// confirmed: who comes later asks for everything.
    pub(super) const fn config(&self) -> Config {
        self.settings.config(self.listener.is_there())
    }

    /// Who we are, to peers.
    pub(super) const fn creator(&self) -> Creator {
        self.names.creator()
    }

    /// Bytes that a frame may have, without IP header.
    pub(super) fn frame_len(&self) -> usize {
        let mtu = |mtu: Option<u32>| mtu.and_then(|mtu| usize::try_from(mtu).ok());
        let own = mtu(self.own.as_ref().map(|own| own.mtu()));
        let syncdev = mtu(self.syncdev.as_ref().map(|dev| dev.mtu()));
        let least = own
            .unwrap_or(DEFAULT_MTU)
            .min(syncdev.unwrap_or(DEFAULT_MTU))
            .min(usize::try_from(self.route_mtu).unwrap_or(DEFAULT_MTU));
        least.saturating_sub(self.ip_header_len()).max(ROOM_MIN)
    }

    /// The same without what authenticates the frame.
    pub(super) fn room(&self) -> usize {
        let room = self.frame_len().saturating_sub(self.signer.room());
        room.max(ROOM_MIN)
    }

    /// A bulk request, for a table with room for so many entries.
    pub(super) fn new_request(&self, limit: u32, has_link: bool) -> BulkRequest {
        let peer_within = Millis::from_secs(self.settings.bulkwait.into());
        BulkRequest::new(self.bulk_within(limit), peer_within, has_link)
    }

    /// How long a bulk update may take.
    fn bulk_within(&self, limit: u32) -> Millis {
        let room = self
            .room()
            .saturating_sub(HEADER_LEN.saturating_add(SECTION_LEN));
        let states = room.checked_div(State::LEN.saturating_add(EXTRA_LEN));
        let states = states.and_then(|states| u32::try_from(states).ok());
        bulk_within(limit, states.unwrap_or(1))
    }

    /// The outbox for frames as long as they may be now.
    pub(super) fn new_outbox(&self) -> Outbox {
        Outbox::new(self.room().saturating_add(IP_HEADER_LEN), EXTRA_LEN)
    }

    /// Puts a record where its step leads; forgets it if nothing is to be said of it
    /// any more.
    pub(super) fn apply(&mut self, now: Instant, slot: Slot, step: &Step) {
        self.store.moved(slot, step);
        self.leave = self.leave.max(self.outbox.apply(now, step));
        if matches!(
            step.to,
            Place::Nowhere | Place::Queued(Queue::DeleteCompressed)
        ) {
            self.set_in_bulk(slot, false);
        }
        if step.to == Place::Nowhere && self.store.get(slot).is_some_and(Record::is_gone) {
            self.store.remove(slot);
        }
    }

    /// A record is in an answer to a bulk request, or is confirmed; or nobody waits for
    /// that any more.
    pub(super) fn set_in_bulk(&mut self, slot: Slot, on: bool) {
        let Some(record) = self.store.get_mut(slot) else {
            return;
        };
        match (core::mem::replace(&mut record.in_bulk, on), on) {
            (false, true) => self.in_bulk = self.in_bulk.saturating_add(1),
            (true, false) => {
                warn_on_once!(self.in_bulk == 0);
                self.in_bulk = self.in_bulk.saturating_sub(1);
            }
            _ => {}
        }
    }

    /// Has `event` happen to a record.
    pub(super) fn step(
        &mut self,
        now: Instant,
        slot: Slot,
        event: impl FnOnce(&mut Record) -> Step,
    ) {
        if let Some(record) = self.store.get_mut(slot) {
            let step = event(record);
            self.apply(now, slot, &step);
        }
    }

    /// The first packet of a state need not be held any longer.
    pub(super) fn release(&mut self, slot: Slot, out: &mut Outcome) {
        let ticket = self
            .store
            .get_mut(slot)
            .and_then(|record| record.ticket.take());
        if let Some(held) = ticket.and_then(|ticket| self.deferred.release(ticket)) {
            out.released.push(held);
        }
    }

    /// Takes in an entry that this host has found by itself.
    fn found(
        &mut self,
        now: Instant,
        watched: Watched<Newborn>,
        newborn: Newborn,
        out: &mut Outcome,
        counters: &super::counters::Counters,
    ) {
        let Newborn { entry, first, how } = newborn;
        if self.settings.established {
            // Before it is read: what passes later says so.
            watched.reset();
        }
        let plain = entry.read();
        // Whom nobody is to hear of gets no record, and no node for packets to find.
        if self.settings.is_private(plain.mark, plain.zone) {
            // Before the entry: without that its memory may be that of another one.
            drop(watched);
            if let Some(first) = first {
                out.released.push(first);
            }
            return;
        }
        let tcp = plain.protocol == protocol::TCP;
        let threshold = self.packet_threshold(tcp);
        let is_too_young = tcp && self.is_too_young(plain.tcp.state);
        let tell = how != Found::InTable { tell: false } && !is_too_young;
        let first = match (is_too_young, first) {
            (true, Some(first)) => {
                out.released.push(first);
                None
            }
            (_, first) => first,
        };
        let (pending, step) = match tell {
            true => {
                let (pending, step) = Pending::created(first.is_some());
                (pending, Some(step))
            }
            false => (Pending::found(), None),
        };
        let id = self.names.give();
        let mut record = Record::new(id, pending, Some(Live { watched, entry }));
        record.tcp = tcp;
        record.direction = tuples::direction(Status(plain.status));
        (record.used, record.born) = match (how, plain.age) {
            (Found::ByPacket, _) => (Use::Passed, now),
            // It is no older than this host.
            (_, 0) => (Use::Found, Instant(0)),
            (_, age) => (Use::Found, seconds_before(now, age)),
        };
        record.heard = now;
        let ticket = first.and_then(|first| {
            counters.count(Counter::Deferred);
            let (ticket, early) = self.deferred.hold(now, first);
            if let Some(early) = early {
                counters.count(Counter::Undeferred);
                out.released.push(early);
            }
            ticket
        });
        record.ticket = ticket;
        match self.store.insert(record) {
            Ok(slot) => {
                self.store.set_slot(slot, threshold);
                let is_offloaded = Status(plain.status).is_offloaded();
                self.expires(now, slot, plain.timeout, is_offloaded);
                if let Some(step) = step {
                    self.apply(now, slot, &step);
                }
                // Without memory pf hears of one half, and of the other one later.
                let _ = self.name_other_half(now, slot, tell);
            }
            Err(_) => {
                counters.count(Counter::NoMemory);
                if let Some(held) = ticket.and_then(|ticket| self.deferred.release(ticket)) {
                    out.released.push(held);
                }
            }
        }
    }

    /// After how many packets of a state its owner wants to hear of it again.
    pub(super) fn packet_threshold(&self, tcp: bool) -> u32 {
        match tcp {
            true => u32::from(self.settings.maxupd),
            false => 0,
        }
    }

    /// TCP states are sent after so many updates from now on.
    pub(super) fn set_maxupd(&mut self) {
        for slot in 0..self.store.end() {
            if let Some(tcp) = self.store.get(slot).map(|record| record.tcp) {
                self.store.set_slot(slot, self.packet_threshold(tcp));
            }
        }
    }

    /// Local packets of a state have passed, `count` since it was sent last.
    fn passed(&mut self, now: Instant, slot: Slot, count: u32) {
        if let Some(record) = self.store.get_mut(slot) {
            record.used = Use::Passed;
            // A RST may end it at once.
            let live = record.live.as_ref();
            if live.is_some_and(|live| !live.entry.is_alive()) {
                self.gone(now, slot);
                return;
            }
        }
        let other = self.store.get(slot).and_then(Record::other);
        let knows = |slot: &Slot| self.store.get(*slot).is_some_and(|it| !it.is_modulated);
        // It is a name for pf alone.
        let other = other.filter(|slot| self.peers.has_pf() && knows(slot));
        for slot in [Some(slot), other].into_iter().flatten() {
            self.changed(now, slot, count);
        }
    }

    /// They have changed what is told by this name.
    pub(super) fn changed(&mut self, now: Instant, slot: Slot, count: u32) {
        if self.begins(now, slot) {
            return;
        }
        let config = self.config();
        self.step(now, slot, |record| {
            let step = record.pending.updated(&config, now, record.tcp);
            if !record.tcp || count < u32::from(config.max_updates) {
                return step;
            }
            // All of them may have come before the inbox was looked into.
            let often = record.pending.updated_often();
            Step {
                from: step.from,
                send_now: step.send_now || often.send_now,
                ..often
            }
        });
    }
}

impl Pfsync {
    /// The timer: whatever is due.
    pub(super) fn timer_expired(&self) {
        self.handle(|session, now, out| {
            if session.table.is_none() {
                return;
            }
            self.empty_inbox(session, now, out);
            while let Some(held) = session.deferred.expired(now) {
                self.counters.count(Counter::Undeferred);
                out.released.push(held);
            }
            self.wake_awaiting(session, now);
            let effects = session.request.timer(now);
            self.asked(session, effects, out);
            session.clear(now, out, &self.counters);
            session.reconcile(now);
            self.sweep(session, now);
            self.walk_each_second(session, now, out);
        });
    }

    /// What packet paths have seen.
    pub(super) fn empty_inbox(&self, session: &mut Session, now: Instant, out: &mut Outcome) {
        // A frame empties it, too, and then sets the timer that was kicked to a later time.
        self.unkick();
        let mut new = 0_u32;
        Watch::drain(&self.watch, |news| match news {
            InboxItem::New(watched, newborn) => {
                new = new.saturating_add(1);
                session.found(now, watched, newborn, out, &self.counters);
            }
            InboxItem::Packets { slot, count } => session.passed(now, slot, count),
        });
        session.sweep_for_new(now, new);
    }

    /// An entry of the table that no packet has told of. `tell`: peers are to hear of it now,
    /// not only with its next change.
    pub(super) fn found_in_table(
        &self,
        session: &mut Session,
        now: Instant,
        entry: Entry,
        tell: bool,
        out: &mut Outcome,
    ) {
        // One that is known already was made or met a moment ago.
        if let Ok(watched) = Watch::add(&self.watch, entry.key()) {
            let newborn = Newborn {
                entry,
                first: None,
                how: Found::InTable { tell },
            };
            session.found(now, watched, newborn, out, &self.counters);
        }
    }

    /// States that wait to be confirmed, and have waited long enough: some at a time, for
    /// they may wait because too much was sent at once.
    fn wake_awaiting(&self, session: &mut Session, now: Instant) {
        if now < session.repeat_at {
            return;
        }
        for _ in 0..REPEAT_AT_ONCE {
            let Some(slot) = session.store.first(Place::Awaiting) else {
                break;
            };
            let Some(record) = session.store.get_mut(slot) else {
                break;
            };
            let in_bulk = record.in_bulk;
            if session.listener.came_back(now) {
                record.pending.start_over();
            }
            let step = record.pending.timer(now);
            if step.to == Place::Awaiting {
                break;
            }
            if step.to == Place::Nowhere {
                self.counters.count(Counter::Unanswered);
                // OpenBSD confirms nothing of a full update that it has.
                let unknown = session.peers.has_linux() || !in_bulk;
                session.listener.unanswered(now, unknown);
            } else {
                self.counters.count(Counter::Repeated);
                if in_bulk {
                    session.answer.lost(now);
                }
            }
            session.repeat_at = REPEAT_EVERY.after(now);
            session.apply(now, slot, &step);
        }
    }
}

impl Session {
    /// When something is to be done, if nothing happens before.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.table.as_ref()?;
        let awaiting = self
            .store
            .first(Place::Awaiting)
            .and_then(|slot| self.store.get(slot)?.pending.deadline())
            .map(|deadline| deadline.max(self.repeat_at));
        let deadlines = [
            self.outbox.deadline(),
            awaiting,
            self.request.deadline(),
            self.answer.deadline(),
            self.deferred.deadline(),
            self.sweep.deadline(),
            self.each_second.deadline(),
            self.clearing.deadline(),
            self.reconcile.deadline(),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// How many states wait to be sent.
    pub(super) fn queued(&self) -> u32 {
        Queue::ORDER
            .into_iter()
            .map(|queue| self.store.count(Place::Queued(queue)))
            .fold(0, u32::saturating_add)
    }
}
