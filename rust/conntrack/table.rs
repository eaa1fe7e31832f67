// SPDX-License-Identifier: GPL-2.0

//! What an adapter offers to carp.ko (`include/pfsync_table.h`), as a trait, and the
//! functions that C calls.

use super::{bindings, context::SoftirqsOff, net::Net, walk::Cursor};
use core::{
    marker::PhantomData,
    ptr::{self, NonNull},
};
use kernel::{
    prelude::*,
    sync::{
        aref::{ARef, AlwaysRefCounted},
        rcu,
    },
};

/// Everything that is known of an entry.
pub(crate) type Plain = bindings::pfsync_plain;
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

    /// How many entries there may be.
    fn limit(&self) -> u32;

    /// Calls `each` with entries from the cursor on, about `most` of them. Returns
    /// whether there may be more.
    fn walk(&self, cursor: &mut Cursor, most: u32, each: &mut dyn FnMut(&Self::Entry)) -> bool;

    /// Whether an entry is in the table.
    fn is_alive(entry: &Self::Entry) -> bool;

    /// What is known of an entry, into what is all zeroes.
    fn read(entry: &Self::Entry, plain: &mut Plain);

    /// The entry with the original tuple of `plain`, in its zone.
    fn find(&self, plain: &Plain) -> Option<ARef<Self::Entry>>;

    /// Makes an entry.
    ///
    /// # Errors
    ///
    /// EEXIST, EAGAIN, ENOSPC as `include/pfsync_table.h` says; others.
    fn insert(&self, plain: &Plain, master: Option<&Self::Entry>) -> Result<ARef<Self::Entry>>;

    /// Changes an entry.
    ///
    /// # Errors
    ///
    /// It cannot be like that.
    fn update(&self, entry: &Self::Entry, plain: &Plain) -> Result;

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
    fn expect(&self, entry: &Self::Entry, expected: &Expected) -> Result;

    /// Has it expect none like that any more.
    fn unexpect(&self, entry: &Self::Entry, expected: &Expected);
}

/// A packet that the receiver of events has held back, and now lets go.
pub(crate) struct Stolen<H>(KBox<H>);

