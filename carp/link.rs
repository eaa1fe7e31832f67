// SPDX-License-Identifier: GPL-2.0

//! The link kind: `ip link add`, `set` and `show … type carp`.

use super::{
    config::{Change, POLICIES},
    counters::Counter,
    device::{balancing_to_u32, state_to_u32, Carp},
    host::{make_nodes, Host},
    limits,
    netns::Namespace,
    node::Node,
    place::Place,
    settings::Settings,
};
use crate::{
    linux::{
        bindings,
        compat::ENETDOWN,
        crypto::Secret,
        link::{Link, LinkKind, Request},
        netdevice::{Device, MacAddress},
        netdevice_ops::{NewDevice, OwnDevice},
        netlink::{attribute_size, attribute_size_u64, Extack, Message},
        rcu::RcuSlot,
        rtnl::Rtnl,
        timer,
    },
    proto::carp::{
        demotion::{GroupName, GROUP_CARP, GROUP_NAME_MAX},
        election::State,
        time::Instant,
    },
};
use core::net::IpAddr;
use kernel::{
    prelude::*,
    sync::{rcu, Arc, ArcBorrow},
};

/// How many addresses the messages about a link show: each change of state sends one,
/// to listeners who may read with a page as their buffer. CARP_CMD_ADDRESS_GET has the
/// rest.
const ADDRESSES_SHOWN: usize = bindings::CARP_ADDRESSES_SHOWN as usize;

/// The registration.
pub(crate) static LINK: Link<Carp> = Link::new(c"carp", &POLICIES);

const IFNAMSIZ: usize = bindings::IFNAMSIZ as usize;

impl LinkKind for Carp {
    fn link() -> &'static Link<Self> {
        &LINK
    }

    type Change<'a> = Change<'a>;

    fn read<'a>(request: &Request<'a>, _dev: &Device, rtnl: &'a Rtnl) -> Result<Change<'a>> {
        Change::read(request, rtnl)?.with_lladdr(request)
    }

    fn new(dev: &NewDevice<'_>, request: &Request<'_>, change: &Change<'_>) -> Result<Arc<Self>> {
        if change.state.is_some() {
            return Err(request.extack.error(
                EINVAL,
                format_args!("state can be set once the interface is up"),
            ));
        }
        let settings = change.apply_to(Settings::DEFAULT, &request.extack)?;
        // Without vhid: it gets them once it can be found.
        let this = Self::new(Settings::DEFAULT, Secret::zeroes()?)?;
        dev.set_mac(&settings.mac());
        Ok(this)
    }

    fn created(
        self: &Arc<Self>,
        dev: &OwnDevice,
        request: &Request<'_>,
        change: Change<'_>,
        rtnl: &Rtnl,
    ) -> Result {
        let namespace = Namespace::of(dev.net(), rtnl).ok_or(ENODEV)?;
        self.begin(dev, rtnl);
        if let Some(mtu) = request.mtu {
            self.begin_with_mtu(mtu, change.carpdev.flatten(), &request.extack)?;
        }
        self.find_home(dev, rtnl)?;
        dev.silence_inet6(rtnl);
        let default = GroupName::new(GROUP_CARP).ok_or(EINVAL)?;
        self.join(namespace.groups(), default, &request.extack, rtnl)?;
        self.reconfigure(dev, change, &request.extack, rtnl)
    }

    fn change(
        this: ArcBorrow<'_, Self>,
        dev: &OwnDevice,
        request: &Request<'_>,
        change: Change<'_>,
        rtnl: &Rtnl,
    ) -> Result {
        let this: Arc<Self> = this.into();
        this.reconfigure(dev, change, &request.extack, rtnl)
    }

    fn lower<'a>(&'a self, rcu: &'a rcu::Guard) -> Option<&'a Device> {
        self.carpdev.get(rcu).map(|carpdev| &**carpdev)
    }

    fn size(&self) -> usize {
        let bytes: usize = [1, 4, 4, 1, 1, 1, 4, 1, 1, 1, 1, 1, 4, 4, IFNAMSIZ]
            .into_iter()
            .map(attribute_size)
            .sum();
        let lists = {
            let host = self.host.lock();
            let nodes = [0, 1, 1, 1].into_iter().map(attribute_size).sum::<usize>();
            let addresses = host
                .addresses
                .len()
                .min(ADDRESSES_SHOWN)
                .saturating_add(host.peers.len());
            let nests = attribute_size(0).saturating_mul(4);
            host.nodes
                .len()
                .saturating_mul(nodes)
                .saturating_add(addresses.saturating_mul(attribute_size(16)))
                .saturating_add(
                    host.demotion
                        .groups
                        .len()
                        .saturating_mul(attribute_size(GROUP_NAME_MAX.saturating_add(1))),
                )
                .saturating_add(nests)
        };
        let counters = Counter::ALL.len().saturating_mul(attribute_size_u64());
        bytes
            .saturating_add(lists)
            .saturating_add(attribute_size(0))
            .saturating_add(counters)
    }

    fn fill(&self, dev: &OwnDevice, message: &mut Message<'_>) -> Result {
        {
            let rcu = rcu::read_lock();
            if let Some(carpdev) = self.carpdev.get(&rcu) {
                message.u32(bindings::IFLA_CARP_CARPDEV, carpdev.ifindex())?;
                if carpdev.net() != dev.net() {
                    let id = dev.net().id_of(carpdev.net());
                    message.s32(bindings::IFLA_CARP_CARPDEV_NETNSID, id)?;
                }
            }
            let lost = self.host.lock().lost;
            if let Some(lost) = lost {
                message.string(bindings::IFLA_CARP_CARPDEV_GONE, lost.name())?;
                if let Some(net) = lost.net(&rcu).filter(|net| *net != dev.net()) {
                    let id = dev.net().id_of(net);
                    message.s32(bindings::IFLA_CARP_CARPDEV_NETNSID, id)?;
                }
            }
        }
        message.u8(
            bindings::IFLA_CARP_STATE,
            u8::try_from(self.state()).unwrap_or(0),
        )?;
        fill_host(&self.host.lock(), message)?;
        message.nest(bindings::IFLA_CARP_STATS, |message| {
            self.fill_counters(dev, message)
        })
    }
}

