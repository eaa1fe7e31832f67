// SPDX-License-Identifier: GPL-2.0

//! The states that an interface knows of: found by name, and in one list each of what
//! is still to be said of them.
//!
//! Records lie in chunks that never move, and refer to each other by number; so lists
//! through them need neither pointers nor memory of their own. The table of names
//! grows by one bucket for each record (linear hashing), for a table that is doubled
//! at once would keep softirqs busy for milliseconds.

use super::device::Newborn;
use crate::{
    linux::{siphash, state_table::Entry, watch::Watched},
    proto::pfsync::{
        defer::Ticket,
        id::StateId,
        pending::{Pending, Place, Step},
        state::Direction,
        time::Instant,
        twins::Use,
    },
};
use core::num::NonZeroU32;
use kernel::prelude::*;

/// The number of a record; one that was freed is given out again.
pub(super) type Slot = u32;

const NONE: Slot = u32::MAX;

/// Records in a chunk: some 6 KiB.
const CHUNK: usize = 32;

/// Buckets in a chunk: a page.
const BUCKETS: usize = 1024;

/// The lists, by [`Place`]; the last one is of those who await confirmation.
const LISTS: usize = 6;

/// An entry of the table. Packet paths lose sight of it before its count is given back:
/// then its memory may be that of another one.
pub(super) struct Live {
    /// What packet paths see.
    pub(super) watched: Watched<Newborn>,
    /// The entry itself.
    pub(super) entry: Entry,
}

/// A state.
pub(super) struct Record {
    /// Its name.
    pub(super) id: StateId,
    /// What is still to be said of it.
    pub(super) pending: Pending,
    /// What is there of it; nothing, if the other one of a pair has it, or when the table
    /// has forgotten it and only that is still to be said.
    pub(super) live: Option<Live>,
    /// Its first packet, if that is held.
    pub(super) ticket: Option<Ticket>,
    /// When it began; before that, if nobody knows.
    pub(super) born: Instant,
    /// When a peer last told of it, or this host found it by itself.
    pub(super) heard: Instant,
    /// Its [fingerprint](Entry::fingerprint) when it was told of last, or a peer told of it;
    /// nothing, if it was never.
    pub(super) told: Option<NonZeroU32>,
    /// TCP: updates are counted.
    pub(super) tcp: bool,
    /// Who was the last to see a packet of it; unless that is a peer, it is for this host
    /// to say when it is gone.
    pub(super) used: Use,
    /// It was made lenient about windows here, until its first packet.
    pub(super) lenient: bool,
    /// It was sent in answer to a bulk request, and is still to be confirmed.
    pub(super) in_bulk: bool,
    /// Which of pf's two states it is: see [`super::halves`].
    pub(super) direction: Direction,
    /// A peer told of it as pf does, of one side alone.
    pub(super) of_pf: bool,
    /// Its sequence numbers are not those of the other one of the two, which has them.
    pub(super) is_modulated: bool,
    /// The record of the other one of the two. One of them has what is in the table.
    other: Slot,
    next: Slot,
    previous: Slot,
    /// The next one in its bucket.
    chain: Slot,
    /// The hash of its name.
    hash: u32,
}

impl Record {
    /// A record that is in no list.
    pub(super) fn new(id: StateId, pending: Pending, live: Option<Live>) -> Self {
        Self {
            id,
            pending,
            live,
            ticket: None,
            born: Instant(0),
            heard: Instant(0),
            told: None,
            tcp: false,
            used: Use::Copy,
            lenient: false,
            in_bulk: false,
            direction: Direction::Any,
            of_pf: false,
            is_modulated: false,
            other: NONE,
            next: NONE,
            previous: NONE,
            chain: NONE,
            hash: 0,
        }
    }

    /// Whether it is this host's, not a copy of what a peer has told.
    pub(super) fn is_own(&self) -> bool {
        self.used != Use::Copy
    }

    /// Whether it is this host's, and still there.
    pub(super) fn is_in_use(&self) -> bool {
        let live = self.live.as_ref();
        self.is_own() && live.is_some_and(|live| live.entry.is_alive())
    }

    /// Whether the table has forgotten it.
    pub(super) fn is_gone(&self) -> bool {
        self.live.is_none() && self.other == NONE
    }

