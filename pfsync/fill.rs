// SPDX-License-Identifier: GPL-2.0

//! Filling frames with what waits.

use super::{
    bulk::Walk,
    counters::{Counter, Counters},
    device::Pfsync,
    outcome::Outcome,
    plain,
    send::HEAD,
    session::Session,
    store::{Record, Slot, LOOKED_AT},
    write::{Form, Unwritten, Written},
};
use crate::proto::pfsync::{
    bulk_answer::Do,
    confirmation::FrameNumber,
    flight::SentIn,
    id::StateId,
    outbox::Leave,
    pending::{Config, Place, Queue},
    short::{Bulk, BulkStatus},
    state::FLAG_ACK,
    time::Instant,
    writer::{Outgoing, Writer},
};
use kernel::prelude::*;

/// How many states with a helper are remembered until their expectations are sent.
pub(super) const EXPECTING_MAX: usize = 32;

/// How many expectations of one state are sent.
const EXPECTED_MAX: u32 = 16;

/// How many states are found at once to be private by now: all may be, after a setting.
const PRIVATE_MAX: u32 = 256;

/// How far a bulk update has come.
enum Walked {
    /// A frame of so many states was sent.
    Sent(u32),
    /// Of what was looked at nothing is to be sent.
    Nothing,
    /// All were.
    End,
}

impl Session {
    /// A frame of what waits, if anything does. Returns whether it was one.
    fn fill(&mut self, now: Instant, out: &mut Outcome, pfsync: &Pfsync) -> bool {
        let config = self.config();
        let len = self.build(|this, room| this.fill_into(room, now, &config, pfsync));
        if let Some(len) = len {
            self.send(len, &mut out.frames, &pfsync.counters);
        }
        len.is_some()
    }

    /// Has a frame built in the buffer, which is taken out for that: who builds needs the
    /// rest of the session.
    fn build<T>(&mut self, frame: impl FnOnce(&mut Self, &mut [u8]) -> Option<T>) -> Option<T> {
        let mut buffer = core::mem::take(&mut self.buffer);
        let end = HEAD.saturating_add(self.room()).min(buffer.len());
        let built = buffer.get_mut(HEAD..end).and_then(|room| frame(self, room));
        self.flight.finish();
        self.buffer = buffer;
        built
    }

