// SPDX-License-Identifier: GPL-2.0

//! An entry of connection tracking (`struct nf_conn`).

use super::{
    adapter::{
        context::{seconds_to_jiffies, SoftirqsOff, HZ},
        net::Net,
    },
    bindings,
    rwonce::{read_once, write_once},
    tuple,
};
use core::ptr::{self, NonNull};
use kernel::{
    prelude::*,
    sync::{
        aref::{ARef, AlwaysRefCounted},
        rcu,
    },
    types::Opaque,
};

/// An entry that is or was in the table.
///
/// # Invariants
///
/// It has a count for as long as there is a reference to it, and its extensions
/// are complete.
#[repr(transparent)]
pub(crate) struct Entry(Opaque<bindings::nf_conn>);

// SAFETY: The methods use what the kernel lets any thread use, or take the lock.
unsafe impl Send for Entry {}
// SAFETY: The same.
unsafe impl Sync for Entry {}

// SAFETY: These are the kernel's own counts.
unsafe impl AlwaysRefCounted for Entry {
    fn inc_ref(&self) {
        // SAFETY: By the type invariant somebody has a count.
        unsafe { bindings::nf_ct_hold(self.as_ptr()) };
    }

    unsafe fn dec_ref(obj: NonNull<Self>) {
        // SAFETY: The caller gives up a count.
        unsafe { bindings::nf_ct_put(obj.as_ptr().cast()) };
    }
}

/// Nanoseconds since 1970.
pub(super) fn wall_clock() -> u64 {
    // SAFETY: The function has no preconditions outside of NMIs.
    unsafe { bindings::ktime_get_real_ns() }
}

/// Bits of an entry's status.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Status(pub(crate) u32);

impl Status {
    /// An expectation led to it.
    pub(crate) const EXPECTED: Self = Self(bindings::ip_conntrack_status_IPS_EXPECTED);
    /// There was an answer.
    pub(crate) const SEEN_REPLY: Self = Self(bindings::ip_conntrack_status_IPS_SEEN_REPLY);
    /// It is not dropped early when the table is full.
    pub(crate) const ASSURED: Self = Self(bindings::ip_conntrack_status_IPS_ASSURED);
    /// It is or was in the table.
    pub(crate) const CONFIRMED: Self = Self(bindings::ip_conntrack_status_IPS_CONFIRMED);
    /// TCP's sequence numbers are adjusted.
    pub(crate) const SEQ_ADJUST: Self = Self(bindings::ip_conntrack_status_IPS_SEQ_ADJUST);
    /// It is leaving the table.
    pub(crate) const DYING: Self = Self(bindings::ip_conntrack_status_IPS_DYING);
    /// Packets do not renew it.
    pub(crate) const FIXED_TIMEOUT: Self = Self(bindings::ip_conntrack_status_IPS_FIXED_TIMEOUT);
    /// A pattern for entries; or in the table for answers only, for a second, because
    /// another entry has its place.
    pub(crate) const SPECIAL: Self = Self(
        bindings::ip_conntrack_status_IPS_TEMPLATE | bindings::ip_conntrack_status_IPS_UNTRACKED,
    );
    /// Its packets go past connection tracking.
    pub(crate) const OFFLOAD: Self = Self(
        bindings::ip_conntrack_status_IPS_OFFLOAD | bindings::ip_conntrack_status_IPS_HW_OFFLOAD,
    );

    /// What hosts tell each other of it, and a program can set.
    pub(crate) const SHARED: Self =
        Self(Self::SEEN_REPLY.0 | Self::ASSURED.0 | Self::FIXED_TIMEOUT.0);

    /// Whether any of these bits is set.
    pub(crate) const fn has(self, bits: Self) -> bool {
        self.0 & bits.0 != 0
    }
}

/// What listeners of ctnetlink are told of, as bits.
pub(crate) mod event {
    use super::bindings;

    /// A new entry.
    pub(crate) const NEW: u32 = 1 << bindings::ip_conntrack_events_IPCT_NEW;
    /// A new entry that was expected.
    pub(crate) const RELATED: u32 = 1 << bindings::ip_conntrack_events_IPCT_RELATED;
    /// There was an answer.
    pub(crate) const REPLY: u32 = 1 << bindings::ip_conntrack_events_IPCT_REPLY;
    /// The entry is assured.
    pub(crate) const ASSURED: u32 = 1 << bindings::ip_conntrack_events_IPCT_ASSURED;
    /// The protocol's state is another.
    pub(crate) const PROTOINFO: u32 = 1 << bindings::ip_conntrack_events_IPCT_PROTOINFO;
    /// It has a helper.
    pub(crate) const HELPER: u32 = 1 << bindings::ip_conntrack_events_IPCT_HELPER;
    /// The mark is another.
    pub(crate) const MARK: u32 = 1 << bindings::ip_conntrack_events_IPCT_MARK;
    /// Sequence numbers are adjusted in another way.
    pub(crate) const SEQADJ: u32 = 1 << bindings::ip_conntrack_events_IPCT_SEQADJ;
    /// The labels are others.
    pub(crate) const LABEL: u32 = 1 << bindings::ip_conntrack_events_IPCT_LABEL;
    /// What the SYN proxy remembers is something else.
    pub(crate) const SYNPROXY: u32 = 1 << bindings::ip_conntrack_events_IPCT_SYNPROXY;
}

