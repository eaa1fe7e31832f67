// SPDX-License-Identifier: GPL-2.0

//! Carries a command out: what belongs to the link in one message, so that the kernel
//! takes or refuses it as a whole, then the addresses.

use crate::{
    address::{Action, AddressChange},
    attributes::{emit, text, u32},
    contract::link::{IFLA_CARP_GROUP_JOIN, IFLA_CARP_GROUP_LEAVE},
    error::{failed, usage, Error, Result},
    interface::{
        info_kind, not_ours, Address, Interface, Route, NAME_MAX, RTM_DELADDR, RTM_DELLINK,
        RTM_NEWADDR, RTM_NEWLINK,
    },
    kind::Kind,
    socket::EOPNOTSUPP,
    words::{self, Change},
};
use netlink_packet_core::{DefaultNla, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::{
    address::{AddressAttribute, AddressMessage},
    link::{InfoData, LinkAttribute, LinkFlags, LinkInfo, LinkMessage},
    AddressFamily,
};
use std::net::IpAddr;

/// Does what the words that follow an interface's name ask for.
pub fn apply(name: &str, words: &[String]) -> Result<()> {
    let mut route = Route::open()?;
    let existing = route.by_name(name)?;
    let kind = existing.as_ref().and_then(Interface::kind);
    let change = &words::read(kind.unwrap_or(Kind::of_name(name)), words)?;
    if change.destroy {
        let interface = route.ours_by_name(name)?;
        return delete(&mut route, interface.index).map_err(|error| error.about(name));
    }
    match &existing {
        Some(_) if change.create => return failed(format!("{name} is there already")),
        Some(interface) if interface.kind().is_none() => return failed(not_ours(name)),
        Some(_) => {}
        None => check_new_name(name, change)?,
    }
    let present = match &existing {
        Some(interface) => route.addresses(Some(interface.index))?,
        None => Vec::new(),
    };
    let plan = Plan::new(name, change, existing.as_ref(), &present, &mut route)?;
    plan.carry_out(&mut route)
        .map_err(|error| error.about(name))
}

/// Naming a carpN or pfsyncN that is not there makes it, as ifconfig(8) does.
fn check_new_name(name: &str, change: &Change) -> Result<()> {
    if !change.kind.is_usual_name(name) && !change.create {
        return failed(format!("{name}: there is no such interface"));
    }
    if name.len() > NAME_MAX {
        return usage(format!("{name} is longer than {NAME_MAX} characters"));
    }
    Ok(())
}

/// A command that was checked against what is there.
struct Plan<'a> {
    name: &'a str,
    kind: Kind,
    /// Nothing: it is to be made.
    index: Option<u32>,
    /// All that is about the link; nothing: only addresses change.
    link: Option<LinkMessage>,
    /// What one message has no room for: a second group and further ones.
    further: Vec<DefaultNla>,
    remove: Vec<Address>,
    add: Vec<&'a AddressChange>,
    /// Only when the addresses are there.
    up: bool,
}

