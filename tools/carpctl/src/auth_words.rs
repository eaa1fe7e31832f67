// SPDX-License-Identifier: GPL-2.0

//! The words of authentication of whole packets, for carp and pfsync interfaces.

use crate::{
    auth::{AuthKey, Numbers},
    carp_words::{choice, number},
    change::Change,
    contract::{link::CARP_AUTH_WINDOW_MAX, AUTHS},
    cursor::{read_u8, Cursor},
    error::{usage, Result},
    key_file,
    kind::Kind,
    setting::Setting,
    value::Value::{self, *},
    wanted::has_key,
};

pub const WORDS: &[(&str, Value)] = &[
    ("auth", OneOf(AUTHS)),
    ("authkey", UnlistedAndFile),
    ("-authkey", Unlisted),
    ("authactive", Unlisted),
    ("-authactive", Nothing),
    ("authwindow", Unlisted),
    ("authtime", Nothing),
    ("authmonotonic", Nothing),
];

const ID_RANGE: &str = "1-255";

/// Whether `word` is one of these; if so it is read with its value.
pub fn word(word: &str, kind: Kind, cursor: &mut Cursor<'_>, change: &mut Change) -> Result<bool> {
    let numbers = Numbers::of(kind);
    let setting = match word {
        "auth" => {
            let value = choice(cursor, "auth", AUTHS)?;
            let name = AUTHS.get(usize::from(value)).unwrap_or(&"off");
            Setting::Byte {
                attribute: numbers.mode,
                value,
                words: format!("auth {name}"),
            }
        }
        "authactive" => number(cursor, "authactive", numbers.active, ID_RANGE)?,
        "-authactive" => {
            cursor.once("authactive")?;
            Setting::Byte {
                attribute: numbers.active,
                value: 0,
                words: word.to_owned(),
            }
        }
        "authwindow" => window(cursor, numbers.window)?,
        "authtime" | "authmonotonic" => {
            cursor.once("authtime or authmonotonic")?;
            Setting::Byte {
                attribute: numbers.monotonic,
                value: u8::from(word == "authmonotonic"),
                words: word.to_owned(),
            }
        }
        "authkey" => {
            let id = read_id(cursor, word)?;
            if has_key(&change.auth_keys, id) {
                return usage(format!("authkey {id} is said twice"));
            }
            let file = cursor.value(&format!("authkey {id}"))?;
            let secret = key_file::read(file, &mut change.warnings)?;
            change.auth_keys.push(AuthKey { id, secret });
            return Ok(true);
        }
        "-authkey" => {
            change.lost_keys.push(read_id(cursor, word)?);
            return Ok(true);
        }
        _ => return Ok(false),
    };
    change.settings.push(setting);
    Ok(true)
}

fn read_id(cursor: &mut Cursor<'_>, word: &str) -> Result<u8> {
    let typed = cursor.value(word)?;
    match read_u8(typed) {
        Some(id) => Ok(id),
        None => usage(format!(
            "{word} \"{typed}\": a number of {ID_RANGE} is expected"
        )),
    }
}

fn window(cursor: &mut Cursor<'_>, attribute: u16) -> Result<Setting> {
    let typed = cursor.value_once("authwindow")?;
    let is_number = typed.bytes().all(|byte| byte.is_ascii_digit());
    match typed.parse().ok().filter(|_| is_number) {
        Some(value) => Ok(Setting::Number {
            attribute,
            value,
            words: format!("authwindow {value}"),
        }),
        None => usage(format!(
            "authwindow \"{typed}\": a number of 1-{CARP_AUTH_WINDOW_MAX} is expected, or 0 for \
             the default"
        )),
    }
}
