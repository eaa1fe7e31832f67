// SPDX-License-Identifier: GPL-2.0

//! Lets packet paths count packets of objects that an owner keeps behind a lock, and
//! report them to the owner through an inbox.
//!
//! A packet path finds an object's node by the object's address, under RCU, and counts
//! the packet there. The first packet puts the node into the inbox; so does a later one,
//! whose number the owner chooses (the threshold). The owner, who has a lock, empties the
//! inbox later. So the packet path takes no lock, and allocates only for a new object.

use super::bindings;
use core::{marker::PhantomData, ptr, ptr::NonNull};
use kernel::{
    alloc::Flags,
    error::to_result,
    prelude::*,
    sync::{
        atomic::{Acquire, Atomic, Full, Relaxed, Release},
        rcu, Arc,
    },
    types::Opaque,
};

/// The table's entry for an object. `T` is the payload that a packet path passes to the
/// owner with a new object.
#[repr(C)]
struct Node<T> {
    // First, and then the key: `rust/helpers/rhashtable.c` relies on it.
    head: Opaque<bindings::rhash_head>,
    key: usize,
    rcu: Opaque<bindings::callback_head>,
    /// The next one in the inbox.
    next: Atomic<*mut Node<T>>,
    /// [`IDLE`], [`QUEUED`] or [`DEAD`].
    state: Atomic<u32>,
    /// Packets since [`Watched::reset`].
    packets: Atomic<u32>,
    /// With this many packets the node enters the inbox again; 0: never.
    threshold: Atomic<u32>,
    /// The owner's index of the object; [`NO_SLOT`] until the owner knows the object.
    slot: Atomic<u32>,
    /// The flag that [`Watch::touch`] returns.
    flag: Atomic<u32>,
    /// The payload. Accessed by whoever has just made the node, and then by whoever takes
    /// it out of the inbox for the first time.
    payload: Opaque<Option<T>>,
}

/// Not in the inbox.
const IDLE: u32 = 0;
/// In the inbox.
const QUEUED: u32 = 1;
/// The owner has dropped its [`Watched`].
const DEAD: u32 = 2;

const NO_SLOT: u32 = u32::MAX;

/// The nodes of one owner.
#[pin_data(PinnedDrop)]
pub(crate) struct Watch<T: Send + 'static> {
    #[pin]
    table: Opaque<bindings::rhashtable>,
    inbox: Atomic<*mut Node<T>>,
    /// The allocation flags for nodes.
    flags: Flags,
    _nodes: PhantomData<T>,
}

// SAFETY: The table has its own locks, the inbox is atomic; `T` goes from the packet
// path to the owner.
unsafe impl<T: Send> Send for Watch<T> {}
// SAFETY: As above.
unsafe impl<T: Send> Sync for Watch<T> {}

/// The result of [`Watch::touch`].
#[derive(Clone, Copy, Default)]
pub(crate) struct TouchResult {
    /// This packet has put the node into the inbox.
    pub(crate) queued: bool,
    /// This packet has reached the threshold.
    pub(crate) at_threshold: bool,
    /// The flag that [`Watched::set_flag`] has set.
    pub(crate) flag: bool,
}

/// An item of the inbox.
pub(crate) enum InboxItem<T: Send + 'static> {
    /// An object that the owner does not know yet.
    New(Watched<T>, T),
    /// Packets of the object in this slot.
    Packets {
        /// The index that [`Watched::set_slot`] has set.
        slot: u32,
        /// The packets since [`Watched::reset`].
        count: u32,
    },
}

