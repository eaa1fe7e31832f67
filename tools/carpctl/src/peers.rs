// SPDX-License-Identifier: GPL-2.0

//! `carpctl peers`: the hosts that carp and pfsync have heard.

use crate::{
    attributes::Attributes,
    carp_peers::{self, CarpPeer},
    contract::{name, peers::*},
    error::Result,
    family::Family,
    output::Output,
    status::table,
};
use serde::Serialize;
use std::net::IpAddr;

/// A host that pfsync has heard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Peer {
    /// None: all that the kernel does not tell apart.
    address: Option<IpAddr>,
    pub system: String,
    heard_ms: u64,
    pub frames: u64,
    /// None: it confirms states one by one, or none.
    pub behind: Option<u32>,
}

impl Peer {
    pub fn read(answer: Attributes<'_>) -> Option<Self> {
        Some(Self {
            address: answer.address(PFSYNC_PEER_ADDRESS),
            system: name(SYSTEMS, answer.u8(PFSYNC_PEER_SYSTEM)?),
            heard_ms: answer.u64(PFSYNC_PEER_HEARD)?,
            frames: answer.u64(PFSYNC_PEER_FRAMES)?,
            behind: answer.u32(PFSYNC_PEER_BEHIND),
        })
    }

    /// Its address.
    pub fn name(&self) -> String {
        let address = self.address.map(|address| address.to_string());
        address.unwrap_or_else(|| "others".to_owned())
    }

    /// Milliseconds since its last frame.
    pub fn heard_ms(&self) -> u64 {
        self.heard_ms
    }

    /// Seconds since its last frame.
    pub fn heard(&self) -> String {
        seconds(self.heard_ms)
    }

    /// One that was heard twelve seconds ago.
    #[cfg(test)]
    pub fn of_test(address: Option<&str>, system: &str, behind: Option<u32>) -> Self {
        Self {
            address: address.map(|address| address.parse().expect("is one")),
            system: system.to_owned(),
            heard_ms: 12_034,
            frames: 7,
            behind,
        }
    }

    fn row(&self) -> [String; 5] {
        let behind = self.behind.map(|behind| behind.to_string());
        [
            self.name(),
            self.system.clone(),
            self.heard(),
            self.frames.to_string(),
            behind.unwrap_or_else(|| "-".to_owned()),
        ]
    }
}

/// Whom both have heard.
#[derive(Serialize)]
struct Peers {
    carp: Vec<CarpPeer>,
    pfsync: Vec<Peer>,
}

pub fn peers(output: &mut Output, json: bool) -> Result<()> {
    let peers = Peers {
        carp: Family::open()?.carp_peers()?,
        pfsync: Family::open_pfsync()?.peers()?,
    };
    match json {
        true => output.json(&peers),
        false => {
            let (carp, pfsync) = (carp_peers::text(&peers.carp), text(&peers.pfsync));
            output.text(&format!("carp:\n{carp}pfsync:\n{pfsync}"))
        }
    }
}

/// Milliseconds as seconds.
pub fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

fn text(peers: &[Peer]) -> String {
    let mut rows = vec![["ADDRESS", "SYSTEM", "HEARD", "FRAMES", "BEHIND"].map(str::to_owned)];
    rows.extend(peers.iter().map(Peer::row));
    table(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes::{address, bytes, emit, u32, u8};

    /// A peer as the kernel tells of it.
    fn peer(from: Option<&str>, system: u8, behind: Option<u32>) -> Peer {
        let mut said = vec![
            u8(PFSYNC_PEER_SYSTEM, system),
            bytes(PFSYNC_PEER_HEARD, &12_034_u64.to_ne_bytes()),
            bytes(PFSYNC_PEER_FRAMES, &7_u64.to_ne_bytes()),
        ];
        said.extend(from.map(|from| address(PFSYNC_PEER_ADDRESS, from.parse().expect("is one"))));
        said.extend(behind.map(|behind| u32(PFSYNC_PEER_BEHIND, behind)));
        Peer::read(Attributes::new(&emit(&said))).expect("is whole")
    }

    #[test]
    fn a_table() {
        let peers = [
            peer(Some("10.0.0.3"), 1, Some(0)),
            peer(Some("fd00::3"), 2, None),
            peer(None, 0, None),
        ];
        let expected = [
            "ADDRESS   SYSTEM   HEARD   FRAMES  BEHIND",
            "10.0.0.3  linux    12.034  7       0",
            "fd00::3   pf       12.034  7       -",
            "others    unknown  12.034  7       -",
        ];
        assert_eq!(text(&peers).lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn json() {
        let told = serde_json::to_value(peer(Some("10.0.0.3"), 1, Some(2))).expect("is JSON");
        assert_eq!(told["address"], "10.0.0.3");
        assert_eq!(
            (&told["behind"], &told["heard_ms"]),
            (&2.into(), &12_034.into())
        );
        let told = serde_json::to_value(peer(None, 0, None)).expect("is JSON");
        assert!(told["address"].is_null() && told["behind"].is_null());
    }

    #[test]
    fn what_is_not_whole_is_left_out() {
        assert_eq!(
            Peer::read(Attributes::new(&emit(&[u8(PFSYNC_PEER_SYSTEM, 1)]))),
            None
        );
    }
}
