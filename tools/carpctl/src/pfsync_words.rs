// SPDX-License-Identifier: GPL-2.0

//! The words for pfsync interfaces.

use crate::{
    carp_words::{device, number, switch},
    change::Change,
    contract::pfsync::{
        IFLA_PFSYNC_BULKWAIT, IFLA_PFSYNC_DEFER, IFLA_PFSYNC_ESTABLISHED, IFLA_PFSYNC_LOCAL,
        IFLA_PFSYNC_MAXUPD,
    },
    cursor::Cursor,
    error::{usage, Result},
    kind::Kind,
    setting::Setting,
    value::Value::{self, *},
};
use std::net::IpAddr;

pub const WORDS: &[(&str, Value)] = &[
    ("syncdev", Interface),
    ("-syncdev", Nothing),
    ("syncpeer", Unlisted),
    ("-syncpeer", Nothing),
    ("maxupd", Unlisted),
    ("defer", Nothing),
    ("-defer", Nothing),
    ("local", Nothing),
    ("-local", Nothing),
    ("established", Nothing),
    ("-established", Nothing),
    ("bulkwait", Unlisted),
];

/// Whether `word` is one of these; if so it is read with its value.
pub fn word(word: &str, cursor: &mut Cursor<'_>, change: &mut Change) -> Result<bool> {
    let setting = match word {
        "syncdev" | "-syncdev" => {
            change.device = Some(device(cursor, word, Kind::Pfsync)?);
            return Ok(true);
        }
        "syncpeer" => {
            let value = cursor.value_once("syncpeer")?;
            let Ok(peer) = value.parse::<IpAddr>() else {
                return usage(format!(
                    "syncpeer \"{value}\": an IPv4 or IPv6 address is expected"
                ));
            };
            Setting::Syncpeer(Some(peer))
        }
        "-syncpeer" => {
            cursor.once("syncpeer")?;
            Setting::Syncpeer(None)
        }
        "maxupd" => number(cursor, "maxupd", IFLA_PFSYNC_MAXUPD, "1-255")?,
        "defer" | "-defer" => switch(cursor, word, "defer", IFLA_PFSYNC_DEFER)?,
        "local" | "-local" => switch(cursor, word, "local", IFLA_PFSYNC_LOCAL)?,
        "established" | "-established" => {
            switch(cursor, word, "established", IFLA_PFSYNC_ESTABLISHED)?
        }
        "bulkwait" => number(cursor, "bulkwait", IFLA_PFSYNC_BULKWAIT, "0-255")?,
        _ => return Ok(false),
    };
    change.settings.push(setting);
    Ok(true)
}
