// SPDX-License-Identifier: GPL-2.0

//! What the administrator asks for authentication of whole packets: read and checked, for
//! all link kinds that have it.

use super::switch::read_switch;
use crate::{
    linux::{
        bindings,
        crypto::HmacSha256Key,
        netlink::{attribute_size, Attributes, Elements, Extack, Message},
    },
    proto::{
        auth::{
            freshness::{Freshness, Window},
            key::{KeyId, Keys, KEYS_MAX, KEY_LEN},
            mode::Mode,
        },
        carp::time::Interval,
    },
};
use kernel::prelude::*;

/// The numbers of the attributes in a link kind's contract.
pub(crate) struct Numbers {
    pub(crate) mode: u32,
    pub(crate) keys: u32,
    pub(crate) remove: u32,
    pub(crate) active: u32,
    pub(crate) window: u32,
    pub(crate) monotonic: u32,
}

impl Numbers {
    /// The bytes of what [`Self::fill`] shows, for this many keys.
    pub(crate) fn size(&self, keys: usize) -> usize {
        let key = [0, 1].into_iter().map(attribute_size).sum::<usize>();
        let values: usize = [1, 1, 4, 1, 0].into_iter().map(attribute_size).sum();
        values.saturating_add(keys.saturating_mul(key))
    }

    /// Shows authentication: never what is secret of a key. `keys`: those that there are, if
    /// there has been one.
    ///
    /// # Errors
    ///
    /// The message is full.
    pub(crate) fn fill<K>(
        &self,
        settings: &AuthSettings,
        window: Window,
        keys: Option<&Keys<K>>,
        message: &mut Message<'_>,
    ) -> Result {
        message.u8(self.mode, settings.mode as u8)?;
        message.u8(self.monotonic, u8::from(settings.monotonic))?;
        message.u32(self.window, u32::from(window.seconds()))?;
        let Some(keys) = keys else {
            return Ok(());
        };
        if let Some((active, _)) = keys.active() {
            message.u8(self.active, active.get())?;
        }
        message.nest(self.keys, |message| {
            keys.iter().try_for_each(|(id, _)| {
                message.nest(bindings::CARP_AUTH_KEY, |message| {
                    message.u8(bindings::CARP_AUTH_KEY_ID, id.get())
                })
            })
        })
    }
}

/// What was chosen, apart from keys.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct AuthSettings {
    /// How far it is rolled out.
    pub(crate) mode: Mode,
    /// The window, if it is not the default.
    pub(crate) window: Option<Window>,
    /// Whether numbers must grow, whatever the clock says.
    pub(crate) monotonic: bool,
}

impl AuthSettings {
    /// Off.
    pub(crate) const DEFAULT: Self = Self {
        mode: Mode::Off,
        window: None,
        monotonic: false,
    };

    /// The window that is in force where packets come at this interval.
    pub(crate) fn window(&self, interval: Interval) -> Window {
        self.window.unwrap_or_else(|| Window::default_for(interval))
    }

    /// By what packets are told from recordings.
    pub(crate) fn freshness(&self, interval: Interval) -> Freshness {
        match self.monotonic {
            true => Freshness::Monotonic,
            false => Freshness::Time(self.window(interval)),
        }
    }
}

/// A change that was asked for; nothing means: as it is.
pub(crate) struct AuthChange {
    mode: Option<Mode>,
    window: Option<Option<Window>>,
    monotonic: Option<bool>,
    /// Keys to add, or to replace.
    add: KVec<(KeyId, HmacSha256Key)>,
    /// A key to remove.
    remove: Option<KeyId>,
    /// The key that is to sign; `Some(None)`: none any more.
    active: Option<Option<KeyId>>,
}

impl AuthChange {
    /// Reads and checks the values by themselves. Process context, may sleep.
    ///
    /// # Errors
    ///
    /// In words: a value is wrong. Out of memory.
    pub(crate) fn read(
        data: &Attributes<'_>,
        numbers: &Numbers,
        extack: &Extack<'_>,
    ) -> Result<Self> {
        let mode = data.u8(numbers.mode).map(|mode| {
            Mode::new(mode).ok_or_else(|| {
                extack.error(
                    EINVAL,
                    format_args!("auth must be off, receive, permissive or enforce"),
                )
            })
        });
        let window = data.u32(numbers.window).map(|seconds| match seconds {
            0 => Ok(None),
            seconds => Window::new(seconds).map(Some).ok_or_else(|| {
                extack.error(
                    EINVAL,
                    format_args!(
                        "authwindow must be {}-{} seconds, or 0 for the default",
                        Window::MIN,
                        Window::MAX
                    ),
                )
            }),
        });
        let remove = data.u8(numbers.remove).map(|id| read_id(id, extack));
        Ok(Self {
            mode: mode.transpose()?,
            window: window.transpose()?,
            monotonic: read_switch(data.u8(numbers.monotonic), "authmonotonic", extack)?,
            add: match data.each(numbers.keys) {
                Some(keys) => read_keys(keys, extack)?,
                None => KVec::new(),
            },
            remove: remove.transpose()?,
            active: data.u8(numbers.active).map(KeyId::new),
        })
    }

