// SPDX-License-Identifier: GPL-2.0

//! The virtual hosts of an interface, and everything else that the interface's lock
//! protects.
//!
//! [`super::election`] passes events to them.

use super::{
    addresses::Addresses,
    authentication::Authentication,
    demotion::Demotion,
    history::History,
    lost_parent::LostParent,
    netns::Namespace,
    node::{Common, Node},
    settings::Settings,
};
use crate::{
    linux::{
        crypto::{sha1, Secret},
        fib::PassedOver,
        netdevice::Device,
        netdevice_ops::OwnDevice,
        random, timer,
    },
    proto::carp::{
        announcements::Announcements,
        arp_hash::{self, ArpHash},
        balancing::Masters,
        digest::{self, KEY_LEN},
        election::{Environment, Families, Family, State},
        learning::Exposure,
        time::Instant,
    },
};
use core::net::IpAddr;
use kernel::{
    prelude::*,
    sync::{aref::ARef, rcu},
};

/// Up to this number of addresses, the digests are computed as soon as one address
/// changes, so that no intermediate list is skipped: a peer may have it. With more
/// addresses they are computed once before the next use.
const HASHED_AT_ONCE: usize = 32;

/// For how long a wrong digest is reported, in ns: longer than the longest interval.
const DIGEST_DIFFERS_MAX_AGE: u64 = 300_000_000_000;

/// What an interface's lock protects.
pub(crate) struct Host {
    /// The virtual hosts in ascending order of vhid; at least one.
    pub(super) nodes: KVec<Node>,
    /// What the administrator chose for all of them.
    pub(super) settings: Settings,
    /// The passphrase, padded.
    pub(super) key: Secret<KEY_LEN>,
    /// What authenticates whole advertisements, once there has been a key.
    pub(super) auth: Option<KBox<Authentication>>,
    /// The addresses that the digest covers.
    pub(super) addresses: Addresses,
    /// When the addresses are announced.
    pub(super) announcements: Announcements,
    /// Whether another host has shown switches the virtual MAC.
    pub(super) exposure: Exposure,
    /// When the addresses changed last, if they have not been hashed since.
    unhashed: Option<Instant>,
    /// The groups, and by how much this interface demotes them.
    pub(super) demotion: Demotion,
    /// The last changes of state of the virtual hosts.
    pub(super) history: History,
    /// The unicast peers that get advertisements instead of the multicast group of their
    /// family.
    pub(super) peers: KVec<IpAddr>,
    /// The interface's own device, from its registration until it leaves.
    pub(super) own: Option<ARef<OwnDevice>>,
    /// The parent; changes under RTNL only.
    pub(super) carpdev: Option<ARef<Device>>,
    /// The parent that went away and is waited for; changes under RTNL only.
    pub(super) lost: Option<LostParent>,
    /// Whether the administrator has set the interface up.
    pub(super) admin_up: bool,
    /// Whether its namespace counts it; see [`super::hooks`].
    pub(super) is_counted: bool,
    /// Which routes are passed over again once a new master's are unmarked.
    pub(super) passed_over: PassedOver,
}

