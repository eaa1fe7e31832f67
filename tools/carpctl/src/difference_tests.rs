// SPDX-License-Identifier: GPL-2.0

//! Nothing is left where all is so, and everything that is not.

use super::*;
use crate::{carp::Node, hostname_file, kind::Kind, sentences::sentences};
use netlink_packet_route::link::LinkFlags;

fn address(text: &str) -> Address {
    let (address, length) = text.split_once('/').expect("has a length");
    Address {
        address: address.parse().expect("is an address"),
        prefix_len: length.parse().expect("is a number"),
        broadcast: None,
        dest: None,
        interface: 7,
        proto: IFAPROT_NETSTART,
    }
}

fn carp0() -> Interface {
    Interface {
        index: 7,
        name: "carp0".into(),
        flags: LinkFlags::Up,
        mtu: 1500,
        description: Some("OUTSIDE".into()),
        carp: Some(Carp {
            carpdev: Some(2),
            advbase: 1,
            nodes: vec![Node {
                vhid: 1,
                advskew: 50,
                state: "backup".into(),
            }],
            balancing: Some("none".into()),
            groups: vec!["carp".into(), "test".into()],
            minttl: Some(255),
            announce: Some(0),
            linklocal: Some(0),
            demoteskew: Some(1),
            ..Carp::default()
        }),
        ..Interface::default()
    }
}

/// What a file would do to an interface, in sentences without its name.
fn left(text: &str, interface: &Interface, addresses: &[Address]) -> Vec<String> {
    let (lines, _) = hostname_file::read(text);
    let (wanted, mistakes) = Wanted::read(interface.kind(), lines);
    assert_eq!(mistakes, []);
    let present = Present {
        interface,
        addresses,
        device: Some("eth0"),
    };
    let mut change = leftovers(&wanted, &present);
    change.merge(wanted.whole.clone());
    let left = remaining(&change, &present);
    sentences("It", &left, true)
        .into_iter()
        .map(|sentence| sentence.replace("It would ", ""))
        .collect()
}

const FILE: &str = "inet 10.0.0.1 255.255.255.0 vhid 1 carpdev eth0 advskew 50 state MASTER \
                    description \"OUTSIDE\" group test\n";

#[test]
fn what_is_so_is_left_alone() {
    assert_eq!(left(FILE, &carp0(), &[address("10.0.0.1/24")]), [""; 0]);
    let everything = format!(
        "{FILE}advbase 1 minttl 255 announce 0 -linklocal demoteskew balancing none up\n\
         -carppeer mtu 1500 inet6 alias 2001:db8::1 64\n"
    );
    let addresses = ["10.0.0.1/24", "2001:db8::1/64"].map(address);
    assert_eq!(left(&everything, &carp0(), &addresses), [""; 0]);
}

#[test]
fn the_phrase_cannot_be_seen() {
    let told = left(
        &format!("{FILE}pass secret"),
        &carp0(),
        &[address("10.0.0.1/24")],
    );
    assert_eq!(told, ["get pass ...."]);
}

#[test]
fn what_differs() {
    let text = "inet 10.0.0.2/24 vhid 2 carpdev eth1 advskew 7 peer 10.0.0.3 mtu 1400 down\n";
    assert_eq!(
        left(text, &carp0(), &[address("10.0.0.1/24")]),
        [
            "get vhid 2.",
            "get advskew 7.",
            "get carpdev eth1.",
            "get peer 10.0.0.3.",
            "leave group test.",
            "get mtu 1400.",
            "lose its description.",
            "lose the address 10.0.0.1/24.",
            "get the address 10.0.0.2/24.",
            "be set down.",
        ]
    );
}

#[test]
fn words_that_the_file_no_longer_has_go_back() {
    let mut interface = carp0();
    if let Some(carp) = &mut interface.carp {
        carp.advbase = 3;
        carp.peers = vec!["10.0.0.3".parse().expect("is an address")];
        carp.balancing = Some("arp".into());
        carp.groups.clear();
        carp.announce = Some(60);
    }
    assert_eq!(
        left("vhid 1 up\n", &interface, &[]),
        [
            "get advbase 1.",
            "get advskew 0.",
            "get announce 0.",
            "get balancing none.",
            "get -carppeer.",
            "join group carp.",
            "lose its description.",
        ]
    );
}

