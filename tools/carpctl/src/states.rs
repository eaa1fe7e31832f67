// SPDX-License-Identifier: GPL-2.0

//! `carpctl states`: the connections that pfsync knows of.

use crate::{
    attributes::Attributes,
    contract::states::*,
    error::{usage, Result},
    family::Family,
    output::Output,
    status::table,
};
use clap::Args;
use serde::Serialize;
use std::net::IpAddr;

/// Protocols by their names in /etc/protocols.
pub const PROTOCOLS: &[(&str, u8)] = &[
    ("icmp", 1),
    ("tcp", 6),
    ("udp", 17),
    ("dccp", 33),
    ("gre", 47),
    ("ipv6-icmp", 58),
    ("sctp", 132),
    ("udplite", 136),
];

/// Which states are shown.
#[derive(Args, Clone, Debug, Default)]
pub struct Filter {
    /// Those of which this host has seen the last packet
    #[arg(long, conflicts_with = "copies")]
    own: bool,
    /// Those of which a peer has told last
    #[arg(long)]
    copies: bool,
    /// Those that are still to be told of, or to be confirmed
    #[arg(long)]
    unconfirmed: bool,
    /// Those named by the host of this number, which is hexadecimal
    #[arg(long, value_name = "ID")]
    creatorid: Option<String>,
    /// Those of a protocol, by name or number
    #[arg(long, value_name = "PROTOCOL")]
    proto: Option<String>,
    /// Those with this address, translated or not
    #[arg(long, value_name = "ADDRESS")]
    host: Option<IpAddr>,
    /// Those with this port, translated or not
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
}

/// One direction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Tuple {
    source: IpAddr,
    source_port: u16,
    destination: IpAddr,
    destination_port: u16,
}

impl Tuple {
    fn read(nest: Attributes<'_>) -> Option<Self> {
        Some(Self {
            source: nest.address(PFSYNC_TUPLE_SOURCE)?,
            source_port: nest.u16(PFSYNC_TUPLE_SOURCE_PORT)?,
            destination: nest.address(PFSYNC_TUPLE_DESTINATION)?,
            destination_port: nest.u16(PFSYNC_TUPLE_DESTINATION_PORT)?,
        })
    }

    /// The other direction, if nothing is translated.
    fn turned(&self) -> Self {
        Self {
            source: self.destination,
            source_port: self.destination_port,
            destination: self.source,
            destination_port: self.source_port,
        }
    }
}

/// A state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct State {
    id: String,
    creatorid: String,
    /// What it is called towards pf, if that is something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    second_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    second_creatorid: Option<String>,
    protocol: String,
    original: Tuple,
    reply: Tuple,
    own: bool,
    created_here: bool,
    queued: bool,
    unconfirmed: bool,
    held: bool,
    lenient: bool,
    age: u32,
    heard: u32,
    timeout: u32,
    mark: u32,
    zone: u16,
}

impl State {
    /// Whether a peer has told of it.
    pub fn is_copy(&self) -> bool {
        !self.created_here
    }

    pub fn read(answer: Attributes<'_>) -> Option<Self> {
        let flags = answer.u32(PFSYNC_A_FLAGS)?;
        let has = |bit: u32| (flags >> bit) & 1 != 0;
        let hex = |kind| answer.get(kind).map(hex);
        Some(Self {
            id: hex(PFSYNC_A_ID)?,
            creatorid: hex(PFSYNC_A_CREATORID)?,
            second_id: hex(PFSYNC_A_SECOND_ID),
            second_creatorid: hex(PFSYNC_A_SECOND_CREATORID),
            protocol: protocol_name(answer.u8(PFSYNC_A_PROTOCOL)?),
            original: Tuple::read(answer.nest(PFSYNC_A_ORIGINAL)?)?,
            reply: Tuple::read(answer.nest(PFSYNC_A_REPLY)?)?,
            own: has(PFSYNC_STATE_OWN),
            created_here: has(PFSYNC_STATE_CREATED),
            queued: has(PFSYNC_STATE_QUEUED),
            unconfirmed: has(PFSYNC_STATE_UNCONFIRMED),
            held: has(PFSYNC_STATE_HELD),
            lenient: has(PFSYNC_STATE_LENIENT),
            age: answer.u32(PFSYNC_A_AGE).unwrap_or_default(),
            heard: answer.u32(PFSYNC_A_HEARD).unwrap_or_default(),
            timeout: answer.u32(PFSYNC_A_TIMEOUT).unwrap_or_default(),
            mark: answer.u32(PFSYNC_A_MARK).unwrap_or_default(),
            zone: answer.u16(PFSYNC_A_ZONE).unwrap_or_default(),
        })
    }

