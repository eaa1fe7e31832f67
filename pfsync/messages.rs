// SPDX-License-Identifier: GPL-2.0

//! What a frame says, and what is done about it.

use super::{
    counters::Counter,
    device::Pfsync,
    insert::make_lenient,
    outcome::Outcome,
    plain,
    session::{Session, REQUESTS_MAX},
    store::Slot,
    write::read,
};
use crate::{
    linux::state_table::{Plain, Table},
    proto::pfsync::{
        confirmation::{Confirmation, FrameNumber},
        conntrack::Entry,
        expectation::{self, Kind},
        extra::{Companion, Extra},
        frame::{Discard, Frame, Section},
        id::StateId,
        mapping,
        merge::{judge, Verdict},
        message::Message,
        pending::{Pending, Step},
        short::{Bulk, BulkStatus, Clear},
        state::Received,
        syncpeers::Syncpeer,
        time::Instant,
        twins::Use,
        update::Update,
    },
};
use core::net::IpAddr;
use kernel::{prelude::*, sync::Arc};

/// How often an update is tried against packets that pass at the same time.
const TRIES: u32 = 4;

impl Pfsync {
    /// A frame of `source` was let in.
    ///
    /// # Errors
    ///
    /// The rest of it was dropped.
    pub(super) fn frame(&self, source: IpAddr, frame: &Frame<'_>) -> Result<(), Discard> {
        let mut result = Ok(());
        self.handle(|session, now, out| {
            let Some(table) = session.table.clone() else {
                return;
            };
            let mut reader = Reader {
                asked: false,
                ended: false,
                peer: 0,
                has_confirmed: false,
                confirmation: None,
                is_here: false,
                pfsync: self,
                session,
                table,
                now,
                out,
            };
            result = reader.frame(source, frame);
        });
        result.inspect_err(|discard| self.counters.count((*discard).into()))
    }
}

/// What it takes to act upon a message; the lock is held.
pub(super) struct Reader<'a> {
    /// A peer has asked for everything in this frame, and has not said that it is Linux.
    pub(super) asked: bool,
    /// The same, when it has ended a bulk update.
    pub(super) ended: bool,
    /// Who has sent the frame, once that is checked.
    peer: usize,
    /// It has confirmed a frame of this host's. A second one does not count.
    has_confirmed: bool,
    /// What of the frame is here, if it has a number.
    pub(super) confirmation: Option<Confirmation>,
    /// The state that was read last is here now, by its name.
    pub(super) is_here: bool,
    pub(super) pfsync: &'a Pfsync,
    pub(super) session: &'a mut Session,
    pub(super) table: Arc<Table<Pfsync>>,
    pub(super) now: Instant,
    pub(super) out: &'a mut Outcome,
}

