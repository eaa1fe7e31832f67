// SPDX-License-Identifier: GPL-2.0

//! State tables of other modules: the side of `include/pfsync_table.h` that uses
//! one.

use super::{
    bindings,
    compat::{EOPNOTSUPP, EPROTO},
    namespace::Net,
    rtnl::Rtnl,
};
use core::{
    mem::{ManuallyDrop, MaybeUninit},
    num::NonZeroU32,
    ptr::{self, NonNull},
};
use kernel::{
    error::{from_err_ptr, to_result},
    ffi::c_void,
    prelude::*,
    sync::Arc,
};

pub(crate) use bindings::{pfsync_expected as Expected, pfsync_plain as Plain};

/// The longest name of a table.
pub(crate) const NAME_MAX: usize = 15;

/// What the names of the adapters' symbols begin with.
const PREFIX: &[u8] = b"pfsync_table_";

const SYMBOL_MAX: usize = PREFIX.len() + NAME_MAX + 1;

/// The name of an adapter's symbol, with a zero byte at its end.
#[derive(Clone, Copy)]
struct Symbol([u8; SYMBOL_MAX]);

impl Symbol {
    /// Nothing, if no table can have that name.
    fn new(name: &[u8]) -> Option<Self> {
        let is_harmless = |byte: &u8| byte.is_ascii_lowercase() || *byte == b'_';
        if name.is_empty() || name.len() > NAME_MAX || !name.iter().all(is_harmless) {
            return None;
        }
        let mut bytes = [0; SYMBOL_MAX];
        for (to, from) in bytes.iter_mut().zip(Iterator::chain(PREFIX.iter(), name)) {
            *to = *from;
        }
        Some(Self(bytes))
    }

    fn as_ptr(&self) -> *const c_char {
        self.0.as_ptr().cast()
    }

    /// The table's name alone, with a zero byte at its end.
    fn name(&self) -> *const c_char {
        self.0.as_ptr().wrapping_add(PREFIX.len()).cast()
    }
}

/// A module with a state table, which stays while this is there.
pub(crate) struct Adapter {
    ops: NonNull<bindings::pfsync_table_ops>,
    symbol: Symbol,
}

// SAFETY: The operations are constant, and may be called by any thread.
unsafe impl Send for Adapter {}
// SAFETY: As above.
unsafe impl Sync for Adapter {}

impl Adapter {
    /// Has the module for this table loaded, if it is not there yet. Process context,
    /// waits for user space: no lock may be held.
    pub(crate) fn request(name: &[u8]) {
        let Some(symbol) = Symbol::new(name) else {
            return;
        };
        if Self::get_symbol(symbol).is_some() {
            return;
        }
        // SAFETY: The format has one string, and the name ends with a zero byte. That
        // it cannot be loaded shows when it is looked for.
        unsafe {
            bindings::__request_module(true, c"pfsync-table-%s".as_char_ptr(), symbol.name());
        }
    }

    /// The adapter of this table. Process context.
    ///
    /// # Errors
    ///
    /// ENOENT: there is none. EPROTO: it is made for another version of this module.
    pub(crate) fn get(name: &[u8]) -> Result<Arc<Self>> {
        let symbol = Symbol::new(name).ok_or(ENOENT)?;
        let adapter = Self::get_symbol(symbol).ok_or(ENOENT)?;
        // SAFETY: The symbol is that of a constant of this type, which has the version
        // first, whatever follows.
        if unsafe { adapter.ops.as_ref() }.version != bindings::PFSYNC_TABLE_VERSION {
            return Err(EPROTO);
        }
        Ok(Arc::new(adapter, GFP_KERNEL_ACCOUNT)?)
    }

    fn get_symbol(symbol: Symbol) -> Option<Self> {
        // SAFETY: The name ends with a zero byte.
        let ops = unsafe { bindings::__symbol_get(symbol.as_ptr()) };
        Some(Self {
            ops: NonNull::new(ops.cast())?,
            symbol,
        })
    }

    fn ops(&self) -> &bindings::pfsync_table_ops {
        // SAFETY: The constant stays while its module is pinned, as `self` does.
        unsafe { self.ops.as_ref() }
    }
}

