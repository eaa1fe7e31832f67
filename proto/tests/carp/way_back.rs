// SPDX-License-Identifier: GPL-2.0

//! Who receives what is for the virtual MAC, from the addresses of parent and interface.

use carp_proto::carp::way_back::{Subnet, WayBack};
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr};

fn subnets(text: &str) -> Vec<Subnet> {
    text.split_whitespace()
        .filter_map(|word| {
            let (address, prefix) = word.split_once('/').expect("a prefix");
            let prefix = prefix.parse().expect("a length");
            match address.parse().expect("an address") {
                IpAddr::V4(address) => Some(Subnet::ipv4(address, prefix)),
                IpAddr::V6(address) => Subnet::ipv6(address, prefix),
            }
        })
        .collect()
}

fn way_back(own: &str, parent: &str) -> WayBack {
    WayBack::new(true, subnets(own).into_iter(), subnets(parent).into_iter())
}

#[test]
fn the_parent_receives_where_it_has_every_subnet() {
    for (own, parent) in [
        ("10.0.0.1/24", "10.0.0.2/24"),
        ("10.0.0.1/24 10.0.0.200/24", "10.0.0.2/24"),
        ("10.0.0.1/24 10.1.0.1/16", "10.1.0.2/16 10.0.0.2/24"),
        // One address makes no route to a network.
        ("10.0.0.1/32", "10.0.0.2/24"),
        ("10.0.0.1/24 10.0.0.7/32", "10.0.0.2/24"),
        ("10.0.0.1/24", "10.0.0.2/24 192.168.0.1/16"),
        ("2001:db8::1/64", "fe80::2/64 2001:db8::2/64"),
        ("2001:db8::1/64 fe80::1/64", "2001:db8::2/64"),
        ("2001:db8::1/128", "2001:db8::2/64"),
        // Routers that share nothing but fe80::1.
        ("fe80::1/64", "fe80::2/64 2001:db8::2/64"),
        ("10.0.0.1/0", "10.0.0.2/0"),
    ] {
        assert_eq!(way_back(own, parent), WayBack::Parent, "{own} on {parent}");
    }
}

#[test]
fn the_routing_table_is_asked_where_the_parent_lacks_one() {
    for (own, parent) in [
        ("198.51.100.1/28", "192.168.77.2/29"),
        ("198.51.100.1/32", "192.168.77.2/29"),
        ("10.0.0.1/24 198.51.100.1/28", "10.0.0.2/24"),
        // The longer prefix wins, whosever it is.
        ("10.0.0.1/24", "10.0.0.2/16"),
        ("10.0.0.1/16", "10.0.0.2/24"),
        ("10.0.0.1/24", "10.0.0.2/32"),
        ("10.0.0.1/32", "10.0.0.2/32"),
        ("2001:db8::1/64", "fe80::2/64"),
        ("2001:db8::1/64", ""),
        ("2001:db8:1::1/64", "2001:db8:2::2/64"),
        ("fe80::1/64", "fe80::2/64"),
    ] {
        assert_eq!(way_back(own, parent), WayBack::Route, "{own} on {parent}");
    }
}

#[test]
fn the_interface_receives_what_the_parent_does_not_take() {
    let own = subnets("10.0.0.1/24").into_iter();
    let parent = subnets("10.0.0.2/24").into_iter();
    assert_eq!(WayBack::new(false, own, parent), WayBack::Interface);
}

fn any_subnet() -> impl Strategy<Value = Subnet> {
    // Few networks, so that they are often the same.
    (
        0_u32..4,
        0_u32..4,
        prop::sample::select(vec![0, 8, 24, 25, 32]),
    )
        .prop_map(|(network, host, prefix)| {
            Subnet::ipv4(
                Ipv4Addr::from_bits((network << 30) | (host << 6) | 1),
                prefix,
            )
        })
}

proptest! {
    /// To add one subnet after the other comes to the same as to look at all of them.
    #[test]
    fn one_after_the_other(
        own in prop::collection::vec(any_subnet(), 1..5),
        parent in prop::collection::vec(any_subnet(), 1..4),
    ) {
        let parent = || parent.iter().copied();
        let first = WayBack::new(true, std::iter::empty(), parent());
        let one_by_one = own.iter().fold(first, |known, subnet| known.with(*subnet, parent()));
        prop_assert_eq!(one_by_one, WayBack::new(true, own.iter().copied(), parent()));
    }
}
