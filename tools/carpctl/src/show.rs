// SPDX-License-Identifier: GPL-2.0

//! An interface as ifconfig(8) shows it.

use crate::{
    auth::PFSYNC_WINDOW,
    carp::Carp,
    error::Result,
    interface::{Address, Interface, Route},
    kind::Kind,
    pfsync::Pfsync,
};
use netlink_packet_route::link::LinkFlags;
use std::{
    fmt::Write,
    net::{IpAddr, Ipv4Addr},
};

/// An interface, or those of a kind or a group, as ifconfig(8) takes each.
pub fn one(name: &str) -> Result<String> {
    let mut route = Route::open()?;
    if route.by_name(name)?.is_none() {
        if let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.name() == name) {
            return several(&mut route, |interface| interface.kind() == Some(kind));
        }
        let in_group = |interface: &Interface| {
            let carp = interface.carp.as_ref();
            carp.is_some_and(|carp| carp.groups.iter().any(|group| group == name))
        };
        let members = several(&mut route, in_group)?;
        if !members.is_empty() {
            return Ok(members);
        }
    }
    let interface = route.existing(name)?;
    let addresses = route.addresses(Some(interface.index))?;
    shown(&mut route, &interface, &addresses)
}

pub fn all() -> Result<String> {
    several(&mut Route::open()?, |_| true)
}

fn several(route: &mut Route, wanted: impl Fn(&Interface) -> bool) -> Result<String> {
    let addresses = route.addresses(None)?;
    let mut text = String::new();
    for kind in Kind::ALL {
        for interface in route.all(kind)? {
            if !wanted(&interface) {
                continue;
            }
            let of_it = |address: &&Address| address.interface == interface.index;
            let mine: Vec<_> = addresses.iter().filter(of_it).cloned().collect();
            text += &shown(route, &interface, &mine)?;
        }
    }
    Ok(text)
}

fn shown(route: &mut Route, interface: &Interface, addresses: &[Address]) -> Result<String> {
    let mut of_kind = Vec::new();
    if let Some(carp) = &interface.carp {
        let carpdev = route.carpdev(carp)?;
        of_kind = carp_lines(carp, carpdev.as_deref());
    }
    if let Some(pfsync) = &interface.pfsync {
        let syncdev = match pfsync.syncdev {
            Some(index) => Some(route.name(index)?),
            None => None,
        };
        of_kind = pfsync_lines(pfsync, syncdev.as_deref());
    }
    Ok(text(interface, of_kind, addresses))
}

const FLAGS: [(LinkFlags, &str); 9] = [
    (LinkFlags::Up, "UP"),
    (LinkFlags::Broadcast, "BROADCAST"),
    (LinkFlags::Running, "RUNNING"),
    (LinkFlags::Noarp, "NOARP"),
    (LinkFlags::Promisc, "PROMISC"),
    (LinkFlags::Allmulti, "ALLMULTI"),
    (LinkFlags::Multicast, "MULTICAST"),
    (LinkFlags::LowerUp, "LOWER_UP"),
    (LinkFlags::Dormant, "DORMANT"),
];

/// The pieces with something between them.
pub fn joined<T: ToString>(pieces: &[T], between: &str) -> String {
    pieces
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(between)
}

fn text(interface: &Interface, of_kind: Vec<String>, addresses: &[Address]) -> String {
    let mut lines = Vec::new();
    let flags: Vec<_> = FLAGS
        .iter()
        .filter(|(flag, _)| interface.flags.contains(*flag))
        .map(|(_, name)| *name)
        .collect();
    lines.push(format!(
        "{}: flags={:x}<{}> mtu {}",
        interface.name,
        interface.flags.bits(),
        flags.join(","),
        interface.mtu
    ));
    if !interface.lladdr.is_empty() {
        let octets: Vec<_> = interface
            .lladdr
            .iter()
            .map(|octet| format!("{octet:02x}"))
            .collect();
        lines.push(format!("\tlladdr {}", octets.join(":")));
    }
    if let Some(description) = &interface.description {
        lines.push(format!("\tdescription: {description}"));
    }
    lines.push(format!("\tindex {}", interface.index));
    lines.extend(of_kind);
    lines.extend(addresses.iter().map(address_line));
    lines.join("\n") + "\n"
}

/// Of several virtual hosts the one that has come farthest.
pub fn status(carp: &Carp) -> &str {
    for state in ["master", "backup"] {
        if carp.nodes.iter().any(|node| node.state == state) {
            return state;
        }
    }
    "init"
}

fn carp_lines(carp: &Carp, carpdev: Option<&str>) -> Vec<String> {
    let mut lines = host_lines(carp, carpdev);
    if carp.digest_differs.is_some() {
        lines.push(format!("\t\t{}", digest_differs(carp)));
    }
    if let Some(words) = carp.auth.words(carp.usual_window()) {
        lines.push(format!("\t\t{words}"));
    }
    if !carp.groups.is_empty() {
        lines.push(format!("\tgroups: {}", carp.groups.join(" ")));
    }
    lines.push(format!("\tstatus: {}", status(carp)));
    lines
}

