// SPDX-License-Identifier: GPL-2.0

//! Work that is done in rounds.

use kernel::sync::atomic::{Atomic, Full};

/// Work that is done in rounds: who asks for it while it goes on, on whatever processor,
/// or from within it, has it done once more.
pub(super) struct Rounds(Atomic<u32>);

impl Rounds {
    const IDLE: u32 = 0;
    const WANTED: u32 = 1;
    const BUSY: u32 = 2;
    const AGAIN: u32 = 3;

    /// Nothing goes on.
    pub(super) const fn new() -> Self {
        Self(Atomic::new(Self::IDLE))
    }

    /// Does the work, or leaves it to whoever is at it. Any context.
    pub(super) fn run(&self, work: impl Fn()) {
        // Full ordering: the work that follows sees why it was asked for.
        if matches!(self.0.xchg(Self::AGAIN, Full), Self::IDLE | Self::WANTED) {
            self.run_rounds(work);
        }
    }

    /// Has the work done by the next [`Self::run_wanted`], or [`Self::run`]. Any context.
    pub(super) fn want(&self) {
        let mut old = Self::IDLE;
        loop {
            let new = match old {
                Self::IDLE => Self::WANTED,
                Self::BUSY => Self::AGAIN,
                // It is yet to begin.
                _ => return,
            };
            match self.0.cmpxchg(old, new, Full) {
                Ok(_) => return,
                Err(now) => old = now,
            }
        }
    }

    /// Does the work if [`Self::want`] was the last to ask for it. Any context.
    pub(super) fn run_wanted(&self, work: impl Fn()) {
        if self.0.cmpxchg(Self::WANTED, Self::AGAIN, Full).is_ok() {
            self.run_rounds(work);
        }
    }

    fn run_rounds(&self, work: impl Fn()) {
        loop {
            self.0.xchg(Self::BUSY, Full);
            work();
            if self.0.cmpxchg(Self::BUSY, Self::IDLE, Full).is_ok() {
                return;
            }
        }
    }
}
