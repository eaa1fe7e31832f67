// SPDX-License-Identifier: GPL-2.0

//! What a test says, one line at a time, in the words of `conntrack -L`:
//!
//! ```text
//! new tcp src=10.0.0.1 dst=10.0.0.2 sport=1000 dport=80 state=ESTABLISHED timeout=600
//! pass tcp src=10.0.0.1 dst=10.0.0.2 sport=1000 dport=80 end=5000,7000 [ASSURED]
//! expire tcp ...      gone tcp ...      expect tcp ... port=2000      limit 10
//! ```
//!
//! `new` is a first packet, `pass` a later one, which may change the entry; `expire` and
//! `gone` end it, `expect` has it expect another. src, dst, sport, dport may come a second
//! time: as answers look.

use super::{Entry, Memory, State};
use crate::linux::{
    adapter::{
        context::SoftirqsOff,
        table::{Expected, Plain},
    },
    bindings::{pfsync_expected, pfsync_tuple},
    counted::{blank, Token},
};
use core::net::IpAddr;
use kernel::{prelude::*, sync::atomic::Relaxed};

/// Protocols, and their numbers.
pub(super) const PROTOCOLS: [(&str, u8); 4] =
    [("icmp", 1), ("tcp", 6), ("udp", 17), ("icmpv6", 58)];

/// States of TCP, by number.
pub(super) const STATES: [&str; 10] = [
    "NONE",
    "SYN_SENT",
    "SYN_RECV",
    "ESTABLISHED",
    "FIN_WAIT",
    "CLOSE_WAIT",
    "LAST_ACK",
    "TIME_WAIT",
    "CLOSE",
    "SYN_SENT2",
];

/// Address families, as on Linux.
const FAMILIES: [u8; 2] = [2, 10];

pub(super) const SEEN_REPLY: u32 = 1 << 1;
pub(super) const ASSURED: u32 = 1 << 2;
const CONFIRMED: u32 = 1 << 3;

/// Carries a command out. Process context.
///
/// # Errors
///
/// EINVAL: it is none. ENOENT: there is no such entry. Others: it cannot be done.
pub(super) fn run(memory: &Memory, line: &str) -> Result {
    let (verb, words) = line.trim().split_once(' ').ok_or(EINVAL)?;
    if verb == "limit" {
        memory.limit.store(number(words)?, Relaxed);
        return Ok(());
    }
    let mut plain = blank();
    plain.timeout = 600;
    let port = change(&mut plain, words)?;
    if verb == "new" {
        return new(memory, &plain);
    }
    let entry = memory.find(&plain, false).ok_or(ENOENT)?;
    match verb {
        "pass" => pass(memory, &entry, words)?,
        "expire" => entry.expire_in(0),
        "gone" => memory.remove(&entry),
        "expect" => expect(&entry, port.ok_or(EINVAL)?)?,
        _ => return Err(EINVAL),
    }
    Ok(())
}

fn new(memory: &Memory, plain: &Plain) -> Result {
    let entry = memory.insert(plain, None)?;
    let packets = &memory.packets;
    let held = (memory.defer.load(Relaxed))
        .then(|| Token::new(packets.clone()))
        .flatten();
    if memory.events.created(&entry, held) {
        packets.held.add(1, Relaxed);
    }
    Ok(())
}

fn pass(memory: &Memory, entry: &Entry, words: &str) -> Result {
    let mut plain = entry.plain();
    change(&mut plain, words)?;
    entry.set(&plain);
    if memory.events.passed(entry) {
        memory.lenient.add(1, Relaxed);
    }
    Ok(())
}

fn expect(entry: &State, port: u16) -> Result {
    let plain = entry.plain();
    let expected: Expected = pfsync_expected {
        number: u32::from(port),
        family: plain.family,
        protocol: plain.protocol,
        source: plain.reply.source,
        destination: plain.reply.destination,
        mask_source: [0xff; 16],
        ids: [0, port],
        timeout: 300,
        ..Expected::default()
    };
    let _softirqs = SoftirqsOff::new();
    let mut known = entry.expected.lock();
    known.push(expected, GFP_ATOMIC)?;
    Ok(())
}

