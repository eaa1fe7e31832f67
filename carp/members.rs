// SPDX-License-Identifier: GPL-2.0

//! The multicast addresses that programs have joined on an interface.

use crate::{
    linux::{
        atomic::read_acquire,
        netdevice::{ether_addr_to_u64, MacAddress},
        netdevice_ops::{AddressLock, OwnDevice},
    },
    proto::carp::frame::{multicast_mac, multicast_mac_ipv6},
};
use core::net::{Ipv4Addr, Ipv6Addr};
use kernel::sync::atomic::{Atomic, Release};

pub(super) const BROADCAST: u64 = 0xffff_ffff_ffff;
pub(super) const ALL_HOSTS: u64 = ether_addr_to_u64(multicast_mac(Ipv4Addr::new(224, 0, 0, 1)));
pub(super) const ALL_NODES: u64 = ether_addr_to_u64(multicast_mac_ipv6(Ipv6Addr::new(
    0xff02, 0, 0, 0, 0, 0, 0, 1,
)));

/// The multicast addresses that programs have joined on an interface, as a filter that lets
/// some others through as well, which IP drops.
pub(super) struct Members {
    bits: [Atomic<u64>; 4],
}

/// The word and the bit of an address.
fn position(mac: u64) -> (usize, u64) {
    let hash = mac.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56;
    let [.., hash] = hash.to_be_bytes();
    (usize::from(hash >> 6), 1 << (hash & 63))
}

impl Members {
    /// None.
    pub(super) const fn new() -> Self {
        Self {
            bits: [const { Atomic::new(0) }; 4],
        }
    }

    /// Takes over the addresses of the interface's device, but for those that every device
    /// has.
    pub(super) fn read(&self, own: &OwnDevice, addresses: &AddressLock<'_>) {
        let mut bits = [0; 4];
        own.for_each_multicast(addresses, |mac: MacAddress| {
            let mac = ether_addr_to_u64(mac);
            let (word, bit) = position(mac);
            if let Some(word) = bits.get_mut(word).filter(|_| !is_for_all(mac)) {
                *word |= bit;
            }
        });
        for (word, bits) in self.bits.iter().zip(bits) {
            word.store(bits, Release);
        }
    }

    /// Whether `mac` may be one of them.
    pub(super) fn may_hold(&self, mac: u64) -> bool {
        let (word, bit) = position(mac);
        self.bits
            .get(word)
            .is_some_and(|word| read_acquire(word) & bit != 0)
    }
}

const fn is_for_all(mac: u64) -> bool {
    matches!(mac, BROADCAST | ALL_HOSTS | ALL_NODES)
}