impl<H: Held> Stolen<H> {
    pub(super) fn into_inner(self) -> KBox<H> {
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

    /// A packet of a known entry has passed. Returns whether its windows are to be
    /// learned anew.
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

/// The constant that a module exports.
#[repr(transparent)]
pub(crate) struct Operations<T>(bindings::pfsync_table_ops, PhantomData<fn() -> T>);

impl<T: Table> Operations<T> {
    /// The functions of a table.
    pub(crate) const fn new() -> Self {
        let operations = bindings::pfsync_table_ops {
            version: bindings::PFSYNC_TABLE_VERSION,
            attach: Some(attach::<T>),
            detach: Some(detach::<T>),
            set_defer: Some(set_defer::<T>),
            limit: Some(limit::<T>),
            walk: Some(walk::<T>),
            hold: Some(hold::<T>),
            put: Some(put::<T>),
            is_alive: Some(is_alive::<T>),
            read: Some(read::<T>),
            find: Some(find::<T>),
            insert: Some(insert::<T>),
            update: Some(update::<T>),
            remove: Some(remove::<T>),
            release: Some(release::<T>),
            expected: Some(expected::<T>),
            expect: Some(expect::<T>),
            unexpect: Some(unexpect::<T>),
        };
        Self(operations, PhantomData)
    }
}

// All functions below are called by carp.ko alone, as include/pfsync_table.h says:
// with a table that `attach` has returned and that was not detached since, with
// entries that the caller has a count of, or that it was told of and has not returned
// yet, and with pointers to values of its own.

unsafe extern "C" fn attach<T: Table>(
    net: *mut bindings::net,
    events: *const bindings::pfsync_table_events,
    context: *mut c_void,
) -> *mut c_void {
    // SAFETY: Namespace and events live until the table is detached; whoever has the
    // references is dropped then.
    let (net, events) = unsafe { (Net::from_raw(net), &*events) };
    let events = Events {
        events,
        context,
        _table: PhantomData,
    };
    match T::attach(net, events) {
        // SAFETY: It is not moved before `detach` makes a pinned box of it again.
        Ok(table) => KBox::into_raw(unsafe { Pin::into_inner_unchecked(table) }).cast(),
        Err(error) => error.to_ptr(),
    }
}

unsafe extern "C" fn detach<T: Table>(table: *mut c_void) {
    // SAFETY: It is what `attach` has returned, and the caller's no more.
    drop(unsafe { Pin::new_unchecked(KBox::from_raw(table.cast::<T>())) });
}

/// # Safety
///
/// It is what [`attach`] has returned.
unsafe fn table<'a, T: Table>(table: *mut c_void) -> &'a T {
    // SAFETY: The caller promises it.
    unsafe { &*table.cast() }
}

/// # Safety
///
/// It is an entry of such a table.
unsafe fn entry<'a, T: Table>(entry: *const c_void) -> &'a T::Entry {
    // SAFETY: The caller promises it.
    unsafe { &*entry.cast() }
}

/// A count on its way out.
fn give<E: AlwaysRefCounted>(entry: ARef<E>) -> *mut c_void {
    ARef::into_raw(entry).as_ptr().cast()
}

fn errno(result: Result) -> c_int {
    result.map_or_else(Error::to_errno, |()| 0)
}

unsafe extern "C" fn set_defer<T: Table>(this: *mut c_void, on: bool) {
    // SAFETY: The caller passes a table.
    unsafe { table::<T>(this) }.set_defer(on);
}

unsafe extern "C" fn limit<T: Table>(this: *mut c_void) -> u32 {
    // SAFETY: The caller passes a table.
    unsafe { table::<T>(this) }.limit()
}

unsafe extern "C" fn walk<T: Table>(
    this: *mut c_void,
    cursor: *mut bindings::pfsync_cursor,
    most: u32,
    each: Option<unsafe extern "C" fn(*mut c_void, *mut c_void)>,
    context: *mut c_void,
) -> bool {
    // SAFETY: The caller passes a table, a cursor of its own, and a function that wants
    // its context.
    unsafe {
        table::<T>(this).walk(&mut (*cursor).position, most, &mut |entry| {
            if let Some(each) = each {
                each(context, ptr::from_ref(entry).cast_mut().cast());
            }
        })
    }
}

unsafe extern "C" fn hold<T: Table>(this: *mut c_void) {
    // SAFETY: The caller passes an entry.
    unsafe { entry::<T>(this) }.inc_ref();
}

unsafe extern "C" fn put<T: Table>(this: *mut c_void) {
    if let Some(entry) = NonNull::new(this) {
        // SAFETY: The caller passes an entry, and gives up a count.
        unsafe { T::Entry::dec_ref(entry.cast()) };
    }
}

unsafe extern "C" fn is_alive<T: Table>(this: *const c_void) -> bool {
    // SAFETY: The caller passes an entry.
    T::is_alive(unsafe { entry::<T>(this) })
}

unsafe extern "C" fn read<T: Table>(this: *mut c_void, plain: *mut Plain) {
    // SAFETY: The caller passes an entry and a place, for which zeroes are valid.
    unsafe {
        plain.write_bytes(0, 1);
        T::read(entry::<T>(this), &mut *plain);
    }
}

unsafe extern "C" fn find<T: Table>(this: *mut c_void, plain: *const Plain) -> *mut c_void {
    // SAFETY: The caller passes a table and what it looks for.
    let found = unsafe { table::<T>(this).find(&*plain) };
    found.map_or(ptr::null_mut(), give)
}

unsafe extern "C" fn insert<T: Table>(
    this: *mut c_void,
    plain: *const Plain,
    place: *mut *mut c_void,
) -> c_int {
    // SAFETY: The caller passes a table, what it wants, and a place; a master is an
    // entry that it has a count of.
    unsafe {
        let master = (*plain).master;
        let master = (!master.is_null()).then(|| entry::<T>(master));
        match table::<T>(this).insert(&*plain, master) {
            Ok(entry) => {
                *place = give(entry);
                0
            }
            Err(error) => error.to_errno(),
        }
    }
}

unsafe extern "C" fn update<T: Table>(
    this: *mut c_void,
    which: *mut c_void,
    plain: *const Plain,
) -> c_int {
    // SAFETY: The caller passes a table, an entry, and what it wants.
    errno(unsafe { table::<T>(this).update(entry::<T>(which), &*plain) })
}

unsafe extern "C" fn remove<T: Table>(this: *mut c_void, which: *mut c_void) {
    // SAFETY: The caller passes a table and an entry.
    unsafe { table::<T>(this).remove(entry::<T>(which)) };
}

unsafe extern "C" fn release<T: Table>(held: *mut bindings::pfsync_held) {
    // SAFETY: It is what `created` was called with, and is the caller's no more.
    T::release(Stolen(unsafe { KBox::from_raw(held.cast()) }));
}

unsafe extern "C" fn expected<T: Table>(
    this: *mut c_void,
    place: u32,
    expected: *mut Expected,
) -> bool {
    // SAFETY: The caller passes an entry, and a place.
    match T::expected(unsafe { entry::<T>(this) }, place) {
        Some(found) => {
            // SAFETY: The same.
            unsafe { expected.write(found) };
            true
        }
        None => false,
    }
}

unsafe extern "C" fn expect<T: Table>(
    this: *mut c_void,
    which: *mut c_void,
    expected: *const Expected,
) -> c_int {
    // SAFETY: The caller passes a table, an entry, and what it wants.
    errno(unsafe { table::<T>(this).expect(entry::<T>(which), &*expected) })
}

unsafe extern "C" fn unexpect<T: Table>(
    this: *mut c_void,
    which: *mut c_void,
    expected: *const Expected,
) {
    // SAFETY: The caller passes a table, an entry, and what it wants no more.
    unsafe { table::<T>(this).unexpect(entry::<T>(which), &*expected) };
}
