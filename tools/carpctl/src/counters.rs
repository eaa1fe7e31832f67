// SPDX-License-Identifier: GPL-2.0

//! Counters, under their names.

use crate::{attributes::Attributes, contract::FIRST_COUNTER};
use serde::ser::{Serialize, SerializeMap, Serializer};

/// In the kernel's order; one that the kernel does not know is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters(pub Vec<(&'static str, u64)>);

impl Counters {
    /// The counters of a nest, and what they are called.
    pub fn read(nest: Attributes<'_>, names: &[&'static str]) -> Self {
        let named = names.iter().zip(FIRST_COUNTER..);
        Self(
            named
                .filter_map(|(name, kind)| Some((*name, nest.u64(kind)?)))
                .collect(),
        )
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
