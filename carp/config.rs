// SPDX-License-Identifier: GPL-2.0

//! What the administrator asks for, checked: everything that can be wrong about a
//! value by itself is told here, in words.

use super::{
    auth_config::{AuthChange, Numbers},
    device::Carp,
    settings::Settings,
    switch::read_switch,
};
use crate::{
    linux::{
        bindings,
        compat::EADDRNOTAVAIL,
        crypto::Secret,
        link::Request,
        netdevice::{Device, MacAddress},
        netlink::{Attributes, Elements, Extack, Policies, Policy},
        rtnl::Rtnl,
    },
    proto::carp::{
        balancing::Balancing,
        carpnodes::{Carpnode, Carpnodes, Refusal},
        demotion::{GroupName, GROUP_NAME_MAX},
        digest::{self, KEY_LEN, PASS_MAX},
        election::State,
    },
};
use core::net::IpAddr;
use kernel::prelude::*;

/// The most that rtnetlink parses (`RTNL_MAX_TYPE`): it would ignore what lies above
/// the last one, and a newer ip(8) would take that for success.
const ATTRIBUTES: usize = 51;

/// The kinds of values; their ranges are checked here, where an error can say
/// what the range is.
pub(crate) static POLICIES: Policies<ATTRIBUTES> = Policies::new(&[
    (bindings::IFLA_CARP_VHID, Policy::U8),
    (bindings::IFLA_CARP_CARPDEV, Policy::U32),
    (bindings::IFLA_CARP_ADVBASE, Policy::U8),
    (bindings::IFLA_CARP_ADVSKEW, Policy::U8),
    (bindings::IFLA_CARP_PASS, Policy::Binary(u16::MAX)),
    (bindings::IFLA_CARP_STATE, Policy::U8),
    (bindings::IFLA_CARP_DEMOTE, Policy::Reject),
    (bindings::IFLA_CARP_STATS, Policy::Reject),
    (bindings::IFLA_CARP_CARPNODES, Policy::Nested),
    (bindings::IFLA_CARP_BALANCING, Policy::U8),
    (bindings::IFLA_CARP_CARPPEERS, Policy::Nested),
    (bindings::IFLA_CARP_MINTTL, Policy::U8),
    (bindings::IFLA_CARP_GROUP_JOIN, Policy::Binary(u16::MAX)),
    (bindings::IFLA_CARP_GROUP_LEAVE, Policy::Binary(u16::MAX)),
    (bindings::IFLA_CARP_LINKLOCAL, Policy::U8),
    (bindings::IFLA_CARP_DEMOTESKEW, Policy::U8),
    (bindings::IFLA_CARP_ANNOUNCE, Policy::U8),
    (AUTH.mode, Policy::U8),
    (AUTH.keys, Policy::Nested),
    (AUTH.remove, Policy::U8),
    (AUTH.active, Policy::U8),
    (AUTH.window, Policy::U32),
    (AUTH.monotonic, Policy::U8),
]);

/// The attributes of authentication.
pub(super) const AUTH: Numbers = Numbers {
    mode: bindings::IFLA_CARP_AUTH,
    keys: bindings::IFLA_CARP_AUTH_KEYS,
    remove: bindings::IFLA_CARP_AUTH_KEY_REMOVE,
    active: bindings::IFLA_CARP_AUTH_ACTIVE,
    window: bindings::IFLA_CARP_AUTH_WINDOW,
    monotonic: bindings::IFLA_CARP_AUTH_MONOTONIC,
};

/// The largest advbase and advskew: 255 is how a master bows out.
const ADV_MAX: u8 = 254;

/// The most unicast peers of a family.
const PEERS_MAX: usize = bindings::CARP_PEERS_MAX as usize;

/// A change that was asked for; nothing means: as it is.
pub(crate) struct Change<'a> {
    vhid: Option<u8>,
    advbase: Option<u8>,
    advskew: Option<u8>,
    nodes: Option<Carpnodes>,
    balancing: Option<Balancing>,
    lladdr: Option<MacAddress>,
    minttl: Option<u8>,
    linklocal: Option<bool>,
    demoteskew: Option<bool>,
    announce: Option<u8>,
    /// A new passphrase, padded.
    pub(super) key: Option<Secret<KEY_LEN>>,
    /// A new parent; `Some(None)`: none any more.
    pub(super) carpdev: Option<Option<&'a Device>>,
    /// New unicast peers; an empty list: the groups again.
    pub(super) peers: Option<KVec<IpAddr>>,
    /// A group to join.
    pub(super) join: Option<GroupName>,
    /// A group to leave.
    pub(super) leave: Option<GroupName>,
    /// A state to be forced.
    pub(super) state: Option<State>,
    /// Authentication of whole advertisements.
    pub(super) auth: AuthChange,
}

