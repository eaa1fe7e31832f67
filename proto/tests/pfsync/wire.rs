// SPDX-License-Identifier: GPL-2.0

//! pfsync on the wire: frames, sections, messages.

use crate::common::{self, id, messages};
use carp_proto::pfsync::action::{is_unused, Action};
use carp_proto::pfsync::extra::Companion;
use carp_proto::pfsync::frame::{
    Discard, Frame, Section, Skipped, GROUP, HEADER_LEN, PROTOCOL, TTL,
};
use carp_proto::pfsync::id::StateId;
use carp_proto::pfsync::message::Message;
use carp_proto::pfsync::short::{Bulk, BulkStatus};
use carp_proto::pfsync::update::Update;
use carp_proto::pfsync::writer::{Outgoing, Writer};
use proptest::prelude::*;

/// The longest message: its length is a byte that counts words.
const MESSAGE_LEN_MAX: usize = 4 * 255;

/// A frame of these sections: action, words, count, bytes.
fn frame(sections: &[(u8, u8, u16, &[u8])]) -> Vec<u8> {
    let mut frame = vec![6, 0, 0, 0];
    frame.resize(HEADER_LEN, 0);
    for (action, words, count, bytes) in sections {
        frame.extend([*action, *words]);
        frame.extend(count.to_be_bytes());
        frame.extend(*bytes);
    }
    let len = u16::try_from(frame.len()).unwrap();
    frame[2..4].copy_from_slice(&len.to_be_bytes());
    frame
}

#[derive(Debug, PartialEq)]
enum Seen {
    Action(Action, usize),
    Skipped(Skipped),
    Fault(Discard),
}

fn seen(frame: &[u8]) -> Vec<Seen> {
    let frame = Frame::check(TTL, frame).unwrap();
    let seen = |section| match section {
        Ok(Section::Messages(messages)) => {
            let messages: carp_proto::pfsync::message::Messages<'_> = messages;
            Seen::Action(messages.action(), messages.count())
        }
        Ok(Section::Skipped(why)) => Seen::Skipped(why),
        Err(discard) => Seen::Fault(discard),
    };
    frame.sections().map(seen).collect()
}

#[test]
fn where_frames_go() {
    assert_eq!(PROTOCOL, 240);
    assert_eq!(GROUP.octets(), [224, 0, 0, 240]);
    assert_eq!(TTL, 255);
}

#[test]
fn the_ttl_is_checked_before_anything_else() {
    for ttl in [0, 1, 64, 254] {
        assert_eq!(Frame::check(ttl, &[]).err(), Some(Discard::BadTtl));
    }
    assert_eq!(Frame::check(255, &[]).err(), Some(Discard::Short));
}

#[test]
fn version_five_does_not_interoperate() {
    let mut bytes = frame(&[]);
    assert!(Frame::check(TTL, &bytes).is_ok());
    for version in [0, 2, 5, 7, 0x60] {
        bytes[0] = version;
        assert_eq!(Frame::check(TTL, &bytes).err(), Some(Discard::BadVersion));
    }
}

#[test]
fn the_length_holds_header_and_sections() {
    let mut bytes = frame(&[(2, 3, 1, &[1; 12])]);
    for len in 0..20 {
        bytes[3] = len;
        assert_eq!(Frame::check(TTL, &bytes).err(), Some(Discard::BadLength));
    }
    bytes[3] = 37;
    assert_eq!(Frame::check(TTL, &bytes).err(), Some(Discard::BadLength));
    bytes[3] = 35;
    assert_eq!(seen(&bytes), [Seen::Fault(Discard::BadLength)]);
    bytes[3] = 36;
    bytes.extend([0xff; 8]);
    assert_eq!(seen(&bytes), [Seen::Action(Action::InsertAck, 1)]);
}

#[test]
fn the_rulesets_checksum_is_of_no_meaning() {
    let mut bytes = frame(&[(2, 3, 1, &[1; 12])]);
    bytes[4..20].fill(0xaa);
    assert_eq!(Frame::check(TTL, &bytes).unwrap().ruleset(), &[0xaa; 16]);
    assert_eq!(seen(&bytes), [Seen::Action(Action::InsertAck, 1)]);
}

#[test]
fn an_unknown_action_is_skipped_unless_it_is_empty() {
    let follows: (u8, u8, u16, &[u8]) = (2, 3, 1, &[1; 12]);
    for action in [16, 17, 99, 0xc0, 0xc7, 255] {
        let skipped = frame(&[(action, 1, 2, &[0; 8]), follows]);
        assert_eq!(
            seen(&skipped),
            [
                Seen::Skipped(Skipped::Unknown),
                Seen::Action(Action::InsertAck, 1)
            ]
        );
        for (words, count) in [(0, 1), (1, 0), (0, 0)] {
            let empty = frame(&[(action, words, count, &[]), follows]);
            assert_eq!(seen(&empty), [Seen::Fault(Discard::BadAction)]);
        }
    }
}

