// SPDX-License-Identifier: GPL-2.0

//! A state table of its own memory, for tests of the protocol: what happens in it, a
//! test says (`command.rs`).

mod command;
pub(crate) mod device;
mod list;

use crate::linux::{
    adapter::{
        calls::Operations,
        context::{jiffies, seconds_to_jiffies, SoftirqsOff, HZ},
        net::Net,
        table::{Cursor, Events, Expected, Plain, Stolen, Table},
    },
    bindings::IP_CT_TCP_FLAG_BE_LIBERAL,
    counted::{Counted, Record, Token},
    shared::Shared,
};
use kernel::{
    new_mutex, new_spinlock,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{Atomic, Relaxed},
        Arc, Mutex, SpinLock,
    },
};

/// All tables: one for each namespace that has an interface. Commands are carried out
/// under the lock, so none is on its way when a table has left.
pub(crate) type Tables = Mutex<KVec<Arc<Memory>>>;

pub(crate) static TABLES: Shared<Tables> = Shared::new();

/// Makes room for tables.
///
/// # Errors
///
/// Out of memory.
pub(crate) fn tables() -> Result<Pin<KBox<Tables>>> {
    KBox::pin_init(new_mutex!(KVec::new()), GFP_KERNEL)
}

/// What the module exports.
pub(crate) const OPERATIONS: Operations<Attached> = Operations::new();

/// An entry.
#[pin_data]
pub(crate) struct State {
    /// Tells in which order they were made.
    number: u64,
    #[pin]
    record: SpinLock<Record>,
    #[pin]
    expected: SpinLock<KVec<Expected>>,
    expires: Atomic<u32>,
    gone: Atomic<bool>,
    master: Option<ARef<Entry>>,
}

type Entry = Counted<State>;

impl State {
    fn is_alive(&self) -> bool {
        !self.gone.load(Relaxed) && (self.expires.load(Relaxed).wrapping_sub(jiffies()) as i32) > 0
    }

    fn expire_in(&self, seconds: u32) {
        let at = jiffies().wrapping_add(seconds_to_jiffies(seconds));
        self.expires.store(at, Relaxed);
    }

    fn plain(&self) -> Plain {
        let _softirqs = SoftirqsOff::new();
        let mut plain = **self.record.lock();
        plain.timeout = self.expires.load(Relaxed).wrapping_sub(jiffies()) / HZ;
        plain
    }

    fn set(&self, plain: &Plain) {
        let _softirqs = SoftirqsOff::new();
        *self.record.lock() = Record::new(plain);
        self.expire_in(plain.timeout);
    }
}

/// How many first packets of a table were held back, and how many of these were sent on.
pub(crate) struct Packets {
    held: Atomic<u32>,
    released: Atomic<u32>,
}

struct Contents {
    entries: KVec<ARef<Entry>>,
    next: u64,
}

/// A table.
#[pin_data]
pub(crate) struct Memory {
    net: &'static Net,
    events: Events<Attached>,
    defer: Atomic<bool>,
    limit: Atomic<u32>,
    /// How many packets passed entries that were lenient.
    lenient: Atomic<u32>,
    packets: Arc<Packets>,
    #[pin]
    contents: SpinLock<Contents>,
}

impl Memory {
    /// Does something with all entries, which it may change.
    fn with<R>(&self, action: impl FnOnce(&mut Contents) -> R) -> R {
        let _softirqs = SoftirqsOff::new();
        let mut contents = self.contents.lock();
        action(&mut contents)
    }

    /// Entries from a number on; fewer, if there is no memory.
    fn entries(&self, from: u64, most: usize) -> KVec<ARef<Entry>> {
        let mut found = KVec::new();
        self.with(|contents| {
            for entry in (contents.entries.iter()).filter(|entry| entry.number >= from) {
                if found.len() >= most || found.push(entry.clone(), GFP_ATOMIC).is_err() {
                    break;
                }
            }
        });
        found
    }

    fn find(&self, plain: &Plain, by_reply: bool) -> Option<ARef<Entry>> {
        let wanted = name(plain, by_reply);
        let mut entries = self.entries(0, usize::MAX).into_iter();
        entries.find(|entry| entry.is_alive() && name(&entry.plain(), by_reply) == wanted)
    }

    fn insert(&self, plain: &Plain, master: Option<&Entry>) -> Result<ARef<Entry>> {
        if self.find(plain, false).is_some() {
            return Err(EEXIST);
        }
        self.with(|contents| {
            contents.entries.retain(|entry| entry.is_alive());
            if contents.entries.len() >= self.limit.load(Relaxed) as usize {
                return Err(ENOSPC);
            }
            contents.next += 1;
            let number = contents.next;
            let entry = Counted::new(pin_init!(State {
                number,
                record <- new_spinlock!(Record::new(plain)),
                expected <- new_spinlock!(KVec::new()),
                expires: Atomic::new(0),
                gone: Atomic::new(false),
                master: master.map(ARef::from),
            }))?;
            entry.expire_in(plain.timeout);
            contents.entries.push(entry.clone(), GFP_ATOMIC)?;
            Ok(entry)
        })
    }