    fn fill_into(
        &mut self,
        room: &mut [u8],
        now: Instant,
        config: &Config,
        pfsync: &Pfsync,
    ) -> Option<usize> {
        let mut writer = Writer::new(room).ok()?;
        self.number(config, &mut writer);
        if let Some(confirmation) = &self.confirmation {
            if writer.push(Outgoing::Confirmation(confirmation)).is_ok() {
                self.confirmation = None;
            }
        }
        let mut private = 0_u32;
        'frame: for queue in Queue::ORDER {
            while let Some(slot) = self.store.first(Place::Queued(queue)) {
                let main = self.store.main(slot);
                // A second name is for pf alone.
                if queue.tells() && main != slot && !self.peers.has_pf() {
                    self.step(now, slot, |record| record.pending.forgotten());
                    continue;
                }
                if let (true, Some(record)) = (queue.tells(), self.store.get(main)) {
                    // Before it is read: a packet that passes meanwhile may be in what is
                    // written or not, so it has to say that there is news.
                    if let Some(live) = &record.live {
                        live.watched.reset();
                    }
                    if !self.store.note_told(slot) {
                        self.gone(now, slot);
                        continue;
                    }
                }
                match self.write_from(queue, (slot, now), config, pfsync, &mut writer) {
                    Ok(written) => {
                        if let Some(counter) = Counter::sent(queue.action()) {
                            pfsync.counters.count(counter);
                        }
                        // pf confirms nothing by which one could ask.
                        let is_answered = self.peers.all_confirm();
                        if queue == Queue::DeleteCompressed && is_answered {
                            self.listener.told_of_deletion(now);
                        }
                        self.step(now, slot, |record| record.pending.sent(config, now));
                        self.was_written(now, slot, written);
                    }
                    Err(Unwritten::Full) if !writer.is_empty() => break 'frame,
                    Err(Unwritten::Private) => {
                        self.stays_here(now, slot);
                        private = private.saturating_add(1);
                        if private >= PRIVATE_MAX {
                            break 'frame;
                        }
                    }
                    // What does not fit into an empty frame never will, and would be
                    // due for ever.
                    Err(Unwritten::Full | Unwritten::Unfit) => {
                        pfsync.counters.count(Counter::BadState);
                        self.step(now, slot, |record| record.pending.forgotten());
                    }
                }
            }
        }
        (!writer.is_empty()).then(|| writer.finish())
    }

    /// Gives a frame that is still empty a number, if who reads it confirms it as a whole.
    fn number(&mut self, config: &Config, writer: &mut Writer<'_>) {
        if !config.confirm || !self.outbox.is_compact() {
            return;
        }
        let frame = FrameNumber {
            creator: self.creator(),
            number: self.flight.begin(),
        };
        // Without room for it the frame has none, and nothing in it is remembered.
        let _ = writer.set_number(&frame);
    }

    /// Peers are to forget a state; it stays in the table.
    fn stays_here(&mut self, now: Instant, slot: Slot) {
        let main = self.store.main(slot);
        if self.store.get(main).is_some_and(|record| record.lenient) {
            self.be_strict(main);
        }
        let other = self.store.part(slot);
        for slot in [Some(slot), other].into_iter().flatten() {
            self.step(now, slot, |record| {
                record.live = None;
                record.pending.deleted()
            });
        }
    }

    fn write_from(
        &self,
        queue: Queue,
        (slot, now): (Slot, Instant),
        config: &Config,
        pfsync: &Pfsync,
        writer: &mut Writer<'_>,
    ) -> Result<Option<Written>, Unwritten> {
        let record = self.store.get(slot).ok_or(Unwritten::Unfit)?;
        let flags = record.pending.flags(config);
        let form = match queue {
            Queue::InsertAck => {
                writer.push(Outgoing::InsertAck(&record.id))?;
                return Ok(None);
            }
            Queue::DeleteCompressed => {
                writer.push(Outgoing::DeleteCompressed(&record.id))?;
                return Ok(None);
            }
            Queue::UpdateCompressed => Form::Compressed,
            Queue::Insert => Form::Insert,
            Queue::Update => Form::Update,
        };
        self.write((slot, now), form, flags, pfsync, writer)
            .map(Some)
    }

    /// A frame with one message of its own.
    fn send_alone(&mut self, messages: &[Outgoing<'_>], out: &mut Outcome, counters: &Counters) {
        let len = self.build(|_, room| {
            let mut writer = Writer::new(room).ok()?;
            for message in messages {
                writer.push(*message).ok()?;
                writer.end_section();
                if let Some(counter) = Counter::sent(message.action()) {
                    counters.count(counter);
                }
            }
            Some(writer.finish())
        });
        if let Some(len) = len {
            self.send(len, &mut out.frames, counters);
        }
    }

    /// Asks for the states that are wanted, and tells of those that are over.
    fn send_names(&mut self, out: &mut Outcome, counters: &Counters) {
        let len = self.build(|this, room| {
            let mut writer = Writer::new(room).ok()?;
            let wanted = this.wanted.iter().map(Outgoing::Request);
            let over = this.over.iter().map(Outgoing::DeleteCompressed);
            for message in Iterator::chain(wanted, over) {
                // The rest is asked for, and told of, when a peer speaks of it again.
                if writer.push(message).is_err() {
                    break;
                }
                if let Some(counter) = Counter::sent(message.action()) {
                    counters.count(counter);
                }
            }
            (!writer.is_empty()).then(|| writer.finish())
        });
        self.wanted.clear();
        self.over.clear();
        if let Some(len) = len {
            self.send(len, &mut out.frames, counters);
        }
    }

    /// Asks for all states, and says that it is a Linux host who asks.
    pub(super) fn send_request(&mut self, out: &mut Outcome, counters: &Counters) {
        let request = Outgoing::Request(&StateId::EVERYTHING);
        self.send_alone(&[request, Outgoing::Greeting], out, counters);
    }

    /// A frame of a bulk update, of at most `most` states.
    fn fill_bulk(
        &mut self,
        now: Instant,
        most: u32,
        start: bool,
        out: &mut Outcome,
        pfsync: &Pfsync,
    ) -> Walked {
        match self.build(|this, room| this.fill_bulk_into(room, now, most, start, pfsync)) {
            Some((len, count)) => {
                self.send(len, &mut out.frames, &pfsync.counters);
                Walked::Sent(count)
            }
            // What was looked at is private, or a second name, or nothing.
            None if self.walk.has_more(&self.store) => Walked::Nothing,
            None => Walked::End,
        }
    }

    fn fill_bulk_into(
        &mut self,
        room: &mut [u8],
        now: Instant,
        most: u32,
        start: bool,
        pfsync: &Pfsync,
    ) -> Option<(usize, u32)> {
        let config = self.config();
        let mut writer = Writer::new(room).ok()?;
        self.number(&config, &mut writer);
        if start {
            let bulk = Bulk::new(self.creator(), BulkStatus::Start);
            writer.push(Outgoing::Bulk(&bulk)).ok()?;
        }
        let (mut count, mut full, mut private) = (0_u32, false, 0_u32);
        for _ in 0..LOOKED_AT {
            if count >= most || private >= PRIVATE_MAX || !self.walk.has_more(&self.store) {
                break;
            }
            // A second name comes just after the first.
            let slot = self.walk.half.unwrap_or(self.walk.next);
            let is_half = self.walk.half.is_some();
            let is_first = self.store.main(slot) == slot;
            let record = self.store.get(slot);
            let is_bulk =
                record.is_some_and(|record| record.pending.is_bulk()) && !self.is_half_open(slot);
            if is_bulk && (is_half || is_first) && !self.store.note_told(slot) {
                self.gone(now, slot);
            } else if is_bulk && (is_half || is_first) {
                match self.write((slot, now), Form::Update, FLAG_ACK, pfsync, &mut writer) {
                    Ok(written) => {
                        pfsync.counters.count(Counter::SentUpdates);
                        // Before the step, which may say that nobody is to confirm it.
                        self.set_in_bulk(slot, true);
                        self.step(now, slot, |record| {
                            record.pending.sent_in_bulk(&config, now)
                        });
                        self.was_written(now, slot, Some(written));
                        count = count.saturating_add(1);
                    }
                    Err(Unwritten::Full) => {
                        full = true;
                        break;
                    }
                    Err(Unwritten::Private) => {
                        self.stays_here(now, slot);
                        private = private.saturating_add(1);
                    }
                    Err(Unwritten::Unfit) => pfsync.counters.count(Counter::BadState),
                }
            }
            self.walk.half = None;
            if !is_half {
                self.walk.next = slot.saturating_add(1);
                if is_first {
                    // Without memory pf hears of one half, and of the other one later.
                    let _ = self.name_other_half(now, slot, false);
                    let other = self.store.get(slot).and_then(Record::other);
                    self.walk.half = other.filter(|_| self.peers.has_pf());
                }
            }
        }
        // A state that does not fit beside START comes in a frame of its own.
        (count > 0 || full).then(|| (writer.finish(), count))
    }

    /// A state was written. If it may expect others, and there is no room to remember that,
    /// they follow with its next update.
    fn was_written(&mut self, now: Instant, slot: Slot, written: Option<Written>) {
        let Some(written) = written else {
            return;
        };
        if written.expects && self.expecting.len() < EXPECTING_MAX {
            let _ = self.expecting.push(slot, GFP_ATOMIC);
        }
        if let Some(record) = self.store.get_mut(slot) {
            match written.is_numbered {
                true => {
                    self.flight.push(slot);
                    record.sent_in.sent(self.flight.number());
                }
                false => record.sent_in = SentIn::default(),
            }
        }
        self.expires(now, slot, written.timeout, written.is_offloaded);
    }

    /// The connections that the states just written expect. They are few, so each has a
    /// frame of its own.
    fn send_expectations(&mut self, out: &mut Outcome, counters: &Counters) {
        let mut masters = core::mem::take(&mut self.expecting);
        for slot in masters.iter().copied() {
            for place in 0..EXPECTED_MAX {
                let record = self.store.get(slot);
                let expected = record.and_then(|record| {
                    let expected = record.live.as_ref()?.entry.expected(place)?;
                    Some(plain::to_expectation(&expected, record.id))
                });
                let Some(expected) = expected else {
                    break;
                };
                self.send_alone(&[Outgoing::Expectation(&expected)], out, counters);
            }
        }
        masters.clear();
        self.expecting = masters;
    }

    /// What is to go on answering a bulk request.
    fn answer_bulk(&mut self, now: Instant, out: &mut Outcome, pfsync: &Pfsync) {
        while let Some(what) = self.answer.next(now, self.in_bulk as usize) {
            match what {
                Do::Start => {
                    let start = Bulk::new(self.creator(), BulkStatus::Start);
                    self.send_alone(&[Outgoing::Bulk(&start)], out, &pfsync.counters);
                }
                Do::WalkTable => {
                    let more = pfsync.walk_for_answer(self, now, out);
                    self.answer.table_walked(now, more);
                }
                Do::States { most, start } => match self.fill_bulk(now, most, start, out, pfsync) {
                    Walked::Sent(count) => self.answer.sent(now, count),
                    Walked::Nothing => self.answer.nothing_found(now),
                    Walked::End => {
                        if self.answer.walked(now) {
                            self.walk = Walk::default();
                        }
                    }
                },
                Do::End => {
                    let start = Bulk::new(self.creator(), BulkStatus::Start);
                    let end = Bulk::new(self.creator(), BulkStatus::End);
                    let messages = [
                        Outgoing::Bulk(&start),
                        Outgoing::Bulk(&end),
                        Outgoing::Greeting,
                    ];
                    self.send_alone(&messages, out, &pfsync.counters);
                }
            }
        }
    }

    /// States that were sent and are not confirmed.
    pub(super) fn unconfirmed(&self) -> usize {
        let awaiting = self.store.count(Place::Awaiting);
        let again = self.store.count(Place::Queued(Queue::Update));
        awaiting.saturating_add(again) as usize
    }
}

impl Pfsync {
    /// Builds the frames that are due.
    pub(super) fn send_due(&self, session: &mut Session, now: Instant, out: &mut Outcome) {
        if session.table.is_none() {
            return;
        }
        if !session.wanted.is_empty() || !session.over.is_empty() {
            session.send_names(out, &self.counters);
        }
        let late = session
            .outbox
            .deadline()
            .is_some_and(|deadline| deadline <= now);
        match core::mem::replace(&mut session.leave, Leave::Later) {
            Leave::Later if !late => {}
            // Of what one event brings, all full frames leave.
            Leave::FullFrames if !late => {
                while session.outbox.is_full() && session.fill(now, out, self) {}
            }
            _ => while session.fill(now, out, self) {},
        }
        // What filling asked for was done by it.
        session.leave = Leave::Later;
        if let Some(confirmation) = session.confirmation.take() {
            session.send_alone(
                &[Outgoing::Confirmation(&confirmation)],
                out,
                &self.counters,
            );
        }
        session.answer_bulk(now, out, self);
        if !session.expecting.is_empty() {
            session.send_expectations(out, &self.counters);
        }
    }
}
