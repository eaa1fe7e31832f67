// SPDX-License-Identifier: GPL-2.0

//! A hash of what strangers choose (`siphash_2u64`): who does not know the key can find no
//! two that have the same.

use super::{bindings, random};

/// The key of a hash table.
pub(crate) struct Key(bindings::siphash_key_t);

impl Key {
    /// A new one that nobody knows. Any context.
    pub(crate) fn new() -> Self {
        let half = || u64::from_ne_bytes(random::bytes());
        Self(bindings::siphash_key_t {
            key: [half(), half()],
        })
    }

    /// The hash of two numbers. Any context.
    pub(crate) fn hash(&self, first: u64, second: u64) -> u64 {
        // SAFETY: The key is valid, and nothing else is asked for.
        unsafe { bindings::siphash_2u64(first, second, &self.0) }
    }
}
