// SPDX-License-Identifier: GPL-2.0

//! Beginning and ending to synchronise, and what the bulk request wants of the driver.

use super::{
    clear::Clearing,
    counters::Counter,
    device::Pfsync,
    outcome::Outcome,
    send::HEAD,
    session::Session,
    store::{Slot, Store},
    sweep::AT_ONCE,
    table_walk::EachSecond,
};
use crate::{
    linux::{
        netdevice::Device,
        rtnl::Rtnl,
        state_table::{Cursor, HeldList, Table},
        timer,
        watch::{InboxItem, Watch},
    },
    proto::pfsync::{
        bulk_request::{Effects, Progress},
        flight::{self, Flight, Sent},
        listener::Listener,
        reconcile::Reconcile,
        syncpeers::Syncpeers,
        time::Instant,
    },
};
use kernel::{prelude::*, sync::Arc};

/// Where the answer to a bulk request is.
#[derive(Default)]
pub(super) struct Walk {
    /// The next place of the table to be looked at.
    pub(super) table: Cursor,
    /// The next record to be sent.
    pub(super) next: Slot,
    /// The second name of the one before it, if that is to be sent.
    pub(super) half: Option<Slot>,
}

impl Walk {
    /// Whether there is more to be sent.
    pub(super) fn has_more(&self, store: &Store) -> bool {
        self.half.is_some() || self.next < store.end()
    }
}

/// Whether frames can go over a device.
pub(super) fn has_link(dev: &Device) -> bool {
    dev.is_up() && dev.has_carrier()
}

impl Pfsync {
    /// What the bulk request wants.
    pub(super) fn asked(&self, session: &mut Session, effects: Effects, out: &mut Outcome) {
        if effects.request {
            session.send_request(out, &self.counters);
            self.counters.count(Counter::BulkAsked);
        }
        out.want(effects);
    }

