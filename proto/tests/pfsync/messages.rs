// SPDX-License-Identifier: GPL-2.0

//! What single messages say, and how they are written.

use crate::common::{id, messages, tcp_entry};
use carp_proto::pfsync::conntrack::TcpState;
use carp_proto::pfsync::extra::Companion;
use carp_proto::pfsync::frame::Discard;
use carp_proto::pfsync::id::StateId;
use carp_proto::pfsync::message::Message;
use carp_proto::pfsync::peer::PeerState;
use carp_proto::pfsync::short::{Bulk, BulkStatus};
use carp_proto::pfsync::state::{InterfaceName, State, FLAG_ACK, FLAG_NO_SYNC, FLAG_SLOPPY};
use carp_proto::pfsync::timeout::Timeout;
use carp_proto::pfsync::update::Update;
use carp_proto::pfsync::writer::{Full, Outgoing, Writer};

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
    let entry = tcp_entry(TcpState::Established);
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
fn one_flag_asks_for_a_confirmation() {
    for bit in 0..16 {
        let flags: u16 = 1 << bit;
        let wants_ack = |flags: u16| {
            let bytes = state_bytes(|bytes| {
                bytes[260..262].copy_from_slice(&flags.to_be_bytes());
            });
            let received = carp_proto::pfsync::state::Received::new(&bytes).unwrap();
            received.wants_ack()
        };
        assert_eq!(wants_ack(flags), flags == FLAG_ACK, "{flags:#x}");
        assert_eq!(wants_ack(!flags), flags != FLAG_ACK, "{flags:#x}");
    }
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
fn names_of_interfaces_end_at_a_zero() {
    assert_eq!(InterfaceName::ALL.name(), b"all");
    assert_eq!(InterfaceName::NONE.name(), b"");
    assert_eq!(InterfaceName([b'x'; 16]).name(), [b'x'; 16]);
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
fn a_frame_is_as_long_as_its_header_can_say() {
    let mut buffer = vec![0; 70_000];
    let mut writer = Writer::new(&mut buffer).unwrap();
    let mut count = 0;
    while writer.push(Outgoing::InsertAck(&id(1))).is_ok() {
        count += 1;
    }
    assert_eq!(count, (65_535 - 24) / 12);
    let len = writer.finish();
    assert_eq!(messages(&buffer[..len]).len(), count);
}

#[test]
fn start_and_end_in_one_frame_are_in_two_sections() {
    let [start, end] = [BulkStatus::Start, BulkStatus::End].map(|it| Bulk::new(*b"here", it));
    let mut buffer = [0; 100];
    let mut writer = Writer::new(&mut buffer).unwrap();
    writer.push(Outgoing::Bulk(&start)).unwrap();
    writer.end_section();
    writer.push(Outgoing::Bulk(&end)).unwrap();
    let len = writer.finish();
    let read = messages(&buffer[..len]);
    assert!(matches!(read[..], [Message::Bulk(a), Message::Bulk(b)] if (a, b) == (start, end)));
}

#[test]
fn a_state_and_what_goes_beside_it_are_written_together_or_not_at_all() {
    let entry = tcp_entry(TcpState::Established);
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
fn a_linux_host_says_what_it_is() {
    let mut buffer = [0xff; 100];
    let mut writer = Writer::new(&mut buffer).unwrap();
    writer
        .push(Outgoing::Request(&StateId::EVERYTHING))
        .unwrap();
    writer.push(Outgoing::Greeting).unwrap();
    let len = writer.finish();
    // a name of zeroes and an empty attribute 23, in a section of action 193
    assert_eq!(buffer[len - 20..len - 16], [193, 4, 0, 1]);
    assert_eq!(buffer[len - 16..len - 4], [0; 12]);
    assert_eq!(buffer[len - 4..len], [23, 0, 0, 0]);
    let read = messages(&buffer[..len]);
    assert!(
        matches!(read[..], [Message::Request(_), Message::Extra(extra)]
        if extra.id().is_everything() && extra.reads_compact())
    );
}

#[test]
fn what_goes_beside_a_state_belongs_to_the_next_one_only() {
    let entry = tcp_entry(TcpState::Established);
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

#[test]
fn of_a_state_to_be_deleted_only_the_name_counts() {
    let junk = state_bytes(|bytes| {
        let id: [u8; 8] = bytes[..8].try_into().unwrap();
        bytes[8..236].fill(0xff);
        bytes[240..].fill(0xff);
        bytes[..8].copy_from_slice(&id);
    });
    let frame = [&[6, 0, 1, 32][..], &[0; 16], &[6, 66, 0, 1], &junk].concat();
    let messages = messages(&frame);
    assert!(matches!(messages[..], [Message::Delete(name)] if name == id(1)));
}
