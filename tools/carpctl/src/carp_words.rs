// SPDX-License-Identifier: GPL-2.0

//! The words for carp interfaces: OpenBSD's, and FreeBSD's for unicast.

use crate::{
    change::Change,
    contract::{link::*, settable, BALANCINGS, STATES},
    cursor::{read_u8, Cursor},
    error::{usage, Result},
    kind::Kind,
    phrase,
    setting::Setting,
    value::Value::{self, *},
};
use std::{net::IpAddr, str::FromStr};

pub const WORDS: &[(&str, Value)] = &[
    ("vhid", Unlisted),
    ("advbase", Unlisted),
    ("advskew", Unlisted),
    ("minttl", Unlisted),
    ("announce", Unlisted),
    ("linklocal", Nothing),
    ("-linklocal", Nothing),
    ("demoteskew", Nothing),
    ("-demoteskew", Nothing),
    ("state", OneOf(STATES)),
    ("balancing", OneOf(BALANCINGS)),
    ("pass", Unlisted),
    ("passfile", File),
    ("carpdev", Interface),
    ("-carpdev", Nothing),
    ("carpnodes", Unlisted),
    ("carppeer", Unlisted),
    ("-carppeer", Nothing),
    ("peer", Unlisted),
    ("peer6", Unlisted),
    ("mcast", Nothing),
    ("mcast6", Nothing),
    ("group", Group),
    ("-group", Group),
];

/// Whether `word` is one of these; if so it is read with its value.
pub fn word(word: &str, cursor: &mut Cursor<'_>, change: &mut Change) -> Result<bool> {
    let setting = match word {
        "vhid" => number(cursor, "vhid", IFLA_CARP_VHID, "1-255")?,
        "advbase" => number(cursor, "advbase", IFLA_CARP_ADVBASE, "0-254")?,
        "advskew" => number(cursor, "advskew", IFLA_CARP_ADVSKEW, "0-254")?,
        "minttl" => number(cursor, "minttl", IFLA_CARP_MINTTL, "1-255")?,
        "announce" => number(cursor, "announce", IFLA_CARP_ANNOUNCE, "0-255")?,
        "linklocal" | "-linklocal" => switch(cursor, word, "linklocal", IFLA_CARP_LINKLOCAL)?,
        "demoteskew" | "-demoteskew" => switch(cursor, word, "demoteskew", IFLA_CARP_DEMOTESKEW)?,
        "balancing" => {
            let value = choice(cursor, "balancing", BALANCINGS)?;
            let name = BALANCINGS.get(usize::from(value)).unwrap_or(&"none");
            Setting::Byte {
                attribute: IFLA_CARP_BALANCING,
                value,
                words: format!("balancing {name}"),
            }
        }
        "pass" => {
            let value = cursor.value_once("pass")?;
            Setting::Pass(phrase::from_word(value, &mut change.warnings)?)
        }
        "passfile" => {
            cursor.once("pass")?;
            let file = cursor.value("passfile")?;
            Setting::Pass(phrase::from_file(file, &mut change.warnings)?)
        }
        "carpnodes" => Setting::Nodes(read_nodes(cursor.value_once("carpnodes")?)?),
        "carppeer" => {
            claim_both_families(cursor)?;
            Setting::Peers(read_peers(cursor.value("carppeer")?)?)
        }
        "-carppeer" => {
            claim_both_families(cursor)?;
            Setting::Peers(Vec::new())
        }
        _ => return without_setting(word, cursor, change),
    };
    change.settings.push(setting);
    Ok(true)
}

/// Those that are more than an attribute with a value.
fn without_setting(word: &str, cursor: &mut Cursor<'_>, change: &mut Change) -> Result<bool> {
    match word {
        "state" => change.state = Some(choice(cursor, "state", STATES)?),
        "carpdev" | "-carpdev" => change.device = Some(device(cursor, word, Kind::Carp)?),
        "peer" => {
            cursor.once("peer, mcast or carppeer")?;
            change.peer_ipv4 = Some(Some(peer(cursor.value("peer")?, "peer", "IPv4")?));
        }
        "mcast" => {
            cursor.once("peer, mcast or carppeer")?;
            change.peer_ipv4 = Some(None);
        }
        "peer6" => {
            cursor.once("peer6, mcast6 or carppeer")?;
            change.peer_ipv6 = Some(Some(peer(cursor.value("peer6")?, "peer6", "IPv6")?));
        }
        "mcast6" => {
            cursor.once("peer6, mcast6 or carppeer")?;
            change.peer_ipv6 = Some(None);
        }
        "group" => change.join.push(group(cursor, word)?),
        "-group" => change.leave.push(group(cursor, word)?),
        _ => return Ok(false),
    }
    Ok(true)
}

