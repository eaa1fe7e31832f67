// SPDX-License-Identifier: GPL-2.0

//! One setting of a carp or pfsync interface: as an attribute for the kernel, and in the
//! words that ask for it.

use crate::{
    attributes::{address, bytes, nest, u32, u8},
    contract::{link::*, pfsync::IFLA_PFSYNC_SYNCPEER},
    show::joined,
};
use netlink_packet_core::DefaultNla;
use std::{fmt, net::IpAddr};

#[derive(Clone, PartialEq, Eq)]
pub enum Setting {
    /// One of a single byte.
    Byte {
        attribute: u16,
        value: u8,
        /// As a user types it.
        words: String,
    },
    /// One of four bytes.
    Number {
        attribute: u16,
        value: u32,
        /// As a user types it.
        words: String,
    },
    /// The passphrase; an empty one: none.
    Pass(Vec<u8>),
    /// Virtual hosts, each with its advskew.
    Nodes(Vec<(u8, u8)>),
    /// Unicast peers; none: multicast.
    Peers(Vec<IpAddr>),
    /// Nothing: multicast.
    Syncpeer(Option<IpAddr>),
}

impl Setting {
    /// In IFLA_INFO_DATA.
    pub fn attribute(&self) -> DefaultNla {
        match self {
            Self::Byte {
                attribute, value, ..
            } => u8(*attribute, *value),
            Self::Number {
                attribute, value, ..
            } => u32(*attribute, *value),
            Self::Pass(phrase) => bytes(IFLA_CARP_PASS, phrase),
            Self::Nodes(nodes) => {
                let node = |(vhid, advskew): &(u8, u8)| {
                    let inside = [u8(CARP_NODE_VHID, *vhid), u8(CARP_NODE_ADVSKEW, *advskew)];
                    nest(CARP_NODE, &inside)
                };
                nest(
                    IFLA_CARP_CARPNODES,
                    &nodes.iter().map(node).collect::<Vec<_>>(),
                )
            }
            Self::Peers(peers) => {
                let peer = |peer: &IpAddr| address(CARP_PEER, *peer);
                nest(
                    IFLA_CARP_CARPPEERS,
                    &peers.iter().map(peer).collect::<Vec<_>>(),
                )
            }
            Self::Syncpeer(None) => bytes(IFLA_PFSYNC_SYNCPEER, &[]),
            Self::Syncpeer(Some(peer)) => address(IFLA_PFSYNC_SYNCPEER, *peer),
        }
    }
}

impl fmt::Display for Setting {
    /// Never the passphrase.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Byte { words, .. } | Self::Number { words, .. } => f.write_str(words),
            Self::Pass(phrase) if phrase.is_empty() => f.write_str("pass \"\""),
            Self::Pass(_) => f.write_str("pass ..."),
            Self::Nodes(nodes) => {
                let nodes: Vec<_> = nodes
                    .iter()
                    .map(|(vhid, advskew)| format!("{vhid}:{advskew}"))
                    .collect();
                write!(f, "carpnodes {}", nodes.join(","))
            }
            Self::Peers(peers) if peers.is_empty() => f.write_str("-carppeer"),
            Self::Peers(peers) => write!(f, "carppeer {}", joined(peers, ",")),
            Self::Syncpeer(None) => f.write_str("-syncpeer"),
            Self::Syncpeer(Some(peer)) => write!(f, "syncpeer {peer}"),
        }
    }
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_they_are_typed() {
        let peer: IpAddr = "10.0.0.3".parse().expect("is an address");
        for (setting, words) in [
            (Setting::Pass(b"secret".to_vec()), "pass ..."),
            (Setting::Pass(Vec::new()), "pass \"\""),
            (
                Setting::Nodes(vec![(1, 0), (2, 100)]),
                "carpnodes 1:0,2:100",
            ),
            (Setting::Peers(vec![peer]), "carppeer 10.0.0.3"),
            (Setting::Peers(Vec::new()), "-carppeer"),
            (Setting::Syncpeer(Some(peer)), "syncpeer 10.0.0.3"),
            (Setting::Syncpeer(None), "-syncpeer"),
        ] {
            assert_eq!(setting.to_string(), words);
        }
    }
}