impl<'a> Change<'a> {
    /// Reads and checks a request.
    ///
    /// # Errors
    ///
    /// In words: a value is wrong.
    pub(super) fn read(request: &Request<'a>, rtnl: &'a Rtnl) -> Result<Self> {
        let data = &request.data;
        let extack = &request.extack;
        let vhid = data.u8(bindings::IFLA_CARP_VHID);
        if vhid == Some(0) {
            return Err(extack.error(EINVAL, format_args!("vhid must be 1-255")));
        }
        let nodes = data
            .each(bindings::IFLA_CARP_CARPNODES)
            .map(|nodes| read_nodes(nodes, extack))
            .transpose()?;
        if vhid.is_some() && nodes.is_some() {
            return Err(extack.error(
                EINVAL,
                format_args!("vhid and carpnodes exclude each other"),
            ));
        }
        let state = data
            .u8(bindings::IFLA_CARP_STATE)
            .map(|state| read_state(state, extack))
            .transpose()?;
        let key = data
            .binary(bindings::IFLA_CARP_PASS)
            .map(|pass| read_pass(pass, extack))
            .transpose()?;
        if !request.link_net_capable {
            check_far_parent(data, extack)?;
        }
        let minttl = data.u8(bindings::IFLA_CARP_MINTTL);
        if minttl == Some(0) {
            return Err(extack.error(EINVAL, format_args!("minttl must be 1-255")));
        }
        let group = |attribute| {
            data.binary(attribute)
                .map(|name| read_group(name, extack))
                .transpose()
        };
        Ok(Self {
            vhid,
            advbase: read_adv(data.u8(bindings::IFLA_CARP_ADVBASE), "advbase", extack)?,
            advskew: read_adv(data.u8(bindings::IFLA_CARP_ADVSKEW), "advskew", extack)?,
            nodes,
            balancing: data
                .u8(bindings::IFLA_CARP_BALANCING)
                .map(|mode| read_balancing(mode, extack))
                .transpose()?,
            // A link-layer address of its own can be given when the interface is
            // made; later it comes through `set_mac`.
            lladdr: None,
            minttl,
            linklocal: read_switch(data.u8(bindings::IFLA_CARP_LINKLOCAL), "linklocal", extack)?,
            demoteskew: read_switch(
                data.u8(bindings::IFLA_CARP_DEMOTESKEW),
                "demoteskew",
                extack,
            )?,
            announce: data.u8(bindings::IFLA_CARP_ANNOUNCE),
            key,
            carpdev: read_carpdev(request, rtnl)?,
            peers: data
                .each(bindings::IFLA_CARP_CARPPEERS)
                .map(|peers| read_peers(peers, extack))
                .transpose()?,
            join: group(bindings::IFLA_CARP_GROUP_JOIN)?,
            leave: group(bindings::IFLA_CARP_GROUP_LEAVE)?,
            state,
            auth: AuthChange::read(data, &AUTH, extack)?,
        })
    }

    /// Takes the link-layer address that a new interface was given.
    ///
    /// # Errors
    ///
    /// In words: it is none.
    pub(super) fn with_lladdr(mut self, request: &Request<'_>) -> Result<Self> {
        if let Some(address) = request.address {
            let lladdr = address
                .first_chunk::<6>()
                .filter(|mac| address.len() == mac.len() && is_lladdr(mac));
            self.lladdr = Some(*lladdr.ok_or_else(|| {
                request.extack.error(
                    EADDRNOTAVAIL,
                    format_args!("that is no address of an interface"),
                )
            })?);
        }
        Ok(self)
    }

    /// What the interface is to be, beginning from what it is.
    ///
    /// # Errors
    ///
    /// In words: the values do not go together.
    pub(super) fn apply_to(&self, old: Settings, extack: &Extack<'_>) -> Result<Settings> {
        let mut new = old;
        if let Some(vhid) = self.vhid {
            let advskew = old.nodes.leader().advskew;
            new.nodes = Carpnodes::one(Carpnode { vhid, advskew });
        }
        if let Some(nodes) = self.nodes {
            new.nodes = nodes;
        }
        if let Some(advskew) = self.advskew {
            if self.nodes.is_some() {
                return Err(extack.error(
                    EINVAL,
                    format_args!("carpnodes have their own advskew: vhid:advskew"),
                ));
            }
            new.nodes.set_advskew(advskew);
        }
        new.advbase = self.advbase.unwrap_or(old.advbase);
        new.wanted = self.balancing.unwrap_or(old.wanted);
        new.minttl = self.minttl.unwrap_or(old.minttl);
        new.linklocal = self.linklocal.unwrap_or(old.linklocal);
        new.demoteskew = self.demoteskew.unwrap_or(old.demoteskew);
        new.announce = self.announce.unwrap_or(old.announce);
        new.auth = self.auth.apply_to(old.auth);
        if let Some(lladdr) = self.lladdr {
            new.set_lladdr(lladdr);
        }
        Ok(new)
    }
}

