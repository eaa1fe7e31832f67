// SPDX-License-Identifier: GPL-2.0

//! What is to be sent and told once the lock of an interface is released.

use super::{counters::Counter, host::Host};
use crate::{
    linux::{
        ip_output, netdevice::Device, netdevice_ops::OwnDevice, skbuff::SkbList, skbuff_tx::TxFrame,
    },
    proto::carp::{
        announcements::{self, Batch},
        balancing::HOSTS_MAX,
        effects::Transition,
        frame,
    },
};
use core::net::IpAddr;
use kernel::{prelude::*, sync::aref::ARef};

/// `TC_PRIO_CONTROL`: before users' traffic in the parent's queue.
pub(super) const PRIORITY: u32 = 7;

/// A packet to a unicast peer, from its IP header on.
pub(super) enum Packet {
    Ipv4([u8; frame::IPV4_PACKET_LEN]),
    Ipv6([u8; frame::IPV6_PACKET_LEN]),
}

impl Packet {
    /// Sends it. Returns what counts it if it was sent.
    ///
    /// # Errors
    ///
    /// There is no way to the peer, or a queue is full (ENOBUFS).
    pub(super) fn send(&self, carpdev: &Device) -> (Counter, Result) {
        match self {
            Self::Ipv4(packet) => (
                Counter::SentIpv4,
                ip_output::send_ipv4(carpdev, packet, PRIORITY),
            ),
            Self::Ipv6(packet) => (
                Counter::SentIpv6,
                ip_output::send_ipv6(carpdev, packet, PRIORITY),
            ),
        }
    }
}

/// A change of state that is to be told.
#[derive(Clone, Copy)]
pub(super) struct StateChange {
    /// Whose it is.
    pub(super) vhid: u8,
    /// What it is.
    pub(super) transition: Transition,
    /// The host that is the reason.
    pub(super) peer: Option<IpAddr>,
}

/// What is to be sent and told once the host's lock is released.
pub(super) struct Outbox {
    /// Complete frames.
    pub(super) frames: SkbList<TxFrame>,
    /// Packets to unicast peers.
    pub(super) packets: KVec<Packet>,
    /// Complete frames whose only purpose is to show switches the virtual MAC.
    pub(super) probes: SkbList<TxFrame>,
    /// The parent, whose device the frames name, and over which the packets go.
    pub(super) carpdev: Option<ARef<Device>>,
    /// The interface's device, if anything is to be sent or told.
    pub(super) own: Option<ARef<OwnDevice>>,
    /// Changes of state to be told.
    pub(super) transitions: [Option<StateChange>; HOSTS_MAX],
    /// Addresses to be announced.
    pub(super) addresses: Batch,
    /// Whether it matters that something was sent, not only that something could not be.
    pub(super) counts_successes: bool,
    /// Which virtual hosts advertise, by index.
    pub(super) advertising: [bool; HOSTS_MAX],
}

impl Outbox {
    pub(super) fn new() -> Self {
        Self {
            frames: SkbList::new(),
            packets: KVec::new(),
            probes: SkbList::new(),
            carpdev: None,
            own: None,
            transitions: [None; HOSTS_MAX],
            addresses: [None; announcements::BATCH],
            counts_successes: false,
            advertising: [false; HOSTS_MAX],
        }
    }

    /// Remembers what is to be told: after all is sent, for a console may be slow.
    pub(super) fn push_transition(&mut self, host: &Host, change: StateChange) {
        self.own.clone_from(&host.own);
        if let Some(free) = self.transitions.iter_mut().find(|slot| slot.is_none()) {
            *free = Some(change);
        }
    }
}
