// SPDX-License-Identifier: GPL-2.0

//! Frames of pfsync with every field spelled out.

use std::net::IpAddr;

use carp_proto::pfsync::action::Action;
use carp_proto::pfsync::conntrack::{protocol, Tuple};
use carp_proto::pfsync::frame::{Discard, Frame, Section, Skipped, TTL};
use carp_proto::pfsync::id::StateId;
use carp_proto::pfsync::mapping::{export, import};
use carp_proto::pfsync::message::Message;
use carp_proto::pfsync::peer::Peer;
use carp_proto::pfsync::short::BulkStatus;
use carp_proto::pfsync::state::{address, Direction, Key, State};
use carp_proto::pfsync::tuples::inverse;
use carp_proto::pfsync::update::Update;
use carp_proto::pfsync::writer::{Outgoing, Writer};
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    valid: Vec<Valid>,
    refused: Vec<Refused>,
}

#[derive(Deserialize)]
struct Valid {
    name: String,
    frame: String,
    states: Option<Vec<TheState>>,
    updates: Option<Vec<TheUpdate>>,
    ids: Option<Vec<(String, String)>>,
    sections: Option<Vec<u8>>,
    status: Option<u8>,
    ifname: Option<String>,
    creatorid: Option<String>,
}

#[derive(Deserialize)]
struct Refused {
    name: String,
    frame: String,
    why: String,
}

#[derive(Deserialize)]
struct TheState {
    id: String,
    creatorid: String,
    ifname: String,
    key: [TheKey; 2],
    src: ThePeer,
    dst: ThePeer,
    creation: u32,
    expire: u32,
    packets: [u64; 2],
    bytes: [u64; 2],
    proto: u8,
    direction: u8,
    timeout: u8,
    state_flags: u16,
    conntrack: TheEntry,
}

#[derive(Deserialize)]
struct TheEntry {
    original: (IpAddr, u16, IpAddr, u16),
    reply: (IpAddr, u16, IpAddr, u16),
}

#[derive(Deserialize)]
struct TheKey {
    addr: [IpAddr; 2],
    port: [u16; 2],
}

#[derive(Deserialize)]
struct ThePeer {
    #[serde(default)]
    seqlo: u32,
    #[serde(default)]
    seqhi: u32,
    #[serde(default)]
    max_win: u16,
    #[serde(default)]
    mss: u16,
    state: u8,
    #[serde(default)]
    wscale: u8,
}

#[derive(Deserialize)]
struct TheUpdate {
    id: String,
    creatorid: String,
    src: ThePeer,
    dst: ThePeer,
    timeout: u8,
}

fn bytes(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
        .collect()
}

fn id(id: &str, creator: &str) -> StateId {
    StateId {
        id: bytes(id).try_into().unwrap(),
        creator: bytes(creator).try_into().unwrap(),
    }
}

fn vectors() -> Vectors {
    let vectors: Vectors = serde_json::from_str(include_str!("../../vectors/pfsync.json")).unwrap();
    assert_eq!((vectors.valid.len(), vectors.refused.len()), (20, 12));
    vectors
}

/// All messages of a frame without fault.
fn messages(frame: &[u8]) -> Vec<Message<'_>> {
    let frame = Frame::check(TTL, frame).unwrap();
    frame
        .sections()
        .filter_map(|section| match section.unwrap() {
            Section::Messages(messages) => Some(messages),
            Section::Skipped(_) => None,
        })
        .flatten()
        .collect()
}

fn same_peer(peer: &Peer, vector: &ThePeer) -> bool {
    (peer.seqlo, peer.seqhi, peer.max_win) == (vector.seqlo, vector.seqhi, vector.max_win)
        && (peer.mss, peer.state.number(), peer.wscale) == (vector.mss, vector.state, vector.wscale)
}

fn same_key(state: &State, key: &Key, vector: &TheKey) -> bool {
    key.ports == vector.port
        && key.addresses.map(|bytes| address(&bytes, state.family)) == vector.addr
}

fn check_state(state: &State, vector: &TheState, name: &str) {
    assert_eq!(state.id, id(&vector.id, &vector.creatorid), "{name}");
    assert_eq!(state.interface.name(), vector.ifname.as_bytes(), "{name}");
    assert!(same_key(state, &state.wire_key, &vector.key[0]), "{name}");
    assert!(same_key(state, &state.stack_key, &vector.key[1]), "{name}");
    assert!(same_peer(&state.src, &vector.src), "{name}");
    assert!(same_peer(&state.dst, &vector.dst), "{name}");
    assert_eq!(state.creation, vector.creation, "{name}");
    assert_eq!(state.expire, vector.expire, "{name}");
    assert_eq!(state.packets, vector.packets, "{name}");
    assert_eq!(state.bytes, vector.bytes, "{name}");
    assert_eq!(state.protocol, vector.proto, "{name}");
    assert_eq!(state.direction as u8, vector.direction, "{name}");
    assert_eq!(state.timeout.number(), vector.timeout, "{name}");
    assert_eq!(state.flags, vector.state_flags, "{name}");
    assert_ne!(state.direction, Direction::Any);
}

