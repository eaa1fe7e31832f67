// SPDX-License-Identifier: GPL-2.0

//! Authentication of whole packets: what the kernel tells of it, for all kinds of interfaces.

use crate::{
    attributes::{bytes, nest, u8, Attributes},
    contract::{link::*, name, pfsync::*, AUTHS},
    kind::Kind,
    setting::Setting,
    show::joined,
};
use netlink_packet_core::DefaultNla;
use std::fmt::{self, Write};

/// The least window by default, in seconds.
const WINDOW_LEAST: u32 = 5;

/// The attributes of a kind.
#[derive(Clone, Copy)]
pub struct Numbers {
    pub mode: u16,
    pub keys: u16,
    pub remove: u16,
    pub active: u16,
    pub window: u16,
    pub monotonic: u16,
}

const CARP: Numbers = Numbers {
    mode: IFLA_CARP_AUTH,
    keys: IFLA_CARP_AUTH_KEYS,
    remove: IFLA_CARP_AUTH_KEY_REMOVE,
    active: IFLA_CARP_AUTH_ACTIVE,
    window: IFLA_CARP_AUTH_WINDOW,
    monotonic: IFLA_CARP_AUTH_MONOTONIC,
};

const PFSYNC: Numbers = Numbers {
    mode: IFLA_PFSYNC_AUTH,
    keys: IFLA_PFSYNC_AUTH_KEYS,
    remove: IFLA_PFSYNC_AUTH_KEY_REMOVE,
    active: IFLA_PFSYNC_AUTH_ACTIVE,
    window: IFLA_PFSYNC_AUTH_WINDOW,
    monotonic: IFLA_PFSYNC_AUTH_MONOTONIC,
};

impl Numbers {
    pub fn of(kind: Kind) -> Self {
        match kind {
            Kind::Carp => CARP,
            Kind::Pfsync => PFSYNC,
        }
    }
}

/// A key that a user gives.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthKey {
    pub id: u8,
    pub secret: Vec<u8>,
}

impl AuthKey {
    /// In the nest of all keys.
    fn element(&self) -> DefaultNla {
        let inside = [
            u8(CARP_AUTH_KEY_ID, self.id),
            bytes(CARP_AUTH_KEY_SECRET, &self.secret),
        ];
        nest(CARP_AUTH_KEY, &inside)
    }
}

impl fmt::Debug for AuthKey {
    /// Never the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "authkey {} ...", self.id)
    }
}

/// The nest of keys to add; nothing if there are none.
pub fn keys_attribute(kind: Kind, keys: &[AuthKey]) -> Option<DefaultNla> {
    let elements: Vec<_> = keys.iter().map(AuthKey::element).collect();
    (!elements.is_empty()).then(|| nest(Numbers::of(kind).keys, &elements))
}

/// What an interface does. A kernel that knows nothing of it tells what is so by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Auth {
    /// enum carp_auth.
    pub mode: u8,
    /// The ids of the keys that are there.
    pub keys: Vec<u8>,
    /// The id of the key that signs; 0: none.
    pub active: u8,
    /// The window that is in force, in seconds; 0: the kernel told none.
    pub window: u32,
    pub monotonic: bool,
}

impl Auth {
    pub fn read(data: Attributes<'_>, kind: Kind) -> Self {
        let numbers = Numbers::of(kind);
        let keys = data.nest(numbers.keys).into_iter();
        let keys = keys.flat_map(|nest| nest.nests(CARP_AUTH_KEY).collect::<Vec<_>>());
        Self {
            mode: data.u8(numbers.mode).unwrap_or_default(),
            keys: keys.filter_map(|key| key.u8(CARP_AUTH_KEY_ID)).collect(),
            active: data.u8(numbers.active).unwrap_or_default(),
            window: data.u32(numbers.window).unwrap_or_default(),
            monotonic: data.u8(numbers.monotonic).is_some_and(|on| on != 0),
        }
    }

    /// Whether the interface has a setting; nothing: it is about something else.
    /// `usual` is the window by default, in seconds.
    pub fn has(&self, setting: &Setting, kind: Kind, usual: u32) -> Option<bool> {
        let numbers = Numbers::of(kind);
        let (attribute, value) = match setting {
            Setting::Byte {
                attribute, value, ..
            } => (*attribute, u32::from(*value)),
            Setting::Number {
                attribute, value, ..
            } => (*attribute, *value),
            _ => return None,
        };
        let is = if attribute == numbers.mode {
            u32::from(self.mode)
        } else if attribute == numbers.active {
            u32::from(self.active)
        } else if attribute == numbers.monotonic {
            u32::from(self.monotonic)
        } else if attribute == numbers.window {
            let is_usual = matches!(self.window, 0) || self.window == usual;
            return Some(self.window == value || value == 0 && is_usual);
        } else {
            return None;
        };
        Some(is == value)
    }