#[test]
fn addresses_of_others_stay() {
    let eth0 = Interface {
        flags: LinkFlags::Up,
        ..Interface::default()
    };
    let of_another = |text, proto| Address {
        proto,
        ..address(text)
    };
    let there = [
        of_another("10.0.0.7/24", 0),
        of_another("fe80::1/64", 3),
        address("10.0.0.8/24"),
    ];
    let lost = ["lose the address 10.0.0.8/24."];
    assert_eq!(left("up\n", &eth0, &there), lost);
    assert_eq!(left("dhcp\n", &eth0, &there), lost);
}

#[test]
fn an_address_brings_it_up_and_a_state_comes_with_that() {
    let mut interface = carp0();
    interface.flags = LinkFlags::empty();
    let there = [address("10.0.0.1/24")];
    assert_eq!(
        left(FILE, &interface, &there),
        ["be set up.", "become MASTER."]
    );
    assert_eq!(left(&format!("{FILE}down"), &interface, &there), [""; 0]);
}

#[test]
fn a_pfsync_interface() {
    let interface = Interface {
        pfsync: Some(Pfsync {
            syncdev: Some(2),
            syncpeer: Some("172.16.1.2".parse().expect("is an address")),
            maxupd: 7,
            bulkwait: 40,
            defer: true,
            ..Pfsync::default()
        }),
        flags: LinkFlags::Up,
        ..Interface::default()
    };
    assert_eq!(interface.kind(), Some(Kind::Pfsync));
    let same = "up syncdev eth0 syncpeer 172.16.1.2 maxupd 7 defer\n";
    assert_eq!(left(same, &interface, &[]), [""; 0]);
    assert_eq!(
        left("up\n", &interface, &[]),
        [
            "get maxupd 128.",
            "get -defer.",
            "get -syncpeer.",
            "get -syncdev."
        ]
    );
}

#[test]
fn keys_and_what_becomes_of_them() {
    let mut interface = carp0();
    let there = [address("10.0.0.1/24")];
    if let Some(carp) = &mut interface.carp {
        carp.auth = Auth {
            mode: 3,
            keys: vec![1, 2],
            active: 2,
            window: 5,
            monotonic: false,
        };
    }
    let key = std::env::temp_dir().join(format!("carpctl-left-key-{}", std::process::id()));
    std::fs::write(&key, [7; 32]).expect("can be written");
    let words = format!(
        "{FILE}authkey 2 {0}\nauthactive 2 auth enforce authkey 3 {0}\n",
        key.display()
    );
    // what is set again by itself is known elsewhere
    let told = ["get authkey 2.", "get authkey 3.", "lose authkey 1."];
    assert_eq!(left(&words, &interface, &there), told);
    let lost = [
        "get auth off.",
        "get -authactive.",
        "lose authkey 1.",
        "lose authkey 2.",
    ];
    assert_eq!(left(FILE, &interface, &there), lost);
    let window = format!("{words}authwindow 6 authmonotonic\n");
    let told = left(&window, &interface, &there);
    assert!(told.contains(&"get authwindow 6.".to_owned()), "{told:?}");
    assert!(told.contains(&"get authmonotonic.".to_owned()), "{told:?}");
    if let Some(carp) = &mut interface.carp {
        carp.auth.window = 6;
        carp.auth.monotonic = true;
    }
    let told = left(&words, &interface, &there);
    assert!(told.contains(&"get authwindow 0.".to_owned()), "{told:?}");
    assert!(told.contains(&"get authtime.".to_owned()), "{told:?}");
    assert_eq!(left(&window, &interface, &there).len(), 3);
    std::fs::remove_file(key).expect("is ours");
}

#[test]
fn one_random_address_is_enough() {
    let with = |lladdr: [u8; 6], hardware: &[u8]| {
        let mut interface = carp0();
        interface.lladdr = lladdr.to_vec();
        interface.hardware_lladdr = hardware.to_vec();
        let told = left(
            &format!("{FILE}lladdr random\n"),
            &interface,
            &[address("10.0.0.1/24")],
        );
        told.len()
    };
    let local = [0x52, 0x54, 0, 1, 2, 3];
    assert_eq!(with([0, 0, 0x5e, 0, 1, 1], &[]), 1);
    assert_eq!(with(local, &[]), 0);
    assert_eq!(with(local, &local), 1, "a virtual machine's");
    assert_eq!(with([3, 0, 0, 0, 0, 1], &[]), 1);
}
