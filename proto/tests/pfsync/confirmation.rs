// SPDX-License-Identifier: GPL-2.0

//! A frame is confirmed as a whole: the bytes, and what the sender remembers of it.

use carp_proto::pfsync::confirmation::{Confirmation, FrameNumber, STATES_MAX};
use carp_proto::pfsync::flight::{Flight, Sent, SentIn};
use carp_proto::pfsync::frame::{Frame, Section};
use carp_proto::pfsync::id::StateId;
use carp_proto::pfsync::message::Message;
use carp_proto::pfsync::writer::{Full, Outgoing, Writer};

const FRAME: FrameNumber = FrameNumber {
    creator: [1, 2, 3, 4],
    number: 0x0a0b_0c0d,
};

fn messages(frame: &[u8]) -> Vec<Message<'_>> {
    let frame = Frame::check(255, frame).unwrap();
    let mut all = Vec::new();
    for section in frame.sections() {
        match section.unwrap() {
            Section::Messages(messages) => all.extend(messages),
            Section::Skipped(why) => panic!("{why:?}"),
        }
    }
    all
}

/// The states of these places have arrived.
fn confirmation(states: usize, here: &[usize]) -> Confirmation {
    let mut confirmation = Confirmation::new(FRAME);
    for place in 0..states {
        confirmation.read(here.contains(&place));
    }
    confirmation
}

// -- bytes

#[test]
fn the_number_is_the_first_message() {
    let mut buffer = [0xff; 100];
    let mut writer = Writer::new(&mut buffer).unwrap();
    assert!(!writer.has_number());
    writer.set_number(&FRAME).unwrap();
    assert!(writer.has_number() && writer.is_empty());
    writer
        .push(Outgoing::InsertAck(&StateId::EVERYTHING))
        .unwrap();
    assert!(!writer.is_empty());
    let len = writer.finish();
    assert_eq!(
        buffer[20..36],
        [0xc4, 2, 0, 1, 1, 2, 3, 4, 0x0a, 0x0b, 0x0c, 0x0d, 2, 3, 0, 1]
    );
    let messages = messages(&buffer[..len]);
    assert!(matches!(
        messages[..],
        [Message::FrameNumber(FRAME), Message::InsertAck(_)]
    ));
}

#[test]
fn without_room_there_is_no_number() {
    let mut buffer = [0; 20 + 4 + 7];
    let mut writer = Writer::new(&mut buffer).unwrap();
    assert_eq!(writer.set_number(&FRAME), Err(Full));
    assert!(!writer.has_number() && writer.is_empty());
    assert_eq!(writer.finish(), 20);
}

#[test]
fn what_fits_only_without_the_number() {
    let mut buffer = [0; 20 + 16];
    let mut writer = Writer::new(&mut buffer).unwrap();
    writer.set_number(&FRAME).unwrap();
    let ack = Outgoing::InsertAck(&StateId::EVERYTHING);
    assert_eq!(writer.push(ack), Err(Full));
    writer.take_number_back();
    assert!(!writer.has_number());
    writer.push(ack).unwrap();
    writer.take_number_back();
    let len = writer.finish();
    assert!(matches!(
        messages(&buffer[..len])[..],
        [Message::InsertAck(_)]
    ));
}

#[test]
fn a_confirmation_has_a_bit_for_each_state() {
    let sent = confirmation(34, &[0, 31, 33]);
    assert_eq!((sent.states(), sent.here()), (34, 3));
    let mut buffer = [0xff; 100];
    let mut writer = Writer::new(&mut buffer).unwrap();
    writer.push(Outgoing::Confirmation(&sent)).unwrap();
    let len = writer.finish();
    assert_eq!(
        buffer[20..len],
        [0xc5, 4, 0, 1, 1, 2, 3, 4, 0x0a, 0x0b, 0x0c, 0x0d, 0x80, 0, 0, 1, 0, 0, 0, 2]
    );
    let [Message::Confirmation(received)] = messages(&buffer[..len])[..] else {
        panic!();
    };
    assert_eq!(received.frame, FRAME);
    let here: Vec<_> = (0..1000).filter(|at| received.is_here(*at)).collect();
    assert_eq!(here, [0, 31, 33]);
}

#[test]
fn its_length_is_that_of_its_states() {
    for (states, words) in [(0, 0), (1, 1), (32, 1), (33, 2), (STATES_MAX, 8)] {
        assert_eq!(confirmation(states, &[]).message_len(), 8 + 4 * words);
    }
}

#[test]
fn what_exceeds_it_is_not_confirmed() {
    let sent = confirmation(
        STATES_MAX + 3,
        &[STATES_MAX - 1, STATES_MAX, STATES_MAX + 1],
    );
    assert_eq!((sent.states(), sent.here()), (STATES_MAX, 1));
    assert!(sent.is_here(STATES_MAX - 1) && !sent.is_here(STATES_MAX));
    let longer = [0xff; 8 + 4 * 9];
    let received = Confirmation::parse(&longer).unwrap();
    assert_eq!(received.here() as usize, STATES_MAX);
    assert!(!received.is_here(STATES_MAX));
}

#[test]
fn one_that_is_too_short() {
    assert_eq!(Confirmation::parse(&[0; 7]), None);
    assert_eq!(FrameNumber::parse(&[0; 7]), None);
    let none = Confirmation::parse(&[0xff; 8 + 3]).unwrap();
    assert_eq!((none.here(), none.is_here(0)), (0, false));
}

