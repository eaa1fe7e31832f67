// SPDX-License-Identifier: GPL-2.0

//! Which metric each counter of the kernel is, and by which label.

use crate::{
    contract::{COUNTERS, PFSYNC_COUNTERS},
    counters::Counters,
    prometheus::{Labels, Page, Type},
};

/// A metric, and the label of one counter in it.
struct Place {
    metric: String,
    help: String,
    label: Option<(&'static str, &'static str)>,
}

impl Place {
    fn new(metric: &str, help: &str) -> Self {
        Self {
            metric: metric.to_owned(),
            help: help.to_owned(),
            label: None,
        }
    }

    fn by(mut self, name: &'static str, value: &'static str) -> Self {
        self.label = Some((name, value));
        self
    }
}

const DROPPED: &str = "carp_advertisements_dropped_total";

const AUTHENTICATED: &str = "carp_authentications_total";

/// The counter of takeovers, which is no metric: carp_transitions_total says more.
const PREEMPT: &str = "preempt";

/// A counter that is new here is a reason not to take, or not to send, an advertisement.
fn carp(counter: &'static str) -> Place {
    let received = || Place::new("carp_advertisements_received_total", "All that came in.");
    let sent = || Place::new("carp_advertisements_sent_total", "All that were sent.");
    match counter {
        "rx_ipv4" => received().by("family", "ipv4"),
        "rx_ipv6" => received().by("family", "ipv6"),
        "tx_ipv4" => sent().by("family", "ipv4"),
        "tx_ipv6" => sent().by("family", "ipv6"),
        _ if counter.starts_with("rx_auth_") => Place::new(
            AUTHENTICATED,
            "Advertisements whose authentication as a whole was examined, by what came of it. \
             Which of them are believed is the mode's.",
        )
        .by(
            "outcome",
            counter.strip_prefix("rx_auth_").unwrap_or(counter),
        ),
        "rx_echo" => Place::new(
            "carp_echoes_total",
            "Own advertisements that came back; also among those dropped for bad_auth.",
        ),
        "tx_state_updates" => Place::new(
            "carp_state_updates_sent_total",
            "State updates that were sent.",
        ),
        _ => match counter.strip_prefix("tx_") {
            Some(reason) => Place::new(
                "carp_send_errors_total",
                "Advertisements that could not be sent.",
            )
            .by("reason", reason),
            None => Place::new(
                DROPPED,
                "Advertisements that were not believed, with those for nobody on its parent.",
            )
            .by("reason", counter.strip_prefix("rx_").unwrap_or(counter)),
        },
    }
}

/// What has no metric of its own has that of its name.
fn pfsync(counter: &'static str) -> Place {
    let received = || Place::new("pfsync_frames_received_total", "All that came in.");
    let sent = || Place::new("pfsync_frames_sent_total", "All that were sent.");
    match counter {
        "ipackets" => received().by("family", "ipv4"),
        "ipackets6" => received().by("family", "ipv6"),
        "opackets" => sent().by("family", "ipv4"),
        "opackets6" => sent().by("family", "ipv6"),
        _ if counter.starts_with("auth_") => Place::new(
            "pfsync_authentications_total",
            "Frames whose authentication as a whole was examined, by what came of it. Which of \
             them are believed is the mode's.",
        )
        .by("outcome", counter.strip_prefix("auth_").unwrap_or(counter)),
        "badif" | "badttl" | "hdrops" | "badver" | "badauth" | "badact" | "badlen" => Place::new(
            "pfsync_frames_dropped_total",
            "Frames that were dropped, or the rest of one.",
        )
        .by("reason", counter),
        _ => Place::new(
            &format!("pfsync_{counter}_total"),
            &format!("The counter {counter} of pfsync(4)."),
        ),
    }
}

/// Counters that are one metric, each with its label.
pub struct CounterMetric {
    name: String,
    help: String,
    /// By their places in the kernel's list.
    counters: Vec<(usize, &'static str, Labels)>,
}

impl CounterMetric {
    /// Those of a carp interface.
    pub fn of_carp() -> Vec<Self> {
        Self::list(COUNTERS, carp)
    }

