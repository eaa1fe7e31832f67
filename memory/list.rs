// SPDX-License-Identifier: GPL-2.0

//! A table as `conntrack -L` would show it.

use super::{
    command::{ASSURED, PROTOCOLS, SEEN_REPLY, STATES},
    Memory, State,
};
use crate::linux::{adapter::context::SoftirqsOff, bindings::pfsync_tuple};
use core::{
    fmt::{Error, Result, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};
use kernel::{prelude::*, sync::atomic::Relaxed};

/// Text that grows.
pub(super) struct Text(pub(super) KVVec<u8>);

impl Write for Text {
    fn write_str(&mut self, text: &str) -> Result {
        (self.0.extend_from_slice(text.as_bytes(), GFP_KERNEL)).map_err(|_| Error)
    }
}

/// Writes down all entries of a table, and what happened to its packets.
pub(super) fn list(memory: &Memory, text: &mut Text) -> Result {
    for entry in memory.entries(0, usize::MAX) {
        if entry.is_alive() {
            show(&entry, text)?;
        }
    }
    writeln!(
        text,
        "# defer={} held={} released={} lenient={} limit={}",
        u8::from(memory.defer.load(Relaxed)),
        memory.packets.held.load(Relaxed),
        memory.packets.released.load(Relaxed),
        memory.lenient.load(Relaxed),
        memory.limit.load(Relaxed),
    )
}

fn show(entry: &State, text: &mut Text) -> Result {
    let plain = entry.plain();
    let protocol = PROTOCOLS
        .iter()
        .find(|(_, number)| *number == plain.protocol);
    let protocol = protocol.map_or("unknown", |(name, _)| name);
    write!(text, "{protocol} {} {}", plain.protocol, plain.timeout)?;
    if plain.protocol == 6 {
        let state = STATES.get(usize::from(plain.tcp.state));
        write!(text, " {}", state.unwrap_or(&"?"))?;
    }
    tuple(text, plain.family, &plain.original)?;
    if plain.status & SEEN_REPLY == 0 {
        text.write_str(" [UNREPLIED]")?;
    }
    tuple(text, plain.family, &plain.reply)?;
    if plain.status & ASSURED != 0 {
        text.write_str(" [ASSURED]")?;
    }
    write!(text, " mark={} zone={}", plain.mark, plain.zone)?;
    if plain.protocol == 6 {
        let [one, other] = &plain.tcp.seen;
        write!(text, " end={},{}", one.end, other.end)?;
        write!(text, " maxend={},{}", one.maxend, other.maxend)?;
        write!(text, " maxwin={},{}", one.maxwin, other.maxwin)?;
        write!(text, " maxack={},{}", one.maxack, other.maxack)?;
    }
    let name = plain.helper.split(|byte| *byte == 0).next();
    if let Some(Ok(name)) = name
        .map(core::str::from_utf8)
        .filter(|name| *name != Ok(""))
    {
        write!(text, " helper={name}")?;
    }
    let ports = {
        let _softirqs = SoftirqsOff::new();
        let expected = entry.expected.lock();
        let mut ports = [0; 4];
        for (to, from) in ports.iter_mut().zip(expected.iter()) {
            *to = from.ids[1];
        }
        ports
    };
    for port in ports.iter().filter(|port| **port != 0) {
        write!(text, " expects={port}")?;
    }
    if entry.master.is_some() {
        text.write_str(" [EXPECTED]")?;
    }
    text.write_str("\n")
}

fn tuple(text: &mut Text, family: u8, tuple: &pfsync_tuple) -> Result {
    let [source, destination] = [&tuple.source, &tuple.destination].map(|bytes| {
        let [a, b, c, d, ..] = *bytes;
        match family {
            2 => IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
            _ => IpAddr::V6(Ipv6Addr::from(*bytes)),
        }
    });
    let [sport, dport] = tuple.ids;
    write!(
        text,
        " src={source} dst={destination} sport={sport} dport={dport}"
    )
}