impl Reader<'_> {
    /// Reads what the table knows of a state. The stamp of it.
    pub(super) fn read(&self, slot: Slot, entry: &mut Entry) -> Option<u64> {
        let find = |key| self.pfsync.watch.find(key);
        read(&self.session.store, slot, self.now, find, entry)
    }

    pub(super) fn count(&self, counter: Counter) {
        self.pfsync.counters.count(counter);
    }

    /// Notes what the sender of the frame has shown of itself.
    pub(super) fn heard(&mut self, what: impl FnOnce(&mut Syncpeer)) {
        if let Some(peer) = self.session.peers.get_mut(self.peer) {
            what(peer);
        }
    }

    fn frame(&mut self, source: IpAddr, frame: &Frame<'_>) -> Result<(), Discard> {
        self.peer = self.session.peers.heard(source, self.now);
        let missed = self.session.listener.heard(self.now);
        self.session.request.peer_heard();
        // What packet paths have seen came first.
        self.pfsync.empty_inbox(self.session, self.now, self.out);
        let result = self.sections(frame);
        if self.asked {
            self.heard(Syncpeer::heard_pf);
        }
        if self.ended {
            self.heard(Syncpeer::heard_end_without_greeting);
        }
        let compact = self.session.peers.read_compact();
        self.session.outbox.set_compact(compact);
        if let Some(confirmation) = self.confirmation.filter(|it| it.states() > 0) {
            let counters = &self.pfsync.counters;
            counters.add(Counter::SentAcks, confirmation.here().into());
            self.session.confirmation = Some(confirmation);
        }
        // Unless it has just asked for that.
        if missed && !self.session.answer.is_active() {
            self.pfsync.requested(self.session, self.now);
        }
        result
    }

    fn sections(&mut self, frame: &Frame<'_>) -> Result<(), Discard> {
        let mut companion = Companion::default();
        for section in frame.sections() {
            match section? {
                Section::Skipped(_) => self.count(Counter::Skipped),
                Section::Messages(messages) => {
                    for message in messages {
                        if let Err(discard) = self.message(message, &mut companion) {
                            self.count(discard.into());
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn message<'m>(
        &mut self,
        message: Message<'m>,
        companion: &mut Companion<'m>,
    ) -> Result<(), Discard> {
        match message {
            Message::Insert(received) | Message::Update(received) => {
                self.session.request.heard(self.now);
                let extra = self.extra(companion, &received.id());
                self.state(&received, extra.as_ref())
            }
            Message::UpdateCompressed(bytes) => {
                let update = Update::parse(bytes)?;
                let extra = self.extra(companion, &update.id);
                self.update(update, extra.as_ref());
                Ok(())
            }
            Message::Extra(received) => {
                if received.id().is_everything() {
                    self.heard(|peer| peer.heard_greeting(received.reads_compact()));
                    (self.asked, self.ended) = (false, false);
                } else {
                    self.heard(Syncpeer::heard_linux);
                    companion.offer(received);
                }
                Ok(())
            }
            Message::Delete(id) | Message::DeleteCompressed(id) => {
                // One that is not there was deleted before: it is said several times.
                if let Some(slot) = self.session.store.find(&id) {
                    self.deleted(slot);
                }
                Ok(())
            }
            Message::InsertAck(id) => {
                self.acknowledged(&id);
                Ok(())
            }
            Message::Request(id) if id.is_everything() => {
                self.asked = true;
                self.pfsync.requested(self.session, self.now);
                Ok(())
            }
            Message::Request(id) => self.requested(&id),
            Message::Clear(clear) => self.clear(&clear),
            Message::Bulk(bulk) => {
                self.bulk(&bulk);
                Ok(())
            }
            Message::Expectation(received) => self.expectation(&received),
            Message::Compact(received) => {
                self.is_here = false;
                let result = self.compact(&received);
                if let Some(confirmation) = &mut self.confirmation {
                    confirmation.read(self.is_here);
                }
                result
            }
            Message::FrameNumber(number) => {
                self.heard(Syncpeer::heard_compact);
                self.confirmation = Some(Confirmation::new(number));
                Ok(())
            }
            Message::Confirmation(confirmation) => {
                self.frame_arrived(&confirmation);
                Ok(())
            }
            Message::Tdb(_) => {
                self.count(Counter::Skipped);
                Ok(())
            }
        }
    }

    /// What Linux says beside the state `id`. If it makes no sense, the state may. Who says
    /// nothing is pf.
    fn extra(&mut self, companion: &mut Companion<'_>, id: &StateId) -> Option<Extra> {
        match companion.take(id) {
            Ok(extra) => {
                if extra.is_none() {
                    self.heard(Syncpeer::heard_pf);
                }
                extra
            }
            Err(discard) => {
                self.count(discard.into());
                None
            }
        }
    }

    /// INS and UPD.
    fn state(&mut self, received: &Received<'_>, extra: Option<&Extra>) -> Result<(), Discard> {
        let confirm = received.wants_ack();
        if let Some(main) = extra.and_then(|extra| extra.half_of) {
            self.other_name(received.id(), &main, confirm);
            return Ok(());
        }
        if let Some(slot) = self.session.store.find(&received.id()) {
            let update = received.for_update()?;
            return self.merge(slot, &update, extra, confirm);
        }
        self.insert(&received.for_insert()?, extra, confirm)
    }

    /// UPD_C.
    fn update(&mut self, update: Update, extra: Option<&Extra>) {
        let store = &self.session.store;
        let half_of = extra.and_then(|extra| extra.half_of);
        match (store.find(&update.id), half_of) {
            (Some(_), Some(main)) => self.other_name(update.id, &main, false),
            // Of no use without the other one.
            (None, Some(main)) if store.find(&main).is_none() => {}
            // It cannot fail but for want of the state, which it has just found.
            (Some(slot), None) => {
                let _ = self.merge(slot, &update, extra, false);
            }
            (None, _) => {
                let wanted = &mut self.session.wanted;
                if wanted.len() < REQUESTS_MAX && !wanted.contains(&update.id) {
                    // There is room for so many.
                    let _ = wanted.push(update.id, GFP_ATOMIC);
                }
            }
        }
    }

    /// What a peer says of a state that is here.
    // Apart, as `try_insert`.
    #[inline(never)]
    pub(super) fn merge(
        &mut self,
        slot: Slot,
        update: &Update,
        extra: Option<&Extra>,
        confirm: bool,
    ) -> Result<(), Discard> {
        let main = self.session.store.main(slot);
        let now = self.now;
        if let Some(record) = self.session.store.get_mut(slot) {
            record.heard = now;
            record.of_pf |= extra.is_none();
            if record.is_modulated {
                let all = Verdict::both(true);
                self.session.step(now, slot, |record| {
                    record.pending.updated_by_peer(now, all, confirm)
                });
                self.is_here = true;
                return Ok(());
            }
        }
        let record = self.session.store.get(main).ok_or(Discard::BadState)?;
        let live = record.live.as_ref().filter(|live| live.entry.is_alive());
        let Some(live) = live else {
            // It is still to be said that it is gone.
            return Ok(());
        };
        let is_lenient = record.lenient && live.watched.has_flag();
        let mut verdict = Verdict::both(false);
        for _ in 0..TRIES {
            let mut entry = Entry::default();
            let stamp = self.read(slot, &mut entry).ok_or(Discard::BadState)?;
            let (src, dst, _) = mapping::peers(&entry);
            verdict = judge(entry.original.protocol, &src, &dst, update);
            let before = entry.details.tracking;
            if !mapping::apply(&mut entry, update, verdict, extra) {
                break;
            }
            let lenient = make_lenient(&mut entry, before, is_lenient);
            let mut plain = Plain::default();
            plain::from_entry(&entry, &mut plain);
            plain.stamp = stamp;
            match self.table.update(&live.entry, &plain) {
                Ok(()) => {
                    self.count(Counter::Updated);
                    if lenient {
                        self.set_lenient(main);
                    }
                    self.session.expires(now, main, entry.timeout, false);
                }
                // A packet was faster: what it said counts as well.
                Err(error) if error == EAGAIN => {
                    verdict = Verdict::both(false);
                    continue;
                }
                Err(_) => self.count(Counter::BadState),
            }
            break;
        }
        self.pfsync
            .counters
            .add(Counter::Stale, u64::from(verdict.stale()));
        if let Some(record) = self.session.store.get_mut(main) {
            record.heard = now;
            // Who has it from another does not take it over by telling of it.
            let is_theirs = extra.is_none_or(|extra| extra.in_use != Some(false));
            if verdict.stale() == 0 && is_theirs {
                record.used = Use::Copy;
            }
        }
        self.session.store.note_told(main);
        self.session.step(now, slot, |record| {
            record.pending.updated_by_peer(now, verdict, confirm)
        });
        self.is_here = true;
        self.session.release(main, self.out);
        Ok(())
    }

    fn set_lenient(&mut self, slot: Slot) {
        if let Some(record) = self.session.store.get_mut(slot) {
            record.lenient = true;
            if let Some(live) = &record.live {
                live.watched.set_flag(true);
            }
        }
    }

    fn acknowledged(&mut self, id: &StateId) {
        if let Some(slot) = self.session.store.find(id) {
            self.confirmed(slot, Pending::acknowledged);
        }
    }

    /// A peer has what a frame of this host's has told, or a part of it.
    fn frame_arrived(&mut self, confirmation: &Confirmation) {
        let FrameNumber { creator, number } = confirmation.frame;
        if creator != self.session.creator() || core::mem::replace(&mut self.has_confirmed, true) {
            return;
        }
        self.heard(Syncpeer::heard_compact);
        let sent = self.session.flight.find(number);
        let Some(sent) = sent.filter(|sent| sent.count() > 0) else {
            return;
        };
        self.heard(|peer| peer.has_confirmed(number));
        // Another one may not have heard what has changed.
        let is_one = self.session.peers.is_one();
        for at in 0..sent.count() {
            let is_here = usize::try_from(at).is_ok_and(|at| confirmation.is_here(at));
            let Some(slot) = self.session.flight.state(&sent, at).filter(|_| is_here) else {
                continue;
            };
            // It may be another one, and it may have been told of again since.
            let sent_in = self.session.store.get(slot).map(|record| record.sent_in);
            match sent_in.filter(|it| it.has(number)) {
                Some(sent_in) if sent_in.is_last(number) && is_one => {
                    self.confirmed(slot, Pending::arrived);
                }
                Some(_) => self.confirmed(slot, Pending::acknowledged),
                None => {}
            }
        }
    }

    /// A peer has a state.
    fn confirmed(&mut self, slot: Slot, event: impl FnOnce(&mut Pending) -> Step) {
        self.count(Counter::Acknowledged);
        self.session.listener.confirmed();
        if self.session.store.get(slot).is_some_and(|it| it.in_bulk) {
            self.session.answer.confirmed(self.now);
        }
        self.session.release(slot, self.out);
        self.session.step(self.now, slot, |record| {
            record.sent_in.confirmed();
            event(&mut record.pending)
        });
    }

    /// A peer asks for one state.
    fn requested(&mut self, id: &StateId) -> Result<(), Discard> {
        let Some(slot) = self.session.store.find(id) else {
            return match self.session.tell_if_over(id) {
                true => Ok(()),
                false => Err(Discard::BadState),
            };
        };
        self.count(Counter::Requested);
        self.session
            .step(self.now, slot, |record| record.pending.requested());
        Ok(())
    }

    /// All states of a creator are to be deleted. None here belongs to an interface.
    fn clear(&mut self, clear: &Clear) -> Result<(), Discard> {
        if !clear.interface.name().is_empty() {
            return Ok(());
        }
        match self.session.clearing.begin(self.now, clear.creator) {
            true => Ok(()),
            false => Err(Discard::BadValue),
        }
    }

    fn bulk(&mut self, bulk: &Bulk) {
        let session = &mut *self.session;
        let effects = match bulk.status {
            BulkStatus::Start => {
                session.reconcile.started(self.now, bulk.creator);
                session.request.started(self.now, bulk.creator)
            }
            BulkStatus::End => {
                self.ended = true;
                if session.reconcile.ended(self.now, bulk.creator) {
                    session.reconciled = 0;
                }
                session.request.ended(self.now, bulk.creator)
            }
            BulkStatus::Unknown(_) => return,
        };
        self.pfsync.asked(self.session, effects, self.out);
    }

    fn expectation(&mut self, received: &expectation::Received<'_>) -> Result<(), Discard> {
        let expectation = received.parse()?;
        let store = &self.session.store;
        let master = store
            .find(&expectation.master)
            .and_then(|slot| store.get(store.main(slot))?.live.as_ref())
            .ok_or(Discard::BadState)?;
        let expected = plain::from_expectation(&expectation);
        match expectation.kind {
            Kind::Present => (self.table.expect_related(&master.entry, &expected))
                .or_else(|error| self.refused(error)),
            Kind::Gone => {
                self.table.unexpect_related(&master.entry, &expected);
                Ok(())
            }
        }
    }
}