    /// Those of a pfsync interface.
    pub fn of_pfsync() -> Vec<Self> {
        Self::list(PFSYNC_COUNTERS, pfsync)
    }

    /// What was dropped in the network namespace. Each interface counts what was for nobody
    /// on its parent, such as an unknown vhid, so that a sum over interfaces is too large.
    pub fn of_namespace() -> Option<Self> {
        let mut all = Self::of_carp().into_iter();
        let dropped = all.find(|metric| metric.name == DROPPED)?;
        Some(Self {
            name: "carp_namespace_advertisements_dropped_total".to_owned(),
            help: "Advertisements that were not believed, each counted once.".to_owned(),
            ..dropped
        })
    }

    fn list(counters: &[&'static str], place: fn(&'static str) -> Place) -> Vec<Self> {
        let mut metrics: Vec<Self> = Vec::new();
        let counters = counters.iter().enumerate();
        for (number, counter) in counters.filter(|(_, it)| **it != PREEMPT) {
            let place = place(counter);
            let label = place.label.map(|(name, value)| Labels::of(name, value));
            let counter = (number, *counter, label.unwrap_or_default());
            match metrics.iter_mut().find(|it| it.name == place.metric) {
                Some(metric) => metric.counters.push(counter),
                None => metrics.push(Self {
                    name: place.metric,
                    help: place.help,
                    counters: vec![counter],
                }),
            }
        }
        metrics
    }

    /// The values of each interface; one that is not told is 0, if the kernel knows of it at
    /// all. Why advertisements are dropped, and what came of their
    /// authentication, is left out where it has not happened: with 4,080 virtual hosts that
    /// would be half of the page.
    pub fn write(&self, page: &mut Page, interfaces: &[(Labels, &Counters)], known: &Counters) {
        let mut wanted = Vec::from_iter(&self.counters);
        wanted.retain(|(number, counter, _)| known.get(*number, counter).is_some());
        let is_sparse = [DROPPED, AUTHENTICATED].contains(&&*self.name);
        let mut metric = page.metric(Type::Counter, &self.name, &self.help);
        for (labels, counters) in interfaces {
            for (number, counter, label) in &wanted {
                let value = counters.get(*number, counter).unwrap_or_default();
                if value != 0 || !is_sparse {
                    metric.sample(&[labels, label], value);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_counter_is_in_one_place() {
        for (metrics, counters) in [
            (CounterMetric::of_carp(), COUNTERS),
            (CounterMetric::of_pfsync(), PFSYNC_COUNTERS),
        ] {
            let mut found = Vec::new();
            for metric in &metrics {
                assert!(metric.name.ends_with("_total"), "{}", metric.name);
                let mut labels: Vec<_> = metric.counters.iter().map(|(_, _, it)| it).collect();
                labels.dedup();
                assert_eq!(labels.len(), metric.counters.len(), "{}", metric.name);
                found.extend(metric.counters.iter().map(|(_, counter, _)| *counter));
            }
            found.sort_unstable();
            let mut counters = counters.to_vec();
            counters.retain(|it| *it != PREEMPT);
            counters.sort_unstable();
            assert_eq!(found, counters);
        }
    }

    #[test]
    fn reasons() {
        let place = carp("rx_bad_ttl");
        assert_eq!(place.metric, DROPPED);
        assert_eq!(place.label, Some(("reason", "bad_ttl")));
        assert_eq!(carp("tx_error").label, Some(("reason", "error")));
        let place = carp("rx_auth_bad_hmac");
        assert_eq!(place.metric, AUTHENTICATED);
        assert_eq!(place.label, Some(("outcome", "bad_hmac")));
        assert_eq!(pfsync("auth_good").label, Some(("outcome", "good")));
        assert_eq!(carp("rx_ipv6").label, Some(("family", "ipv6")));
        assert_eq!(pfsync("stale").metric, "pfsync_stale_total");
    }
}
