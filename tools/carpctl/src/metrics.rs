// SPDX-License-Identifier: GPL-2.0

//! `carpctl metrics`: what a monitor keeps of this network namespace, for Prometheus.

use crate::{
    carp::Carp,
    carp_peers::CarpPeer,
    contract::{name, REASONS, STATES},
    counter_metrics::CounterMetric,
    counters::Counters,
    error::Result,
    family::{Family, Group},
    http,
    interface::{Interface, Route},
    output::Output,
    peers::Peer,
    pfsync::Pfsync,
    prometheus::{Labels, Page, Type},
    transition_counts::TransitionCounts,
};

use std::collections::BTreeMap;

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
    /// By their indexes, in ascending order.
    names: Vec<(u32, String)>,
    carps: Vec<(Labels, Carp)>,
    pfsyncs: Vec<(Labels, Pfsync)>,
    groups: Vec<Group>,
    carp_peers: Vec<CarpPeer>,
    transitions: Vec<TransitionCounts>,
    peers: Vec<Peer>,
    /// The sum over the network namespace; none without an interface.
    all: Counters,
}

impl Snapshot {
    fn read() -> Result<Self> {
        let mut it = Self::default();
        for interface in Route::open()?.links()? {
            it.add(interface);
        }
        // the families are not asked without need, for that would load carp.ko
        if !it.carps.is_empty() || !it.pfsyncs.is_empty() {
            let mut family = Family::open()?;
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

    fn add(&mut self, interface: Interface) {
        let labels = Labels::of("interface", &interface.name);
        self.names.push((interface.index, interface.name));
        if let Some(carp) = interface.carp {
            self.carps.push((labels, carp));
        } else if let Some(pfsync) = interface.pfsync {
            self.pfsyncs.push((labels, pfsync));
        }
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
        let mut hosts = Vec::new();
        for (labels, carp) in &self.carps {
            for node in &carp.nodes {
                let labels = labels.clone().and("vhid", &node.vhid.to_string());
                hosts.push((labels, carp, node));
            }
        }
        let states = STATES
            .iter()
            .map(|state| (*state, Labels::of("state", state)));
        let states: Vec<_> = states.collect();
        let help = "Whether the virtual host is in this state: 0 or 1.";
        let mut metric = page.metric(Type::Gauge, "carp_vhost_state", help);
        for (labels, _, node) in &hosts {
            for (state, label) in &states {
                metric.sample(&[labels, label], node.state == *state);
            }
        }
        let help = "How the virtual host is configured; always 1.";
        let mut metric = page.metric(Type::Gauge, "carp_vhost_info", help);
        for (labels, carp, node) in &hosts {
            let words = Labels::of("carpdev", &self.carpdev(carp))
                .and("advbase", &carp.advbase.to_string())
                .and("advskew", &node.advskew.to_string());
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

    /// The parent's name, also if it went away and is waited for.
    fn carpdev(&self, carp: &Carp) -> String {
        match (carp.carpdev, carp.carpdev_netnsid) {
            (None, _) => carp.carpdev_gone.clone().unwrap_or_default(),
            (Some(index), None) => self.name(index),
            // here the index may be another's
            (Some(index), Some(_)) => format!("if{index}"),
        }
    }

    fn name(&self, index: u32) -> String {
        let place = self.names.binary_search_by_key(&index, |(index, _)| *index);
        let name = place.ok().and_then(|place| self.names.get(place));
        name.map_or_else(|| format!("if{index}"), |(_, name)| name.clone())
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
        for (labels, carp) in &self.carps {
            metric.sample(&[labels], carp.digest_differs.is_some());
        }
    }

    fn advertisements(&self, page: &mut Page) {
        let carps = self.carps.iter();
        let counters: Vec<_> = carps
            .map(|(labels, carp)| (labels, &carp.counters))
            .collect();
        for metric in CounterMetric::of_carp() {
            metric.write(page, &counters);
        }
        if let Some(metric) = CounterMetric::of_namespace() {
            metric.write(page, &[(&Labels::default(), &self.all)]);
        }
    }

    fn pfsync(&self, page: &mut Page) {
        let help = "How the interface is configured; always 1.";
        let mut metric = page.metric(Type::Gauge, "pfsync_info", help);
        for (labels, pfsync) in &self.pfsyncs {
            let syncdev = pfsync.syncdev.map(|index| self.name(index));
            let syncpeer = pfsync.syncpeer.map(|peer| peer.to_string());
            let words = Labels::of("syncdev", &syncdev.unwrap_or_default())
                .and("syncpeer", &syncpeer.unwrap_or_default());
            metric.sample(&[labels, &words], true);
        }
        for (name, help, value) in PFSYNC_GAUGES {
            let mut metric = page.metric(Type::Gauge, name, help);
            for (labels, pfsync) in &self.pfsyncs {
                metric.sample(&[labels], value(pfsync));
            }
        }
        let interfaces = self.pfsyncs.iter();
        let counters: Vec<_> = interfaces
            .map(|(labels, it)| (labels, &it.counters))
            .collect();
        for metric in CounterMetric::of_pfsync() {
            metric.write(page, &counters);
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
