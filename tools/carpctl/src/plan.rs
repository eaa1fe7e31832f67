// SPDX-License-Identifier: GPL-2.0

//! A command that was checked against what is there: what belongs to the link goes in one
//! message, so that the kernel takes or refuses it as a whole; then the addresses.

use crate::{
    address::{Action, AddressChange},
    addresses::{address_message, is_so, removals, remove_alone},
    attributes::{emit, text, u32, u8},
    auth::{keys_attribute, Numbers},
    carp::Carp,
    change::Change,
    contract::{
        link::{IFLA_CARP_GROUP_JOIN, IFLA_CARP_GROUP_LEAVE, IFLA_CARP_STATE},
        name, STATES,
    },
    error::{failed, Error, Result},
    interface::{info_kind, Address, Interface, Route, RTM_DELLINK, RTM_NEWADDR, RTM_NEWLINK},
    kind::Kind,
    output::warn,
    setting::Setting,
    socket::{ENETDOWN, EOPNOTSUPP},
    virtual_device::VirtualDevice,
};
use netlink_packet_core::{DefaultNla, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::link::{InfoData, LinkAttribute, LinkFlags, LinkInfo, LinkMessage};
use std::net::IpAddr;

/// Of linux/if_link.h.
const IFLA_IFALIAS: u16 = 20;

pub struct Plan<'a> {
    name: &'a str,
    /// Nothing: it is to be made.
    index: Option<u32>,
    /// All that is about the link; nothing: only addresses change.
    link: Option<LinkMessage>,
    /// What that message has no room for, each in one of its own: a second group or key to remove and
    /// further ones, the description of a new interface.
    further: Vec<LinkAttribute>,
    remove: Vec<Address>,
    add: Vec<AddressChange>,
    address_proto: u8,
    /// Only when the addresses are there.
    up: bool,
    virtual_device: VirtualDevice,
    /// A state that the interface can be in only when it is up.
    state: Option<u8>,
}

impl<'a> Plan<'a> {
    /// `change` has the prefix lengths of all addresses, `present` is what the interface has.
    ///
    /// # Errors
    ///
    /// What is asked for cannot be; nothing was changed.
    pub fn new(
        name: &'a str,
        change: &Change,
        existing: Option<&Interface>,
        present: &[Address],
        route: &mut Route,
    ) -> Result<Self> {
        let remove = removals(name, change, &change.addresses, present)?;
        let comes = |address: &&AddressChange| address.action != Action::Remove;
        let add: Vec<_> = change
            .addresses
            .iter()
            .filter(comes)
            .filter(|wanted| {
                let mut stays = present.iter().filter(|address| !remove.contains(address));
                !stays.any(|address| is_so(wanted, address))
            })
            .cloned()
            .collect();
        let was_up = existing.is_some_and(Interface::is_up);
        // as ifconfig(8): an address brings the interface up
        let has_address = change.addresses.iter().any(|address| comes(&address));
        let up = change.up.unwrap_or(has_address) && !was_up;
        let late = up && !add.is_empty();
        if change.state.is_some() && !up && (!was_up || change.up == Some(false)) {
            return failed(format!("{name}: state can be set once the interface is up"));
        }
        // what runs already takes a state together with all else
        let late_state = change.state.filter(|_| up || !add.is_empty());

        let carp = existing.and_then(|interface| interface.carp.as_ref());
        let (mut data, further) = attributes(change, carp, route)?;
        if late_state.is_none() {
            data.extend(change.state.map(|state| u8(IFLA_CARP_STATE, state)));
        }
        let mut further: Vec<_> = further
            .into_iter()
            .filter_map(|attribute| Some(link_info(change.kind?, &[attribute])))
            .collect();
        let mut message = LinkMessage::default();
        message.header.index = existing.map_or(0, |interface| interface.index);
        match existing {
            Some(interface) => change.virtual_device.check(interface, route)?,
            None => {
                let name_attribute = LinkAttribute::IfName(name.to_owned());
                message.attributes.push(name_attribute);
                if change.kind.is_none() {
                    let making = change.virtual_device.making(name, route)?;
                    message.attributes.extend(making);
                }
            }
        }
        if let Some(mtu) = change.mtu {
            message.attributes.push(LinkAttribute::Mtu(mtu));
        }
        if let Some(lladdr) = change.lladdr {
            message
                .attributes
                .push(LinkAttribute::Address(lladdr.to_vec()));
        }
        if let Some(description) = &change.description {
            let alias = DefaultNla::new(IFLA_IFALIAS, description.as_bytes().to_vec());
            // rtnetlink passes it over when it makes an interface
            match existing {
                Some(_) => message.attributes.push(LinkAttribute::Other(alias)),
                None => further.push(LinkAttribute::Other(alias)),
            }
        }
        if let Some(kind) = change
            .kind
            .filter(|_| existing.is_none() || !data.is_empty())
        {
            message.attributes.push(link_info(kind, &data));
        }
        if (up && !late) || change.up == Some(false) {
            message.header.change_mask = LinkFlags::Up;
        }
        if up && !late {
            message.header.flags = LinkFlags::Up;
        }
        let needed = !message.attributes.is_empty() || !message.header.change_mask.is_empty();
        Ok(Self {
            name,
            index: existing.map(|interface| interface.index),
            link: needed.then_some(message),
            further,
            remove,
            add,
            address_proto: change.address_proto,
            up: late,
            virtual_device: change.virtual_device.clone(),
            state: late_state,
        })
    }

