// SPDX-License-Identifier: GPL-2.0

//! Sending all states to a peer that asked.
//!
//! [`BulkAnswer::next`] says what the driver is to do: [`Do::Start`], so that the peer
//! waits for this host; [`Do::WalkTable`], until it knows all that is in its table;
//! [`Do::States`], as many as fit into a frame and are allowed, until it has sent all
//! that it knows; then [`Do::End`].
//!
//! OpenBSD sends a frame every 20 ms, some 250 states a second, whatever the
//! peer could take. We count what is on its way: each state is to be confirmed
//! (see [`pending`](super::pending)), and each that is makes room for two more.
//! A peer that confirms nothing, because it knows the states or because it is
//! slow or gone, gets at least what OpenBSD would send. The END waits until
//! everything is confirmed or was sent often enough.
//!
//! START and END are said three times: a peer that misses both would wait for
//! half an hour, and one that misses START takes no END.

use super::pending::{ATTEMPTS, CONFIRM_WITHIN};
use super::time::{Instant, Millis};

/// States on their way at first.
const WINDOW_FIRST: u32 = 32;

/// What fits into a frame; for less none is sent.
const FRAME: u32 = 4;

/// At least: two frames.
const WINDOW_MIN: u32 = 8;

/// At most: 256 frames, of which a receiver's queue holds all (1,000 by default in
/// Linux).
const WINDOW_MAX: u32 = 1024;

/// How long nothing is confirmed until the states on their way no longer count, if the
/// peer confirms nothing: as often as OpenBSD sends.
const FORGET_AFTER: Millis = Millis(20);

/// The same, if it has confirmed states before: it may only be slow, and to send more
/// would make it slower.
const FORGET_SLOWLY: Millis = Millis(250);

/// How often the window is halved for what was lost: once for all that was on its way
/// at that time.
const HALVE_EVERY: Millis = Millis(250);

/// From one part of the table to the next.
const WALK_EVERY: Millis = Millis(1);

/// How often START is said while the table is walked: well within what a peer waits for
/// ([`QUIET_MAX`](super::bulk_request::QUIET_MAX)).
const START_EVERY: Millis = Millis(1000);

/// How much later a host begins that is asking for states itself: who asks takes the
/// first one that says START, and others have more.
const STAND_BACK: Millis = Millis(500);

/// How often START is said with states, and END.
const REPEATS: u8 = 3;

/// From one END to the next.
const REPEAT_EVERY: Millis = Millis(100);

/// How long to wait for confirmations at the end: until nothing is sent again.
pub const CONFIRMED_WITHIN: Millis =
    Millis(CONFIRM_WITHIN.0.saturating_mul(ATTEMPTS as u32)).plus(CONFIRM_WITHIN);

/// What to do; what is to be sent is in a frame of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Do {
    /// A frame of BUS START.
    Start,
    /// Look at the next part of the table for what is not known yet. Then call
    /// [`BulkAnswer::table_walked`].
    WalkTable,
    /// A frame of UPDs. Then call [`BulkAnswer::sent`],
    /// [`BulkAnswer::nothing_found`] if of many states none is to be sent, or
    /// [`BulkAnswer::walked`] if there were no more.
    States {
        /// So many at most.
        most: u32,
        /// Say BUS START first.
        start: bool,
    },
    /// A frame of BUS START and BUS END, in two sections.
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    /// Not all of the table is known yet.
    WalkingTable {
        next: Instant,
        start_at: Instant,
    },
    Walking {
        /// Nothing before that.
        pause: Option<Instant>,
    },
    /// All were sent; some may have to be sent again.
    Confirming {
        until: Instant,
    },
    Ending {
        next: Instant,
        left: u8,
    },
}

/// Sending all states, on one interface.
#[derive(Clone, Copy, Debug)]
pub struct BulkAnswer {
    phase: Phase,
    /// Somebody asked while we were at it.
    again: bool,
    starts: u8,
    window: u32,
    on_the_way: u32,
    forget_at: Instant,
    /// Whether the peer confirms anything at all.
    confirms: bool,
    halve_at: Instant,
}

impl Default for BulkAnswer {
    fn default() -> Self {
        Self::new()
    }
}

