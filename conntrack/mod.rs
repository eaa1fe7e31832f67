// SPDX-License-Identifier: GPL-2.0

//! Linux' connection tracking as a state table of pfsync.

mod insert;
mod read;
mod traffic;
mod update;

use crate::linux::{
    entry::Entry,
    hook::Watched,
    net::{self, Net, Tracked},
    packet::HeldPacket,
    table::{Events, Expected, Plain, Stolen, Table},
    table_calls::Operations,
    walk::{self, Cursor},
};
use kernel::{
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{Atomic, Relaxed},
    },
};

/// Connection tracking of one namespace.
pub(crate) struct Conntrack {
    net: &'static Net,
    events: Events<Attached>,
    /// Whether first packets are offered to be held.
    defer: Atomic<bool>,
    _tracked: Tracked,
}

/// With its hooks: these go first, and are waited for.
pub(crate) type Attached = Watched<Conntrack>;

/// What the module exports.
pub(crate) const OPERATIONS: Operations<Attached> = Operations::new();

/// IP protocols that mean nothing to another host: CARP, and pfsync itself.
const OWN_PROTOCOLS: [u8; 2] = [112, 240];

/// Whether another host can do anything with an entry.
fn concerns_others(entry: &Entry) -> bool {
    !OWN_PROTOCOLS.contains(&entry.protocol())
}

/// Whether both ends of an entry are the same, or a loopback address. Of packets the
/// device tells; a walk does not see these.
fn is_loopback(entry: &Entry) -> bool {
    const LOOPBACK: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let [original, _] = entry.tuples();
    original.source == original.destination
        || original.source == LOOPBACK
        || original.source[0] == 127 && original.source[4..] == [0; 12]
}

impl Table for Attached {
    type Entry = Entry;
    type Held = HeldPacket;

    fn attach(net: &'static Net, events: Events<Self>) -> Result<Pin<KBox<Self>>> {
        // Hooks come after those of connection tracking, which are so before them.
        let tracked = net.track()?;
        let conntrack = Conntrack {
            net,
            events,
            defer: Atomic::new(false),
            _tracked: tracked,
        };
        Watched::new(net, conntrack)
    }

    fn set_defer(&self, on: bool) {
        self.watcher().defer.store(on, Relaxed);
    }

    fn limit(&self) -> u32 {
        net::limit()
    }

    fn walk(&self, cursor: &mut Cursor, most: u32, each: &mut dyn FnMut(&Entry)) -> bool {
        walk::walk(self.watcher().net, cursor, most, &mut |entry| {
            if concerns_others(entry) && !is_loopback(entry) {
                each(entry);
            }
        })
    }

    fn is_alive(entry: &Entry) -> bool {
        entry.is_alive()
    }

    fn read(entry: &Entry, plain: &mut Plain) {
        read::read(entry, plain);
    }

    fn find(&self, plain: &Plain) -> Option<ARef<Entry>> {
        Entry::find(self.watcher().net, plain)
    }

    fn insert(&self, plain: &Plain, master: Option<&Entry>) -> Result<ARef<Entry>> {
        insert::insert(self.watcher().net, plain, master)
    }

    fn update(&self, entry: &Entry, plain: &Plain) -> Result {
        update::update(entry, plain)
    }

    fn remove(&self, entry: &Entry) {
        entry.remove();
    }

    fn release(held: Stolen<HeldPacket>) {
        HeldPacket::send(held);
    }

    fn expected(entry: &Entry, place: u32) -> Option<Expected> {
        entry.expected(place)
    }

    fn expect(&self, entry: &Entry, expected: &Expected) -> Result {
        entry.expect(expected)
    }

    fn unexpect(&self, entry: &Entry, expected: &Expected) {
        entry.unexpect(expected);
    }
}
