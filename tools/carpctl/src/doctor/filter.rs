// SPDX-License-Identifier: GPL-2.0

//! Parents that keep frames for the virtual MAC from carp, or those from it from the network:
//! what is known of them, and what is to be done where it seems so.

use super::{frame::Mac, Finding, Snapshot};
use crate::{carp::Carp, interface::Interface};
use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    path::Path,
};

/// So many of a parent's neighbours are asked at most.
const NEIGHBOURS_MAX: usize = 4;

/// Of linux/if_link.h.
const MACVLAN_MODE_PASSTHRU: u32 = 8;

/// Of linux/if_arp.h: the address is known.
const ATF_COM: u32 = 2;

/// The MAC address of which a master is to hear, unless all hosts of a group hear of it.
pub fn virtual_mac(interface: &Interface) -> Option<Mac> {
    let lladdr: Mac = interface.lladdr.as_slice().try_into().ok()?;
    (lladdr[0] & 1 == 0).then_some(lladdr)
}

/// Who is known to be on the parent's link, other than the shared addresses.
pub fn neighbours(parent: &str, carp: &Carp, table: &Path) -> Vec<IpAddr> {
    let table = fs::read_to_string(table).unwrap_or_default();
    let neighbour = |line: &str| {
        // IP address, HW type, Flags, HW address, Mask, Device
        let words: Vec<_> = line.split_whitespace().collect();
        let [address, _, flags, _, _, device] = words[..] else {
            return None;
        };
        let flags = u32::from_str_radix(flags.strip_prefix("0x")?, 16).ok()?;
        let address = IpAddr::V4(address.parse::<Ipv4Addr>().ok()?);
        let is_known = device == parent && flags & ATF_COM != 0;
        (is_known && !carp.addresses.contains(&address)).then_some(address)
    };
    table
        .lines()
        .filter_map(neighbour)
        .take(NEIGHBOURS_MAX)
        .collect()
}

/// The interface, and all on which it stands in this network namespace.
fn stack<'a>(now: &'a Snapshot, interface: &'a Interface) -> Vec<&'a Interface> {
    let mut found = vec![interface];
    let mut next = 0;
    while let Some(above) = found.get(next).copied() {
        next += 1;
        let lower = above.parent.filter(|_| !above.is_parent_elsewhere);
        let lower = lower.and_then(|index| now.interfaces.get(&index));
        let all = now.interfaces.values();
        let ports = all.filter(|it| it.master == Some(above.index));
        for below in lower.into_iter().chain(ports) {
            if !found.iter().any(|it| it.index == below.index) {
                found.push(below);
            }
        }
    }
    found
}

/// A parent that stands on a macvlan with one MAC address. carp(4) refuses such a parent
/// itself, but does not look below it.
pub fn of_own_address(now: &Snapshot, parent: &Interface) -> Option<Finding> {
    let stack = stack(now, parent);
    let is_picky = |it: &&&Interface| {
        let is_macvlan = it.link_kind.as_deref() == Some("macvlan");
        is_macvlan && it.macvlan_mode != Some(MACVLAN_MODE_PASSTHRU)
    };
    let name = &stack.iter().find(is_picky)?.name;
    Some(Finding::new(
        "parent-filters",
        &parent.name,
        format!(
            "it stands on {name}, a macvlan that is not in passthru mode, which never sees the \
             virtual MAC"
        ),
        format!("Have it stand on one in passthru mode, or on what {name} stands on"),
    ))
}

/// Of a bridge, below the parent or itself the parent: what a port drops.
pub fn locked_port(now: &Snapshot, parent: &Interface) -> Option<String> {
    let stack = stack(now, parent);
    let port = stack.iter().find(|it| it.is_locked)?;
    let name = &port.name;
    Some(format!(
        "; {name} is a locked port of a bridge, which drops frames from MAC addresses that the \
         bridge does not know, such as a virtual one: bridge link set dev {name} locked off"
    ))
}

/// What to do where frames for the virtual MAC, or from it, do not get through.
pub fn advice(now: &Snapshot, parent: &Interface, sys: &Path) -> String {
    if let Some(advice) = locked_port(now, parent) {
        return format!("Let it pass{advice}");
    }
    let stack = stack(now, parent);
    let mut known = stack.iter().filter_map(|it| of_card(&it.name, sys));
    known.next().unwrap_or_else(|| {
        "Look at the switch for port security and MAC filters, and let the hypervisor pass frames \
         of any MAC address"
            .to_owned()
    })
}

/// By the network card, which shows whose hypervisor there is.
fn of_card(name: &str, sys: &Path) -> Option<String> {
    let device = sys.join(name).join("device");
    let physical = device.join("physfn");
    if physical.exists() {
        return Some(of_virtual_function(name, &device, &physical));
    }
    let driver = fs::canonicalize(device.join("driver")).ok()?;
    let advice = match driver.file_name()?.to_str()? {
        "hv_netvsc" => {
            "{} is a card of Hyper-V: Set-VMNetworkAdapter -MacAddressSpoofing On for this virtual \
             machine; Azure does not have that"
        }
        "vmxnet3" => {
            "{} is a card of VMware: accept promiscuous mode, or MAC learning, and forged \
             transmits and MAC address changes in its port group"
        }
        "virtio_net" => {
            "{} is a card of QEMU or a cloud: its host may filter MAC addresses (in libvirt \
             filterref clean-traffic, or macvtap without trustGuestRxFilters; in Proxmox the MAC \
             filter of the firewall; in OpenStack port security)"
        }
        "xen_netfront" | "vif" => {
            "{} is a card of Xen: unlock its VIF on the host, and let the switch there pass any \
             MAC address"
        }
        "ena" | "gve" => {
            "{} is a card of a cloud that delivers frames for its own MAC address alone: carp \
             cannot share addresses there"
        }
        _ => return None,
    };
    Some(advice.replace("{}", name))
}

/// Of SR-IOV.
fn of_virtual_function(name: &str, device: &Path, physical: &Path) -> String {
    let first = |folder: &Path| {
        let entry = fs::read_dir(folder).ok()?.flatten().next()?;
        entry.file_name().into_string().ok()
    };
    let own = fs::canonicalize(device).ok();
    let entries = fs::read_dir(physical).ok().into_iter().flatten().flatten();
    let number = entries.into_iter().find_map(|entry| {
        let file = entry.file_name().into_string().ok()?;
        let number = file.strip_prefix("virtfn")?;
        let is_own = fs::canonicalize(entry.path()).ok() == own;
        is_own.then(|| number.to_owned())
    });
    let card = first(&physical.join("net")).unwrap_or_else(|| "PF".to_owned());
    let number = number.unwrap_or_else(|| "N".to_owned());
    format!(
        "{name} is a virtual function of SR-IOV: ip link set {card} vf {number} spoofchk off \
         trust on"
    )
}

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;
