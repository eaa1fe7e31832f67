// SPDX-License-Identifier: GPL-2.0

//! The numbers of include/uapi/linux/if_carp.h, if_pfsync.h, carp.h and pfsync.h, under their
//! names there, and what they are called in words. A test compares them with the headers.

/// `IFA_PROTO` of the addresses that netstart set: by it it knows them, and `ip address`
/// shows it. Linux leaves all numbers above 3 to whoever sets addresses.
pub const IFAPROT_NETSTART: u8 = 112;

/// What stands in IFLA_INFO_DATA of a carp interface.
pub mod link {
    pub const IFLA_CARP_VHID: u16 = 1;
    pub const IFLA_CARP_CARPDEV: u16 = 2;
    pub const IFLA_CARP_ADVBASE: u16 = 3;
    pub const IFLA_CARP_ADVSKEW: u16 = 4;
    pub const IFLA_CARP_PASS: u16 = 5;
    pub const IFLA_CARP_STATE: u16 = 6;
    pub const IFLA_CARP_DEMOTE: u16 = 7;
    pub const IFLA_CARP_STATS: u16 = 9;
    pub const IFLA_CARP_CARPNODES: u16 = 10;
    pub const IFLA_CARP_BALANCING: u16 = 11;
    pub const IFLA_CARP_CARPPEERS: u16 = 12;
    pub const IFLA_CARP_MINTTL: u16 = 13;
    pub const IFLA_CARP_GROUPS: u16 = 14;
    pub const IFLA_CARP_GROUP_JOIN: u16 = 15;
    pub const IFLA_CARP_GROUP_LEAVE: u16 = 16;
    pub const IFLA_CARP_LINKLOCAL: u16 = 17;
    pub const IFLA_CARP_DEMOTESKEW: u16 = 18;
    pub const IFLA_CARP_DIGEST_DIFFERS: u16 = 19;
    pub const IFLA_CARP_ADDRESSES: u16 = 20;
    pub const IFLA_CARP_CARPDEV_NETNSID: u16 = 21;
    pub const IFLA_CARP_ANNOUNCE: u16 = 22;
    pub const IFLA_CARP_CARPDEV_GONE: u16 = 23;
    pub const IFLA_CARP_ADDRESS_COUNT: u16 = 24;
    pub const IFLA_CARP_AUTH: u16 = 25;
    pub const IFLA_CARP_AUTH_KEYS: u16 = 26;
    pub const IFLA_CARP_AUTH_KEY_REMOVE: u16 = 27;
    pub const IFLA_CARP_AUTH_ACTIVE: u16 = 28;
    pub const IFLA_CARP_AUTH_WINDOW: u16 = 29;
    pub const IFLA_CARP_AUTH_MONOTONIC: u16 = 30;

    pub const CARP_NODE: u16 = 1;
    pub const CARP_PEER: u16 = 2;
    pub const CARP_GROUP: u16 = 3;
    pub const CARP_ADDRESS: u16 = 4;
    pub const CARP_AUTH_KEY: u16 = 5;

    pub const CARP_NODE_VHID: u16 = 1;
    pub const CARP_NODE_ADVSKEW: u16 = 2;
    pub const CARP_NODE_STATE: u16 = 3;

    pub const CARP_AUTH_KEY_ID: u16 = 1;
    pub const CARP_AUTH_KEY_SECRET: u16 = 2;

    pub const CARP_NODES_MAX: usize = 32;
    pub const CARP_PEERS_MAX: usize = 16;
    pub const CARP_GROUP_NAME_MAX: usize = 15;
    pub const CARP_PASS_MAX: usize = 19;
    pub const CARP_AUTH_KEY_MIN: usize = 32;
    pub const CARP_AUTH_KEY_MAX: usize = 64;
    pub const CARP_AUTH_WINDOW_MAX: u32 = 300;
}

