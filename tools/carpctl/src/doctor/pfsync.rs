// SPDX-License-Identifier: GPL-2.0

//! What is wrong with the synchronisation of states.

use super::{rules, wire::Frames, Finding, Look};
use crate::{interface::Interface, peers::Peer, pfsync::Pfsync};
use std::fs;

/// Who has something to say says so within a second.
const SILENT_MS: u64 = 10_000;

pub fn look(look: &Look) -> Vec<Finding> {
    let mut findings = Vec::new();
    for interface in look.after.interfaces.values().filter(|it| it.is_up()) {
        if let Some(pfsync) = &interface.pfsync {
            let about = About {
                look,
                interface,
                pfsync,
            };
            about.look(&mut findings);
        }
    }
    findings
}

struct About<'a> {
    look: &'a Look,
    interface: &'a Interface,
    pfsync: &'a Pfsync,
}

impl About<'_> {
    fn find(&self, check: &'static str, what: String, advice: impl Into<String>) -> Finding {
        Finding::new(check, &self.interface.name, what, advice)
    }

    fn look(&self, findings: &mut Vec<Finding>) {
        let Some(syncdev) = self.pfsync.syncdev else {
            findings.push(self.find(
                "no-syncdev",
                "it has no syncdev, and tells nobody of its states".to_owned(),
                format!("Say which: carpctl {} syncdev eth1", self.interface.name),
            ));
            return;
        };
        let interfaces = &self.look.after.interfaces;
        let name = interfaces
            .get(&syncdev)
            .map_or("its syncdev", |it| &it.name);
        if self.pfsync.bulk == "no-link" {
            findings.push(self.find(
                "no-link",
                format!("{name} is down or has no link, so that no states come or go"),
                "Look at the cable and the switch",
            ));
            return;
        }
        if let Some(frames) = &self.look.frames {
            self.is_dropped(syncdev, name, frames, findings);
        }
        self.peers(name, findings);
        self.table(findings);
    }

    /// Frames that come in on the syncdev, of which none comes to pfsync.
    fn is_dropped(&self, syncdev: u32, name: &str, frames: &Frames, findings: &mut Vec<Finding>) {
        for (is_ipv4, counter) in [(true, "ipackets"), (false, "ipackets6")] {
            let source = frames.pfsync(syncdev, is_ipv4);
            let source = source.filter(|_| self.look.growth(self.interface.index, counter) == 0);
            if let Some(source) = source {
                findings.push(self.find(
                    "dropped",
                    format!(
                        "frames of {source} come in on {name}, and are dropped before pfsync(4) \
                         sees them"
                    ),
                    format!("Let IP protocol 240 in: {}", rules::ACCEPT),
                ));
            }
        }
    }

    fn peers(&self, name: &str, findings: &mut Vec<Finding>) {
        let peers = &self.look.after.pfsync_peers;
        let unconfirmed = self.pfsync.unconfirmed;
        if matches!(&*self.pfsync.bulk, "asking" | "receiving") {
            let bulk = &self.pfsync.bulk;
            findings.push(self.find(
                "bulk",
                format!("it has not got all states of its peers yet: {bulk}"),
                "Wait; if it stays so, look whether the peer is there: carpctl peers",
            ));
        }
        if peers.is_empty() && !self.look.after.carp_peers.is_empty() {
            findings.push(self.find(
                "pfsync-unheard",
                format!("it has heard nobody on {name}, though carp(4) hears another host"),
                format!("Look on the other host for pfsync, its syncdev, and whether {name} leads there"),
            ));
        }
        for peer in peers.iter().filter(|peer| is_behind(peer, unconfirmed)) {
            let behind = peer
                .behind
                .map(|it| format!(", has not confirmed {it} frames"));
            findings.push(self.find(
                "pfsync-silent",
                format!(
                    "{} has been silent for {} s{}, and {unconfirmed} states wait for that",
                    peer.name(),
                    peer.heard(),
                    behind.unwrap_or_default()
                ),
                "After a takeover these connections would hang; look whether it is up, and \
                 at the link between",
            ));
        }
    }

    /// Whether there is room for all states.
    fn table(&self, findings: &mut Vec<Finding>) {
        let read = |name: &str| -> Option<u64> {
            let path = format!("/proc/sys/net/netfilter/{name}");
            fs::read_to_string(path).ok()?.trim().parse().ok()
        };
        let counts = read("nf_conntrack_count").zip(read("nf_conntrack_max"));
        let Some((count, max)) = counts else { return };
        // a peer's table may be as full as this one's
        let count = count.max(self.pfsync.states.into());
        if count.saturating_mul(10) >= max.saturating_mul(9) {
            findings.push(self.find(
                "table-full",
                format!("conntrack's table has room for {max} connections and holds {count}"),
                format!(
                    "On all hosts: sysctl -w net.netfilter.nf_conntrack_max={}",
                    max.saturating_mul(4)
                ),
            ));
        }
    }
}

/// Whether a peer should have confirmed something and has not.
fn is_behind(peer: &Peer, unconfirmed: u32) -> bool {
    // states whose confirmation never came wait no more, and the frames stay unconfirmed
    let waits = unconfirmed != 0 || peer.behind.is_some_and(|frames| frames != 0);
    waits && peer.heard_ms() >= SILENT_MS
}
