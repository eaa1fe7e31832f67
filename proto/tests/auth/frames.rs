// SPDX-License-Identifier: GPL-2.0

//! Signed frames of pfsync.

use crate::common::{at, host, id, key, keys, time, Key, A, B, MS, NOW, SECOND};
use carp_proto::auth::mac::Covered;
use carp_proto::auth::mode::Outcome;
use carp_proto::auth::receiver::Receiver;
use carp_proto::auth::replay::{Replay, RING};
use carp_proto::auth::sequence::Sequence;
use carp_proto::auth::trailer::Malformed;
use carp_proto::pfsync::authentication::{self, sign, LEN};
use carp_proto::pfsync::frame::{Discard, Frame, Section, HEADER_LEN, TTL};
use carp_proto::pfsync::id::StateId;
use carp_proto::pfsync::message::Message;
use carp_proto::pfsync::writer::{Full, Outgoing, Writer};
use std::net::IpAddr;

type Rings = Receiver<Replay<Vec<Sequence>>, 4>;

fn receiver(unix: u64) -> Rings {
    let rings = [(); 4].map(|()| Replay::new(vec![Sequence::default(); RING]));
    Receiver::new(time(5), rings, at(unix))
}

/// A frame with three messages in two sections.
fn frame(buffer: &mut [u8]) -> usize {
    let mut writer = Writer::new(buffer).unwrap();
    let name = StateId::default();
    writer.push(Outgoing::DeleteCompressed(&name)).unwrap();
    writer.push(Outgoing::DeleteCompressed(&name)).unwrap();
    writer.push(Outgoing::InsertAck(&name)).unwrap();
    writer.finish()
}

fn signed(source: IpAddr, number: Sequence) -> Vec<u8> {
    let mut buffer = vec![0xee; 200];
    let len = frame(&mut buffer);
    let len = sign((id(1), &key(1)), source, number, &mut buffer, len).unwrap();
    buffer.truncate(len);
    buffer
}

fn hear(receiver: &mut Rings, source: IpAddr, bytes: &[u8], unix: u64) -> Outcome {
    let frame = Frame::check(TTL, bytes).expect("a frame");
    let trailer = authentication::trailer(&frame);
    let covered = Covered::Frame(frame.bytes());
    receiver
        .receive(&keys(), source, trailer, covered, at(unix))
        .0
}

/// What a receiver carries out of a frame, and what it does not understand.
fn read(bytes: &[u8]) -> (usize, usize, Option<Discard>) {
    let mut seen = (0, 0, None);
    for section in Frame::check(TTL, bytes).unwrap().sections() {
        match section {
            Ok(Section::Messages(messages)) => seen.0 += messages.count(),
            Ok(Section::Skipped(_)) => seen.1 += 1,
            Err(discard) => seen.2 = Some(discard),
        }
    }
    seen
}

#[test]
fn it_is_the_last_section_and_no_message() {
    let bytes = signed(A, at(NOW));
    let len = bytes.len();
    assert_eq!(bytes[2..4], (len as u16).to_be_bytes());
    assert_eq!(bytes[len - LEN..len - LEN + 8], [198, 7, 0, 1, 1, 1, 0, 0]);
    assert_eq!(
        read(&bytes),
        (3, 0, None),
        "three messages, nothing skipped"
    );
    let messages = Frame::check(TTL, &bytes).unwrap().sections().flatten();
    let last = messages.filter_map(|section| match section {
        Section::Messages(messages) => messages.last(),
        Section::Skipped(_) => None,
    });
    assert!(matches!(last.last(), Some(Message::InsertAck(_))));
}

#[test]
fn what_stands_behind_it_is_read_all_the_same() {
    // Whether that is believed is not the reader's business.
    let mut bytes = signed(A, at(NOW));
    bytes.extend([6 + 5, 3, 0, 1]);
    bytes.extend([0; 12]);
    let len = (bytes.len() as u16).to_be_bytes();
    bytes[2..4].copy_from_slice(&len);
    assert_eq!(read(&bytes), (3, 1, None));
    let frame = Frame::check(TTL, &bytes).unwrap();
    assert_eq!(authentication::trailer(&frame), Err(Malformed));
}

#[test]
fn an_empty_one_is_an_error_of_the_frame() {
    let mut bytes = signed(A, at(NOW));
    bytes.truncate(bytes.len() - LEN + 4);
    let end = bytes.len();
    let len = (end as u16).to_be_bytes();
    bytes[2..4].copy_from_slice(&len);
    bytes[end - 1] = 0;
    assert_eq!(read(&bytes), (3, 0, Some(Discard::BadAction)));
    let frame = Frame::check(TTL, &bytes).unwrap();
    assert_eq!(authentication::trailer(&frame), Err(Malformed));
}