#[test]
fn known_but_unused_actions_are_skipped_even_when_empty() {
    for action in [1, 3, 8, 9, 11, 12] {
        assert!(is_unused(action));
        for (words, count, bytes) in [(0, 1, 0), (1, 0, 0), (0, 0, 0), (1, 2, 8)] {
            let bytes = vec![0; bytes];
            let frame = frame(&[(action, words, count, &bytes), (2, 3, 1, &[1; 12])]);
            assert_eq!(
                seen(&frame),
                [
                    Seen::Skipped(Skipped::Unused),
                    Seen::Action(Action::InsertAck, 1)
                ]
            );
        }
    }
}

#[test]
fn every_action_has_its_number_and_length() {
    let table = [
        (Action::Clear, 0, 20),
        (Action::InsertAck, 2, 12),
        (Action::UpdateCompressed, 4, 84),
        (Action::Request, 5, 12),
        (Action::Delete, 6, 264),
        (Action::DeleteCompressed, 7, 12),
        (Action::Bulk, 10, 12),
        (Action::Insert, 13, 264),
        (Action::Update, 14, 264),
        (Action::Tdb, 15, 52),
    ];
    for (action, number, len) in table {
        assert_eq!(Action::new(number), Some(action));
        assert_eq!(action.message_len(), len);
        assert!(!is_unused(number));
        // as long, longer, shorter
        for (words, expected) in [
            (len / 4, Seen::Action(action, 1)),
            (len / 4 + 1, Seen::Action(action, 1)),
            (len / 4 - 1, Seen::Skipped(Skipped::TooShort)),
            (0, Seen::Skipped(Skipped::TooShort)),
        ] {
            let words = u8::try_from(words).unwrap();
            let bytes = vec![0; usize::from(words) * 4];
            let frame = frame(&[(number, words, 1, &bytes), (2, 3, 1, &[1; 12])]);
            assert_eq!(seen(&frame), [expected, Seen::Action(Action::InsertAck, 1)]);
        }
    }
    let known = (0..=255).filter_map(Action::new).count();
    assert_eq!(known, table.len() + 5, "five of Linux' own");
}

#[test]
fn our_own_actions_are_far_above_openbsds() {
    for action in [
        Action::Extra,
        Action::Expectation,
        Action::Compact,
        Action::FrameNumber,
        Action::Confirmation,
    ] {
        assert!(action as u8 > 4 * 16);
    }
}

#[test]
fn a_known_action_may_have_no_messages() {
    let frame = frame(&[(13, 66, 0, &[]), (2, 3, 1, &[1; 12])]);
    assert_eq!(
        seen(&frame),
        [
            Seen::Action(Action::Insert, 0),
            Seen::Action(Action::InsertAck, 1)
        ]
    );
}

#[test]
fn nothing_is_read_after_a_section_that_is_too_long() {
    let frame = frame(&[(2, 3, 1, &[1; 12]), (2, 3, 2, &[1; 12])]);
    assert_eq!(
        seen(&frame),
        [
            Seen::Action(Action::InsertAck, 1),
            Seen::Fault(Discard::BadLength)
        ]
    );
}

#[test]
fn fewer_bytes_than_a_section_begins_with_are_padding() {
    for padding in 1..4_u8 {
        let mut bytes = frame(&[(2, 3, 1, &[1; 12])]);
        bytes.resize(bytes.len() + usize::from(padding), 0xff);
        bytes[3] += padding;
        assert_eq!(seen(&bytes), [Seen::Action(Action::InsertAck, 1)]);
    }
}