    fn remove(&self, entry: &Entry) {
        entry.gone.store(true, Relaxed);
        // What it held goes outside the lock: a master may be the last to go.
        let _gone = self.with(|contents| {
            let place = (contents.entries.iter()).position(|other| other.number == entry.number)?;
            contents.entries.remove(place).ok()
        });
    }
}

/// What tells entries from each other.
fn name(plain: &Plain, by_reply: bool) -> impl PartialEq {
    let tuple = match by_reply {
        false => &plain.original,
        true => &plain.reply,
    };
    (
        (tuple.source, tuple.destination, tuple.ids),
        (plain.family, plain.protocol, plain.zone),
    )
}

/// A table, attached.
pub(crate) struct Attached(Arc<Memory>);

impl Drop for Attached {
    fn drop(&mut self) {
        if let Some(tables) = TABLES.get() {
            tables.lock().retain(|table| !Arc::ptr_eq(table, &self.0));
        }
    }
}

impl Table for Attached {
    type Entry = Entry;
    type Held = Token<Arc<Packets>>;

    fn attach(net: &'static Net, events: Events<Self>) -> Result<Pin<KBox<Self>>> {
        let packets = Arc::new(
            Packets {
                held: Atomic::new(0),
                released: Atomic::new(0),
            },
            GFP_KERNEL,
        )?;
        let memory = Arc::pin_init(
            pin_init!(Memory {
                net,
                events,
                defer: Atomic::new(false),
                limit: Atomic::new(10_000),
                lenient: Atomic::new(0),
                packets,
                contents <- new_spinlock!(Contents {
                    entries: KVec::new(),
                    next: 0,
                }),
            }),
            GFP_KERNEL,
        )?;
        let attached = KBox::pin(Self(memory.clone()), GFP_KERNEL)?;
        let tables = TABLES.get().ok_or(ENODEV)?;
        tables.lock().push(memory, GFP_KERNEL)?;
        Ok(attached)
    }

    fn set_local(&self, _on: bool) {
        // It has no addresses.
    }

    fn set_defer(&self, on: bool) {
        self.0.defer.store(on, Relaxed);
    }

    fn limit(&self) -> u32 {
        self.0.limit.load(Relaxed)
    }

    fn count(&self) -> u32 {
        let count = self.0.with(|contents| contents.entries.len());
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    fn walk(&self, cursor: &mut Cursor, most: u32, each: &mut dyn FnMut(&Entry)) -> bool {
        let [next, _] = cursor;
        let entries = self.0.entries(*next, most as usize);
        for entry in &entries {
            *next = entry.number + 1;
            if entry.is_alive() {
                each(entry);
            }
        }
        entries.len() == most as usize
    }

    fn expires_in(entry: &Entry) -> u32 {
        match entry.is_alive() {
            true => entry.plain().timeout.max(1),
            false => 0,
        }
    }

    fn fingerprint(entry: &Entry) -> u32 {
        match entry.is_alive() {
            true => entry.plain().mark << 1 | 1,
            false => 0,
        }
    }

    fn is_offloaded(_entry: &Entry) -> bool {
        // It has no packets.
        false
    }

    fn lost_address(_entry: &Entry) -> bool {
        // It translates nothing.
        false
    }

    fn read(entry: &Entry, plain: &mut Plain) {
        *plain = entry.plain();
        if let Some(master) = &entry.master {
            plain.master = core::ptr::from_ref::<Entry>(master).cast_mut().cast();
        }
    }

    fn find(&self, plain: &Plain, by_reply: bool) -> Option<ARef<Entry>> {
        self.0.find(plain, by_reply)
    }

    fn insert(&self, plain: &Plain, master: Option<&Entry>) -> Result<ARef<Entry>> {
        self.0.insert(plain, master)
    }

    fn update(&self, entry: &Entry, plain: &Plain) -> Result {
        if entry.gone.load(Relaxed) {
            return Err(ENOENT);
        }
        entry.set(plain);
        Ok(())
    }

    fn be_strict(&self, entry: &Entry) {
        let mut plain = entry.plain();
        for side in &mut plain.tcp.seen {
            side.flags &= !(IP_CT_TCP_FLAG_BE_LIBERAL as u8);
        }
        entry.set(&plain);
    }

    fn remove(&self, entry: &Entry) {
        self.0.remove(entry);
    }

    fn release(held: Stolen<Self::Held>) {
        Token::value(held).released.add(1, Relaxed);
    }

    fn expected(entry: &Entry, place: u32) -> Option<Expected> {
        let _softirqs = SoftirqsOff::new();
        let expected = entry.expected.lock();
        expected.get(place as usize).copied()
    }

    fn expect_related(&self, entry: &Entry, expected: &Expected) -> Result {
        let _softirqs = SoftirqsOff::new();
        let mut known = entry.expected.lock();
        match (known.iter_mut()).find(|other| other.number == expected.number) {
            Some(place) => *place = *expected,
            None => known.push(*expected, GFP_ATOMIC)?,
        }
        Ok(())
    }

    fn unexpect_related(&self, entry: &Entry, expected: &Expected) {
        let _softirqs = SoftirqsOff::new();
        let mut known = entry.expected.lock();
        known.retain(|other| other.number != expected.number);
    }
}
