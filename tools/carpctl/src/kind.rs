// SPDX-License-Identifier: GPL-2.0

//! The kinds of link that all of this is about.

use crate::contract::{link::IFLA_CARP_CARPDEV, pfsync::IFLA_PFSYNC_SYNCDEV};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Kind {
    #[default]
    Carp,
    Pfsync,
}

impl Kind {
    pub const ALL: [Self; 2] = [Self::Carp, Self::Pfsync];

    /// As the kernel calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Carp => "carp",
            Self::Pfsync => "pfsync",
        }
    }

    /// The word for the device that it stands on, and its attribute.
    pub fn device(self) -> (&'static str, u16) {
        match self {
            Self::Carp => ("carpdev", IFLA_CARP_CARPDEV),
            Self::Pfsync => ("syncdev", IFLA_PFSYNC_SYNCDEV),
        }
    }

    /// Whether `name` is this kind's with a number, as in carp0.
    pub fn is_usual_name(self, name: &str) -> bool {
        let number = name.strip_prefix(self.name()).unwrap_or_default();
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    }

    /// Whether `name` is some kind's with a number.
    pub fn is_usual(name: &str) -> bool {
        Self::ALL.into_iter().any(|kind| kind.is_usual_name(name))
    }

    /// What an interface will be that is not there yet.
    pub fn of_name(name: &str) -> Self {
        Self::ALL
            .into_iter()
            .find(|kind| kind.is_usual_name(name))
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_name() {
        assert_eq!(Kind::of_name("pfsync0"), Kind::Pfsync);
        for name in ["carp0", "pfsync", "pfsyncx", "vip", ""] {
            assert_eq!(Kind::of_name(name), Kind::Carp, "{name}");
        }
        assert!(!Kind::Carp.is_usual_name("carp"));
        assert!(!Kind::Carp.is_usual_name("pfsync0"));
    }
}
