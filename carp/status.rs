// SPDX-License-Identifier: GPL-2.0

//! How an interface is doing, as it is shown over generic netlink.

use super::{device::Carp, lost_parent::LostParent};
use crate::{
    linux::{
        bindings::IFNAMSIZ, namespace::Net, netdevice::Device, netdevice_ops::OwnDevice, timer,
    },
    proto::carp::{balancing::HOSTS_MAX, election::State, time::Instant},
};
use kernel::sync::rcu;

/// An interface at one moment.
pub(super) struct Status {
    /// Seconds between advertisements.
    pub(super) advbase: u8,
    /// What its advertisements say.
    pub(super) demote: u32,
    /// Its parent, also one that has gone and is waited for.
    pub(super) carpdev: Option<Carpdev>,
    /// How long ago the last advertisement came in whose digest differs, in ms, if that was
    /// lately.
    pub(super) digest_differs: Option<u32>,
    nodes: [Option<Node>; HOSTS_MAX],
}

/// The parent of an interface.
pub(super) struct Carpdev {
    /// Nothing: it has gone.
    pub(super) index: Option<u32>,
    /// In its own namespace, with zero bytes behind it.
    pub(super) name: [u8; IFNAMSIZ as usize],
    /// The number of that namespace in the interface's, if it is another one.
    pub(super) netnsid: Option<i32>,
}

impl Carpdev {
    fn present(dev: &Device, home: &Net) -> Self {
        Self {
            index: Some(dev.ifindex()),
            name: dev.name_bytes(),
            netnsid: (dev.net() != home).then(|| home.id_of(dev.net())),
        }
    }

    fn gone(lost: &LostParent, home: &Net, rcu: &rcu::Guard) -> Self {
        let net = lost.net(rcu).filter(|net| *net != home);
        Self {
            index: None,
            name: *lost.name_bytes(),
            netnsid: net.map(|net| home.id_of(net)),
        }
    }
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
    pub(super) fn of(carp: &Carp, own: &OwnDevice) -> Self {
        let rcu = rcu::read_lock();
        let carpdev = match carp.published.carpdev.get(&rcu) {
            Some(dev) => Some(Carpdev::present(dev, own.net())),
            None => {
                let lost = carp.host.lock().lost;
                lost.map(|lost| Carpdev::gone(&lost, own.net(), &rcu))
            }
        };
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
            digest_differs: host.digest_differs(Instant(timer::now())),
            nodes,
        }
    }

    /// Its virtual hosts, in ascending order of their vhids.
    pub(super) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().flatten()
    }
}