#[test]
fn a_frame_without_has_none() {
    let mut buffer = [0; 200];
    let len = frame(&mut buffer);
    let bare = Frame::check(TTL, &buffer[..len]).unwrap();
    assert_eq!(authentication::trailer(&bare), Ok(None));
    assert_eq!(bare.bytes(), &buffer[..len]);
    let mut receiver = receiver(NOW);
    assert_eq!(
        hear(&mut receiver, A, &buffer[..len], NOW),
        Outcome::Missing
    );
}

#[test]
fn there_must_be_room_for_it() {
    let mut buffer = [0; 200];
    let len = frame(&mut buffer);
    let before = buffer;
    let by = |buffer: &mut [u8], len| sign((id(1), &key(1)), A, at(NOW), buffer, len);
    assert_eq!(by(&mut buffer[..len + LEN - 1], len), Err(Full));
    assert_eq!(by(&mut buffer, HEADER_LEN - 1), Err(Full));
    assert_eq!(by(&mut buffer, usize::MAX), Err(Full));
    assert_eq!(by(&mut vec![0; 70_000], 65_535 - LEN + 1), Err(Full));
    assert_eq!(buffer, before);
    assert_eq!(by(&mut buffer[..len + LEN], len), Ok(len + LEN));
    assert_eq!(by(&mut vec![0; 70_000], 65_535 - LEN), Ok(65_535));
}

#[test]
fn every_single_bit_counts() {
    let good = signed(A, at(NOW + MS));
    for bit in 0..good.len() * 8 {
        let mut receiver = receiver(NOW);
        let mut changed = good.clone();
        changed[bit / 8] ^= 0x80 >> (bit % 8);
        if Frame::check(TTL, &changed).is_ok() {
            let outcome = hear(&mut receiver, A, &changed, NOW + MS);
            assert_ne!(outcome, Outcome::Good, "bit {bit}");
        }
        assert_eq!(hear(&mut receiver, A, &good, NOW + MS), Outcome::Good);
    }
}

#[test]
fn a_frame_of_another_host_or_of_carp_is_not_believed() {
    let mut receiver = receiver(NOW);
    let good = signed(A, at(NOW + MS));
    assert_eq!(hear(&mut receiver, B, &good, NOW + MS), Outcome::BadHmac);
    assert_eq!(hear(&mut receiver, A, &good, NOW + MS), Outcome::Good);
    assert_eq!(hear(&mut receiver, A, &good, NOW + MS), Outcome::Replayed);
    // What follows the frame in its packet is no part of it.
    let mut longer = signed(A, at(NOW + 2 * MS));
    longer.extend([1; 18]);
    assert_eq!(hear(&mut receiver, A, &longer, NOW + MS), Outcome::Good);
}

#[test]
fn frames_that_overtake_each_other_are_all_believed_once() {
    let mut receiver = receiver(NOW);
    let order = [3, 1, 2, 9, 4, 8, 5, 6, 7];
    for _ in 0..2 {
        for sender in 1..=4 {
            let sent: Vec<_> = order
                .iter()
                .map(|i| signed(host(sender), at(NOW + i * MS)))
                .collect();
            let believed = sent
                .iter()
                .filter(|it| hear(&mut receiver, host(sender), it, NOW) == Outcome::Good);
            assert!([9, 0].contains(&believed.count()));
        }
    }
    let late = signed(A, at(NOW + 10 * MS));
    assert_eq!(
        hear(&mut receiver, A, &late, NOW + 6 * SECOND),
        Outcome::Stale
    );
}

#[test]
fn a_sender_beyond_the_slots_is_believed_in_order() {
    let mut receiver = receiver(NOW);
    for sender in 1..=5 {
        let packet = signed(host(sender), at(NOW + u64::from(sender) * MS));
        assert_eq!(
            hear(&mut receiver, host(sender), &packet, NOW),
            Outcome::Good
        );
    }
    // The fifth has taken the first one's slot: that one is above the floor with its next.
    let recorded = signed(host(1), at(NOW + MS));
    assert_eq!(hear(&mut receiver, host(1), &recorded, NOW), Outcome::Stale);
    let next = signed(host(1), at(NOW + 6 * MS));
    assert_eq!(hear(&mut receiver, host(1), &next, NOW), Outcome::Good);
    let _: Key = key(1);
}
