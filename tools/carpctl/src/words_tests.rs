// SPDX-License-Identifier: GPL-2.0

//! Words that mean something, and words that do not.

use super::*;
use crate::{
    address::{Action, AddressChange, Broadcast},
    attributes::{address, bytes, emit, nest, u32, u8, Attributes},
    auth::Numbers,
    contract::{link::*, pfsync::*, settable},
    setting::Setting,
};
use netlink_packet_core::DefaultNla;

fn reads_as(kind: Option<Kind>, line: &str) -> Result<Change> {
    let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
    read(kind, &words)
}

fn attributes(change: &Change) -> Vec<DefaultNla> {
    change.settings.iter().map(Setting::attribute).collect()
}

fn reads(line: &str) -> Result<Change> {
    reads_as(Some(Kind::Carp), line)
}

fn right(line: &str) -> Change {
    reads(line).unwrap_or_else(|error| panic!("{line}: {error}"))
}

fn wrong(line: &str) -> String {
    match reads(line) {
        Ok(change) => panic!("{line} was taken: {change:?}"),
        Err(error) => {
            assert_eq!(error.exit_status(), 2, "{line}");
            error.to_string()
        }
    }
}

/// Each address as "+ADDRESS/LEN", "=…" for one that replaces and "-…" for one that goes.
fn addresses(line: &str) -> Vec<String> {
    let shown = |change: AddressChange| {
        let sign = match change.action {
            Action::Set => '=',
            Action::Add => '+',
            Action::Remove => '-',
        };
        let length = change
            .prefix_len
            .map_or_else(String::new, |length| format!("/{length}"));
        format!("{sign}{}{length}", change.address)
    };
    right(line).addresses.into_iter().map(shown).collect()
}

#[test]
fn what_openbsd_users_type() {
    let change = right("vhid 1 pass secret carpdev eth0 advskew 100 10.0.0.1/24");
    let data = emit(&attributes(&change));
    let data = Attributes::new(&data);
    assert_eq!(data.u8(IFLA_CARP_VHID), Some(1));
    assert_eq!(data.get(IFLA_CARP_PASS), Some(&b"secret"[..]));
    assert_eq!(data.u8(IFLA_CARP_ADVSKEW), Some(100));
    assert_eq!(change.device, Some(Some("eth0".to_owned())));
    assert_eq!(change.addresses.len(), 1);
    assert!(!change.create && !change.destroy && change.up.is_none());
}

#[test]
fn every_attribute() {
    let change = right(
        "carpnodes 1:0,255:254 balancing ip-stealth carppeer 10.0.0.3,2001:db8::3 minttl 64 \
         announce 60 linklocal -demoteskew state MASTER advbase 2 group a group b -group c -carpdev up \
         mtu 1400 lladdr 02:00:00:0a:b:ff",
    );
    let node = |vhid, skew| {
        nest(
            CARP_NODE,
            &[u8(CARP_NODE_VHID, vhid), u8(CARP_NODE_ADVSKEW, skew)],
        )
    };
    let peers = ["10.0.0.3", "2001:db8::3"].map(|peer| peer.parse().expect("is an address"));
    assert_eq!(
        attributes(&change),
        [
            nest(IFLA_CARP_CARPNODES, &[node(1, 0), node(255, 254)]),
            u8(IFLA_CARP_BALANCING, 3),
            nest(
                IFLA_CARP_CARPPEERS,
                &peers.map(|peer| address(CARP_PEER, peer))
            ),
            u8(IFLA_CARP_MINTTL, 64),
            u8(IFLA_CARP_ANNOUNCE, 60),
            u8(IFLA_CARP_LINKLOCAL, 1),
            u8(IFLA_CARP_DEMOTESKEW, 0),
            u8(IFLA_CARP_ADVBASE, 2),
        ]
    );
    assert_eq!(change.state, Some(2));
    assert_eq!(change.join, ["a", "b"]);
    assert_eq!(change.leave, ["c"]);
    assert_eq!(change.device, Some(None));
    assert_eq!(change.up, Some(true));
    assert_eq!(change.mtu, Some(1400));
    assert_eq!(change.lladdr, Some([2, 0, 0, 0xa, 0xb, 0xff]));
    assert_eq!(
        attributes(&right("-carppeer")),
        [nest(IFLA_CARP_CARPPEERS, &[])]
    );
    assert_eq!(right("carpdev none").device, Some(None));
}