fn states(frame: &[u8]) -> Vec<State> {
    messages(frame)
        .into_iter()
        .filter_map(|message| match message {
            Message::Insert(state) => Some(state.for_insert().unwrap()),
            _ => None,
        })
        .collect()
}

#[test]
fn every_field_of_every_state() {
    let mut seen = 0;
    for vector in vectors().valid {
        let Some(expected) = &vector.states else {
            continue;
        };
        let frame = bytes(&vector.frame);
        let states = states(&frame);
        assert_eq!(states.len(), expected.len(), "{}", vector.name);
        for (state, expected) in states.iter().zip(expected) {
            check_state(state, expected, &vector.name);
            seen += 1;
        }
    }
    assert!(seen > 10);
}

/// A tuple as the vectors spell it: of ICMP, the type of the question stands
/// where the port of the one who is asked would.
fn spelled(tuple: &Tuple, question: bool) -> (IpAddr, u16, IpAddr, u16) {
    let [first, second] = tuple.ids;
    match (tuple.protocol, question) {
        (protocol::ICMP, true) => (tuple.source, first, tuple.destination, second >> 8),
        (protocol::ICMP, false) => {
            let asked = inverse(tuple).ids[1] >> 8;
            (tuple.source, asked, tuple.destination, first)
        }
        _ => (tuple.source, first, tuple.destination, second),
    }
}

#[test]
fn every_state_is_a_conntrack_entry_and_back() {
    let mut seen = 0;
    for vector in vectors().valid {
        let frame = bytes(&vector.frame);
        for (state, expected) in states(&frame).iter().zip(vector.states.iter().flatten()) {
            let entry = import(state, None).unwrap();
            let name = &vector.name;
            assert_eq!(
                spelled(&entry.original, true),
                expected.conntrack.original,
                "{name}"
            );
            assert_eq!(
                spelled(&entry.reply, false),
                expected.conntrack.reply,
                "{name}"
            );
            assert_eq!(entry.timeout, expected.expire, "{name}");
            assert_eq!(entry.age, expected.creation, "{name}");

            let (again, _) = export(&entry, state.id, state.direction, 0).unwrap();
            let families = (again.wire_key.family, again.stack_key.family);
            assert_eq!(families, (Some(state.family), Some(state.family)), "{name}");
            assert_eq!(again.wire_key.addresses, state.wire_key.addresses, "{name}");
            assert_eq!(
                again.stack_key.addresses, state.stack_key.addresses,
                "{name}"
            );
            assert_eq!(again.wire_key.ports, state.wire_key.ports, "{name}");
            assert_eq!(again.stack_key.ports, state.stack_key.ports, "{name}");
            assert_eq!(again.timeout, state.timeout, "{name}");
            if state.protocol == protocol::TCP {
                // the maximum segment size has no place in an entry
                let without = |peer: Peer| Peer { mss: 0, ..peer };
                assert_eq!(again.src, without(state.src), "{name}");
                assert_eq!(again.dst, without(state.dst), "{name}");
            }
            seen += 1;
        }
    }
    assert!(seen > 10);
}

fn names(frame: &[u8]) -> Vec<StateId> {
    messages(frame)
        .into_iter()
        .map(|message| match message {
            Message::InsertAck(id) | Message::Request(id) | Message::DeleteCompressed(id) => id,
            _ => panic!("a message of another kind"),
        })
        .collect()
}

#[test]
fn messages_that_are_names() {
    let mut seen = 0;
    for vector in vectors().valid {
        let Some(expected) = &vector.ids else {
            continue;
        };
        let expected: Vec<_> = expected.iter().map(|(a, b)| id(a, b)).collect();
        assert_eq!(names(&bytes(&vector.frame)), expected, "{}", vector.name);
        if vector.name == "ask for everything" {
            assert!(expected[0].is_everything());
        }
        seen += 1;
    }
    assert_eq!(seen, 3);
}

#[test]
fn compressed_updates() {
    for vector in vectors().valid {
        let Some(expected) = &vector.updates else {
            continue;
        };
        let frame = bytes(&vector.frame);
        let messages = messages(&frame);
        assert_eq!(messages.len(), expected.len());
        for (message, expected) in messages.iter().zip(expected) {
            let Message::UpdateCompressed(bytes) = message else {
                panic!("a message of another kind");
            };
            let update = Update::parse(bytes).unwrap();
            assert_eq!(update.id, id(&expected.id, &expected.creatorid));
            assert!(same_peer(&update.src, &expected.src));
            assert!(same_peer(&update.dst, &expected.dst));
            assert_eq!(update.timeout.number(), expected.timeout);
            assert_eq!(update.expire, 0);
        }
    }
}

