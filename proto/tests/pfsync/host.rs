// SPDX-License-Identifier: GPL-2.0

//! A host of the simulation: what a driver does, in the simplest way.

use std::collections::{BTreeMap, VecDeque};

use carp_proto::pfsync::bulk_answer::{BulkAnswer, Do};
use carp_proto::pfsync::bulk_request::{BulkRequest, Effects, Ending, Progress, PEER_WITHIN};
use carp_proto::pfsync::conntrack::{Entry, Tracking};
use carp_proto::pfsync::extra::{Companion, Extra};
use carp_proto::pfsync::frame::{Discard, Frame, Section, TTL};
use carp_proto::pfsync::id::StateId;
use carp_proto::pfsync::mapping::{apply, export, import, peers};
use carp_proto::pfsync::merge::judge;
use carp_proto::pfsync::message::Message;
use carp_proto::pfsync::outbox::{Leave, Outbox};
use carp_proto::pfsync::pending::{Config, Pending, Place, Queue, Step};
use carp_proto::pfsync::short::{Bulk, BulkStatus};
use carp_proto::pfsync::state::{Direction, State, FLAG_ACK};
use carp_proto::pfsync::time::Millis;
use carp_proto::pfsync::update::Update;
use carp_proto::pfsync::writer::{Full, Outgoing, Writer};

use crate::common::{entry, tuple};
use crate::network::Network;
use crate::random::Random;

pub const WITHIN: Millis = Millis(20_000);

struct Row {
    entry: Entry,
    pending: Pending,
    deleted: bool,
}

pub struct Host {
    number: usize,
    config: Config,
    is_up: bool,
    table: BTreeMap<StateId, Row>,
    lists: BTreeMap<Place, VecDeque<StateId>>,
    outbox: Outbox,
    requests: Vec<StateId>,
    /// What is to be sent once a frame was read.
    urgent: Leave,
    is_reading: bool,
    request: BulkRequest,
    answer: BulkAnswer,
    /// The next state of the walk.
    walk: Option<StateId>,
    pub demotion: i32,
    pub ending: Option<Ending>,
}

/// Half of the states have more to tell than pf's fields hold.
fn new_entry(number: u64) -> Entry {
    let port = (number % 60_000) as u16;
    let source = format!("10.1.{}.{}", number / 60_000, number % 2);
    let mut entry = entry(tuple(17, &source, "192.0.2.1", [port, 53]), Tracking::Other);
    entry.details.mark = number as u32;
    entry
}

impl Host {
    pub fn new(number: usize, confirm: bool) -> Self {
        let config = Config {
            confirm,
            ..Config::default()
        };
        Self {
            number,
            config,
            is_up: false,
            table: BTreeMap::new(),
            lists: BTreeMap::new(),
            outbox: Outbox::new(1500, 30),
            requests: vec![],
            urgent: Leave::Later,
            is_reading: false,
            request: BulkRequest::new(WITHIN, PEER_WITHIN, true),
            answer: BulkAnswer::new(),
            walk: None,
            demotion: 0,
            ending: None,
        }
    }

    fn creator(&self) -> [u8; 4] {
        [0, 0, 0, self.number as u8 + 1]
    }

    pub fn alive(&self) -> impl Iterator<Item = &StateId> {
        let alive = |(id, row): (_, &Row)| (!row.deleted).then_some(id);
        self.table.iter().filter_map(alive)
    }

    /// Whether it has the state, with all that belongs to it.
    pub fn has(&self, id: &StateId) -> bool {
        let number = u64::from_be_bytes(id.id);
        self.table
            .get(id)
            .is_some_and(|row| !row.deleted && row.entry.details.mark == number as u32)
    }

    /// Whether nothing is left to be sent.
    pub fn is_quiet(&self) -> bool {
        let empty = self.lists.values().all(VecDeque::is_empty);
        empty && self.outbox.deadline().is_none() && !self.answer.is_active()
    }

    fn carry_out(&mut self, network: &mut Network, effects: Effects) {
        self.demotion += effects.demote + effects.demote_for_link;
        if effects.request {
            self.frame(network, |writer| {
                writer.push(Outgoing::Request(&StateId::EVERYTHING))
            });
        }
        self.ending = effects.ending.or(self.ending);
    }

    pub fn up(&mut self, network: &mut Network) {
        self.is_up = true;
        let effects = self.request.up(network.instant());
        self.carry_out(network, effects);
    }

