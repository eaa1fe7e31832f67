// SPDX-License-Identifier: GPL-2.0

//! What a frame says, and what is done about it.

use super::{
    counters::Counter,
    device::Pfsync,
    fill::read,
    outcome::Outcome,
    plain,
    session::{Session, REQUESTS_MAX},
    store::{Live, Record, Slot},
    twins::Taken,
};
use crate::{
    linux::{
        state_table::{Entry as TableEntry, Table},
        watch::Watch,
    },
    proto::pfsync::{
        conntrack::{protocol, Entry, Tracking, TCP_BE_LIBERAL},
        expectation::{self, Kind},
        extra::{Companion, Extra},
        frame::{Discard, Frame, Section},
        id::StateId,
        mapping,
        merge::{judge, Verdict},
        message::Message,
        packet::check_sender,
        pending::Pending,
        short::{Bulk, BulkStatus, Clear},
        state::{Received, State},
        time::{seconds_before, Instant},
        twins::Use,
        update::Update,
    },
};
use core::net::IpAddr;
use kernel::{prelude::*, sync::Arc};

/// How often an update is tried against packets that pass at the same time.
const TRIES: u32 = 4;

impl Pfsync {
    /// A frame came in over the syncdev, with these addresses of source and destination.
    ///
    /// # Errors
    ///
    /// It was dropped, or the rest of it.
    pub(super) fn frame(
        &self,
        [source, destination]: [IpAddr; 2],
        ttl: u8,
        payload: &[u8],
    ) -> Result<(), Discard> {
        let mut result = Ok(());
        self.handle(|session, now, out| {
            let Some(table) = session.table.clone() else {
                return;
            };
            result = check_sender(session.settings.syncpeer, source, destination);
            if result.is_err() {
                return;
            }
            let mut reader = Reader {
                asked: false,
                pfsync: self,
                session,
                table,
                now,
                out,
            };
            result = reader.frame(ttl, payload);
        });
        result.inspect_err(|discard| self.counters.count((*discard).into()))
    }
}

/// What it takes to act upon a message; the lock is held.
pub(super) struct Reader<'a> {
    /// A peer has asked for everything in this frame, and has not said that it is Linux.
    pub(super) asked: bool,
    pub(super) pfsync: &'a Pfsync,
    pub(super) session: &'a mut Session,
    pub(super) table: Arc<Table<Pfsync>>,
    pub(super) now: Instant,
    pub(super) out: &'a mut Outcome,
}