/// What is behind the lock.
fn fill_host(host: &Host, message: &mut Message<'_>) -> Result {
    let settings = &host.settings;
    let leader = settings.nodes.leader();
    if leader.vhid != 0 {
        message.u8(bindings::IFLA_CARP_VHID, leader.vhid)?;
        message.nest(bindings::IFLA_CARP_CARPNODES, |message| {
            host.nodes
                .iter()
                .try_for_each(|node| fill_node(node, message))
        })?;
    }
    message.u8(bindings::IFLA_CARP_ADVBASE, settings.advbase)?;
    message.u8(bindings::IFLA_CARP_ADVSKEW, leader.advskew)?;
    message.u32(
        bindings::IFLA_CARP_DEMOTE,
        u32::from(host.environment().demote),
    )?;
    let balancing = u8::try_from(balancing_to_u32(settings.balancing())).unwrap_or(0);
    message.u8(bindings::IFLA_CARP_BALANCING, balancing)?;
    message.u8(bindings::IFLA_CARP_MINTTL, settings.minttl)?;
    message.u8(bindings::IFLA_CARP_LINKLOCAL, u8::from(settings.linklocal))?;
    message.u8(
        bindings::IFLA_CARP_DEMOTESKEW,
        u8::from(settings.demoteskew),
    )?;
    message.u8(bindings::IFLA_CARP_ANNOUNCE, settings.announce)?;
    if !host.peers.is_empty() {
        message.nest(bindings::IFLA_CARP_CARPPEERS, |message| {
            let mut peers = host.peers.iter();
            peers.try_for_each(|peer| fill_ip(*peer, bindings::CARP_PEER, message))
        })?;
    }
    message.nest(bindings::IFLA_CARP_GROUPS, |message| {
        host.demotion
            .groups
            .iter()
            .try_for_each(|group| message.string(bindings::CARP_GROUP, group.name.as_bytes()))
    })?;
    message.nest(bindings::IFLA_CARP_ADDRESSES, |message| {
        let mut shown = host.addresses.iter().take(ADDRESSES_SHOWN);
        shown.try_for_each(|address| fill_ip(address, bindings::CARP_ADDRESS, message))
    })?;
    message.u32(
        bindings::IFLA_CARP_ADDRESS_COUNT,
        u32::try_from(host.addresses.len()).unwrap_or(u32::MAX),
    )?;
    match host.mismatch.age(Instant(timer::now())) {
        Some(age) => message.u32(bindings::IFLA_CARP_DIGEST_DIFFERS, age),
        None => Ok(()),
    }
}