    pub fn create(&mut self, network: &mut Network, number: u64) {
        let id = StateId {
            id: number.to_be_bytes(),
            creator: self.creator(),
        };
        let (pending, step) = match self.is_up {
            true => Pending::created(false),
            false => {
                let pending = Pending::found();
                let (from, to) = (Place::Nowhere, Place::Nowhere);
                let send_now = false;
                (pending, Step { from, to, send_now })
            }
        };
        let row = Row {
            entry: new_entry(number),
            pending,
            deleted: false,
        };
        self.table.insert(id, row);
        self.apply(network, &id, step);
    }

    /// A packet changes some state.
    pub fn touch(&mut self, network: &mut Network, random: &mut Random) {
        let alive: Vec<_> = self.alive().copied().collect();
        if alive.is_empty() {
            return;
        }
        let id = *random.pick(&alive);
        let now = network.instant();
        let row = self.table.get_mut(&id).unwrap();
        let step = row.pending.updated(&self.config, now, random.chance(500));
        self.apply(network, &id, step);
    }

    pub fn delete(&mut self, network: &mut Network, number: u64) {
        let id = self
            .alive()
            .copied()
            .find(|id| u64::from_be_bytes(id.id) == number);
        let Some(id) = id else { return };
        let row = self.table.get_mut(&id).unwrap();
        row.deleted = true;
        let step = row.pending.deleted();
        self.apply(network, &id, step);
    }

    /// Moves a state to the list where it belongs.
    fn apply(&mut self, network: &mut Network, id: &StateId, step: Step) {
        self.moved(id, step);
        let leave = self.outbox.apply(network.instant(), &step);
        match self.is_reading {
            true => self.urgent = self.urgent.max(leave),
            false => self.leave(network, leave),
        }
    }

    fn moved(&mut self, id: &StateId, step: Step) {
        if step.moves() {
            if step.from != Place::Nowhere {
                let list = self.lists.entry(step.from).or_default();
                let at = list.iter().position(|other| other == id);
                list.remove(at.expect("it is where it said it was"));
            }
            if step.to != Place::Nowhere {
                self.lists.entry(step.to).or_default().push_back(*id);
            }
        }
        let done = |row: &Row| row.deleted && row.pending.place() == Place::Nowhere;
        if self.table.get(id).is_some_and(done) {
            self.table.remove(id);
        }
    }

    fn frame(&self, network: &mut Network, fill: impl FnOnce(&mut Writer<'_>) -> Result<(), Full>) {
        let mut buffer = [0; 1480];
        let mut writer = Writer::new(&mut buffer).unwrap();
        fill(&mut writer).unwrap();
        let len = writer.finish();
        network.send(self.number, &buffer[..len]);
    }

    /// Writes one state into a frame.
    fn write(
        &self,
        network: &mut Network,
        writer: &mut Writer<'_>,
        id: &StateId,
        queue: Queue,
        flags: u16,
    ) -> Result<(), Full> {
        let row = &self.table[id];
        let (state, extra) = export(&row.entry, *id, Direction::Out, flags).unwrap();
        let update = state.update();
        match queue {
            Queue::InsertAck => writer.push(Outgoing::InsertAck(id)),
            Queue::DeleteCompressed => writer.push(Outgoing::DeleteCompressed(id)),
            Queue::UpdateCompressed => {
                writer.push_with(id, Some(&extra), Outgoing::UpdateCompressed(&update))
            }
            Queue::Insert | Queue::Update => {
                let message = match queue {
                    Queue::Insert => Outgoing::Insert(&state),
                    _ => Outgoing::Update(&state),
                };
                writer.push_with(id, Some(&extra), message)?;
                network.states_sent += 1;
                Ok(())
            }
        }
    }

    /// Sends what waits.
    fn leave(&mut self, network: &mut Network, leave: Leave) {
        let goes_on = |outbox: &Outbox| match leave {
            Leave::Later => false,
            Leave::FullFrames => outbox.is_full(),
            Leave::Everything => outbox.waiting() > 0,
        };
        while self.is_up && goes_on(&self.outbox) {
            let mut buffer = [0; 1480];
            let mut writer = Writer::new(&mut buffer).unwrap();
            'full: for queue in Queue::ORDER {
                loop {
                    let list = self.lists.get(&Place::Queued(queue));
                    let Some(id) = list.and_then(VecDeque::front).copied() else {
                        break;
                    };
                    let flags = self.table[&id].pending.flags(&self.config);
                    if self.write(network, &mut writer, &id, queue, flags).is_err() {
                        break 'full;
                    }
                    let row = self.table.get_mut(&id).unwrap();
                    let step = row.pending.sent(&self.config, network.instant());
                    let again = self.outbox.apply(network.instant(), &step);
                    assert_eq!(again, Leave::Later, "sending makes nothing urgent");
                    self.moved(&id, step);
                }
            }
            assert!(!writer.is_empty());
            let len = writer.finish();
            network.send(self.number, &buffer[..len]);
        }
    }

