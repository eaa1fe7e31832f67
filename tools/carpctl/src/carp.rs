// SPDX-License-Identifier: GPL-2.0

//! What the kernel tells of a carp interface in IFLA_INFO_DATA.

use crate::{
    attributes::{as_address, as_text, Attributes},
    auth::{self, Auth},
    contract::{link::*, name, BALANCINGS, COUNTERS, STATES},
    counters::Counters,
    kind::Kind,
};
use std::net::IpAddr;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub vhid: u8,
    pub advskew: u8,
    pub state: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Carp {
    /// The index of the parent, and the namespace where it counts if that is another.
    pub carpdev: Option<u32>,
    pub carpdev_netnsid: Option<i32>,
    /// The name of a parent that went away and is waited for.
    pub carpdev_gone: Option<String>,
    pub advbase: u8,
    pub nodes: Vec<Node>,
    pub balancing: Option<String>,
    pub peers: Vec<IpAddr>,
    pub minttl: Option<u8>,
    pub announce: Option<u8>,
    pub linklocal: Option<u8>,
    pub demoteskew: Option<u8>,
    pub groups: Vec<String>,
    pub demote: Option<u32>,
    /// Milliseconds since a wrong digest came in.
    pub digest_differs: Option<u32>,
    /// The addresses that the digest covers, or the first of many.
    pub addresses: Vec<IpAddr>,
    /// How many there are.
    pub address_count: Option<u32>,
    pub auth: Auth,
    pub counters: Counters,
}

impl Carp {
    pub fn read(data: Attributes<'_>) -> Self {
        Self {
            carpdev: data.u32(IFLA_CARP_CARPDEV).filter(|index| *index != 0),
            carpdev_netnsid: data.i32(IFLA_CARP_CARPDEV_NETNSID),
            carpdev_gone: data.text(IFLA_CARP_CARPDEV_GONE),
            advbase: data.u8(IFLA_CARP_ADVBASE).unwrap_or_default(),
            nodes: nodes(data),
            balancing: data
                .u8(IFLA_CARP_BALANCING)
                .map(|mode| name(BALANCINGS, mode)),
            peers: elements(data, IFLA_CARP_CARPPEERS, CARP_PEER)
                .filter_map(as_address)
                .collect(),
            minttl: data.u8(IFLA_CARP_MINTTL),
            announce: data.u8(IFLA_CARP_ANNOUNCE),
            linklocal: data.u8(IFLA_CARP_LINKLOCAL),
            demoteskew: data.u8(IFLA_CARP_DEMOTESKEW),
            groups: elements(data, IFLA_CARP_GROUPS, CARP_GROUP)
                .map(as_text)
                .collect(),
            demote: data.u32(IFLA_CARP_DEMOTE),
            digest_differs: data.u32(IFLA_CARP_DIGEST_DIFFERS),
            addresses: elements(data, IFLA_CARP_ADDRESSES, CARP_ADDRESS)
                .filter_map(as_address)
                .collect(),
            address_count: data.u32(IFLA_CARP_ADDRESS_COUNT),
            auth: Auth::read(data, Kind::Carp),
            counters: data
                .nest(IFLA_CARP_STATS)
                .map(|nest| Counters::read(nest, COUNTERS))
                .unwrap_or_default(),
        }
    }

    /// The window of authentication by default, in seconds.
    pub fn usual_window(&self) -> u32 {
        let advskew = self.nodes.iter().map(|node| node.advskew).max();
        auth::usual_window(self.advbase, advskew.unwrap_or_default())
    }
}

fn elements(data: Attributes<'_>, list: u16, kind: u16) -> impl Iterator<Item = &[u8]> {
    data.nest(list)
        .into_iter()
        .flat_map(move |nest| nest.all(kind).collect::<Vec<_>>())
}