/// `carppeer` speaks of all that `peer` and `peer6` speak of.
fn claim_both_families(cursor: &mut Cursor<'_>) -> Result<()> {
    cursor.once("carppeer")?;
    cursor.once("peer, mcast or carppeer")?;
    cursor.once("peer6, mcast6 or carppeer")
}

/// The device that the interface stands on, with or without a minus.
pub fn device(cursor: &mut Cursor<'_>, word: &str, kind: Kind) -> Result<Option<String>> {
    let (name, _) = kind.device();
    cursor.once(name)?;
    if word != name {
        return Ok(None);
    }
    let device = cursor.value(name)?;
    Ok((device != "none").then(|| device.to_owned()))
}

pub fn number(
    cursor: &mut Cursor<'_>,
    word: &'static str,
    attribute: u16,
    range: &str,
) -> Result<Setting> {
    let typed = cursor.value_once(word)?;
    match read_u8(typed) {
        Some(value) => Ok(Setting::Byte {
            attribute,
            value,
            words: format!("{word} {value}"),
        }),
        None => usage(format!(
            "{word} \"{typed}\": a number of {range} is expected"
        )),
    }
}

pub fn switch(
    cursor: &mut Cursor<'_>,
    word: &str,
    name: &'static str,
    attribute: u16,
) -> Result<Setting> {
    cursor.once(name)?;
    Ok(Setting::Byte {
        attribute,
        value: u8::from(word == name),
        words: word.to_owned(),
    })
}

pub fn choice(
    cursor: &mut Cursor<'_>,
    word: &'static str,
    names: &'static [&'static str],
) -> Result<u8> {
    let value = cursor.value_once(word)?;
    let found = names
        .iter()
        .position(|name| name.eq_ignore_ascii_case(value));
    match found.and_then(|number| u8::try_from(number).ok()) {
        Some(number) if settable(names).any(|name| name.eq_ignore_ascii_case(value)) => Ok(number),
        _ => {
            let names = settable(names).collect::<Vec<_>>().join(", ");
            usage(format!("{word} \"{value}\": one of {names} is expected"))
        }
    }
}

fn group(cursor: &mut Cursor<'_>, word: &str) -> Result<String> {
    let name = cursor.value(word)?;
    check_group(name)?;
    Ok(name.to_owned())
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

fn peer<T: FromStr>(value: &str, word: &str, family: &str) -> Result<T> {
    match value.parse() {
        Ok(peer) => Ok(peer),
        Err(_) => usage(format!(
            "{word} \"{value}\": an {family} address is expected"
        )),
    }
}

/// `1:0,2:100`.
fn read_nodes(list: &str) -> Result<Vec<(u8, u8)>> {
    let mut nodes = Vec::new();
    for pair in list.split(',') {
        let numbers = pair
            .split_once(':')
            .and_then(|(vhid, advskew)| Some((read_u8(vhid)?, read_u8(advskew)?)));
        let Some(node) = numbers else {
            return usage(format!(
                "carpnodes \"{pair}\": VHID:ADVSKEW is expected, as in 1:0,2:100"
            ));
        };
        nodes.push(node);
    }
    if nodes.len() > CARP_NODES_MAX {
        return usage(format!(
            "carpnodes takes at most {CARP_NODES_MAX} virtual hosts"
        ));
    }
    Ok(nodes)
}

fn read_peers(list: &str) -> Result<Vec<IpAddr>> {
    let mut peers = Vec::new();
    for word in list.split(',') {
        match word.parse::<IpAddr>() {
            Ok(peer) => peers.push(peer),
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
