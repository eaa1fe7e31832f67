// SPDX-License-Identifier: GPL-2.0

//! What the administrator chose for an interface, apart from secrets, parent,
//! peers and groups.

use super::auth_config::AuthSettings;
use crate::{
    linux::netdevice::MacAddress,
    proto::{
        auth::freshness::{Freshness, Window},
        carp::{
            balancing::Balancing,
            carpnodes::{Carpnode, Carpnodes},
            election::Config,
            packet::TTL,
            time::Interval,
        },
    },
};

/// The settings.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Settings {
    /// The virtual hosts.
    pub(super) nodes: Carpnodes,
    /// Seconds between advertisements.
    pub(super) advbase: u8,
    /// The mode that was asked for; [`Self::balancing`] is in force.
    pub(super) wanted: Balancing,
    /// A link-layer address set by hand.
    pub(super) lladdr: Option<MacAddress>,
    /// The least TTL of a unicast advertisement.
    pub(super) minttl: u8,
    /// Advertise the digest over link-local addresses.
    pub(super) linklocal: bool,
    /// Advertise a high advskew while demoted.
    pub(super) demoteskew: bool,
    /// Seconds from one announcement of all addresses to the next; 0: they are not
    /// repeated by themselves.
    pub(super) announce: u8,
    /// Authentication of whole advertisements.
    pub(super) auth: AuthSettings,
}

impl Settings {
    /// A new interface: no vhid, OpenBSD's defaults.
    pub(super) const DEFAULT: Self = Self {
        nodes: Carpnodes::one(Carpnode {
            vhid: 0,
            advskew: 0,
        }),
        advbase: 1,
        wanted: Balancing::None,
        lladdr: None,
        minttl: TTL,
        linklocal: false,
        demoteskew: true,
        announce: 0,
        auth: AuthSettings::DEFAULT,
    };

    /// How many virtual hosts there are.
    pub(super) fn hosts(&self) -> usize {
        self.nodes.iter().filter(|node| node.vhid != 0).count()
    }

    /// The mode that is in force.
    pub(super) const fn balancing(&self) -> Balancing {
        self.wanted.in_force(self.nodes.len())
    }

    /// The link-layer address of the interface.
    pub(super) const fn mac(&self) -> MacAddress {
        match self.lladdr {
            Some(lladdr) => lladdr,
            None => self.balancing().interface_mac(self.nodes.leader().vhid),
        }
    }

    /// Sets a link-layer address by hand. The one that the interface has by itself is
    /// none, and follows the vhid from then on.
    pub(super) fn set_lladdr(&mut self, lladdr: MacAddress) {
        self.lladdr = None;
        if lladdr != self.mac() {
            self.lladdr = Some(lladdr);
        }
    }

    /// The longest interval of a virtual host.
    fn interval(&self) -> Interval {
        let advskew = self.nodes.iter().map(|node| node.advskew).max();
        Interval::between_advertisements(self.advbase, advskew.unwrap_or(0))
    }

    /// By how many seconds clocks may differ.
    pub(super) fn auth_window(&self) -> Window {
        self.auth.window(self.interval())
    }

    /// By what advertisements are told from recordings.
    pub(super) fn freshness(&self) -> Freshness {
        self.auth.freshness(self.interval())
    }

    /// What the election of a virtual host is to know.
    pub(super) const fn config_of(&self, node: Carpnode) -> Config {
        Config {
            vhid: node.vhid,
            advbase: self.advbase,
            advskew: node.advskew,
        }
    }

    /// The same by its vhid.
    pub(super) fn config_for(&self, vhid: u8) -> Option<Config> {
        let node = self.nodes.iter().find(|node| node.vhid == vhid)?;
        Some(self.config_of(node))
    }

    /// Whether all that the digest covers of them is the same.
    pub(super) fn signs_like(&self, other: &Self) -> bool {
        self.mac() == other.mac() && self.nodes.leader().vhid == other.nodes.leader().vhid
    }
}
