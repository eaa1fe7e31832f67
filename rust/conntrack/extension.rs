// SPDX-License-Identifier: GPL-2.0

//! What belongs to an entry only where somebody uses it.

use super::{bindings, entry::Entry, rwonce::read_once};
use core::array::from_fn;
use kernel::{
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
};

/// What the SYN proxy remembers.
pub(crate) type Synproxy = bindings::nf_conn_synproxy;

impl Entry {
    fn counters(&self) -> Option<[[&Atomic<i64>; 2]; 2]> {
        // SAFETY: The entry is live, its extensions are complete and go with it; the
        // kernel changes the numbers by atomic operations only.
        unsafe {
            let acct = bindings::nf_conn_acct_find(self.as_ptr());
            if acct.is_null() {
                return None;
            }
            Some((*acct).counter.each_mut().map(|counter| {
                [&raw mut counter.packets, &raw mut counter.bytes]
                    .map(|number| Atomic::<i64>::from_ptr(number.cast()))
            }))
        }
    }

    /// Packets and bytes of the initiator, and of the other side; zeroes, if they are
    /// not counted.
    pub(crate) fn counted(&self) -> [[u64; 2]; 2] {
        self.counters().map_or([[0; 2]; 2], |counters| {
            counters.map(|both| both.map(|number| number.load(Relaxed) as u64))
        })
    }

    /// The labels; zeroes, if there are none.
    pub(crate) fn labels(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        // SAFETY: The entry is live, its extensions are complete; others change the
        // words at any time.
        let words = unsafe {
            let labels = bindings::nf_ct_labels_find(self.as_ptr());
            if labels.is_null() {
                return bytes;
            }
            let bits = (&raw const (*labels).bits).cast::<c_ulong>();
            from_fn::<_, { 16 / size_of::<c_ulong>() }, _>(|i| read_once(bits.add(i)))
        };
        let from = words.iter().flat_map(|word| word.to_ne_bytes());
        for (to, from) in bytes.iter_mut().zip(from) {
            *to = from;
        }
        bytes
    }

    /// Sets the labels, if the entry has room for them: if any rule uses labels. What
    /// is told of it waits for the next that is told.
    pub(crate) fn set_labels(&self, bytes: &[u8; 16]) {
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(4)) {
            *word = bytes.try_into().map_or(0, u32::from_ne_bytes);
        }
        // SAFETY: The entry is live, the words are as many as we say. The function
        // neither sleeps nor takes a lock.
        unsafe {
            bindings::nf_connlabels_replace(self.as_ptr(), words.as_ptr(), 4);
        }
    }

    /// What the SYN proxy remembers, if it has to do with this entry.
    pub(crate) fn synproxy(&self) -> Option<Synproxy> {
        // SAFETY: The entry is live, its extensions are complete.
        unsafe { bindings::nfct_synproxy(self.as_ptr()).as_ref().copied() }
    }

    /// Sets what the SYN proxy remembers, if it has to do with this entry.
    pub(crate) fn set_synproxy(&self, synproxy: Synproxy) {
        // SAFETY: The entry is live, its extensions are complete; the kernel writes
        // there without a lock, too.
        unsafe {
            let place = bindings::nfct_synproxy(self.as_ptr());
            if !place.is_null() {
                place.write(synproxy);
            }
        }
    }
}
