// SPDX-License-Identifier: GPL-2.0

//! What is sent, announced and logged once the lock of an interface is released.

use super::{counters::Counter, host::Host};
use crate::{
    linux::{
        ip_output, netdevice::Device, netdevice_ops::OwnDevice, skbuff::SkbList, skbuff_tx::TxFrame,
    },
    proto::auth::receiver::Notice,
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
    Ipv4(frame::Ipv4Packet),
    Ipv6(frame::Ipv6Packet),
}

impl Packet {
    /// Sends the packet. Returns also the counter for packets of its family.
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

/// A change of a virtual host's state that is still to be logged.
#[derive(Clone, Copy)]
pub(super) struct StateChange {
    /// The virtual host.
    pub(super) vhid: u8,
    /// The old state, the new one and the reason.
    pub(super) transition: Transition,
    /// The peer that caused it, if one did.
    pub(super) peer: Option<IpAddr>,
}

/// What is sent, announced and logged once the host's lock is released.
pub(super) struct Outbox {
    /// Complete frames.
    pub(super) frames: SkbList<TxFrame>,
    /// Packets to unicast peers.
    pub(super) packets: KVec<Packet>,
    /// Complete frames whose only purpose is to show switches the virtual MAC.
    pub(super) probes: SkbList<TxFrame>,
    /// The parent, whose device the frames name, and over which the packets go.
    pub(super) carpdev: Option<ARef<Device>>,
    /// The interface's device; `None` if there is nothing to send or log.
    pub(super) own: Option<ARef<OwnDevice>>,
    /// Changes of state to be logged.
    pub(super) transitions: [Option<StateChange>; HOSTS_MAX],
    /// A host whose clock is to be logged.
    pub(super) notice: Option<(IpAddr, Notice)>,
    /// Addresses to be announced.
    pub(super) addresses: Batch,
    /// Whether successes are counted as well as errors: successes matter only after an
    /// error.
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
            notice: None,
            addresses: [None; announcements::BATCH],
            counts_successes: false,
            advertising: [false; HOSTS_MAX],
        }
    }

    /// Adds what is to be logged of the clock of `sender`, as late as changes of state.
    pub(super) fn push_notice(&mut self, host: &Host, sender: IpAddr, notice: Notice) {
        self.own.clone_from(&host.own);
        self.notice = Some((sender, notice));
    }

    /// Adds a change of state. It is logged after everything is sent, because a console
    /// may be slow.
    pub(super) fn push_transition(&mut self, host: &Host, change: StateChange) {
        self.own.clone_from(&host.own);
        if let Some(free) = self.transitions.iter_mut().find(|slot| slot.is_none()) {
            *free = Some(change);
        }
    }
}