/// An address of either family. Any context.
pub(super) fn fill_ip(address: IpAddr, attribute: u32, message: &mut Message<'_>) -> Result {
    match address {
        IpAddr::V4(address) => message.binary(attribute, &address.octets()),
        IpAddr::V6(address) => message.binary(attribute, &address.octets()),
    }
}

fn fill_node(node: &Node, message: &mut Message<'_>) -> Result {
    let config = node.election.config();
    let state = u8::try_from(state_to_u32(node.election.state())).unwrap_or(0);
    message.nest(bindings::CARP_NODE, |message| {
        message.u8(bindings::CARP_NODE_VHID, config.vhid)?;
        message.u8(bindings::CARP_NODE_ADVSKEW, config.advskew)?;
        message.u8(bindings::CARP_NODE_STATE, state)
    })
}

impl Carp {
    /// The interface's own counters, and with them those of packets that nobody
    /// could be charged with: on its parent, and in its namespace.
    fn fill_counters(&self, dev: &OwnDevice, message: &mut Message<'_>) -> Result {
        let parent = self
            .host
            .lock()
            .place
            .as_ref()
            .map(|place| place.parent().clone());
        let rcu = rcu::read_lock();
        let namespace = Namespace::of(dev.net(), &rcu);
        for (counter, attribute) in Counter::ALL {
            let of_parent = parent.as_ref().map_or(0, |it| it.counters.get(counter));
            let of_namespace = namespace.map_or(0, |it| it.counters.get(counter));
            let value = self
                .counters
                .get(counter)
                .saturating_add(of_parent)
                .saturating_add(of_namespace);
            message.u64(attribute, value, bindings::CARP_STATS_PAD)?;
        }
        Ok(())
    }

    /// Carries a change out. What can fail comes first, and is undone if what
    /// comes after it fails; so all of it happens or nothing.
    fn reconfigure(
        self: &Arc<Self>,
        own: &OwnDevice,
        mut change: Change<'_>,
        extack: &Extack<'_>,
        rtnl: &Rtnl,
    ) -> Result {
        let old = self.host.lock().settings;
        let new = change.apply_to(old, extack)?;
        // A state can be forced on what runs, and still will after the change.
        let runs = self.state() != 0
            && match change.carpdev {
                None => true,
                Some(None) => false,
                Some(Some(dev)) => dev.is_up() && dev.has_carrier(),
            };
        if change.state.is_some() && !runs {
            return Err(extack.error(
                ENETDOWN,
                format_args!("state cannot be set while the interface is INIT"),
            ));
        }
        let namespace = Namespace::of(own.net(), rtnl).ok_or(ENODEV)?;
        let groups = namespace.groups();
        limits::check(own.net(), &old, &new, extack, rtnl)?;
        self.check_peers(&change, extack)?;
        if let Some(name) = &change.leave {
            if !self.is_in_group(name) {
                return Err(extack.error(
                    ENOENT,
                    format_args!("{} is not in group {}", own.name(), name.as_str()),
                ));
            }
        }
        if own.mac() != new.mac() {
            self.host.lock().asks_for_mac = true;
            let answer = own.ask_to_change_mac(&new.mac(), extack, rtnl);
            self.host.lock().asks_for_mac = false;
            answer?;
        }
        let fresh = make_nodes(&new)?;
        // A group that it is in already is none that would have to be left again.
        let joined = change.join.filter(|name| !self.is_in_group(name));
        if let Some(name) = joined {
            self.join(groups, name, extack, rtnl)?;
        }
        // A virtual host that moves bows out where it was, under its old digest.
        let placed = match change.carpdev {
            Some(Some(dev)) if !self.stands_on(dev) => self.move_to(own, dev, &new, extack, rtnl),
            Some(None) => {
                self.disconnect(own, rtnl);
                Ok(())
            }
            _ => self.change_place(own, &old, &new, extack, rtnl),
        };
        if let Err(error) = placed {
            if let Some(name) = &joined {
                self.leave(groups, name, rtnl);
            }
            return Err(error);
        }
        // Nothing can fail from here on.
        if let Some(name) = &change.leave {
            self.leave(groups, name, rtnl);
        }
        if let Some(peers) = &mut change.peers {
            core::mem::swap(&mut self.host.lock().peers, peers);
        }
        self.configure(new, change.key.take(), fresh);
        namespace.count_hosts(old.hosts(), new.hosts(), rtnl);
        if own.mac() != new.mac() {
            own.change_mac(&new.mac(), rtnl);
            // Neighbours have the old one.
            self.announce_again();
        }
        self.update(rtnl);
        match change.state {
            Some(State::Init) | None => {}
            Some(state) => self.force(state),
        }
        Ok(())
    }