#[test]
fn a_random_lladdr_is_local() {
    let lladdr = right("lladdr random").lladdr.expect("is there");
    assert_eq!(lladdr[0] & 3, 2);
}

#[test]
fn addresses_in_ifconfigs_ways() {
    assert_eq!(addresses("10.0.0.1/24"), ["=10.0.0.1/24"]);
    assert_eq!(
        addresses("inet 10.0.0.1 netmask 255.255.255.0"),
        ["=10.0.0.1/24"]
    );
    assert_eq!(addresses("10.0.0.1 prefixlen 25 up"), ["=10.0.0.1/25"]);
    assert_eq!(addresses("inet alias 10.0.0.2/24"), ["+10.0.0.2/24"]);
    assert_eq!(addresses("10.0.0.2/24 alias"), ["+10.0.0.2/24"]);
    assert_eq!(addresses("alias 10.0.0.2/24"), ["+10.0.0.2/24"]);
    assert_eq!(addresses("inet 10.0.0.2 -alias"), ["-10.0.0.2"]);
    assert_eq!(addresses("inet -alias 10.0.0.2"), ["-10.0.0.2"]);
    assert_eq!(addresses("10.0.0.2/24 delete"), ["-10.0.0.2/24"]);
    assert_eq!(addresses("inet6 2001:db8::1 64"), ["+2001:db8::1/64"]);
    assert_eq!(
        addresses("inet6 2001:db8::1 prefixlen 48"),
        ["+2001:db8::1/48"]
    );
    // the length is found later
    assert_eq!(addresses("10.0.0.1"), ["=10.0.0.1"]);
    assert_eq!(addresses("inet6 2001:db8::1"), ["+2001:db8::1"]);
    assert_eq!(addresses("inet 10.0.0.1 255.255.255.0"), ["=10.0.0.1/24"]);
    assert_eq!(addresses("10.0.0.1 0xffffff00 up"), ["=10.0.0.1/24"]);
    assert_eq!(
        addresses("inet alias 10.0.0.1 255.255.255.0 10.0.0.255 alias 10.0.0.2/32"),
        ["+10.0.0.1/24", "+10.0.0.2/32"]
    );
    assert_eq!(addresses("10.0.0.1 10.0.0.2"), ["=10.0.0.1", "+10.0.0.2"]);
    assert_eq!(addresses("inet6 2001:db8::1 -alias"), ["-2001:db8::1"]);
}

#[test]
fn a_broadcast_address_by_position() {
    for (line, broadcast) in [
        ("inet 10.0.0.1 255.255.255.0 up", Broadcast::OfSubnet),
        ("inet 10.0.0.1 255.255.255.0 NONE", Broadcast::None),
        ("10.0.0.1 255.255.255.0 none", Broadcast::None),
        (
            "inet 10.0.0.1 255.255.255.0 10.0.0.7",
            Broadcast::Address([10, 0, 0, 7].into()),
        ),
    ] {
        let told: Vec<_> = right(line)
            .addresses
            .iter()
            .map(|address| address.broadcast)
            .collect();
        assert_eq!(told, [broadcast], "{line}");
    }
}

#[test]
fn a_description() {
    let words = ["description", "two words", "vhid", "1"].map(str::to_owned);
    let change = read(Some(Kind::Carp), &words).expect("is right");
    assert_eq!(change.description.as_deref(), Some("two words"));
    assert_eq!(right("-descr").description.as_deref(), Some(""));
    let long = format!("description {}", "x".repeat(256));
    assert_eq!(wrong(&long), "the description is longer than 255 bytes");
}

#[test]
fn one_peer_of_a_family() {
    let change = right("peer 10.0.0.3 mcast6");
    assert_eq!(change.peer_ipv4, Some(Some([10, 0, 0, 3].into())));
    assert_eq!(change.peer_ipv6, Some(None));
    for (line, told) in [
        ("peer ::1", "peer \"::1\": an IPv4 address is expected"),
        (
            "peer6 10.0.0.1",
            "peer6 \"10.0.0.1\": an IPv6 address is expected",
        ),
        (
            "peer 10.0.0.1 mcast",
            "peer, mcast or carppeer is said twice",
        ),
        (
            "-carppeer mcast6",
            "peer6, mcast6 or carppeer is said twice",
        ),
    ] {
        assert_eq!(wrong(line), told, "{line}");
    }
}