impl BulkAnswer {
    /// Nobody has asked yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            phase: Phase::Idle,
            again: false,
            starts: 0,
            window: WINDOW_FIRST,
            on_the_way: 0,
            forget_at: Instant(0),
            confirms: false,
            halve_at: Instant(0),
        }
    }

    fn forget_after(&self, now: Instant) -> Instant {
        match self.confirms {
            true => FORGET_SLOWLY.after(now),
            false => FORGET_AFTER.after(now),
        }
    }

    /// Whether states are being sent.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.phase != Phase::Idle
    }

    /// A peer asks for everything. `is_asking`: so does this host. Returns whether the
    /// driver is to begin, with the first part of the table and the first state.
    ///
    /// One who asks while we are at it may have missed the first states, or just
    /// the START: it gets that at once, and then the table once more.
    pub fn requested(&mut self, now: Instant, is_asking: bool) -> bool {
        self.starts = REPEATS;
        match &mut self.phase {
            Phase::WalkingTable { start_at, .. } => {
                *start_at = now.min(*start_at);
                self.again = true;
                false
            }
            Phase::Walking { .. } => {
                self.again = true;
                false
            }
            _ => {
                let at = match is_asking {
                    true => STAND_BACK.after(now),
                    false => now,
                };
                self.begin(at);
                true
            }
        }
    }

    /// What to do now; `None`: nothing until [`Self::deadline`].
    ///
    /// `unconfirmed` is how many of the states that were sent in answer are to be sent
    /// again, or in [`Place::Awaiting`](super::pending::Place::Awaiting). Others do not
    /// count: where connections come and go there are always some, and the END would
    /// never come.
    pub fn next(&mut self, now: Instant, unconfirmed: usize) -> Option<Do> {
        if let Phase::Confirming { until } = self.phase {
            if unconfirmed > 0 && now < until {
                return None;
            }
            self.phase = Phase::Ending {
                next: now,
                left: REPEATS,
            };
        }
        match self.phase {
            Phase::Idle | Phase::Confirming { .. } => None,
            Phase::WalkingTable { next, .. } if now < next => None,
            Phase::WalkingTable { next, start_at } if now >= start_at => {
                self.phase = Phase::WalkingTable {
                    next,
                    start_at: START_EVERY.after(now),
                };
                Some(Do::Start)
            }
            Phase::WalkingTable { .. } => Some(Do::WalkTable),
            Phase::Walking { pause } => {
                if pause.is_some_and(|pause| now < pause) {
                    return None;
                }
                self.phase = Phase::Walking { pause: None };
                if self.window.saturating_sub(self.on_the_way) < FRAME {
                    if now < self.forget_at {
                        return None;
                    }
                    self.on_the_way = 0;
                    self.window = (self.window / 2).max(WINDOW_MIN);
                }
                Some(Do::States {
                    most: self.window.saturating_sub(self.on_the_way),
                    start: self.starts > 0,
                })
            }
            Phase::Ending { next, left } => {
                if now < next {
                    return None;
                }
                self.phase = match left {
                    0 | 1 => Phase::Idle,
                    _ => Phase::Ending {
                        next: REPEAT_EVERY.after(now),
                        left: left.saturating_sub(1),
                    },
                };
                Some(Do::End)
            }
        }
    }

    /// When to ask [`Self::next`] again, if nothing else happens before.
    #[must_use]
    pub const fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Idle => None,
            Phase::WalkingTable { next, .. } => Some(next),
            Phase::Walking { pause: None } => Some(self.forget_at),
            Phase::Walking { pause } => pause,
            Phase::Confirming { until } => Some(until),
            Phase::Ending { next, .. } => Some(next),
        }
    }

    /// A part of the table was looked at. `more`: it was not the last one.
    pub fn table_walked(&mut self, now: Instant, more: bool) {
        let Phase::WalkingTable { next, .. } = &mut self.phase else {
            return;
        };
        if more {
            *next = WALK_EVERY.after(now);
            return;
        }
        self.phase = Phase::Walking { pause: None };
        self.on_the_way = 0;
        self.window = WINDOW_FIRST;
        self.confirms = false;
        self.forget_at = self.forget_after(now);
    }

    /// A frame of so many states was sent.
    pub fn sent(&mut self, now: Instant, states: u32) {
        self.starts = self.starts.saturating_sub(1);
        self.on_the_way = self.on_the_way.saturating_add(states);
        self.forget_at = self.forget_after(now);
    }

    /// Many states were looked at, and none of them is to be sent. The rest comes after a
    /// moment: others wait meanwhile.
    pub fn nothing_found(&mut self, now: Instant) {
        if let Phase::Walking { pause } = &mut self.phase {
            *pause = Some(WALK_EVERY.after(now));
        }
    }

    /// One of the states was confirmed.
    pub fn confirmed(&mut self, now: Instant) {
        self.confirms = true;
        self.on_the_way = self.on_the_way.saturating_sub(1);
        self.window = self.window.saturating_add(1).min(WINDOW_MAX);
        self.forget_at = self.forget_after(now);
        // As long as it goes on, it is worth waiting.
        if let Phase::Confirming { until } = &mut self.phase {
            *until = CONFIRMED_WITHIN.after(now);
        }
    }

    /// A state was not confirmed in time and is sent again: what is on its way is too
    /// much for somebody.
    pub fn lost(&mut self, now: Instant) {
        if now >= self.halve_at {
            self.halve_at = HALVE_EVERY.after(now);
            self.window = (self.window / 2).max(WINDOW_MIN);
        }
    }

    /// All states were sent. Returns whether the driver is to begin once more, with the
    /// first part of the table and the first state.
    pub fn walked(&mut self, now: Instant) -> bool {
        if !matches!(self.phase, Phase::Walking { .. }) {
            return false;
        }
        if self.again {
            self.begin(now);
            return true;
        }
        self.phase = Phase::Confirming {
            until: CONFIRMED_WITHIN.after(now),
        };
        false
    }

    /// The interface goes down, or has no link.
    pub fn stop(&mut self) {
        *self = Self::new();
    }

    fn begin(&mut self, at: Instant) {
        self.again = false;
        self.phase = Phase::WalkingTable {
            next: at,
            start_at: at,
        };
    }
}
