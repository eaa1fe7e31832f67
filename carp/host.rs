// SPDX-License-Identifier: GPL-2.0

//! The virtual hosts of an interface: events in, effects out.
//!
//! Everything that happens to them goes through [`Carp::handle`], under one lock,
//! in whatever context it happens. What is to be sent is built under the lock and
//! sent after it, so that no lock of ours is held on the parent's way out.

use super::{
    addresses::Addresses,
    announce::Outbox,
    counters::Counter,
    demotion::Demotion,
    device::{state_to_u32, Carp},
    lost_parent::LostParent,
    mismatch::Mismatch,
    netns::{report, Namespace},
    node::{Common, Node},
    place::Place,
    power,
    settings::Settings,
};
use crate::{
    linux::{
        crypto::{sha1, Secret},
        fib::PassedOver,
        inet6addr::Inet6Addr,
        inetaddr::InetAddr,
        netdevice::{Device, MacAddress},
        netdevice_ops::OwnDevice,
        random,
        rtnl::Rtnl,
        timer::{self, HasTimer},
    },
    proto::carp::{
        announcements::Announcements,
        arp_hash::{self, ArpHash},
        balancing::{Balancing, Masters},
        digest::{self, KEY_LEN},
        effects::Transition,
        election::{Environment, Event, Family, State},
        learning::Exposure,
        log::NO_MEMORY,
        packet::{virtual_mac, Discard, Received},
        time::{Instant, Interval},
    },
};
use core::net::IpAddr;
use kernel::{
    prelude::*,
    sync::{aref::ARef, rcu},
};

/// From where an advertisement came.
pub(super) struct Sender {
    /// The IP source.
    pub(super) address: IpAddr,
    /// The Ethernet source.
    pub(super) lladdr: Option<MacAddress>,
    /// Whether it came to this host alone.
    pub(super) unicast: bool,
}

/// Up to so many addresses are hashed as soon as one of them changes, so that every
/// list that there was is one that was spoken.
const HASHED_AT_ONCE: usize = 32;

/// What lies behind an interface's lock.
pub(crate) struct Host {
    /// The virtual hosts in ascending order of vhid; at least one.
    pub(super) nodes: KVec<Node>,
    /// What the administrator chose for all of them.
    pub(super) settings: Settings,
    /// The passphrase, padded.
    key: Secret<KEY_LEN>,
    /// The addresses that are hashed.
    pub(super) addresses: Addresses,
    /// When they are announced.
    pub(super) announcements: Announcements,
    /// Whether another host has shown switches the virtual MAC.
    pub(super) exposure: Exposure,
    /// When the addresses changed last, if they have not been hashed since.
    unhashed: Option<Instant>,
    /// Groups, and what this interface brings upon them.
    pub(super) demotion: Demotion,
    /// To whom advertisements go instead of to the group of their family.
    pub(super) peers: KVec<IpAddr>,
    /// Who sends digests that are wrong.
    pub(super) mismatch: Mismatch,
    /// The interface's own device, from its registration until it leaves.
    pub(super) own: Option<ARef<OwnDevice>>,
    /// Keeps the timer open for as long.
    pub(super) timer: Option<timer::Guard<Carp>>,
    /// The place on the parent; changes under RTNL only.
    pub(super) place: Option<Place>,
    /// The parent that went away and is waited for; changes under RTNL only.
    pub(super) lost: Option<LostParent>,
    /// Whether the administrator has set the interface up.
    pub(super) admin_up: bool,
    /// Whether its namespace knows of it; changes under RTNL only.
    pub(super) at_home: bool,
    /// Whether others are being asked about a link-layer address that follows from the
    /// interface's own new settings; RTNL.
    pub(super) asks_for_mac: bool,
    /// Which routes are passed over again once a new master's are unmarked.
    pub(super) passed_over: PassedOver,
}

impl Host {
    /// An interface without addresses or parent.
    ///
    /// # Errors
    ///
    /// Out of memory.
    pub(super) fn new(settings: Settings, key: Secret<KEY_LEN>) -> Result<Self> {
        let mut host = Self {
            nodes: KVec::new(),
            settings,
            key,
            addresses: Addresses::new(),
            announcements: Announcements::new(),
            exposure: Exposure::new(),
            unhashed: None,
            demotion: Demotion::new()?,
            peers: KVec::new(),
            mismatch: Mismatch::new(),
            own: None,
            timer: None,
            place: None,
            lost: None,
            admin_up: false,
            at_home: false,
            asks_for_mac: false,
            passed_over: PassedOver::default(),
        };
        let mut nodes = make_nodes(&settings)?;
        host.hash(&settings, &mut nodes, None);
        host.nodes = nodes;
        Ok(host)
    }