impl Drop for Adapter {
    fn drop(&mut self) {
        // SAFETY: `get_symbol` has got it.
        unsafe { bindings::__symbol_put(self.symbol.as_ptr()) }
    }
}

/// Who is told of entries. Softirqs are off, RCU is held, no lock; on any number of
/// processors at once.
pub(crate) trait TableEvents: Send + Sync + 'static {
    /// This host has a new entry; its first packet may come with it, to be held.
    /// Returns the packet if it is not held.
    fn created(&self, entry: Borrowed<'_>, first: Option<Held>) -> Option<Held>;

    /// A packet of the entry with this key has passed. Whether the entry is lenient
    /// about windows.
    fn passed(&self, key: usize) -> bool;
}

/// Calls an operation that every adapter has.
macro_rules! call {
    ($adapter:expr, $op:ident($($argument:expr),*)) => {
        match $adapter.ops().$op {
            // SAFETY: The function is the adapter's and asks for no more than the
            // caller of this macro says.
            Some(op) => unsafe { op($($argument),*) },
            None => Default::default(),
        }
    };
}

/// An entry, as long as somebody else keeps it.
#[derive(Clone, Copy)]
pub(crate) struct Borrowed<'a> {
    entry: NonNull<c_void>,
    adapter: &'a Arc<Adapter>,
}

impl Borrowed<'_> {
    /// What tells it from other entries while it is there.
    pub(crate) fn key(&self) -> usize {
        self.entry.as_ptr() as usize
    }

    /// Keeps the entry.
    pub(crate) fn hold(&self) -> Entry {
        if let Some(hold) = self.adapter.ops().hold {
            // SAFETY: Somebody keeps the entry now.
            unsafe { hold(self.entry.as_ptr()) };
        }
        Entry {
            entry: self.entry,
            adapter: self.adapter.clone(),
        }
    }
}

/// An entry of a table, counted: its memory stays, though the table may forget it.
///
/// # Invariants
///
/// The pointer is an entry of the adapter, of which we have a count.
pub(crate) struct Entry {
    entry: NonNull<c_void>,
    adapter: Arc<Adapter>,
}

// SAFETY: Entries are not bound to a thread.
unsafe impl Send for Entry {}
// SAFETY: All operations may be called by any thread.
unsafe impl Sync for Entry {}

impl Entry {
    /// What tells it from other entries while it is there.
    pub(crate) fn key(&self) -> usize {
        self.entry.as_ptr() as usize
    }

    /// Whether the table still has it. Any context.
    pub(crate) fn is_alive(&self) -> bool {
        self.expires_in().is_some()
    }

    /// In how many seconds it goes, rounded up, unless packets renew it; nothing, if the
    /// table has it no more. Any context.
    pub(crate) fn expires_in(&self) -> Option<NonZeroU32> {
        // SAFETY: By the type invariant it is an entry.
        NonZeroU32::new(unsafe { self.adapter.ops().expires_in?(self.entry.as_ptr()) })
    }

    /// Nothing, if the table has it no more; else a number that is another one when its mark,
    /// its labels or its status are. Any context.
    pub(crate) fn fingerprint(&self) -> Option<NonZeroU32> {
        // SAFETY: By the type invariant it is an entry.
        NonZeroU32::new(unsafe { self.adapter.ops().fingerprint?(self.entry.as_ptr()) })
    }

    /// Whether packets of it pass that are not told of. Any context.
    pub(crate) fn is_offloaded(&self) -> bool {
        match self.adapter.ops().is_offloaded {
            // SAFETY: By the type invariant it is an entry.
            Some(is_offloaded) => unsafe { is_offloaded(self.entry.as_ptr()) },
            None => false,
        }
    }

    /// Whether the table has it no more because this host has lost the address that it was
    /// translated to. Any context.
    pub(crate) fn lost_address(&self) -> bool {
        match self.adapter.ops().lost_address {
            // SAFETY: By the type invariant it is an entry.
            Some(lost_address) => unsafe { lost_address(self.entry.as_ptr()) },
            None => false,
        }
    }