    /// The record of the other one of pf's two states of the same connection.
    pub(super) fn other(&self) -> Option<Slot> {
        (self.other != NONE).then_some(self.other)
    }
}

#[allow(clippy::large_enum_variant)] // in place is what they are for
enum Cell {
    Free(Slot),
    Used(Record),
}

#[derive(Clone, Copy)]
struct List {
    first: Slot,
    last: Slot,
    len: u32,
}

/// All states of an interface.
pub(super) struct Store {
    cells: KVec<KVec<Cell>>,
    free: Slot,
    len: u32,
    /// How many records are a second name of what another one has.
    pairs: u32,
    lists: [List; LISTS],
    names: Names,
}

impl Store {
    /// An empty one.
    pub(super) fn new() -> Self {
        Self {
            cells: KVec::new(),
            free: NONE,
            len: 0,
            pairs: 0,
            lists: [List {
                first: NONE,
                last: NONE,
                len: 0,
            }; LISTS],
            names: Names::new(),
        }
    }

    /// How many connections there are.
    pub(super) fn len(&self) -> u32 {
        self.len.saturating_sub(self.pairs)
    }

    /// The record that has what the table has of a state: that of its name, or of the
    /// other one of pf's two.
    pub(super) fn main(&self, slot: Slot) -> Slot {
        match self.get(slot) {
            Some(record) if record.live.is_none() => record.other().unwrap_or(slot),
            _ => slot,
        }
    }

    /// Makes two records a pair; neither is in one.
    pub(super) fn pair(&mut self, one: Slot, other: Slot) {
        if self.get(one).is_none() || self.get(other).is_none() {
            return;
        }
        for (slot, to) in [(one, other), (other, one)] {
            if let Some(record) = self.get_mut(slot) {
                record.other = to;
            }
        }
        self.pairs = self.pairs.saturating_add(1);
    }

    /// Ends it. The other one of the two, if there was one.
    pub(super) fn part(&mut self, slot: Slot) -> Option<Slot> {
        let other = self.get(slot)?.other()?;
        for slot in [slot, other] {
            if let Some(record) = self.get_mut(slot) {
                record.other = NONE;
            }
        }
        self.pairs = self.pairs.saturating_sub(1);
        Some(other)
    }

    /// No record has this number or a higher one.
    pub(super) fn end(&self) -> Slot {
        let chunks = self.cells.len();
        let last = self.cells.last().map_or(0, |chunk| chunk.len());
        let end = chunks
            .saturating_sub(1)
            .saturating_mul(CHUNK)
            .saturating_add(last);
        u32::try_from(end).unwrap_or(NONE)
    }

    /// The record of this number, if there is one.
    pub(super) fn get(&self, slot: Slot) -> Option<&Record> {
        let (chunk, place) = split(slot, CHUNK);
        match self.cells.get(chunk)?.get(place)? {
            Cell::Used(record) => Some(record),
            Cell::Free(_) => None,
        }
    }

    /// The same, to be changed.
    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut Record> {
        match self.cell(slot)? {
            Cell::Used(record) => Some(record),
            Cell::Free(_) => None,
        }
    }

    fn cell(&mut self, slot: Slot) -> Option<&mut Cell> {
        let (chunk, place) = split(slot, CHUNK);
        self.cells.get_mut(chunk)?.get_mut(place)
    }

    /// Takes a record in. Its name must be new.
    ///
    /// # Errors
    ///
    /// Out of memory; the record is dropped.
    pub(super) fn insert(&mut self, mut record: Record) -> Result<Slot> {
        self.names.grow(self.len, &mut self.cells)?;
        let hash = self.names.hash(&record.id);
        record.hash = hash;
        let slot = self.free;
        let slot = match self.cell(slot) {
            Some(cell) => {
                let next = match cell {
                    Cell::Free(next) => *next,
                    Cell::Used(_) => NONE,
                };
                *cell = Cell::Used(record);
                self.free = next;
                slot
            }
            None => self.append(record)?,
        };
        self.len = self.len.saturating_add(1);
        self.enter(slot, hash);
        Ok(slot)
    }