    /// The parent, if there is one.
    pub(super) fn carpdev(&self) -> Option<&Device> {
        self.place.as_ref().map(|place| place.parent().device())
    }

    /// Whether advertisements of this family go to unicast peers.
    pub(super) fn has_peers(&self, family: Family) -> bool {
        self.peers
            .iter()
            .any(|peer| peer.is_ipv4() == (family == Family::Ipv4))
    }

    fn namespace<'a>(&'a self, rcu: &'a rcu::Guard) -> Option<&'a Namespace> {
        Namespace::of(self.own.as_ref()?.net(), rcu)
    }

    /// What elections are to know of the interface.
    pub(super) fn environment(&self) -> Environment {
        let rcu = rcu::read_lock();
        let namespace = self.namespace(&rcu);
        Environment {
            preempt: namespace.is_some_and(Namespace::preempts),
            demote: self.demotion.count(),
            families: self.families(),
            demoteskew: self.settings.demoteskew,
        }
    }

    /// Addresses or virtual hosts change: who reads them in pieces is to know.
    fn note_change(&self) {
        let rcu = rcu::read_lock();
        let namespace = self.namespace(&rcu);
        if let Some(namespace) = namespace {
            namespace.interface_changed();
        }
    }

    /// Whether interfaces on the parent may share an address, each with a MAC address
    /// of its own (`net.inet.carp.arpbalance`).
    pub(super) fn balances_arp(&self) -> bool {
        let rcu = rcu::read_lock();
        let namespace = self.namespace(&rcu);
        namespace.is_some_and(Namespace::balances_arp)
    }

    /// Whether the virtual hosts may run: all that `protocol/carp.md` asks for.
    fn may_run(&self) -> bool {
        self.admin_up
            && self.settings.nodes.leader().vhid != 0
            && !self.families().is_empty()
            && self.can_send()
            && !power::is_stopping()
    }

    /// Whether the parent is up and has link.
    fn can_send(&self) -> bool {
        self.carpdev()
            .is_some_and(|dev| dev.is_up() && dev.has_carrier())
    }

    fn common<'a>(
        &self,
        key: &'a Secret<KEY_LEN>,
        addresses: &'a Addresses,
        settings: &Settings,
    ) -> Common<'a> {
        let leader = settings.nodes.leader().vhid;
        let own = settings.balancing().interface_mac(leader);
        let parent = self.carpdev().map_or(own, Device::mac);
        let lladdr = settings.lladdr.unwrap_or(own);
        Common {
            key,
            lladdr: digest::hashed_lladdr(true, lladdr, own, parent),
            addresses,
        }
    }

    /// Hashes the constant part anew, after any of it but the addresses changed.
    pub(super) fn rehash(&mut self) {
        self.unhashed = None;
        self.rehash_since(None);
    }

    /// Hashes the addresses if they have changed. To be called before anything is
    /// signed or believed: not for each address, as each time takes as long as there
    /// are addresses.
    fn hash_addresses(&mut self) {
        if let Some(at) = self.unhashed.take() {
            if self.state() == State::Init {
                self.rehash();
            } else {
                self.rehash_since(Some(at));
            }
        }
    }

    /// The hash by which the mode arp shares out requests.
    fn arp_hash(&self) -> ArpHash {
        let key = self.key.bytes();
        ArpHash::new(&sha1(|input| arp_hash::write_seed_input(key, input)), key)
    }

    fn rehash_since(&mut self, change: Option<Instant>) {
        let mut nodes = core::mem::take(&mut self.nodes);
        self.hash(&self.settings, &mut nodes, change);
        self.nodes = nodes;
    }

    /// Has the virtual hosts for `settings` sign with what is to be hashed now. `change`
    /// is when nothing but the addresses changed; `None`: nothing of old is believed.
    fn hash(&self, settings: &Settings, nodes: &mut [Node], change: Option<Instant>) {
        let common = self.common(&self.key, &self.addresses, settings);
        let key = common.key.bytes();
        let leader = settings.nodes.leader().vhid;
        for node in nodes {
            let vhid = node.vhid();
            let input = common.input(vhid, vhid == leader);
            match change {
                Some(at) => node.signer.addresses_changed(at, key, &input),
                None => node.signer.replace(key, &input),
            }
        }
    }

    /// Of which virtual hosts we are master.
    pub(super) fn masters(&self) -> Masters {
        Masters::new(
            self.nodes
                .iter()
                .map(|node| node.election.state() == State::Master),
        )
    }

    /// The highest state that a virtual host has, which is the interface's.
    fn state(&self) -> State {
        let states = || self.nodes.iter().map(|node| node.election.state());
        if states().any(|state| state == State::Master) {
            State::Master
        } else if states().any(|state| state == State::Backup) {
            State::Backup
        } else {
            State::Init
        }
    }

    /// When the timer is to expire.
    fn deadline(&self) -> Option<Instant> {
        let elections = self.nodes.iter().map(|node| node.election.deadline());
        let others = [
            self.demotion.send_errors.deadline(),
            self.announcements.deadline(),
        ];
        // The kernel crate has a `chain` of its own.
        Iterator::chain(elections, others).flatten().min()
    }
}

