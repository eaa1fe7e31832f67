// SPDX-License-Identifier: GPL-2.0

//! What the packet paths read of an interface, without a lock.

use super::{members::Members, settings::Settings, ways_back::WaysBack};
use crate::{
    linux::{
        atomic::{read_acquire, read_once},
        bindings,
        netdevice::{ether_addr_to_u64, Device, MacAddress},
        netdevice_ops::OwnDevice,
        rcu::RcuSlot,
    },
    proto::carp::{
        arp_hash::ArpHash,
        balancing::{Balancing, Masters},
        election::State,
    },
};
use kernel::sync::{
    aref::ARef,
    atomic::{Atomic, Relaxed, Release},
    rcu,
};

/// What the packet paths read. Each value stands for itself: one that has just changed
/// may be seen beside an older one.
pub(crate) struct Published {
    /// Of which virtual hosts this host is master: [`Masters::to_bits`].
    masters: Atomic<u64>,
    /// The interface's state, as [`state_to_u32`] numbers it.
    state: Atomic<u32>,
    /// The mode in force, as [`balancing_to_u32`] numbers it.
    balancing: Atomic<u32>,
    /// The interface's link-layer address, in the lower 48 bits.
    mac: Atomic<u64>,
    /// For the mode arp: [`ArpHash::to_bits`].
    arp_hash: Atomic<u64>,
    /// The least TTL of a unicast advertisement.
    minttl: Atomic<u32>,
    /// Who receives.
    pub(super) ways_back: WaysBack,
    /// The groups joined on the interface.
    pub(super) members: Members,
    /// The parent; changes under RTNL only.
    pub(super) carpdev: RcuSlot<ARef<Device>>,
}

impl Published {
    /// That of an interface with these settings and without a parent.
    pub(super) fn new(settings: &Settings) -> Self {
        let this = Self {
            masters: Atomic::new(0),
            state: Atomic::new(state_to_u32(State::Init)),
            balancing: Atomic::new(0),
            mac: Atomic::new(0),
            arp_hash: Atomic::new(0),
            minttl: Atomic::new(0),
            ways_back: WaysBack::new(),
            members: Members::new(),
            carpdev: RcuSlot::new(),
        };
        this.set_mode(settings);
        this
    }

    /// Of which virtual hosts this host is master. Any context.
    pub(crate) fn masters(&self) -> Masters {
        // Pairs with `set_state`: who sees a master sees what made it one.
        Masters::from_bits(read_acquire(&self.masters))
    }

    /// Whether this host is master of the leader, who speaks for the addresses.
    /// Any context.
    pub(crate) fn is_master(&self) -> bool {
        self.masters().is_master_of(0)
    }

    /// The state, as `enum carp_state` of `if_carp.h`.
    pub(crate) fn state(&self) -> u32 {
        self.state.load(Relaxed)
    }

    /// Tells the packet paths. Under the host's lock.
    pub(super) fn set_state(&self, state: State, masters: Masters) {
        self.state.store(state_to_u32(state), Relaxed);
        self.masters.store(masters.to_bits(), Release);
    }

    /// Whether the interface shares its traffic out, in whatever mode. Any context.
    pub(crate) fn is_balancing(&self) -> bool {
        read_once(&self.balancing) != balancing_to_u32(Balancing::None)
    }

    /// The mode in force. Any context.
    pub(crate) fn balancing(&self) -> Balancing {
        balancing_from_u32(read_once(&self.balancing))
    }

    /// The interface's link-layer address. Any context.
    pub(crate) fn mac(&self) -> MacAddress {
        let [_, _, mac @ ..] = self.mac.load(Relaxed).to_be_bytes();
        mac
    }

    /// The least TTL of a unicast advertisement. Any context.
    pub(crate) fn minttl(&self) -> u8 {
        u8::try_from(self.minttl.load(Relaxed)).unwrap_or(u8::MAX)
    }

    /// The hash of the mode arp. Any context.
    pub(crate) fn arp_hash(&self) -> ArpHash {
        ArpHash::from_bits(self.arp_hash.load(Relaxed))
    }

    /// Tells the packet paths what does not change with the state.
    pub(super) fn set_mode(&self, settings: &Settings) {
        self.mac.store(ether_addr_to_u64(settings.mac()), Relaxed);
        self.minttl.store(u32::from(settings.minttl), Relaxed);
        self.balancing
            .store(balancing_to_u32(settings.balancing()), Relaxed);
    }

    /// Tells the packet paths the hash of the mode arp.
    pub(super) fn set_arp_hash(&self, hash: ArpHash) {
        self.arp_hash.store(hash.to_bits(), Relaxed);
    }

    /// Finds out who receives, from all addresses of the interface `own` and its parent.
    /// Any context.
    pub(super) fn find_ways_back(&self, own: &OwnDevice) {
        let rcu = rcu::read_lock();
        if let Some(carpdev) = self.carpdev.get(&rcu) {
            self.ways_back.find(own, carpdev, &rcu);
        }
    }

    /// The parent's index, if there is a parent. Any context.
    pub(super) fn carpdev_index(&self) -> Option<u32> {
        let rcu = rcu::read_lock();
        self.carpdev.get(&rcu).map(|carpdev| carpdev.ifindex())
    }
}

/// The number of a state in `if_carp.h`.
pub(crate) const fn state_to_u32(state: State) -> u32 {
    match state {
        State::Init => 0,
        State::Backup => 1,
        State::Master => 2,
    }
}

/// The number of a mode in `if_carp.h`.
pub(crate) const fn balancing_to_u32(balancing: Balancing) -> u32 {
    match balancing {
        Balancing::None => bindings::carp_balancing_CARP_BALANCING_NONE,
        Balancing::Arp => bindings::carp_balancing_CARP_BALANCING_ARP,
        Balancing::Ip => bindings::carp_balancing_CARP_BALANCING_IP,
        Balancing::IpStealth => bindings::carp_balancing_CARP_BALANCING_IP_STEALTH,
        Balancing::IpUnicast => bindings::carp_balancing_CARP_BALANCING_IP_UNICAST,
    }
}

const fn balancing_from_u32(number: u32) -> Balancing {
    match number {
        bindings::carp_balancing_CARP_BALANCING_ARP => Balancing::Arp,
        bindings::carp_balancing_CARP_BALANCING_IP => Balancing::Ip,
        bindings::carp_balancing_CARP_BALANCING_IP_STEALTH => Balancing::IpStealth,
        bindings::carp_balancing_CARP_BALANCING_IP_UNICAST => Balancing::IpUnicast,
        _ => Balancing::None,
    }
}
