// SPDX-License-Identifier: GPL-2.0

//! Which addresses of an interface go and come for a command, and how.

use crate::{
    address::{Action, AddressChange, Broadcast},
    change::Change,
    error::{failed, Result},
    interface::{Address, Interface, Route, RTM_DELADDR, RTM_NEWADDR},
};
use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::{
    address::{AddressAttribute, AddressMessage},
    AddressFamily,
};
use std::net::IpAddr;

/// The addresses of a command, each with its prefix length; `planned` are addresses that
/// carpdev will have, with their lengths.
pub fn with_prefix_len(
    change: &Change,
    existing: Option<&Interface>,
    planned: &[(IpAddr, u8)],
    route: &mut Route,
) -> Result<Vec<AddressChange>> {
    let mut addresses = change.addresses.clone();
    if addresses.iter().any(|it| it.prefix_len.is_none()) {
        let mut subnets = subnets(change, existing, route)?;
        subnets.extend_from_slice(planned);
        for address in &mut addresses {
            address.find_prefix_len(&subnets);
        }
    }
    Ok(addresses)
}

/// The subnets in which the interface's addresses may lie: carpdev's, or those of every
/// possible one, as the kernel takes for carpdev the one that has the subnet.
fn subnets(
    change: &Change,
    existing: Option<&Interface>,
    route: &mut Route,
) -> Result<Vec<(IpAddr, u8)>> {
    let carp = existing.and_then(|interface| interface.carp.as_ref());
    if carp.is_some_and(|carp| carp.carpdev_netnsid.is_some()) && change.device.is_none() {
        // its addresses cannot be seen from here
        return Ok(Vec::new());
    }
    let carpdev = match &change.device {
        Some(Some(name)) => match route.by_name(name)? {
            Some(device) => Some(device.index),
            None => return Ok(Vec::new()),
        },
        Some(None) => None,
        None => carp.and_then(|carp| carp.carpdev),
    };
    let ours: Vec<_> = route
        .all(crate::kind::Kind::Carp)?
        .iter()
        .map(|interface| interface.index)
        .collect();
    let addresses = route.addresses(carpdev)?;
    Ok(addresses
        .iter()
        .filter(|address| !ours.contains(&address.interface))
        .map(|address| (address.address, address.prefix_len))
        .collect())
}

/// Whether an address that is there is already what a command asks for.
pub fn is_so(wanted: &AddressChange, present: &Address) -> bool {
    let same_broadcast = match wanted.broadcast {
        // nobody asked for one
        Broadcast::OfSubnet => true,
        _ => wanted.broadcast_address() == present.broadcast,
    };
    wanted.address == present.address
        && wanted.prefix_len == Some(present.prefix_len)
        && wanted.dest.filter(|dest| *dest != wanted.address) == present.dest
        && same_broadcast
}

/// The addresses that are there and are to go.
pub fn removals(
    name: &str,
    change: &Change,
    addresses: &[AddressChange],
    present: &[Address],
) -> Result<Vec<Address>> {
    let mut remove: Vec<Address> = present
        .iter()
        .filter(|address| match address.address {
            IpAddr::V4(_) => change.flush_ipv4,
            // without a link-local one there is no IPv6 at all
            IpAddr::V6(address) => change.flush_ipv6 && !address.is_unicast_link_local(),
        })
        .cloned()
        .collect();
    for wanted in addresses {
        let found = match wanted.action {
            Action::Add | Action::Set => {
                // the kernel changes neither the length nor the broadcast address
                let same = present
                    .iter()
                    .find(|address| address.address == wanted.address);
                let first = present.iter().find(|address| address.address.is_ipv4());
                let goes = match (same, wanted.action) {
                    (Some(same), _) if is_so(wanted, same) => None,
                    (Some(same), _) => Some(same),
                    (None, Action::Set) => first,
                    (None, _) => None,
                };
                match goes {
                    Some(found) => found,
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
pub fn remove_alone(route: &mut Route, address: &Address, all: &[Address]) -> Result<()> {
    let index = address.interface;
    let before = route.addresses(Some(index))?;
    if !before.contains(address) {
        return Ok(());
    }
    let message = address_message(address);
    route
        .request(RTM_DELADDR, 0, &message)
        .map_err(|error| error.about(address.address))?;
    let after = route.addresses(Some(index))?;
    let lost = before
        .iter()
        .filter(|other| other.address.is_ipv4() && !after.contains(other) && !all.contains(other));
    for other in lost {
        let message = address_message(other);
        route.request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &message)?;
    }
    Ok(())
}

pub fn address_message(address: &Address) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = if address.address.is_ipv4() {
        AddressFamily::Inet
    } else {
        AddressFamily::Inet6
    };
    message.header.prefix_len = address.prefix_len;
    message.header.index = address.interface;
    message.attributes = vec![
        AddressAttribute::Local(address.address),
        AddressAttribute::Address(address.dest.unwrap_or(address.address)),
    ];
    let broadcast = address.broadcast.map(AddressAttribute::Broadcast);
    message.attributes.extend(broadcast);
    if address.proto != 0 {
        let proto = AddressAttribute::Protocol(address.proto.into());
        message.attributes.push(proto);
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{kind::Kind, words};

    fn change(line: &str) -> Change {
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        words::read(Some(Kind::Carp), &words).expect("is right")
    }

    fn present(words: &[&str]) -> Vec<Address> {
        let read = |word: &&str| {
            let (address, length) = word.split_once('/').expect("has a length");
            Address {
                address: address.parse().expect("is an address"),
                prefix_len: length.parse().expect("is a number"),
                broadcast: None,
                dest: None,
                interface: 7,
                proto: 0,
            }
        };
        words.iter().map(read).collect()
    }

    fn removed(line: &str) -> Vec<String> {
        let there = present(&["10.0.0.1/24", "10.0.0.2/24", "2001:db8::1/64", "fe80::1/64"]);
        let change = change(line);
        let remove = removals("carp0", &change, &change.addresses, &there).expect("is right");
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
        assert_eq!(removed("10.0.0.2/25 alias"), ["10.0.0.2"]);
        assert_eq!(removed("10.0.0.1/24 broadcast 10.0.0.7"), ["10.0.0.1"]);
        assert_eq!(removed("10.0.0.1/24 dest 10.0.0.7"), ["10.0.0.1"]);
        assert_eq!(removed("10.0.0.1/24 dest 10.0.0.1"), [""; 0]);
        assert_eq!(removed("inet6 2001:db8::1/48"), ["2001:db8::1"]);
        assert_eq!(removed("10.0.0.2 -alias"), ["10.0.0.2"]);
        assert_eq!(removed("-inet"), ["10.0.0.1", "10.0.0.2"]);
        assert_eq!(removed("-inet6"), ["2001:db8::1"]);
        assert_eq!(removed("inet6 2001:db8::2"), [""; 0]);
        let missing = change("10.0.0.7 delete");
        let told = removals("carp0", &missing, &missing.addresses, &[]).expect_err("is not there");
        assert_eq!(told.to_string(), "carp0 has no address 10.0.0.7");
        let other_length = change("10.0.0.1/8 delete");
        let there = present(&["10.0.0.1/24"]);
        removals("carp0", &other_length, &other_length.addresses, &there).expect_err("is another");
    }
}
