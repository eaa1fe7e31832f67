// SPDX-License-Identifier: GPL-2.0

//! Virtual hosts that have changed their state since user space was told.

use kernel::sync::atomic::{Acquire, Atomic, Relaxed, Release};

/// What there is to tell.
pub(super) struct Changes {
    /// A bit for each vhid whose virtual host has changed its state.
    vhids: [Atomic<u32>; 8],
}

impl Changes {
    /// Nothing.
    pub(super) const fn new() -> Self {
        Self {
            vhids: [const { Atomic::new(0) }; 8],
        }
    }

    /// Under the host's lock, so there is one who sets bits; another may take them.
    pub(super) fn add(&self, vhid: u8) {
        if let Some(word) = self.vhids.get(usize::from(vhid >> 5)) {
            let bit = 1u32 << (vhid & 31);
            let mut old = word.load(Relaxed);
            while let Err(now) = word.cmpxchg(old, old | bit, Release) {
                old = now;
            }
        }
    }

    /// Takes them all out, and calls `each` with them in ascending order.
    pub(super) fn take(&self, mut each: impl FnMut(u8)) {
        for (word, first) in self.vhids.iter().zip((0u8..).step_by(32)) {
            // Pairs with `add`: who finds a bit finds the state that it stands for.
            let bits = word.xchg(0, Acquire);
            for bit in (0u8..32).filter(|&bit| bits & (1 << bit) != 0) {
                each(first | bit);
            }
        }
    }
}
