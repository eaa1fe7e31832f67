// SPDX-License-Identifier: GPL-2.0

//! ifconfig(8)'s words for one interface, checked before anything is done.

use crate::{
    address::{looks_like_address, Action, AddressChange, AddressWords},
    attributes::{address, bytes, nest, u8},
    contract::{link::*, pfsync::*, BALANCINGS, STATES},
    error::{usage, Result},
    kind::Kind,
    phrase,
};
use netlink_packet_core::DefaultNla;
use std::{collections::HashSet, fs::File, io::Read, iter::Peekable, net::IpAddr, slice::Iter};

/// What the words of a command ask for.
#[derive(Debug, Default)]
pub struct Change {
    /// Whose words they are.
    pub kind: Kind,
    pub create: bool,
    pub destroy: bool,
    /// For IFLA_INFO_DATA, but for what is in the next three.
    pub attributes: Vec<DefaultNla>,
    /// The carpdev's or syncdev's name; `Some(None)`: none any more.
    pub device: Option<Option<String>>,
    pub join: Vec<String>,
    pub leave: Vec<String>,
    pub up: Option<bool>,
    pub lladdr: Option<[u8; 6]>,
    pub mtu: Option<u32>,
    /// All addresses of these families go.
    pub flush_ipv4: bool,
    pub flush_ipv6: bool,
    pub addresses: Vec<AddressChange>,
}

/// Reads the words that follow the name of an interface of a kind.
pub fn read(kind: Kind, words: &[String]) -> Result<Change> {
    let mut reader = Reader {
        words: words.iter().peekable(),
        said: HashSet::new(),
        change: Change {
            kind,
            ..Change::default()
        },
        addresses: Vec::new(),
        action: None,
    };
    while let Some(word) = reader.words.next() {
        reader.word(word)?;
    }
    reader.finish(words.len())
}

struct Reader<'a> {
    words: Peekable<Iter<'a, String>>,
    said: HashSet<&'static str>,
    change: Change,
    addresses: Vec<AddressWords>,
    /// What the next address is for, where that was said before it.
    action: Option<Action>,
}

impl<'a> Reader<'a> {
    fn word(&mut self, word: &str) -> Result<()> {
        match word {
            "create" => self.change.create = true,
            "destroy" => self.change.destroy = true,
            "up" | "down" => {
                self.once("up or down")?;
                self.change.up = Some(word == "up");
            }
            "mtu" => match self.value_once("mtu")?.parse() {
                Ok(mtu) => self.change.mtu = Some(mtu),
                Err(_) => return usage("mtu: a number is expected"),
            },
            _ => {
                return match self.change.kind {
                    Kind::Carp => self.carp_word(word),
                    Kind::Pfsync => self.pfsync_word(word),
                }
            }
        }
        Ok(())
    }

    fn carp_word(&mut self, word: &str) -> Result<()> {
        match word {
            "vhid" => self.number("vhid", IFLA_CARP_VHID, "1-255")?,
            "advbase" => self.number("advbase", IFLA_CARP_ADVBASE, "0-254")?,
            "advskew" => self.number("advskew", IFLA_CARP_ADVSKEW, "0-254")?,
            "minttl" => self.number("minttl", IFLA_CARP_MINTTL, "1-255")?,
            "announce" => self.number("announce", IFLA_CARP_ANNOUNCE, "0-255")?,
            "linklocal" | "-linklocal" => self.switch(word, "linklocal", IFLA_CARP_LINKLOCAL)?,
            "demoteskew" | "-demoteskew" => {
                self.switch(word, "demoteskew", IFLA_CARP_DEMOTESKEW)?;
            }
            "state" => self.choice("state", IFLA_CARP_STATE, STATES)?,
            "balancing" => self.choice("balancing", IFLA_CARP_BALANCING, BALANCINGS)?,
            "pass" => {
                let value = self.value_once("pass")?;
                self.put(bytes(IFLA_CARP_PASS, &phrase::from_word(value)?));
            }
            "passfile" => {
                self.once("pass")?;
                let file = self.value("passfile")?;
                self.put(bytes(IFLA_CARP_PASS, &phrase::from_file(file)?));
            }
            "carpdev" | "-carpdev" => self.device(word)?,
            "carpnodes" => {
                let nodes = read_nodes(self.value_once("carpnodes")?)?;
                self.put(nest(IFLA_CARP_CARPNODES, &nodes));
            }
            "carppeer" => {
                let peers = read_peers(self.value_once("carppeer")?)?;
                self.put(nest(IFLA_CARP_CARPPEERS, &peers));
            }
            "-carppeer" => {
                self.once("carppeer")?;
                self.put(nest(IFLA_CARP_CARPPEERS, &[]));
            }
            "group" => {
                let name = self.group(word)?;
                self.change.join.push(name);
            }
            "-group" => {
                let name = self.group(word)?;
                self.change.leave.push(name);
            }
            "lladdr" => self.change.lladdr = Some(read_lladdr(self.value_once("lladdr")?)?),
            _ => return self.address_word(word),
        }
        Ok(())
    }