// -- what was sent

type Rooms = Flight<Vec<Sent>, Vec<u32>>;

fn flight(number: u32) -> Rooms {
    Flight::new(number, vec![Sent::default(); 4], vec![0; 16])
}

/// Sends a frame; its number.
fn send(flight: &mut Rooms, states: &[u32]) -> u32 {
    let number = flight.begin();
    for state in states {
        flight.push(*state);
    }
    flight.finish();
    number
}

fn told(flight: &Rooms, number: u32) -> Option<Vec<u32>> {
    let sent = flight.find(number)?;
    let all = (0..sent.count()).map(|at| flight.state(&sent, at).unwrap());
    assert_eq!(flight.state(&sent, sent.count()), None);
    Some(all.collect())
}

#[test]
fn frames_are_remembered() {
    let mut flight = flight(0);
    assert_eq!(flight.number(), 0);
    assert_eq!(send(&mut flight, &[5, 6, 7]), 1);
    assert_eq!(send(&mut flight, &[8]), 2);
    assert_eq!(flight.number(), 2);
    assert_eq!(told(&flight, 1), Some(vec![5, 6, 7]));
    assert_eq!(told(&flight, 2), Some(vec![8]));
    for unknown in [0, 3, 5, 6, u32::MAX] {
        assert_eq!(told(&flight, unknown), None);
    }
}

#[test]
fn one_without_states_is_none() {
    let mut flight = flight(0);
    send(&mut flight, &[1]);
    assert_eq!(send(&mut flight, &[]), 2);
    assert_eq!(flight.number(), 1);
    assert_eq!(send(&mut flight, &[2]), 2);
    assert_eq!(told(&flight, 1), Some(vec![1]));
    assert_eq!(told(&flight, 2), Some(vec![2]));
}

#[test]
fn old_frames_make_room() {
    let mut flight = flight(0);
    for state in 0..5 {
        send(&mut flight, &[state]);
    }
    assert_eq!(told(&flight, 1), None);
    assert_eq!(told(&flight, 2), Some(vec![1]));
    // and so do their states
    let many: Vec<_> = (100..113).collect();
    send(&mut flight, &many);
    assert_eq!(told(&flight, 3), Some(vec![2]));
    send(&mut flight, &[9]);
    assert_eq!(told(&flight, 4), Some(vec![3]));
    send(&mut flight, &[9, 9]);
    assert_eq!(told(&flight, 5), None);
    assert_eq!(told(&flight, 6), Some(many));
}

#[test]
fn a_frame_is_full() {
    let mut flight = Flight::new(0, vec![Sent::default(); 4], vec![0; 4 * STATES_MAX]);
    flight.begin();
    for state in 0..STATES_MAX {
        assert!(!flight.is_full());
        flight.push(u32::try_from(state).unwrap());
    }
    assert!(flight.is_full());
    flight.begin();
    assert!(!flight.is_full());
    // what is not remembered as a whole cannot be confirmed
    let mut flight = self::flight(0);
    flight.begin();
    for state in 0..16 {
        assert!(!flight.is_full());
        flight.push(state);
    }
    assert!(flight.is_full());
}

#[test]
fn without_room_nothing_is_told_in_a_frame() {
    let mut flight = Flight::new(0, Vec::new(), Vec::new());
    let number = flight.begin();
    assert!(flight.is_full());
    flight.push(1);
    flight.finish();
    assert_eq!(flight.find(number), None);
}

#[test]
fn numbers_begin_anew_after_the_last() {
    let mut flight = flight(u32::MAX - 1);
    assert_eq!(send(&mut flight, &[1]), u32::MAX);
    assert_eq!(send(&mut flight, &[2]), 1);
    assert_eq!(told(&flight, u32::MAX), Some(vec![1]));
    assert_eq!(told(&flight, 1), Some(vec![2]));
}

/// Which of these frames a state was sent in, and which is the last one.
fn seen(sent_in: SentIn, numbers: &[u32]) -> (Vec<u32>, Vec<u32>) {
    let all = numbers.iter().copied();
    (
        all.clone().filter(|it| sent_in.has(*it)).collect(),
        all.filter(|it| sent_in.is_last(*it)).collect(),
    )
}

#[test]
fn a_confirmation_may_be_late() {
    let numbers = [0, 1, 4, 5, 6, 7, 8, u32::MAX];
    let mut sent_in = SentIn::default();
    assert_eq!(seen(sent_in, &numbers), (vec![], vec![]));
    sent_in.sent(5);
    assert_eq!(seen(sent_in, &numbers), (vec![5], vec![5]));
    sent_in.sent(7);
    assert_eq!(seen(sent_in, &numbers), (vec![5, 6, 7], vec![7]));
    sent_in.confirmed();
    assert_eq!(seen(sent_in, &numbers), (vec![], vec![]), "once");
    sent_in.sent(8);
    assert_eq!(seen(sent_in, &numbers), (vec![8], vec![8]));
}

#[test]
fn it_may_be_sent_again_after_the_last_number() {
    let mut sent_in = SentIn::default();
    sent_in.sent(u32::MAX);
    sent_in.sent(2);
    let numbers = [u32::MAX - 1, u32::MAX, 1, 2, 3];
    assert_eq!(seen(sent_in, &numbers), (vec![u32::MAX, 1, 2], vec![2]));
}
