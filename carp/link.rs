// SPDX-License-Identifier: GPL-2.0

//! The link kind: `ip link add`, `set` and `show … type carp`.

use super::{
    config::{Change, AUTH, POLICIES},
    counters::Counter,
    device::Carp,
    group_membership,
    host::Host,
    move_netns, mtu,
    netns::Namespace,
    node::Node,
    published::{balancing_to_u32, state_to_u32},
    reconfigure,
    settings::Settings,
    stats_requests,
};
use crate::{
    linux::{
        bindings,
        crypto::Secret,
        link::{Link, LinkKind, Request},
        netdevice::Device,
        netdevice_ops::{NewDevice, OwnDevice},
        netlink::{attribute_size, attribute_size_u64, Message},
        rtnl::Rtnl,
        timer,
    },
    proto::carp::{
        demotion::{GroupName, GROUP_CARP, GROUP_NAME_MAX},
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
            mtu::begin(self, mtu, change.carpdev.flatten(), &request.extack, rtnl)?;
        }
        move_netns::enter(self, dev, rtnl)?;
        dev.disable_inet6_output(rtnl);
        let default = GroupName::new(GROUP_CARP).ok_or(EINVAL)?;
        group_membership::join(self, namespace.groups(), default, &request.extack, rtnl)?;
        reconfigure::reconfigure(self, dev, change, &request.extack, rtnl)
    }

    fn change(
        this: ArcBorrow<'_, Self>,
        dev: &OwnDevice,
        request: &Request<'_>,
        change: Change<'_>,
        rtnl: &Rtnl,
    ) -> Result {
        let this: Arc<Self> = this.into();
        reconfigure::reconfigure(&this, dev, change, &request.extack, rtnl)
    }

    fn lower<'a>(&'a self, rcu: &'a rcu::Guard) -> Option<&'a Device> {
        self.published.carpdev.get(rcu).map(|carpdev| &**carpdev)
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
            let keys = host
                .auth
                .as_ref()
                .map_or(0, |auth| auth.keys().iter().count());
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
                .saturating_add(AUTH.size(keys))
                .saturating_add(nests)
        };
        let counters = Counter::ALL.len().saturating_mul(attribute_size_u64());
        bytes
            .saturating_add(lists)
            .saturating_add(attribute_size(0))
            .saturating_add(counters)
    }

    fn fill(&self, dev: &OwnDevice, message: &mut Message<'_>, _rtnl: &Rtnl) -> Result {
        {
            let lost = self.host.lock().lost;
            let rcu = rcu::read_lock();
            if let Some(carpdev) = self.published.carpdev.get(&rcu) {
                message.u32(bindings::IFLA_CARP_CARPDEV, carpdev.ifindex())?;
                if carpdev.net() != dev.net() {
                    let id = dev.net().id_of(carpdev.net());
                    message.s32(bindings::IFLA_CARP_CARPDEV_NETNSID, id)?;
                }
            }
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
            u8::try_from(self.published.state()).unwrap_or(0),
        )?;
        fill_host(&self.host.lock(), message)?;
        message.nest(bindings::IFLA_CARP_STATS, |message| {
            let mut counters = stats_requests::of_interface(self, dev.net());
            counters.try_for_each(|(attribute, value)| {
                message.u64(attribute, value, bindings::CARP_STATS_PAD)
            })
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
    let keys = host.auth.as_ref().map(|auth| auth.keys());
    AUTH.fill(&settings.auth, settings.auth_window(), keys, message)?;
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
    match host.digest_differs(Instant(timer::now())) {
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
