// SPDX-License-Identifier: GPL-2.0

//! Which passphrase and which keys netstart gave to an interface last. The kernel shows none,
//! so without this each run would have to set them again, which every listener to links would
//! hear. Salted hashes are kept, in files for root alone that do not outlive a boot.

use crate::{
    auth::AuthKey,
    run_folder::{create, FOLDER},
    wanted::has_key,
};
use std::{
    fs::{self, File},
    hash::{DefaultHasher, Hasher},
    io::{self, Read, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// What files are about, in their names.
const PHRASE: &str = "phrase";
const KEYS: &str = "keys";

/// A file about one interface.
struct InterfaceFile(PathBuf);

impl InterfaceFile {
    /// Of the interface with this index in this network namespace. Nothing: that cannot be told.
    fn of(what: &str, index: u32) -> Option<Self> {
        let netns = fs::metadata("/proc/self/ns/net").ok()?.ino();
        Some(Self::at(Path::new(FOLDER), what, netns, index))
    }

    fn at(folder: &Path, what: &str, netns: u64, index: u32) -> Self {
        Self(folder.join(format!("{what}-{netns}-{index}")))
    }

    fn read(&self) -> io::Result<String> {
        fs::read_to_string(&self.0)
    }

    /// All of it at once. What cannot be kept is set again at the next run.
    fn keep(&self, text: io::Result<String>) {
        if text.and_then(|text| self.replace(&text)).is_err() {
            self.forget();
        }
    }

    fn replace(&self, text: &str) -> io::Result<()> {
        let new = self.0.with_extension("new");
        create(&new)?.write_all(text.as_bytes())?;
        fs::rename(new, &self.0)
    }

    fn forget(&self) {
        // it fails only if there is nothing to forget
        let _ = fs::remove_file(&self.0);
    }
}

/// What is known of one interface's passphrase.
pub struct Remembered(InterfaceFile);

impl Remembered {
    /// Of the interface with this index in this network namespace. Nothing: that cannot be told.
    pub fn of(index: u32) -> Option<Self> {
        InterfaceFile::of(PHRASE, index).map(Self)
    }

    fn read(&self) -> Option<(u64, u64)> {
        let text = self.0.read().ok()?;
        let (salt, hash) = text.trim().split_once(' ')?;
        Some((
            u64::from_str_radix(salt, 16).ok()?,
            u64::from_str_radix(hash, 16).ok()?,
        ))
    }

    pub fn is_some(&self) -> bool {
        self.read().is_some()
    }

    /// Whether it is this one.
    pub fn is(&self, phrase: &[u8]) -> bool {
        self.read()
            .is_some_and(|(salt, hash)| hash_of(salt, phrase) == hash)
    }

    /// From now on it is this one.
    pub fn set(&self, phrase: &[u8]) {
        if phrase.is_empty() {
            return self.forget();
        }
        let line = new_salt().map(|salt| format!("{salt:x} {:x}\n", hash_of(salt, phrase)));
        self.0.keep(line);
    }

    /// Somebody else sets it.
    pub fn forget(&self) {
        self.0.forget();
    }
}

/// The keys of one interface.
pub struct RememberedKeys(InterfaceFile);

/// A line of the file: the id of a key, a salt, and the salted hash.
type KeyLine = (u8, u64, u64);

impl RememberedKeys {
    /// Of the interface with this index in this network namespace. Nothing: that cannot be told.
    pub fn of(index: u32) -> Option<Self> {
        InterfaceFile::of(KEYS, index).map(Self)
    }

    fn read(&self) -> Vec<KeyLine> {
        let text = self.0.read().unwrap_or_default();
        let line = |line: &str| {
            let mut words = line.split(' ');
            let mut number = || u64::from_str_radix(words.next()?, 16).ok();
            Some((number()?.try_into().ok()?, number()?, number()?))
        };
        text.lines().filter_map(line).collect()
    }

    /// Whether this key was the last one of its id.
    pub fn has(&self, key: &AuthKey) -> bool {
        let is_it =
            |(id, salt, hash): &KeyLine| *id == key.id && hash_of(*salt, &key.secret) == *hash;
        self.read().iter().any(is_it)
    }

    /// Remembers these beside those of other ids.
    pub fn add(&self, keys: &[AuthKey]) {
        self.0.keep(self.lines(keys, keys));
    }

    /// Those of the ids of these are about to be replaced.
    pub fn remove(&self, keys: &[AuthKey]) {
        self.0.keep(self.lines(keys, &[]));
    }

    /// What is known of other ids than those of `old`, and of `new`.
    fn lines(&self, old: &[AuthKey], new: &[AuthKey]) -> io::Result<String> {
        let mut lines = self.read();
        lines.retain(|(id, ..)| !has_key(old, *id));
        for key in new {
            let salt = new_salt()?;
            lines.push((key.id, salt, hash_of(salt, &key.secret)));
        }
        let lines = lines.iter();
        let lines = lines.map(|(id, salt, hash)| format!("{id:x} {salt:x} {hash:x}\n"));
        Ok(Vec::from_iter(lines).concat())
    }

    pub fn forget(&self) {
        self.0.forget();
    }
}

/// What was remembered of this interface's passphrase is not to be relied on any more.
pub fn forget_phrase(index: u32) {
    if let Some(remembered) = Remembered::of(index) {
        remembered.forget();
    }
}

/// What was remembered of this interface's keys is not to be relied on any more.
pub fn forget_keys(index: u32) {
    if let Some(remembered) = RememberedKeys::of(index) {
        remembered.forget();
    }
}

fn new_salt() -> io::Result<u64> {
    let mut salt = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut salt)?;
    Ok(u64::from_ne_bytes(salt))
}

fn hash_of(salt: u64, phrase: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write_u64(salt);
    hasher.write(phrase);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_known_again() {
        let folder = std::env::temp_dir().join(format!("carpctl-keys-{}", std::process::id()));
        let key = |id, secret: &[u8]| AuthKey {
            id,
            secret: secret.to_vec(),
        };
        let it = RememberedKeys(InterfaceFile::at(&folder, KEYS, 1, 7));
        let (one, two) = (key(1, b"secret"), key(200, b"another"));
        assert!(!it.has(&one));
        it.add(&[one.clone()]);
        it.add(&[two.clone()]);
        assert!(it.has(&one) && it.has(&two));
        it.add(&[key(1, b"new")]);
        assert!(!it.has(&one) && it.has(&two) && it.has(&key(1, b"new")));
        let text = it.0.read().expect("is there");
        assert_eq!(text.lines().count(), 2);
        assert!(!text.contains("another"), "{text}");
        it.remove(&[key(1, b"any")]);
        assert!(!it.has(&key(1, b"new")) && it.has(&two));
        it.forget();
        assert!(!it.has(&two));
        fs::remove_dir(&folder).expect("is empty");
    }

    #[test]
    fn a_phrase_is_known_again() {
        let folder = std::env::temp_dir().join(format!("carpctl-{}", std::process::id()));
        let at = |index| Remembered(InterfaceFile::at(&folder, PHRASE, 1, index));
        let one = at(7);
        assert!(!one.is_some() && !one.is(b"secret"));
        one.set(b"secret");
        assert!(one.is_some() && one.is(b"secret") && !one.is(b"other"));
        assert!(!at(8).is(b"secret"));
        let text = one.0.read().expect("is there");
        assert!(!text.contains("secret"), "{text}");
        let mode = fs::metadata(&one.0 .0).expect("is there").mode();
        assert_eq!(mode & 0o777, 0o600);
        one.set(b"");
        assert!(!one.is_some());
        fs::remove_dir(&folder).expect("is empty");
    }
}
