// SPDX-License-Identifier: GPL-2.0

//! What is left to do: what a file wants, without what is so already; and what is there
//! and the file no longer has.

use crate::{
    address::{Action, AddressChange, Broadcast},
    addresses::is_so,
    auth::{self, Auth},
    carp::Carp,
    change::Change,
    contract::{link::*, pfsync::*, BALANCINGS, IFAPROT_NETSTART},
    interface::{Address, Interface},
    kind::Kind,
    pfsync::Pfsync,
    setting::Setting,
    wanted::{has_key, Wanted},
};
use std::net::IpAddr;

/// What is there of authentication, and the window that is its default.
pub fn auth_of(interface: &Interface) -> Option<(Kind, &Auth, u32)> {
    let carp = interface.carp.as_ref();
    let carp = carp.map(|it| (Kind::Carp, &it.auth, it.usual_window()));
    let pfsync = interface.pfsync.as_ref();
    carp.or_else(|| pfsync.map(|it| (Kind::Pfsync, &it.auth, auth::PFSYNC_WINDOW)))
}

/// What is there.
pub struct Present<'a> {
    pub interface: &'a Interface,
    pub addresses: &'a [Address],
    /// The name of its carpdev or syncdev.
    pub device: Option<&'a str>,
}

/// The group in which every carp interface begins.
pub const GROUP_CARP: &str = "carp";

/// Of carp.4 and pfsync.4: words with their values by default.
const CARP_DEFAULTS: [(u16, u8, &str); 6] = [
    (IFLA_CARP_ADVBASE, 1, "advbase 1"),
    (IFLA_CARP_ADVSKEW, 0, "advskew 0"),
    (IFLA_CARP_MINTTL, 255, "minttl 255"),
    (IFLA_CARP_ANNOUNCE, 0, "announce 0"),
    (IFLA_CARP_LINKLOCAL, 0, "-linklocal"),
    (IFLA_CARP_DEMOTESKEW, 1, "demoteskew"),
];
const PFSYNC_DEFAULTS: [(u16, u8, &str); 5] = [
    (IFLA_PFSYNC_MAXUPD, 128, "maxupd 128"),
    (IFLA_PFSYNC_DEFER, 0, "-defer"),
    (IFLA_PFSYNC_BULKWAIT, 40, "bulkwait 40"),
    (IFLA_PFSYNC_LOCAL, 0, "-local"),
    (IFLA_PFSYNC_ESTABLISHED, 0, "-established"),
];

/// What takes away that which the file no longer has, and puts words back to their default.
pub fn leftovers(wanted: &Wanted, present: &Present<'_>) -> Change {
    let whole = &wanted.whole;
    let mut change = Change {
        kind: whole.kind,
        ..Change::default()
    };
    if let Some(carp) = &present.interface.carp {
        carp_leftovers(whole, carp, &mut change);
    }
    if let Some((kind, auth, _)) = auth_of(present.interface) {
        change.settings.extend(auth::defaults(kind));
        let lost = auth.keys.iter().copied();
        change.lost_keys = lost.filter(|id| !has_key(&whole.auth_keys, *id)).collect();
    }
    if present.interface.pfsync.is_some() {
        defaults(&PFSYNC_DEFAULTS, &mut change);
        change.settings.push(Setting::Syncpeer(None));
        change.device = Some(None);
    }
    change
        .settings
        .retain(|setting| !whole.settings.iter().any(|it| it.is_same_word(setting)));
    if whole.device.is_some() {
        change.device = None;
    }
    if whole.description.is_none() {
        change.description = Some(String::new());
    }
    let listed = |address: &Address| {
        let mut listed = whole.addresses.iter();
        listed.any(|it| it.address == address.address && it.action != Action::Remove)
    };
    // what others set is theirs: a user, DHCP, a network manager
    let gone = present
        .addresses
        .iter()
        .filter(|address| address.proto == IFAPROT_NETSTART && !listed(address));
    change.addresses = gone
        .map(|address| AddressChange {
            action: Action::Remove,
            address: address.address,
            prefix_len: Some(address.prefix_len),
            broadcast: Broadcast::OfSubnet,
            dest: None,
        })
        .collect();
    change
}

fn defaults(values: &[(u16, u8, &str)], change: &mut Change) {
    change.settings.extend(
        values
            .iter()
            .map(|(attribute, value, words)| Setting::Byte {
                attribute: *attribute,
                value: *value,
                words: (*words).to_owned(),
            }),
    );
}

fn carp_leftovers(whole: &Change, carp: &Carp, change: &mut Change) {
    defaults(&CARP_DEFAULTS, change);
    let has_nodes = whole
        .settings
        .iter()
        .any(|setting| matches!(setting, Setting::Nodes(_)));
    if has_nodes {
        // they have their own, and a mode of balancing by themselves
        change.settings.retain(|setting| {
            !matches!(setting, Setting::Byte { attribute, .. } if *attribute == IFLA_CARP_ADVSKEW)
        });
    } else {
        defaults(&[(IFLA_CARP_BALANCING, 0, "balancing none")], change);
    }
    match (whole.peer_ipv4.is_some(), whole.peer_ipv6.is_some()) {
        (false, false) => change.settings.push(Setting::Peers(Vec::new())),
        (true, false) => change.peer_ipv6 = Some(None),
        (false, true) => change.peer_ipv4 = Some(None),
        (true, true) => {}
    }
    let stays = |group: &str| group == GROUP_CARP || whole.join.iter().any(|name| name == group);
    change.leave = carp
        .groups
        .iter()
        .filter(|group| !stays(group))
        .cloned()
        .collect();
    if !whole.leave.iter().any(|name| name == GROUP_CARP) {
        change.join = vec![GROUP_CARP.to_owned()];
    }
}

