// SPDX-License-Identifier: GPL-2.0

//! The functions of a state table that C calls, and the constant that has them.
//!
//! carp.ko alone calls them, as `include/pfsync_table.h` says: with a table that
//! `attach` has returned and that was not detached since; with entries that it has a
//! count of, or that it was told of and has not returned yet; with pointers to values
//! of its own.

// What all of them want is said above.
#![allow(clippy::missing_safety_doc)]

use super::{
    net::Net,
    table::{Events, Expected, Plain, Stolen, Table},
};
use crate::linux::bindings;
use core::{
    marker::PhantomData,
    ptr::{self, NonNull},
};
use kernel::{
    prelude::*,
    sync::aref::{ARef, AlwaysRefCounted},
};

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
            set_local: Some(set_local::<T>),
            limit: Some(limit::<T>),
            count: Some(count::<T>),
            walk: Some(walk::<T>),
            hold: Some(hold::<T>),
            put: Some(put::<T>),
            expires_in: Some(expires_in::<T>),
            fingerprint: Some(fingerprint::<T>),
            is_offloaded: Some(is_offloaded::<T>),
            lost_address: Some(lost_address::<T>),
            read: Some(read::<T>),
            find: Some(find::<T>),
            insert: Some(insert::<T>),
            update: Some(update::<T>),
            be_strict: Some(be_strict::<T>),
            remove: Some(remove::<T>),
            release: Some(release::<T>),
            expected: Some(expected::<T>),
            expect: Some(expect::<T>),
            unexpect: Some(unexpect::<T>),
        };
        Self(operations, PhantomData)
    }
}

unsafe extern "C" fn attach<T: Table>(
    net: *mut bindings::net,
    events: *const bindings::pfsync_table_events,
    context: *mut c_void,
) -> *mut c_void {
    // SAFETY: Namespace and events live until the table is detached; whoever has the
    // references is dropped then.
    let (net, events) = unsafe { (Net::from_raw(net), Events::from_raw(events, context)) };
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

unsafe extern "C" fn set_local<T: Table>(this: *mut c_void, on: bool) {
    // SAFETY: The caller passes a table.
    unsafe { table::<T>(this) }.set_local(on);
}

unsafe extern "C" fn limit<T: Table>(this: *mut c_void) -> u32 {
    // SAFETY: The caller passes a table.
    unsafe { table::<T>(this) }.limit()
}

unsafe extern "C" fn count<T: Table>(this: *mut c_void) -> u32 {
    // SAFETY: The caller passes a table.
    unsafe { table::<T>(this) }.count()
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

unsafe extern "C" fn expires_in<T: Table>(this: *const c_void) -> u32 {
    // SAFETY: The caller passes an entry.
    T::expires_in(unsafe { entry::<T>(this) })
}

unsafe extern "C" fn fingerprint<T: Table>(this: *const c_void) -> u32 {
    // SAFETY: The caller passes an entry.
    T::fingerprint(unsafe { entry::<T>(this) })
}

unsafe extern "C" fn is_offloaded<T: Table>(this: *const c_void) -> bool {
    // SAFETY: The caller passes an entry.
    T::is_offloaded(unsafe { entry::<T>(this) })
}

unsafe extern "C" fn lost_address<T: Table>(this: *const c_void) -> bool {
    // SAFETY: The caller passes an entry.
    T::lost_address(unsafe { entry::<T>(this) })
}

unsafe extern "C" fn read<T: Table>(this: *mut c_void, plain: *mut Plain) {
    // SAFETY: The caller passes an entry and a place, for which zeroes are valid.
    unsafe {
        plain.write_bytes(0, 1);
        T::read(entry::<T>(this), &mut *plain);
    }
}

unsafe extern "C" fn find<T: Table>(
    this: *mut c_void,
    plain: *const Plain,
    by_reply: bool,
) -> *mut c_void {
    // SAFETY: The caller passes a table and what it looks for.
    let found = unsafe { table::<T>(this).find(&*plain, by_reply) };
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

unsafe extern "C" fn be_strict<T: Table>(this: *mut c_void, which: *mut c_void) {
    // SAFETY: The caller passes a table and an entry of it.
    unsafe { table::<T>(this).be_strict(entry::<T>(which)) }
}

unsafe extern "C" fn remove<T: Table>(this: *mut c_void, which: *mut c_void) {
    // SAFETY: The caller passes a table and an entry.
    unsafe { table::<T>(this).remove(entry::<T>(which)) };
}

unsafe extern "C" fn release<T: Table>(held: *mut bindings::pfsync_held) {
    // SAFETY: It is what `created` was called with, and is the caller's no more.
    T::release(unsafe { Stolen::from_raw(held) });
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
    errno(unsafe { table::<T>(this).expect_related(entry::<T>(which), &*expected) })
}

unsafe extern "C" fn unexpect<T: Table>(
    this: *mut c_void,
    which: *mut c_void,
    expected: *const Expected,
) {
    // SAFETY: The caller passes a table, an entry, and what it wants no more.
    unsafe { table::<T>(this).unexpect_related(entry::<T>(which), &*expected) };
}