impl<'a> Plan<'a> {
    fn new(
        name: &'a str,
        change: &'a Change,
        existing: Option<&Interface>,
        present: &[Address],
        route: &mut Route,
    ) -> Result<Self> {
        let add: Vec<_> = change
            .addresses
            .iter()
            .filter(|address| address.action != Action::Remove)
            .collect();
        let was_up = existing.is_some_and(Interface::is_up);
        // as ifconfig(8): an address brings the interface up
        let up = change.up.unwrap_or(!add.is_empty()) && !was_up;
        let late = up && !add.is_empty();

        let (data, further) = attributes(change, route)?;
        let mut message = LinkMessage::default();
        message.header.index = existing.map_or(0, |interface| interface.index);
        if existing.is_none() {
            message
                .attributes
                .push(LinkAttribute::IfName(name.to_owned()));
        }
        if let Some(mtu) = change.mtu {
            message.attributes.push(LinkAttribute::Mtu(mtu));
        }
        if let Some(lladdr) = change.lladdr {
            message
                .attributes
                .push(LinkAttribute::Address(lladdr.to_vec()));
        }
        if existing.is_none() || !data.is_empty() {
            message.attributes.push(link_info(change.kind, &data));
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
            kind: change.kind,
            index: existing.map(|interface| interface.index),
            link: needed.then_some(message),
            further,
            remove: removals(name, change, present)?,
            add,
            up: late,
        })
    }

    fn carry_out(&self, route: &mut Route) -> Result<()> {
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
            None => route.ours_by_name(self.name)?.index,
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
            let mut message = LinkMessage::default();
            message.header.index = index;
            message.attributes = vec![link_info(self.kind, std::slice::from_ref(attribute))];
            route.request(RTM_NEWLINK, 0, &message)?;
        }
        for address in &self.remove {
            remove_alone(route, address, &self.remove)?;
        }
        for change in &self.add {
            let length = change.prefix_len.unwrap_or_default();
            let message = address_message(index, change.address, length, change.broadcast);
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
        Ok(())
    }
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
fn attributes(change: &Change, route: &mut Route) -> Result<(Vec<DefaultNla>, Vec<DefaultNla>)> {
    let mut data = change.attributes.clone();
    let (word, kind) = change.kind.device();
    match &change.device {
        None => {}
        Some(None) => data.push(u32(kind, 0)),
        Some(Some(device)) => match route.by_name(device)? {
            Some(device) => data.push(u32(kind, device.index)),
            None => return failed(format!("{word} {device}: there is no such interface")),
        },
    }
    let mut further = Vec::new();
    for (kind, names) in [
        (IFLA_CARP_GROUP_JOIN, &change.join),
        (IFLA_CARP_GROUP_LEAVE, &change.leave),
    ] {
        let mut groups = names.iter().map(|name| text(kind, name));
        data.extend(groups.next());
        further.extend(groups);
    }
    Ok((data, further))
}

fn link_info(kind: Kind, data: &[DefaultNla]) -> LinkAttribute {
    let mut info = vec![info_kind(kind)];
    if !data.is_empty() {
        info.push(LinkInfo::Data(InfoData::Other(emit(data))));
    }
    LinkAttribute::LinkInfo(info)
}

/// The addresses that are there and are to go.
fn removals(name: &str, change: &Change, present: &[Address]) -> Result<Vec<Address>> {
    let mut remove: Vec<Address> = present
        .iter()
        .filter(|address| match address.address {
            IpAddr::V4(_) => change.flush_ipv4,
            // without a link-local one there is no IPv6 at all
            IpAddr::V6(address) => change.flush_ipv6 && !address.is_unicast_link_local(),
        })
        .cloned()
        .collect();
    for wanted in &change.addresses {
        let found = match wanted.action {
            Action::Add => continue,
            Action::Set => {
                let first = present.iter().find(|address| address.address.is_ipv4());
                // nothing to replace, or by itself
                match first {
                    Some(first)
                        if first.address == wanted.address
                            && Some(first.prefix_len) == wanted.prefix_len =>
                    {
                        continue
                    }
                    Some(first) => first,
                    None => continue,
                }
            }
            Action::Remove => {
                let of_that = |address: &&Address| {
                    address.address == wanted.address
                        && wanted
                            .prefix_len
                            .is_none_or(|length| address.prefix_len == length)
                };
                match present.iter().find(of_that) {
                    Some(found) => found,
                    None => return failed(format!("{name} has no address {}", wanted.address)),
                }
            }
        };
        if !remove.contains(found) {
            remove.push(found.clone());
        }
    }
    Ok(remove)
}

