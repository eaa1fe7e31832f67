// SPDX-License-Identifier: GPL-2.0

//! Where records lie: in chunks of a page, which never move. A chunk that is empty gives
//! its memory back, so that little is left of a flood.

use super::{paged::Paged, record::Record};
use crate::proto::pfsync::wheel::{Link, Links};
use kernel::{alloc::Flags, prelude::*};

/// The number of a record; one that was freed is given out again.
pub(super) type Slot = u32;

/// No record, no place, no chunk.
pub(super) const NONE: u32 = u32::MAX;

#[allow(clippy::large_enum_variant)] // in place is what they are for
enum Cell {
    /// The next one that is free in the same chunk.
    Free(u32),
    Used(Record),
}

/// Records in a chunk.
const CHUNK: u32 = Paged::<Cell>::IN_PAGE as u32;

/// A chunk; without memory while it is empty.
struct Chunk {
    cells: KVec<Cell>,
    used: u32,
    /// The first of its cells that is free again.
    free: u32,
    /// The next chunk that has room.
    next: u32,
}

/// All records.
pub(super) struct Cells {
    chunks: Paged<Chunk>,
    /// The first chunk that has room.
    room: u32,
    /// How many records there are.
    len: u32,
    /// How memory is asked for.
    flags: Flags,
}

#[inline]
fn split(slot: Slot) -> (u32, usize) {
    (slot / CHUNK, (slot % CHUNK) as usize)
}

impl Cells {
    /// None.
    pub(super) const fn new(flags: Flags) -> Self {
        Self {
            chunks: Paged::new(flags),
            room: NONE,
            len: 0,
            flags,
        }
    }

    /// How many records there are.
    pub(super) const fn len(&self) -> u32 {
        self.len
    }

    /// No record has this number or a higher one.
    pub(super) fn end(&self) -> Slot {
        self.chunks.len().saturating_mul(CHUNK)
    }

    /// The record of this number, if there is one.
    #[inline]
    pub(super) fn get(&self, slot: Slot) -> Option<&Record> {
        let (chunk, place) = split(slot);
        match self.chunks.get(chunk)?.cells.get(place)? {
            Cell::Used(record) => Some(record),
            Cell::Free(_) => None,
        }
    }

    /// The same, to be changed.
    #[inline]
    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut Record> {
        let (chunk, place) = split(slot);
        match self.chunks.get_mut(chunk)?.cells.get_mut(place)? {
            Cell::Used(record) => Some(record),
            Cell::Free(_) => None,
        }
    }

    /// Takes a record in.
    ///
    /// # Errors
    ///
    /// Out of memory; the record is dropped.
    pub(super) fn insert(&mut self, record: Record) -> Result<Slot> {
        if self.room == NONE {
            self.room = self.chunks.push(Chunk {
                cells: KVec::new(),
                used: 0,
                free: NONE,
                next: NONE,
            })?;
        }
        let number = self.room;
        let chunk = self.chunks.get_mut(number).ok_or(EINVAL)?;
        if chunk.cells.capacity() == 0 {
            chunk.cells.reserve(CHUNK as usize, self.flags)?;
        }
        let place = match chunk.cells.get_mut(chunk.free as usize) {
            Some(cell) => {
                let place = chunk.free;
                chunk.free = match cell {
                    Cell::Free(next) => *next,
                    Cell::Used(_) => NONE,
                };
                *cell = Cell::Used(record);
                place
            }
            None => {
                let place = chunk.cells.len() as u32;
                // There is room for it.
                chunk.cells.push(Cell::Used(record), self.flags)?;
                place
            }
        };
        chunk.used = chunk.used.saturating_add(1);
        if chunk.used >= CHUNK {
            self.room = chunk.next;
        }
        self.len = self.len.saturating_add(1);
        Ok(number.saturating_mul(CHUNK).saturating_add(place))
    }

    /// Takes a record out.
    pub(super) fn remove(&mut self, slot: Slot) -> Option<Record> {
        let (number, place) = split(slot);
        let room = self.room;
        let chunk = self.chunks.get_mut(number)?;
        let cell = chunk.cells.get_mut(place)?;
        if matches!(cell, Cell::Free(_)) {
            return None;
        }
        let Cell::Used(record) = core::mem::replace(cell, Cell::Free(chunk.free)) else {
            return None;
        };
        chunk.free = place as u32;
        if chunk.used >= CHUNK {
            chunk.next = room;
            self.room = number;
        }
        chunk.used = chunk.used.saturating_sub(1);
        if chunk.used == 0 {
            chunk.cells = KVec::new();
            chunk.free = NONE;
        }
        self.len = self.len.saturating_sub(1);
        Some(record)
    }
}

impl Links for Cells {
    fn link(&mut self, number: u32) -> Option<&mut Link> {
        Some(&mut self.get_mut(number)?.due)
    }
}