    fn pfsync_word(&mut self, word: &str) -> Result<()> {
        match word {
            "syncdev" | "-syncdev" => self.device(word)?,
            "syncpeer" => {
                let value = self.value_once("syncpeer")?;
                let Ok(peer) = value.parse::<IpAddr>() else {
                    return usage(format!(
                        "syncpeer \"{value}\": an IPv4 or IPv6 address is expected"
                    ));
                };
                self.put(address(IFLA_PFSYNC_SYNCPEER, peer));
            }
            "-syncpeer" => {
                self.once("syncpeer")?;
                self.put(bytes(IFLA_PFSYNC_SYNCPEER, &[]));
            }
            "maxupd" => self.number("maxupd", IFLA_PFSYNC_MAXUPD, "1-255")?,
            "defer" | "-defer" => self.switch(word, "defer", IFLA_PFSYNC_DEFER)?,
            _ => return no_word(word),
        }
        Ok(())
    }

    fn address_word(&mut self, word: &str) -> Result<()> {
        match word {
            "inet" | "inet6" => self.family(word)?,
            "-inet" => self.change.flush_ipv4 = true,
            "-inet6" => self.change.flush_ipv6 = true,
            "netmask" | "prefixlen" | "broadcast" => {
                let value = self.value(word)?;
                let Some(address) = self.addresses.last_mut() else {
                    return usage(format!("{word} needs an address before it"));
                };
                match word {
                    "netmask" => address.set_netmask(value)?,
                    "prefixlen" => address.set_prefix_len(value)?,
                    _ => address.set_broadcast(value)?,
                }
            }
            "alias" => self.action(Action::Add),
            "-alias" | "delete" => self.action(Action::Remove),
            _ if looks_like_address(word) || word.contains('/') => self.address(word)?,
            _ => return no_word(word),
        }
        Ok(())
    }

    /// `alias` and its like stand before the address that they mean, or behind it.
    fn action(&mut self, action: Action) {
        let address_follows = self
            .words
            .peek()
            .is_some_and(|next| looks_like_address(next));
        match self.addresses.last_mut() {
            Some(address) if !address_follows => address.action = action,
            _ => self.action = Some(action),
        }
    }

    fn address(&mut self, word: &str) -> Result<()> {
        let action = self.action.take().unwrap_or(Action::Set);
        self.addresses.push(AddressWords::read(word, action)?);
        Ok(())
    }

    /// `inet [alias] ADDRESS`, `inet6 [alias] ADDRESS [PREFIXLEN]`.
    fn family(&mut self, family: &str) -> Result<()> {
        let mut word = self.value(family)?;
        if let "alias" | "-alias" | "delete" = word {
            self.action = Some(if word == "alias" {
                Action::Add
            } else {
                Action::Remove
            });
            word = self.value(family)?;
        }
        self.address(word)?;
        let Some(address) = self.addresses.last_mut() else {
            return Ok(());
        };
        if address.address.is_ipv6() != (family == "inet6") {
            return usage(format!("{} is not an {family} address", address.address));
        }
        let is_number = |word: &&String| word.bytes().all(|byte| byte.is_ascii_digit());
        if family == "inet6" && !address.has_prefix_len() {
            if let Some(length) = self.words.next_if(is_number) {
                address.set_prefix_len(length)?;
            }
        }
        Ok(())
    }

    fn put(&mut self, attribute: DefaultNla) {
        self.change.attributes.push(attribute);
    }

    fn once(&mut self, word: &'static str) -> Result<()> {
        if self.said.insert(word) {
            return Ok(());
        }
        usage(format!("{word} is said twice"))
    }

