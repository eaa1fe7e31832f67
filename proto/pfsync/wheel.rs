// SPDX-License-Identifier: GPL-2.0

//! When to look at which state again, of very many.
//!
//! An entry of the table ends when it was told to, or later: so nobody needs to look at
//! it before. Each state is in a list of the second in which that is; seconds that are
//! more than a minute away share a list, 64 of them one, and those that are more than an
//! hour away the last one. Who takes a state out of such a list looks at it too early,
//! and puts it where it belongs then. So nothing has to be moved meanwhile, and every
//! step costs the same, however many states there are.
//!
//! Times are in seconds of a clock that only goes on.

/// Lists of single seconds, and lists of 64 seconds.
const LISTS: usize = 64;

/// Seconds that share a list, if they are far away.
const FAR: u32 = 64;

/// The farthest that there are lists for.
const HORIZON: u32 = 62 * FAR;

/// No state.
pub const NONE: u32 = u32::MAX;

/// What each state keeps for the wheel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    next: u32,
    previous: u32,
    /// When to look at it.
    at: u32,
    /// The list that it is in.
    list: Option<u8>,
}

impl Link {
    /// Of a state that nobody is to look at.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            next: NONE,
            previous: NONE,
            at: 0,
            list: None,
        }
    }

    /// When somebody is to look at it; nothing, if nobody is.
    #[must_use]
    pub const fn at(&self) -> Option<u32> {
        match self.list {
            Some(_) => Some(self.at),
            None => None,
        }
    }
}

impl Default for Link {
    fn default() -> Self {
        Self::new()
    }
}

/// Where the states are, by number.
pub trait Links {
    /// What the state of this number keeps for the wheel, if there is one.
    fn link(&mut self, number: u32) -> Option<&mut Link>;
}

/// The lists.
#[derive(Clone, Debug)]
pub struct Wheel {
    /// The first of each: those of single seconds, then those of 64.
    first: [u32; 2 * LISTS],
    /// The second whose list is emptied next.
    now: u32,
}

impl Wheel {
    /// An empty one that begins at this second.
    #[must_use]
    pub const fn new(now: u32) -> Self {
        Self {
            first: [NONE; 2 * LISTS],
            now,
        }
    }

    fn list_of(&self, at: u32) -> u8 {
        let at = at.clamp(self.now, self.now.saturating_add(HORIZON));
        match at.wrapping_sub(self.now) < FAR {
            true => (at % FAR) as u8,
            // the sum is less than 128
            false => ((at / FAR) % FAR).wrapping_add(FAR) as u8,
        }
    }

    /// Somebody is to look at a state at this second, and not when it was to be before.
    pub fn set(&mut self, links: &mut impl Links, number: u32, at: u32) {
        self.remove(links, number);
        let list = self.list_of(at);
        let Some(first) = self.first.get_mut(usize::from(list)) else {
            return;
        };
        let Some(link) = links.link(number) else {
            return;
        };
        let next = core::mem::replace(first, number);
        *link = Link {
            next,
            previous: NONE,
            at,
            list: Some(list),
        };
        if let Some(next) = links.link(next) {
            next.previous = number;
        }
    }

    /// The same, unless that was to be before anyway.
    pub fn sooner(&mut self, links: &mut impl Links, number: u32, at: u32) {
        let is_before = |known: u32| known <= at;
        let known = links.link(number).and_then(|link| link.at());
        if !known.is_some_and(is_before) {
            self.set(links, number, at);
        }
    }

    /// Nobody is to look at it.
    pub fn remove(&mut self, links: &mut impl Links, number: u32) {
        let Some(link) = links.link(number) else {
            return;
        };
        let Some(list) = link.list.take() else {
            return;
        };
        let (next, previous) = (link.next, link.previous);
        match links.link(previous) {
            Some(previous) => previous.next = next,
            None => {
                if let Some(first) = self.first.get_mut(usize::from(list)) {
                    *first = next;
                }
            }
        }
        if let Some(next) = links.link(next) {
            next.previous = previous;
        }
    }

    /// The next state to be looked at; who does that says when to look again. Nothing: no
    /// more in this second.
    pub fn pop(&mut self, links: &mut impl Links, now: u32) -> Option<u32> {
        loop {
            let near = self.now % FAR;
            let is_first_of_far = near == 0;
            let far = is_first_of_far.then_some(((self.now / FAR) % FAR).wrapping_add(FAR));
            for list in [Some(near), far].into_iter().flatten() {
                let first = self.first.get(list as usize).copied().unwrap_or(NONE);
                if first != NONE {
                    self.remove(links, first);
                    return Some(first);
                }
            }
            if self.now >= now {
                return None;
            }
            self.now = self.now.saturating_add(1);
        }
    }
}