    pub fn carry_out(&self, route: &mut Route) -> Result<()> {
        let flags = if self.index.is_none() {
            NLM_F_CREATE | NLM_F_EXCL
        } else {
            0
        };
        if let Some(message) = &self.link {
            route
                .request(RTM_NEWLINK, flags, message)
                .map_err(no_such_kind)?;
        }
        let index = match self.index {
            Some(index) => index,
            None => route.existing(self.name)?.index,
        };
        let Err(error) = self.the_rest(route, index) else {
            return Ok(());
        };
        if self.index.is_none() {
            // half an interface is of no use; it fails only if it is gone already
            let _ = delete(route, index);
            return Err(error);
        }
        match &self.link {
            Some(_) => failed(format!("{error}; the words before that are in force")),
            None => Err(error),
        }
    }

    fn the_rest(&self, route: &mut Route, index: u32) -> Result<()> {
        for attribute in &self.further {
            set(route, index, attribute.clone())?;
        }
        self.virtual_device.move_ports(index, route)?;
        for address in &self.remove {
            remove_alone(route, address, &self.remove)?;
        }
        for change in &self.add {
            let message = address_message(&Address {
                address: change.address,
                prefix_len: change.prefix_len.unwrap_or_default(),
                broadcast: change.broadcast_address(),
                dest: change.dest,
                interface: index,
                proto: self.address_proto,
            });
            route
                .request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &message)
                .map_err(|error| error.about(change.address))?;
        }
        if self.up {
            let mut message = LinkMessage::default();
            message.header.index = index;
            message.header.flags = LinkFlags::Up;
            message.header.change_mask = LinkFlags::Up;
            route.request(RTM_NEWLINK, 0, &message)?;
        }
        let Some(state) = self.state else {
            return Ok(());
        };
        match set(
            route,
            index,
            link_info(Kind::Carp, &[u8(IFLA_CARP_STATE, state)]),
        ) {
            // it is up and does not run, perhaps for want of a link: no fault of the command
            Err(Error::Kernel { code: ENETDOWN, .. }) => {
                warn(&format!(
                    "{}: it is INIT as yet, and does not become {}",
                    self.name,
                    name(STATES, state).to_uppercase()
                ));
                Ok(())
            }
            result => result,
        }
    }
}

/// Sets one attribute of a link.
fn set(route: &mut Route, index: u32, attribute: LinkAttribute) -> Result<()> {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.attributes = vec![attribute];
    route.request(RTM_NEWLINK, 0, &message)?;
    Ok(())
}

/// rtnetlink's words for a kind that it does not know help nobody.
fn no_such_kind(error: Error) -> Error {
    match error {
        Error::Kernel {
            code: EOPNOTSUPP,
            words,
        } if words == "Unknown device type" => Error::Failed("carp.ko is not loaded".to_owned()),
        error => error,
    }
}