    fn unconfirmed(&self) -> usize {
        let len = |place| self.lists.get(&place).map_or(0, VecDeque::len);
        len(Place::Awaiting) + len(Place::Queued(Queue::Update))
    }

    /// A frame of a bulk update. Returns how many states it holds.
    fn bulk_frame(&mut self, network: &mut Network, most: u32, start: bool) -> u32 {
        let mut buffer = [0; 1480];
        let mut writer = Writer::new(&mut buffer).unwrap();
        if start {
            let start = Bulk::new(self.creator(), BulkStatus::Start);
            writer.push(Outgoing::Bulk(&start)).unwrap();
        }
        let mut sent = 0;
        while let Some(id) = self.walk.filter(|_| sent < most) {
            if let Some(row) = self.table.get(&id).filter(|row| row.pending.is_bulk()) {
                assert!(!row.deleted);
                let flags = if self.config.confirm { FLAG_ACK } else { 0 };
                let queue = Queue::Update;
                if self.write(network, &mut writer, &id, queue, flags).is_err() {
                    break;
                }
                sent += 1;
                let row = self.table.get_mut(&id).unwrap();
                let step = row.pending.sent_in_bulk(&self.config, network.instant());
                self.apply(network, &id, step);
            }
            let after = (std::ops::Bound::Excluded(id), std::ops::Bound::Unbounded);
            self.walk = self.table.range(after).next().map(|(id, _)| *id);
        }
        if sent > 0 {
            let len = writer.finish();
            network.send(self.number, &buffer[..len]);
        }
        sent
    }

    fn bulk(&mut self, network: &mut Network) {
        let now = network.instant();
        let mut frames = 0;
        while let Some(what) = self.answer.next(now, self.unconfirmed()) {
            frames += 1;
            assert!(frames < 10_000, "no pause");
            match what {
                Do::Start => {
                    let start = Bulk::new(self.creator(), BulkStatus::Start);
                    self.frame(network, |writer| writer.push(Outgoing::Bulk(&start)));
                }
                // its table is what it knows
                Do::WalkTable => self.answer.table_walked(now, false),
                Do::States { most, start } => match self.bulk_frame(network, most, start) {
                    0 => {
                        if self.answer.walked(now) {
                            self.walk = self.table.keys().next().copied();
                        }
                    }
                    sent => self.answer.sent(now, sent),
                },
                Do::End => {
                    let bulk = |status| Bulk::new(self.creator(), status);
                    let (start, end) = (bulk(BulkStatus::Start), bulk(BulkStatus::End));
                    let mut buffer = [0; 1480];
                    let mut writer = Writer::new(&mut buffer).unwrap();
                    // in two sections: of one, only the first message is read
                    writer.push(Outgoing::Bulk(&start)).unwrap();
                    writer.end_section();
                    writer.push(Outgoing::Bulk(&end)).unwrap();
                    let len = writer.finish();
                    network.send(self.number, &buffer[..len]);
                }
            }
        }
    }

    pub fn tick(&mut self, network: &mut Network) {
        if !self.is_up {
            return;
        }
        let now = network.instant();
        if self.request.deadline().is_some_and(|due| due <= now) {
            let effects = self.request.timer(now);
            self.carry_out(network, effects);
        }
        let mut leave = Leave::Later;
        loop {
            let awaiting = self.lists.get(&Place::Awaiting);
            let Some(id) = awaiting.and_then(VecDeque::front).copied() else {
                break;
            };
            let pending = &mut self.table.get_mut(&id).unwrap().pending;
            if pending.deadline().is_none_or(|due| due > now) {
                break;
            }
            let step = pending.timer(now);
            // frames for all of them, not one for each
            leave = leave.max(self.outbox.apply(now, &step));
            self.moved(&id, step);
        }
        self.leave(network, leave);
        self.bulk(network);
        if self.outbox.deadline().is_some_and(|due| due <= now) {
            self.leave(network, Leave::Everything);
        }
    }

