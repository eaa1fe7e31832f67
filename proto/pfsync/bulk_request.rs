// SPDX-License-Identifier: GPL-2.0

//! Getting all states of the peers, and standing back until they are here.
//!
//! ```text
//!            up, no link          link                START
//!   Idle ────────────▶ NoLink ────────▶ Asking ─────────────▶ Receiving
//!    ▲                   │ 30 s          │ 24 s or more, END     │ END
//!    └───────────────────┴───────────────┴──────────────────────┘
//!                                        ▲     too long, quiet  │
//!                                        └──────────────────────┘ once
//! ```
//!
//! A host that has just started would, as master, cut all connections that it
//! does not know. So its groups are demoted until it knows them. Whatever is
//! lost, that must end: each phase has a deadline, and so has the whole.
//!
//! A switch with spanning tree lets nothing through for 30 s after the link came up. So who
//! has heard nobody since then asks for longer; OpenBSD does not.
//!
//! OpenBSD waits for a lost END as long as the largest table could take, by
//! default 1,600 s. We ask again as soon as nothing has come for a while.
//!
//! Source: `pfsync_request_full_update`, `pfsync_in_bus`, `pfsync_bulk_fail`,
//! `pfsync_syncdev_state`.

use super::id::Creator;
use super::time::{Instant, Millis};

/// By how much groups are demoted until all states are here.
pub const DEMOTION: i32 = 32;

/// By how much while the syncdev has no link.
pub const LINK_DEMOTION: i32 = 1;

/// How long to wait for link.
pub const LINK_WITHIN: Millis = Millis(30_000);

/// How often to ask.
pub const REQUESTS: u8 = 12;

/// How long to ask while no peer was heard at all since the link came up, unless the
/// administrator says otherwise: twice the forward delay of IEEE 802.1D, and some.
pub const PEER_WITHIN: Millis = Millis(40_000);

/// How often, after a bulk update that did not end.
pub const REQUESTS_AGAIN: u8 = 3;

/// From one request to the next, and from the last to giving up.
pub const REQUEST_EVERY: Millis = Millis(2000);

/// How long it may be quiet during a bulk update. OpenBSD sends a frame every
/// 20 ms.
pub const QUIET_MAX: Millis = Millis(10_000);

/// How long a bulk update may take: four times as long as OpenBSD needs for a
/// full table, at 50 frames a second.
#[must_use]
pub const fn bulk_within(state_limit: u32, states_per_frame: u32) -> Millis {
    let frames = match state_limit.checked_div(states_per_frame) {
        Some(frames) => frames,
        None => state_limit,
    };
    let seconds = (frames / 50).saturating_mul(4);
    // A small table is no reason to give up before the first frame.
    Millis::from_secs(if seconds < 4 { 4 } else { seconds })
}

/// What is to be done after an event, in the order of the fields.
#[must_use = "a demotion that is not carried out is not taken back either"]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// To be added to the demotion of the groups: ±[`DEMOTION`] or 0.
    pub demote: i32,
    /// Likewise, for want of link: ±[`LINK_DEMOTION`] or 0.
    pub demote_for_link: i32,
    /// Send an UPD_REQ for everything, in a frame of its own.
    pub request: bool,
    /// It is over.
    pub ending: Option<Ending>,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// All states are here, so a peer says.
    Complete,
    /// There was no link.
    NoLink,
    /// Nobody answered.
    NoAnswer,
    /// A peer began, twice, and never came to an end.
    Incomplete,
}

impl Ending {
    /// How it ended, in words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "received a full update",
            Self::NoLink => "no link, going on without peers",
            Self::NoAnswer => "no peer answered, going on without",
            Self::Incomplete => "a full update did not end, going on",
        }
    }
}

/// How far a request has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Progress {
    /// There is none, or not any more.
    Done,
    /// It waits for link.
    NoLink,
    /// Nobody has answered yet.
    Asking,
    /// States are coming in.
    Receiving,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    NoLink {
        until: Instant,
    },
    Asking {
        next: Instant,
        left: u8,
        again: bool,
    },
    Receiving {
        /// Who said START: only that host's END counts.
        from: Creator,
        until: Instant,
        quiet: Instant,
        again: bool,
    },
}