#[test]
fn an_interface_of_another_kind() {
    let line = "inet 10.0.0.11 255.255.255.0 10.0.0.255 inet6 fd00::1 up mtu 1400 description lan";
    let change = reads_as(None, line).expect("is right");
    let told: Vec<_> = change.addresses.iter().map(|it| it.prefix_len).collect();
    assert_eq!(told, [Some(24), Some(64)]);
    assert_eq!((change.up, change.mtu), (Some(true), Some(1400)));
    for (line, told) in [
        ("vhid 1", "\"vhid\" is a word for carp interfaces only"),
        ("defer", "\"defer\" is a word for pfsync interfaces only"),
        (
            "10.0.0.1",
            "10.0.0.1 needs a prefix length: 10.0.0.1/24, or netmask 255.255.255.0",
        ),
    ] {
        let error = reads_as(None, line).expect_err(line);
        assert_eq!((error.exit_status(), error.to_string()), (2, told.into()));
    }
}

#[test]
fn several_addresses() {
    assert_eq!(
        addresses("10.0.0.1/24 10.0.0.2/24"),
        ["=10.0.0.1/24", "+10.0.0.2/24"]
    );
    assert_eq!(
        addresses("10.0.0.1/24 alias 10.0.0.2/24"),
        ["=10.0.0.1/24", "+10.0.0.2/24"]
    );
    assert_eq!(
        addresses("10.0.0.1/24 alias inet6 2001:db8::1/64"),
        ["+10.0.0.1/24", "+2001:db8::1/64"]
    );
    assert_eq!(
        addresses("inet6 2001:db8::1 64 10.0.0.1/24 -alias 10.0.0.9"),
        ["+2001:db8::1/64", "=10.0.0.1/24", "-10.0.0.9"]
    );
    assert_eq!(addresses("-inet 10.0.0.1/24"), ["+10.0.0.1/24"]);
}

#[test]
fn what_is_wrong_is_told() {
    for (line, told) in [
        (
            "frobnicate",
            "there is no word \"frobnicate\": see carpctl --help",
        ),
        ("vhid1", "there is no word \"vhid1\": did you mean vhid 1?"),
        (
            "10.0.0.1/24 advskw 100",
            "there is no word \"advskw\": did you mean advskew?",
        ),
        (
            "state init",
            "state \"init\": one of backup, master is expected",
        ),
        (
            "inet 10.0.0.1 10.0.0.255",
            "\"10.0.0.255\" is not a netmask: one as 255.255.255.0 is expected",
        ),
        ("vhid", "vhid needs a value"),
        ("vhid 256", "vhid \"256\": a number of 1-255 is expected"),
        ("vhid -1", "vhid \"-1\": a number of 1-255 is expected"),
        (
            "advskew +1",
            "advskew \"+1\": a number of 0-254 is expected",
        ),
        ("vhid 1 vhid 2", "vhid is said twice"),
        ("pass a passfile b", "pass is said twice"),
        ("carppeer 10.0.0.1 -carppeer", "carppeer is said twice"),
        ("up down", "up or down is said twice"),
        ("linklocal -linklocal", "linklocal is said twice"),
        (
            "state dead",
            "state \"dead\": one of backup, master is expected",
        ),
        (
            "balancing fair",
            "balancing \"fair\": one of none, arp, ip, ip-stealth, ip-unicast is expected",
        ),
        (
            "carpnodes 1",
            "carpnodes \"1\": VHID:ADVSKEW is expected, as in 1:0,2:100",
        ),
        (
            "carpnodes 1:0,",
            "carpnodes \"\": VHID:ADVSKEW is expected, as in 1:0,2:100",
        ),
        (
            "carppeer me",
            "carppeer \"me\": an IPv4 or IPv6 address is expected",
        ),
        (
            "group sixteen_letters_",
            "group \"sixteen_letters_\": a name of 1-15 characters is expected",
        ),
        (
            "lladdr 1:2:3",
            "lladdr \"1:2:3\": six octets are expected, or random",
        ),
        ("mtu big", "mtu: a number is expected"),
        ("destroy vhid 1", "destroy stands alone"),
        ("netmask 255.0.0.0", "netmask needs an address before it"),
        ("delete", "alias, -alias and delete need an address"),
        ("inet 2001:db8::1/64", "2001:db8::1 is not an inet address"),
        ("inet6 10.0.0.1/24", "10.0.0.1 is not an inet6 address"),
        ("inet", "inet needs a value"),
        ("10.0.0.300/24", "\"10.0.0.300/24\" is not an address"),
    ] {
        assert_eq!(wrong(line), told, "{line}");
    }
    let many = (1..=33)
        .map(|vhid| format!("{vhid}:0"))
        .collect::<Vec<_>>()
        .join(",");
    assert!(wrong(&format!("carpnodes {many}")).contains("at most 32"));
    let many = vec!["10.0.0.1"; 33].join(",");
    assert!(wrong(&format!("carppeer {many}")).contains("at most 16"));
}

