// SPDX-License-Identifier: GPL-2.0

//! Parents and what is below them, with a folder in the place of /sys.

use super::*;
use crate::test_folder::Folder;
use std::os::unix::fs::symlink;

fn interface(index: u32, name: &str, kind: &str) -> Interface {
    Interface {
        index,
        name: name.into(),
        link_kind: (!kind.is_empty()).then(|| kind.into()),
        ..Interface::default()
    }
}

fn snapshot(all: &[Interface]) -> Snapshot {
    Snapshot {
        interfaces: all.iter().map(|it| (it.index, it.clone())).collect(),
        ..Snapshot::default()
    }
}

/// v7 on a bridge with a bond and a macvlan as ports; each stands on something.
fn example() -> Vec<Interface> {
    let on = |parent, it: Interface| Interface {
        parent: Some(parent),
        ..it
    };
    let of = |master, it: Interface| Interface {
        master: Some(master),
        ..it
    };
    vec![
        on(2, interface(1, "v7", "vlan")),
        interface(2, "br0", "bridge"),
        of(2, interface(3, "bond0", "bond")),
        of(3, interface(4, "eth0", "")),
        of(2, on(6, interface(5, "m0", "macvlan"))),
        interface(6, "eth1", ""),
        interface(7, "eth2", ""),
    ]
}

#[test]
fn what_is_below() {
    let mut all = example();
    let below = |all: &[Interface]| {
        let now = snapshot(all);
        let names: Vec<_> = stack(&now, &all[0])
            .iter()
            .map(|it| it.name.clone())
            .collect();
        names.join(" ")
    };
    assert_eq!(below(&all), "v7 br0 bond0 m0 eth0 eth1");
    all[4].is_parent_elsewhere = true;
    assert_eq!(below(&all), "v7 br0 bond0 m0 eth0");
    // a circle, as two moments may make one
    all[3].parent = Some(1);
    assert_eq!(below(&all), "v7 br0 bond0 m0 eth0");
}

#[test]
fn one_mac_address() {
    let mut all = example();
    let find = |all: &[Interface]| of_own_address(&snapshot(all), &all[0]);
    assert!(find(&all).expect("is told").what.contains("m0, a macvlan"));
    all[4].macvlan_mode = Some(MACVLAN_MODE_PASSTHRU);
    assert_eq!(find(&all), None);
}

#[test]
fn who_is_on_the_link() {
    let folder = Folder::new("arp");
    let table = folder.0.join("arp");
    let text = "IP address       HW type     Flags       HW address            Mask     Device\n\
                10.0.0.4         0x1         0x2         02:00:00:00:00:04     *        eth0\n\
                10.0.0.5         0x1         0x0         00:00:00:00:00:00     *        eth0\n\
                10.0.0.1         0x1         0x2         00:00:5e:00:01:01     *        eth0\n\
                10.7.0.4         0x1         0x2         02:00:00:00:00:07     *        eth1\n";
    fs::write(&table, text).expect("can be written");
    let carp = Carp {
        addresses: vec!["10.0.0.1".parse().expect("is one")],
        ..Carp::default()
    };
    let found: Vec<_> = neighbours("eth0", &carp, &table)
        .iter()
        .map(IpAddr::to_string)
        .collect();
    assert_eq!(found, ["10.0.0.4"]);
}

#[test]
fn cards() {
    let folder = Folder::new("cards");
    let all = example();
    let now = snapshot(&all);
    let say = || advice(&now, &all[0], &folder.0);
    assert!(say().contains("port security"));
    for (driver, word) in [
        ("hv_netvsc", "eth0 is a card of Hyper-V"),
        ("vmxnet3", "forged"),
        ("virtio_net", "trustGuestRxFilters"),
        ("ena", "cannot share"),
        ("e1000", "port security"),
    ] {
        let device = folder.folder("eth0/device");
        let target = folder.folder(&format!("drivers/{driver}"));
        symlink(target, device.join("driver")).expect("can be made");
        assert!(say().contains(word), "{driver}: {}", say());
        fs::remove_file(device.join("driver")).expect("is there");
    }
}

#[test]
fn a_virtual_function() {
    let folder = Folder::new("vf");
    let (own, pf) = (folder.folder("pci/1"), folder.folder("pci/0"));
    folder.folder("pci/0/net/ens1");
    symlink(&own, pf.join("virtfn3")).expect("can be made");
    symlink(&pf, own.join("physfn")).expect("can be made");
    symlink(&own, folder.folder("eth0").join("device")).expect("can be made");
    let all = example();
    let told = advice(&snapshot(&all), &all[3], &folder.0);
    assert!(
        told.ends_with("ip link set ens1 vf 3 spoofchk off trust on"),
        "{told}"
    );
}

#[test]
fn a_locked_port() {
    let mut all = example();
    assert_eq!(locked_port(&snapshot(&all), &all[0]), None);
    all[3].is_locked = true;
    let told = locked_port(&snapshot(&all), &all[0]).expect("is told");
    assert!(told.contains("set dev eth0 locked off"), "{told}");
}

#[test]
fn a_mac_address_for_one() {
    let with = |lladdr: &[u8]| Interface {
        lladdr: lladdr.to_vec(),
        ..Interface::default()
    };
    let own = [0, 0, 0x5e, 0, 1, 7];
    assert_eq!(virtual_mac(&with(&own)), Some(own));
    assert_eq!(virtual_mac(&with(&[1, 0, 0x5e, 0, 1, 7])), None);
    assert_eq!(virtual_mac(&with(&[])), None);
}