#[test]
fn bulk_and_clear() {
    let mut seen = 0;
    for vector in vectors().valid {
        let frame = bytes(&vector.frame);
        match (vector.status, &vector.ifname) {
            (Some(status), _) => {
                let [Message::Bulk(bulk)] = messages(&frame)[..] else {
                    panic!("a message of another kind");
                };
                let expected = match status {
                    1 => BulkStatus::Start,
                    _ => BulkStatus::End,
                };
                assert_eq!((bulk.status, bulk.end_time), (expected, 0));
                seen += 1;
            }
            (None, Some(ifname)) => {
                let [Message::Clear(clear)] = messages(&frame)[..] else {
                    panic!("a message of another kind");
                };
                assert_eq!(clear.interface.name(), ifname.as_bytes());
                let creator = vector.creatorid.as_ref().unwrap();
                assert_eq!(clear.creator[..], bytes(creator));
                seen += 1;
            }
            _ => (),
        }
    }
    assert_eq!(seen, 3);
}

#[test]
fn the_order_of_sections() {
    for vector in vectors().valid {
        let Some(expected) = &vector.sections else {
            continue;
        };
        let frame = bytes(&vector.frame);
        let actions: Vec<_> = Frame::check(TTL, &frame)
            .unwrap()
            .sections()
            .map(|section| match section.unwrap() {
                Section::Messages(messages) => messages.action() as u8,
                Section::Skipped(_) => panic!("nothing to skip"),
            })
            .collect();
        assert_eq!(actions, *expected);
    }
}

#[test]
fn what_is_skipped_is_counted() {
    let skipped = |name: &str| {
        let vectors = vectors();
        let vector = vectors.valid.iter().find(|v| v.name.starts_with(name));
        let frame = bytes(&vector.unwrap().frame);
        let skipped: Vec<_> = Frame::check(TTL, &frame)
            .unwrap()
            .sections()
            .filter_map(|section| match section.unwrap() {
                Section::Messages(_) => None,
                Section::Skipped(why) => Some(why),
            })
            .collect();
        skipped
    };
    assert_eq!(skipped("an unknown action"), [Skipped::Unknown]);
    assert_eq!(skipped("a known action with too"), [Skipped::TooShort]);
    assert_eq!(skipped("a longer message"), []);
}

/// Writes all messages of a frame anew.
fn again(frame: &[u8]) -> Vec<u8> {
    let mut buffer = vec![0xff; 1480];
    let mut writer = Writer::new(&mut buffer).unwrap();
    for message in messages(frame) {
        match message {
            Message::Clear(clear) => writer.push(Outgoing::Clear(&clear)),
            Message::InsertAck(id) => writer.push(Outgoing::InsertAck(&id)),
            Message::UpdateCompressed(bytes) => {
                let update = Update::parse(bytes).unwrap();
                writer.push(Outgoing::UpdateCompressed(&update))
            }
            Message::Request(id) => writer.push(Outgoing::Request(&id)),
            Message::DeleteCompressed(id) => writer.push(Outgoing::DeleteCompressed(&id)),
            Message::Bulk(bulk) => writer.push(Outgoing::Bulk(&bulk)),
            Message::Insert(state) => {
                let state = state.for_insert().unwrap();
                writer.push(Outgoing::Insert(&state))
            }
            _ => panic!("not in the vectors"),
        }
        .unwrap();
    }
    let len = writer.finish();
    buffer.truncate(len);
    buffer
}

#[test]
fn what_was_read_is_written_the_same() {
    let mut seen = 0;
    for vector in vectors().valid {
        // these hold something that nobody would write
        let odd = ["skipped", "longer", "after"];
        if odd.iter().any(|word| vector.name.contains(word)) {
            continue;
        }
        let frame = bytes(&vector.frame);
        assert_eq!(again(&frame), frame, "{}", vector.name);
        seen += 1;
    }
    assert_eq!(seen, 16);
}

/// What is wrong with a frame, if it is the first thing.
fn fault(frame: &[u8]) -> Option<Discard> {
    let frame = match Frame::check(TTL, frame) {
        Ok(frame) => frame,
        Err(discard) => return Some(discard),
    };
    for section in frame.sections() {
        let messages = match section {
            Ok(Section::Messages(messages)) => messages,
            Ok(Section::Skipped(_)) => continue,
            Err(discard) => return Some(discard),
        };
        assert_eq!(messages.action(), Action::Insert);
        for message in messages {
            let Message::Insert(state) = message else {
                panic!("a message of another kind");
            };
            if let Err(discard) = state.for_insert() {
                return Some(discard);
            }
        }
    }
    None
}

#[test]
fn what_is_refused() {
    for vector in vectors().refused {
        let expected = match vector.why.as_str() {
            "version" => Discard::BadVersion,
            "length" => Discard::BadLength,
            "action" => Discard::BadAction,
            "import" => Discard::BadState,
            "value" => Discard::BadValue,
            "short" => Discard::Short,
            other => panic!("{other}"),
        };
        let frame = bytes(&vector.frame);
        assert_eq!(fault(&frame), Some(expected), "{}", vector.name);
    }
}
