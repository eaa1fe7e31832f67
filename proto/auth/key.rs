// SPDX-License-Identifier: GPL-2.0

//! Keys, several at a time: a new one is added on all hosts, made active on all, and then the
//! old one is taken away.

use core::num::NonZeroU8;

/// The bytes of a key. A shorter one may be guessed, a longer one is hashed before use.
pub const KEY_LEN: core::ops::RangeInclusive<usize> = 32..=64;

/// So many keys there are at a time.
pub const KEYS_MAX: usize = 8;

/// The id of a key: 1–255, the same on all hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(NonZeroU8);

impl KeyId {
    /// The key of this id, unless it is 0.
    #[must_use]
    pub fn new(id: u8) -> Option<Self> {
        NonZeroU8::new(id).map(Self)
    }

    /// The id.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0.get()
    }
}

/// Why keys stay as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// There are [`KEYS_MAX`].
    Full,
    /// There is none of this id.
    Unknown,
    /// What is sent is signed with it.
    Active,
}

/// The keys of an interface. `K` is best a reference or a box: whatever moves a key leaves a
/// copy behind.
#[derive(Clone, Debug)]
pub struct Keys<K> {
    keys: [Option<(KeyId, K)>; KEYS_MAX],
    active: Option<KeyId>,
}

impl<K> Default for Keys<K> {
    fn default() -> Self {
        Self {
            keys: [const { None }; KEYS_MAX],
            active: None,
        }
    }
}

impl<K> Keys<K> {
    /// The key of this id.
    #[must_use]
    pub fn get(&self, id: KeyId) -> Option<&K> {
        self.iter()
            .find_map(|(other, key)| (other == id).then_some(key))
    }

    /// All of them with their ids, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (KeyId, &K)> {
        self.keys.iter().flatten().map(|(id, key)| (*id, key))
    }

    /// The one to sign with.
    #[must_use]
    pub fn active(&self) -> Option<(KeyId, &K)> {
        let id = self.active?;
        self.get(id).map(|key| (id, key))
    }

    /// Adds a key, or replaces the one of this id, which is returned.
    ///
    /// # Errors
    ///
    /// [`KeyError::Full`]
    pub fn insert(&mut self, id: KeyId, key: K) -> Result<Option<K>, KeyError> {
        let same = |slot: &Option<(KeyId, K)>| slot.as_ref().is_some_and(|(it, _)| *it == id);
        let index = self.keys.iter().position(same);
        let free = || self.keys.iter().position(Option::is_none);
        let slot = index
            .or_else(free)
            .and_then(|index| self.keys.get_mut(index))
            .ok_or(KeyError::Full)?;
        Ok(slot.replace((id, key)).map(|(_, key)| key))
    }

    /// Signs with this one from now on.
    ///
    /// # Errors
    ///
    /// [`KeyError::Unknown`]
    pub fn activate(&mut self, id: KeyId) -> Result<(), KeyError> {
        self.get(id).ok_or(KeyError::Unknown)?;
        self.active = Some(id);
        Ok(())
    }

    /// Signs with none from now on.
    pub fn deactivate(&mut self) {
        self.active = None;
    }

    /// Takes a key away.
    ///
    /// # Errors
    ///
    /// [`KeyError::Unknown`] or [`KeyError::Active`]
    pub fn remove(&mut self, id: KeyId) -> Result<K, KeyError> {
        if self.active == Some(id) {
            return Err(KeyError::Active);
        }
        let mut slots = self.keys.iter_mut();
        slots
            .find_map(|slot| slot.take_if(|(other, _)| *other == id))
            .map(|(_, key)| key)
            .ok_or(KeyError::Unknown)
    }
}