    /// Whether the interface can be given this link-layer address: said here, where the
    /// user can be told in words.
    ///
    /// # Errors
    ///
    /// It cannot.
    pub(super) fn check_lladdr(
        &self,
        own: &OwnDevice,
        lladdr: &MacAddress,
        extack: &Extack<'_>,
        _rtnl: &Rtnl,
    ) -> Result {
        let host = self.host.lock();
        let mut settings = host.settings;
        settings.set_lladdr(*lladdr);
        match &host.place {
            // What new settings mean to a parent, old or new, is checked with them.
            _ if host.asks_for_mac => Ok(()),
            Some(place) => place.check_lladdr(self, own, &settings, extack),
            None => Ok(()),
        }
    }

    /// Gives the interface a link-layer address of its own.
    ///
    /// # Errors
    ///
    /// It is another one's, or there is no memory; nothing changed.
    pub(super) fn set_lladdr(
        self: &Arc<Self>,
        own: &OwnDevice,
        lladdr: MacAddress,
        rtnl: &Rtnl,
    ) -> Result {
        let old = self.host.lock().settings;
        let mut new = old;
        new.set_lladdr(lladdr);
        let fresh = make_nodes(&new)?;
        self.change_place(own, &old, &new, &Extack::NONE, rtnl)?;
        self.configure(new, None, fresh);
        own.set_mac(&new.mac(), rtnl);
        // Neighbours have the old one.
        self.announce_again();
        Ok(())
    }

    fn stands_on(&self, dev: &Device) -> bool {
        let rcu = rcu::read_lock();
        self.carpdev
            .get(&rcu)
            .is_some_and(|carpdev| carpdev.is(dev))
    }

    /// Leaves the old parent, if any, for `dev`.
    ///
    /// # Errors
    ///
    /// In words: `dev` cannot be the parent; nothing changed.
    pub(super) fn move_to(
        self: &Arc<Self>,
        own: &OwnDevice,
        dev: &Device,
        settings: &Settings,
        extack: &Extack<'_>,
        rtnl: &Rtnl,
    ) -> Result {
        let up = self.host.lock().admin_up;
        let place = Place::new(self, own, dev, settings, up, extack, rtnl)?;
        let carpdev = match RcuSlot::prepare(dev.hold()) {
            Ok(carpdev) => carpdev,
            Err(error) => {
                place.detach(own, rtnl);
                return Err(error);
            }
        };
        // Nothing can fail from here on.
        self.disconnect(own, rtnl);
        self.carpdev.put(carpdev);
        {
            let mut host = self.host.lock();
            host.place = Some(place);
            // Whether a link-layer address is hashed depends on the parent's.
            host.rehash();
            host.addresses.solicited.forget();
        }
        self.find_ways_back(own);
        self.join_members(own, dev, rtnl);
        self.follow_mtu(dev, rtnl);
        self.join_groups(own, rtnl);
        Ok(())
    }

    /// Changes what the settings mean to the parent, if there is one.
    fn change_place(
        self: &Arc<Self>,
        own: &OwnDevice,
        old: &Settings,
        new: &Settings,
        extack: &Extack<'_>,
        rtnl: &Rtnl,
    ) -> Result {
        let (taken, up) = {
            let mut host = self.host.lock();
            let same = old.nodes == new.nodes
                && old.mac() == new.mac()
                && old.balancing() == new.balancing();
            let taken = if same { None } else { host.place.take() };
            (taken, host.admin_up)
        };
        let Some(mut place) = taken else {
            return Ok(());
        };
        let changed = place.change(self, own, new, up, extack, rtnl);
        self.host.lock().place = Some(place);
        changed
    }
}
