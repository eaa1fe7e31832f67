// SPDX-License-Identifier: GPL-2.0

//! A vector that grows page by page: softirqs get no larger piece of memory for sure, and
//! copying a large one would keep them busy for milliseconds.

use kernel::{alloc::Flags, prelude::*};

/// The bytes of a page, on any machine that there is.
pub(super) const PAGE: usize = 4096;

/// Values by number, in pages of values, in pages of pages.
pub(super) struct Paged<T> {
    /// Some bytes for each 128 pages of pages: less than a page for millions of pages.
    pages: KVec<KVec<KVec<T>>>,
    len: u32,
    /// How memory is asked for.
    flags: Flags,
}

impl<T> Paged<T> {
    /// Bits of the number of a value in its page, and of that of a page in its own: powers of
    /// two, for what is found by its bits is found sooner.
    const VALUES: u32 = (PAGE / size_of::<T>()).ilog2();
    const PAGES: u32 = (PAGE / size_of::<KVec<T>>()).ilog2();

    pub(super) const fn new(flags: Flags) -> Self {
        Self {
            pages: KVec::new(),
            len: 0,
            flags,
        }
    }

    /// How many there are.
    pub(super) const fn len(&self) -> u32 {
        self.len
    }

    #[inline]
    fn place(number: u32) -> [usize; 3] {
        let page = number >> Self::VALUES;
        [
            (page >> Self::PAGES) as usize,
            (page & ((1 << Self::PAGES) - 1)) as usize,
            (number & ((1 << Self::VALUES) - 1)) as usize,
        ]
    }

    /// The value of this number.
    #[inline]
    pub(super) fn get(&self, number: u32) -> Option<&T> {
        let [first, second, third] = Self::place(number);
        self.pages.get(first)?.get(second)?.get(third)
    }

    /// The same, to be changed.
    #[inline]
    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        let [first, second, third] = Self::place(number);
        self.pages.get_mut(first)?.get_mut(second)?.get_mut(third)
    }

    /// Puts a value at the end. Its number.
    ///
    /// # Errors
    ///
    /// Out of memory.
    pub(super) fn push(&mut self, value: T) -> Result<u32> {
        let number = self.len;
        let [first, second, third] = Self::place(number);
        if self.pages.len() <= first {
            let pages = KVec::with_capacity(1 << Self::PAGES, self.flags)?;
            self.pages.push(pages, self.flags)?;
        }
        let pages = self.pages.get_mut(first).ok_or(EINVAL)?;
        if pages.len() <= second {
            let page = KVec::with_capacity(1 << Self::VALUES, self.flags)?;
            // There is room for it.
            pages.push(page, self.flags)?;
        }
        let page = pages.get_mut(second).ok_or(EINVAL)?;
        debug_assert!(page.len() == third);
        page.push(value, self.flags)?;
        self.len = number.saturating_add(1);
        Ok(number)
    }

    /// Takes the last one away, and a page that is empty then.
    pub(super) fn pop(&mut self) -> Option<T> {
        let number = self.len.checked_sub(1)?;
        let [first, second, _] = Self::place(number);
        let pages = self.pages.get_mut(first)?;
        let page = pages.get_mut(second)?;
        let value = page.pop()?;
        if page.is_empty() {
            pages.pop();
        }
        if pages.is_empty() {
            self.pages.pop();
        }
        self.len = number;
        Some(value)
    }
}