/// Whether an interface can have this link-layer address.
fn is_lladdr(mac: &MacAddress) -> bool {
    mac.first().is_some_and(|first| first & 1 == 0) && *mac != [0; 6]
}

fn read_nodes(nodes: Elements<'_>, extack: &Extack<'_>) -> Result<Carpnodes> {
    let malformed = || extack.error(EINVAL, format_args!("carpnodes: malformed list"));
    if !nodes.is_whole() {
        return Err(malformed());
    }
    let mut wrong = false;
    let list = nodes.map(|element| {
        let mut node = Carpnode::default();
        let attributes = Elements::new(element.bytes);
        wrong |= element.kind != bindings::CARP_NODE || !attributes.is_whole();
        for attribute in attributes {
            match (attribute.kind, attribute.bytes) {
                (bindings::CARP_NODE_VHID, [vhid]) => node.vhid = *vhid,
                (bindings::CARP_NODE_ADVSKEW, [advskew]) => node.advskew = *advskew,
                _ => wrong = true,
            }
        }
        node
    });
    let nodes = Carpnodes::new(list);
    if wrong {
        return Err(malformed());
    }
    nodes.map_err(|refusal| match refusal {
        Refusal::Empty => extack.error(EINVAL, format_args!("carpnodes: the list is empty")),
        Refusal::TooMany => extack.error(
            EINVAL,
            format_args!(
                "an interface has at most {} carpnodes",
                bindings::CARP_NODES_MAX
            ),
        ),
        Refusal::Vhid => extack.error(EINVAL, format_args!("vhid must be 1-255")),
        Refusal::Advskew => extack.error(EINVAL, format_args!("advskew must be 0-{}", ADV_MAX)),
        Refusal::Twice(vhid) => extack.error(
            EINVAL,
            format_args!("vhid {} occurs twice among the carpnodes", vhid),
        ),
    })
}

fn read_balancing(mode: u8, extack: &Extack<'_>) -> Result<Balancing> {
    match u32::from(mode) {
        bindings::carp_balancing_CARP_BALANCING_NONE => Ok(Balancing::None),
        bindings::carp_balancing_CARP_BALANCING_ARP => Ok(Balancing::Arp),
        bindings::carp_balancing_CARP_BALANCING_IP => Ok(Balancing::Ip),
        bindings::carp_balancing_CARP_BALANCING_IP_STEALTH => Ok(Balancing::IpStealth),
        bindings::carp_balancing_CARP_BALANCING_IP_UNICAST => Ok(Balancing::IpUnicast),
        _ => Err(extack.error(
            EINVAL,
            format_args!("balancing must be none, arp, ip, ip-stealth or ip-unicast"),
        )),
    }
}

fn read_group(name: &[u8], extack: &Extack<'_>) -> Result<GroupName> {
    let name = name.strip_suffix(&[0]).unwrap_or(name);
    GroupName::new(name).ok_or_else(|| {
        extack.error(
            EINVAL,
            format_args!(
                "a group's name has 1-{} characters, the last one no digit",
                GROUP_NAME_MAX
            ),
        )
    })
}

fn read_peers(peers: Elements<'_>, extack: &Extack<'_>) -> Result<KVec<IpAddr>> {
    if !peers.is_whole() {
        return Err(extack.error(EINVAL, format_args!("carppeer: malformed list")));
    }
    let mut list = KVec::new();
    for element in peers {
        let address = match (element.kind, element.bytes.len()) {
            (bindings::CARP_PEER, 4) => element.bytes.first_chunk::<4>().map(|it| (*it).into()),
            (bindings::CARP_PEER, 16) => element.bytes.first_chunk::<16>().map(|it| (*it).into()),
            _ => None,
        };
        let address: IpAddr = address
            .ok_or_else(|| extack.error(EINVAL, format_args!("carppeer: malformed address")))?;
        if !is_unicast(&address) {
            return Err(extack.error(
                EINVAL,
                format_args!("a carppeer is the unicast address of another host"),
            ));
        }
        let same = list
            .iter()
            .filter(|other: &&IpAddr| other.is_ipv4() == address.is_ipv4())
            .count();
        if same == PEERS_MAX {
            return Err(extack.error(
                EINVAL,
                format_args!("at most {} carppeers of a family", PEERS_MAX),
            ));
        }
        if !list.contains(&address) {
            list.push(address, GFP_KERNEL_ACCOUNT)?;
        }
    }
    Ok(list)
}

