// SPDX-License-Identifier: GPL-2.0

//! Linux' connection tracking as a state table of pfsync.

mod insert;
mod read;
mod traffic;
mod update;

use crate::linux::{
    adapter::{
        calls::Operations,
        net::Net,
        table::{Cursor, Events, Expected, Plain, Stolen, Table},
    },
    bindings::AF_INET,
    entry::Entry,
    hook::Watched,
    packet::HeldPacket,
    tracked::{self, Tracked},
    walk,
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
    /// Whether this host's own connections are told of.
    local: Atomic<bool>,
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

/// Whether an entry's packets stay on this host or on one link, by its addresses: no
/// other host will ever see a packet of it. Of what stays on this host a packet's
/// device tells more.
fn is_at_home(entry: &Entry) -> bool {
    const LOOPBACK: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let [original, _] = entry.tuples();
    let (from, to) = (&original.source, &original.destination);
    let is_ipv4 = u32::from(entry.family()) == AF_INET;
    from == to
        || match (is_ipv4, from, to) {
            (true, [127, ..], _) | (true, _, [224, 0, 0, ..]) => true,
            // Multicast of the scopes of an interface and of a link.
            (false, _, [0xff, scope, ..]) => scope & 0xf <= 2,
            _ => !is_ipv4 && *from == LOOPBACK,
        }
}

impl Conntrack {
    /// Whether peers are to know of an entry: what this host itself began or answers is of
    /// no use to another, unless the administrator says so.
    fn is_wanted(&self, entry: &Entry) -> bool {
        !is_at_home(entry) && (self.local.load(Relaxed) || !entry.is_local())
    }
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
            local: Atomic::new(false),
            _tracked: tracked,
        };
        Watched::new(net, conntrack)
    }

    fn set_defer(&self, on: bool) {
        self.watcher().defer.store(on, Relaxed);
    }

    fn set_local(&self, on: bool) {
        self.watcher().local.store(on, Relaxed);
    }

    fn limit(&self) -> u32 {
        tracked::limit()
    }

    fn count(&self) -> u32 {
        self.watcher().net.count_entries()
    }

    fn walk(&self, cursor: &mut Cursor, most: u32, each: &mut dyn FnMut(&Entry)) -> bool {
        let watcher = self.watcher();
        walk::walk(watcher.net, cursor, most, &mut |entry| {
            if concerns_others(entry) && watcher.is_wanted(entry) {
                each(entry);
            }
        })
    }

    fn expires_in(entry: &Entry) -> u32 {
        match entry.is_alive() {
            true => entry.timeout().saturating_add(1),
            false => 0,
        }
    }

    fn fingerprint(entry: &Entry) -> u32 {
        entry.fingerprint()
    }

    fn is_offloaded(entry: &Entry) -> bool {
        entry.is_offloaded()
    }

    fn lost_address(entry: &Entry) -> bool {
        entry.lost_masquerade()
    }

    fn read(entry: &Entry, plain: &mut Plain) {
        read::read(entry, plain);
    }

    fn find(&self, plain: &Plain, by_reply: bool) -> Option<ARef<Entry>> {
        Entry::find(self.watcher().net, plain, by_reply)
    }

    fn insert(&self, plain: &Plain, master: Option<&Entry>) -> Result<ARef<Entry>> {
        insert::insert(self.watcher().net, plain, master)
    }

    fn update(&self, entry: &Entry, plain: &Plain) -> Result {
        update::update(entry, plain)
    }

    fn be_strict(&self, entry: &Entry) {
        // Flow tables have made an offloaded one lenient, and need that.
        if !entry.is_offloaded() {
            entry.lock().be_strict();
        }
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

    fn expect_related(&self, entry: &Entry, expected: &Expected) -> Result {
        entry.expect_related(expected)
    }

    fn unexpect_related(&self, entry: &Entry, expected: &Expected) {
        entry.unexpect_related(expected);
    }
}