    fn append(&mut self, record: Record) -> Result<Slot> {
        if self.cells.last().is_none_or(|chunk| chunk.len() >= CHUNK) {
            let chunk = KVec::with_capacity(CHUNK, GFP_ATOMIC)?;
            self.cells.push(chunk, GFP_ATOMIC)?;
        }
        let slot = self.end();
        let chunk = self.cells.last_mut().ok_or(EINVAL)?;
        chunk.push(Cell::Used(record), GFP_ATOMIC)?;
        Ok(slot)
    }

    /// What the table has of a state now is what peers know; by a second name they hear
    /// but a part.
    pub(super) fn note_told(&mut self, slot: Slot) {
        if let Some(record) = self.get_mut(slot) {
            record.told = record.live.as_ref().and_then(|it| it.entry.fingerprint());
        }
    }

    /// Tells packet paths where the record is; `often` is
    /// [`Watched::set_slot`]'s.
    pub(super) fn set_slot(&self, slot: Slot, often: u32) {
        if let Some(live) = self.get(slot).and_then(|record| record.live.as_ref()) {
            live.watched.set_slot(slot, often);
        }
    }

    /// Takes a record out, of its list as well; it is in no pair.
    pub(super) fn remove(&mut self, slot: Slot) -> Option<Record> {
        let record = self.get(slot)?;
        let (hash, place) = (record.hash, record.pending.place());
        self.unlink(slot, place);
        self.leave(slot, hash);
        let free = self.free;
        let cell = self.cell(slot)?;
        let Cell::Used(record) = core::mem::replace(cell, Cell::Free(free)) else {
            return None;
        };
        self.free = slot;
        self.len = self.len.saturating_sub(1);
        Some(record)
    }

    /// The state of this name.
    pub(super) fn find(&self, id: &StateId) -> Option<Slot> {
        let mut slot = self.names.first(self.names.hash(id));
        while let Some(record) = self.get(slot) {
            if record.id == *id {
                return Some(slot);
            }
            slot = record.chain;
        }
        None
    }

    /// Gives a state another name, which must be new.
    pub(super) fn rename(&mut self, slot: Slot, id: StateId) {
        let Some(old) = self.get(slot).map(|record| record.hash) else {
            return;
        };
        self.leave(slot, old);
        let hash = self.names.hash(&id);
        if let Some(record) = self.get_mut(slot) {
            record.id = id;
            record.hash = hash;
        }
        self.enter(slot, hash);
    }

    fn enter(&mut self, slot: Slot, hash: u32) {
        let Some(bucket) = self.names.bucket(hash) else {
            return;
        };
        let first = core::mem::replace(bucket, slot);
        if let Some(record) = self.get_mut(slot) {
            record.chain = first;
        }
    }

    fn leave(&mut self, slot: Slot, hash: u32) {
        let after = self.get(slot).map_or(NONE, |record| record.chain);
        let first = self.names.first(hash);
        if first == slot {
            if let Some(bucket) = self.names.bucket(hash) {
                *bucket = after;
            }
            return;
        }
        let mut before = first;
        while let Some(record) = self.get_mut(before) {
            if record.chain == slot {
                record.chain = after;
                return;
            }
            before = record.chain;
        }
    }

    /// The record has taken a step: puts it into its new list.
    pub(super) fn moved(&mut self, slot: Slot, step: &Step) {
        if step.moves() {
            self.unlink(slot, step.from);
            self.link(slot, step.to);
        }
    }

    /// The first one in a list.
    pub(super) fn first(&self, place: Place) -> Option<Slot> {
        let first = self.lists.get(list(place)?)?.first;
        (first != NONE).then_some(first)
    }

    /// How many are in a list.
    pub(super) fn count(&self, place: Place) -> u32 {
        let list = list(place).and_then(|list| self.lists.get(list));
        list.map_or(0, |list| list.len)
    }

    fn link(&mut self, slot: Slot, place: Place) {
        let Some(list) = list(place).and_then(|list| self.lists.get_mut(list)) else {
            return;
        };
        let last = core::mem::replace(&mut list.last, slot);
        if last == NONE {
            list.first = slot;
        }
        list.len = list.len.saturating_add(1);
        if let Some(record) = self.get_mut(last) {
            record.next = slot;
        }
        if let Some(record) = self.get_mut(slot) {
            record.previous = last;
            record.next = NONE;
        }
    }