/// The virtual hosts. A kernel without IFLA_CARP_CARPNODES has at most one.
fn nodes(data: Attributes<'_>) -> Vec<Node> {
    let state = |number: Option<u8>| name(STATES, number.unwrap_or_default());
    if data.has(IFLA_CARP_CARPNODES) {
        return elements(data, IFLA_CARP_CARPNODES, CARP_NODE)
            .map(Attributes::new)
            .map(|node| Node {
                vhid: node.u8(CARP_NODE_VHID).unwrap_or_default(),
                advskew: node.u8(CARP_NODE_ADVSKEW).unwrap_or_default(),
                state: state(node.u8(CARP_NODE_STATE)),
            })
            .collect();
    }
    let Some(vhid) = data.u8(IFLA_CARP_VHID) else {
        return Vec::new();
    };
    vec![Node {
        vhid,
        advskew: data.u8(IFLA_CARP_ADVSKEW).unwrap_or_default(),
        state: state(data.u8(IFLA_CARP_STATE)),
    }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        attributes::{address, bytes, emit, i32, nest, text, u32, u8},
        contract::FIRST_COUNTER,
    };

    #[test]
    fn everything() {
        let node = |vhid, advskew, state| {
            nest(
                CARP_NODE,
                &[
                    u8(CARP_NODE_VHID, vhid),
                    u8(CARP_NODE_ADVSKEW, advskew),
                    u8(CARP_NODE_STATE, state),
                ],
            )
        };
        let peers = [
            "10.0.0.3".parse().expect("v4"),
            "2001:db8::3".parse().expect("v6"),
        ];
        let data = emit(&[
            u8(IFLA_CARP_VHID, 1),
            u32(IFLA_CARP_CARPDEV, 5),
            i32(IFLA_CARP_CARPDEV_NETNSID, 7),
            text(IFLA_CARP_CARPDEV_GONE, "v7"),
            u8(IFLA_CARP_ADVBASE, 1),
            nest(IFLA_CARP_CARPNODES, &[node(1, 0, 2), node(2, 100, 1)]),
            u8(IFLA_CARP_BALANCING, 3),
            nest(
                IFLA_CARP_CARPPEERS,
                &peers.map(|peer| address(CARP_PEER, peer)),
            ),
            nest(
                IFLA_CARP_GROUPS,
                &[text(CARP_GROUP, "carp"), text(CARP_GROUP, "internal")],
            ),
            u8(IFLA_CARP_MINTTL, 64),
            u8(IFLA_CARP_ANNOUNCE, 60),
            u8(IFLA_CARP_LINKLOCAL, 0),
            u8(IFLA_CARP_DEMOTESKEW, 1),
            u32(IFLA_CARP_DEMOTE, 2),
            u32(IFLA_CARP_DIGEST_DIFFERS, 1500),
            nest(IFLA_CARP_ADDRESSES, &[address(CARP_ADDRESS, peers[0])]),
            u32(IFLA_CARP_ADDRESS_COUNT, 40),
            u8(IFLA_CARP_AUTH, 1),
            nest(
                IFLA_CARP_STATS,
                &[bytes(FIRST_COUNTER, &5u64.to_ne_bytes())],
            ),
        ]);
        let carp = Carp::read(Attributes::new(&data));
        let expected = Carp {
            carpdev: Some(5),
            carpdev_netnsid: Some(7),
            carpdev_gone: Some("v7".into()),
            advbase: 1,
            nodes: vec![
                Node {
                    vhid: 1,
                    advskew: 0,
                    state: "master".into(),
                },
                Node {
                    vhid: 2,
                    advskew: 100,
                    state: "backup".into(),
                },
            ],
            balancing: Some("ip-stealth".into()),
            peers: peers.to_vec(),
            minttl: Some(64),
            announce: Some(60),
            linklocal: Some(0),
            demoteskew: Some(1),
            groups: vec!["carp".into(), "internal".into()],
            demote: Some(2),
            digest_differs: Some(1500),
            addresses: vec![peers[0]],
            address_count: Some(40),
            auth: Auth {
                mode: 1,
                ..Auth::default()
            },
            counters: Counters(vec![("rx_ipv4", 5)]),
        };
        assert_eq!(carp, expected);
    }

    #[test]
    fn a_kernel_without_nodes() {
        let data = emit(&[
            u8(IFLA_CARP_VHID, 9),
            u8(IFLA_CARP_ADVSKEW, 3),
            u8(IFLA_CARP_STATE, 1),
        ]);
        let carp = Carp::read(Attributes::new(&data));
        assert_eq!(
            carp.nodes,
            [Node {
                vhid: 9,
                advskew: 3,
                state: "backup".into()
            }]
        );
        assert_eq!(Carp::read(Attributes::new(&[])).nodes, []);
    }
}