fn number<T: core::str::FromStr>(text: &str) -> Result<T> {
    text.trim().parse().map_err(|_| EINVAL)
}

fn two(text: &str) -> Result<[u32; 2]> {
    let (one, other) = text.split_once(',').ok_or(EINVAL)?;
    Ok([number(one)?, number(other)?])
}

fn text<const N: usize>(text: &str) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    let place = bytes.get_mut(..text.len()).ok_or(EINVAL)?;
    place.copy_from_slice(text.as_bytes());
    Ok(bytes)
}

/// Changes what the words say; returns the port that is expected, if they say one.
fn change(plain: &mut Plain, words: &str) -> Result<Option<u16>> {
    let mut words = words.split_ascii_whitespace();
    let protocol = words.next().ok_or(EINVAL)?;
    plain.protocol = match PROTOCOLS.iter().find(|(name, _)| *name == protocol) {
        Some((_, protocol)) => *protocol,
        None => number(protocol)?,
    };
    plain.status |= CONFIRMED | SEEN_REPLY;
    let mut port = None;
    // How often each of the four words of a tuple came.
    let mut seen = [0; 4];
    let mut which = |word: usize| {
        let count = seen.get_mut(word).ok_or(EINVAL)?;
        *count += 1;
        Ok::<_, Error>(*count > 1)
    };
    let mut is_translated = false;
    for word in words {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        let tuple_word = ["src", "dst", "sport", "dport"]
            .iter()
            .position(|word| *word == key);
        if let Some(place) = tuple_word {
            let is_reply = which(place)?;
            if is_reply && !is_translated {
                // What is not said of answers is as it is without translation.
                plain.reply = inverse(plain);
                is_translated = true;
            }
            let tuple = if is_reply {
                &mut plain.reply
            } else {
                &mut plain.original
            };
            match place {
                0 => (plain.family, tuple.source) = address(value)?,
                1 => (plain.family, tuple.destination) = address(value)?,
                2 => tuple.ids[0] = number(value)?,
                _ => tuple.ids[1] = number(value)?,
            }
            continue;
        }
        match key {
            "state" => {
                let state = STATES.iter().position(|state| *state == value);
                plain.tcp.state = state.ok_or(EINVAL)? as u8;
            }
            "timeout" => plain.timeout = number(value)?,
            "mark" => plain.mark = number(value)?,
            "zone" => plain.zone = number(value)?,
            "helper" => plain.helper = text(value)?,
            "port" => port = Some(number(value)?),
            "end" | "maxend" | "maxwin" | "maxack" => {
                for (side, value) in plain.tcp.seen.iter_mut().zip(two(value)?) {
                    match key {
                        "end" => side.end = value,
                        "maxend" => side.maxend = value,
                        "maxwin" => side.maxwin = value,
                        _ => side.maxack = value,
                    }
                }
            }
            "[ASSURED]" => plain.status |= ASSURED,
            "[UNREPLIED]" => plain.status &= !SEEN_REPLY,
            _ => return Err(EINVAL),
        }
    }
    plain.zone_directions = 3;
    if !is_translated && plain.reply.source == [0; 16] {
        plain.reply = inverse(plain);
    }
    Ok(port)
}

fn inverse(plain: &Plain) -> pfsync_tuple {
    let mut tuple = plain.original;
    core::mem::swap(&mut tuple.source, &mut tuple.destination);
    let [first, second] = tuple.ids;
    tuple.ids = match (plain.protocol, second >> 8) {
        (1, 8) => [first, 0],
        (58, 128) => [first, 129 << 8],
        (1 | 58, _) => [first, second],
        _ => [second, first],
    };
    tuple
}

fn address(value: &str) -> Result<(u8, [u8; 16])> {
    let [ipv4, ipv6] = FAMILIES;
    Ok(match number(value)? {
        IpAddr::V4(address) => {
            let mut bytes = [0; 16];
            for (to, from) in bytes.iter_mut().zip(address.octets()) {
                *to = from;
            }
            (ipv4, bytes)
        }
        IpAddr::V6(address) => (ipv6, address.octets()),
    })
}
