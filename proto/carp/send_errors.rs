// SPDX-License-Identifier: GPL-2.0

//! When a host that cannot send should step back, and when it may try again.
//!
//! As many errors in a row as all virtual hosts send in three rounds of one family
//! demote by 1 (`carp_send_ad` and its `CARP_SENDAD_MAX_ERRORS`). There are two ways
//! back:
//!
//! - as many successes in a row, as on OpenBSD, for a master whom nobody relieved;
//! - a trial: a backup sends nothing, and would never find out that it can send again.
//!   So the demotion is lifted some time after the last error. A host that fails again
//!   at once waits twice as long before the next trial.

use super::time::{Instant, Interval};

/// How long after the last error the first trial comes.
const FIRST_TRIAL: Interval = Interval::new(10, 0);

/// How often that time is doubled at most: to 320 s.
const DOUBLINGS_MAX: u32 = 5;

/// Counts what became of the advertisements of one interface: of all its virtual
/// hosts, in both families.
///
/// Not for what says nothing about the way out: that a unicast peer is down, or that
/// users' traffic fills a queue, is neither error nor success.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendErrors {
    phase: Phase,
    /// Results in a row, of the kind that ends the phase.
    run: u32,
    /// How often the time until a trial was doubled.
    doublings: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// Errors end it.
    #[default]
    Well,
    /// Demoted until successes end it, or the time has come.
    Demoted { trial: Instant },
    /// Not demoted, but only to see whether sending works now: errors end it, or as
    /// many successes, which are `proven` so far.
    Trial { proven: u32 },
}

impl SendErrors {
    /// An interface that has not failed yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            phase: Phase::Well,
            run: 0,
            doublings: 0,
        }
    }

    /// An advertisement was sent `now`, or could not be; the interface has `hosts`
    /// virtual hosts.
    ///
    /// Returns by what to [adjust](super::demotion::Counter::adjust) demotion, if
    /// at all.
    pub fn record(&mut self, now: Instant, sent: bool, hosts: u32) -> Option<i32> {
        let enough = hosts.max(1).saturating_mul(3);
        match (&mut self.phase, sent) {
            (Phase::Well, true) => {
                self.run = 0;
                None
            }
            (Phase::Trial { proven }, true) => {
                self.run = 0;
                *proven = proven.saturating_add(1);
                if *proven >= enough {
                    *self = Self::new();
                }
                None
            }
            (Phase::Well | Phase::Trial { .. }, false) => {
                self.run = self.run.saturating_add(1);
                if self.run < enough {
                    return None;
                }
                if let Phase::Trial { .. } = self.phase {
                    self.doublings = self.doublings.saturating_add(1).min(DOUBLINGS_MAX);
                }
                self.demoted(now);
                Some(1)
            }
            (Phase::Demoted { .. }, false) => {
                self.demoted(now);
                None
            }
            (Phase::Demoted { .. }, true) => {
                self.run = self.run.saturating_add(1);
                if self.run < enough {
                    return None;
                }
                *self = Self::new();
                Some(-1)
            }
        }
    }

    /// Whether [`Self::record`] wants to know of what was sent; else only of errors.
    #[must_use]
    pub const fn counts_successes(&self) -> bool {
        self.run != 0 || !matches!(self.phase, Phase::Well)
    }

    /// The last error was `now`.
    fn demoted(&mut self, now: Instant) {
        let trial = (0..self.doublings).fold(FIRST_TRIAL, |wait, _| wait.doubled());
        self.phase = Phase::Demoted {
            trial: now.after(trial),
        };
        self.run = 0;
    }

    /// When [`Self::expired`] is due; `None` if nothing is awaited.
    #[must_use]
    pub const fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Demoted { trial } => Some(trial),
            Phase::Well | Phase::Trial { .. } => None,
        }
    }

    /// [`Self::deadline`] may have passed. Returns by what to adjust demotion, if at
    /// all.
    pub fn expired(&mut self, now: Instant) -> Option<i32> {
        if self.deadline().is_none_or(|trial| trial > now) {
            return None;
        }
        self.phase = Phase::Trial { proven: 0 };
        self.run = 0;
        Some(-1)
    }

    /// Forgets everything, as when the interface gets another parent or is set down.
    /// Returns by what to adjust demotion, if at all.
    pub fn reset(&mut self) -> Option<i32> {
        let was = core::mem::take(self).phase;
        matches!(was, Phase::Demoted { .. }).then_some(-1)
    }
}
