// SPDX-License-Identifier: GPL-2.0

//! What the kernel tells of a pfsync interface in IFLA_INFO_DATA.

use crate::{
    attributes::{as_address, Attributes},
    auth::Auth,
    contract::{name, pfsync::*, BULKS, PFSYNC_COUNTERS},
    counters::Counters,
    kind::Kind,
};
use std::net::IpAddr;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pfsync {
    /// The index.
    pub syncdev: Option<u32>,
    /// Nothing: the multicast group.
    pub syncpeer: Option<IpAddr>,
    pub maxupd: u8,
    pub defer: bool,
    /// Seconds to wait for a first peer.
    pub bulkwait: u8,
    /// Also connections of the host itself.
    pub local: bool,
    pub established: bool,
    /// The mark that keeps states here, and its mask.
    pub nosync_mark: Option<(u32, u32)>,
    pub nosync_zone: Option<u16>,
    pub table: String,
    /// How the bulk update stands.
    pub bulk: String,
    pub demote: u32,
    pub states: u32,
    pub queued: u32,
    pub unconfirmed: u32,
    pub auth: Auth,
    pub counters: Counters,
}

impl Pfsync {
    pub fn read(data: Attributes<'_>) -> Self {
        let mask = data.u32(IFLA_PFSYNC_NOSYNC_MASK).unwrap_or_default();
        let number = |kind| data.u32(kind).unwrap_or_default();
        Self {
            syncdev: data.u32(IFLA_PFSYNC_SYNCDEV).filter(|index| *index != 0),
            syncpeer: data.get(IFLA_PFSYNC_SYNCPEER).and_then(as_address),
            maxupd: data.u8(IFLA_PFSYNC_MAXUPD).unwrap_or_default(),
            defer: data.u8(IFLA_PFSYNC_DEFER).is_some_and(|on| on != 0),
            bulkwait: data.u8(IFLA_PFSYNC_BULKWAIT).unwrap_or_default(),
            local: data.u8(IFLA_PFSYNC_LOCAL).is_some_and(|on| on != 0),
            established: data.u8(IFLA_PFSYNC_ESTABLISHED).is_some_and(|on| on != 0),
            nosync_mark: data
                .u32(IFLA_PFSYNC_NOSYNC_MARK)
                .filter(|_| mask != 0)
                .map(|mark| (mark, mask)),
            nosync_zone: data.u16(IFLA_PFSYNC_NOSYNC_ZONE).filter(|zone| *zone != 0),
            table: data.text(IFLA_PFSYNC_TABLE).unwrap_or_default(),
            bulk: name(BULKS, data.u8(IFLA_PFSYNC_BULK).unwrap_or_default()),
            demote: number(IFLA_PFSYNC_DEMOTE),
            states: number(IFLA_PFSYNC_STATES),
            queued: number(IFLA_PFSYNC_QUEUED),
            unconfirmed: number(IFLA_PFSYNC_UNCONFIRMED),
            auth: Auth::read(data, Kind::Pfsync),
            counters: data
                .nest(IFLA_PFSYNC_STATS)
                .map(|nest| Counters::read(nest, PFSYNC_COUNTERS))
                .unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        attributes::{address, bytes, emit, nest, text, u32, u8},
        contract::FIRST_COUNTER,
    };

    #[test]
    fn everything() {
        let peer = "172.16.1.2".parse().expect("is an address");
        let data = emit(&[
            u32(IFLA_PFSYNC_SYNCDEV, 5),
            address(IFLA_PFSYNC_SYNCPEER, peer),
            u8(IFLA_PFSYNC_MAXUPD, 128),
            u8(IFLA_PFSYNC_DEFER, 1),
            u8(IFLA_PFSYNC_BULKWAIT, 90),
            u8(IFLA_PFSYNC_LOCAL, 1),
            u8(IFLA_PFSYNC_ESTABLISHED, 1),
            u32(IFLA_PFSYNC_NOSYNC_MARK, 16),
            u32(IFLA_PFSYNC_NOSYNC_MASK, 240),
            bytes(IFLA_PFSYNC_NOSYNC_ZONE, &7u16.to_ne_bytes()),
            text(IFLA_PFSYNC_TABLE, "conntrack"),
            u8(IFLA_PFSYNC_BULK, 3),
            u32(IFLA_PFSYNC_DEMOTE, 32),
            u32(IFLA_PFSYNC_STATES, 100_000),
            u32(IFLA_PFSYNC_QUEUED, 1),
            u32(IFLA_PFSYNC_UNCONFIRMED, 2),
            u8(IFLA_PFSYNC_AUTH, 1),
            nest(
                IFLA_PFSYNC_STATS,
                &[bytes(FIRST_COUNTER, &5u64.to_ne_bytes())],
            ),
        ]);
        let expected = Pfsync {
            syncdev: Some(5),
            syncpeer: Some(peer),
            maxupd: 128,
            defer: true,
            bulkwait: 90,
            local: true,
            established: true,
            nosync_mark: Some((16, 240)),
            nosync_zone: Some(7),
            table: "conntrack".into(),
            bulk: "receiving".into(),
            demote: 32,
            states: 100_000,
            queued: 1,
            unconfirmed: 2,
            auth: Auth {
                mode: 1,
                ..Auth::default()
            },
            counters: Counters(vec![("ipackets", 5)]),
        };
        assert_eq!(Pfsync::read(Attributes::new(&data)), expected);
    }

    #[test]
    fn what_means_nothing() {
        let data = emit(&[
            u32(IFLA_PFSYNC_SYNCDEV, 0),
            bytes(IFLA_PFSYNC_SYNCPEER, &[]),
            u32(IFLA_PFSYNC_NOSYNC_MARK, 0),
            u32(IFLA_PFSYNC_NOSYNC_MASK, 0),
            bytes(IFLA_PFSYNC_NOSYNC_ZONE, &[0, 0]),
        ]);
        let expected = Pfsync {
            bulk: "down".into(),
            ..Pfsync::default()
        };
        assert_eq!(Pfsync::read(Attributes::new(&data)), expected);
    }
}