    fn unlink(&mut self, slot: Slot, place: Place) {
        let Some(number) = list(place) else {
            return;
        };
        let Some(record) = self.get(slot) else {
            return;
        };
        let (previous, next) = (record.previous, record.next);
        if let Some(record) = self.get_mut(previous) {
            record.next = next;
        }
        if let Some(record) = self.get_mut(next) {
            record.previous = previous;
        }
        if let Some(list) = self.lists.get_mut(number) {
            if previous == NONE {
                list.first = next;
            }
            if next == NONE {
                list.last = previous;
            }
            list.len = list.len.saturating_sub(1);
        }
    }
}

/// The list of a place; a state that has nothing to say is in none.
fn list(place: Place) -> Option<usize> {
    match place {
        Place::Nowhere => None,
        Place::Queued(queue) => Some(queue.number()),
        Place::Awaiting => Some(LISTS.saturating_sub(1)),
    }
}

fn split(number: u32, chunk: usize) -> (usize, usize) {
    let number = number as usize;
    (
        number.checked_div(chunk).unwrap_or(0),
        number.checked_rem(chunk).unwrap_or(0),
    )
}

/// The buckets in which records are found by name. Each holds the first of a chain
/// through [`Record::chain`].
struct Names {
    buckets: KVec<KVec<Slot>>,
    /// How many there are: `base` + `split`.
    count: u32,
    /// A power of two: buckets below `split` have been split in two already.
    base: u32,
    split: u32,
    /// So that no stranger can choose names that fall into one bucket.
    key: siphash::Key,
}

impl Names {
    fn new() -> Self {
        Self {
            buckets: KVec::new(),
            count: 0,
            base: 1,
            split: 0,
            key: siphash::Key::new(),
        }
    }

    fn hash(&self, id: &StateId) -> u32 {
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

    fn first(&self, hash: u32) -> Slot {
        let (chunk, place) = split(self.number(hash), BUCKETS);
        let bucket = self.buckets.get(chunk).and_then(|chunk| chunk.get(place));
        bucket.copied().unwrap_or(NONE)
    }

    fn bucket(&mut self, hash: u32) -> Option<&mut Slot> {
        let number = self.number(hash);
        self.at(number)
    }

    fn at(&mut self, number: u32) -> Option<&mut Slot> {
        let (chunk, place) = split(number, BUCKETS);
        self.buckets.get_mut(chunk)?.get_mut(place)
    }

    /// Makes room for one more than `len` records: at most one bucket is split.
    fn grow(&mut self, len: u32, cells: &mut KVec<KVec<Cell>>) -> Result {
        if self.count > len {
            return Ok(());
        }
        if self
            .buckets
            .last()
            .is_none_or(|chunk| chunk.len() >= BUCKETS)
        {
            let chunk = KVec::with_capacity(BUCKETS, GFP_ATOMIC)?;
            self.buckets.push(chunk, GFP_ATOMIC)?;
        }
        let chunk = self.buckets.last_mut().ok_or(EINVAL)?;
        chunk.push(NONE, GFP_ATOMIC)?;
        self.count = self.count.saturating_add(1);
        if self.count == 1 {
            return Ok(());
        }
        let (old, new) = (self.split, self.split.saturating_add(self.base));
        self.split = self.split.saturating_add(1);
        if self.split == self.base {
            self.base = self.base.saturating_mul(2);
            self.split = 0;
        }
        // What belongs into the new bucket was in the old one.
        let mut slot = self
            .at(old)
            .map_or(NONE, |bucket| core::mem::replace(bucket, NONE));
        loop {
            let (chunk, place) = split(slot, CHUNK);
            let cell = cells.get_mut(chunk).and_then(|chunk| chunk.get_mut(place));
            let Some(Cell::Used(record)) = cell else {
                break;
            };
            let next = record.chain;
            let number = self.number(record.hash);
            debug_assert!(number == old || number == new);
            if let Some(bucket) = self.at(number) {
                record.chain = core::mem::replace(bucket, slot);
            }
            slot = next;
        }
        Ok(())
    }
}