/// The interface and its virtual hosts.
fn host_lines(carp: &Carp, carpdev: Option<&str>) -> Vec<String> {
    let carpdev = match carp.carpdev_netnsid {
        Some(id) => format!("{} carpdev-netnsid {id}", carpdev.unwrap_or("none")),
        None => carpdev.unwrap_or("none").to_owned(),
    };
    let mut rest = String::new();
    if let Some(mode) = carp.balancing.as_deref().filter(|mode| *mode != "none") {
        let _ = write!(rest, " balancing {mode}");
    }
    if !carp.peers.is_empty() {
        let _ = write!(rest, " carppeer {}", joined(&carp.peers, ","));
    }
    if let Some(demote) = carp.demote.filter(|demote| *demote > 0) {
        let _ = write!(rest, " demote {demote}");
    }
    let advbase = carp.advbase;
    match &carp.nodes[..] {
        [] => vec![format!(
            "\tcarp: INIT carpdev {carpdev} advbase {advbase}{rest}"
        )],
        [node] => vec![format!(
            "\tcarp: {} carpdev {carpdev} vhid {} advbase {advbase} advskew {}{rest}",
            node.state.to_uppercase(),
            node.vhid,
            node.advskew
        )],
        nodes => {
            let mut lines = vec![format!("\tcarp: carpdev {carpdev} advbase {advbase}{rest}")];
            lines.extend(nodes.iter().map(|node| {
                let state = node.state.to_uppercase();
                format!(
                    "\t\tstate {state} vhid {} advskew {}",
                    node.vhid, node.advskew
                )
            }));
            lines
        }
    }
}

/// Of pfsync(4): seconds, by default.
const BULKWAIT: u8 = 40;

/// As OpenBSD shows it; what only Linux has follows.
fn pfsync_lines(pfsync: &Pfsync, syncdev: Option<&str>) -> Vec<String> {
    let mut words = format!("\tpfsync: syncdev: {}", syncdev.unwrap_or("none"));
    if let Some(peer) = pfsync.syncpeer {
        let _ = write!(words, " syncpeer: {peer}");
    }
    let defer = if pfsync.defer { "on" } else { "off" };
    let _ = write!(words, " maxupd: {} defer: {defer}", pfsync.maxupd);
    if pfsync.local {
        words.push_str(" local: on");
    }
    if pfsync.established {
        words.push_str(" established: on");
    }
    if pfsync.bulkwait != BULKWAIT {
        let _ = write!(words, " bulkwait: {}", pfsync.bulkwait);
    }
    if let Some((mark, mask)) = pfsync.nosync_mark {
        let _ = write!(words, " nosync-mark: {mark:#x}/{mask:#x}");
    }
    if let Some(zone) = pfsync.nosync_zone {
        let _ = write!(words, " nosync-zone: {zone}");
    }
    if pfsync.table != "conntrack" {
        let _ = write!(words, " table: {}", pfsync.table);
    }
    let mut lines = vec![words];
    if let Some(words) = pfsync.auth.words(PFSYNC_WINDOW) {
        lines.push(format!("\t\t{words}"));
    }
    lines.push(format!(
        "\t\tbulk: {} demote: {} states: {} queued: {} unconfirmed: {}",
        pfsync.bulk, pfsync.demote, pfsync.states, pfsync.queued, pfsync.unconfirmed
    ));
    lines
}