/// Makes the virtual hosts for `settings`, none of which runs or has anything to sign
/// with. Process context, may sleep.
///
/// # Errors
///
/// Out of memory.
pub(super) fn make_nodes(settings: &Settings) -> Result<KVec<Node>> {
    let mut nodes = KVec::with_capacity(settings.nodes.len(), GFP_KERNEL_ACCOUNT)?;
    for node in settings.nodes.iter() {
        let node = Node::new(settings.config_of(node), random::bytes())?;
        nodes.push_within_capacity(node).map_err(|_| ENOMEM)?;
    }
    Ok(nodes)
}

impl Carp {
    /// Tells all elections what happened, and carries out what they say.
    fn handle(&self, event: Event<'_>) {
        let mut outbox = Outbox::new();
        {
            let mut host = self.host.lock();
            self.handle_locked(&mut host, event, &mut outbox);
        }
        self.deliver(outbox);
    }

    fn handle_locked(&self, host: &mut Host, event: Event<'_>, outbox: &mut Outbox) {
        host.hash_addresses();
        let environment = host.environment();
        for place in 0..host.nodes.len() {
            self.handle_node(host, place, &environment, event, outbox);
        }
        self.settle(host, outbox);
    }

    fn handle_node(
        &self,
        host: &mut Host,
        place: usize,
        environment: &Environment,
        event: Event<'_>,
        outbox: &mut Outbox,
    ) {
        let now = Instant(timer::now());
        let Some(node) = host.nodes.get_mut(place) else {
            return;
        };
        let vhid = node.vhid();
        let effects = node.election.handle(now, environment, event);
        if let Some(transition) = &effects.transition {
            if transition.from == State::Master && place == 0 {
                host.announcements.stop();
            }
            self.enter(host, transition);
            self.note(host, vhid, environment.demote, transition);
            outbox.tell(host, vhid, *transition);
        }
        self.send(host, place, environment, &effects, outbox);
    }

    /// After all events: takes what is due to be announced, and sets the timer to what
    /// is due next.
    pub(super) fn settle(&self, host: &mut Host, outbox: &mut Outbox) {
        self.announce_due(host, Instant(timer::now()), outbox);
        self.arm(host);
    }

    /// Has the timer expire when the next deadline has come. Under the host's lock.
    pub(super) fn arm(&self, host: &Host) {
        if let Some(Instant(at)) = host.deadline() {
            self.timer().arm(at);
        }
    }

    /// The packet paths first, so that a takeover waits for nothing; operstate and
    /// RTM_NEWLINK follow through linkwatch.
    fn enter(&self, host: &mut Host, transition: &Transition) {
        if transition.to == State::Master {
            self.counters.count(Counter::Preempted);
        }
        self.publish(host);
    }

    /// Tells the packet paths, and the kernel, what we are.
    fn publish(&self, host: &mut Host) {
        let before = (self.state(), self.masters().is_any());
        self.set_state(host.state(), host.masters());
        let Some(own) = &host.own else {
            return;
        };
        let speaks = self.masters().is_any();
        if speaks != before.1 {
            if let Some(namespace) = Namespace::of(own.net(), &rcu::read_lock()) {
                namespace.count_standby(speaks);
            }
        }
        if self.state() == before.0 {
            return;
        }
        // Routes are unmarked under RTNL, for which a takeover does not wait.
        let rcu = rcu::read_lock();
        let passed_over = core::mem::take(&mut host.passed_over);
        own.restore_marked_routes(passed_over, &rcu);
        match host.state() {
            State::Init => own.set_carrier(false),
            State::Backup => {
                own.set_dormant(true);
                own.set_carrier(true);
            }
            State::Master => {
                host.passed_over = own.use_marked_routes(&rcu);
                own.set_dormant(false);
                own.set_carrier(true);
            }
        }
    }

    /// The timer has expired. Softirq context.
    pub(super) fn timer_expired(&self) {
        self.try_sending();
        self.handle(Event::Timer);
    }