impl Entry {
    /// # Safety
    ///
    /// `ptr` is an entry that has a count for `'a`, and that nobody adds extensions
    /// to meanwhile.
    pub(super) unsafe fn from_raw<'a>(ptr: *mut bindings::nf_conn) -> &'a Self {
        // SAFETY: The caller promises a live entry; the type is transparent.
        unsafe { &*ptr.cast() }
    }

    pub(super) fn as_ptr(&self) -> *mut bindings::nf_conn {
        self.0.get()
    }

    /// The namespace that it is in.
    pub(crate) fn is_in(&self, net: &Net) -> bool {
        // SAFETY: `self` is a live entry.
        ptr::eq(unsafe { bindings::nf_ct_net(self.as_ptr()) }, net.as_ptr())
    }

    /// Its status now.
    pub(crate) fn status(&self) -> Status {
        // SAFETY: `self` is a live entry; others change bits at any time.
        let status = unsafe { read_once(&raw const (*self.as_ptr()).status) };
        Status(status as u32)
    }

    /// Sets a bit of the status, by its number.
    fn set_status_bit(&self, bit: u32) {
        // SAFETY: `self` is a live entry; the change is atomic.
        unsafe { bindings::nf_ct_set_status_bit(self.as_ptr(), bit) };
    }

    /// Sets and clears bits of the status.
    pub(crate) fn change_status(&self, set: Status, clear: Status) {
        for bit in 0..u32::BITS {
            if set.0 >> bit & 1 != 0 {
                self.set_status_bit(bit);
            } else if clear.0 >> bit & 1 != 0 {
                // SAFETY: `self` is a live entry; the change is atomic.
                unsafe { bindings::nf_ct_clear_status_bit(self.as_ptr(), bit) };
            }
        }
    }

    /// Whether it is or was in the table.
    pub(crate) fn is_confirmed(&self) -> bool {
        self.status().has(Status::CONFIRMED)
    }

    /// Whether it is in the table and has not expired.
    pub(crate) fn is_alive(&self) -> bool {
        // SAFETY: `self` is a live entry.
        !self.status().has(Status::DYING) && !unsafe { bindings::nf_ct_is_expired(self.as_ptr()) }
    }

