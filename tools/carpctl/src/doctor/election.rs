// SPDX-License-Identifier: GPL-2.0

//! What is wrong between the hosts of a group: two masters, none that would take over, an
//! interface that does not run.

use super::{
    filter,
    frame::Mac,
    rules,
    wire::{Frames, Probe},
    Finding, Look, Snapshot,
};
use crate::{
    carp::{Carp, Node},
    carp_peers::CarpPeer,
    family::Group,
    interface::Interface,
};
use std::{
    net::{IpAddr, Ipv4Addr},
    path::Path,
};

/// Of more addresses than this nobody is asked.
const PROBES_MAX: usize = 128;

/// A peer that has been silent for longer is no longer expected.
const EXPECTED_MS: u64 = 24 * 60 * 60 * 1000;

/// A digest that differed longer ago is told no more, as in the kernel.
const LATELY_MS: u64 = 300_000;

/// What is to be asked over ARP: who else has the shared address of a master, and whether
/// peers are there.
pub fn probes(now: &Snapshot) -> Vec<Probe> {
    let mut probes = Vec::new();
    for (interface, carp, parent) in asking(now) {
        let shared = carp.addresses.first().copied();
        let peers = peers_of(now, interface).map(|peer| peer.address);
        let all = shared.into_iter().chain(peers);
        probes.extend(all.filter_map(|it| probe(parent, it)));
    }
    probes.dedup();
    probes.truncate(PROBES_MAX);
    probes.extend(virtual_probes(now));
    probes
}

/// Those who are known to be on a parent's link are asked by its own MAC address and by the
/// virtual one of one interface.
fn virtual_probes(now: &Snapshot) -> Vec<Probe> {
    let mut probes: Vec<Probe> = Vec::new();
    for (interface, carp, parent) in asking(now) {
        let is_asked = probes.iter().any(|it| it.interface == parent.index);
        let Some(lladdr) = filter::virtual_mac(interface).filter(|_| !is_asked) else {
            continue;
        };
        let peers = peers_of(now, interface).map(|peer| peer.address);
        let neighbours = filter::neighbours(&parent.name, carp, Path::new("/proc/net/arp"));
        for own in peers.chain(neighbours).filter_map(|it| probe(parent, it)) {
            let lladdr = Some(lladdr);
            probes.extend([own, Probe { lladdr, ..own }]);
        }
    }
    probes.truncate(PROBES_MAX);
    probes
}

/// The masters that may ask on their parents' links.
fn asking(now: &Snapshot) -> impl Iterator<Item = (&Interface, &Carp, &Interface)> {
    let masters = now
        .carps()
        .filter(|(_, carp)| is_master(carp) && carp.peers.is_empty());
    masters.filter_map(|(interface, carp)| Some((interface, carp, now.carpdev(carp)?)))
}

fn probe(parent: &Interface, address: IpAddr) -> Option<Probe> {
    match address {
        IpAddr::V4(address) => Some(Probe {
            interface: parent.index,
            address,
            lladdr: None,
        }),
        IpAddr::V6(_) => None,
    }
}

fn peers_of<'a>(now: &'a Snapshot, interface: &'a Interface) -> impl Iterator<Item = &'a CarpPeer> {
    let peers = now.carp_peers.iter();
    peers.filter(|peer| peer.ifname == interface.name)
}

/// Whether it is master of its only virtual host. Those that share traffic have several.
fn is_master(carp: &Carp) -> bool {
    matches!(&carp.nodes[..], [node] if node.state == "master")
}

fn is_master_of(carp: &Carp, vhid: u8) -> bool {
    let mut nodes = carp.nodes.iter();
    nodes.any(|node| node.vhid == vhid && node.state == "master")
}

pub fn look(look: &Look) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (interface, carp) in look.after.carps() {
        let about = About {
            look,
            interface,
            carp,
        };
        about.does_not_run(&mut findings);
        let before = findings.len();
        for node in &carp.nodes {
            about.digests(node, &mut findings);
            about.hears_a_master(node, &mut findings);
            if let Some(frames) = &look.frames {
                about.is_dropped(node, frames, &mut findings);
            }
        }
        if let (Some(frames), true) = (&look.frames, findings.len() == before) {
            about.answers(frames, &mut findings);
        }
        if let Some(frames) = &look.frames {
            about.is_filtered(frames, &mut findings);
        }
    }
    findings.extend(look.after.groups.iter().filter_map(demoted));
    findings
}

fn demoted(group: &Group) -> Option<Finding> {
    let causes = group.causes.iter().map(|cause| {
        let reason = cause.reason.as_ref().map(|it| format!(" ({it})"));
        format!(
            "{} {}{}",
            cause.cause,
            cause.amount,
            reason.unwrap_or_default()
        )
    });
    let causes: Vec<_> = causes.collect();
    (!causes.is_empty()).then(|| {
        Finding::new(
            "demoted",
            format!("group {}", group.group),
            format!("it is demoted by {}: {}", group.demote, causes.join(", ")),
            "Mend that, or take it back with carpctl undemote",
        )
    })
}