/// The best known trouble with carp: what it may be, and what we have.
pub fn digest_differs(carp: &Carp) -> String {
    let ours = joined(&carp.addresses, ",");
    let count = carp.address_count.unwrap_or_default() as usize;
    let more = match count.saturating_sub(carp.addresses.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("digest differs: address list or passphrase; addresses {ours}{more}")
}

fn address_line(address: &Address) -> String {
    match address.address {
        IpAddr::V4(ipv4) => {
            let mask = u32::MAX
                .checked_shl(32 - u32::from(address.prefix_len))
                .unwrap_or(0);
            let broadcast = match address.broadcast {
                Some(broadcast) if broadcast != Ipv4Addr::UNSPECIFIED => {
                    format!(" broadcast {broadcast}")
                }
                _ => String::new(),
            };
            format!("\tinet {ipv4} netmask 0x{mask:08x}{broadcast}")
        }
        IpAddr::V6(ipv6) => {
            format!("\tinet6 {ipv6} prefixlen {}", address.prefix_len)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{auth::Auth, carp::Node};

    fn node(state: &str, vhid: u8, advskew: u8) -> Node {
        Node {
            vhid,
            advskew,
            state: state.to_owned(),
        }
    }

    fn address(text: &str, prefix_len: u8, broadcast: Option<&str>) -> Address {
        Address {
            address: text.parse().expect("is an address"),
            prefix_len,
            broadcast: broadcast.map(|text| text.parse().expect("is an address")),
            dest: None,
            interface: 7,
            proto: 0,
        }
    }

    #[test]
    fn as_ifconfig_shows_it() {
        let interface = Interface {
            index: 7,
            name: "carp0".into(),
            flags: LinkFlags::Up | LinkFlags::Broadcast | LinkFlags::Running | LinkFlags::Multicast,
            mtu: 1500,
            lladdr: vec![0, 0, 0x5e, 0, 1, 1],
            description: Some("OUTSIDE".into()),
            ..Interface::default()
        };
        let carp = Carp {
            carpdev: Some(2),
            advbase: 1,
            nodes: vec![node("master", 1, 100)],
            groups: vec!["carp".into(), "internal".into()],
            ..Carp::default()
        };
        let addresses = [
            address("10.0.0.1", 24, Some("10.0.0.255")),
            address("10.0.0.2", 32, None),
            address("2001:db8::1", 64, None),
        ];
        assert_eq!(
            text(&interface, carp_lines(&carp, Some("eth0")), &addresses),
            "carp0: flags=1043<UP,BROADCAST,RUNNING,MULTICAST> mtu 1500\n\
             \tlladdr 00:00:5e:00:01:01\n\
             \tdescription: OUTSIDE\n\
             \tindex 7\n\
             \tcarp: MASTER carpdev eth0 vhid 1 advbase 1 advskew 100\n\
             \tgroups: carp internal\n\
             \tstatus: master\n\
             \tinet 10.0.0.1 netmask 0xffffff00 broadcast 10.0.0.255\n\
             \tinet 10.0.0.2 netmask 0xffffffff\n\
             \tinet6 2001:db8::1 prefixlen 64\n"
        );
    }

    #[test]
    fn several_virtual_hosts() {
        let carp = Carp {
            carpdev: Some(5),
            carpdev_netnsid: Some(3),
            advbase: 1,
            nodes: vec![node("backup", 1, 0), node("master", 2, 100)],
            balancing: Some("ip".into()),
            peers: vec!["10.0.0.3".parse().expect("is an address")],
            demote: Some(2),
            digest_differs: Some(10),
            addresses: vec!["10.0.0.1".parse().expect("is an address")],
            address_count: Some(3),
            auth: Auth {
                mode: 2,
                keys: vec![1],
                active: 1,
                window: 5,
                ..Auth::default()
            },
            ..Carp::default()
        };
        assert_eq!(
            carp_lines(&carp, Some("if5")),
            [
                "\tcarp: carpdev if5 carpdev-netnsid 3 advbase 1 balancing ip carppeer 10.0.0.3 demote 2",
                "\t\tstate BACKUP vhid 1 advskew 0",
                "\t\tstate MASTER vhid 2 advskew 100",
                "\t\tdigest differs: address list or passphrase; addresses 10.0.0.1 and 2 more",
                "\t\tauth permissive authactive 1 authkeys 1",
                "\tstatus: master",
            ]
        );
    }

    #[test]
    fn pfsync_as_ifconfig_shows_it() {
        let usual = Pfsync {
            syncdev: Some(3),
            maxupd: 128,
            bulkwait: 40,
            table: "conntrack".into(),
            bulk: "done".into(),
            states: 5,
            ..Pfsync::default()
        };
        let progress = "\t\tbulk: done demote: 0 states: 5 queued: 0 unconfirmed: 0";
        assert_eq!(
            pfsync_lines(&usual, Some("eth2")),
            ["\tpfsync: syncdev: eth2 maxupd: 128 defer: off", progress]
        );
        let other = Pfsync {
            syncpeer: Some("172.16.1.2".parse().expect("is an address")),
            defer: true,
            local: true,
            established: true,
            bulkwait: 90,
            nosync_mark: Some((16, 240)),
            nosync_zone: Some(7),
            table: "memory".into(),
            auth: Auth {
                mode: 3,
                keys: vec![2],
                active: 2,
                window: 7,
                monotonic: true,
            },
            ..usual
        };
        let words = "\tpfsync: syncdev: none syncpeer: 172.16.1.2 maxupd: 128 defer: on \
                     local: on established: on bulkwait: 90 nosync-mark: 0x10/0xf0 \
                     nosync-zone: 7 table: memory";
        let auth = "\t\tauth enforce authactive 2 authkeys 2 authwindow 7 authmonotonic";
        assert_eq!(pfsync_lines(&other, None), [words, auth, progress]);
    }

    #[test]
    fn nothing_configured() {
        let carp = Carp {
            advbase: 1,
            balancing: Some("none".into()),
            ..Carp::default()
        };
        assert_eq!(
            carp_lines(&carp, None),
            ["\tcarp: INIT carpdev none advbase 1", "\tstatus: init"]
        );
        assert_eq!(
            address_line(&address("10.0.0.1", 0, None)),
            "\tinet 10.0.0.1 netmask 0x00000000"
        );
    }
}
