// SPDX-License-Identifier: GPL-2.0

//! Where records lie: in chunks of a page, which never move. A chunk that is empty gives
//! its memory back, so that little is left of a flood.

use super::{
    paged::{Paged, PAGE},
    record::Record,
};
use crate::{
    linux::bug::warn_on_once,
    proto::pfsync::wheel::{Link, Links},
};
use kernel::{alloc::Flags, prelude::*};

/// The number of a record; one that was freed is given out again.
pub(super) type Slot = u32;

/// No record, no chunk.
pub(super) const NONE: u32 = u32::MAX;

#[allow(clippy::large_enum_variant)] // in place is what they are for
enum Cell {
    /// The next one that is free in the same chunk.
    Free(u16),
    Used(Record),
}

/// Records in a chunk: as many as fit into a page.
const CHUNK: u16 = (PAGE / size_of::<Cell>()) as u16;

/// Bits of the number of a record in its chunk. Not all numbers are in use.
const BITS: u32 = CHUNK.next_power_of_two().ilog2();

/// No place.
const FULL: u16 = u16::MAX;

/// A chunk; without memory while it is empty.
struct Chunk {
    cells: KVec<Cell>,
    /// The next chunk that has room.
    next: u32,
    used: u16,
    /// The first of its cells that is free again.
    free: u16,
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
    (slot >> BITS, (slot & ((1 << BITS) - 1)) as usize)
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
        self.chunks.len() << BITS
    }

    /// How many chunks there are.
    pub(super) const fn chunks(&self) -> u32 {
        self.chunks.len()
    }

    /// The first number of the next chunk.
    pub(super) const fn next_chunk(slot: Slot) -> Slot {
        (slot >> BITS).saturating_add(1) << BITS
    }

    /// The number after this one, past a chunk that is empty.
    pub(super) fn next(&self, slot: Slot) -> Slot {
        let (chunk, place) = split(slot);
        let is_last = place >= usize::from(CHUNK).saturating_sub(1);
        match self.chunks.get(chunk) {
            Some(chunk) if chunk.used > 0 && !is_last => slot.saturating_add(1),
            _ => Self::next_chunk(slot),
        }
    }

    /// The records from this number on that lie in its chunk.
    #[inline]
    pub(super) fn in_chunk(&self, slot: Slot) -> impl Iterator<Item = (Slot, &Record)> {
        let (chunk, place) = split(slot);
        let cells = self.chunks.get(chunk).and_then(|it| it.cells.get(place..));
        let cells = (slot..).zip(cells.unwrap_or_default());
        cells.filter_map(|(slot, cell)| match cell {
            Cell::Used(record) => Some((slot, record)),
            Cell::Free(_) => None,
        })
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
                next: NONE,
                used: 0,
                free: FULL,
            })?;
        }
        let number = self.room;
        let chunk = self.chunks.get_mut(number).ok_or(EINVAL)?;
        if chunk.cells.capacity() == 0 {
            chunk.cells.reserve(usize::from(CHUNK), self.flags)?;
        }
        let place = match chunk.cells.get_mut(usize::from(chunk.free)) {
            Some(cell) => {
                let place = chunk.free;
                chunk.free = match cell {
                    Cell::Free(next) => *next,
                    Cell::Used(_) => FULL,
                };
                *cell = Cell::Used(record);
                place
            }
            None => {
                let place = chunk.cells.len() as u16;
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
        Ok(number << BITS | u32::from(place))
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
        chunk.free = place as u16;
        if chunk.used >= CHUNK {
            chunk.next = room;
            self.room = number;
        }
        warn_on_once!(chunk.used == 0);
        chunk.used = chunk.used.saturating_sub(1);
        if chunk.used == 0 {
            chunk.cells = KVec::new();
            chunk.free = FULL;
        }
        warn_on_once!(self.len == 0);
        self.len = self.len.saturating_sub(1);
        Some(record)
    }
}

impl Links for Cells {
    fn link(&mut self, number: u32) -> Option<&mut Link> {
        Some(&mut self.get_mut(number)?.due)
    }
}
