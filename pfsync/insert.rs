// SPDX-License-Identifier: GPL-2.0

//! A state that a peer tells of, and that is new here.

use super::{
    counters::Counter,
    messages::Reader,
    outcome::Refused,
    plain,
    store::{Live, Record},
    twins::Taken,
};
use crate::{
    linux::{
        state_table::{Entry as TableEntry, Plain},
        watch::Watch,
    },
    proto::pfsync::{
        compact,
        conntrack::{protocol, Entry, Tracking, TCP_BE_LIBERAL},
        extra::Extra,
        frame::Discard,
        id::StateId,
        mapping,
        pending::Pending,
        state::{Direction, State},
        syncpeers::Syncpeer,
        time::seconds_before,
    },
};
use kernel::prelude::*;

/// A peer's state that is new here, beside its entry.
struct NewState {
    id: StateId,
    direction: Direction,
    /// Whether the peer was the last to see a packet of it, if it says so.
    in_use: Option<bool>,
    /// It was told of as pf does, of one side alone.
    of_pf: bool,
    /// The peer wants to know that it is here.
    confirm: bool,
}

impl Reader<'_> {
    /// A state that is new here, by its name.
    pub(super) fn insert(
        &mut self,
        state: &State,
        extra: Option<&Extra>,
        confirm: bool,
    ) -> Result<(), Discard> {
        // Linux tells of both halves at once.
        if extra.is_none() && self.join(state, confirm)? {
            return Ok(());
        }
        let new = NewState {
            id: state.id,
            direction: state.direction,
            in_use: extra.and_then(|extra| extra.in_use),
            of_pf: extra.is_none(),
            confirm,
        };
        // Once more, if there was one that makes way.
        for _ in 0..2 {
            let mut entry = mapping::import(state, extra).map_err(|unmappable| {
                self.out.refused = Some(Refused {
                    id: state.id,
                    original: None,
                    why: unmappable.as_str(),
                });
                Discard::BadState
            })?;
            let Some(taken) = self.try_insert(&new, &mut entry)? else {
                return Ok(());
            };
            if !self.taken(taken, state, extra, confirm)? {
                return Ok(());
            }
        }
        // Somebody else was faster.
        Err(Discard::BadState)
    }

    /// A state as Linux tells it to Linux.
    #[inline(never)]
    pub(super) fn compact(&mut self, received: &compact::Received<'_>) -> Result<(), Discard> {
        self.heard(Syncpeer::heard_compact);
        let mut entry = Entry::default();
        let head = received.read(&mut entry)?;
        // What only changes something is no part of a bulk update.
        if head.confirm {
            self.session.request.heard(self.now);
        }
        // With the rest of its frame, if that has a number.
        let confirm = head.confirm && self.confirmation.is_none();
        if let Some(slot) = self.session.store.find(&head.id) {
            let is_tcp = entry.original.protocol == protocol::TCP;
            if self
                .session
                .store
                .get(slot)
                .is_none_or(|it| it.tcp != is_tcp)
            {
                return Err(Discard::BadState);
            }
            let (update, extra) = compact::update(&head, &entry);
            return self.merge(slot, &update, Some(&extra), confirm);
        }
        let new = NewState {
            id: head.id,
            direction: head.direction,
            in_use: Some(head.in_use),
            of_pf: false,
            confirm,
        };
        // As above.
        for _ in 0..2 {
            let Some(taken) = self.try_insert(&new, &mut entry)? else {
                return Ok(());
            };
            // As the peer sent it, before it was adapted to this host.
            entry = Entry::default();
            received.read(&mut entry)?;
            if !self.taken_by_entry(taken, (&head, &entry), confirm)? {
                return Ok(());
            }
        }
        Err(Discard::BadState)
    }

    /// The same as [`Self::taken`], for what came in Linux' own form.
    #[inline(never)]
    fn taken_by_entry(
        &mut self,
        taken: Taken,
        (head, entry): (&compact::Head, &Entry),
        confirm: bool,
    ) -> Result<bool, Discard> {
        let (state, mut extra) =
            mapping::export(entry, head.id, head.direction, 0).map_err(|_| Discard::BadState)?;
        extra.in_use = Some(head.in_use);
        self.taken(taken, &state, Some(&extra), confirm)
    }

    /// Puts it into the table, unless its place there is taken.
    // Apart, for the stack's sake: what it needs there, others need not.
    #[inline(never)]
    fn try_insert(&mut self, new: &NewState, entry: &mut Entry) -> Result<Option<Taken>, Discard> {
        let lenient = make_lenient(entry, Tracking::Other, false);
        let mut plain = Plain::default();
        plain::from_entry(entry, &mut plain);
        if self.session.settings.is_private(plain.mark, plain.zone) {
            self.count(Counter::Skipped);
            return Ok(None);
        }
        // It is an old copy, unless the peer has it in use: a bulk update brings nothing back.
        if new.in_use == Some(false)
            && self.session.names.is_over(&new.id)
            && self.table.find(&plain).is_none()
            && self.session.tell_if_over(&new.id)
        {
            return Ok(None);
        }
        let store = &self.session.store;
        let master = entry
            .details
            .master
            .and_then(|id| store.get(store.main(store.find(&id)?)));
        let inserted = self.table.insert(
            &mut plain,
            master.and_then(|it| Some(&it.live.as_ref()?.entry)),
        );
        match inserted {
            Ok(inserted) => {
                if self.inserted(new, entry, inserted, lenient).is_err() {
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
            Err(error) => {
                let refused = self.refused(error);
                self.out.refused = Some(Refused {
                    id: new.id,
                    original: Some(entry.original),
                    why: match refused {
                        Ok(()) => "there is no room for it",
                        Err(_) => "the table cannot have such a one",
                    },
                });
                refused.map(|()| None)
            }
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
    fn inserted(&mut self, new: &NewState, of: &Entry, entry: TableEntry, lenient: bool) -> Result {
        let watched = Watch::add(&self.pfsync.watch, entry.key())?;
        watched.set_flag(lenient);
        let (pending, step) = Pending::received(self.now, new.confirm);
        let tcp = of.original.protocol == protocol::TCP;
        let mut record = Record::new(new.id, pending, Some(Live { watched, entry }));
        record.direction = new.direction;
        record.of_pf = new.of_pf;
        record.born = seconds_before(self.now, of.age);
        record.heard = self.now;
        record.tcp = tcp;
        record.lenient = lenient;
        let slot = self.session.store.insert(record)?;
        self.session.store.note_told(slot);
        self.session
            .store
            .set_slot(slot, self.session.packet_threshold(tcp));
        self.session.apply(self.now, slot, &step);
        self.session.expires(self.now, slot, of.timeout, false);
        self.is_here = true;
        self.count(Counter::Inserted);
        Ok(())
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
