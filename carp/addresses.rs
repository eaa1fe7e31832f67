// SPDX-License-Identifier: GPL-2.0

//! The addresses of an interface, as the digest covers them.

use super::device::Carp;
use crate::{
    linux::{netdevice_ops::OwnDevice, rtnl::Rtnl},
    proto::carp::{announcements, election::Families},
};
use core::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};
use kernel::{alloc::Flags, prelude::*, sync::rcu};

/// Addresses in ascending order.
#[derive(PartialEq)]
pub(super) struct Addresses {
    pub(super) ipv4: KVec<Ipv4Addr>,
    pub(super) ipv6: KVec<Ipv6Addr>,
}

impl Default for Addresses {
    fn default() -> Self {
        Self::new()
    }
}

impl Addresses {
    pub(super) const fn new() -> Self {
        Self {
            ipv4: KVec::new(),
            ipv6: KVec::new(),
        }
    }

    /// Room for so many.
    ///
    /// # Errors
    ///
    /// Out of memory.
    fn with_capacity(ipv4: usize, ipv6: usize, flags: Flags) -> Result<Self> {
        Ok(Self {
            ipv4: KVec::with_capacity(ipv4, flags)?,
            ipv6: KVec::with_capacity(ipv6, flags)?,
        })
    }

    /// The families in which there is one.
    pub(super) fn families(&self) -> Families {
        Families {
            ipv4: !self.ipv4.is_empty(),
            ipv6: !self.ipv6.is_empty(),
        }
    }

    /// Both lists.
    pub(super) fn by_family(&self) -> announcements::Addresses<'_> {
        announcements::Addresses {
            ipv4: &self.ipv4,
            ipv6: &self.ipv6,
        }
    }

    /// Takes what the device has now. Any context.
    ///
    /// # Errors
    ///
    /// Out of memory: there was less room than addresses, and no more to be had.
    pub(super) fn read(&mut self, own: &OwnDevice) -> Result {
        let rcu = rcu::read_lock();
        self.ipv4.clear();
        self.ipv6.clear();
        let mut result = Ok(());
        own.for_each_address_rcu(&rcu, |address| {
            if let Err(error) = insert(&mut self.ipv4, address) {
                result = Err(error);
            }
        });
        own.for_each_address6_rcu(&rcu, |address| {
            if let Err(error) = insert(&mut self.ipv6, address) {
                result = Err(error);
            }
        });
        result
    }
}

/// Puts an address in its place in ascending order. Not `sort_unstable` nor
/// `rotate_right`, which would bring a panic into the module.
fn insert<T: Copy + PartialOrd>(addresses: &mut KVec<T>, address: T) -> Result {
    addresses.push(address, GFP_ATOMIC)?;
    let mut carried = address;
    for place in addresses.iter_mut().skip_while(|place| **place < address) {
        core::mem::swap(place, &mut carried);
    }
    Ok(())
}

/// How many addresses a line of the log names.
const LISTED: usize = 8;

/// A list of addresses for the log, which has no room for many.
pub(super) struct Listed {
    first: [Option<IpAddr>; LISTED],
    more: usize,
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, address) in self.first.iter().flatten().enumerate() {
            let comma = if number == 0 { "" } else { ", " };
            write!(f, "{comma}{address}")?;
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

impl Carp {
    /// The addresses that the digest covers. Any context.
    pub(super) fn listed(&self) -> Listed {
        let host = self.host.lock();
        let Addresses { ipv4, ipv6 } = &host.addresses;
        let ipv4 = ipv4.iter().map(|it| IpAddr::V4(*it));
        let ipv6 = ipv6.iter().map(|it| IpAddr::V6(*it));
        let mut all = Iterator::chain(ipv4, ipv6);
        let mut first = [None; LISTED];
        for place in &mut first {
            *place = all.next();
        }
        Listed {
            first,
            more: all.count(),
        }
    }

    /// Makes room for one more address, for [`Self::addresses_changed`] has nobody
    /// to tell that there is none.
    ///
    /// # Errors
    ///
    /// Out of memory.
    pub(super) fn reserve_address(&self, own: &OwnDevice, rtnl: &Rtnl) -> Result {
        let mut ipv4: usize = 1;
        own.for_each_address(rtnl, |_| ipv4 = ipv4.saturating_add(1));
        let mut ipv6: usize = 1;
        own.for_each_address6(rtnl, |_| ipv6 = ipv6.saturating_add(1));
        let spare = Addresses::with_capacity(ipv4, ipv6, GFP_KERNEL)?;
        let old = core::mem::replace(&mut self.host.lock().spare, spare);
        drop(old);
        Ok(())
    }
}
