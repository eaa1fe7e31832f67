// SPDX-License-Identifier: GPL-2.0

//! An interface as ifconfig(8) shows it.

use crate::{
    carp::Carp,
    error::Result,
    interface::{Address, Interface, Route},
};
use netlink_packet_route::link::LinkFlags;
use std::{
    fmt::Write,
    net::{IpAddr, Ipv4Addr},
};

/// An interface, or those of a group, as ifconfig(8) takes either.
pub fn one(name: &str) -> Result<String> {
    let mut route = Route::open()?;
    if route.by_name(name)?.is_none() {
        let in_group = |carp: &Carp| carp.groups.iter().any(|group| group == name);
        let members = several(&mut route, in_group)?;
        if !members.is_empty() {
            return Ok(members);
        }
    }
    let (interface, carp) = route.carp_by_name(name)?;
    let addresses = route.addresses(Some(interface.index))?;
    let carpdev = route.carpdev(&carp)?;
    Ok(text(&interface, &carp, carpdev.as_deref(), &addresses))
}

pub fn all() -> Result<String> {
    several(&mut Route::open()?, |_| true)
}

fn several(route: &mut Route, wanted: impl Fn(&Carp) -> bool) -> Result<String> {
    let addresses = route.addresses(None)?;
    let mut shown = String::new();
    for interface in route.all()? {
        let Some(carp) = interface.carp.as_ref().filter(|carp| wanted(carp)) else {
            continue;
        };
        let carpdev = route.carpdev(carp)?;
        let of_it = |address: &&Address| address.interface == interface.index;
        let mine: Vec<_> = addresses.iter().filter(of_it).cloned().collect();
        shown += &text(&interface, carp, carpdev.as_deref(), &mine);
    }
    Ok(shown)
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

fn text(
    interface: &Interface,
    carp: &Carp,
    carpdev: Option<&str>,
    addresses: &[Address],
) -> String {
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
    lines.push(format!("\tindex {}", interface.index));
    lines.extend(carp_lines(carp, carpdev));
    if !carp.groups.is_empty() {
        lines.push(format!("\tgroups: {}", carp.groups.join(" ")));
    }
    lines.push(format!("\tstatus: {}", status(carp)));
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
    let mut lines = match &carp.nodes[..] {
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
    };
    if carp.digest_differs.is_some() {
        lines.push(format!("\t\t{}", digest_differs(carp)));
    }
    lines
}

/// The best known trouble with carp: what it may be, and what we have.
pub fn digest_differs(carp: &Carp) -> String {
    let ours = joined(&carp.addresses, ",");
    format!("digest differs: address list or passphrase; addresses {ours}")
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
    use crate::carp::Node;

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
            interface: 7,
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
            carp: None,
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
            text(&interface, &carp, Some("eth0"), &addresses),
            "carp0: flags=1043<UP,BROADCAST,RUNNING,MULTICAST> mtu 1500\n\
             \tlladdr 00:00:5e:00:01:01\n\
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
            ..Carp::default()
        };
        assert_eq!(
            carp_lines(&carp, Some("if5")),
            [
                "\tcarp: carpdev if5 carpdev-netnsid 3 advbase 1 balancing ip carppeer 10.0.0.3 demote 2",
                "\t\tstate BACKUP vhid 1 advskew 0",
                "\t\tstate MASTER vhid 2 advskew 100",
                "\t\tdigest differs: address list or passphrase; addresses 10.0.0.1",
            ]
        );
        assert_eq!(status(&carp), "master");
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
            ["\tcarp: INIT carpdev none advbase 1"]
        );
        assert_eq!(status(&carp), "init");
        assert_eq!(
            address_line(&address("10.0.0.1", 0, None)),
            "\tinet 10.0.0.1 netmask 0x00000000"
        );
    }
}