impl<T: Send + 'static> Watch<T> {
    /// Makes an empty table and inbox. `flags` are the allocation flags for nodes, which
    /// a packet path may allocate.
    ///
    /// # Errors
    ///
    /// Out of memory.
    pub(crate) fn new(flags: Flags) -> Result<Arc<Self>> {
        Arc::try_pin_init(
            try_pin_init!(Self {
                flags,
                table <- Opaque::try_ffi_init(|table| {
                    // SAFETY: `table` is valid for writes and pinned.
                    to_result(unsafe { bindings::watch_table_init(table) })
                }),
                inbox: Atomic::new(ptr::null_mut()),
                _nodes: PhantomData,
            }? Error),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// Inserts a new object, and puts it into the inbox with its `payload`. Any context
    /// except hardirq.
    ///
    /// # Errors
    ///
    /// Out of memory, or the object is in the table already. Returns `payload`.
    pub(crate) fn insert_new(this: &Arc<Self>, key: usize, payload: T) -> Result<(), T> {
        let Ok(watched) = Self::node(this, key) else {
            return Err(payload);
        };
        // SAFETY: Nobody knows the node yet.
        unsafe { *watched.node.as_ref().payload.get() = Some(payload) };
        match watched.insert() {
            // A packet path that finds the node before it is in the inbox only counts,
            // because its state is QUEUED already.
            Ok(watched) => {
                this.push(watched.into_raw());
                Ok(())
            }
            // SAFETY: The table has not taken the node.
            Err(watched) => match unsafe { (*watched.inner().payload.get()).take() } {
                Some(payload) => Err(payload),
                None => Ok(()),
            },
        }
    }

    /// Inserts an object that the owner has found by itself.
    ///
    /// # Errors
    ///
    /// ENOMEM, or EEXIST: it is known already.
    pub(crate) fn add(this: &Arc<Self>, key: usize) -> Result<Watched<T>> {
        let watched = Self::node(this, key)?;
        watched.inner().state.store(IDLE, Relaxed);
        watched.reset();
        watched.insert().map_err(|_| EEXIST)
    }

    /// Makes a node that is not in the table yet. Its state is QUEUED, and one packet is
    /// counted.
    fn node(this: &Arc<Self>, key: usize) -> Result<Watched<T>> {
        let node = KBox::new(
            Node {
                head: Opaque::zeroed(),
                key,
                rcu: Opaque::zeroed(),
                next: Atomic::new(ptr::null_mut()),
                state: Atomic::new(QUEUED),
                packets: Atomic::new(1),
                threshold: Atomic::new(0),
                slot: Atomic::new(NO_SLOT),
                flag: Atomic::new(0),
                payload: Opaque::new(None),
            },
            this.flags,
        )?;
        // SAFETY: A box is never null.
        let node = unsafe { NonNull::new_unchecked(KBox::into_raw(node)) };
        Ok(Watched {
            node,
            watch: this.clone(),
            is_inserted: false,
        })
    }

    /// Counts a packet of the object at `key`. Any context except hardirq.
    pub(crate) fn touch(&self, key: usize, _rcu: &rcu::Guard) -> TouchResult {
        // SAFETY: RCU is held, which keeps the node that is found.
        let node = unsafe {
            let node = bindings::watch_table_find(self.table.get(), key).cast::<Node<T>>();
            let Some(node) = node.as_ref() else {
                return TouchResult::default();
            };
            node
        };
        let flag = node.flag.load(Relaxed) != 0;
        // Full ordering, as in `drain`: either the owner sees this packet when it takes
        // the node out of the inbox, or this code sees that the node is IDLE and queues
        // it.
        let count = node.packets.fetch_add(1, Full).wrapping_add(1);
        let at_threshold = count == node.threshold.load(Relaxed);
        let queued = (count == 1 || at_threshold) && node.state.cmpxchg(IDLE, QUEUED, Full).is_ok();
        if queued {
            self.push(ptr::from_ref(node).cast_mut());
        }
        TouchResult {
            queued,
            at_threshold,
            flag,
        }
    }

    /// Puts a node into the inbox. Its state is [`QUEUED`], and was not before.
    fn push(&self, node: *mut Node<T>) {
        let mut first = self.inbox.load(Relaxed);
        loop {
            // SAFETY: A queued node is freed only by whoever empties the inbox.
            unsafe { (*node).next.store(first, Relaxed) };
            match self.inbox.cmpxchg(first, node, Full) {
                Ok(_) => return,
                Err(other) => first = other,
            }
        }
    }

    /// Empties the inbox and calls `each` for its items, oldest first, with RCU's read
    /// lock held. Any context except hardirq.
    ///
    /// Several callers at once get different items. A node that was taken out belongs to
    /// its caller until its state is [`IDLE`]. After that a packet path may queue it
    /// again and the owner may drop it, but RCU keeps its memory.
    pub(crate) fn drain(this: &Arc<Self>, mut each: impl FnMut(InboxItem<T>)) {
        let mut last = this.inbox.xchg(ptr::null_mut(), Full);
        // The inbox has the newest node first: reverse it.
        let mut first = ptr::null_mut::<Node<T>>();
        while let Some(node) = NonNull::new(last) {
            // SAFETY: What was in the inbox is ours now, and its `next` with it.
            unsafe {
                last = node.as_ref().next.load(Relaxed);
                node.as_ref().next.store(first, Relaxed);
            }
            first = node.as_ptr();
        }
        let _rcu = rcu::read_lock();
        while let Some(pointer) = NonNull::new(first) {
            // SAFETY: As above. It is freed here, or by its owner once it is idle, a grace
            // period later.
            let node = unsafe { pointer.as_ref() };
            first = node.next.load(Relaxed);
            // SAFETY: Nobody else accesses the payload: the node is not idle yet, and the
            // packet path that made it does not use it any more.
            let payload = unsafe { (*node.payload.get()).take() };
            if node.state.cmpxchg(QUEUED, IDLE, Full).is_err() {
                // SAFETY: The owner has dropped its `Watched` while the node was queued,
                // and so left it to us to free the node.
                unsafe { free(pointer) };
                continue;
            }
            match payload {
                Some(payload) => each(InboxItem::New(
                    Watched {
                        node: pointer,
                        watch: this.clone(),
                        is_inserted: true,
                    },
                    payload,
                )),
                None => each(InboxItem::Packets {
                    slot: node.slot.load(Relaxed),
                    count: node.packets.load(Relaxed),
                }),
            }
        }
    }

    /// The owner's index of the object at `key`.
    pub(crate) fn find(&self, key: usize) -> Option<u32> {
        let _rcu = rcu::read_lock();
        // SAFETY: RCU is held, which keeps the node that is found.
        let slot = unsafe {
            let node = bindings::watch_table_find(self.table.get(), key).cast::<Node<T>>();
            node.as_ref()?.slot.load(Acquire)
        };
        (slot != NO_SLOT).then_some(slot)
    }
}

#[pinned_drop]
impl<T: Send + 'static> PinnedDrop for Watch<T> {
    fn drop(self: Pin<&mut Self>) {
        let mut node = self.inbox.load(Relaxed);
        // SAFETY: Each `Watched` holds a reference to this, so none is left. The
        // remaining nodes are in the inbox, and no packet path can find them any more.
        unsafe {
            while let Some(pointer) = NonNull::new(node) {
                node = pointer.as_ref().next.load(Relaxed);
                free(pointer);
            }
            bindings::rhashtable_destroy(self.table.get());
        }
    }
}