/// What stands in IFLA_INFO_DATA of a pfsync interface.
pub mod pfsync {
    pub const IFLA_PFSYNC_SYNCDEV: u16 = 1;
    pub const IFLA_PFSYNC_SYNCPEER: u16 = 2;
    pub const IFLA_PFSYNC_MAXUPD: u16 = 3;
    pub const IFLA_PFSYNC_DEFER: u16 = 4;
    pub const IFLA_PFSYNC_NOSYNC_MARK: u16 = 5;
    pub const IFLA_PFSYNC_NOSYNC_MASK: u16 = 6;
    pub const IFLA_PFSYNC_NOSYNC_ZONE: u16 = 7;
    pub const IFLA_PFSYNC_TABLE: u16 = 8;
    pub const IFLA_PFSYNC_BULK: u16 = 9;
    pub const IFLA_PFSYNC_DEMOTE: u16 = 10;
    pub const IFLA_PFSYNC_STATES: u16 = 11;
    pub const IFLA_PFSYNC_QUEUED: u16 = 12;
    pub const IFLA_PFSYNC_UNCONFIRMED: u16 = 13;
    pub const IFLA_PFSYNC_STATS: u16 = 14;
    pub const IFLA_PFSYNC_BULKWAIT: u16 = 15;
    pub const IFLA_PFSYNC_LOCAL: u16 = 16;
    pub const IFLA_PFSYNC_ESTABLISHED: u16 = 17;
    pub const IFLA_PFSYNC_AUTH: u16 = 18;
    pub const IFLA_PFSYNC_AUTH_KEYS: u16 = 19;
    pub const IFLA_PFSYNC_AUTH_KEY_REMOVE: u16 = 20;
    pub const IFLA_PFSYNC_AUTH_ACTIVE: u16 = 21;
    pub const IFLA_PFSYNC_AUTH_WINDOW: u16 = 22;
    pub const IFLA_PFSYNC_AUTH_MONOTONIC: u16 = 23;
}

/// The generic netlink family.
pub mod family {
    pub const CARP_GENL_NAME: &str = "carp";
    pub const CARP_GENL_VERSION: u8 = 1;
    pub const CARP_GENL_MCGRP_EVENTS: &str = "events";

    pub const CARP_CMD_VHOST_GET: u8 = 1;
    pub const CARP_CMD_GROUP_GET: u8 = 2;
    pub const CARP_CMD_GROUP_DEMOTE: u8 = 3;
    pub const CARP_CMD_STATS_GET: u8 = 4;
    pub const CARP_CMD_STATE_NTF: u8 = 5;
    pub const CARP_CMD_DEMOTE_NTF: u8 = 6;
    pub const CARP_CMD_CARPDEV_NTF: u8 = 7;
    pub const CARP_CMD_CAUSE_GET: u8 = 9;
    pub const CARP_CMD_CAUSE_SET: u8 = 10;
    pub const CARP_CMD_CAUSE_DEL: u8 = 11;
    pub const CARP_CMD_HISTORY_GET: u8 = 12;
    pub const CARP_CMD_PEER_GET: u8 = 13;
    pub const CARP_CMD_TRANSITION_GET: u8 = 14;

    pub const CARP_A_IFINDEX: u16 = 1;
    pub const CARP_A_IFNAME: u16 = 2;
    pub const CARP_A_VHID: u16 = 3;
    pub const CARP_A_STATE: u16 = 4;
    pub const CARP_A_OLD_STATE: u16 = 5;
    pub const CARP_A_REASON: u16 = 6;
    pub const CARP_A_ADVBASE: u16 = 7;
    pub const CARP_A_ADVSKEW: u16 = 8;
    pub const CARP_A_DEMOTE: u16 = 9;
    pub const CARP_A_CARPDEV: u16 = 10;
    pub const CARP_A_GROUP: u16 = 11;
    pub const CARP_A_STEP: u16 = 12;
    pub const CARP_A_MEMBER: u16 = 13;
    pub const CARP_A_CAUSE: u16 = 14;
    pub const CARP_A_STATS: u16 = 15;
    pub const CARP_A_CARPDEV_NAME: u16 = 16;
    pub const CARP_A_ADDRESS: u16 = 17;
    pub const CARP_A_AMOUNT: u16 = 18;
    pub const CARP_A_AGE: u16 = 19;
    pub const CARP_A_FOR: u16 = 20;
    pub const CARP_A_CAUSE_REASON: u16 = 21;
    pub const CARP_A_AGO: u16 = 22;
    pub const CARP_A_DIGEST: u16 = 24;
    pub const CARP_A_TRANSITION: u16 = 25;
    pub const CARP_A_CARPDEV_NETNSID: u16 = 26;
    pub const CARP_A_DIGEST_DIFFERS: u16 = 27;

    pub const CARP_TRANSITION_STATE: u16 = 1;
    pub const CARP_TRANSITION_REASON: u16 = 2;
    pub const CARP_TRANSITION_COUNT: u16 = 3;
}

/// The generic netlink family "pfsync".
pub mod states {
    pub const PFSYNC_GENL_NAME: &str = "pfsync";

    pub const PFSYNC_CMD_STATE_GET: u8 = 1;

