// SPDX-License-Identifier: GPL-2.0

//! `carpctl metrics`: what a monitor keeps of this network namespace, for Prometheus.

use crate::{
    carp_peers::CarpPeer,
    contract::{name, REASONS, STATES},
    counter_metrics::CounterMetric,
    counters::{Counters, InterfaceCounters},
    error::Result,
    family::{Carpdev, Family, Group, VirtualHost},
    http,
    interface::Route,
    kind::Kind,
    output::Output,
    peers::Peer,
    pfsync::Pfsync,
    prometheus::{Labels, Page, Type},
    transition_counts::TransitionCounts,
};

use std::collections::{BTreeMap, BTreeSet};

/// Writes all metrics to standard output; with `http` as the answer to the request that
/// comes in on the connection which standard input is.
pub fn metrics(output: &mut Output, http: bool) -> Result<()> {
    let page = || Ok(Snapshot::read()?.page());
    match http {
        true => http::serve(page),
        false => output.text(&page()?),
    }
}

/// What the kernel tells, as it is now.
#[derive(Default)]
struct Snapshot {
    hosts: Vec<VirtualHost>,
    /// Of each carp interface, without those that are 0.
    counters: Vec<InterfaceCounters>,
    /// The sum over the network namespace, with all that the kernel knows of.
    all: Counters,
    groups: Vec<Group>,
    carp_peers: Vec<CarpPeer>,
    transitions: Vec<TransitionCounts>,
    pfsyncs: Vec<PfsyncInterface>,
    peers: Vec<Peer>,
}

struct PfsyncInterface {
    labels: Labels,
    pfsync: Pfsync,
    /// The name of its syncdev.
    syncdev: String,
}

impl Snapshot {
    /// Asks the generic netlink families for all that there may be thousands of: rtnetlink
    /// takes four times as long to tell of a link.
    fn read() -> Result<Self> {
        let mut it = Self::default();
        let Some(mut family) = Family::open_loaded()? else {
            return Ok(it);
        };
        it.hosts = family.virtual_hosts()?;
        it.counters = family.interface_counters()?;
        it.pfsyncs = pfsyncs()?;
        if !it.counters.is_empty() || !it.pfsyncs.is_empty() {
            it.groups = family.groups()?;
            it.all = family.counters()?;
            it.carp_peers = family.carp_peers()?;
            it.transitions = family.transition_counts()?;
        }
        if !it.pfsyncs.is_empty() {
            it.peers = Family::open_pfsync()?.peers()?;
        }
        Ok(it)
    }

    fn page(&self) -> String {
        let mut page = Page::default();
        self.virtual_hosts(&mut page);
        self.transitions(&mut page);
        self.carp_peers(&mut page);
        self.demotion(&mut page);
        self.advertisements(&mut page);
        self.pfsync(&mut page);
        self.peers(&mut page);
        page.into_text()
    }

    fn virtual_hosts(&self, page: &mut Page) {
        let labels = |host: &VirtualHost| host_labels(&host.ifname, host.vhid);
        let hosts: Vec<_> = self.hosts.iter().map(|it| (labels(it), it)).collect();
        let states = STATES
            .iter()
            .map(|state| (*state, Labels::of("state", state)));
        let states: Vec<_> = states.collect();
        let help = "Whether the virtual host is in this state: 0 or 1.";
        let mut metric = page.metric(Type::Gauge, "carp_vhost_state", help);
        for (labels, host) in &hosts {
            for (state, label) in &states {
                metric.sample(&[labels, label], host.state == *state);
            }
        }
        let help = "How the virtual host is configured; always 1.";
        let mut metric = page.metric(Type::Gauge, "carp_vhost_info", help);
        for (labels, host) in &hosts {
            let carpdev = host.carpdev.as_ref().map(Carpdev::name);
            let words = Labels::of("carpdev", &carpdev.unwrap_or_default())
                .and("advbase", &host.advbase.to_string())
                .and("advskew", &host.advskew.to_string());
            metric.sample(&[labels, &words], true);
        }
    }

    fn transitions(&self, page: &mut Page) {
        let help = "Changes of the virtual host's state, by the new one and the reason.";
        let mut metric = page.metric(Type::Counter, "carp_transitions_total", help);
        let mut words = BTreeMap::new();
        for host in &self.transitions {
            let labels = host_labels(&host.ifname, host.vhid);
            for it in &host.counts {
                let words = words.entry((it.state, it.reason)).or_insert_with(|| {
                    Labels::of("to", &name(STATES, it.state))
                        .and("reason", &name(REASONS, it.reason))
                });
                metric.sample(&[&labels, words], it.count);
            }
        }
    }

    fn carp_peers(&self, page: &mut Page) {
        let help = "Seconds since the peer's last advertisement for the virtual host.";
        let mut metric = page.metric(Type::Gauge, "carp_last_advertisement_seconds", help);
        for it in &self.carp_peers {
            let peer = Labels::of("peer", &it.address.to_string()).and("digest", &it.digest);
            metric.sample(&[&host_labels(&it.ifname, it.vhid), &peer], &*it.heard());
        }
    }

