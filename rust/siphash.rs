// SPDX-License-Identifier: GPL-2.0

//! A hash of what strangers choose, for hash tables (`hsiphash_3u32`): who does not know
//! the key can choose no names that fall into one bucket.

use super::{bindings, random};

/// The key of a hash table.
pub(crate) struct Key(bindings::hsiphash_key_t);

impl Key {
    /// A new one that nobody knows. Any context.
    pub(crate) fn new() -> Self {
        let half = || usize::from_ne_bytes(random::bytes());
        Self(bindings::hsiphash_key_t {
            key: [half(), half()],
        })
    }

    /// The hash of three numbers. Any context.
    pub(crate) fn hash(&self, [first, second, third]: [u32; 3]) -> u32 {
        // SAFETY: The key is valid, and nothing else is asked for.
        unsafe { bindings::hsiphash_3u32(first, second, third, &self.0) }
    }
}