#[test]
fn a_broadcast_address_behind_a_length() {
    for line in [
        "inet 10.0.0.1/24 10.0.0.255 vhid 1",
        "10.0.0.1/24 10.0.0.255",
    ] {
        let change = right(line);
        assert_eq!(change.addresses.len(), 1, "{line}");
        let broadcast = Broadcast::Address([10, 0, 0, 255].into());
        assert_eq!(change.addresses[0].broadcast, broadcast);
    }
    let change = right("inet alias 10.0.0.1/24 NONE vhid 1");
    assert_eq!(change.addresses[0].broadcast, Broadcast::None);
    assert_eq!(right("10.0.0.1/24 10.0.0.2").addresses.len(), 2);
    assert_eq!(right("10.0.0.1/32 10.0.0.2").addresses.len(), 2);
}

#[test]
fn no_message_shows_the_phrase() {
    assert!(!wrong("pass x pass 12345678901234567890").contains("1234"));
    for line in [
        "pass two secret",
        "pass=secret",
        "passsecret",
        "pass:secret",
    ] {
        let told = wrong(line);
        assert!(
            told.contains("quotation marks") && !told.contains("secret"),
            "{told}"
        );
    }
    assert!(wrong("passphrase x").contains("passphrase"));
    let change = right("pass 12345678901234567890");
    assert_eq!(change.warnings.len(), 1);
    assert!(!format!("{change:?}").contains("1234"));
}

/// A file with a key of 32 bytes.
fn key_file(name: &str) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = std::env::temp_dir().join(format!("carpctl-{name}-{}", std::process::id()));
    std::fs::write(&path, "32 characters, and not one less.\n").expect("can be written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("is ours");
    path
}

#[test]
fn authentication() {
    let file = key_file("words-key");
    for kind in Kind::ALL {
        let numbers = Numbers::of(kind);
        let reads = |line: &str| {
            reads_as(
                Some(kind),
                &line.replace("FILE", &file.display().to_string()),
            )
        };
        let change = reads("authkey 1 FILE authkey 2 FILE authactive 2 auth enforce authwindow 60")
            .expect("is right");
        assert_eq!(
            attributes(&change),
            [
                u8(numbers.active, 2),
                u8(numbers.mode, 3),
                u32(numbers.window, 60)
            ]
        );
        let ids: Vec<_> = change.auth_keys.iter().map(|key| key.id).collect();
        assert_eq!((ids, change.auth_keys[0].secret.len()), (vec![1, 2], 32));
        assert!(change.warnings.is_empty() && !format!("{change:?}").contains("less"));
        let change = reads("-authkey 1 -authkey 2 -authactive auth off authmonotonic");
        let change = change.expect("is right");
        assert_eq!(change.lost_keys, [1, 2]);
        assert_eq!(
            attributes(&change),
            [
                u8(numbers.active, 0),
                u8(numbers.mode, 0),
                u8(numbers.monotonic, 1)
            ]
        );
    }
    let line = format!("authkey 1 {0} authkey 1 {0}", file.display());
    assert_eq!(wrong(&line), "authkey 1 is said twice");
    std::fs::remove_file(file).expect("is ours");
}