    /// What the table knows of it. Any context.
    #[inline]
    pub(crate) fn read(&self) -> Plain {
        let mut plain = MaybeUninit::uninit();
        let Some(read) = self.adapter.ops().read else {
            return Plain::default();
        };
        // SAFETY: By the type invariant it is an entry, of which the adapter writes all
        // down.
        unsafe {
            read(self.entry.as_ptr(), plain.as_mut_ptr());
            plain.assume_init()
        }
    }

    /// The connection number `place` that it expects. Any context.
    pub(crate) fn expected(&self, place: u32) -> Option<Expected> {
        let mut expected = Expected::default();
        let op = self.adapter.ops().expected?;
        // SAFETY: As for `read`.
        unsafe { op(self.entry.as_ptr(), place, &mut expected) }.then_some(expected)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Some(put) = self.adapter.ops().put {
            // SAFETY: By the type invariant we have a count, and give it up.
            unsafe { put(self.entry.as_ptr()) }
        }
    }
}

/// A packet that is held back. It goes on its way when the value is dropped, so no
/// lock that a receiver takes may be held then.
pub(crate) struct Held {
    packet: NonNull<bindings::pfsync_held>,
    adapter: Arc<Adapter>,
}

// SAFETY: A packet is not bound to a thread.
unsafe impl Send for Held {}

impl Held {
    fn into_raw(self) -> (NonNull<bindings::pfsync_held>, Arc<Adapter>) {
        let this = ManuallyDrop::new(self);
        // SAFETY: `this` is not used any more, and nothing of it dropped.
        (this.packet, unsafe { ptr::read(&this.adapter) })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(release) = self.adapter.ops().release {
            // SAFETY: The packet is ours and given away.
            unsafe { release(self.packet.as_ptr()) }
        }
    }
}

/// Packets that were held, in a row through their own `next` pointers. They go on
/// their way, in order, when the list is dropped.
pub(crate) struct HeldList {
    first: *mut bindings::pfsync_held,
    last: *mut bindings::pfsync_held,
    adapter: Option<Arc<Adapter>>,
}

// SAFETY: As for `Held`.
unsafe impl Send for HeldList {}

impl HeldList {
    /// An empty list.
    pub(crate) const fn new() -> Self {
        Self {
            first: ptr::null_mut(),
            last: ptr::null_mut(),
            adapter: None,
        }
    }

    /// Puts a packet at the end.
    pub(crate) fn push(&mut self, held: Held) {
        let (packet, adapter) = held.into_raw();
        let packet = packet.as_ptr();
        // SAFETY: The packet is ours, and so is the last one of the list.
        unsafe {
            (*packet).next = ptr::null_mut();
            if self.first.is_null() {
                self.first = packet;
            } else {
                (*self.last).next = packet;
            }
        }
        self.last = packet;
        self.adapter = Some(adapter);
    }
}

impl Drop for HeldList {
    fn drop(&mut self) {
        let Some(adapter) = &self.adapter else {
            return;
        };
        while let Some(packet) = NonNull::new(self.first) {
            // SAFETY: The packet is ours until it leaves the list here.
            self.first = unsafe { packet.as_ref() }.next;
            drop(Held {
                packet,
                adapter: adapter.clone(),
            });
        }
    }
}

/// What the adapter hands to its callbacks.
struct Context<T> {
    target: Arc<T>,
    adapter: Arc<Adapter>,
    events: bindings::pfsync_table_events,
}

/// The table of one namespace, which tells `T` of its entries until this is dropped,
/// in process context, under RTNL.
pub(crate) struct Table<T: TableEvents> {
    table: NonNull<c_void>,
    context: NonNull<Context<T>>,
}

// SAFETY: A table may be used by any thread.
unsafe impl<T: TableEvents> Send for Table<T> {}
// SAFETY: As above.
unsafe impl<T: TableEvents> Sync for Table<T> {}

/// Where a walk through a table is.
#[derive(Default)]
pub(crate) struct Cursor(bindings::pfsync_cursor);