/// The owner's reference to a node. When it is dropped, packet paths do not find the node
/// any more.
pub(crate) struct Watched<T: Send + 'static> {
    node: NonNull<Node<T>>,
    watch: Arc<Watch<T>>,
    /// Whether it is in the table.
    is_inserted: bool,
}

// SAFETY: The node is used through atomics only.
unsafe impl<T: Send> Send for Watched<T> {}
// SAFETY: As above.
unsafe impl<T: Send> Sync for Watched<T> {}

impl<T: Send + 'static> Watched<T> {
    fn inner(&self) -> &Node<T> {
        // SAFETY: The node is freed after this is dropped.
        unsafe { self.node.as_ref() }
    }

    /// Puts the node into the table.
    fn insert(mut self) -> Result<Self, Self> {
        // SAFETY: The node is initialised and in no table.
        let result = unsafe {
            bindings::watch_table_insert(self.watch.table.get(), self.node.as_ptr().cast())
        };
        self.is_inserted = result == 0;
        match self.is_inserted {
            true => Ok(self),
            false => Err(self),
        }
    }

    /// Returns the node, from which [`Watch::drain`] makes a [`Watched`] again.
    fn into_raw(self) -> *mut Node<T> {
        let this = core::mem::ManuallyDrop::new(self);
        // SAFETY: `this` is not dropped, so its reference is dropped here.
        drop(unsafe { ptr::read(&this.watch) });
        this.node.as_ptr()
    }

    /// Sets the owner's index of the object, and the threshold: with this many packets
    /// the node enters the inbox again; 0: only with the first one.
    pub(crate) fn set_slot(&self, slot: u32, threshold: u32) {
        self.inner().threshold.store(threshold, Relaxed);
        self.inner().slot.store(slot, Release);
    }

    /// Resets the packet count: the next packet puts the node into the inbox.
    pub(crate) fn reset(&self) {
        self.inner().packets.store(0, Relaxed);
    }

    /// Whether a packet has passed since [`Self::reset`].
    pub(crate) fn has_packets(&self) -> bool {
        self.inner().packets.load(Relaxed) != 0
    }

    /// Sets or clears the flag that [`Watch::touch`] returns.
    pub(crate) fn set_flag(&self, on: bool) {
        self.inner().flag.store(u32::from(on), Relaxed);
    }

    /// Whether the flag is set.
    pub(crate) fn has_flag(&self) -> bool {
        self.inner().flag.load(Relaxed) != 0
    }
}

impl<T: Send + 'static> Drop for Watched<T> {
    fn drop(&mut self) {
        if self.is_inserted {
            // SAFETY: It is in the table.
            unsafe {
                bindings::watch_table_remove(self.watch.table.get(), self.node.as_ptr().cast())
            };
        }
        // A queued node stays in memory until the inbox is emptied.
        if self.inner().state.xchg(DEAD, Full) == IDLE || !self.is_inserted {
            // SAFETY: No new reader finds it, and it is in no inbox.
            unsafe { free(self.node) };
        }
    }
}

/// Frees a node when no reader can have it any more.
///
/// # Safety
///
/// It is neither in the table nor in the inbox, and nobody else frees it.
unsafe fn free<T>(node: NonNull<Node<T>>) {
    // SAFETY: The caller promises it.
    unsafe { bindings::call_rcu((*node.as_ptr()).rcu.get(), Some(release::<T>)) }
}

/// # Safety
///
/// Only the kernel may call it, as an RCU callback that [`free`] has queued.
unsafe extern "C" fn release<T>(head: *mut bindings::callback_head) {
    // SAFETY: `head` is in a node that came from a box; the grace period is over.
    unsafe {
        let offset = core::mem::offset_of!(Node<T>, rcu);
        let node = head.byte_sub(offset).cast::<Node<T>>();
        ptr::drop_in_place((*node).payload.get());
        drop(KBox::from_raw(node));
    }
}
