// SPDX-License-Identifier: GPL-2.0

//! Counters, under their names.

use crate::{
    attributes::Attributes,
    contract::{family::*, COUNTERS, FIRST_COUNTER},
};
use serde::ser::{Serialize, SerializeMap, Serializer};

/// In the kernel's order; one that the kernel does not know is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters(pub Vec<(&'static str, u64)>);

impl Counters {
    /// The counters of a nest, and what they are called.
    pub fn read(nest: Attributes<'_>, names: &[&'static str]) -> Self {
        let named = nest.u64s().filter_map(|(kind, value)| {
            let place = kind.checked_sub(FIRST_COUNTER)?;
            Some((*names.get(usize::from(place))?, value))
        });
        Self(named.collect())
    }

    /// The counter of this name. `number` is its place in the list of names, where it is
    /// found at once if the kernel knows all before it.
    pub fn get(&self, number: usize, name: &str) -> Option<u64> {
        let is_it = |counter: &&(&str, u64)| counter.0 == name;
        let there = self.0.get(number).filter(is_it);
        let found = there.or_else(|| self.0.iter().find(is_it));
        found.map(|(_, value)| *value)
    }
}

/// Those of a carp interface that are not 0, of CARP_CMD_STATS_GET.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceCounters {
    pub ifname: String,
    pub ifindex: u32,
    pub counters: Counters,
}

impl InterfaceCounters {
    pub fn read(answer: Attributes<'_>) -> Option<Self> {
        Some(Self {
            ifname: answer.text(CARP_A_IFNAME)?,
            ifindex: answer.u32(CARP_A_IFINDEX)?,
            counters: Counters::read(answer.nest(CARP_A_STATS)?, COUNTERS),
        })
    }
}

impl Serialize for Counters {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}
