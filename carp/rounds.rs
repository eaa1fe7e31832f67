// SPDX-License-Identifier: GPL-2.0

//! Work that never runs on two CPUs at once, nor inside itself.

use kernel::sync::atomic::{Atomic, Full};

/// Work that runs in rounds: if somebody asks for it while it runs, on any CPU or from
/// within the work itself, it runs once more afterwards.
pub(super) struct Rounds(Atomic<u32>);

impl Rounds {
    const IDLE: u32 = 0;
    const WANTED: u32 = 1;
    const BUSY: u32 = 2;
    const AGAIN: u32 = 3;

    /// No work is running or wanted.
    pub(super) const fn new() -> Self {
        Self(Atomic::new(Self::IDLE))
    }

    /// Runs the work. If it is running already, whoever runs it does so once more. Any
    /// context.
    pub(super) fn run(&self, work: impl Fn()) {
        // Full ordering: the work sees everything that its caller wrote before asking for
        // it.
        if matches!(self.0.xchg(Self::AGAIN, Full), Self::IDLE | Self::WANTED) {
            self.run_rounds(work);
        }
    }

    /// Asks for the work without running it: the next [`Self::run_wanted`] or
    /// [`Self::run`] does. Any context.
    pub(super) fn want(&self) {
        let mut old = Self::IDLE;
        loop {
            let new = match old {
                Self::IDLE => Self::WANTED,
                Self::BUSY => Self::AGAIN,
                // Another round is already to come.
                _ => return,
            };
            match self.0.cmpxchg(old, new, Full) {
                Ok(_) => return,
                Err(now) => old = now,
            }
        }
    }

    /// Runs the work if [`Self::want`] has asked for it and nobody has run it since. Any
    /// context.
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
