// SPDX-License-Identifier: GPL-2.0

//! The page of `carpctl metrics` by the rules of Prometheus' text format.

use super::*;
use crate::{
    causes::Cause,
    contract::{COUNTERS, PFSYNC_COUNTERS},
    transition_counts::TransitionCount,
};
use std::collections::{BTreeMap, HashSet};

fn counted(names: &[&'static str]) -> Counters {
    Counters(names.iter().map(|name| (*name, 5)).collect())
}

fn host(ifindex: u32, ifname: &str, vhid: u8, advskew: u8, state: &str) -> VirtualHost {
    VirtualHost {
        ifindex,
        advskew,
        ..VirtualHost::of_test(ifname, vhid, state)
    }
}

fn cause(name: &str, amount: u32) -> Cause {
    Cause {
        group: "carp".into(),
        cause: name.into(),
        amount,
        age: 1,
        left: None,
        reason: None,
        interfaces: vec![],
    }
}

/// A host with something of everything.
fn example() -> Snapshot {
    let differs = VirtualHost {
        digest_differs: true,
        carpdev: None,
        ..host(8, "ou\"t\\side", 3, 0, "init")
    };
    let elsewhere = VirtualHost {
        carpdev: Some(Carpdev::Elsewhere(2)),
        ..host(9, "carp2", 4, 0, "init")
    };
    let gone = VirtualHost {
        carpdev: Some(Carpdev::Gone("eth7".into())),
        ..host(9, "carp2", 5, 0, "init")
    };
    // carp3 has no virtual host
    let interfaces = [
        (7, "carp0"),
        (8, "ou\"t\\side"),
        (9, "carp2"),
        (10, "carp3"),
    ];
    let counters = interfaces.map(|(ifindex, ifname)| InterfaceCounters {
        ifname: ifname.to_owned(),
        ifindex,
        counters: match ifname {
            "carp2" => Counters::default(),
            _ => counted(COUNTERS),
        },
    });
    let pfsync = Pfsync {
        syncdev: Some(2),
        syncpeer: Some("172.16.0.3".parse().expect("is an address")),
        bulk: "done".into(),
        states: 5123,
        unconfirmed: 1,
        counters: counted(PFSYNC_COUNTERS),
        ..Pfsync::default()
    };
    Snapshot {
        hosts: vec![
            host(7, "carp0", 1, 0, "master"),
            host(7, "carp0", 2, 100, "backup"),
            differs,
            elsewhere,
            gone,
        ],
        counters: counters.to_vec(),
        pfsyncs: vec![PfsyncInterface {
            labels: Labels::of("interface", "pfsync0"),
            pfsync,
            syncdev: "eth0".into(),
        }],
        groups: vec![
            Group {
                group: "carp".into(),
                demote: 32,
                members: vec![7],
                causes: vec![cause("link:eth0", 1), cause("check:web", 31)],
            },
            Group {
                group: "inside".into(),
                demote: 0,
                members: vec![],
                causes: vec![],
            },
        ],
        carp_peers: vec![CarpPeer::of_test("10.0.0.2", "good")],
        transitions: vec![TransitionCounts {
            ifname: "carp0".into(),
            vhid: 1,
            counts: vec![TransitionCount {
                state: 2,
                reason: 7,
                count: 3,
            }],
        }],
        peers: vec![
            Peer::of_test(Some("172.16.0.3"), "linux", Some(2)),
            Peer::of_test(None, "unknown", None),
        ],
        all: counted(COUNTERS),
    }
}

/// The names of all metrics.
fn names(page: &str) -> HashSet<&str> {
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types.filter_map(|line| line.split(' ').next()).collect()
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_lowercase())
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

#[test]
fn samples() {
    let page = example().page();
    for line in [
        r#"carp_vhost_state{interface="carp0",vhid="1",state="master"} 1"#,
        r#"carp_vhost_state{interface="carp0",vhid="1",state="backup"} 0"#,
        r#"carp_vhost_state{interface="carp0",vhid="2",state="backup"} 1"#,
        r#"carp_vhost_state{interface="ou\"t\\side",vhid="3",state="init"} 1"#,
        r#"carp_vhost_info{interface="carp0",vhid="2",carpdev="eth0",advbase="1",advskew="100"} 1"#,
        r#"carp_vhost_info{interface="carp2",vhid="4",carpdev="if2",advbase="1",advskew="0"} 1"#,
        r#"carp_vhost_info{interface="carp2",vhid="5",carpdev="eth7",advbase="1",advskew="0"} 1"#,
        r#"carp_demotion{group="carp",cause="link:eth0"} 1"#,
        r#"carp_demotion{group="carp",cause="check:web"} 31"#,
        r#"carp_demotion{group="inside",cause=""} 0"#,
        r#"carp_digest_differs{interface="carp0"} 0"#,
        r#"carp_digest_differs{interface="ou\"t\\side"} 1"#,
        r#"carp_advertisements_received_total{interface="carp0",family="ipv6"} 5"#,
        r#"carp_advertisements_received_total{interface="carp2",family="ipv6"} 0"#,
        r#"carp_advertisements_dropped_total{interface="carp3",reason="bad_auth"} 5"#,
        r#"carp_send_errors_total{interface="carp3",reason="error"} 5"#,
        r#"carp_namespace_advertisements_dropped_total{reason="bad_vhid"} 5"#,
        r#"carp_transitions_total{interface="carp0",vhid="1",to="master",reason="preempting"} 3"#,
        r#"carp_last_advertisement_seconds{interface="carp0",vhid="1",peer="10.0.0.2",digest="good"} 0.412"#,
        r#"pfsync_info{interface="pfsync0",syncdev="eth0",syncpeer="172.16.0.3"} 1"#,
        r#"pfsync_states{interface="pfsync0"} 5123"#,
        r#"pfsync_unconfirmed{interface="pfsync0"} 1"#,
        r#"pfsync_bulk_done{interface="pfsync0"} 1"#,
        r#"pfsync_frames_dropped_total{interface="pfsync0",reason="badver"} 5"#,
        r#"pfsync_inserted_total{interface="pfsync0"} 5"#,
        r#"pfsync_peer_last_heard_seconds{peer="172.16.0.3"} 12.034"#,
        r#"pfsync_peer_info{peer="others",system="unknown"} 1"#,
        r#"pfsync_peer_behind_frames{peer="172.16.0.3"} 2"#,
    ] {
        assert!(
            page.lines().any(|it| it == line),
            "{line} is not in\n{page}"
        );
    }
    assert!(!page.contains(r#"behind_frames{peer="others"}"#));
    assert!(!page.contains(r#"dropped_total{interface="carp2""#));
}

/// HELP, TYPE and all samples of a metric stand together; no sample is there twice.
#[test]
fn the_format() {
    let page = example().page();
    assert!(page.ends_with('\n') && !page.contains("\n\n"));
    let (mut metric, mut kind) = ("", "");
    let (mut metrics, mut samples) = (HashSet::new(), HashSet::new());
    for line in page.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, words) = help.split_once(' ').expect("says something");
            assert!(is_name(name) && metrics.insert(name), "{name}");
            assert!(words.ends_with('.') && !words.contains('\\'), "{words}");
            (metric, kind) = (name, "");
        } else if let Some(word) = line.strip_prefix("# TYPE ") {
            let (name, word) = word.split_once(' ').expect("has a type");
            assert_eq!((name, kind), (metric, ""));
            assert!(["gauge", "counter"].contains(&word));
            assert_eq!(word == "counter", name.ends_with("_total"), "{name}");
            kind = word;
        } else {
            let (key, value) = line.rsplit_once(' ').expect("has a value");
            let name = key.split('{').next();
            assert!(name == Some(metric) && !kind.is_empty(), "{line}");
            assert!(value.parse::<f64>().is_ok(), "{line}");
            assert!(samples.insert(key), "{key} is there twice");
        }
    }
    assert!(samples.len() > 100);
}

#[test]
fn nothing_where_nothing_is() {
    assert_eq!(Snapshot::default().page(), "");
}

/// Every metric that the dashboard asks for is one.
#[test]
fn the_dashboard() {
    let page = example().page();
    let known = names(&page);
    let dashboard = include_str!("../../../dist/grafana/carp.json");
    let dashboard: serde_json::Value = serde_json::from_str(dashboard).expect("is JSON");
    let mut expressions = vec![&dashboard["templating"]["list"][1]["query"]];
    for panel in dashboard["panels"].as_array().expect("is a list") {
        let targets = panel["targets"].as_array().expect("is a list");
        expressions.extend(targets.iter().map(|target| &target["expr"]));
    }
    let mut used = BTreeMap::new();
    for expression in expressions {
        let words = expression.as_str().expect("is text");
        let words = words.split(|it: char| !it.is_ascii_alphanumeric() && it != '_');
        for word in words.filter(|it| it.starts_with("carp_") || it.starts_with("pfsync_")) {
            assert!(known.contains(word), "{word} of the dashboard is no metric");
            *used.entry(word).or_insert(0) += 1;
        }
    }
    assert!(used.len() > 10, "{used:?}");
}
