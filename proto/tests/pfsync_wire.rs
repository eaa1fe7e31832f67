// SPDX-License-Identifier: GPL-2.0

//! pfsync on the wire: frames, sections, messages.

mod pfsync;

use carp_proto::pfsync::action::{is_unused, Action};
use carp_proto::pfsync::extra::Companion;
use carp_proto::pfsync::frame::{
    Discard, Frame, Section, Skipped, GROUP, HEADER_LEN, MESSAGE_LEN_MAX, PROTOCOL, TTL,
};
use carp_proto::pfsync::id::StateId;
use carp_proto::pfsync::message::Message;
use carp_proto::pfsync::peer::PeerState;
use carp_proto::pfsync::short::{Bulk, BulkStatus};
use carp_proto::pfsync::state::{InterfaceName, State, FLAG_ACK, FLAG_NO_SYNC, FLAG_SLOPPY};
use carp_proto::pfsync::timeout::Timeout;
use carp_proto::pfsync::update::Update;
use carp_proto::pfsync::writer::{Full, Outgoing, Writer};
use pfsync::{id, messages};
use proptest::prelude::*;

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
    for action in [16, 17, 99, 0xc0, 0xc3, 255] {
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
    assert_eq!(known, table.len() + 2, "two of Linux' own");
}

#[test]
fn our_own_actions_are_far_above_openbsds() {
    for action in [Action::Extra, Action::Expectation] {
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

#[test]
fn the_flags_are_openbsds() {
    assert_eq!((FLAG_SLOPPY, FLAG_NO_SYNC, FLAG_ACK), (2, 8, 0x10));
}

#[test]
fn defaults_of_timeout_classes() {
    let seconds = [120, 30, 86400, 900, 45, 90, 60, 30, 60, 20, 10, 60, 30, 60];
    for (number, seconds) in (0..).zip(seconds) {
        assert_eq!(Timeout::new(number).unwrap().default_seconds(), seconds);
    }
    assert!(Timeout::new(19).is_some());
    assert_eq!(Timeout::new(20), None);
    assert_eq!(PeerState::new(13), None);
}

/// Any state, as bytes, changed.
fn state_bytes(change: impl FnOnce(&mut [u8; 264])) -> [u8; 264] {
    let entry = pfsync::tcp_entry(carp_proto::pfsync::conntrack::TcpState::Established);
    let out = carp_proto::pfsync::state::Direction::Out;
    let exported = carp_proto::pfsync::mapping::export(&entry, id(1), out, 0);
    let mut bytes = exported.unwrap().0.emit();
    change(&mut bytes);
    bytes
}

fn for_insert(bytes: &[u8; 264]) -> Option<Discard> {
    let received = carp_proto::pfsync::state::Received::new(bytes).unwrap();
    received.for_insert().err()
}

fn for_update(bytes: &[u8; 264]) -> Option<Discard> {
    let received = carp_proto::pfsync::state::Received::new(bytes).unwrap();
    received.for_update().err()
}

#[test]
fn what_insert_and_update_check() {
    // timeout class over 19, a peer's state over 12: both
    for (at, good, bad) in [
        (255, 19, 20),
        (255, 19, 21),
        (104 + 24, 12, 13),
        (136 + 24, 12, 13),
    ] {
        let bytes = state_bytes(|bytes| bytes[at] = good);
        assert_eq!((for_insert(&bytes), for_update(&bytes)), (None, None));
        let bytes = state_bytes(|bytes| bytes[at] = bad);
        let expected = Some(Discard::BadValue);
        assert_eq!(
            (for_insert(&bytes), for_update(&bytes)),
            (expected, expected)
        );
    }
    // direction over 2, a family that is neither 2 nor 24, key families: insert
    for (at, bad) in [
        (252, 3),
        (250, 0),
        (250, 10),
        (250, 30),
        (24 + 38, 10),
        (64 + 38, 0),
    ] {
        let bytes = state_bytes(|bytes| bytes[at] = bad);
        assert_eq!(for_insert(&bytes), Some(Discard::BadValue), "{at}");
        assert_eq!(for_update(&bytes), None);
    }
    let zeroes = state_bytes(|bytes| (bytes[24 + 38], bytes[64 + 38]) = (0, 0));
    assert_eq!(for_insert(&zeroes), None);
    // no creator: nothing can be taken over
    let nobody = state_bytes(|bytes| bytes[236..240].fill(0));
    assert_eq!(for_insert(&nobody), Some(Discard::BadState));
    assert_eq!(for_update(&nobody), None);
}

#[test]
fn a_compressed_update_checks_class_and_peers() {
    let bytes = state_bytes(|_| ());
    let received = carp_proto::pfsync::state::Received::new(&bytes).unwrap();
    let good = received.for_insert().unwrap().update().emit();
    assert!(Update::parse(&good).is_ok());
    for (at, value) in [(80, 20), (8 + 24, 13), (40 + 24, 13)] {
        let mut bad = good;
        bad[at] = value;
        assert_eq!(Update::parse(&bad), Err(Discard::BadValue));
    }
}

#[test]
fn of_a_state_to_be_deleted_only_the_name_counts() {
    let junk = state_bytes(|bytes| {
        let id: [u8; 8] = bytes[..8].try_into().unwrap();
        bytes[8..236].fill(0xff);
        bytes[240..].fill(0xff);
        bytes[..8].copy_from_slice(&id);
    });
    let frame = frame(&[(6, 66, 1, &junk)]);
    let messages = messages(&frame);
    assert!(matches!(messages[..], [Message::Delete(name)] if name == id(1)));
}

#[test]
fn names_of_interfaces_end_at_a_zero() {
    assert_eq!(InterfaceName::ALL.name(), b"all");
    assert_eq!(InterfaceName::NONE.name(), b"");
    assert_eq!(InterfaceName([b'x'; 16]).name(), [b'x'; 16]);
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

#[test]
fn a_frame_is_never_longer_than_its_buffer() {
    assert_eq!(Writer::new(&mut [0; 19]).err(), Some(Full));
    for room in 20..200_usize {
        let mut buffer = vec![0; room];
        let mut writer = Writer::new(&mut buffer).unwrap();
        let mut count = 0;
        while writer.push(Outgoing::InsertAck(&id(count))).is_ok() {
            count += 1;
        }
        assert_eq!(usize::from(count), room.saturating_sub(24) / 12);
        let len = writer.finish();
        assert_eq!(messages(&buffer[..len]).len(), usize::from(count));
    }
}

#[test]
fn a_state_and_what_goes_beside_it_are_written_together_or_not_at_all() {
    let entry = pfsync::tcp_entry(carp_proto::pfsync::conntrack::TcpState::Established);
    let out = carp_proto::pfsync::state::Direction::Out;
    let (state, extra) = carp_proto::pfsync::mapping::export(&entry, id(1), out, 0).unwrap();
    let both = 4 + extra.message_len() + 4 + State::LEN;
    for room in 20..20 + 16 + both + 20 {
        let mut buffer = vec![0xff; room];
        let mut writer = Writer::new(&mut buffer).unwrap();
        let before = writer.push(Outgoing::InsertAck(&id(9))).is_ok();
        let pushed = writer.push_with(&id(1), Some(&extra), Outgoing::Insert(&state));
        assert_eq!(pushed.is_ok(), room >= 20 + 16 + both);
        let len = writer.finish();
        let expected = usize::from(before) + if pushed.is_ok() { 2 } else { 0 };
        assert_eq!(messages(&buffer[..len]).len(), expected, "{room}");
    }
}

#[test]
fn what_goes_beside_a_state_belongs_to_the_next_one_only() {
    let entry = pfsync::tcp_entry(carp_proto::pfsync::conntrack::TcpState::Established);
    let out = carp_proto::pfsync::state::Direction::Out;
    let (state, extra) = carp_proto::pfsync::mapping::export(&entry, id(1), out, 0).unwrap();
    let mut buffer = [0; 1480];
    let mut writer = Writer::new(&mut buffer).unwrap();
    writer.push(Outgoing::Extra(&id(7), &extra)).unwrap();
    writer
        .push_with(&id(1), Some(&extra), Outgoing::Insert(&state))
        .unwrap();
    writer.push(Outgoing::Insert(&state)).unwrap();
    writer.push(Outgoing::Extra(&id(7), &extra)).unwrap();
    writer.push(Outgoing::Insert(&state)).unwrap();
    let len = writer.finish();
    let mut companion = Companion::default();
    let mut joined = vec![];
    for message in messages(&buffer[..len]) {
        match message {
            Message::Extra(received) => companion.offer(received),
            Message::Insert(state) => {
                joined.push(companion.take(&state.id()).unwrap().is_some());
            }
            _ => unreachable!(),
        }
    }
    assert_eq!(joined, [true, false, false]);
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
    fn states_come_back(state in pfsync::state()) {
        let bytes = state.emit();
        let received = carp_proto::pfsync::state::Received::new(&bytes).unwrap();
        prop_assert_eq!(received.id(), state.id);
        prop_assert_eq!(received.for_insert(), Ok(state));
        let update = Update { expire: state.expire, ..state.update() };
        prop_assert_eq!(received.for_update(), Ok(update));
    }

    #[test]
    fn updates_come_back(update in pfsync::update()) {
        prop_assert_eq!(Update::parse(&update.emit()), Ok(update));
    }

    #[test]
    fn short_messages_come_back(
        clear in pfsync::clear(), bulk in pfsync::bulk(), tdb in pfsync::tdb(),
        id in pfsync::state_id(),
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
        extra in pfsync::extra(), id in pfsync::state_id(), len in 0..4_usize,
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
    fn expectations_come_back(expectation in pfsync::expectation()) {
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
fn attributes_that_are_not_known_are_stepped_over() {
    // name; padding, an unknown attribute, a mark, an unknown empty one
    let mut message = [0; 12].to_vec();
    message.extend([0, 0, 200, 3, 1, 2, 3, 4, 4, 0, 0, 0, 9, 77, 0]);
    let received = carp_proto::pfsync::extra::Received::new(&message).unwrap();
    assert_eq!(received.parse().unwrap().details.mark, 9);
    // a mark of five bytes: a later revision's
    let received = [&[0; 12][..], &[4, 5, 0, 0, 0, 9, 1]].concat();
    let received = carp_proto::pfsync::extra::Received::new(&received).unwrap();
    assert_eq!(received.parse().unwrap().details.mark, 9);
}

#[test]
fn attributes_that_are_wrong_are_refused() {
    for (attribute, why) in [
        (&[4][..], Discard::BadLength),
        (&[4, 4, 0, 0, 0], Discard::BadLength),
        (&[4, 3, 0, 0, 0], Discard::BadValue),
        (&[3, 3, 0, 1, 0], Discard::BadValue),
        (&[3, 3, 0, 1, 4], Discard::BadValue),
        (
            &[6, 17, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
            Discard::BadValue,
        ),
        // TCP in a state that there is not
        (
            &[
                7, 20, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            ],
            Discard::BadValue,
        ),
        // scaled by 15 bits
        (
            &[8, 18, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 15, 0],
            Discard::BadValue,
        ),
    ] {
        let message = [&[0; 12][..], attribute].concat();
        let received = carp_proto::pfsync::extra::Received::new(&message).unwrap();
        assert_eq!(received.parse(), Err(why), "{attribute:?}");
    }
}