/// Removes one address and no other: with the first IPv4 address of a subnet the
/// kernel may take the further ones, too.
fn remove_alone(route: &mut Route, address: &Address, all: &[Address]) -> Result<()> {
    let index = address.interface;
    let before = route.addresses(Some(index))?;
    if !before.contains(address) {
        return Ok(());
    }
    let message = address_message(index, address.address, address.prefix_len, None);
    route
        .request(RTM_DELADDR, 0, &message)
        .map_err(|error| error.about(address.address))?;
    let after = route.addresses(Some(index))?;
    let lost = before
        .iter()
        .filter(|other| other.address.is_ipv4() && !after.contains(other) && !all.contains(other));
    for other in lost {
        let message = address_message(index, other.address, other.prefix_len, other.broadcast);
        route.request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &message)?;
    }
    Ok(())
}

fn address_message(
    index: u32,
    address: IpAddr,
    prefix_len: u8,
    broadcast: Option<std::net::Ipv4Addr>,
) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = if address.is_ipv4() {
        AddressFamily::Inet
    } else {
        AddressFamily::Inet6
    };
    message.header.prefix_len = prefix_len;
    message.header.index = index;
    message.attributes = vec![
        AddressAttribute::Local(address),
        AddressAttribute::Address(address),
    ];
    message
        .attributes
        .extend(broadcast.map(AddressAttribute::Broadcast));
    message
}

fn delete(route: &mut Route, index: u32) -> Result<()> {
    let mut message = LinkMessage::default();
    message.header.index = index;
    route.request(RTM_DELLINK, 0, &message)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(line: &str) -> Change {
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        words::read(Kind::Carp, &words).expect("is right")
    }

    fn present(words: &[&str]) -> Vec<Address> {
        let read = |word: &&str| {
            let (address, length) = word.split_once('/').expect("has a length");
            Address {
                address: address.parse().expect("is an address"),
                prefix_len: length.parse().expect("is a number"),
                broadcast: None,
                interface: 7,
            }
        };
        words.iter().map(read).collect()
    }

    fn removed(line: &str) -> Vec<String> {
        let there = present(&["10.0.0.1/24", "10.0.0.2/24", "2001:db8::1/64", "fe80::1/64"]);
        let remove = removals("carp0", &change(line), &there).expect("is right");
        remove
            .iter()
            .map(|address| address.address.to_string())
            .collect()
    }

    #[test]
    fn which_addresses_go() {
        assert_eq!(removed("10.0.0.9/24"), ["10.0.0.1"]);
        assert_eq!(removed("10.0.0.1/24"), [""; 0]);
        assert_eq!(removed("10.0.0.1/25"), ["10.0.0.1"]);
        assert_eq!(removed("10.0.0.9/24 alias"), [""; 0]);
        assert_eq!(removed("10.0.0.2 -alias"), ["10.0.0.2"]);
        assert_eq!(removed("-inet"), ["10.0.0.1", "10.0.0.2"]);
        assert_eq!(removed("-inet6"), ["2001:db8::1"]);
        assert_eq!(removed("inet6 2001:db8::2"), [""; 0]);
        let told = removals("carp0", &change("10.0.0.7 delete"), &[]).expect_err("is not there");
        assert_eq!(told.to_string(), "carp0 has no address 10.0.0.7");
        let other_length = change("10.0.0.1/8 delete");
        removals("carp0", &other_length, &present(&["10.0.0.1/24"])).expect_err("is another");
    }

    #[test]
    fn which_names_make_an_interface() {
        let (create, vhid) = (change("create"), change("vhid 1"));
        assert!(check_new_name("carp0", &vhid).is_ok());
        assert!(check_new_name("carp12", &create).is_ok());
        assert!(check_new_name("vip", &create).is_ok());
        for name in ["carp", "carpx", "eth0", ""] {
            assert!(check_new_name(name, &vhid).is_err(), "{name}");
        }
        let long = check_new_name("carp000000000000", &vhid).expect_err("is too long");
        assert_eq!(long.exit_status(), 2);
    }
}