    /// Whether keys come with it.
    pub(crate) fn adds_keys(&self) -> bool {
        !self.add.is_empty()
    }

    /// Carries it out on keys with which it was checked, so that no step fails.
    pub(crate) fn change_keys(self, keys: &mut Keys<HmacSha256Key>) {
        for (id, key) in self.add {
            let _ = keys.insert(id, key);
        }
        match self.active {
            Some(Some(id)) => {
                let _ = keys.activate(id);
            }
            Some(None) => keys.deactivate(),
            None => {}
        }
        if let Some(id) = self.remove {
            let _ = keys.remove(id);
        }
    }

    /// What is to hold, beginning from what holds.
    pub(crate) fn apply_to(&self, old: AuthSettings) -> AuthSettings {
        AuthSettings {
            mode: self.mode.unwrap_or(old.mode),
            window: self.window.unwrap_or(old.window),
            monotonic: self.monotonic.unwrap_or(old.monotonic),
        }
    }

    /// Whether the change goes together with the keys that there are. First keys are added,
    /// then one becomes the active one, then one is removed.
    ///
    /// # Errors
    ///
    /// In words: it does not.
    pub(crate) fn check<K>(
        &self,
        new: &AuthSettings,
        keys: Option<&Keys<K>>,
        extack: &Extack<'_>,
    ) -> Result {
        let held = |id| keys.is_some_and(|keys| keys.get(id).is_some());
        let is_there = |id| held(id) || self.add.iter().any(|(other, _)| *other == id);
        let before = keys.map_or(0, |keys| keys.iter().count());
        let added = self.add.iter().filter(|(id, _)| !held(*id)).count();
        let count = before.saturating_add(added);
        if count > KEYS_MAX {
            return Err(too_many(extack));
        }
        let active = match self.active {
            Some(active) => active,
            None => keys.and_then(Keys::active).map(|(id, _)| id),
        };
        let unknown = |word: &str, id: KeyId| {
            let id = id.get();
            Err(extack.error(ENOENT, format_args!("{word}: there is no authkey {id}")))
        };
        match (active, self.remove) {
            (Some(id), _) if !is_there(id) => return unknown("authactive", id),
            (_, Some(id)) if !is_there(id) => return unknown("-authkey", id),
            (Some(active), Some(id)) if active == id => {
                return Err(extack.error(
                    EBUSY,
                    format_args!(
                        "authkey {} is the active one: make another active first",
                        id.get()
                    ),
                ));
            }
            _ => {}
        }
        let left = count.saturating_sub(usize::from(self.remove.is_some()));
        if new.mode.sends() && active.is_none() {
            return Err(extack.error(
                EINVAL,
                format_args!("auth permissive and enforce need an active key: authactive"),
            ));
        }
        if new.mode.examines() && left == 0 {
            return Err(extack.error(EINVAL, format_args!("auth receive needs a key: authkey")));
        }
        Ok(())
    }
}

fn too_many(extack: &Extack<'_>) -> Error {
    extack.error(
        ENOSPC,
        format_args!("an interface has at most {} authkeys", KEYS_MAX),
    )
}

fn read_id(id: u8, extack: &Extack<'_>) -> Result<KeyId> {
    KeyId::new(id)
        .ok_or_else(|| extack.error(EINVAL, format_args!("the id of an authkey is 1-255")))
}

fn read_keys(keys: Elements<'_>, extack: &Extack<'_>) -> Result<KVec<(KeyId, HmacSha256Key)>> {
    let malformed = || extack.error(EINVAL, format_args!("authkey: malformed list"));
    if !keys.is_whole() {
        return Err(malformed());
    }
    let mut list = KVec::new();
    for element in keys {
        let (mut id, mut secret) = (None, None);
        let attributes = Elements::new(element.bytes);
        if element.kind != bindings::CARP_AUTH_KEY || !attributes.is_whole() {
            return Err(malformed());
        }
        for attribute in attributes {
            match (attribute.kind, attribute.bytes) {
                (bindings::CARP_AUTH_KEY_ID, [byte]) => id = Some(read_id(*byte, extack)?),
                (bindings::CARP_AUTH_KEY_SECRET, bytes) => secret = Some(bytes),
                _ => return Err(malformed()),
            }
        }
        let (Some(id), Some(secret)) = (id, secret) else {
            return Err(malformed());
        };
        if !KEY_LEN.contains(&secret.len()) {
            return Err(extack.error(
                EINVAL,
                format_args!(
                    "authkey {}: a key has {}-{} bytes, not {}",
                    id.get(),
                    KEY_LEN.start(),
                    KEY_LEN.end(),
                    secret.len()
                ),
            ));
        }
        if list.iter().any(|(other, _)| *other == id) {
            return Err(extack.error(EINVAL, format_args!("authkey {} occurs twice", id.get())));
        }
        // A list that does not fit is refused before it costs memory.
        if list.len() == KEYS_MAX {
            return Err(too_many(extack));
        }
        list.push((id, HmacSha256Key::new(secret)?), GFP_KERNEL_ACCOUNT)?;
    }
    Ok(list)
}