    /// 0, if it is not alive; else a number that is another one when its mark, its labels or
    /// the bits [`Status::SHARED`] are.
    pub(crate) fn fingerprint(&self) -> u32 {
        if !self.is_alive() {
            return 0;
        }
        let mut hash = u64::from(self.status().0 & Status::SHARED.0);
        let mut mix = |word: u64| {
            hash = (hash.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        };
        mix(self.mark().into());
        // SAFETY: `self` is a live entry, its extensions are complete.
        if unsafe { !(*self.as_ptr()).ext.is_null() } {
            let labels = u128::from_ne_bytes(self.labels());
            mix(labels as u64);
            mix((labels >> 64) as u64);
        }
        ((hash >> 32) as u32).max(1)
    }

    /// `AF_INET` or `AF_INET6`.
    pub(crate) fn family(&self) -> u8 {
        // SAFETY: Tuples of a confirmed entry do not change.
        unsafe { (*self.as_ptr()).tuplehash[0].tuple.src.l3num as u8 }
    }

    /// The IP protocol.
    pub(crate) fn protocol(&self) -> u8 {
        // SAFETY: Tuples of a confirmed entry do not change.
        unsafe { (*self.as_ptr()).tuplehash[0].tuple.dst.protonum }
    }

    /// The original tuple and the reply.
    pub(crate) fn tuples(&self) -> [bindings::pfsync_tuple; 2] {
        // SAFETY: Tuples of a confirmed entry do not change.
        unsafe { &(*self.as_ptr()).tuplehash }
            .each_ref()
            .map(|hash| tuple::to_plain(&hash.tuple))
    }

    /// The zone's number, and for which directions it counts.
    pub(crate) fn zone(&self) -> (u16, u8) {
        // SAFETY: The zone of an entry does not change.
        let zone = unsafe { (*self.as_ptr()).zone };
        (zone.id, zone.dir)
    }

    /// The mark.
    pub(crate) fn mark(&self) -> u32 {
        // SAFETY: `self` is a live entry; rules write it at any time.
        unsafe { read_once(&raw const (*self.as_ptr()).mark) }
    }

    /// Sets the mark.
    pub(crate) fn set_mark(&self, mark: u32) {
        // SAFETY: `self` is a live entry; the kernel writes it without a lock, too.
        unsafe { write_once(&raw mut (*self.as_ptr()).mark, mark) };
    }

    /// Seconds until it expires.
    pub(crate) fn timeout(&self) -> u32 {
        // SAFETY: `self` is a live entry.
        let jiffies = unsafe { bindings::nf_ct_expires(self.as_ptr()) };
        u32::try_from(jiffies / HZ as c_ulong).unwrap_or(u32::MAX)
    }

    /// Whether its packets go past connection tracking, in a flow table.
    pub(crate) fn is_offloaded(&self) -> bool {
        self.status().has(Status::OFFLOAD)
    }

    /// How many seconds an offloaded one may live after its last packet. Its own timeout is
    /// a day, so that it never expires.
    pub(crate) fn idle_timeout(&self) -> u32 {
        // SAFETY: `self` is a live entry.
        (unsafe { bindings::nf_ct_idle_timeout(self.as_ptr()) }) / HZ
    }

    /// Has it expire so many seconds from now.
    pub(crate) fn set_timeout(&self, seconds: u32) {
        // SAFETY: `self` is a live entry; the kernel writes it without a lock, too.
        unsafe {
            bindings::nf_ct_set_timeout(self.as_ptr(), u64::from(seconds_to_jiffies(seconds)));
        }
    }

    /// When it was made, in nanoseconds since 1970, and how many seconds ago; zeroes,
    /// if that was not written down.
    pub(crate) fn made(&self) -> (u64, u32) {
        // SAFETY: `self` is a live entry, its extensions are complete.
        let start = unsafe {
            bindings::nf_conn_tstamp_find(self.as_ptr())
                .as_ref()
                .map_or(0, |tstamp| tstamp.start)
        };
        let age = match start {
            0 => 0,
            start => wall_clock().saturating_sub(start) / 1_000_000_000,
        };
        (start, u32::try_from(age).unwrap_or(u32::MAX))
    }

    /// The entry that expected it, to be told from others only.
    pub(crate) fn master(&self) -> *mut c_void {
        // SAFETY: The master of an entry in the table does not change.
        unsafe { (*self.as_ptr()).master }.cast()
    }

    /// Takes it out of the table. Any context but hard interrupts.
    pub(crate) fn remove(&self) {
        // SAFETY: `self` is a live entry; the table's count is given back by whoever
        // marks it first.
        unsafe { bindings::nf_ct_delete(self.as_ptr(), 0, 0) };
    }

    /// Tells listeners of ctnetlink at once.
    pub(crate) fn report(&self, events: u32) {
        // SAFETY: `self` is a live entry.
        unsafe { bindings::nf_conntrack_eventmask_report(events, self.as_ptr(), 0, 0) };
    }

    /// Tells listeners of ctnetlink, together with what waits to be told.
    pub(crate) fn report_change(&self, events: u32) {
        if events == 0 {
            return;
        }
        let _softirqs = SoftirqsOff::new();
        for event in 0..bindings::ip_conntrack_events___IPCT_MAX {
            if events >> event & 1 != 0 {
                // SAFETY: `self` is a live entry.
                unsafe { bindings::nf_conntrack_event_cache(event, self.as_ptr()) };
            }
        }
        // SAFETY: `self` is a live entry, softirqs are off.
        unsafe { bindings::nf_ct_deliver_cached_events(self.as_ptr()) };
    }

    /// The entry with the original tuple of `plain` or, if `by_reply`, with its reply tuple,
    /// in its zone.
    pub(crate) fn find(
        net: &Net,
        plain: &bindings::pfsync_plain,
        by_reply: bool,
    ) -> Option<ARef<Self>> {
        let zone = tuple::zone(plain).ok()?;
        let (wanted, direction) = match by_reply {
            false => (&plain.original, 0),
            true => (&plain.reply, 1),
        };
        let tuple = tuple::to_kernel(wanted, plain.family, plain.protocol, direction).ok()?;
        let _rcu = rcu::Guard::new();
        // SAFETY: All are valid; what is found is counted.
        let entry = unsafe {
            let hash = bindings::nf_conntrack_find_get(net.as_ptr(), &raw const zone, &tuple);
            if hash.is_null() {
                return None;
            }
            let ct = bindings::nf_ct_tuplehash_to_ctrack(hash);
            let entry = ARef::from_raw(NonNull::new_unchecked(ct.cast::<Self>()));
            // What another entry has the other way may look the same.
            if u32::from((*hash).tuple.dst.dir) != direction {
                return None;
            }
            entry
        };
        entry.is_alive().then_some(entry)
    }
}