impl Reader<'_> {
    /// What the table knows of a state, and the stamp of it.
    pub(super) fn read(&self, slot: Slot) -> Option<(Entry, u64)> {
        let find = |key| self.pfsync.watch.find(key);
        read(&self.session.store, slot, self.now, find)
    }

    pub(super) fn count(&self, counter: Counter) {
        self.pfsync.counters.count(counter);
    }

    fn frame(&mut self, ttl: u8, payload: &[u8]) -> Result<(), Discard> {
        let frame = Frame::check(ttl, payload)?;
        let missed = self.session.listener.heard(self.now);
        self.session.request.peer_heard();
        // What packet paths have seen came first.
        self.pfsync.empty_inbox(self.session, self.now, self.out);
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
        self.session.pf_peer |= self.asked;
        // Unless it has just asked for that.
        if missed && !self.session.answer.is_active() {
            self.pfsync.requested(self.session, self.now);
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
                self.session.linux_peer = true;
                self.asked &= !received.id().is_everything();
                companion.offer(received);
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
                self.session.pf_peer |= extra.is_none();
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
            let (mut entry, stamp) = self.read(slot).ok_or(Discard::BadState)?;
            let (src, dst, _) = mapping::peers(&entry);
            verdict = judge(entry.original.protocol, &src, &dst, update);
            let before = entry.details.tracking;
            if !mapping::apply(&mut entry, update, verdict, extra) {
                break;
            }
            let lenient = make_lenient(&mut entry, before, is_lenient);
            let mut plain = plain::from_entry(&entry);
            plain.stamp = stamp;
            match self.table.update(&live.entry, &plain) {
                Ok(()) => {
                    self.count(Counter::Updated);
                    if lenient {
                        self.set_lenient(main);
                    }
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

    /// A state that is new here, by its name.
    fn insert(
        &mut self,
        state: &State,
        extra: Option<&Extra>,
        confirm: bool,
    ) -> Result<(), Discard> {
        // Linux tells of both halves at once.
        if extra.is_none() && self.join(state, confirm)? {
            return Ok(());
        }
        // Once more, if there was one that makes way.
        for _ in 0..2 {
            let Some(taken) = self.try_insert(state, extra, confirm)? else {
                return Ok(());
            };
            if !self.taken(taken, state, extra, confirm)? {
                return Ok(());
            }
        }
        // Somebody else was faster.
        Err(Discard::BadState)
    }

    /// Puts it into the table, unless its place there is taken.
    // Apart, for the stack's sake: what it needs there, others need not.
    #[inline(never)]
    fn try_insert(
        &mut self,
        state: &State,
        extra: Option<&Extra>,
        confirm: bool,
    ) -> Result<Option<Taken>, Discard> {
        let mut entry = mapping::import(state, extra).map_err(|_| Discard::BadState)?;
        let lenient = make_lenient(&mut entry, Tracking::Other, false);
        let plain = plain::from_entry(&entry);
        if self.session.settings.is_private(plain.mark, plain.zone) {
            self.count(Counter::Skipped);
            return Ok(None);
        }
        // It is an old copy, unless the peer has it in use: a bulk update brings nothing back.
        if extra.is_some_and(|extra| extra.in_use == Some(false))
            && self.session.names.is_over(&state.id)
            && self.table.find(&plain).is_none()
            && self.session.tell_if_over(&state.id)
        {
            return Ok(None);
        }
        let store = &self.session.store;
        let master = entry
            .details
            .master
            .and_then(|id| store.get(store.main(store.find(&id)?)));
        let inserted = self
            .table
            .insert(&plain, master.and_then(|it| Some(&it.live.as_ref()?.entry)));
        match inserted {
            Ok(entry) => {
                let of_pf = extra.is_none();
                if self
                    .inserted(state, entry, of_pf, lenient, confirm)
                    .is_err()
                {
                    self.count(Counter::NoMemory);
                    // Nobody would ever look after it.
                    if let Some(entry) = self.table.find(&plain) {
                        self.table.remove(&entry);
                    }
                }
                Ok(None)
            }
            Err(error) if error == EEXIST => Ok(Some(Taken {
                by: self.table.find(&plain),
                original: entry.original,
                reply: entry.reply,
                zone: entry.details.zone,
            })),
            Err(error) => self.refused(error).map(|()| None),
        }
    }

    /// The table did not take something for this reason.
    pub(super) fn refused(&self, error: Error) -> Result<(), Discard> {
        if [ENOSPC, ENOMEM, EMFILE].contains(&error) {
            self.count(Counter::Full);
            return Ok(());
        }
        Err(Discard::BadState)
    }

    /// The table has a new entry that a peer told of.
    ///
    /// # Errors
    ///
    /// Out of memory; the entry is in the table all the same.
    fn inserted(
        &mut self,
        state: &State,
        entry: TableEntry,
        of_pf: bool,
        lenient: bool,
        confirm: bool,
    ) -> Result {
        let watched = Watch::add(&self.pfsync.watch, entry.key())?;
        watched.set_flag(lenient);
        let (pending, step) = Pending::received(self.now, confirm);
        let tcp = state.protocol == protocol::TCP;
        let mut record = Record::new(state.id, pending, Some(Live { watched, entry }));
        record.direction = state.direction;
        record.of_pf = of_pf;
        record.born = seconds_before(self.now, state.creation);
        record.heard = self.now;
        record.tcp = tcp;
        record.lenient = lenient;
        let slot = self.session.store.insert(record)?;
        self.session.store.note_told(slot);
        self.session.store.set_slot(slot, self.session.often(tcp));
        self.session.took(self.now, slot, &step);
        self.count(Counter::Inserted);
        Ok(())
    }

    fn acknowledged(&mut self, id: &StateId) {
        let Some(slot) = self.session.store.find(id) else {
            return;
        };
        self.count(Counter::Acknowledged);
        self.session.listener.confirmed();
        if self.session.store.get(slot).is_some_and(|it| it.in_bulk) {
            self.session.answer.confirmed(self.now);
        }
        self.session.release(slot, self.out);
        self.session
            .step(self.now, slot, |record| record.pending.acknowledged());
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

/// Makes a TCP entry that a peer told of lenient about windows, for the peer may have
/// let packets pass since, unless that says nothing new or it is lenient anyway. One that
/// was made lenient before (`is_lenient`) stays so. Whether it did.
pub(super) fn make_lenient(entry: &mut Entry, before: Tracking, is_lenient: bool) -> bool {
    if !is_lenient && entry.details.tracking == before {
        return false;
    }
    let Tracking::Tcp(tcp) = &mut entry.details.tracking else {
        return false;
    };
    let [original, reply] = &tcp.seen;
    if original.flags & reply.flags & TCP_BE_LIBERAL != 0 {
        return false;
    }
    for side in &mut tcp.seen {
        side.flags |= TCP_BE_LIBERAL;
    }
    true
}