    pub const PFSYNC_A_ID: u16 = 1;
    pub const PFSYNC_A_CREATORID: u16 = 2;
    pub const PFSYNC_A_SECOND_ID: u16 = 3;
    pub const PFSYNC_A_SECOND_CREATORID: u16 = 4;
    pub const PFSYNC_A_FLAGS: u16 = 5;
    pub const PFSYNC_A_HEARD: u16 = 6;
    pub const PFSYNC_A_AGE: u16 = 7;
    pub const PFSYNC_A_TIMEOUT: u16 = 8;
    pub const PFSYNC_A_PROTOCOL: u16 = 9;
    pub const PFSYNC_A_ORIGINAL: u16 = 10;
    pub const PFSYNC_A_REPLY: u16 = 11;
    pub const PFSYNC_A_MARK: u16 = 12;
    pub const PFSYNC_A_ZONE: u16 = 13;

    pub const PFSYNC_TUPLE_SOURCE: u16 = 1;
    pub const PFSYNC_TUPLE_DESTINATION: u16 = 2;
    pub const PFSYNC_TUPLE_SOURCE_PORT: u16 = 3;
    pub const PFSYNC_TUPLE_DESTINATION_PORT: u16 = 4;

    pub const PFSYNC_STATE_OWN: u32 = 0;
    pub const PFSYNC_STATE_CREATED: u32 = 1;
    pub const PFSYNC_STATE_QUEUED: u32 = 2;
    pub const PFSYNC_STATE_UNCONFIRMED: u32 = 3;
    pub const PFSYNC_STATE_HELD: u32 = 4;
    pub const PFSYNC_STATE_LENIENT: u32 = 5;
}

/// The peers of the generic netlink family "pfsync".
pub mod peers {
    pub const PFSYNC_CMD_PEER_GET: u8 = 2;

    pub const PFSYNC_PEER_ADDRESS: u16 = 1;
    pub const PFSYNC_PEER_SYSTEM: u16 = 2;
    pub const PFSYNC_PEER_HEARD: u16 = 3;
    pub const PFSYNC_PEER_FRAMES: u16 = 4;
    pub const PFSYNC_PEER_BEHIND: u16 = 5;

    /// enum pfsync_system.
    pub const SYSTEMS: &[&str] = &["unknown", "linux", "pf"];
}

/// enum carp_state.
pub const STATES: &[&str] = &["init", "backup", "master"];

/// Those of the names that an interface can be set to. "init" it can only get into.
pub fn settable(names: &'static [&'static str]) -> impl Iterator<Item = &'static str> {
    names.iter().copied().filter(|name| *name != "init")
}

/// enum carp_balancing.
pub const BALANCINGS: &[&str] = &["none", "arp", "ip", "ip-stealth", "ip-unicast"];

/// enum carp_auth.
pub const AUTHS: &[&str] = &["off", "receive", "permissive", "enforce"];

/// enum carp_digest.
pub const DIGESTS: &[&str] = &["good", "differs"];

/// enum carp_reason.
pub const REASONS: &[&str] = &[
    "started",
    "stopped",
    "no_address",
    "reconfigured",
    "master_timed_out",
    "master_timed_out_ipv6",
    "master_bowed_out",
    "preempting",
    "master_demoted",
    "master_too_slow",
    "better_master",
    "equal_master",
    "less_demoted_master",
    "administrator",
];

/// CARP_STATS_*, from 2 on: before them are CARP_STATS_UNSPEC and CARP_STATS_PAD.
pub const COUNTERS: &[&str] = &[
    "rx_ipv4",
    "rx_ipv6",
    "rx_bad_interface",
    "rx_bad_ttl",
    "rx_short",
    "rx_bad_checksum",
    "rx_bad_version",
    "rx_bad_length",
    "rx_bad_auth",
    "rx_bad_vhid",
    "rx_bad_address_list",
    "tx_ipv4",
    "tx_ipv6",
    "tx_no_memory",
    "tx_error",
    "tx_state_updates",
    "preempt",
    "rx_echo",
    "rx_not_allowed",
    "rx_auth_good",
    "rx_auth_missing",
    "rx_auth_malformed",
    "rx_auth_unknown_key",
    "rx_auth_stale",
    "rx_auth_replayed",
    "rx_auth_bad_hmac",
];

/// enum pfsync_bulk.
pub const BULKS: &[&str] = &["down", "no-link", "asking", "receiving", "done"];