/// An interface that is looked at.
struct About<'a> {
    look: &'a Look,
    interface: &'a Interface,
    carp: &'a Carp,
}

impl About<'_> {
    fn find(&self, check: &'static str, what: String, advice: impl Into<String>) -> Finding {
        Finding::new(check, &self.interface.name, what, advice)
    }

    fn parent(&self) -> Option<&Interface> {
        self.look.after.carpdev(self.carp)
    }

    /// An interface that is set up, and in INIT.
    fn does_not_run(&self, findings: &mut Vec<Finding>) {
        let carp = self.carp;
        let runs = carp.nodes.iter().any(|node| node.state != "init");
        if !self.interface.is_up() || runs {
            return;
        }
        let (what, advice) = match (&carp.carpdev_gone, carp.carpdev, self.parent()) {
            (Some(gone), _, _) => (
                format!("its parent {gone} is gone"),
                "It is taken again as soon as it is there".to_owned(),
            ),
            (None, None, _) => (
                "it has no parent".to_owned(),
                format!("Say which: carpctl {} carpdev eth0", self.interface.name),
            ),
            _ if carp.nodes.is_empty() => (
                "it has no vhid".to_owned(),
                format!("Say which: carpctl {} vhid 1", self.interface.name),
            ),
            (_, _, Some(parent)) if !parent.is_up() => (
                format!("its parent {} is down", parent.name),
                format!("ip link set {} up", parent.name),
            ),
            _ if carp.addresses.is_empty() => (
                "it has no address to share".to_owned(),
                "Set one, the same on all hosts".to_owned(),
            ),
            (_, _, Some(parent)) => (
                format!("its parent {} has no link", parent.name),
                "Look at the cable and the switch".to_owned(),
            ),
            (_, _, None) => (
                "it does not run, and its parent is in another network namespace".to_owned(),
                "Look there whether it is up and has link".to_owned(),
            ),
        };
        findings.push(self.find("does-not-run", what, advice));
    }

    fn peers(&self, node: &Node) -> impl Iterator<Item = &CarpPeer> + use<'_> {
        let vhid = node.vhid;
        peers_of(&self.look.after, self.interface).filter(move |peer| peer.vhid == vhid)
    }

    fn digests(&self, node: &Node, findings: &mut Vec<Finding>) {
        let wrong = |peer: &&CarpPeer| peer.digest == "differs" && peer.heard_ms < LATELY_MS;
        for peer in self.peers(node).filter(wrong) {
            let addresses: Vec<_> = self.carp.addresses.iter().map(IpAddr::to_string).collect();
            findings.push(self.find(
                "digest-differs",
                format!(
                    "{} advertises vhid {} with another digest: its passphrase is another one, \
                     or its addresses are not {}",
                    peer.address,
                    node.vhid,
                    addresses.join(", ")
                ),
                "Compare passphrase, vhid and addresses on both hosts; both are master until then",
            ));
        }
    }

    /// Whether this host was master of it all the time.
    fn stays_master(&self, vhid: u8) -> bool {
        let before = self.look.before.interfaces.get(&self.interface.index);
        let before = before.and_then(|it| it.carp.as_ref());
        is_master_of(self.carp, vhid) && before.is_some_and(|it| is_master_of(it, vhid))
    }

    /// A master that hears another one, which does not give way.
    fn hears_a_master(&self, node: &Node, findings: &mut Vec<Finding>) {
        if !self.stays_master(node.vhid) {
            return;
        }
        let lately = |peer: &&CarpPeer| u128::from(peer.heard_ms) < self.look.window.as_millis();
        for peer in self
            .peers(node)
            .filter(lately)
            .filter(|it| it.digest == "good")
        {
            findings.push(self.find(
                "two-masters",
                format!(
                    "{} is master of vhid {}, too: this host hears it, and it does not hear \
                     this host",
                    peer.address, node.vhid
                ),
                format!(
                    "Look on {} for rules that drop IP protocol 112, and on the switch for IGMP \
                     snooping",
                    peer.address
                ),
            ));
        }
    }

    /// Advertisements that come in on the parent, of which none comes to carp.
    fn is_dropped(&self, node: &Node, frames: &Frames, findings: &mut Vec<Finding>) {
        let Some(parent) = self.parent() else {
            return;
        };
        for (is_ipv4, counter) in [(true, "rx_ipv4"), (false, "rx_ipv6")] {
            let source = frames.advertiser(parent.index, node.vhid, is_ipv4);
            let source = source.filter(|_| self.look.growth(self.interface.index, counter) == 0);
            if let Some(source) = source {
                findings.push(self.find(
                    "dropped",
                    format!(
                        "advertisements of {source} for vhid {} come in on {}, and are dropped \
                         before carp(4) sees them",
                        node.vhid, parent.name
                    ),
                    format!("Let IP protocol 112 in: {}", rules::ACCEPT),
                ));
            }
        }
    }

    /// Who answers for the shared address, and whether peers answer.
    fn answers(&self, frames: &Frames, findings: &mut Vec<Finding>) {
        let (Some(parent), [node]) = (self.parent(), &self.carp.nodes[..]) else {
            return;
        };
        if !self.stays_master(node.vhid) || !self.carp.peers.is_empty() {
            return;
        }
        let owner = |address: IpAddr| {
            let probe = probe(parent, address)?;
            Some((probe.address, frames.owner(probe)?))
        };
        let shared = self.carp.addresses.first().copied();
        if let Some((address, lladdr)) = shared.and_then(owner) {
            let reaches = self.hears_for_virtual_mac(frames).map(|(heard, _)| heard);
            findings.push(self.is_taken(node, address, &lladdr, reaches == Some(true)));
        }
        for peer in self.peers(node).filter(|it| it.heard_ms < EXPECTED_MS) {
            if peer.digest != "good" || peer.address.is_ipv6() || owner(peer.address).is_some() {
                continue;
            }
            let mut advice =
                "Nobody may be there to take over from this host; see after it".to_owned();
            advice.extend(filter::locked_port(&self.look.after, parent));
            findings.push(self.find(
                "peer-silent",
                format!(
                    "{}, which advertised vhid {} {} s ago, does not answer: it is down, or the \
                     network between",
                    peer.address,
                    node.vhid,
                    peer.heard_ms / 1000
                ),
                advice,
            ));
        }
    }

    /// Whether what the parent's neighbours say to the virtual MAC comes in; nothing: nobody
    /// says anything, or this host is not master.
    fn hears_for_virtual_mac(&self, frames: &Frames) -> Option<(bool, Ipv4Addr)> {
        let (parent, [node]) = (self.parent()?, &self.carp.nodes[..]) else {
            return None;
        };
        let own: Mac = parent.lladdr.as_slice().try_into().ok()?;
        let lladdr = filter::virtual_mac(self.interface).filter(|_| self.stays_master(node.vhid));
        let probes = self.look.probes.iter().copied();
        let asked = probes.filter(|it| it.interface == parent.index && it.lladdr == lladdr);
        let asked: Vec<_> = asked.filter(|it| it.lladdr.is_some()).collect();
        let comes = |it: &Probe| frames.answered(*it, lladdr) || frames.answered(*it, None);
        if let Some(probe) = asked.iter().find(|it| comes(it)) {
            return Some((true, probe.address));
        }
        let witness = asked.iter().find(|it| frames.answered(**it, Some(own)))?;
        Some((false, witness.address))
    }

    /// Frames for the virtual MAC do not come in, or those from it do not get out.
    fn is_filtered(&self, frames: &Frames, findings: &mut Vec<Finding>) {
        let heard = self.hears_for_virtual_mac(frames);
        if let (Some(parent), Some((false, witness))) = (self.parent(), heard) {
            findings.push(Finding::new(
                "parent-filters",
                &parent.name,
                format!(
                    "{witness} answers ARP for its own MAC address, and nobody does for the \
                     virtual MAC of {}: frames for that, or from it, are dropped on the way",
                    self.interface.name
                ),
                filter::advice(&self.look.after, parent, Path::new("/sys/class/net")),
            ));
        }
    }

    /// With `reaches`, frames for the virtual MAC come in.
    fn is_taken(&self, node: &Node, address: Ipv4Addr, lladdr: &[u8], reaches: bool) -> Finding {
        if lladdr == self.interface.lladdr {
            return self.find(
                "two-masters",
                format!(
                    "another host answers for {address} with the virtual MAC: it is master of \
                     vhid {}, too, and its advertisements do not come here",
                    node.vhid
                ),
                match reaches {
                    true => {
                        "Look for what drops multicast or IP protocol 112 between the two: IGMP \
                         snooping or a firewall; frames for the virtual MAC do come in"
                    }
                    false => {
                        "Look for what drops multicast or IP protocol 112 between the two: IGMP \
                         snooping, a firewall, a hypervisor that allows no promiscuous mode"
                    }
                },
            );
        }
        let bytes: Vec<_> = lladdr.iter().map(|byte| format!("{byte:02x}")).collect();
        self.find(
            "address-taken",
            format!(
                "{} has {address}, too, and does not share it",
                bytes.join(":")
            ),
            "Take it away there, or let it share: it must be on a carp interface on all hosts",
        )
    }
}
