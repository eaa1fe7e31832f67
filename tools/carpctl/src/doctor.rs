// SPDX-License-Identifier: GPL-2.0

//! `carpctl doctor`: what is wrong, in a sentence each, and what to do about it.

mod auth;
mod election;
mod filter;
mod frame;
mod pfsync;
mod rules;
mod system;
mod wire;

use crate::{
    carp::Carp,
    carp_peers::CarpPeer,
    error::{failed, Result},
    family::{Family, Group},
    interface::{Interface, Route},
    kind::Kind,
    output::{warn, Output},
    peers::Peer,
};
use rustix::process::geteuid;
use serde::Serialize;
use std::{collections::BTreeMap, time::Duration};
use wire::{Probe, Wires};

/// Frames are looked at for as long as two advertisements take, but no longer than this.
const WINDOW_MAX: Duration = Duration::from_secs(10);

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which look has found it.
    pub check: &'static str,
    /// What it is about: an interface, a group or a file.
    pub about: String,
    pub what: String,
    /// What to do.
    pub advice: String,
}

impl Finding {
    pub fn new(
        check: &'static str,
        about: impl Into<String>,
        what: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            check,
            about: about.into(),
            what: what.into(),
            advice: advice.into(),
        }
    }

    fn text(&self) -> String {
        format!("{}: {}.\n\t{}.\n", self.about, self.what, self.advice)
    }
}

/// This network namespace at one moment.
#[derive(Default)]
struct Snapshot {
    /// By index.
    interfaces: BTreeMap<u32, Interface>,
    groups: Vec<Group>,
    carp_peers: Vec<CarpPeer>,
    pfsync_peers: Vec<Peer>,
    /// Packets that the kernel's reverse path filter has dropped.
    reverse_path: u64,
}

impl Snapshot {
    fn read() -> Result<Self> {
        let links = Route::open()?.links()?;
        let mut it = Self {
            interfaces: links.into_iter().map(|it| (it.index, it)).collect(),
            reverse_path: rules::reverse_path_drops(),
            ..Self::default()
        };
        // the families are not asked without need, for that would load carp.ko
        if it.interfaces.values().any(|it| it.kind().is_some()) {
            let mut family = Family::open()?;
            it.groups = family.groups()?;
            it.carp_peers = family.carp_peers()?;
            it.pfsync_peers = Family::open_pfsync()?.peers()?;
        }
        Ok(it)
    }

    /// The carp interfaces, each with what the kernel tells of its kind.
    fn carps(&self) -> impl Iterator<Item = (&Interface, &Carp)> {
        let all = self.interfaces.values();
        all.filter_map(|it| Some((it, it.carp.as_ref()?)))
    }

    /// The parent of a carp interface, if it is in this network namespace.
    fn carpdev(&self, carp: &Carp) -> Option<&Interface> {
        let here = carp.carpdev_netnsid.is_none();
        self.interfaces.get(&carp.carpdev.filter(|_| here)?)
    }

    /// How long it takes until each master here and there has advertised twice, and pfsync
    /// has told of what there is to tell.
    fn window(&self) -> Duration {
        let carps = self.carps().map(|(_, carp)| u64::from(carp.advbase) + 1);
        let pfsyncs = self.interfaces.values().filter(|it| it.pfsync.is_some());
        let seconds = carps.chain(pfsyncs.map(|_| 1)).max();
        Duration::from_secs(2 * seconds.unwrap_or_default()).min(WINDOW_MAX)
    }

    /// Where carp and pfsync send and receive.
    fn wires(&self) -> BTreeMap<u32, &Interface> {
        let parents = self.carps().filter_map(|(_, carp)| self.carpdev(carp));
        let pfsyncs = self.interfaces.values().filter_map(|it| it.pfsync.as_ref());
        let syncdevs = pfsyncs.filter_map(|it| self.interfaces.get(&it.syncdev?));
        let up = parents.chain(syncdevs).filter(|it| it.is_up());
        up.map(|it| (it.index, it)).collect()
    }
}

/// Two moments, and what came in between.
struct Look {
    before: Snapshot,
    after: Snapshot,
    window: Duration,
    /// Whether frames, rules and files can be looked at.
    is_root: bool,
    /// What was asked meanwhile.
    probes: Vec<Probe>,
    /// Nothing: they could not be looked at, or there is no interface.
    frames: Option<wire::Frames>,
}

impl Look {
    fn take() -> Result<Self> {
        let before = Snapshot::read()?;
        let window = before.window();
        let is_root = geteuid().is_root();
        let probes = election::probes(&before);
        let frames = if is_root && !window.is_zero() {
            let wires = Wires::open(&before.wires())?;
            Some(wires.watch(&probes, window)?)
        } else {
            None
        };
        Ok(Self {
            after: Snapshot::read()?,
            before,
            window,
            is_root,
            probes,
            frames,
        })
    }

    /// How much a counter of an interface has grown.
    fn growth(&self, index: u32, counter: &str) -> u64 {
        let value = |it: &Snapshot| {
            let interface = it.interfaces.get(&index)?;
            let carp = interface.carp.as_ref().map(|it| &it.counters);
            let counters = carp.or(interface.pfsync.as_ref().map(|it| &it.counters))?;
            let mut all = counters.0.iter();
            all.find(|(name, _)| *name == counter)
                .map(|(_, value)| *value)
        };
        let (before, after) = (value(&self.before), value(&self.after));
        after
            .unwrap_or_default()
            .saturating_sub(before.unwrap_or_default())
    }
}

/// Says what is wrong.
///
/// # Errors
///
/// Something is.
pub fn doctor(output: &mut Output, json: bool) -> Result<()> {
    let look = Look::take()?;
    let mut findings = election::look(&look);
    findings.extend(pfsync::look(&look));
    findings.extend(auth::look(&look));
    if findings.iter().any(|it| it.check == "dropped") {
        findings.extend(rules::culprit(&look));
    }
    findings.extend(rules::look(&look));
    findings.extend(system::look(&look));
    if !look.is_root && look.after.interfaces.values().any(|it| it.kind().is_some()) {
        warn("only root can look at frames, rules and files, so they were not looked at");
    }
    if json {
        output.json(&findings)?;
    } else {
        output.text(&text(&look.after, &findings))?;
    }
    match findings.len() {
        0 => Ok(()),
        1 => failed("one thing is wrong"),
        many => failed(format!("{many} things are wrong")),
    }
}

fn text(now: &Snapshot, findings: &[Finding]) -> String {
    if !findings.is_empty() {
        return findings.iter().map(Finding::text).collect();
    }
    let of_kind = |kind| {
        now.interfaces
            .values()
            .filter(|it| it.kind() == Some(kind))
            .count()
    };
    let (carp, pfsync) = (of_kind(Kind::Carp), of_kind(Kind::Pfsync));
    format!("Nothing is wrong with {carp} carp and {pfsync} pfsync interfaces.\n")
}