    pub fn is_translated(&self) -> bool {
        // of ICMP the two have different types
        let addresses = |tuple: &Tuple| (tuple.source, tuple.destination);
        match &*self.protocol {
            "icmp" | "ipv6-icmp" => addresses(&self.reply) != addresses(&self.original.turned()),
            _ => self.reply != self.original.turned(),
        }
    }

    /// One end of it; ICMP and GRE have no ports.
    fn end(&self, address: IpAddr, port: u16) -> String {
        match (&*self.protocol, address) {
            ("icmp" | "ipv6-icmp" | "gre", _) => address.to_string(),
            (_, IpAddr::V4(address)) => format!("{address}:{port}"),
            (_, IpAddr::V6(address)) => format!("[{address}]:{port}"),
        }
    }

    fn row(&self) -> [String; 9] {
        let Tuple {
            source,
            source_port,
            destination,
            destination_port,
        } = self.original;
        let translated = match self.is_translated() {
            false => "-".to_owned(),
            true => format!(
                "{} -> {}",
                self.end(self.reply.destination, self.reply.destination_port),
                self.end(self.reply.source, self.reply.source_port)
            ),
        };
        let told = match (self.held, self.queued, self.unconfirmed) {
            (true, ..) => "held",
            (_, true, _) => "queued",
            (_, _, true) => "unconfirmed",
            _ => "yes",
        };
        [
            self.protocol.clone(),
            self.end(source, source_port),
            self.end(destination, destination_port),
            translated,
            if self.own { "own" } else { "copy" }.to_owned(),
            told.to_owned(),
            self.age.to_string(),
            self.timeout.to_string(),
            format!("{}/{}", self.id, self.creatorid),
        ]
    }
}

impl Filter {
    /// Puts what it says into the form in which states say it.
    fn checked(mut self) -> Result<Self> {
        if let Some(creator) = &mut self.creatorid {
            let digits = creator.trim_start_matches("0x").to_lowercase();
            if digits.is_empty() || digits.len() > 8 || u32::from_str_radix(&digits, 16).is_err() {
                return usage(format!(
                    "--creatorid {creator}: a hexadecimal number of 1-8 digits is expected"
                ));
            }
            *creator = format!("{digits:0>8}");
        }
        if let Some(protocol) = &mut self.proto {
            let by_name = PROTOCOLS.iter().any(|(name, _)| name == protocol);
            if !by_name {
                let Ok(number) = protocol.parse() else {
                    let names: Vec<_> = PROTOCOLS.iter().map(|(name, _)| *name).collect();
                    return usage(format!(
                        "--proto {protocol}: {} or a number is expected",
                        names.join(", ")
                    ));
                };
                *protocol = protocol_name(number);
            }
        }
        Ok(self)
    }

    fn wants(&self, state: &State) -> bool {
        let tuples = [&state.original, &state.reply];
        let has_host = |host| {
            tuples
                .iter()
                .any(|it| it.source == host || it.destination == host)
        };
        let has_port = |port| {
            tuples
                .iter()
                .any(|it| it.source_port == port || it.destination_port == port)
        };
        (!self.own || state.own)
            && (!self.copies || !state.own)
            && (!self.unconfirmed || state.queued || state.unconfirmed)
            && (self.creatorid.as_ref()).is_none_or(|it| *it == state.creatorid)
            && (self.proto.as_ref()).is_none_or(|it| *it == state.protocol)
            && self.host.is_none_or(has_host)
            && self.port.is_none_or(has_port)
    }
}