    fn value(&mut self, word: &str) -> Result<&'a str> {
        match self.words.next() {
            Some(value) => Ok(value),
            None => usage(format!("{word} needs a value")),
        }
    }

    fn value_once(&mut self, word: &'static str) -> Result<&'a str> {
        self.once(word)?;
        self.value(word)
    }

    /// The device that the interface stands on, with or without a minus.
    fn device(&mut self, word: &str) -> Result<()> {
        let (name, _) = self.change.kind.device();
        self.once(name)?;
        self.change.device = Some(None);
        if word == name {
            let device = self.value(name)?;
            self.change.device = Some((device != "none").then(|| device.to_owned()));
        }
        Ok(())
    }

    fn number(&mut self, word: &'static str, kind: u16, range: &str) -> Result<()> {
        let value = self.value_once(word)?;
        match read_u8(value) {
            Some(number) => self.put(u8(kind, number)),
            None => {
                return usage(format!(
                    "{word} \"{value}\": a number of {range} is expected"
                ));
            }
        }
        Ok(())
    }

    fn switch(&mut self, word: &str, name: &'static str, kind: u16) -> Result<()> {
        self.once(name)?;
        self.put(u8(kind, u8::from(word == name)));
        Ok(())
    }

    fn choice(&mut self, word: &'static str, kind: u16, names: &[&str]) -> Result<()> {
        let value = self.value_once(word)?;
        let Some(number) = names
            .iter()
            .position(|name| name.eq_ignore_ascii_case(value))
        else {
            // nobody can be set to "init"
            let names: Vec<_> = names
                .iter()
                .copied()
                .filter(|name| *name != "init")
                .collect();
            let names = names.join(", ");
            return usage(format!("{word} \"{value}\": one of {names} is expected"));
        };
        self.put(u8(kind, number as u8));
        Ok(())
    }

    fn group(&mut self, word: &str) -> Result<String> {
        let name = self.value(word)?;
        check_group(name)?;
        Ok(name.to_owned())
    }

    fn finish(mut self, words: usize) -> Result<Change> {
        if self.change.destroy && words > 1 {
            return usage("destroy stands alone");
        }
        if self.action.is_some() {
            return usage("alias, -alias and delete need an address");
        }
        // as ifconfig(8): a new IPv4 address replaces the first one that was there,
        // an IPv6 address never one
        let mut replaced = false;
        for address in self.addresses {
            let mut change = address.finish()?;
            if change.action == Action::Set {
                if change.address.is_ipv6() || replaced || self.change.flush_ipv4 {
                    change.action = Action::Add;
                } else {
                    replaced = true;
                }
            }
            self.change.addresses.push(change);
        }
        Ok(self.change)
    }
}

fn no_word<T>(word: &str) -> Result<T> {
    usage(format!("there is no word \"{word}\": see carpctl --help"))
}

/// A group's name, as far as its attribute can hold it.
pub fn check_group(name: &str) -> Result<()> {
    if name.is_empty() || name.len() > CARP_GROUP_NAME_MAX {
        return usage(format!(
            "group \"{name}\": a name of 1-{CARP_GROUP_NAME_MAX} characters is expected"
        ));
    }
    Ok(())
}

/// Decimal digits alone: no sign.
fn read_u8(word: &str) -> Option<u8> {
    word.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| word.parse().ok())
        .flatten()
}

/// `1:0,2:100`.
fn read_nodes(list: &str) -> Result<Vec<DefaultNla>> {
    let mut nodes = Vec::new();
    for pair in list.split(',') {
        let numbers = pair
            .split_once(':')
            .and_then(|(vhid, advskew)| Some((read_u8(vhid)?, read_u8(advskew)?)));
        let Some((vhid, advskew)) = numbers else {
            return usage(format!(
                "carpnodes \"{pair}\": VHID:ADVSKEW is expected, as in 1:0,2:100"
            ));
        };
        nodes.push(nest(
            CARP_NODE,
            &[u8(CARP_NODE_VHID, vhid), u8(CARP_NODE_ADVSKEW, advskew)],
        ));
    }
    if nodes.len() > CARP_NODES_MAX {
        return usage(format!(
            "carpnodes takes at most {CARP_NODES_MAX} virtual hosts"
        ));
    }
    Ok(nodes)
}

fn read_peers(list: &str) -> Result<Vec<DefaultNla>> {
    let mut peers = Vec::new();
    for word in list.split(',') {
        match word.parse::<IpAddr>() {
            Ok(peer) => peers.push(address(CARP_PEER, peer)),
            Err(_) => {
                return usage(format!(
                    "carppeer \"{word}\": an IPv4 or IPv6 address is expected"
                ));
            }
        }
    }
    if peers.len() > 2 * CARP_PEERS_MAX {
        return usage(format!(
            "carppeer takes at most {CARP_PEERS_MAX} addresses of a family"
        ));
    }
    Ok(peers)
}

/// `00:00:5e:00:01:01`, or `random`.
fn read_lladdr(word: &str) -> Result<[u8; 6]> {
    if word == "random" {
        let mut lladdr = [0; 6];
        File::open("/dev/urandom")?.read_exact(&mut lladdr)?;
        // nobody's, and not a group's
        lladdr[0] = lladdr[0] & !1 | 2;
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