impl<T: TableEvents> Table<T> {
    /// Begins to tell `target` of entries of a namespace. May sleep.
    ///
    /// # Errors
    ///
    /// The adapter's.
    pub(crate) fn attach(
        adapter: Arc<Adapter>,
        net: &Net,
        target: Arc<T>,
        _rtnl: &Rtnl,
    ) -> Result<Self> {
        let attach = adapter.ops().attach.ok_or(EOPNOTSUPP)?;
        let context = KBox::new(
            Context {
                target,
                adapter,
                events: bindings::pfsync_table_events {
                    created: Some(created::<T>),
                    passed: Some(passed::<T>),
                },
            },
            GFP_KERNEL_ACCOUNT,
        )?;
        let context = KBox::into_raw(context);
        // SAFETY: `context` stays where it is until after `detach`.
        let table = unsafe {
            attach(
                net.as_ptr().cast(),
                &raw const (*context).events,
                context.cast(),
            )
        };
        match from_err_ptr(table) {
            Ok(table) => Ok(Self {
                table: NonNull::new(table).ok_or(EINVAL)?,
                // SAFETY: A box is never null.
                context: unsafe { NonNull::new_unchecked(context) },
            }),
            Err(error) => {
                // SAFETY: The adapter has not taken it.
                drop(unsafe { KBox::from_raw(context) });
                Err(error)
            }
        }
    }

    fn adapter(&self) -> &Arc<Adapter> {
        // SAFETY: The context lives as long as `self`, and is only read.
        &unsafe { self.context.as_ref() }.adapter
    }

    /// Whether first packets are offered to be held.
    pub(crate) fn set_defer(&self, on: bool) {
        call!(self.adapter(), set_defer(self.table.as_ptr(), on))
    }

    /// Whether entries are told of, and found, that have this host itself at one of their
    /// ends.
    pub(crate) fn set_local(&self, on: bool) {
        call!(self.adapter(), set_local(self.table.as_ptr(), on))
    }

