// SPDX-License-Identifier: GPL-2.0

//! What a virtual host says: advertisements and gratuitous ARP.

use super::{counters::Counter, device::Carp, host::Host, netns::Namespace};
use crate::{
    linux::{arp, log, log::print_at, netdevice::Device, skbuff::Skb},
    proto::carp::{
        effects::{Kind, Outgoing},
        election::Environment,
        frame,
        log::SEND_ERROR,
        packet::{virtual_mac, Advertisement},
    },
};
use core::net::Ipv4Addr;
use kernel::sync::{aref::ARef, rcu};

/// `TC_PRIO_CONTROL`: before users' traffic in the parent's queue.
const PRIORITY: u32 = 7;

/// What is to be sent once the host's lock is released.
pub(super) struct Outbox {
    advertisement: Option<Skb>,
    /// The interface's device, if anything is to be sent.
    own: Option<ARef<Device>>,
    /// Whether all addresses are to be announced.
    pub(super) announce: bool,
}

impl Outbox {
    pub(super) fn new() -> Self {
        Self {
            advertisement: None,
            own: None,
            announce: false,
        }
    }
}

impl Carp {
    /// Builds the frame of an advertisement. Under the host's lock.
    pub(super) fn build(
        &self,
        host: &Host,
        environment: &Environment,
        outgoing: &Outgoing,
        outbox: &mut Outbox,
    ) {
        let rcu = rcu::read_lock();
        let (Some(own), Some(carpdev)) = (&host.own, self.carpdev.get(&rcu)) else {
            return;
        };
        outbox.own = Some(own.clone());
        if !outgoing.families.ipv4 {
            return;
        }
        let advertisement = Advertisement {
            digest: host.sign(),
            ..match outgoing.kind {
                Kind::Advertisement => host.virtual_host.advertisement(environment),
                Kind::BowOut => host.virtual_host.bow_out(environment),
            }
        };
        let source = carpdev
            .primary_address(&rcu)
            .or_else(|| host.first_address());
        let Some(source) = source else {
            return;
        };
        let frame = frame::ipv4(virtual_mac(advertisement.vhid), source, &advertisement);
        outbox.advertisement = Skb::from_frame(carpdev, &frame, PRIORITY);
        if outbox.advertisement.is_none() {
            self.counters.count(Counter::NoMemory);
        }
    }

    /// Sends what is in the outbox. No lock is held.
    pub(super) fn deliver(&self, outbox: Outbox) {
        if let Some(advertisement) = outbox.advertisement {
            match advertisement.transmit() {
                Ok(()) => self.counters.count(Counter::SentIpv4),
                Err(error) => {
                    self.counters.count(Counter::SendError);
                    if let Some(own) = &outbox.own {
                        complain(own, error);
                    }
                }
            }
        }
        if outbox.announce {
            if let Some(own) = outbox.own.or_else(|| self.host.lock().own.clone()) {
                self.announce(&own);
            }
        }
    }

    /// Tells switches and neighbours that the addresses are here.
    pub(super) fn announce(&self, own: &Device) {
        let rcu = rcu::read_lock();
        let Some(carpdev) = self.carpdev.get(&rcu) else {
            return;
        };
        let mac = virtual_mac(self.vhid());
        own.for_each_address_rcu(&rcu, |address| {
            // Another may have become master since: then the address is there.
            if self.is_master() {
                arp::announce(carpdev, address, &mac);
            }
        });
    }
}

impl Carp {
    /// Tells the same of one address that has just been added.
    pub(super) fn announce_address(&self, address: Ipv4Addr) {
        let rcu = rcu::read_lock();
        if let Some(carpdev) = self.carpdev.get(&rcu) {
            if self.is_master() {
                arp::announce(carpdev, address, &virtual_mac(self.vhid()));
            }
        }
    }
}

fn complain(own: &Device, error: kernel::error::Error) {
    let prints = Namespace::of(own.net()).is_some_and(|namespace| namespace.prints(SEND_ERROR));
    if prints && log::ratelimit() {
        print_at!(
            SEND_ERROR as u8,
            "{}: an advertisement could not be sent (error {})\n",
            own.name(),
            error.to_errno()
        );
    }
}
