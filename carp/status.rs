// SPDX-License-Identifier: GPL-2.0

//! How an interface is doing, as it is shown over generic netlink.

use super::device::Carp;
use crate::proto::carp::{balancing::HOSTS_MAX, election::State};

/// An interface at one moment.
pub(super) struct Status {
    /// Seconds between advertisements.
    pub(super) advbase: u8,
    /// What its advertisements say.
    pub(super) demote: u32,
    /// The index of its parent, if it has one.
    pub(super) carpdev: Option<u32>,
    nodes: [Option<Node>; HOSTS_MAX],
}

/// One of its virtual hosts.
#[derive(Clone, Copy)]
pub(super) struct Node {
    /// 1-255
    pub(super) vhid: u8,
    /// What its administrator set.
    pub(super) advskew: u8,
    /// What it is doing.
    pub(super) state: State,
}

impl Status {
    /// How an interface is doing. Any context.
    pub(super) fn of(carp: &Carp) -> Self {
        let carpdev = carp.published.carpdev_index();
        let host = carp.host.lock();
        let mut nodes = [None; HOSTS_MAX];
        for (slot, node) in nodes.iter_mut().zip(&host.nodes) {
            let config = node.election.config();
            *slot = (config.vhid != 0).then_some(Node {
                vhid: config.vhid,
                advskew: config.advskew,
                state: node.election.state(),
            });
        }
        Self {
            advbase: host.settings.advbase,
            demote: u32::from(host.environment().demote),
            carpdev,
            nodes,
        }
    }

    /// Its virtual hosts, in ascending order of their vhids.
    pub(super) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().flatten()
    }
}