/// What the driver reads of the first message, and what is left for further ones:
/// rtnetlink keeps the last of several attributes alike.
fn attributes(
    change: &Change,
    carp: Option<&Carp>,
    route: &mut Route,
) -> Result<(Vec<DefaultNla>, Vec<DefaultNla>)> {
    let mut data: Vec<_> = change.settings.iter().map(Setting::attribute).collect();
    data.extend(peers(change, carp).map(|peers| peers.attribute()));
    let keys = change
        .kind
        .map(|kind| keys_attribute(kind, &change.auth_keys));
    data.extend(keys.flatten());
    let device = change.kind.map(Kind::device).zip(change.device.as_ref());
    match device {
        None => {}
        Some(((_, attribute), None)) => data.push(u32(attribute, 0)),
        Some(((word, attribute), Some(device))) => match route.by_name(device)? {
            Some(device) => data.push(u32(attribute, device.index)),
            None => return failed(format!("{word} {device}: there is no such interface")),
        },
    }
    let mut further = Vec::new();
    for (attribute, names) in [
        (IFLA_CARP_GROUP_JOIN, &change.join),
        (IFLA_CARP_GROUP_LEAVE, &change.leave),
    ] {
        let mut groups = names.iter().map(|name| text(attribute, name));
        data.extend(groups.next());
        further.extend(groups);
    }
    if let Some(kind) = change.kind {
        let attribute = Numbers::of(kind).remove;
        let mut keys = change.lost_keys.iter().map(|id| u8(attribute, *id));
        data.extend(keys.next());
        further.extend(keys);
    }
    Ok((data, further))
}

/// The peers of both families, where one of them was given another peer: the kernel takes
/// the list as a whole.
fn peers(change: &Change, carp: Option<&Carp>) -> Option<Setting> {
    if change.peer_ipv4.is_none() && change.peer_ipv6.is_none() {
        return None;
    }
    let before = carp.map(|carp| carp.peers.as_slice()).unwrap_or_default();
    let stay = before.iter().copied().filter(|peer| match peer {
        IpAddr::V4(_) => change.peer_ipv4.is_none(),
        IpAddr::V6(_) => change.peer_ipv6.is_none(),
    });
    let ipv4 = change.peer_ipv4.flatten().map(IpAddr::V4);
    let ipv6 = change.peer_ipv6.flatten().map(IpAddr::V6);
    Some(Setting::Peers(stay.chain(ipv4).chain(ipv6).collect()))
}

fn link_info(kind: Kind, data: &[DefaultNla]) -> LinkAttribute {
    let mut info = vec![info_kind(kind)];
    if !data.is_empty() {
        info.push(LinkInfo::Data(InfoData::Other(emit(data))));
    }
    LinkAttribute::LinkInfo(info)
}

pub fn delete(route: &mut Route, index: u32) -> Result<()> {
    let mut message = LinkMessage::default();
    message.header.index = index;
    route.request(RTM_DELLINK, 0, &message)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words;

    #[test]
    fn a_peer_of_one_family_leaves_the_other() {
        let carp = Carp {
            peers: ["10.0.0.3", "10.0.0.4", "2001:db8::3"]
                .map(|peer| peer.parse().expect("is an address"))
                .to_vec(),
            ..Carp::default()
        };
        for (line, expected) in [
            ("vhid 1", None),
            ("peer 10.0.0.9", Some("carppeer 2001:db8::3,10.0.0.9")),
            ("mcast", Some("carppeer 2001:db8::3")),
            ("peer6 fd00::1", Some("carppeer 10.0.0.3,10.0.0.4,fd00::1")),
            ("mcast6", Some("carppeer 10.0.0.3,10.0.0.4")),
            ("mcast mcast6", Some("-carppeer")),
        ] {
            let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
            let change = words::read(Some(Kind::Carp), &words).expect("is right");
            let told = peers(&change, Some(&carp)).map(|peers| peers.to_string());
            assert_eq!(told.as_deref(), expected, "{line}");
        }
    }
}
