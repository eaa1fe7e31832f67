// SPDX-License-Identifier: GPL-2.0

//! The virtual host of an interface: events in, effects out.
//!
//! Everything that happens to it goes through [`Carp::handle`], under one lock,
//! in whatever context it happens. What is to be sent is built under the lock and
//! sent after it, so that no lock of ours is held on the parent's way out.

use super::{
    announce::Outbox, counters::Counter, device::Carp, netns::Namespace, parent::Attachment,
};
use crate::{
    linux::{
        crypto::{HmacSha1, Secret},
        netdevice::Device,
        netdevice_ops::OwnDevice,
        rtnl::Rtnl,
        timer,
    },
    proto::carp::{
        digest::{Digests, Input, Mac, KEY_LEN},
        effects::{Effects, Transition},
        election::{Config, Environment, Event, Families, Family, State, VirtualHost},
        packet::{Discard, Received},
        time::Instant,
    },
};
use core::net::Ipv4Addr;
use kernel::{prelude::*, sync::aref::ARef};

/// What lies behind an interface's lock.
pub(crate) struct Host {
    /// The election, as the protocol has it.
    pub(super) virtual_host: VirtualHost,
    /// The passphrase, padded.
    key: Secret<KEY_LEN>,
    /// HMACs over all that is constant in our advertisements.
    digests: Digests<HmacSha1>,
    /// The addresses that are hashed, in ascending order.
    addresses: KVec<Ipv4Addr>,
    /// Room for the address that is about to be added.
    spare: KVec<Ipv4Addr>,
    /// The interface's own device, from its registration until it leaves.
    pub(super) own: Option<ARef<OwnDevice>>,
    /// Keeps the timer open for as long.
    pub(super) timer: Option<timer::Guard<Carp>>,
    /// The place on the parent; changes under RTNL only.
    pub(super) attachment: Option<Attachment>,
    /// Whether the administrator has set the interface up.
    pub(super) admin_up: bool,
}

impl Mac for HmacSha1 {
    fn update(&mut self, bytes: &[u8]) {
        HmacSha1::update(self, bytes);
    }

    fn finish(self) -> [u8; 20] {
        HmacSha1::finish(self)
    }
}

/// A new interface: no vhid, OpenBSD's defaults.
const DEFAULTS: Config = Config {
    vhid: 0,
    advbase: 1,
    advskew: 0,
};

impl Host {
    pub(super) fn new(counter: [u8; 8], key: Secret<KEY_LEN>) -> Self {
        let digests = digests(&key, DEFAULTS.vhid, &[]);
        Self {
            virtual_host: VirtualHost::new(DEFAULTS, counter),
            key,
            digests,
            addresses: KVec::new(),
            spare: KVec::new(),
            own: None,
            timer: None,
            attachment: None,
            admin_up: false,
        }
    }

    /// The parent, if there is one.
    pub(super) fn carpdev(&self) -> Option<&Device> {
        self.attachment
            .as_ref()
            .map(|attachment| attachment.parent().device())
    }

    fn families(&self) -> Families {
        Families {
            ipv4: !self.addresses.is_empty(),
            ipv6: false,
        }
    }

    pub(super) fn environment(&self) -> Environment {
        let namespace = self.own.as_ref().and_then(|own| Namespace::of(own.net()));
        Environment {
            preempt: namespace.is_some_and(Namespace::preempts),
            demote: 0,
            families: self.families(),
        }
    }

    /// Whether the virtual host may run: all that `protocol/carp.md` asks for.
    fn may_run(&self) -> bool {
        self.admin_up
            && self.virtual_host.config().vhid != 0
            && !self.families().is_empty()
            && self.can_send()
    }

    /// Whether the parent is up and has link.
    fn can_send(&self) -> bool {
        self.carpdev()
            .is_some_and(|dev| dev.is_up() && dev.has_carrier())
    }

    /// Hashes the constant part anew, after any of it changed.
    fn rehash(&mut self) {
        self.digests = digests(&self.key, self.virtual_host.config().vhid, &self.addresses);
    }

    /// The digest of an advertisement of ours.
    pub(super) fn sign(&self) -> [u8; 20] {
        self.digests.sign(self.virtual_host.counter())
    }

    /// Our first address, which is the source where the parent has none.
    pub(super) fn first_address(&self) -> Option<Ipv4Addr> {
        self.addresses.first().copied()
    }
}

fn digests(key: &Secret<KEY_LEN>, vhid: u8, ipv4: &[Ipv4Addr]) -> Digests<HmacSha1> {
    Digests::new(
        HmacSha1::new(key.bytes()),
        &Input {
            vhid,
            lladdr: None,
            ipv4,
            ipv6: &[],
        },
    )
}

impl Carp {
    /// Tells the election what happened, and carries out what it says.
    fn handle(&self, event: Event<'_>) {
        let mut outbox = Outbox::new();
        {
            let mut host = self.host.lock();
            self.handle_locked(&mut host, event, &mut outbox);
        }
        self.deliver(outbox);
    }