    /// As ip(8) shows it: nothing where nothing is to be seen.
    pub fn words(&self, usual: u32) -> Option<String> {
        if self.mode == 0 && self.keys.is_empty() {
            return None;
        }
        let mut words = format!("auth {}", name(AUTHS, self.mode));
        if self.active != 0 {
            let _ = write!(words, " authactive {}", self.active);
        }
        if !self.keys.is_empty() {
            let _ = write!(words, " authkeys {}", joined(&self.keys, ","));
        }
        if self.window != 0 && self.window != usual {
            let _ = write!(words, " authwindow {}", self.window);
        }
        if self.monotonic {
            words.push_str(" authmonotonic");
        }
        Some(words)
    }
}

/// The window of carp by default, in seconds: three of the longest interval.
pub fn usual_window(advbase: u8, advskew: u8) -> u32 {
    let interval = u32::from(advbase) * 256 + u32::from(advskew);
    (interval * 3)
        .div_ceil(256)
        .clamp(WINDOW_LEAST, CARP_AUTH_WINDOW_MAX)
}

/// The window of pfsync by default, in seconds.
pub const PFSYNC_WINDOW: u32 = WINDOW_LEAST;

/// What is so where nobody says anything, for hostname.if(5) files that say nothing more.
pub fn defaults(kind: Kind) -> [Setting; 4] {
    let numbers = Numbers::of(kind);
    let byte = |attribute, words: &str| Setting::Byte {
        attribute,
        value: 0,
        words: words.to_owned(),
    };
    [
        byte(numbers.mode, "auth off"),
        byte(numbers.active, "-authactive"),
        byte(numbers.monotonic, "authtime"),
        Setting::Number {
            attribute: numbers.window,
            value: 0,
            words: "authwindow 0".to_owned(),
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes::{emit, u32};

    #[test]
    fn what_the_kernel_tells() {
        let key = |id| nest(CARP_AUTH_KEY, &[u8(CARP_AUTH_KEY_ID, id)]);
        for kind in Kind::ALL {
            let numbers = Numbers::of(kind);
            let data = emit(&[
                u8(numbers.mode, 3),
                u8(numbers.active, 1),
                u32(numbers.window, 60),
                u8(numbers.monotonic, 1),
                nest(numbers.keys, &[key(1), key(2)]),
            ]);
            let auth = Auth::read(Attributes::new(&data), kind);
            let expected = Auth {
                mode: 3,
                keys: vec![1, 2],
                active: 1,
                window: 60,
                monotonic: true,
            };
            assert_eq!(auth, expected);
            let old = Auth::read(Attributes::new(&[]), kind);
            assert_eq!(old, Auth::default());
            for setting in defaults(kind) {
                assert_eq!(auth.has(&setting, kind, 5), Some(false), "{setting}");
                assert_eq!(old.has(&setting, kind, 5), Some(true), "{setting}");
            }
        }
    }

    #[test]
    fn in_words() {
        let mut auth = Auth {
            window: 5,
            ..Auth::default()
        };
        assert_eq!(auth.words(5), None);
        auth.keys = vec![1, 2];
        assert_eq!(auth.words(5).as_deref(), Some("auth off authkeys 1,2"));
        (auth.mode, auth.active, auth.monotonic) = (3, 1, true);
        let told = "auth enforce authactive 1 authkeys 1,2 authwindow 5 authmonotonic";
        assert_eq!(auth.words(6).as_deref(), Some(told));
    }

    /// As check-carp.sh has it for ip(8).
    #[test]
    fn windows() {
        for (advbase, advskew, seconds) in [
            (1, 0, 5),
            (1, 170, 5),
            (1, 171, 6),
            (2, 1, 7),
            (100, 0, 300),
            (255, 255, 300),
        ] {
            assert_eq!(
                usual_window(advbase, advskew),
                seconds,
                "{advbase} {advskew}"
            );
        }
    }

    #[test]
    fn a_key_is_not_shown() {
        let key = AuthKey {
            id: 7,
            secret: b"secret".to_vec(),
        };
        assert_eq!(format!("{key:?}"), "authkey 7 ...");
    }
}
