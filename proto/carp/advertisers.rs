// SPDX-License-Identifier: GPL-2.0

//! The other hosts that advertise a virtual host, as far as they are heard here.
//!
//! This is for people who look: no election depends on it.

use core::net::IpAddr;

use super::{
    effects::Reason,
    election::Family,
    packet::{Discard, Received},
    time::Instant,
};

/// How many are kept of a virtual host: four others, each in both families.
pub const KEPT: usize = 8;

/// A host that advertises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advertiser {
    /// Its IP address.
    pub address: IpAddr,
    /// When it was heard last.
    pub at: Instant,
    /// What its last advertisement said, in seconds.
    pub advbase: u8,
    /// The same, in 1/256 s.
    pub advskew: u8,
    /// Its demotion count, as it says.
    pub demote: u8,
    /// Whether that advertisement's digest was wrong, so that all else may be a lie.
    pub digest_differs: bool,
}

impl Advertiser {
    /// Who sent this from `address`; `discard` says why it was not believed, if it was not.
    /// None: it is our own echo, or of a version that has other fields.
    #[must_use]
    pub fn new(
        address: IpAddr,
        at: Instant,
        received: &Received<'_>,
        discard: Option<Discard>,
    ) -> Option<Self> {
        let digest_differs = match discard {
            None => false,
            Some(Discard::BadDigest) => true,
            Some(_) => return None,
        };
        Some(Self {
            address,
            at,
            advbase: received.advbase(),
            advskew: received.advskew(),
            demote: received.demote(),
            digest_differs,
        })
    }
}

/// Those of one virtual host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Advertisers([Option<Advertiser>; KEPT]);

impl Advertisers {
    /// Nobody was heard.
    #[must_use]
    pub const fn new() -> Self {
        Self([None; KEPT])
    }

    /// One was heard. Where there are too many, it takes the place of one whose digest
    /// differs, or else of the one that has been silent longest; but who has no digest of
    /// ours drives out nobody who has.
    pub fn heard(&mut self, advertiser: Advertiser) {
        let mut place: Option<&mut Option<Advertiser>> = None;
        for slot in &mut self.0 {
            if slot.is_some_and(|known| known.address == advertiser.address) {
                *slot = Some(advertiser);
                return;
            }
            if place
                .as_ref()
                .is_none_or(|place| worth(slot) < worth(place))
            {
                place = Some(slot);
            }
        }
        let Some(place) = place else { return };
        let drives_out = place.is_some_and(|known| !known.digest_differs);
        if !(advertiser.digest_differs && drives_out) {
            *place = Some(advertiser);
        }
    }

    /// All that were heard, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Advertiser> {
        self.0.iter().flatten()
    }

    /// The host whose advertisements, or whose silence, are the reason of a change. None: it
    /// is about no other host, or none was heard.
    #[must_use]
    pub fn behind(&self, reason: Reason) -> Option<IpAddr> {
        let is_of = |family| match family {
            Family::Ipv4 => IpAddr::is_ipv4,
            Family::Ipv6 => IpAddr::is_ipv6,
        };
        let fits: fn(&IpAddr) -> bool = match reason {
            Reason::MasterTimedOut(family) => is_of(family),
            Reason::MasterBowedOut
            | Reason::Preempting
            | Reason::MasterDemoted
            | Reason::MasterTooSlow
            | Reason::BetterMaster
            | Reason::EqualMaster
            | Reason::LessDemotedMaster => |_| true,
            Reason::Started
            | Reason::Stopped
            | Reason::NoAddress
            | Reason::Reconfigured
            | Reason::Administrator => return None,
        };
        let believed = self.iter().filter(|it| !it.digest_differs);
        let last = believed
            .filter(|it| fits(&it.address))
            .max_by_key(|it| it.at)?;
        Some(last.address)
    }

    /// When one whose digest differs was heard last, if since then it has sent no good one.
    #[must_use]
    pub fn digest_differed_at(&self) -> Option<Instant> {
        let differ = self.iter().filter(|it| it.digest_differs);
        differ.map(|it| it.at).max()
    }
}

/// The smallest of these makes room.
fn worth(slot: &Option<Advertiser>) -> (u8, Instant) {
    match slot {
        None => (0, Instant(0)),
        Some(known) if known.digest_differs => (1, known.at),
        Some(known) => (2, known.at),
    }
}