    /// Masters advertise out of turn: demotion changed.
    pub(super) fn advertise_now(&self) {
        if self.masters().is_any() {
            self.handle(Event::AdvertiseNow);
        }
    }

    /// An advertisement for one of our vhids came in on the parent. Softirq
    /// context.
    ///
    /// An interface with unicast peers hears unicast alone, in that family, and one
    /// without hears the group alone.
    ///
    /// # Errors
    ///
    /// Why it was dropped.
    pub(super) fn advertised(
        &self,
        family: Family,
        sender: &Sender,
        received: &Received<'_>,
    ) -> Result<(), Discard> {
        let mut outbox = Outbox::new();
        {
            let mut host = self.host.lock();
            let now = Instant(timer::now());
            if host.has_peers(family) != sender.unicast {
                return Err(Discard::BadVhid);
            }
            let place = host
                .nodes
                .iter()
                .position(|node| node.vhid() == received.vhid())
                .filter(|&place| {
                    let node = host.nodes.get(place);
                    node.is_some_and(|node| node.election.state() != State::Init)
                })
                .ok_or(Discard::BadVhid)?;
            host.hash_addresses();
            let node = host.nodes.get(place).ok_or(Discard::BadVhid)?;
            let authenticated = node.authenticate(now, received);
            host.mismatch.heard(now, sender.address, &authenticated);
            let advertisement = authenticated?;
            if host.settings.balancing() == Balancing::IpStealth {
                let mac = host.settings.mac();
                host.exposure.heard(sender.lladdr, mac);
            }
            let event = Event::Received(family, &advertisement);
            let environment = host.environment();
            self.handle_node(&mut host, place, &environment, event, &mut outbox);
            self.settle(&mut host, &mut outbox);
        }
        self.deliver(outbox);
        Ok(())
    }

    /// Starts or stops the virtual hosts, after anything changed that they depend
    /// on.
    pub(super) fn update(&self, rtnl: &Rtnl) {
        let suffers = {
            let host = self.host.lock();
            (host.place.is_some() || host.lost.is_some()) && !host.can_send()
        };
        self.start_or_stop();
        // The others first hear that these virtual hosts are gone.
        self.suppress(suffers, rtnl);
        if self.state() == state_to_u32(State::Init) {
            self.forgive_send_errors();
        }
    }

