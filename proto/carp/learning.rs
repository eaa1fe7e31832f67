// SPDX-License-Identifier: GPL-2.0

//! Decides when the master sends frames from which switches learn the virtual MAC.
//!
//! A switch learns from the source of each frame which port leads to an address. It
//! forgets an address from which it has seen no frame for a while (300 s by default), and
//! then floods frames to it to all ports. After a split network is joined again, it sends
//! to the host that used the address last, until the other host uses it.
//!
//! The master's traffic leaves with the parent's own MAC as its source. Switches see the
//! virtual MAC in advertisements to a multicast group, which have it as source and reach
//! each switch of the segment. Advertisements to unicast peers do not help: their source
//! is the parent's MAC. So a master with unicast peers also sends a broadcast frame whose
//! source is the virtual MAC.

use super::frame::MacAddress;
use super::time::{Instant, Interval};

/// The shortest time between two such frames: 26/256 s. Every host of the segment
/// receives a broadcast.
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

    /// Accounts for an advertisement that the master sends at `now`. `shown` says that
    /// another frame with the virtual MAC as source is sent at the same time: the
    /// advertisement itself if it goes to a multicast group, or an announcement of the
    /// addresses.
    ///
    /// Returns whether the caller has to send a broadcast frame.
    #[must_use]
    pub fn advertised(&mut self, now: Instant, shown: bool) -> bool {
        if !shown && self.paused_until.is_some_and(|until| now < until) {
            return false;
        }
        self.paused_until = Some(now.after(PAUSE));
        !shown
    }
}

/// How many frames are sent to make switches learn the virtual MAC again, see
/// [`Exposure`]. More than one, because one may be lost.
const FRAMES: u8 = 3;

/// For mode ip-stealth with a peer that uses the virtual MAC as source although it should
/// not, as OpenBSD has done since 2023.
///
/// Switches learn the address at that peer's port, and send nothing to the other hosts.
/// After the peer has left, nobody receives anything until they forget the address. So a
/// host that is then master of all virtual hosts sends some frames with it as source.
#[derive(Clone, Copy, Debug, Default)]
pub struct Exposure {
    /// How many frames are still to be sent.
    left: u8,
}

impl Exposure {
    /// No peer has used the address as source.
    #[must_use]
    pub const fn new() -> Self {
        Self { left: 0 }
    }

    /// Accounts for a peer's advertisement with this Ethernet `source`. If that is the
    /// virtual MAC, switches have learned it.
    pub fn heard(&mut self, source: Option<MacAddress>, virtual_mac: MacAddress) {
        if source == Some(virtual_mac) {
            self.left = FRAMES;
        }
    }

    /// Returns whether the caller has to send a frame from the virtual MAC with an
    /// advertisement. `alone` says that this host is master of all virtual hosts of the
    /// interface.
    #[must_use]
    pub fn advertised(&mut self, alone: bool) -> bool {
        let shows = alone && self.left > 0;
        if shows {
            self.left = self.left.saturating_sub(1);
        }
        shows
    }
}
