// SPDX-License-Identifier: GPL-2.0

//! The virtual hosts of one interface, as the administrator lists them:
//! `carpnodes 1:0,2:100`.
//!
//! Source: `carp_vhids_ioctl`, ifconfig(8).

use super::balancing::HOSTS_MAX;

/// One `vhid:advskew` pair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Carpnode {
    /// The virtual host, 1–255; 0 in an interface that has none yet.
    pub vhid: u8,
    /// 1/256 s added to the interval, 0–254.
    pub advskew: u8,
}

/// One to [`HOSTS_MAX`] virtual hosts in ascending order of vhid, each vhid once.
///
/// An interface without vhid has one of vhid 0: there its advskew stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carpnodes {
    nodes: [Carpnode; HOSTS_MAX],
    len: usize,
}

/// Why a list of carpnodes was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// There is none in it.
    Empty,
    /// There are more than [`HOSTS_MAX`].
    TooMany,
    /// A vhid is 0.
    Vhid,
    /// An advskew is 255.
    Advskew,
    /// The vhid occurs twice.
    Twice(u8),
}

impl Carpnodes {
    /// The only virtual host of an interface.
    #[must_use]
    pub const fn one(node: Carpnode) -> Self {
        const NONE: Carpnode = Carpnode {
            vhid: 0,
            advskew: 0,
        };
        let mut nodes = [NONE; HOSTS_MAX];
        let [first, ..] = &mut nodes;
        *first = node;
        Self { nodes, len: 1 }
    }

    /// A list as it was asked for, in any order.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn new(list: impl IntoIterator<Item = Carpnode>) -> Result<Self, Refusal> {
        let mut all = Self {
            len: 0,
            ..Self::one(Carpnode::default())
        };
        for node in list {
            all.insert(node)?;
        }
        if all.len == 0 {
            return Err(Refusal::Empty);
        }
        Ok(all)
    }

    fn insert(&mut self, node: Carpnode) -> Result<(), Refusal> {
        if node.vhid == 0 {
            return Err(Refusal::Vhid);
        }
        if node.advskew == u8::MAX {
            return Err(Refusal::Advskew);
        }
        if self.iter().any(|other| other.vhid == node.vhid) {
            return Err(Refusal::Twice(node.vhid));
        }
        if self.len == HOSTS_MAX {
            return Err(Refusal::TooMany);
        }
        // From its place on, each larger one moves up by one.
        let mut carried = node;
        for place in self.nodes.iter_mut().take(self.len) {
            if place.vhid > carried.vhid {
                core::mem::swap(place, &mut carried);
            }
        }
        if let Some(place) = self.nodes.get_mut(self.len) {
            *place = carried;
        }
        self.len = self.len.saturating_add(1);
        Ok(())
    }

    /// In ascending order of vhid.
    pub fn iter(&self) -> impl Iterator<Item = Carpnode> + '_ {
        self.nodes.iter().take(self.len).copied()
    }

    /// How many there are, never 0.
    #[must_use]
    #[allow(clippy::len_without_is_empty)]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// The lowest vhid, which makes the interface's MAC address.
    #[must_use]
    pub const fn leader(&self) -> Carpnode {
        let [first, ..] = self.nodes;
        first
    }

    /// Changes the leader's advskew, as `advskew` does without a vhid beside it.
    pub const fn set_advskew(&mut self, advskew: u8) {
        let [first, ..] = &mut self.nodes;
        first.advskew = advskew;
    }

    /// Whether the vhid is in it.
    #[must_use]
    pub fn contains(&self, vhid: u8) -> bool {
        self.iter().any(|node| node.vhid == vhid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(list: &[(u8, u8)]) -> Result<Carpnodes, Refusal> {
        Carpnodes::new(
            list.iter()
                .map(|&(vhid, advskew)| Carpnode { vhid, advskew }),
        )
    }

    fn vhids(nodes: &Carpnodes) -> Vec<u8> {
        nodes.iter().map(|node| node.vhid).collect()
    }

    #[test]
    fn the_lowest_vhid_leads_in_whatever_order_they_are_given() {
        let nodes = nodes(&[(7, 1), (3, 2), (255, 3), (5, 4), (1, 5)]).expect("a good list");
        assert_eq!(vhids(&nodes), [1, 3, 5, 7, 255]);
        assert_eq!(
            nodes.leader(),
            Carpnode {
                vhid: 1,
                advskew: 5
            }
        );
        assert_eq!(nodes.len(), 5);
        assert!(nodes.contains(7));
        assert!(!nodes.contains(2));
    }

    #[test]
    fn thirty_two_are_the_most() {
        let most: Vec<_> = (1..=32).rev().map(|vhid| (vhid, 0)).collect();
        let all = nodes(&most).expect("32 are allowed");
        assert_eq!(vhids(&all), (1..=32).collect::<Vec<u8>>());
        let more: Vec<_> = (1..=33).map(|vhid| (vhid, 0)).collect();
        assert_eq!(nodes(&more), Err(Refusal::TooMany));
    }

    #[test]
    fn what_is_refused() {
        assert_eq!(nodes(&[]), Err(Refusal::Empty));
        assert_eq!(nodes(&[(0, 0)]), Err(Refusal::Vhid));
        assert_eq!(nodes(&[(1, 255)]), Err(Refusal::Advskew));
        assert_eq!(nodes(&[(1, 0), (2, 0), (1, 9)]), Err(Refusal::Twice(1)));
    }

    #[test]
    fn advskew_without_vhid_is_the_leaders() {
        let mut nodes = nodes(&[(2, 20), (1, 10)]).expect("a good list");
        nodes.set_advskew(100);
        assert_eq!(nodes.leader().advskew, 100);
        assert_eq!(nodes.iter().last().map(|node| node.advskew), Some(20));
    }
}