/// Asking for all states, on one interface.
#[derive(Clone, Copy, Debug)]
pub struct BulkRequest {
    within: Millis,
    peer_within: Millis,
    is_up: bool,
    has_link: bool,
    phase: Phase,
    /// Until then a peer may be out of reach; `None`: one was heard since the link came up.
    alone_until: Option<Instant>,
    /// When the demotion is taken back in any case; `None`: there is none.
    demoted_until: Option<Instant>,
    link_demoted: bool,
}

impl BulkRequest {
    /// For an interface that is down. `within` is how long a bulk update may
    /// take, see [`bulk_within`]; `peer_within` how long to wait for a first peer, see
    /// [`PEER_WITHIN`].
    #[must_use]
    pub const fn new(within: Millis, peer_within: Millis, has_link: bool) -> Self {
        Self {
            within,
            peer_within,
            is_up: false,
            has_link,
            phase: Phase::Idle,
            alone_until: None,
            demoted_until: None,
            link_demoted: false,
        }
    }

    /// The longest that groups can stay demoted.
    #[must_use]
    pub const fn longest(within: Millis, peer_within: Millis) -> Millis {
        let asking = Millis(REQUEST_EVERY.0.saturating_mul(REQUESTS as u32));
        let asking_again = Millis(REQUEST_EVERY.0.saturating_mul(REQUESTS_AGAIN as u32));
        let alone = peer_within.plus(REQUEST_EVERY).plus(asking_again);
        let asking = if asking.0 < alone.0 { alone } else { asking };
        LINK_WITHIN
            .plus(asking)
            .plus(within)
            .plus(asking_again)
            .plus(within)
    }

    /// How far it has got.
    #[must_use]
    pub const fn progress(&self) -> Progress {
        match self.phase {
            Phase::Idle => Progress::Done,
            Phase::NoLink { .. } => Progress::NoLink,
            Phase::Asking { .. } => Progress::Asking,
            Phase::Receiving { .. } => Progress::Receiving,
        }
    }