    pub fn receive(&mut self, network: &mut Network, bytes: &[u8]) {
        if !self.is_up {
            return;
        }
        self.is_reading = true;
        let frame = Frame::check(TTL, bytes).unwrap();
        self.request.peer_heard();
        let mut companion = Companion::default();
        for section in frame.sections() {
            let Section::Messages(messages) = section.unwrap() else {
                panic!("both are of one kind");
            };
            for message in messages {
                self.message(network, message, &mut companion).unwrap();
            }
        }
        self.is_reading = false;
        let urgent = std::mem::replace(&mut self.urgent, Leave::Later);
        self.leave(network, urgent);
        if !self.requests.is_empty() {
            let requests = std::mem::take(&mut self.requests);
            self.frame(network, |writer| {
                requests
                    .iter()
                    .try_for_each(|id| writer.push(Outgoing::Request(id)))
            });
        }
    }

    fn message<'a>(
        &mut self,
        network: &mut Network,
        message: Message<'a>,
        companion: &mut Companion<'a>,
    ) -> Result<(), Discard> {
        let now = network.instant();
        match message {
            Message::Extra(received) => companion.offer(received),
            Message::Insert(received) | Message::Update(received) => {
                self.request.heard(now);
                let id = received.id();
                let wants_ack = received.wants_ack();
                let extra = companion.take(&id).unwrap();
                match self.table.contains_key(&id) {
                    true => self.merge(network, received.for_update()?, extra, wants_ack),
                    false => self.insert(network, &received.for_insert()?, extra, wants_ack),
                }
            }
            Message::UpdateCompressed(bytes) => {
                let update = Update::parse(bytes)?;
                let extra = companion.take(&update.id).unwrap();
                match self.table.contains_key(&update.id) {
                    true => self.merge(network, update, extra, false),
                    false => self.requests.push(update.id),
                }
            }
            Message::InsertAck(id) => {
                self.answer.confirmed(now);
                self.step(network, &id, Pending::acknowledged);
            }
            Message::Request(id) if id.is_everything() => {
                let is_asking = self.request.progress() != Progress::Done;
                if self.answer.requested(now, is_asking) {
                    self.walk = self.table.keys().next().copied();
                }
            }
            Message::Request(id) => self.step(network, &id, Pending::requested),
            Message::DeleteCompressed(id) => {
                if let Some(row) = self.table.get_mut(&id) {
                    row.deleted = true;
                    let step = row.pending.forgotten();
                    self.apply(network, &id, step);
                }
            }
            Message::Bulk(bulk) => {
                let effects = match bulk.status {
                    BulkStatus::Start => self.request.started(now, bulk.creator),
                    _ => self.request.ended(now, bulk.creator),
                };
                self.carry_out(network, effects);
            }
            _ => panic!("nobody sends this"),
        }
        Ok(())
    }

    fn step(&mut self, network: &mut Network, id: &StateId, event: fn(&mut Pending) -> Step) {
        if let Some(row) = self.table.get_mut(id) {
            let step = event(&mut row.pending);
            self.apply(network, id, step);
        }
    }

    fn insert(
        &mut self,
        network: &mut Network,
        state: &State,
        extra: Option<Extra>,
        wants_ack: bool,
    ) {
        let (pending, step) = Pending::received(network.instant(), wants_ack);
        let row = Row {
            entry: import(state, extra.as_ref()).unwrap(),
            pending,
            deleted: false,
        };
        self.table.insert(state.id, row);
        self.apply(network, &state.id, step);
    }

    fn merge(
        &mut self,
        network: &mut Network,
        update: Update,
        extra: Option<Extra>,
        wants_ack: bool,
    ) {
        let row = self.table.get_mut(&update.id).unwrap();
        let (src, dst, _) = peers(&row.entry);
        let verdict = judge(row.entry.original.protocol, &src, &dst, &update);
        apply(&mut row.entry, &update, verdict, extra.as_ref());
        let now = network.instant();
        let step = row.pending.updated_by_peer(now, verdict, wants_ack);
        self.apply(network, &update.id, step);
    }
}