    fn demotion(&self, page: &mut Page) {
        let help = "By how much a cause demotes a group; 0 and no cause if all is well.";
        let mut metric = page.metric(Type::Gauge, "carp_demotion", help);
        for group in &self.groups {
            let labels = |cause| Labels::of("group", &group.group).and("cause", cause);
            for cause in &group.causes {
                metric.sample(&[&labels(&cause.cause)], cause.amount);
            }
            if group.causes.is_empty() {
                metric.sample(&[&labels("")], group.demote);
            }
        }
        let help = "Whether advertisements came in lately whose digest differs: 0 or 1.";
        let mut metric = page.metric(Type::Gauge, "carp_digest_differs", help);
        let trouble = self.hosts.iter().filter(|host| host.digest_differs);
        let trouble: BTreeSet<u32> = trouble.map(|host| host.ifindex).collect();
        for it in &self.counters {
            let labels = Labels::of("interface", &it.ifname);
            metric.sample(&[&labels], trouble.contains(&it.ifindex));
        }
    }

    fn advertisements(&self, page: &mut Page) {
        let labels = |it: &InterfaceCounters| Labels::of("interface", &it.ifname);
        let interfaces = self.counters.iter().map(|it| (labels(it), &it.counters));
        let interfaces: Vec<_> = interfaces.collect();
        for metric in CounterMetric::of_carp() {
            metric.write(page, &interfaces, &self.all);
        }
        if let Some(metric) = CounterMetric::of_namespace() {
            metric.write(page, &[(Labels::default(), &self.all)], &self.all);
        }
    }

    fn pfsync(&self, page: &mut Page) {
        let help = "How the interface is configured; always 1.";
        let mut metric = page.metric(Type::Gauge, "pfsync_info", help);
        for it in &self.pfsyncs {
            let syncpeer = it.pfsync.syncpeer.map(|peer| peer.to_string());
            let words =
                Labels::of("syncdev", &it.syncdev).and("syncpeer", &syncpeer.unwrap_or_default());
            metric.sample(&[&it.labels, &words], true);
        }
        for (name, help, value) in PFSYNC_GAUGES {
            let mut metric = page.metric(Type::Gauge, name, help);
            for it in &self.pfsyncs {
                metric.sample(&[&it.labels], value(&it.pfsync));
            }
        }
        let interfaces = self.pfsyncs.iter();
        let interfaces: Vec<_> = interfaces
            .map(|it| (it.labels.clone(), &it.pfsync.counters))
            .collect();
        let Some((_, known)) = interfaces.first() else {
            return;
        };
        for metric in CounterMetric::of_pfsync() {
            metric.write(page, &interfaces, known);
        }
    }

    fn peers(&self, page: &mut Page) {
        let peers: Vec<_> = self
            .peers
            .iter()
            .map(|peer| (Labels::of("peer", &peer.name()), peer))
            .collect();
        let help = "What kind of host the peer is: linux, pf or unknown; always 1.";
        let mut metric = page.metric(Type::Gauge, "pfsync_peer_info", help);
        for (labels, peer) in &peers {
            metric.sample(&[labels, &Labels::of("system", &peer.system)], true);
        }
        let help = "Seconds since the peer's last frame.";
        let mut metric = page.metric(Type::Gauge, "pfsync_peer_last_heard_seconds", help);
        for (labels, peer) in &peers {
            metric.sample(&[labels], &*peer.heard());
        }
        let help = "Frames with states that were sent after the last one that the peer confirmed.";
        let mut metric = page.metric(Type::Gauge, "pfsync_peer_behind_frames", help);
        for (labels, peer) in &peers {
            if let Some(behind) = peer.behind {
                metric.sample(&[labels], behind);
            }
        }
        let help = "Frames that came from the peer.";
        let mut metric = page.metric(Type::Counter, "pfsync_peer_frames_total", help);
        for (labels, peer) in &peers {
            metric.sample(&[labels], peer.frames);
        }
    }
}

/// A link dump tells of these alone.
fn pfsyncs() -> Result<Vec<PfsyncInterface>> {
    let mut route = Route::open()?;
    let mut found = Vec::new();
    for interface in route.all(Kind::Pfsync)? {
        let Some(pfsync) = interface.pfsync else {
            continue;
        };
        found.push(PfsyncInterface {
            labels: Labels::of("interface", &interface.name),
            syncdev: match pfsync.syncdev {
                Some(index) => route.name(index)?,
                None => String::new(),
            },
            pfsync,
        });
    }
    Ok(found)
}

/// Those of a virtual host.
fn host_labels(interface: &str, vhid: u8) -> Labels {
    Labels::of("interface", interface).and("vhid", &vhid.to_string())
}

type PfsyncGauge = (&'static str, &'static str, fn(&Pfsync) -> u32);

const PFSYNC_GAUGES: [PfsyncGauge; 5] = [
    ("pfsync_states", "States that it knows of.", |it| it.states),
    (
        "pfsync_queued",
        "States of which something is still to be sent.",
        |it| it.queued,
    ),
    (
        "pfsync_unconfirmed",
        "States that no peer has confirmed yet.",
        |it| it.unconfirmed,
    ),
    (
        "pfsync_bulk_done",
        "Whether it has all states of its peers, or there is no peer: 0 or 1.",
        |it| u32::from(it.bulk == "done"),
    ),
    (
        "pfsync_demotion",
        "By how much it demotes its groups.",
        |it| it.demote,
    ),
];

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