/// Whether an address may be that of another host.
pub(crate) fn is_unicast(address: &IpAddr) -> bool {
    let special = match address {
        // 0.0.0.0/8: RFC 1122, section 3.2.1.3.
        IpAddr::V4(address) => address.is_broadcast() || address.octets().starts_with(&[0]),
        IpAddr::V6(address) => address.to_ipv4_mapped().is_some(),
    };
    !(special || address.is_multicast() || address.is_unspecified() || address.is_loopback())
}

fn read_adv(value: Option<u8>, name: &str, extack: &Extack<'_>) -> Result<Option<u8>> {
    match value {
        Some(value) if value > ADV_MAX => {
            Err(extack.error(EINVAL, format_args!("{} must be 0-{}", name, ADV_MAX)))
        }
        value => Ok(value),
    }
}

fn read_state(state: u8, extack: &Extack<'_>) -> Result<State> {
    match u32::from(state) {
        bindings::carp_state_CARP_STATE_BACKUP => Ok(State::Backup),
        bindings::carp_state_CARP_STATE_MASTER => Ok(State::Master),
        _ => Err(extack.error(
            EINVAL,
            format_args!("state can be set to backup or master only"),
        )),
    }
}

fn read_pass(pass: &[u8], extack: &Extack<'_>) -> Result<Secret<KEY_LEN>> {
    let mut key = Secret::zeroes()?;
    digest::write_key(pass, key.bytes_mut()).ok_or_else(|| {
        extack.error(
            EINVAL,
            format_args!("the passphrase is longer than {} characters", PASS_MAX),
        )
    })?;
    Ok(key)
}

/// What is sent on the parent's network by the parent's own addresses, or often, is up to
/// who administers that network: the parent is in another namespace, which is not the
/// user's.
fn check_far_parent(data: &Attributes<'_>, extack: &Extack<'_>) -> Result {
    let refuse = |name: &str| {
        Err(extack.error(
            EPERM,
            format_args!("{name}: the network namespace of its carpdev is not yours to administer"),
        ))
    };
    if data.each(bindings::IFLA_CARP_CARPPEERS).is_some() {
        return refuse("carppeer");
    }
    if data.u8(bindings::IFLA_CARP_MINTTL).is_some() {
        return refuse("minttl");
    }
    if data.u8(bindings::IFLA_CARP_ADVBASE) == Some(0) {
        return refuse("advbase 0");
    }
    Ok(())
}

/// A parent is named by `carpdev` or, as with other kinds, by `link`.
fn read_carpdev<'a>(request: &Request<'a>, rtnl: &'a Rtnl) -> Result<Option<Option<&'a Device>>> {
    let extack = &request.extack;
    let carpdev = request.data.u32(bindings::IFLA_CARP_CARPDEV);
    let ifindex = match (carpdev, request.link) {
        (Some(carpdev), Some(link)) if carpdev != link => {
            return Err(extack.error(
                EINVAL,
                format_args!("carpdev and link name different interfaces"),
            ));
        }
        (carpdev, link) => carpdev.or(link),
    };
    match ifindex {
        None => Ok(None),
        Some(0) => Ok(Some(None)),
        Some(_) if !request.link_net_capable => Err(extack.error(
            EPERM,
            format_args!("carpdev: its network namespace is not yours to administer"),
        )),
        Some(ifindex) => {
            let dev = Device::by_index(request.link_net, ifindex, rtnl).ok_or_else(|| {
                extack.error(
                    ENODEV,
                    format_args!("carpdev: there is no interface with index {}", ifindex),
                )
            })?;
            check_parent(dev, extack, rtnl)?;
            Ok(Some(Some(dev)))
        }
    }
}

/// Whether `dev` can be a parent, as far as that does not depend on the interface.
///
/// # Errors
///
/// In words: it cannot.
pub(super) fn check_parent(dev: &Device, extack: &Extack<'_>, rtnl: &Rtnl) -> Result {
    if dev.of_driver_rtnl::<Carp>(rtnl).is_some() {
        return Err(extack.error(
            EINVAL,
            format_args!(
                "{} is a carp interface, which cannot be the carpdev of another",
                dev.name()
            ),
        ));
    }
    // In all of its modes, with ARP and without.
    if dev.is_ipvlan(rtnl) {
        return Err(extack.error(
            EINVAL,
            format_args!(
                "{} is an ipvlan, which would never see the virtual MAC",
                dev.name()
            ),
        ));
    }
    if !dev.is_ethernet() {
        return Err(extack.error(
            EINVAL,
            format_args!("{} is not an Ethernet interface", dev.name()),
        ));
    }
    if dev.is_picky_macvlan() {
        return Err(extack.error(
            EINVAL,
            format_args!(
                "{} is a macvlan that is not in passthru mode: it would never see the virtual MAC",
                dev.name()
            ),
        ));
    }
    Ok(())
}