    /// Begins or ends to synchronise, as the settings and the administrator have it.
    ///
    /// # Errors
    ///
    /// Nothing began.
    pub(super) fn adapt(self: &Arc<Self>, rtnl: &Rtnl) -> Result {
        let (wanted, running) = {
            let session = self.session.lock();
            let wanted = session.admin_up && session.syncdev.is_some();
            (wanted, session.table.is_some())
        };
        match (wanted, running) {
            (true, false) => self.start(rtnl),
            (false, true) => {
                self.stop();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn start(self: &Arc<Self>, rtnl: &Rtnl) -> Result {
        let own = self.session.lock().own.clone().ok_or(ENODEV)?;
        let mut buffer = new_buffer(own.mtu())?;
        let frames = KVVec::from_elem(Sent::default(), flight::FRAMES, GFP_KERNEL_ACCOUNT)?;
        let states = KVVec::from_elem(0, flight::STATES, GFP_KERNEL_ACCOUNT)?;
        let table = Table::attach(self.adapter.clone(), own.net(), self.clone(), rtnl)?;
        let table = Arc::new(table, GFP_KERNEL_ACCOUNT)?;
        {
            let mut session = self.session.lock();
            core::mem::swap(&mut session.buffer, &mut buffer);
            table.set_defer(session.settings.defer);
            table.set_local(session.settings.local);
            let link = session.syncdev.as_ref().is_some_and(|dev| has_link(dev));
            let len = session.frame_len();
            session.buffer.truncate(HEAD.saturating_add(len));
            session.outbox = session.new_outbox();
            session.request = session.new_request(table.limit(), link);
            session.flight = Flight::new(session.flight.number(), frames, states);
            session.listener = Listener::default();
            session.names.unwatched();
            session.store.begin(Instant(timer::now()));
            session.table = Some(table.clone());
        }
        self.gate.lock().set_open(true);
        // Demoted before the first packet can miss its state.
        self.handle(|session, now, out| {
            session.sweep.begin(now);
            let effects = session.request.up(now);
            self.asked(session, effects, out);
        });
        let mut cursor = Cursor::default();
        let mut more = true;
        while more {
            self.handle(|session, now, out| {
                more = self.walk_part(session, now, &mut cursor, out);
                if !more {
                    let unknown = session.unknown();
                    session.each_second.walked(unknown);
                }
            });
        }
        Ok(())
    }

    /// Ends to synchronise: gives back the demotion, the held packets, the table, and
    /// what was known of it, in this order.
    fn stop(&self) {
        self.handle(|session, _, out| {
            let effects = session.request.down();
            session.answer.stop();
            out.want(effects);
        });
        self.gate.lock().set_open(false);
        // Without a table nothing more is sent, and the timer does nothing.
        let table = self.session.lock().table.take();
        if let Some(table) = &table {
            self.leave_nothing_lenient(table);
        }
        // Sleeps; no packet path tells of anything after this.
        drop(table);
        let mut released = HeldList::new();
        let (store, flight) = {
            let mut session = self.session.lock();
            while let Some(held) = session.deferred.any() {
                released.push(held);
            }
            Watch::drain(&self.watch, |news| {
                if let InboxItem::New(_, newborn) = news {
                    if let Some(first) = newborn.first {
                        released.push(first);
                    }
                }
            });
            session.wanted.clear();
            session.over.clear();
            session.reconcile = Reconcile::default();
            session.reconciled = 0;
            session.clearing = Clearing::default();
            session.in_bulk = 0;
            session.confirmation = None;
            session.peers = Syncpeers::default();
            session.each_second = EachSecond::default();
            let store = Store::new(Instant(timer::now()), self.memory.atomic());
            let flight = Flight::new(session.flight.number(), KVVec::new(), KVVec::new());
            (
                core::mem::replace(&mut session.store, store),
                core::mem::replace(&mut session.flight, flight),
            )
        };
        drop(released);
        // Many, so not under the lock.
        drop((store, flight));
    }

    /// Nobody makes states strict after this that a peer's word has made lenient.
    fn leave_nothing_lenient(&self, table: &Table<Self>) {
        let (mut next, mut end) = (0, 1);
        while next < end {
            let mut session = self.session.lock();
            end = session.store.end();
            for slot in next..end.min(next.saturating_add(AT_ONCE)) {
                if session.store.get(slot).is_some_and(|record| record.lenient) {
                    session.be_strict_in(table, slot);
                }
            }
            next = next.saturating_add(AT_ONCE);
        }
    }

    /// The syncdev has link, or has none any more; so has the interface.
    pub(super) fn link_changed(&self, link: bool) {
        let own = self.session.lock().own.clone();
        if let Some(own) = own {
            own.set_carrier(link);
        }
        self.handle(|session, now, out| {
            if session.table.is_none() {
                return;
            }
            if !link {
                session.answer.stop();
            }
            let effects = session.request.link(now, link);
            self.asked(session, effects, out);
        });
    }

    /// There are other peers now: asks them for all they have.
    pub(super) fn ask_again(&self) {
        self.handle(|session, now, out| {
            if session.table.is_none() {
                return;
            }
            session.answer.stop();
            session.peers = Syncpeers::default();
            session.outbox.set_compact(false);
            let link = session.syncdev.as_ref().is_some_and(|dev| has_link(dev));
            let limit = session.table.as_ref().map_or(0, |table| table.limit());
            let effects = session.request.down();
            self.asked(session, effects, out);
            session.request = session.new_request(limit, link);
            let effects = session.request.up(now);
            self.asked(session, effects, out);
        });
    }

    /// The MTU of the interface or of its syncdev is another one.
    pub(super) fn mtu_changed(&self, _rtnl: &Rtnl) {
        let mtu = match &self.session.lock().own {
            Some(own) => own.mtu(),
            None => return,
        };
        // Without memory the old one is used; no frame is longer than it.
        let mut buffer = new_buffer(mtu).unwrap_or_default();
        let mut session = self.session.lock();
        session.route_mtu = u32::MAX;
        if session.table.is_some() {
            if !buffer.is_empty() {
                core::mem::swap(&mut session.buffer, &mut buffer);
            }
            let (len, room) = (session.frame_len(), session.room());
            session.buffer.truncate(HEAD.saturating_add(len));
            session.outbox.set_room(room);
        }
    }

    /// A peer asks for all states.
    pub(super) fn requested(&self, session: &mut Session, now: Instant) {
        self.counters.count(Counter::BulkAnswered);
        let is_asking = session.request.progress() != Progress::Done;
        if session.answer.requested(now, is_asking) {
            session.walk = Walk::default();
        }
    }
}

/// Where frames are built, for this MTU.
fn new_buffer(mtu: u32) -> Result<KVec<u8>> {
    let len = HEAD.saturating_add(mtu as usize);
    Ok(KVec::from_elem(0, len, GFP_KERNEL_ACCOUNT)?)
}