/// `change` without what is so already.
pub fn remaining(change: &Change, present: &Present<'_>) -> Change {
    let interface = present.interface;
    let mut left = change.clone();
    left.settings.retain(|setting| !is_set(setting, interface));
    if let Some((_, auth, _)) = auth_of(interface) {
        left.lost_keys.retain(|id| auth.keys.contains(id));
    }
    if left.device.as_ref().map(Option::as_deref) == Some(present.device) {
        left.device = None;
    }
    if let Some(carp) = &interface.carp {
        left.join.retain(|group| !carp.groups.contains(group));
        left.leave.retain(|group| carp.groups.contains(group));
        let of = |wanted: Option<IpAddr>, is_ipv4: bool| {
            let mut peers = carp.peers.iter().filter(|peer| peer.is_ipv4() == is_ipv4);
            (peers.next().copied(), peers.next()) == (wanted, None)
        };
        left.peer_ipv4 = left
            .peer_ipv4
            .filter(|peer| !of(peer.map(IpAddr::V4), true));
        left.peer_ipv6 = left
            .peer_ipv6
            .filter(|peer| !of(peer.map(IpAddr::V6), false));
    }
    // as ifconfig(8): an address brings the interface up
    left.up = change
        .up
        .or(change.has_addresses().then_some(true))
        .filter(|up| *up != interface.is_up());
    // what runs has its state from the election
    left.state = left.state.filter(|_| left.up == Some(true));
    let has_lladdr = |lladdr: &[u8; 6]| {
        lladdr[..] == interface.lladdr[..] || left.is_lladdr_random && interface.has_random_lladdr()
    };
    left.lladdr = left.lladdr.filter(|lladdr| !has_lladdr(lladdr));
    left.is_lladdr_random &= left.lladdr.is_some();
    left.mtu = left.mtu.filter(|mtu| *mtu != interface.mtu);
    left.description = left
        .description
        .filter(|text| text.as_str() != interface.description.as_deref().unwrap_or_default());
    left.addresses.retain(|wanted| {
        let is_there = |address: &Address| match wanted.action {
            Action::Remove => address.address == wanted.address,
            _ => is_so(wanted, address),
        };
        present.addresses.iter().any(is_there) == (wanted.action == Action::Remove)
    });
    left
}

/// Whether an interface has a setting. The kernel shows no passphrase and no key.
fn is_set(setting: &Setting, interface: &Interface) -> bool {
    let of_auth = auth_of(interface).and_then(|(kind, auth, usual)| auth.has(setting, kind, usual));
    if let Some(is_set) = of_auth {
        return is_set;
    }
    let of_carp = |carp: &Carp| carp_has(setting, carp);
    let of_pfsync = |pfsync: &Pfsync| pfsync_has(setting, pfsync);
    interface.carp.as_ref().is_some_and(of_carp) || interface.pfsync.as_ref().is_some_and(of_pfsync)
}

fn carp_has(setting: &Setting, carp: &Carp) -> bool {
    let single = match &carp.nodes[..] {
        [node] => Some(node),
        _ => None,
    };
    match setting {
        Setting::Byte {
            attribute, value, ..
        } => match *attribute {
            IFLA_CARP_VHID => single.map(|node| node.vhid) == Some(*value),
            // without a vhid there is none to be seen
            IFLA_CARP_ADVSKEW => single.map_or(0, |node| node.advskew) == *value,
            IFLA_CARP_ADVBASE => carp.advbase == *value,
            IFLA_CARP_MINTTL => carp.minttl == Some(*value),
            IFLA_CARP_ANNOUNCE => carp.announce == Some(*value),
            IFLA_CARP_LINKLOCAL => carp.linklocal == Some(*value),
            IFLA_CARP_DEMOTESKEW => carp.demoteskew == Some(*value),
            IFLA_CARP_BALANCING => {
                carp.balancing.as_deref() == BALANCINGS.get(usize::from(*value)).copied()
            }
            _ => false,
        },
        Setting::Nodes(nodes) => {
            let there = carp.nodes.iter().map(|node| (node.vhid, node.advskew));
            let (mut there, mut nodes) = (there.collect::<Vec<_>>(), nodes.clone());
            there.sort_unstable();
            nodes.sort_unstable();
            there == nodes
        }
        Setting::Peers(peers) => {
            peers.iter().all(|peer| carp.peers.contains(peer))
                && carp.peers.iter().all(|peer| peers.contains(peer))
        }
        Setting::Pass(_) | Setting::Syncpeer(_) | Setting::Number { .. } => false,
    }
}

fn pfsync_has(setting: &Setting, pfsync: &Pfsync) -> bool {
    match setting {
        Setting::Byte {
            attribute, value, ..
        } => match *attribute {
            IFLA_PFSYNC_MAXUPD => pfsync.maxupd == *value,
            IFLA_PFSYNC_DEFER => u8::from(pfsync.defer) == *value,
            IFLA_PFSYNC_BULKWAIT => pfsync.bulkwait == *value,
            IFLA_PFSYNC_LOCAL => u8::from(pfsync.local) == *value,
            IFLA_PFSYNC_ESTABLISHED => u8::from(pfsync.established) == *value,
            _ => false,
        },
        Setting::Syncpeer(peer) => pfsync.syncpeer == *peer,
        _ => false,
    }
}

#[cfg(test)]
#[path = "difference_tests.rs"]
mod tests;
