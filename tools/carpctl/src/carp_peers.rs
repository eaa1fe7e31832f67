// SPDX-License-Identifier: GPL-2.0

//! The hosts that advertise the virtual hosts of this one.

use crate::{
    attributes::Attributes,
    contract::{family::*, name, DIGESTS},
    peers::seconds,
    status::table,
};
use serde::Serialize;
use std::net::IpAddr;

/// A host that advertises a virtual host, of CARP_CMD_PEER_GET.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CarpPeer {
    pub ifname: String,
    pub vhid: u8,
    pub address: IpAddr,
    pub advbase: u8,
    pub advskew: u8,
    pub demote: u32,
    pub heard_ms: u64,
    pub digest: String,
}

impl CarpPeer {
    pub fn read(answer: Attributes<'_>) -> Option<Self> {
        Some(Self {
            ifname: answer.text(CARP_A_IFNAME)?,
            vhid: answer.u8(CARP_A_VHID)?,
            address: answer.address(CARP_A_ADDRESS)?,
            advbase: answer.u8(CARP_A_ADVBASE)?,
            advskew: answer.u8(CARP_A_ADVSKEW)?,
            demote: answer.u32(CARP_A_DEMOTE)?,
            heard_ms: answer.u64(CARP_A_AGO)? / 1_000_000,
            digest: name(DIGESTS, answer.u8(CARP_A_DIGEST)?),
        })
    }

    /// Seconds since its last advertisement.
    pub fn heard(&self) -> String {
        seconds(self.heard_ms)
    }

    fn row(&self) -> [String; 8] {
        [
            self.ifname.clone(),
            self.vhid.to_string(),
            self.address.to_string(),
            self.advbase.to_string(),
            self.advskew.to_string(),
            self.demote.to_string(),
            self.heard(),
            self.digest.clone(),
        ]
    }

    #[cfg(test)]
    pub fn of_test(address: &str, digest: &str) -> Self {
        Self {
            ifname: "carp0".into(),
            vhid: 1,
            address: address.parse().expect("is one"),
            advbase: 1,
            advskew: 100,
            demote: 0,
            heard_ms: 412,
            digest: digest.into(),
        }
    }
}

pub fn text(peers: &[CarpPeer]) -> String {
    let head = [
        "INTERFACE",
        "VHID",
        "ADDRESS",
        "ADVBASE",
        "ADVSKEW",
        "DEMOTE",
        "HEARD",
        "DIGEST",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(peers.iter().map(CarpPeer::row));
    table(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes::{address, bytes, emit, text as string, u32, u8};

    #[test]
    fn a_peer() {
        let data = emit(&[
            u32(CARP_A_IFINDEX, 7),
            string(CARP_A_IFNAME, "carp0"),
            u8(CARP_A_VHID, 1),
            address(CARP_A_ADDRESS, "10.0.0.2".parse().expect("is one")),
            u8(CARP_A_ADVBASE, 1),
            u8(CARP_A_ADVSKEW, 100),
            u32(CARP_A_DEMOTE, 0),
            u8(CARP_A_DIGEST, 1),
            bytes(CARP_A_AGO, &412_700_000_u64.to_ne_bytes()),
        ]);
        let peer = CarpPeer::read(Attributes::new(&data));
        assert_eq!(peer, Some(CarpPeer::of_test("10.0.0.2", "differs")));
        assert_eq!(CarpPeer::read(Attributes::new(&data[..16])), None);
    }

    #[test]
    fn a_table() {
        let peers = [
            CarpPeer::of_test("10.0.0.2", "good"),
            CarpPeer::of_test("fe80::2", "differs"),
        ];
        let expected = [
            "INTERFACE  VHID  ADDRESS   ADVBASE  ADVSKEW  DEMOTE  HEARD  DIGEST",
            "carp0      1     10.0.0.2  1        100      0       0.412  good",
            "carp0      1     fe80::2   1        100      0       0.412  differs",
        ];
        assert_eq!(text(&peers).lines().collect::<Vec<_>>(), expected);
        let told = serde_json::to_value(&peers[0]).expect("is JSON");
        assert_eq!(told["address"], "10.0.0.2");
    }
}
