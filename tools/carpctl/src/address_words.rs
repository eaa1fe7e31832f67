// SPDX-License-Identifier: GPL-2.0

//! The words for addresses: `inet 10.0.0.1 255.255.255.0 10.0.0.255`,
//! `inet6 2001:db8::1 64`, `10.0.0.1/24 alias`.

use crate::{
    address::{is_netmask, looks_like_address, Action, AddressWords},
    change::Change,
    cursor::Cursor,
    error::{usage, Result},
    value::Value::{self, *},
};
use std::net::Ipv4Addr;

pub const WORDS: &[(&str, Value)] = &[
    ("inet", OneOf(ACTIONS)),
    ("inet6", OneOf(ACTIONS)),
    ("-inet", Nothing),
    ("-inet6", Nothing),
    ("netmask", Unlisted),
    ("prefixlen", Unlisted),
    ("broadcast", Unlisted),
    ("dest", Unlisted),
    ("alias", Nothing),
    ("-alias", Nothing),
    ("delete", Nothing),
];

/// What may stand between the family and the address.
const ACTIONS: &[&str] = &["alias", "-alias", "delete"];

/// Whether `word` speaks of an address.
pub fn is_one(word: &str) -> bool {
    WORDS.iter().any(|(name, _)| *name == word) || word.contains('/') || looks_like_address(word)
}

/// The addresses of a command while its words are read.
#[derive(Default)]
pub struct Addresses {
    read: Vec<AddressWords>,
    /// What the next address is for, where that was said before it.
    action: Option<Action>,
}

impl Addresses {
    /// Whether `word` speaks of an address; if so it is read with its value.
    pub fn word(
        &mut self,
        word: &str,
        cursor: &mut Cursor<'_>,
        change: &mut Change,
    ) -> Result<bool> {
        match word {
            "inet" | "inet6" => self.family(word, cursor)?,
            "-inet" => change.flush_ipv4 = true,
            "-inet6" => change.flush_ipv6 = true,
            "netmask" | "prefixlen" | "broadcast" | "dest" => {
                let value = cursor.value(word)?;
                let Some(address) = self.read.last_mut() else {
                    return usage(format!("{word} needs an address before it"));
                };
                match word {
                    "netmask" => address.set_netmask(value)?,
                    "prefixlen" => address.set_prefix_len(value)?,
                    "dest" => address.set_dest(value)?,
                    _ => address.set_broadcast(value)?,
                }
            }
            "alias" => self.action(Action::Add, cursor),
            "-alias" | "delete" => self.action(Action::Remove, cursor),
            _ if looks_like_address(word) || word.contains('/') => {
                self.address(word)?;
                if cursor.peek().is_some_and(is_netmask) {
                    self.mask_and_broadcast(cursor)?;
                } else {
                    self.broadcast_behind_length(cursor)?;
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// `alias` and its like stand before the address that they mean, or behind it.
    fn action(&mut self, action: Action, cursor: &mut Cursor<'_>) {
        let address_follows = cursor.peek().is_some_and(looks_like_address);
        match self.read.last_mut() {
            Some(address) if !address_follows => address.action = action,
            _ => self.action = Some(action),
        }
    }

    fn address(&mut self, word: &str) -> Result<()> {
        let action = self.action.take().unwrap_or(Action::Set);
        self.read.push(AddressWords::read(word, action)?);
        Ok(())
    }

    /// `inet [alias] ADDRESS [MASK [BROADCAST|NONE]]`, `inet6 [alias] ADDRESS [PREFIXLEN]`.
    fn family(&mut self, family: &str, cursor: &mut Cursor<'_>) -> Result<()> {
        let mut word = cursor.value(family)?;
        if let "alias" | "-alias" | "delete" = word {
            self.action = Some(if word == "alias" {
                Action::Add
            } else {
                Action::Remove
            });
            word = cursor.value(family)?;
        }
        self.address(word)?;
        let Some(address) = self.read.last_mut() else {
            return Ok(());
        };
        if address.address.is_ipv6() != (family == "inet6") {
            return usage(format!("{} is not an {family} address", address.address));
        }
        if address.has_prefix_len() {
            return self.broadcast_behind_length(cursor);
        }
        if family == "inet6" {
            let is_number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
            if let Some(length) = cursor.next_if(is_number) {
                address.set_prefix_len(length)?;
            }
            return Ok(());
        }
        if cursor.peek().is_some_and(could_be_netmask) {
            self.mask_and_broadcast(cursor)?;
        }
        Ok(())
    }

    /// What follows an IPv4 address by position.
    fn mask_and_broadcast(&mut self, cursor: &mut Cursor<'_>) -> Result<()> {
        let (Some(mask), Some(address)) = (cursor.next(), self.read.last_mut()) else {
            return Ok(());
        };
        address.set_netmask(mask)?;
        if let Some(broadcast) = cursor.next_if(could_be_broadcast) {
            address.set_broadcast(broadcast)?;
        }
        Ok(())
    }

    /// Behind `10.0.0.1/24` a broadcast address can stand as behind a mask. Another word
    /// than the subnet's last address is a further address.
    fn broadcast_behind_length(&mut self, cursor: &mut Cursor<'_>) -> Result<()> {
        let Some(address) = self.read.last_mut() else {
            return Ok(());
        };
        match cursor.next_if(|word| address.may_have_broadcast(word)) {
            Some(broadcast) => address.set_broadcast(broadcast),
            None => Ok(()),
        }
    }

    /// Checks what can only be known at the end of the words.
    pub fn finish(self, change: &mut Change) -> Result<()> {
        if self.action.is_some() {
            return usage("alias, -alias and delete need an address");
        }
        // as ifconfig(8): a new IPv4 address replaces the first one that was there,
        // an IPv6 address never one
        let mut replaced = false;
        for address in self.read {
            let mut address = address.finish(change.kind)?;
            if address.action == Action::Set {
                if address.address.is_ipv6() || replaced || change.flush_ipv4 {
                    address.action = Action::Add;
                } else {
                    replaced = true;
                }
            }
            change.addresses.push(address);
        }
        Ok(())
    }
}

/// A word that stands where a netmask may stand, right or wrong.
fn could_be_netmask(word: &str) -> bool {
    word.starts_with("0x") || word.parse::<Ipv4Addr>().is_ok()
}

fn could_be_broadcast(word: &str) -> bool {
    word.eq_ignore_ascii_case("none") || word.parse::<Ipv4Addr>().is_ok()
}