/// PFSYNC_STATS_*, from 2 on, as above.
pub const PFSYNC_COUNTERS: &[&str] = &[
    "ipackets",
    "ipackets6",
    "badif",
    "badttl",
    "hdrops",
    "badver",
    "badauth",
    "badact",
    "badlen",
    "badval",
    "stale",
    "badstate",
    "skipped",
    "opackets",
    "opackets6",
    "onomem",
    "oerrors",
    "inserted",
    "updated",
    "deleted",
    "acknowledged",
    "requested",
    "full",
    "sent_inserts",
    "sent_updates",
    "sent_compressed",
    "sent_deletes",
    "sent_acks",
    "sent_requests",
    "repeated",
    "unanswered",
    "deferred",
    "undeferred",
    "bulk_asked",
    "bulk_answered",
    "bulk_received",
    "conflicts",
    "auth_good",
    "auth_missing",
    "auth_malformed",
    "auth_unknown_key",
    "auth_stale",
    "auth_replayed",
    "auth_bad_hmac",
];

/// The attribute of the first of [`COUNTERS`] and [`PFSYNC_COUNTERS`].
pub const FIRST_COUNTER: u16 = 2;

/// What a number is called; one from a newer kernel is shown as it is.
pub fn name(names: &[&str], number: u8) -> String {
    match names.get(usize::from(number)) {
        Some(name) => (*name).to_owned(),
        None => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    const HEADERS: [&str; 4] = [
        include_str!("../../../include/uapi/linux/if_carp.h"),
        include_str!("../../../include/uapi/linux/carp.h"),
        include_str!("../../../include/uapi/linux/if_pfsync.h"),
        include_str!("../../../include/uapi/linux/pfsync.h"),
    ];

    /// Every enumerator and every plain #define of the headers.
    fn of_headers() -> HashMap<String, String> {
        let mut found = HashMap::new();
        for header in HEADERS {
            let mut code = String::new();
            for (i, piece) in header.split("/*").enumerate() {
                code += if i == 0 {
                    piece
                } else {
                    piece.split_once("*/").expect("ends").1
                };
            }
            for line in code.lines() {
                if let ["#define", name, value] = line.split_whitespace().collect::<Vec<_>>()[..] {
                    found.insert(name.to_owned(), value.trim_matches('"').to_owned());
                }
            }
            for body in code.split("enum ").skip(1) {
                let body = body.split_once('{').expect("opens").1;
                let body = body.split_once('}').expect("closes").0;
                for (i, name) in body.split(',').map(str::trim).enumerate() {
                    found.insert(name.to_owned(), i.to_string());
                }
            }
        }
        found
    }

    /// The constants of this file, read from its own text.
    fn of_this_file() -> Vec<(String, String)> {
        include_str!("contract.rs")
            .lines()
            .filter_map(|line| line.trim().strip_prefix("pub const "))
            .filter(|line| {
                ["CARP_", "IFLA_", "PFSYNC_"]
                    .iter()
                    .any(|it| line.starts_with(it))
            })
            .filter(|line| !line.contains("&[&str]"))
            .map(|line| {
                let (name, rest) = line.split_once(':').expect("has a type");
                let value = rest.split_once("= ").expect("has a value").1;
                let value = value.trim_end_matches(';').trim_matches('"');
                (name.to_owned(), value.to_owned())
            })
            .collect()
    }

    #[test]
    fn the_numbers_are_the_headers() {
        let headers = of_headers();
        let ours = of_this_file();
        assert!(ours.len() > 50);
        for (name, value) in ours {
            assert_eq!(headers.get(&name), Some(&value), "{name}");
        }
    }

    fn check(prefix: &str, first: u16, names: &[&str]) {
        let headers = of_headers();
        for (i, name) in names.iter().enumerate() {
            let name = format!("{prefix}{}", name.to_uppercase().replace('-', "_"));
            let number = (usize::from(first) + i).to_string();
            assert_eq!(headers.get(&name), Some(&number), "{name}");
        }
    }

    #[test]
    fn the_names_are_the_headers() {
        check("CARP_STATE_", 0, STATES);
        check("CARP_BALANCING_", 0, BALANCINGS);
        check("CARP_AUTH_", 0, AUTHS);
        check("CARP_REASON_", 0, REASONS);
        check("PFSYNC_BULK_", 0, BULKS);
        let headers = of_headers();
        for (prefix, names) in [("CARP", COUNTERS), ("PFSYNC", PFSYNC_COUNTERS)] {
            check(&format!("{prefix}_STATS_"), FIRST_COUNTER, names);
            let end = usize::from(FIRST_COUNTER) + names.len();
            assert_eq!(
                headers[&format!("__{prefix}_STATS_MAX")],
                end.to_string(),
                "a counter has no name"
            );
        }
        let reasons = headers
            .keys()
            .filter(|name| name.starts_with("CARP_REASON_"))
            .count();
        assert_eq!(reasons, REASONS.len(), "a reason has no name");
    }

    #[test]
    fn a_number_without_a_name() {
        assert_eq!(name(STATES, 2), "master");
        assert_eq!(name(STATES, 9), "9");
    }
}
