// SPDX-License-Identifier: GPL-2.0

//! What an adapter offers to carp.ko (`include/pfsync_table.h`), as a trait.

use super::{context::SoftirqsOff, net::Net};
use crate::linux::bindings;
use core::{marker::PhantomData, ptr};
use kernel::{
    prelude::*,
    sync::{
        aref::{ARef, AlwaysRefCounted},
        rcu,
    },
};

/// Everything that is known of an entry.
pub(crate) type Plain = bindings::pfsync_plain;
/// Where a walk is. Zeroes at first.
pub(crate) type Cursor = [u64; 2];
/// A connection that is expected by an entry.
pub(crate) type Expected = bindings::pfsync_expected;

/// A packet that may be held back.
///
/// # Safety
///
/// The type is `repr(C)`, and its first field is a `pfsync_held` that nobody else
/// touches.
pub(crate) unsafe trait Held: Send {}

/// A state table of a namespace, attached.
pub(crate) trait Table: Send + Sync + Sized + 'static {
    /// What is in it.
    type Entry: AlwaysRefCounted;
    /// First packets.
    type Held: Held;

    /// Begins to tell of entries. Process context, RTNL is held. Until the value is
    /// dropped, which is waited for, the namespace lives.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from beginning.
    fn attach(net: &'static Net, events: Events<Self>) -> Result<Pin<KBox<Self>>>;

    /// Whether first packets are offered to be held.
    fn set_defer(&self, on: bool);

    /// Whether entries are told of that have this host itself at one of their ends.
    fn set_local(&self, on: bool);

    /// How many entries there may be.
    fn limit(&self) -> u32;

    /// How many there are.
    fn count(&self) -> u32;

    /// Calls `each` with entries from the cursor on, until about `most` were looked at.
    /// Returns whether there may be more.
    fn walk(&self, cursor: &mut Cursor, most: u32, each: &mut dyn FnMut(&Self::Entry)) -> bool;

    /// In how many seconds an entry goes, rounded up, unless packets renew it; 0, if it is
    /// not in the table.
    fn expires_in(entry: &Self::Entry) -> u32;

    /// 0, if it is not; else a number that is another one when mark, labels or status are.
    fn fingerprint(entry: &Self::Entry) -> u32;

    /// Whether packets of an entry pass that are not told of.
    fn is_offloaded(entry: &Self::Entry) -> bool;

    /// Whether an entry that is there no more went because this host has lost the address
    /// that it was translated to.
    fn lost_address(entry: &Self::Entry) -> bool;

    /// What is known of an entry, into what is all zeroes.
    fn read(entry: &Self::Entry, plain: &mut Plain);

    /// The entry with the original tuple of `plain` or, if `by_reply`, with its reply
    /// tuple, in its zone.
    fn find(&self, plain: &Plain, by_reply: bool) -> Option<ARef<Self::Entry>>;

    /// Makes an entry.
    ///
    /// # Errors
    ///
    /// EEXIST, ENOSPC as `include/pfsync_table.h` says; others.
    fn insert(&self, plain: &Plain, master: Option<&Self::Entry>) -> Result<ARef<Self::Entry>>;

    /// Changes an entry.
    ///
    /// # Errors
    ///
    /// It cannot be like that.
    fn update(&self, entry: &Self::Entry, plain: &Plain) -> Result;

    /// An entry is no longer lenient about windows.
    fn be_strict(&self, entry: &Self::Entry);

    /// Takes an entry out of the table.
    fn remove(&self, entry: &Self::Entry);

    /// Sends a packet on that was held back.
    fn release(held: Stolen<Self::Held>);

    /// The expected connection number `place`.
    fn expected(entry: &Self::Entry, place: u32) -> Option<Expected>;

    /// Has an entry expect a connection.
    ///
    /// # Errors
    ///
    /// It cannot expect that.
    fn expect_related(&self, entry: &Self::Entry, expected: &Expected) -> Result;

    /// Has it expect none like that any more.
    fn unexpect_related(&self, entry: &Self::Entry, expected: &Expected);
}

/// A packet that the receiver of events has held back, and now lets go.
pub(crate) struct Stolen<H>(KBox<H>);

impl<H: Held> Stolen<H> {
    /// # Safety
    ///
    /// It is what a receiver of events was called with and has held back, and is the
    /// caller's no more.
    pub(in crate::linux) unsafe fn from_raw(held: *mut bindings::pfsync_held) -> Self {
        // SAFETY: It was a box of this type, as the caller promises.
        Self(unsafe { KBox::from_raw(held.cast()) })
    }

    pub(in crate::linux) fn into_inner(self) -> KBox<H> {
        self.0
    }
}

/// Who is told.
pub(crate) struct Events<T: Table> {
    events: &'static bindings::pfsync_table_events,
    context: *mut c_void,
    _table: PhantomData<fn() -> T>,
}

// SAFETY: The functions may be called anywhere, with the context.
unsafe impl<T: Table> Send for Events<T> {}
// SAFETY: The same, and on any number of processors at once.
unsafe impl<T: Table> Sync for Events<T> {}

impl<T: Table> Events<T> {
    /// # Safety
    ///
    /// The events live until the table is detached, and may be told of with this context.
    pub(in crate::linux) unsafe fn from_raw(
        events: *const bindings::pfsync_table_events,
        context: *mut c_void,
    ) -> Self {
        Self {
            // SAFETY: The caller promises that they live; the value goes with its table.
            events: unsafe { &*events },
            context,
            _table: PhantomData,
        }
    }

    /// There is a new entry; `held` is its first packet. Returns whether the packet is
    /// held back: then it is somebody else's.
    pub(crate) fn created(&self, entry: &T::Entry, held: Option<KBox<T::Held>>) -> bool {
        let _softirqs = SoftirqsOff::new();
        let _rcu = rcu::Guard::new();
        let held = held.map_or(ptr::null_mut(), KBox::into_raw);
        // SAFETY: The entry is live. A packet that is held comes back through
        // `release`; that it begins with a `pfsync_held`, its type promises.
        unsafe {
            let kept = self.events.created.is_some_and(|created| {
                created(
                    self.context,
                    ptr::from_ref(entry).cast_mut().cast(),
                    held.cast(),
                )
            });
            if !kept && !held.is_null() {
                drop(KBox::from_raw(held));
            }
            kept && !held.is_null()
        }
    }

    /// A packet of a known entry has passed. Returns whether the entry is lenient about
    /// windows: then they are learned from the packet, if it can be the connection's.
    pub(crate) fn passed(&self, entry: &T::Entry) -> bool {
        let _softirqs = SoftirqsOff::new();
        let _rcu = rcu::Guard::new();
        // SAFETY: The entry is live.
        unsafe {
            self.events
                .passed
                .is_some_and(|passed| passed(self.context, ptr::from_ref(entry).cast_mut().cast()))
        }
    }
}