/// The time of an event, and the environment of the elections at that time.
pub(super) struct Moment {
    /// On the timers' clock.
    pub(super) now: Instant,
    /// What elections are to know of the interface.
    pub(super) environment: Environment,
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
            auth: None,
            addresses: Addresses::new(),
            announcements: Announcements::new(),
            exposure: Exposure::new(),
            unhashed: None,
            demotion: Demotion::new()?,
            history: History::new()?,
            peers: KVec::new(),
            own: None,
            carpdev: None,
            lost: None,
            admin_up: false,
            is_counted: false,
            passed_over: PassedOver::default(),
        };
        let mut nodes = make_nodes(&settings)?;
        host.hash(&settings, &mut nodes, None);
        host.nodes = nodes;
        Ok(host)
    }

    /// The parent, if there is one.
    fn carpdev(&self) -> Option<&Device> {
        self.carpdev.as_deref()
    }

    /// The virtual host with this vhid, or else with the next one. An interface without vhid
    /// has none.
    pub(super) fn node_from(&self, vhid: u32) -> Option<&Node> {
        let mut nodes = self.nodes.iter().filter(|node| node.vhid() != 0);
        nodes.find(|node| u32::from(node.vhid()) >= vhid)
    }

    /// Whether advertisements of this family go to unicast peers.
    pub(super) fn has_peers(&self, family: Family) -> bool {
        self.peers
            .iter()
            .any(|peer| peer.is_ipv4() == (family == Family::Ipv4))
    }

    /// The families in which the interface has shared addresses and can advertise. On a
    /// parent without ARP it can advertise only to unicast peers.
    pub(super) fn families(&self) -> Families {
        let families = self.addresses.families();
        if self.carpdev().is_none_or(Device::has_arp) {
            return families;
        }
        Families {
            ipv4: families.ipv4 && self.has_peers(Family::Ipv4),
            ipv6: families.ipv6 && self.has_peers(Family::Ipv6),
        }
    }

    fn namespace<'a>(&'a self, rcu: &'a rcu::Guard) -> Option<&'a Namespace> {
        Namespace::of(self.own.as_ref()?.net(), rcu)
    }

    /// Now. Any context.
    pub(super) fn moment(&self) -> Moment {
        Moment {
            now: Instant(timer::now()),
            environment: self.environment(),
        }
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

    /// Addresses or virtual hosts change: a dump that is under way becomes inconsistent
    /// (`NLM_F_DUMP_INTR`).
    pub(super) fn invalidate_dumps(&self) {
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

    /// How long ago the last advertisement with a wrong digest came, in ms. `None` if
    /// that was more than five minutes ago or if its sender has sent a good one since.
    pub(super) fn digest_differs(&self, now: Instant) -> Option<u32> {
        let times = self
            .nodes
            .iter()
            .map(|it| it.advertisers.digest_differed_at());
        let last = times.flatten().max()?;
        let age = now.0.saturating_sub(last.0);
        (age < DIGEST_DIFFERS_MAX_AGE).then(|| u32::try_from(age / 1_000_000).unwrap_or(u32::MAX))
    }

    /// Whether interface and parent are in a state in which the virtual hosts may run.
    pub(super) fn may_run(&self) -> bool {
        self.admin_up
            && self.settings.nodes.leader().vhid != 0
            && !self.families().is_empty()
            && self.can_send()
    }

    /// Whether the parent is up and has link.
    pub(super) fn can_send(&self) -> bool {
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

    /// Computes the constant part of the digests again. Called after a change of anything
    /// in it other than the addresses.
    pub(super) fn rehash(&mut self) {
        self.unhashed = None;
        self.rehash_since(None);
    }

    /// Computes the digests again if the addresses have changed. Called before an
    /// advertisement is signed or checked rather than for each address, because its time
    /// grows with the number of addresses.
    pub(super) fn hash_addresses(&mut self) {
        if let Some(at) = self.unhashed.take() {
            if self.state() == State::Init {
                self.rehash();
            } else {
                self.rehash_since(Some(at));
            }
        }
    }

    /// The hash by which mode arp distributes requests among the virtual hosts.
    pub(super) fn arp_hash(&self) -> ArpHash {
        let key = self.key.bytes();
        ArpHash::new(&sha1(|input| arp_hash::write_seed_input(key, input)), key)
    }

    fn rehash_since(&mut self, change: Option<Instant>) {
        let mut nodes = core::mem::take(&mut self.nodes);
        self.hash(&self.settings, &mut nodes, change);
        self.nodes = nodes;
    }

    /// Gives the virtual hosts for `settings` their new digests. `change` is the time at
    /// which the addresses changed, if nothing else did: earlier lists then stay valid
    /// for a while. With `None` they do not.
    pub(super) fn hash(&self, settings: &Settings, nodes: &mut [Node], change: Option<Instant>) {
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
            node.sign_ahead(settings.linklocal);
        }
    }

    /// The virtual hosts of which this host is master.
    pub(super) fn masters(&self) -> Masters {
        Masters::new(
            self.nodes
                .iter()
                .map(|node| node.election.state() == State::Master),
        )
    }

    /// The interface's state: the highest one of its virtual hosts.
    pub(super) fn state(&self) -> State {
        let states = || self.nodes.iter().map(|node| node.election.state());
        if states().any(|state| state == State::Master) {
            State::Master
        } else if states().any(|state| state == State::Backup) {
            State::Backup
        } else {
            State::Init
        }
    }

    /// When the timer must expire next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let elections = self.nodes.iter().map(|node| node.election.deadline());
        let others = [
            self.demotion.send_errors.deadline(),
            self.demotion.next_expiry(),
            self.announcements.deadline(),
        ];
        // The kernel crate has a `chain` of its own.
        Iterator::chain(elections, others).flatten().min()
    }

    /// Called after a change of the list of addresses. `changes_digest` says whether the
    /// digest changes with it.
    pub(super) fn addresses_changed(&mut self, changes_digest: bool, now: Instant) {
        if changes_digest {
            self.unhashed = Some(now);
        }
        if self.addresses.len() <= HASHED_AT_ONCE {
            self.hash_addresses();
        }
    }
}

/// Makes the virtual hosts for `settings`. They do not run and have no digests yet.
/// Process context, may sleep.
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
