// SPDX-License-Identifier: GPL-2.0

//! Through which device the way back to the sender of a packet leads.
//!
//! A packet for the virtual MAC comes in on the parent, and either the parent receives
//! it or the carp interface. It must be the device through which the host would send
//! to the packet's source: reverse path filters (`rp_filter`, `fib saddr . iif oif`)
//! drop it otherwise, and neighbours are looked for on one device and learned on the
//! other.
//!
//! Where the parent has the subnets of all shared addresses, its routes win, for those
//! of the carp interface have a greater metric. Where it cannot take packets of the
//! family at all, the carp interface does. Both are known from the addresses alone, so
//! that most packets cost nothing here. In between the routing table has to be asked.

use core::net::{Ipv4Addr, Ipv6Addr};

/// Which device receives packets of one family for the virtual MAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WayBack {
    /// The parent.
    Parent,
    /// The carp interface.
    Interface,
    /// The one that the routing table names for the packet's source.
    Route,
}

/// An address with its prefix, as a device has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnet {
    /// The address in the highest bits.
    bits: u128,
    prefix: u8,
    /// Whether the prefix is the whole address, which makes no route to a network.
    is_host: bool,
}

impl Subnet {
    /// That of an IPv4 address.
    #[must_use]
    pub const fn ipv4(address: Ipv4Addr, prefix: u8) -> Self {
        Self {
            bits: (address.to_bits() as u128) << 96,
            prefix,
            is_host: prefix >= 32,
        }
    }

    /// That of an IPv6 address. `None` for a link-local one: every device has that
    /// subnet, and a packet for such an address belongs to the address's device anyway.
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

    /// Whether the parent's subnet `parent` has the better route to all that this one,
    /// of the carp interface, leads to: it is the same subnet, or the only address of
    /// this one lies in it. A wider subnet of the parent does not, as the longer prefix
    /// wins.
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
    /// Decides for one family. `parent_receives` says whether the parent takes packets
    /// of it that are for an address of the carp interface.
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
        // Without a subnet of its own the interface receives for a network of the
        // parent's, or for one that only routes know.
        if numbered || parent.clone().next().is_some() {
            Self::Parent
        } else {
            Self::Route
        }
    }

    /// The same after the carp interface has got one more subnet.
    #[must_use]
    pub fn with(self, subnet: Subnet, parent: impl Iterator<Item = Subnet>) -> Self {
        match self {
            Self::Parent if !subnet.is_covered(parent) => Self::Route,
            known => known,
        }
    }
}
