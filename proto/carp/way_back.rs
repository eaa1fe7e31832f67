// SPDX-License-Identifier: GPL-2.0

//! Decides which device receives packets for the virtual MAC: the parent or the carp
//! interface.
//!
//! A packet for the virtual MAC comes in on the parent, and either the parent or the carp
//! interface receives it. It must be the device through which the host sends to the
//! packet's source. Otherwise reverse path filters (`rp_filter`, `fib saddr . iif oif`)
//! drop the packet, and neighbours are looked up on one device but learned on the other.
//!
//! If the parent has the subnets of all shared addresses, it receives, because the carp
//! interface's routes have a greater metric. If the parent cannot receive packets of the
//! family at all, the carp interface does. Both follow from the addresses alone, so most
//! packets need no lookup. In all other cases each packet needs a route lookup.

use core::net::{Ipv4Addr, Ipv6Addr};

/// Which device receives packets of one family for the virtual MAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WayBack {
    /// The parent.
    Parent,
    /// The carp interface.
    Interface,
    /// The device of the route to the packet's source.
    Route,
}

/// An address with its prefix, as a device has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnet {
    /// The address, left-aligned.
    bits: u128,
    prefix: u8,
    /// Whether the prefix is as long as the address, so that there is no route to a
    /// network.
    is_host: bool,
}

impl Subnet {
    /// The subnet of an IPv4 address.
    #[must_use]
    pub const fn ipv4(address: Ipv4Addr, prefix: u8) -> Self {
        Self {
            bits: (address.to_bits() as u128) << 96,
            prefix,
            is_host: prefix >= 32,
        }
    }

    /// The subnet of an IPv6 address. `None` for a link-local one: every device has that
    /// subnet, and the device with the address receives the packets for it in any case.
    #[must_use]
    pub const fn ipv6(address: Ipv6Addr, prefix: u8) -> Option<Self> {
        if address.is_unicast_link_local() {
            return None;
        }
        Some(Self {
            bits: address.to_bits(),
            prefix,
            is_host: prefix >= 128,
        })
    }

    /// Whether the parent's route for its subnet `parent` is preferred for every address
    /// in this subnet of the carp interface. It is if both are the same subnet, or if
    /// this one is a single address inside `parent`. A wider `parent` does not cover this
    /// subnet, because the longer prefix wins.
    #[must_use]
    pub const fn is_covered_by(self, parent: Self) -> bool {
        let same = (self.bits ^ parent.bits).leading_zeros() >= parent.prefix as u32;
        same && (self.is_host || self.prefix == parent.prefix)
    }

    /// Whether one of the parent's subnets covers this one.
    #[must_use]
    pub fn is_covered(self, mut parent: impl Iterator<Item = Self>) -> bool {
        parent.any(|parent| self.is_covered_by(parent))
    }
}

impl WayBack {
    /// Decides for one family. `parent_receives` says whether the parent can receive
    /// packets of this family for an address of the carp interface.
    #[must_use]
    pub fn new(
        parent_receives: bool,
        own: impl Iterator<Item = Subnet>,
        parent: impl Iterator<Item = Subnet> + Clone,
    ) -> Self {
        if !parent_receives {
            return Self::Interface;
        }
        let mut numbered = false;
        for subnet in own {
            numbered = true;
            if !subnet.is_covered(parent.clone()) {
                return Self::Route;
            }
        }
        // The interface has no subnet of its own: its addresses belong to a subnet of the
        // parent, or to a network that only the routing table knows.
        if numbered || parent.clone().next().is_some() {
            Self::Parent
        } else {
            Self::Route
        }
    }

    /// The decision after one more subnet was added to the carp interface.
    #[must_use]
    pub fn with(self, subnet: Subnet, parent: impl Iterator<Item = Subnet>) -> Self {
        match self {
            Self::Parent if !subnet.is_covered(parent) => Self::Route,
            known => known,
        }
    }
}
