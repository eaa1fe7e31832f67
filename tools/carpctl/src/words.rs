// SPDX-License-Identifier: GPL-2.0

//! ifconfig(8)'s words for one interface, checked before anything is done.

use crate::{
    address_words::{self, Addresses},
    auth_words, carp_words,
    change::Change,
    cursor::Cursor,
    error::{usage, Result},
    kind::Kind,
    pfsync_words,
    suggest::did_you_mean,
    value::Value::{self, *},
    virtual_device,
};
use std::{fs::File, io::Read};

/// Words for interfaces of every kind.
const WORDS: &[(&str, Value)] = &[
    ("create", Nothing),
    ("destroy", Nothing),
    ("up", Nothing),
    ("down", Nothing),
    ("mtu", Unlisted),
    ("lladdr", OneOf(&["random"])),
    ("description", Unlisted),
    ("descr", Unlisted),
    ("-description", Nothing),
    ("-descr", Nothing),
];

/// The kernel's limit (IFALIASZ).
const DESCRIPTION_MAX: usize = 255;

/// Reads the words that follow the name of an interface of a kind.
pub fn read(kind: Option<Kind>, words: &[String]) -> Result<Change> {
    let mut cursor = Cursor::new(words);
    let mut change = Change {
        kind,
        ..Change::default()
    };
    let mut addresses = Addresses::default();
    let mut before = "";
    while let Some(word) = cursor.next() {
        let is_address = kind != Some(Kind::Pfsync) && address_words::is_one(word);
        // only listed words are read, so that completion knows all of them
        let is_listed = list(kind).any(|(name, _)| name == word);
        let known = (is_listed || is_address)
            && (generic_word(word, &mut cursor, &mut change)?
                || match kind {
                    Some(Kind::Carp) => carp_words::word(word, &mut cursor, &mut change)?,
                    Some(Kind::Pfsync) => pfsync_words::word(word, &mut cursor, &mut change)?,
                    None => virtual_device::word(word, &mut cursor, &mut change)?,
                }
                || match kind {
                    Some(kind) => auth_words::word(word, kind, &mut cursor, &mut change)?,
                    None => false,
                }
                || is_address && addresses.word(word, &mut cursor, &mut change)?);
        if !known {
            // part of a passphrase, which is for nobody's screen or journal
            if before == "pass" || is_glued_phrase(word) {
                return usage(
                    "after pass comes the passphrase as one word: one with spaces stands in \
                     quotation marks",
                );
            }
            return no_word(kind, word);
        }
        before = word;
    }
    if change.destroy && words.len() > 1 {
        return usage("destroy stands alone");
    }
    addresses.finish(&mut change)?;
    Ok(change)
}

/// Whether `word` is something like `pass=secret` or `passsecret`.
fn is_glued_phrase(word: &str) -> bool {
    word.strip_prefix("pass")
        .is_some_and(|rest| !rest.is_empty() && !"phrase".starts_with(rest))
}

/// Whether `word` is one for every kind of interface.
fn generic_word(word: &str, cursor: &mut Cursor<'_>, change: &mut Change) -> Result<bool> {
    match word {
        "create" => change.create = true,
        "destroy" => change.destroy = true,
        "up" | "down" => {
            cursor.once("up or down")?;
            change.up = Some(word == "up");
        }
        "mtu" => match cursor.value_once("mtu")?.parse() {
            Ok(mtu) => change.mtu = Some(mtu),
            Err(_) => return usage("mtu: a number is expected"),
        },
        "lladdr" => {
            let value = cursor.value_once("lladdr")?;
            change.lladdr = Some(read_lladdr(value)?);
            change.is_lladdr_random = value == "random";
        }
        "description" | "descr" => {
            let text = cursor.value_once("description")?;
            if text.len() > DESCRIPTION_MAX {
                return usage(format!(
                    "the description is longer than {DESCRIPTION_MAX} bytes"
                ));
            }
            change.description = Some(text.to_owned());
        }
        "-description" | "-descr" => {
            cursor.once("description")?;
            change.description = Some(String::new());
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// All words for an interface of a kind, and what follows each.
pub fn list(kind: Option<Kind>) -> impl Iterator<Item = (&'static str, Value)> {
    let of_addresses = match kind {
        Some(Kind::Pfsync) => &[],
        _ => address_words::WORDS,
    };
    let lists = [WORDS, words_of(kind), words_of_auth(kind), of_addresses];
    lists.into_iter().flatten().copied()
}

fn words_of(kind: Option<Kind>) -> &'static [(&'static str, Value)] {
    match kind {
        Some(Kind::Carp) => carp_words::WORDS,
        Some(Kind::Pfsync) => pfsync_words::WORDS,
        None => virtual_device::WORDS,
    }
}

fn words_of_auth(kind: Option<Kind>) -> &'static [(&'static str, Value)] {
    match kind {
        Some(_) => auth_words::WORDS,
        None => &[],
    }
}

fn no_word<T>(kind: Option<Kind>, word: &str) -> Result<T> {
    let has_word = |other: Kind| words_of(Some(other)).iter().any(|(name, _)| *name == word);
    let of_another = Kind::ALL
        .into_iter()
        .find(|other| Some(*other) != kind && has_word(*other));
    if let Some(other) = of_another {
        return usage(format!(
            "\"{word}\" is a word for {} interfaces only",
            other.name()
        ));
    }
    if kind == Some(Kind::Pfsync) && address_words::is_one(word) {
        return usage(format!("\"{word}\": a pfsync interface has no addresses"));
    }
    match did_you_mean(word, list(kind).map(|(name, _)| name)) {
        Some(meant) => usage(format!(
            "there is no word \"{word}\": did you mean {meant}?"
        )),
        None => usage(format!("there is no word \"{word}\": see carpctl --help")),
    }
}

/// `00:00:5e:00:01:01`, or `random`.
fn read_lladdr(word: &str) -> Result<[u8; 6]> {
    if word == "random" {
        let mut lladdr = [0; 6];
        File::open("/dev/urandom")?.read_exact(&mut lladdr)?;
        let [first, ..] = &mut lladdr;
        // administered locally, and not a group's
        *first = *first & !1 | 2;
        return Ok(lladdr);
    }
    let octets = word
        .split([':', '-'])
        .map(|octet| u8::from_str_radix(octet, 16));
    let octets: Option<Vec<_>> = octets.map(std::result::Result::ok).collect();
    match octets.and_then(|octets| octets.try_into().ok()) {
        Some(lladdr) => Ok(lladdr),
        None => usage(format!(
            "lladdr \"{word}\": six octets are expected, or random"
        )),
    }
}

#[cfg(test)]
#[path = "words_tests.rs"]
mod tests;
