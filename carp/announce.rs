// SPDX-License-Identifier: GPL-2.0

//! What a virtual host says: advertisements and gratuitous ARP.

use super::{counters::Counter, device::Carp, host::Host, netns::Namespace};
use crate::{
    linux::{arp, log, log::print_at, netdevice::Device, netdevice_ops::OwnDevice, skbuff::Skb},
    proto::carp::{
        effects::{Kind, Outgoing, Transition},
        election::{Environment, State},
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
    /// A frame, and the parent whose device it names.
    advertisement: Option<(Skb, ARef<Device>)>,
    /// The interface's device, if anything is to be sent or told.
    own: Option<ARef<OwnDevice>>,
    /// A change of state to be logged.
    transition: Option<Transition>,
    /// Whether all addresses are to be announced.
    announce: bool,
}

impl Outbox {
    pub(super) fn new() -> Self {
        Self {
            advertisement: None,
            own: None,
            transition: None,
            announce: false,
        }
    }

    /// All addresses are to be announced.
    pub(super) fn announce(&mut self, host: &Host) {
        self.own.clone_from(&host.own);
        self.announce = true;
    }

    /// Remembers what is to be logged: after all is sent, for a console may be slow.
    pub(super) fn tell(&mut self, host: &Host, transition: Transition) {
        self.own.clone_from(&host.own);
        self.transition = Some(transition);
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
        match Skb::from_frame(carpdev, &frame, PRIORITY) {
            Some(skb) => outbox.advertisement = Some((skb, (*carpdev).clone())),
            None => self.counters.count(Counter::NoMemory),
        }
    }

    /// Sends what is in the outbox. No lock is held.
    pub(super) fn deliver(&self, outbox: Outbox) {
        if let Some((advertisement, _carpdev)) = outbox.advertisement {
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
        let Some(own) = outbox.own else {
            return;
        };
        if outbox.announce {
            self.announce(&own);
        }
        if let Some(transition) = outbox.transition {
            Self::ask_for_follow_up(&own);
            log_transition(&own, &transition);
        }
    }

    /// Tells switches and neighbours that the addresses are here.
    fn announce(&self, own: &OwnDevice) {
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
    /// Tells it again, as when the parent has moved to another port of the switch.
    pub(super) fn announce_again(&self) {
        let own = self.host.lock().own.clone();
        if let Some(own) = own {
            self.announce(&own);
        }
    }

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

/// Elsewhere than in the machine's own namespace anybody may be root, and must not
/// flood its log.
fn log_transition(own: &OwnDevice, transition: &Transition) {
    let level = transition.level();
    let net = own.net();
    if Namespace::of(net).is_some_and(|namespace| namespace.prints(level))
        && (net.is_initial() || log::ratelimit())
    {
        print_at!(
            level as u8,
            "{}: state transition: {} -> {} ({})\n",
            own.name(),
            name(transition.from),
            name(transition.to),
            transition.reason.as_str()
        );
    }
}

/// The state's name in messages.
fn name(state: State) -> &'static str {
    match state {
        State::Init => "INIT",
        State::Backup => "BACKUP",
        State::Master => "MASTER",
    }
}

fn complain(own: &OwnDevice, error: kernel::error::Error) {
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