#[test]
fn what_is_wrong_with_authentication() {
    for (line, told) in [
        (
            "auth on",
            "auth \"on\": one of off, receive, permissive, enforce is expected",
        ),
        ("authkey", "authkey needs a value"),
        ("authkey 1", "authkey 1 needs a value"),
        (
            "authkey 256 /k",
            "authkey \"256\": a number of 1-255 is expected",
        ),
        (
            "-authkey x",
            "-authkey \"x\": a number of 1-255 is expected",
        ),
        ("authactive 1 -authactive", "authactive is said twice"),
        (
            "authwindow +5",
            "authwindow \"+5\": a number of 1-300 is expected, or 0 for the default",
        ),
        (
            "authtime authmonotonic",
            "authtime or authmonotonic is said twice",
        ),
    ] {
        assert_eq!(wrong(line), told, "{line}");
    }
}

fn pfsync(line: &str) -> Change {
    reads_as(Some(Kind::Pfsync), line).unwrap_or_else(|error| panic!("{line}: {error}"))
}

#[test]
fn what_openbsd_users_type_for_pfsync() {
    let change = pfsync("create syncdev eth2 syncpeer 172.16.1.2 maxupd 7 defer up mtu 9000");
    let peer = "172.16.1.2".parse().expect("is an address");
    assert_eq!(
        attributes(&change),
        [
            address(IFLA_PFSYNC_SYNCPEER, peer),
            u8(IFLA_PFSYNC_MAXUPD, 7),
            u8(IFLA_PFSYNC_DEFER, 1),
        ]
    );
    assert_eq!(change.kind, Some(Kind::Pfsync));
    assert_eq!(change.device, Some(Some("eth2".to_owned())));
    assert_eq!((change.create, change.up), (true, Some(true)));
    assert_eq!(change.mtu, Some(9000));
    let change = pfsync("-syncdev -syncpeer -defer down");
    assert_eq!(
        attributes(&change),
        [bytes(IFLA_PFSYNC_SYNCPEER, &[]), u8(IFLA_PFSYNC_DEFER, 0)]
    );
    assert_eq!((change.device, change.up), (Some(None), Some(false)));
    assert_eq!(pfsync("syncdev none").device, Some(None));
    assert!(pfsync("destroy").destroy);
}

#[test]
fn what_is_wrong_is_told_for_pfsync() {
    for (line, told) in [
        ("vhid 1", "\"vhid\" is a word for carp interfaces only"),
        (
            "10.0.0.1/24",
            "\"10.0.0.1/24\": a pfsync interface has no addresses",
        ),
        ("syncdev", "syncdev needs a value"),
        ("syncdev eth2 -syncdev", "syncdev is said twice"),
        (
            "syncpeer me",
            "syncpeer \"me\": an IPv4 or IPv6 address is expected",
        ),
        ("syncpeer 10.0.0.1 -syncpeer", "syncpeer is said twice"),
        (
            "maxupd 256",
            "maxupd \"256\": a number of 1-255 is expected",
        ),
        ("defer -defer", "defer is said twice"),
        ("destroy down", "destroy stands alone"),
    ] {
        let error = reads_as(Some(Kind::Pfsync), line).expect_err(line);
        assert_eq!((error.exit_status(), error.to_string()), (2, told.into()));
    }
    assert_eq!(
        wrong("syncdev eth2"),
        "\"syncdev\" is a word for pfsync interfaces only"
    );
}

/// What is suggested must be understood, and a word is followed by what its list says.
#[test]
fn every_word_in_the_lists_is_one() {
    for kind in [Some(Kind::Carp), Some(Kind::Pfsync), None] {
        for (word, value) in list(kind) {
            let told = match reads_as(kind, word) {
                Ok(_) => String::new(),
                Err(error) => error.to_string(),
            };
            assert!(
                !told.contains("no word") && !told.contains("only"),
                "{told}"
            );
            let needs_value = told.ends_with(" needs a value");
            assert_eq!(needs_value, value != Value::Nothing, "{word}: {told}");
        }
    }
}

/// What a list says of values is understood, too.
#[test]
fn every_listed_value_is_one() {
    for kind in [Some(Kind::Carp), Some(Kind::Pfsync), None] {
        for (word, value) in list(kind) {
            let Value::OneOf(values) = value else {
                continue;
            };
            for value in settable(values) {
                let line = match word {
                    "inet" => format!("inet {value} 10.0.0.1/24"),
                    "inet6" => format!("inet6 {value} 2001:db8::1/64"),
                    _ => format!("{word} {value}"),
                };
                assert!(reads_as(kind, &line).is_ok(), "{line}");
            }
        }
    }
}
