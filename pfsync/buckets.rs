// SPDX-License-Identifier: GPL-2.0

//! The buckets in which records are found by name.
//!
//! There are about as many as records, and with each record that comes or goes one is
//! split, or two become one (linear hashing): for a table that is doubled at once would
//! keep softirqs busy for milliseconds.

use super::{
    cells::{Cells, Slot, NONE},
    paged::Paged,
};
use crate::{linux::siphash, proto::pfsync::id::StateId};
use kernel::{alloc::Flags, prelude::*};

/// Each holds the first of a chain through the records.
pub(super) struct Buckets {
    /// `base` + `split`.
    first: Paged<Slot>,
    /// A power of two: buckets below `split` have been split in two already.
    base: u32,
    split: u32,
    /// So that no stranger can choose names that fall into one bucket.
    key: siphash::Key,
}

impl Buckets {
    pub(super) fn new(flags: Flags) -> Self {
        Self {
            first: Paged::new(flags),
            base: 1,
            split: 0,
            key: siphash::Key::new(),
        }
    }

    /// The hash of a name.
    pub(super) fn hash(&self, id: &StateId) -> u32 {
        let [a, b, c, d, e, f, g, h] = id.id;
        self.key.hash([
            u32::from_ne_bytes([a, b, c, d]),
            u32::from_ne_bytes([e, f, g, h]),
            u32::from_ne_bytes(id.creator),
        ])
    }

    /// The number of the bucket for names of this hash.
    fn number(&self, hash: u32) -> u32 {
        let below = self.base.saturating_sub(1);
        let number = hash & below;
        match number < self.split {
            true => hash & (below << 1 | 1),
            false => number,
        }
    }

    fn first(&self, number: u32) -> Slot {
        self.first.get(number).copied().unwrap_or(NONE)
    }

    /// The record of this name.
    pub(super) fn find(&self, cells: &Cells, id: &StateId) -> Option<Slot> {
        let mut slot = self.first(self.number(self.hash(id)));
        while let Some(record) = cells.get(slot) {
            if record.id == *id {
                return Some(slot);
            }
            slot = record.chain;
        }
        None
    }

    /// A record is found by its name, which has this hash, from now on.
    pub(super) fn enter(&mut self, cells: &mut Cells, slot: Slot, hash: u32) {
        let number = self.number(hash);
        let Some(bucket) = self.first.get_mut(number) else {
            return;
        };
        let first = core::mem::replace(bucket, slot);
        if let Some(record) = cells.get_mut(slot) {
            record.chain = first;
        }
    }

    /// It is found no more.
    pub(super) fn leave(&mut self, cells: &mut Cells, slot: Slot) {
        let Some((hash, after)) = cells.get(slot).map(|record| (record.hash, record.chain)) else {
            return;
        };
        let number = self.number(hash);
        let first = self.first(number);
        if first == slot {
            if let Some(bucket) = self.first.get_mut(number) {
                *bucket = after;
            }
            return;
        }
        let mut before = first;
        while let Some(record) = cells.get_mut(before) {
            if record.chain == slot {
                record.chain = after;
                return;
            }
            before = record.chain;
        }
    }

    /// Makes room for one more record than there are: at most one bucket is split.
    ///
    /// # Errors
    ///
    /// Out of memory.
    pub(super) fn grow(&mut self, cells: &mut Cells) -> Result {
        if self.first.len() > cells.len() {
            return Ok(());
        }
        if self.first.push(NONE)? == 0 {
            return Ok(());
        }
        let old = self.split;
        self.split = self.split.saturating_add(1);
        if self.split == self.base {
            self.base = self.base.saturating_mul(2);
            self.split = 0;
        }
        // What belongs into the new bucket was in the old one.
        let bucket = self.first.get_mut(old);
        let first = bucket.map_or(NONE, |bucket| core::mem::replace(bucket, NONE));
        self.enter_all(cells, first);
        Ok(())
    }

    /// A record has gone: if there are far more buckets than records, two become one.
    pub(super) fn shrink(&mut self, cells: &mut Cells) {
        let count = self.first.len();
        if count < 2 || count >> 1 <= cells.len() {
            return;
        }
        let Some(last) = self.first.pop() else {
            return;
        };
        if self.split == 0 {
            self.base >>= 1;
            self.split = self.base;
        }
        self.split = self.split.saturating_sub(1);
        // Those of the last one belong to the one from which they came.
        self.enter_all(cells, last);
    }

    /// Puts all records of a chain into the buckets to which they belong.
    fn enter_all(&mut self, cells: &mut Cells, mut slot: Slot) {
        while let Some(record) = cells.get(slot) {
            let (hash, next) = (record.hash, record.chain);
            self.enter(cells, slot, hash);
            slot = next;
        }
    }
}