    fn handle_locked(&self, host: &mut Host, event: Event<'_>, outbox: &mut Outbox) {
        let environment = host.environment();
        let effects = host
            .virtual_host
            .handle(Instant(timer::now()), &environment, event);
        if let Some(transition) = &effects.transition {
            self.enter(host, transition);
            self.note(host, transition);
            outbox.tell(host, *transition);
        }
        self.send(host, &environment, &effects, outbox);
        if let Some(Instant(at)) = host.virtual_host.deadline() {
            crate::linux::timer::HasTimer::timer(self).arm(at);
        }
    }

    fn send(&self, host: &Host, environment: &Environment, effects: &Effects, outbox: &mut Outbox) {
        if let Some(outgoing) = &effects.advertise {
            self.build(host, environment, outgoing, outbox);
        }
        if effects.announce {
            outbox.announce(host);
        }
    }

    /// The packet paths first, so that a takeover waits for nothing; operstate and
    /// RTM_NEWLINK follow through linkwatch.
    fn enter(&self, host: &Host, transition: &Transition) {
        self.set_state(transition.to);
        let Some(own) = &host.own else {
            return;
        };
        match transition.to {
            State::Init => own.set_carrier(false),
            State::Backup => {
                own.set_dormant(true);
                own.set_carrier(true);
            }
            State::Master => {
                self.counters.count(Counter::Preempted);
                own.set_dormant(false);
            }
        }
    }

    /// The timer has expired. Softirq context.
    pub(super) fn timer_expired(&self) {
        self.handle(Event::Timer);
    }

    /// An advertisement for this vhid came in on the parent. Softirq context.
    ///
    /// # Errors
    ///
    /// Why it was dropped.
    pub(super) fn advertised(&self, received: &Received<'_>) -> Result<(), Discard> {
        let mut outbox = Outbox::new();
        {
            let mut host = self.host.lock();
            if host.virtual_host.state() == State::Init {
                return Err(Discard::BadVhid);
            }
            let advertisement =
                received.authenticate(&host.digests, host.virtual_host.counter())?;
            let event = Event::Received(Family::Ipv4, &advertisement);
            self.handle_locked(&mut host, event, &mut outbox);
        }
        self.deliver(outbox);
        Ok(())
    }

    /// Starts or stops the virtual host, after anything changed that it depends
    /// on.
    pub(super) fn update(&self, _rtnl: &Rtnl) {
        let (run, can_send) = {
            let host = self.host.lock();
            (host.may_run(), host.can_send())
        };
        if run {
            self.handle(Event::Start);
        } else {
            self.halt(can_send);
        }
    }

    /// Becomes INIT; says farewell if there is still a way to.
    pub(super) fn halt(&self, bow_out: bool) {
        self.handle(Event::Stop { bow_out });
    }

    /// Takes over a configuration that was checked. The virtual host does not run
    /// if the vhid is to change.
    pub(super) fn configure(&self, config: Config, key: Option<Secret<KEY_LEN>>) {
        let mut outbox = Outbox::new();
        {
            let mut host = self.host.lock();
            if let Some(key) = key {
                host.key = key;
            }
            // First: what is sent now is signed with it.
            host.digests = digests(&host.key, config.vhid, &host.addresses);
            self.handle_locked(&mut host, Event::Reconfigured(config), &mut outbox);
        }
        self.deliver(outbox);
    }

    /// The administrator wants this state.
    pub(super) fn force(&self, state: State) {
        self.handle(Event::Force(state));
    }

    /// Makes room for one more address, for [`Self::addresses_changed`] has nobody
    /// to tell that there is none.
    ///
    /// # Errors
    ///
    /// Out of memory.
    pub(super) fn reserve_address(&self, own: &OwnDevice, rtnl: &Rtnl) -> Result {
        let mut wanted: usize = 1;
        own.for_each_address(rtnl, |_| wanted = wanted.saturating_add(1));
        let spare = KVec::with_capacity(wanted, GFP_KERNEL)?;
        let old = core::mem::replace(&mut self.host.lock().spare, spare);
        drop(old);
        Ok(())
    }

    /// The list of addresses changed: what is hashed, sent and run for follows.
    pub(super) fn addresses_changed(&self, own: &OwnDevice, rtnl: &Rtnl) {
        let mut addresses = core::mem::take(&mut self.host.lock().spare);
        addresses.clear();
        let mut complete = true;
        own.for_each_address(rtnl, |address| {
            complete &= insert(&mut addresses, address).is_ok();
        });
        if !complete {
            pr_err!(
                "{}: no memory for the list of addresses: the digest is that of the old one\n",
                own.name()
            );
            return;
        }
        if addresses.is_empty() {
            // Still under the old list, which a farewell is signed with.
            self.halt(true);
        }
        let mut outbox = Outbox::new();
        {
            let mut host = self.host.lock();
            core::mem::swap(&mut host.addresses, &mut addresses);
            host.rehash();
            host.spare = addresses;
            self.handle_locked(&mut host, Event::FamiliesChanged, &mut outbox);
        }
        self.deliver(outbox);
        self.update(rtnl);
    }
}

/// Puts an address in its place in ascending order. Not `sort_unstable` nor
/// `rotate_right`, which would bring a panic into the module.
fn insert(addresses: &mut KVec<Ipv4Addr>, address: Ipv4Addr) -> Result {
    addresses.push(address, GFP_KERNEL)?;
    let mut carried = address;
    for place in addresses.iter_mut().skip_while(|place| **place < address) {
        core::mem::swap(place, &mut carried);
    }
    Ok(())
}