    /// How many entries there may be.
    pub(crate) fn limit(&self) -> u32 {
        call!(self.adapter(), limit(self.table.as_ptr()))
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u32 {
        call!(self.adapter(), count(self.table.as_ptr()))
    }

    /// Shows entries until about `most` were looked at. Whether there may be more. Any context.
    pub(crate) fn walk(
        &self,
        cursor: &mut Cursor,
        most: u32,
        mut each: impl FnMut(Borrowed<'_>),
    ) -> bool {
        let mut walker = Walker {
            adapter: self.adapter(),
            each: &mut each,
        };
        call!(
            self.adapter(),
            walk(
                self.table.as_ptr(),
                &mut cursor.0,
                most,
                Some(walked),
                (&raw mut walker).cast()
            )
        )
    }

    /// The entry with the original tuple and the zone of `plain`. Any context.
    pub(crate) fn find(&self, plain: &Plain) -> Option<Entry> {
        self.find_by(plain, false)
    }

    /// The entry with the reply tuple and the zone of `plain`. Any context.
    pub(crate) fn find_by_reply(&self, plain: &Plain) -> Option<Entry> {
        self.find_by(plain, true)
    }

    fn find_by(&self, plain: &Plain, by_reply: bool) -> Option<Entry> {
        let find = self.adapter().ops().find?;
        // SAFETY: The table is attached.
        let entry = unsafe { find(self.table.as_ptr(), plain, by_reply) };
        Some(self.counted(NonNull::new(entry)?))
    }

    /// Makes an entry. Any context.
    ///
    /// # Errors
    ///
    /// EEXIST: its tuples are taken. ENOSPC: the table is full. Others: it can never be
    /// made.
    pub(crate) fn insert(&self, plain: &mut Plain, master: Option<&Entry>) -> Result<Entry> {
        let insert = self.adapter().ops().insert.ok_or(EOPNOTSUPP)?;
        plain.master = master.map_or(ptr::null_mut(), |master| master.entry.as_ptr());
        let mut entry = ptr::null_mut();
        // SAFETY: The table is attached, and the master is an entry that is kept.
        to_result(unsafe { insert(self.table.as_ptr(), plain, &mut entry) })?;
        Ok(self.counted(NonNull::new(entry).ok_or(EINVAL)?))
    }

    /// Changes an entry. Any context.
    ///
    /// # Errors
    ///
    /// The adapter's. EAGAIN: a packet has passed since `plain.stamp` was read.
    pub(crate) fn update(&self, entry: &Entry, plain: &Plain) -> Result {
        let update = self.adapter().ops().update.ok_or(EOPNOTSUPP)?;
        // SAFETY: The table is attached, the entry kept.
        to_result(unsafe { update(self.table.as_ptr(), entry.entry.as_ptr(), plain) })
    }

    /// An entry is no longer lenient about windows. Any context.
    pub(crate) fn be_strict(&self, entry: &Entry) {
        call!(
            self.adapter(),
            be_strict(self.table.as_ptr(), entry.entry.as_ptr())
        )
    }

    /// Takes an entry out. Any context.
    pub(crate) fn remove(&self, entry: &Entry) {
        call!(
            self.adapter(),
            remove(self.table.as_ptr(), entry.entry.as_ptr())
        )
    }

    /// Has an entry expect a connection. Any context.
    ///
    /// # Errors
    ///
    /// The adapter's.
    pub(crate) fn expect_related(&self, master: &Entry, expected: &Expected) -> Result {
        let expect = self.adapter().ops().expect.ok_or(EOPNOTSUPP)?;
        // SAFETY: The table is attached, the entry kept.
        to_result(unsafe { expect(self.table.as_ptr(), master.entry.as_ptr(), expected) })
    }

    /// Has it expect that connection no more. Any context.
    pub(crate) fn unexpect_related(&self, master: &Entry, expected: &Expected) {
        call!(
            self.adapter(),
            unexpect(self.table.as_ptr(), master.entry.as_ptr(), expected)
        )
    }

    /// An entry of which the adapter has given us a count.
    fn counted(&self, entry: NonNull<c_void>) -> Entry {
        Entry {
            entry,
            adapter: self.adapter().clone(),
        }
    }
}

impl<T: TableEvents> Drop for Table<T> {
    fn drop(&mut self) {
        if let Some(detach) = self.adapter().ops().detach {
            // SAFETY: `attach` has returned the table.
            unsafe { detach(self.table.as_ptr()) };
        }
        // SAFETY: It came from a box; no callback runs any more.
        drop(unsafe { KBox::from_raw(self.context.as_ptr()) });
    }
}

/// The entry's master, if `plain` was read while it was kept: compared, never followed.
pub(crate) fn master_key(plain: &Plain) -> usize {
    plain.master as usize
}

/// # Safety
///
/// Only an adapter may call it, as `pfsync_table_events.created`.
unsafe extern "C" fn created<T: TableEvents>(
    context: *mut c_void,
    entry: *mut c_void,
    held: *mut bindings::pfsync_held,
) -> bool {
    // SAFETY: The context is what `attach` was given; it outlives the callbacks.
    let context = unsafe { &*context.cast::<Context<T>>() };
    let Some(entry) = NonNull::new(entry) else {
        return false;
    };
    let offered = NonNull::new(held).map(|packet| Held {
        packet,
        adapter: context.adapter.clone(),
    });
    let is_offered = offered.is_some();
    let borrowed = Borrowed {
        entry,
        adapter: &context.adapter,
    };
    match context.target.created(borrowed, offered) {
        // It stays with the adapter, which sends it on by itself.
        Some(held) => {
            let _ = held.into_raw();
            false
        }
        None => is_offered,
    }
}

/// # Safety
///
/// Only an adapter may call it, as `pfsync_table_events.passed`.
unsafe extern "C" fn passed<T: TableEvents>(context: *mut c_void, entry: *mut c_void) -> bool {
    // SAFETY: As for `created`.
    let context = unsafe { &*context.cast::<Context<T>>() };
    context.target.passed(entry as usize)
}

/// What a walk carries along.
struct Walker<'a> {
    adapter: &'a Arc<Adapter>,
    each: &'a mut dyn FnMut(Borrowed<'_>),
}

/// # Safety
///
/// Only an adapter may call it, as the callback of `walk`.
unsafe extern "C" fn walked(walker: *mut c_void, entry: *mut c_void) {
    // SAFETY: `walk` was given it, and has not returned yet.
    let walker = unsafe { &mut *walker.cast::<Walker<'_>>() };
    if let Some(entry) = NonNull::new(entry) {
        (walker.each)(Borrowed {
            entry,
            adapter: walker.adapter,
        });
    }
}
