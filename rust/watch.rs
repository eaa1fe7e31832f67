// SPDX-License-Identifier: GPL-2.0

//! What packet paths know of objects that somebody else keeps, and a letter box for
//! what they see of them.
//!
//! A packet path finds an object's node by the object's address, under RCU, and counts
//! there. The first count puts the node into the inbox, and a later one of the owner's
//! choice does so again; the owner, who has a lock, empties the inbox when it gets
//! around to it. So the packet path takes no lock, and allocates only when an object
//! is new.

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

/// What lies in the table for each object; `T` is what comes with a new one.
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
    /// Packets since the owner has taken notice.
    packets: Atomic<u32>,
    /// How many of them the owner wants to hear of at once.
    threshold: Atomic<u32>,
    /// Where the owner keeps the object; [`NO_SLOT`] while it knows nothing of it.
    slot: Atomic<u32>,
    /// What packets find.
    flag: Atomic<u32>,
    /// What came with it; touched by whoever has just made the node, then by who
    /// empties the inbox for the first time.
    payload: Opaque<Option<T>>,
}

/// In no inbox.
const IDLE: u32 = 0;
/// In the inbox.
const QUEUED: u32 = 1;
/// The owner has given it up.
const DEAD: u32 = 2;

const NO_SLOT: u32 = u32::MAX;

/// The nodes of one owner.
#[pin_data(PinnedDrop)]
pub(crate) struct Watch<T: Send + 'static> {
    #[pin]
    table: Opaque<bindings::rhashtable>,
    inbox: Atomic<*mut Node<T>>,
    /// How memory for nodes is asked for.
    flags: Flags,
    _nodes: PhantomData<T>,
}

// SAFETY: The table has its own locks, the inbox is atomic; `T` goes from the packet
// path to the owner.
unsafe impl<T: Send> Send for Watch<T> {}
// SAFETY: As above.
unsafe impl<T: Send> Sync for Watch<T> {}

/// What a packet path finds.
#[derive(Clone, Copy, Default)]
pub(crate) struct TouchResult {
    /// Something was put into the inbox.
    pub(crate) queued: bool,
    /// That was for the packet that makes it as many as the owner wants to hear of.
    pub(crate) at_threshold: bool,
    /// What [`Watched::set_flag`] has said.
    pub(crate) flag: bool,
}

/// What was in the inbox.
pub(crate) enum InboxItem<T: Send + 'static> {
    /// An object that the owner does not know yet.
    New(Watched<T>, T),
    /// Packets of the object in this slot.
    Packets {
        /// As [`Watched::set_slot`] has said.
        slot: u32,
        /// So many since [`Watched::reset`].
        count: u32,
    },
}

impl<T: Send + 'static> Watch<T> {
    /// An empty one; `flags` are for nodes, any of which a packet path may make.
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

    /// There is a new object: puts `payload` into the inbox. Any context but hard
    /// interrupts.
    ///
    /// # Errors
    ///
    /// Out of memory, or the object is known already. `payload` comes back.
    pub(crate) fn insert_new(this: &Arc<Self>, key: usize, payload: T) -> Result<(), T> {
        let Ok(watched) = Self::node(this, key) else {
            return Err(payload);
        };
        // SAFETY: Nobody knows the node yet.
        unsafe { *watched.node.as_ref().payload.get() = Some(payload) };
        match watched.insert() {
            // Who finds it in the table before it is in the inbox only counts.
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

    /// The owner has found an object by itself.
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

    /// A node that is in no table yet. It counts as queued, and its first packet as
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

    /// A packet of the object at `key` passes. Any context but hard interrupts.
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
        // Full, here as in `drain`: either the owner sees this packet when it takes the
        // node out of the inbox, or this sees that it did.
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
            // SAFETY: A queued node is freed only by who empties the inbox.
            unsafe { (*node).next.store(first, Relaxed) };
            match self.inbox.cmpxchg(first, node, Full) {
                Ok(_) => return,
                Err(other) => first = other,
            }
        }
    }

    /// Empties the inbox, in the order in which it was filled, with RCU's read lock held. Any
    /// context but hard interrupts.
    ///
    /// Of several who do so at once each gets a part. A node that was taken out belongs to
    /// one of them until it is [`IDLE`]; after that the packet path may put it in again, and
    /// its owner give it up, but RCU keeps its memory.
    pub(crate) fn drain(this: &Arc<Self>, mut each: impl FnMut(InboxItem<T>)) {
        let mut last = this.inbox.xchg(ptr::null_mut(), Full);
        // What came last is first: turned around.
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
            // SAFETY: It is still ours alone: it is not idle yet, and the packet path that
            // has made it is done with it.
            let payload = unsafe { (*node.payload.get()).take() };
            if node.state.cmpxchg(QUEUED, IDLE, Full).is_err() {
                // SAFETY: The owner has given it up, and left freeing it to us.
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

    /// Where the owner keeps the object at `key`.
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
        // SAFETY: What a `Watched` has keeps this alive; so all nodes that are left lie
        // in the inbox, and no packet path can know one any more.
        unsafe {
            while let Some(pointer) = NonNull::new(node) {
                node = pointer.as_ref().next.load(Relaxed);
                free(pointer);
            }
            bindings::rhashtable_destroy(self.table.get());
        }
    }
}

/// The owner's hold on a node: when it is dropped, packet paths do not find it any
/// more.
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

    /// The node, which somebody else will make a [`Watched`] of again.
    fn into_raw(self) -> *mut Node<T> {
        let this = core::mem::ManuallyDrop::new(self);
        // SAFETY: `this` is not dropped, so its count goes here.
        drop(unsafe { ptr::read(&this.watch) });
        this.node.as_ptr()
    }

    /// Where the owner keeps the object, and of how many packets in a row it wants to
    /// hear at once; 0: of the first one only.
    pub(crate) fn set_slot(&self, slot: u32, threshold: u32) {
        self.inner().threshold.store(threshold, Relaxed);
        self.inner().slot.store(slot, Release);
    }

    /// The next packet is the first again.
    pub(crate) fn reset(&self) {
        self.inner().packets.store(0, Relaxed);
    }

    /// Whether a packet has passed since [`Self::reset`].
    pub(crate) fn has_packets(&self) -> bool {
        self.inner().packets.load(Relaxed) != 0
    }

    /// Packets find a flag, or none any more.
    pub(crate) fn set_flag(&self, on: bool) {
        self.inner().flag.store(u32::from(on), Relaxed);
    }

    /// Whether packets find the flag.
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
        // In the inbox it stays until that is emptied.
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
    // SAFETY: As the caller says.
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