fn protocol_name(number: u8) -> String {
    match PROTOCOLS.iter().find(|(_, known)| *known == number) {
        Some((name, _)) => (*name).to_owned(),
        None => number.to_string(),
    }
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

pub fn states(output: &mut Output, json: bool, filter: Filter) -> Result<()> {
    let filter = filter.checked()?;
    let mut states = Family::open_pfsync()?.states()?;
    states.retain(|state| filter.wants(state));
    match json {
        true => output.json(&states),
        false => output.text(&text(&states)),
    }
}

fn text(states: &[State]) -> String {
    let mut rows = vec![[
        "PROTO",
        "SOURCE",
        "DESTINATION",
        "TRANSLATED",
        "WHOSE",
        "TOLD",
        "AGE",
        "TIMEOUT",
        "ID/CREATORID",
    ]
    .map(str::to_owned)];
    rows.extend(states.iter().map(State::row));
    table(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes::{address, bytes, emit, nest, u16, u32, u8};

    fn tuple(kind: u16, source: (&str, u16), destination: (&str, u16)) -> Vec<u8> {
        let inside = [
            address(PFSYNC_TUPLE_SOURCE, source.0.parse().expect("is one")),
            address(
                PFSYNC_TUPLE_DESTINATION,
                destination.0.parse().expect("is one"),
            ),
            u16(PFSYNC_TUPLE_SOURCE_PORT, source.1),
            u16(PFSYNC_TUPLE_DESTINATION_PORT, destination.1),
        ];
        emit(&[nest(kind, &inside)])
    }

    /// A state as the kernel tells of it.
    fn state(protocol: u8, flags: u32, reply_to: (&str, u16)) -> State {
        let (client, server) = (("10.0.0.9", 4000), ("192.0.2.1", 80));
        let mut data = emit(&[
            bytes(PFSYNC_A_ID, &[0, 0, 0, 1, 2, 3, 4, 5]),
            bytes(PFSYNC_A_CREATORID, &[0xab, 0, 0, 1]),
            u32(PFSYNC_A_FLAGS, flags),
            u32(PFSYNC_A_AGE, 12),
            u32(PFSYNC_A_TIMEOUT, 300),
            u8(PFSYNC_A_PROTOCOL, protocol),
        ]);
        data.extend(tuple(PFSYNC_A_ORIGINAL, client, server));
        data.extend(tuple(PFSYNC_A_REPLY, server, reply_to));
        State::read(Attributes::new(&data)).expect("is whole")
    }

    #[test]
    fn a_table() {
        let states = [
            state(6, 0b11, ("10.0.0.9", 4000)),
            state(17, 0b1000, ("198.51.100.1", 5000)),
            state(1, 0b100, ("10.0.0.9", 7)),
        ];
        let expected = [
            "PROTO  SOURCE         DESTINATION   TRANSLATED                         WHOSE  TOLD         AGE  TIMEOUT  ID/CREATORID",
            "tcp    10.0.0.9:4000  192.0.2.1:80  -                                  own    yes          12   300      0000000102030405/ab000001",
            "udp    10.0.0.9:4000  192.0.2.1:80  198.51.100.1:5000 -> 192.0.2.1:80  copy   unconfirmed  12   300      0000000102030405/ab000001",
            "icmp   10.0.0.9       192.0.2.1     -                                  copy   queued       12   300      0000000102030405/ab000001",
        ];
        let told = text(&states);
        assert_eq!(told.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn json() {
        let told = serde_json::to_value(state(6, 0b11, ("10.0.0.9", 4000))).expect("is JSON");
        assert_eq!(told["creatorid"], "ab000001");
        assert_eq!(told["original"]["source"], "10.0.0.9");
        assert_eq!(
            (&told["own"], &told["created_here"]),
            (&true.into(), &true.into())
        );
        assert!(told.get("second_id").is_none());
    }

    #[test]
    fn what_is_not_whole_is_left_out() {
        assert_eq!(
            State::read(Attributes::new(&emit(&[u32(PFSYNC_A_FLAGS, 1)]))),
            None
        );
    }

    #[test]
    fn filters() {
        let own = state(6, 0b01, ("10.0.0.9", 4000));
        let copy = state(17, 0b1000, ("198.51.100.1", 5000));
        let chosen = |filter: Filter| {
            let filter = filter.checked().expect("is right");
            [&own, &copy].map(|state| filter.wants(state))
        };
        let all = Filter::default;
        assert_eq!(chosen(all()), [true, true]);
        for (filter, expected) in [
            (Filter { own: true, ..all() }, [true, false]),
            (
                Filter {
                    copies: true,
                    ..all()
                },
                [false, true],
            ),
            (
                Filter {
                    unconfirmed: true,
                    ..all()
                },
                [false, true],
            ),
            (
                Filter {
                    creatorid: Some("0xAB000001".into()),
                    ..all()
                },
                [true, true],
            ),
            (
                Filter {
                    creatorid: Some("1".into()),
                    ..all()
                },
                [false, false],
            ),
            (
                Filter {
                    proto: Some("tcp".into()),
                    ..all()
                },
                [true, false],
            ),
            (
                Filter {
                    proto: Some("17".into()),
                    ..all()
                },
                [false, true],
            ),
            (
                Filter {
                    host: Some([198, 51, 100, 1].into()),
                    ..all()
                },
                [false, true],
            ),
            (
                Filter {
                    port: Some(4000),
                    ..all()
                },
                [true, true],
            ),
            (
                Filter {
                    port: Some(5000),
                    ..all()
                },
                [false, true],
            ),
        ] {
            let words = format!("{filter:?}");
            assert_eq!(chosen(filter), expected, "{words}");
        }
        for filter in [
            Filter {
                creatorid: Some("123456789".into()),
                ..all()
            },
            Filter {
                creatorid: Some("peer".into()),
                ..all()
            },
            Filter {
                proto: Some("tpc".into()),
                ..all()
            },
            Filter {
                proto: Some("256".into()),
                ..all()
            },
        ] {
            assert_eq!(filter.checked().expect_err("is wrong").exit_status(), 2);
        }
    }
}