    /// The same without a look at the parent, in any context.
    pub(super) fn start_or_stop(&self) {
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

    /// Takes over settings that were checked. `fresh` has the virtual hosts that
    /// they ask for; those that there are already go on, the rest of the old ones
    /// bow out.
    pub(super) fn configure(
        &self,
        settings: Settings,
        key: Option<Secret<KEY_LEN>>,
        mut fresh: KVec<Node>,
    ) {
        let mut outbox = Outbox::new();
        {
            let mut host = self.host.lock();
            let host = &mut *host;
            host.hash_addresses();
            let environment = host.environment();
            for place in 0..host.nodes.len() {
                let stays = host
                    .nodes
                    .get(place)
                    .is_some_and(|node| settings.nodes.contains(node.vhid()));
                if !stays {
                    let stop = Event::Stop { bow_out: true };
                    self.handle_node(host, place, &environment, stop, &mut outbox);
                }
            }
            let old = core::mem::replace(&mut host.settings, settings);
            for node in fresh.iter_mut() {
                let known = host.nodes.iter_mut().find(|it| it.vhid() == node.vhid());
                match known {
                    Some(known) => core::mem::swap(known, node),
                    // Not before: an address may come while it is made.
                    None => host.hash(&host.settings, core::slice::from_mut(node), None),
                }
            }
            core::mem::swap(&mut host.nodes, &mut fresh);
            host.note_change();
            let same_key = key.is_none();
            if let Some(key) = key {
                host.key = key;
            }
            // First: what is sent now is signed with it.
            if !(same_key && old.signs_like(&host.settings)) {
                host.rehash();
            }
            self.set_mode(&host.settings);
            self.set_arp_hash(host.arp_hash());
            let environment = host.environment();
            for place in 0..host.nodes.len() {
                let config = host
                    .nodes
                    .get(place)
                    .and_then(|node| host.settings.config_for(node.vhid()));
                if let Some(config) = config {
                    let event = Event::Reconfigured(config);
                    self.handle_node(host, place, &environment, event, &mut outbox);
                    // Where the parent has no ARP these are the peers'.
                    let event = Event::FamiliesChanged;
                    self.handle_node(host, place, &environment, event, &mut outbox);
                }
            }
            self.publish(host);
            let every = Interval::from_seconds(host.settings.announce);
            let announces = host.settings.balancing().announces(true) && self.is_master();
            host.announcements
                .repeat(Instant(timer::now()), every, announces);
            self.settle(host, &mut outbox);
        }
        self.deliver(outbox);
        drop(fresh);
    }

    /// The link-layer address in whose name this host may speak for the interface's
    /// addresses: in the modes by hash whoever is master of anything shares one, in
    /// the mode arp each virtual host has its own. Any context.
    pub(super) fn voice(&self) -> Option<MacAddress> {
        match self.balancing() {
            Balancing::None => self.is_master().then(|| self.mac()),
            Balancing::Arp => self.mastered(|_| true),
            Balancing::Ip | Balancing::IpStealth | Balancing::IpUnicast => {
                self.masters().is_any().then(|| self.mac())
            }
        }
    }

    /// Whether this is such an address.
    pub(super) fn speaks_with(&self, mac: &MacAddress) -> bool {
        match self.balancing() {
            Balancing::Arp => self.mastered(|own| own == mac).is_some(),
            _ => self.voice().is_some_and(|own| own == *mac),
        }
    }

    /// Of the virtual hosts' own addresses the first that is `wanted` and of which we
    /// are master.
    fn mastered(&self, wanted: impl Fn(&MacAddress) -> bool) -> Option<MacAddress> {
        let host = self.host.lock();
        host.nodes
            .iter()
            .filter(|node| node.election.state() == State::Master)
            .map(|node| virtual_mac(node.vhid()))
            .find(|mac| wanted(mac))
    }

    /// The vhid in this place of the order.
    pub(super) fn vhid_in(&self, place: u32) -> Option<u8> {
        let host = self.host.lock();
        let node = host.nodes.get(usize::try_from(place).ok()?)?;
        Some(node.vhid())
    }

    /// The administrator wants this state.
    pub(super) fn force(&self, state: State) {
        self.handle(Event::Force(state));
    }

    /// The parent has another link-layer address, and whether one that was set by hand
    /// is hashed depends on that.
    pub(super) fn parents_mac_changed(&self) {
        let mut host = self.host.lock();
        if host.settings.lladdr.is_some() {
            host.rehash();
        }
    }

    /// An IPv4 address was added. Any context.
    pub(super) fn address_added(&self, own: &OwnDevice, address: &InetAddr) {
        self.added(own, |addresses| addresses.insert(address));
    }

    /// An IPv6 address was added. Any context.
    pub(super) fn address6_added(&self, own: &OwnDevice, address: &Inet6Addr) {
        self.added(own, |addresses| addresses.insert6(address));
    }

    fn added(&self, own: &OwnDevice, insert: impl FnOnce(&mut Addresses) -> Result<bool>) {
        if self.change_addresses(insert).is_err() {
            report!(
                own,
                NO_MEMORY,
                "{}: no memory for the list of addresses: the digest is that of the old one\n",
                own.name()
            );
        }
    }

    /// An IPv4 address was removed. Any context.
    pub(super) fn address_removed(&self, address: &InetAddr) {
        self.removed(address.address().into(), |addresses| {
            addresses.remove(address)
        });
    }

    /// An IPv6 address was removed. Any context.
    pub(super) fn address6_removed(&self, address: &Inet6Addr) {
        self.removed(address.address().into(), |addresses| {
            addresses.remove6(address)
        });
    }

    fn removed(&self, address: IpAddr, remove: impl FnOnce(&mut Addresses) -> bool) {
        let last = {
            let host = self.host.lock();
            host.addresses.len() == 1 && host.addresses.iter().next() == Some(address)
        };
        if last {
            // Still under the old list, which a farewell is signed with.
            self.halt(true);
        }
        // Removing never fails.
        let _ = self.change_addresses(|addresses| Ok(remove(addresses)));
    }

    /// Changes the list of addresses, of which `change` says whether the digest is
    /// another one: what is hashed, sent and run for follows.
    ///
    /// # Errors
    ///
    /// Those of `change`.
    fn change_addresses(&self, change: impl FnOnce(&mut Addresses) -> Result<bool>) -> Result {
        let mut outbox = Outbox::new();
        {
            let mut host = self.host.lock();
            let host = &mut *host;
            let before = host.families();
            host.note_change();
            if change(&mut host.addresses)? {
                host.unhashed = Some(Instant(timer::now()));
            }
            if host.addresses.len() <= HASHED_AT_ONCE {
                host.hash_addresses();
            }
            if host.families() == before {
                return Ok(());
            }
            self.handle_locked(host, Event::FamiliesChanged, &mut outbox);
        }
        self.deliver(outbox);
        self.start_or_stop();
        Ok(())
    }
}