    /// When to call [`Self::timer`].
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let phase = match self.phase {
            Phase::Idle => None,
            Phase::NoLink { until } => Some(until),
            Phase::Asking { next, .. } => Some(next),
            Phase::Receiving { until, quiet, .. } => Some(until.min(quiet)),
        };
        match (phase, self.demoted_until) {
            (Some(phase), Some(until)) => Some(phase.min(until)),
            (phase, until) => phase.or(until),
        }
    }

    /// The interface goes up.
    pub fn up(&mut self, now: Instant) -> Effects {
        if self.is_up {
            return Effects::default();
        }
        self.is_up = true;
        self.demoted_until = Some(Self::longest(self.within, self.peer_within).after(now));
        let effects = Effects {
            demote: DEMOTION,
            ..Effects::default()
        };
        match self.has_link {
            true => self.begin(now, effects),
            false => self.lose_link(now, effects),
        }
    }

    /// The interface goes down.
    pub fn down(&mut self) -> Effects {
        self.is_up = false;
        self.phase = Phase::Idle;
        let effects = self.regain_link(Effects::default());
        self.promote(effects)
    }

    /// The syncdev has link, or has none any more.
    ///
    /// Where link comes late, states may have been missed. Then this host asks
    /// again, but is not demoted for it: it may be the one that served.
    pub fn link(&mut self, now: Instant, has_link: bool) -> Effects {
        if self.has_link == has_link {
            return Effects::default();
        }
        self.has_link = has_link;
        if !self.is_up {
            return Effects::default();
        }
        let effects = self.expire(now);
        match has_link {
            true => {
                let effects = self.regain_link(effects);
                self.begin(now, effects)
            }
            false => self.lose_link(now, effects),
        }
    }

    /// The peer `from` begins: BUS START.
    pub fn started(&mut self, now: Instant, from: Creator) -> Effects {
        match self.phase {
            Phase::Asking { again, .. } => {
                self.phase = Phase::Receiving {
                    from,
                    until: self.within.after(now),
                    quiet: QUIET_MAX.after(now),
                    again,
                };
            }
            // Another one, or the same again: no new time, lest this never end.
            _ => self.keep_waiting(now),
        }
        self.expire(now)
    }

    /// The peer `from` has sent all: BUS END. One that has no states says this alone.
    /// While one peer sends its states, another one's END is about other states; OpenBSD
    /// takes anybody's.
    pub fn ended(&mut self, now: Instant, from: Creator) -> Effects {
        let effects = self.expire(now);
        let counts = match self.phase {
            Phase::Asking { .. } => true,
            Phase::Receiving { from: begun, .. } => begun == from,
            Phase::Idle | Phase::NoLink { .. } => false,
        };
        match counts {
            true => self.finish(Ending::Complete, effects),
            false => effects,
        }
    }

    /// A frame of a peer came in, whatever it says. Who had heard nobody before asks some
    /// times more: the peer may not have heard a request yet either.
    pub fn peer_heard(&mut self) {
        if self.alone_until.take().is_some() {
            if let Phase::Asking { left, .. } = &mut self.phase {
                *left = (*left).max(REQUESTS_AGAIN);
            }
        }
    }

    /// A whole state came in: UPD or INS.
    pub fn heard(&mut self, now: Instant) {
        self.keep_waiting(now);
    }

    /// [`Self::deadline`] may have passed.
    pub fn timer(&mut self, now: Instant) -> Effects {
        let effects = self.expire(now);
        match self.phase {
            Phase::NoLink { until } if now >= until => self.finish(Ending::NoLink, effects),
            Phase::Asking { next, left, again } if now >= next => match (left, again) {
                (0, false) => match self.alone_until {
                    Some(until) if now < until => self.ask(now, left, again, effects),
                    _ => self.finish(Ending::NoAnswer, effects),
                },
                (0, true) => self.finish(Ending::Incomplete, effects),
                _ => self.ask(now, left, again, effects),
            },
            Phase::Receiving {
                until,
                quiet,
                again,
                ..
            } if now >= until.min(quiet) => match again {
                true => self.finish(Ending::Incomplete, effects),
                false => self.ask(now, REQUESTS_AGAIN, true, effects),
            },
            _ => effects,
        }
    }

    /// Asks for the first time since there is link.
    fn begin(&mut self, now: Instant, effects: Effects) -> Effects {
        self.alone_until = Some(self.peer_within.after(now));
        self.ask(now, REQUESTS, false, effects)
    }

    /// Asks, with `left` requests, this one included.
    fn ask(&mut self, now: Instant, left: u8, again: bool, effects: Effects) -> Effects {
        self.phase = Phase::Asking {
            next: REQUEST_EVERY.after(now),
            left: left.saturating_sub(1),
            again,
        };
        Effects {
            request: true,
            ..effects
        }
    }

    fn keep_waiting(&mut self, now: Instant) {
        if let Phase::Receiving { quiet, .. } = &mut self.phase {
            *quiet = QUIET_MAX.after(now);
        }
    }

    fn lose_link(&mut self, now: Instant, mut effects: Effects) -> Effects {
        self.phase = match self.demoted_until {
            Some(_) => Phase::NoLink {
                until: LINK_WITHIN.after(now),
            },
            None => Phase::Idle,
        };
        if !self.link_demoted {
            self.link_demoted = true;
            effects.demote_for_link = LINK_DEMOTION;
        }
        effects
    }

    fn regain_link(&mut self, mut effects: Effects) -> Effects {
        if self.link_demoted {
            self.link_demoted = false;
            effects.demote_for_link = LINK_DEMOTION.saturating_neg();
        }
        effects
    }

    fn finish(&mut self, ending: Ending, effects: Effects) -> Effects {
        self.phase = Phase::Idle;
        Effects {
            ending: Some(ending),
            ..self.promote(effects)
        }
    }

    /// Takes the demotion back.
    fn promote(&mut self, mut effects: Effects) -> Effects {
        if self.demoted_until.take().is_some() {
            effects.demote = DEMOTION.saturating_neg();
        }
        effects
    }

    /// Takes the demotion back if it has lasted too long, though states may
    /// still be coming in.
    fn expire(&mut self, now: Instant) -> Effects {
        match self.demoted_until {
            Some(until) if now >= until => self.promote(Effects::default()),
            _ => Effects::default(),
        }
    }
}
