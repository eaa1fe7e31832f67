// SPDX-License-Identifier: GPL-2.0

//! Showing switches where the virtual MAC is.
//!
//! A switch learns from the source of each frame at which port an address is. It
//! forgets an address that has sent nothing for a while (300 s by default), and from
//! then on sends what is addressed to it out of all ports. After a network that was
//! split has healed, it keeps sending to the host that was the last to use the
//! address, until the other one uses it.
//!
//! The master's traffic leaves with the parent's own MAC as its source. What shows
//! the virtual MAC are advertisements to a multicast group, which each switch of the
//! segment sees. Advertisements to unicast peers are no substitute: they have the
//! parent's MAC. So a master that has peers accompanies each of them with a broadcast
//! frame whose source is the virtual MAC.

use super::frame::MacAddress;
use super::time::{Instant, Interval};

/// The shortest time between two such frames, for every host of the segment receives
/// a broadcast: 26/256 s.
pub const PAUSE: Interval = Interval(26);

/// Decides when a virtual host sends such a frame.
#[derive(Clone, Debug, Default)]
pub struct Learning {
    /// The end of the pause after the last frame.
    paused_until: Option<Instant>,
}

impl Learning {
    /// A virtual host that has not sent anything yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { paused_until: None }
    }

    /// Accounts for an advertisement that the master sends at `now`. `shown` says
    /// that other frames show the virtual MAC at the same time: the advertisement
    /// itself, if it goes to a group, or an announcement of the addresses.
    ///
    /// Returns whether a broadcast frame is to follow.
    #[must_use]
    pub fn advertised(&mut self, now: Instant, shown: bool) -> bool {
        if !shown && self.paused_until.is_some_and(|until| now < until) {
            return false;
        }
        self.paused_until = Some(now.after(PAUSE));
        !shown
    }
}

/// So many frames take the virtual MAC back, see [`Exposure`]: one may be lost.
const FRAMES: u8 = 3;

/// Mode ip-stealth beside a host that uses the virtual MAC as a source all the same, as
/// OpenBSD has done since 2023.
///
/// Switches learn it there, and send nothing to the others; after that host has left,
/// to nobody at all until they forget. A host that is then master of everything shows
/// the address once more, at its own port.
#[derive(Clone, Copy, Debug, Default)]
pub struct Exposure {
    /// How many frames are to be sent yet.
    left: u8,
}

impl Exposure {
    /// Nobody has used the address.
    #[must_use]
    pub const fn new() -> Self {
        Self { left: 0 }
    }

    /// Another host's advertisement came from this Ethernet `source`, which is none of
    /// its own if it is the virtual MAC.
    pub fn heard(&mut self, source: Option<MacAddress>, virtual_mac: MacAddress) {
        if source == Some(virtual_mac) {
            self.left = FRAMES;
        }
    }

    /// Whether a frame from the virtual MAC is to accompany an advertisement; `alone`
    /// says that this host is master of all virtual hosts of the interface.
    #[must_use]
    pub fn advertised(&mut self, alone: bool) -> bool {
        let shows = alone && self.left > 0;
        if shows {
            self.left = self.left.saturating_sub(1);
        }
        shows
    }
}