#[test]
fn only_the_first_bus_message_of_a_section_is_read() {
    let end = Bulk::new(*b"here", BulkStatus::End).emit();
    let start = Bulk::new(*b"here", BulkStatus::Start).emit();
    let both = [start, end].concat();
    let one = frame(&[(10, 3, 2, &both)]);
    assert_eq!(seen(&one), [Seen::Action(Action::Bulk, 1)]);
    let two = frame(&[(10, 3, 1, &start), (10, 3, 1, &end)]);
    assert_eq!(messages(&two).len(), 2);
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        read(&bytes);
    }

    #[test]
    fn any_sections_are_read_without_panic(
        sections in proptest::collection::vec(
            (prop_oneof![0..20_u8, 0xc0..0xc4_u8], 0..80_u8, 0..5_u16), 0..8),
        fill in proptest::collection::vec(any::<u8>(), 1..64),
    ) {
        let bodies: Vec<Vec<u8>> = sections
            .iter()
            .map(|(_, words, count)| {
                let len = usize::from(*words) * 4 * usize::from(*count);
                fill.iter().copied().cycle().take(len).collect()
            })
            .collect();
        let sections: Vec<_> = sections
            .iter()
            .zip(&bodies)
            .map(|((action, words, count), body)| (*action, *words, *count, &body[..]))
            .collect();
        if bodies.iter().map(Vec::len).sum::<usize>() < 60_000 {
            read(&frame(&sections));
        }
    }

    #[test]
    fn states_come_back(state in common::state()) {
        let bytes = state.emit();
        let received = carp_proto::pfsync::state::Received::new(&bytes).unwrap();
        prop_assert_eq!(received.id(), state.id);
        prop_assert_eq!(received.for_insert(), Ok(state));
        let update = Update { expire: state.expire, ..state.update() };
        prop_assert_eq!(received.for_update(), Ok(update));
    }

    #[test]
    fn updates_come_back(update in common::update()) {
        prop_assert_eq!(Update::parse(&update.emit()), Ok(update));
    }

    #[test]
    fn short_messages_come_back(
        clear in common::clear(), bulk in common::bulk(), tdb in common::tdb(),
        id in common::state_id(),
    ) {
        let mut buffer = [0; 500];
        let mut writer = Writer::new(&mut buffer).unwrap();
        for message in [
            Outgoing::Clear(&clear), Outgoing::Bulk(&bulk), Outgoing::Tdb(&tdb),
            Outgoing::InsertAck(&id), Outgoing::Request(&id), Outgoing::DeleteCompressed(&id),
        ] {
            prop_assert_eq!(writer.push(message), Ok(()));
        }
        let len = writer.finish();
        let [a, b, c, d, e, f] = messages(&buffer[..len])[..] else { panic!("six messages") };
        let Message::Clear(a) = a else { panic!("CLR") };
        prop_assert_eq!(a, clear);
        let Message::Bulk(b) = b else { panic!("BUS") };
        prop_assert_eq!(b, bulk);
        let Message::Tdb(c) = c else { panic!("TDB") };
        prop_assert_eq!(c, tdb);
        prop_assert!(matches!(d, Message::InsertAck(name) if name == id));
        prop_assert!(matches!(e, Message::Request(name) if name == id));
        prop_assert!(matches!(f, Message::DeleteCompressed(name) if name == id));
    }

    #[test]
    fn what_goes_beside_a_state_comes_back(
        extra in common::extra(), id in common::state_id(), len in 0..4_usize,
    ) {
        prop_assert!(extra.message_len() <= MESSAGE_LEN_MAX);
        let mut buffer = vec![0xff; 20 + 4 + extra.message_len() + len];
        let mut writer = Writer::new(&mut buffer).unwrap();
        prop_assert_eq!(writer.push(Outgoing::Extra(&id, &extra)), Ok(()));
        let len = writer.finish();
        let messages = messages(&buffer[..len]);
        let [Message::Extra(received)] = messages[..] else { panic!("one message") };
        prop_assert_eq!(received.id(), id);
        prop_assert_eq!(received.parse(), Ok(extra));
    }

    #[test]
    fn expectations_come_back(expectation in common::expectation()) {
        let mut buffer = [0xff; 300];
        let mut writer = Writer::new(&mut buffer).unwrap();
        prop_assert_eq!(writer.push(Outgoing::Expectation(&expectation)), Ok(()));
        let len = writer.finish();
        let messages = messages(&buffer[..len]);
        let [Message::Expectation(received)] = messages[..] else { panic!("one message") };
        prop_assert_eq!(received.parse(), Ok(expectation));
    }
}

/// Reads all that can be read of any bytes.
fn read(bytes: &[u8]) {
    let Ok(frame) = Frame::check(TTL, bytes) else {
        return;
    };
    let mut companion = Companion::default();
    for section in frame.sections() {
        let Ok(Section::Messages(messages)) = section else {
            continue;
        };
        for message in messages {
            match message {
                Message::Insert(state) | Message::Update(state) => {
                    let extra = companion.take(&state.id()).ok().flatten();
                    let _ = state.for_update();
                    if let Ok(state) = state.for_insert() {
                        let _ = carp_proto::pfsync::mapping::import(&state, extra.as_ref());
                    }
                }
                Message::UpdateCompressed(bytes) => {
                    let _ = Update::parse(bytes);
                }
                Message::Extra(received) => {
                    let _ = received.parse();
                    companion.offer(received);
                }
                Message::Expectation(received) => {
                    let _ = received.parse();
                }
                Message::Request(name) => {
                    assert_eq!(name.is_everything(), name == StateId::EVERYTHING)
                }
                _ => (),
            }
        }
    }
}

#[test]
fn messages_of_one_type_share_a_section() {
    let mut buffer = [0xff; 200];
    let mut writer = Writer::new(&mut buffer).unwrap();
    assert!(writer.is_empty());
    for number in 0..3 {
        writer
            .push(Outgoing::DeleteCompressed(&id(number)))
            .unwrap();
    }
    writer.push(Outgoing::Request(&id(3))).unwrap();
    writer.push(Outgoing::DeleteCompressed(&id(4))).unwrap();
    assert!(!writer.is_empty());
    let len = writer.finish();
    assert_eq!(len, 20 + (4 + 36) + (4 + 12) + (4 + 12));
    assert_eq!(
        seen(&buffer[..len]),
        [
            Seen::Action(Action::DeleteCompressed, 3),
            Seen::Action(Action::Request, 1),
            Seen::Action(Action::DeleteCompressed, 1)
        ]
    );
    assert!(buffer[len..].iter().all(|byte| *byte == 0xff));
}
