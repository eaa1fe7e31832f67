// SPDX-License-Identifier: GPL-2.0

//! States as Linux tells Linux of them: every field arrives, and they are short.

use crate::common::{entries, entry, id, messages, state_id, tcp_entry, tuple};
use carp_proto::pfsync::compact::{update, Head, Received, MIN_LEN, USUAL_LEN};
use carp_proto::pfsync::conntrack::{
    protocol, Details, Entry, Status, Tcp, TcpLast, TcpSide, TcpState, Tracking,
};
use carp_proto::pfsync::extra::{self, GREETING};
use carp_proto::pfsync::frame::{Discard, HEADER_LEN, SECTION_LEN};
use carp_proto::pfsync::id::StateId;
use carp_proto::pfsync::mapping::export;
use carp_proto::pfsync::message::Message;
use carp_proto::pfsync::state::Direction;
use carp_proto::pfsync::tuples::nat_status;
use carp_proto::pfsync::writer::{Full, Writer};
use proptest::prelude::*;

fn head() -> Head {
    Head {
        id: id(1),
        direction: Direction::Out,
        confirm: true,
        in_use: true,
    }
}

fn frame(states: &[(Head, Entry)]) -> Vec<u8> {
    let mut buffer = vec![0xaa; 65535];
    let mut writer = Writer::new(&mut buffer).unwrap();
    for (head, entry) in states {
        writer.push_compact(head, entry).unwrap();
    }
    let len = writer.finish();
    buffer.truncate(len);
    buffer
}

fn read_one(received: &Received<'_>) -> Result<(Head, Entry), Discard> {
    let mut entry = Entry::default();
    received.read(&mut entry).map(|head| (head, entry))
}

fn read(frame: &[u8]) -> Vec<(Head, Entry)> {
    let read = |message| match message {
        Message::Compact(received) => read_one(&received).unwrap(),
        _ => panic!("another message"),
    };
    messages(frame).into_iter().map(read).collect()
}

/// The bytes of one message.
fn message(head: &Head, entry: &Entry) -> Vec<u8> {
    frame(&[(*head, *entry)])[HEADER_LEN + SECTION_LEN..].to_vec()
}

fn parse(bytes: &[u8]) -> Result<(Head, Entry), Discard> {
    read_one(&Received::new(bytes).unwrap())
}

/// What of an entry travels: its counters do not, and which bits of NAT are set is for who
/// makes an entry of it.
fn travels(entry: &Entry) -> Entry {
    let nat = Status::SRC_NAT.0 | Status::DST_NAT.0;
    let told = entry.details.status.only(Status::SHARED).0 & !nat;
    let mut details = Details {
        status: Status(told | nat_status(&entry.original, &entry.reply).0),
        ..entry.details
    };
    if let Tracking::Tcp(tcp) = &mut details.tracking {
        // One of two.
        tcp.last.direction = u8::from(tcp.last.direction != 0);
    }
    Entry {
        packets: [0; 2],
        bytes: [0; 2],
        details,
        ..*entry
    }
}

prop_compose! {
    fn heads()(
        id in state_id(),
        direction in prop_oneof![
            Just(Direction::In), Just(Direction::Out)
        ],
        confirm in any::<bool>(),
        in_use in any::<bool>(),
    ) -> Head {
        Head { id, direction, confirm, in_use }
    }
}

proptest! {
    #[test]
    fn everything_arrives(states in proptest::collection::vec((heads(), entries()), 1..8)) {
        let told: Vec<_> = states.iter().map(|(head, entry)| (*head, travels(entry))).collect();
        prop_assert_eq!(read(&frame(&states)), told);
    }

    #[test]
    fn whatever_comes_in_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 24..400)) {
        let _ = parse(&bytes);
    }

    /// What belongs to the protocol is there whole, or nothing is taken.
    #[test]
    fn half_of_a_message_is_none(head in heads(), entry in entries()) {
        let entry = Entry {
            details: Details { tracking: entry.details.tracking, ..Details::default() },
            ..entry
        };
        let whole = message(&head, &entry);
        // What is filled up is at most three bytes.
        for len in 24..whole.len() - 3 {
            prop_assert_eq!(parse(&whole[..len]), Err(Discard::BadLength));
        }
    }

    /// In the words of pf it says the same.
    #[test]
    fn an_update_says_what_pf_would(head in heads(), entry in entries()) {
        let (update, extra) = update(&head, &entry);
        prop_assert_eq!(extra.details, entry.details);
        prop_assert_eq!(extra.timeout, entry.timeout);
        prop_assert_eq!(extra.in_use, Some(head.in_use));
        if let Ok((state, _)) = export(&entry, head.id, Direction::Out, 0) {
            let said = state.update();
            prop_assert_eq!((update.id, update.src, update.dst), (said.id, said.src, said.dst));
            prop_assert_eq!(update.timeout, said.timeout);
        }
    }
}

/// A connection as it is after some segments: the last one is a mere acknowledgement.
fn established() -> Entry {
    let mut entry = tcp_entry(TcpState::Established);
    let side = |end| TcpSide {
        end,
        maxend: end + 64_000,
        maxwin: 64_000,
        maxack: 70_000 - end,
        scale: 7,
        flags: 0x23,
    };
    entry.details.tracking = Tracking::Tcp(Tcp {
        state: TcpState::Established,
        seen: [side(1000), side(2000)],
        last: TcpLast {
            direction: 1,
            index: 2,
            win: 502,
            seq: 2000,
            end: 2000,
            ack: 68_000,
            ..TcpLast::default()
        },
    });
    entry
}

#[test]
fn tcp_takes_less_than_a_hundred_bytes_with_its_windows() {
    let plain = established();
    assert_eq!(message(&head(), &plain).len(), 80);
    let mut translated = plain;
    translated.reply.destination = "192.0.2.1".parse().unwrap();
    translated.reply.ids[1] = 61000;
    assert_eq!(message(&head(), &translated).len(), USUAL_LEN + 4);
    let mut data = plain;
    let Tracking::Tcp(tcp) = &mut data.details.tracking else {
        unreachable!();
    };
    tcp.last.seq -= 500;
    assert_eq!(message(&head(), &data).len(), USUAL_LEN);
}

#[test]
fn others_take_less_than_seventy() {
    let udp = entry(
        tuple(protocol::UDP, "10.0.0.99", "198.51.100.7", [5353, 53]),
        Tracking::Other,
    );
    assert_eq!(message(&head(), &udp).len(), MIN_LEN);
    let icmp = entry(
        tuple(protocol::ICMP, "10.0.0.99", "198.51.100.7", [77, 0x0800]),
        Tracking::Other,
    );
    assert_eq!(message(&head(), &icmp).len(), 48);
    let udp6 = entry(
        tuple(protocol::UDP, "2001:db8::99", "2001:db8:1::7", [5353, 53]),
        Tracking::Other,
    );
    assert_eq!(message(&head(), &udp6).len(), 60);
}

/// Eighteen states of one length share a section; one of another length begins its own.
#[test]
fn sections_are_shared() {
    let one = (head(), established());
    let same = [one; 18];
    assert_eq!(frame(&same).len(), HEADER_LEN + SECTION_LEN + 18 * 80);
    let mut marked = one;
    marked.1.details.mark = 5;
    let mixed = frame(&[one, marked, one]);
    assert_eq!(mixed.len(), HEADER_LEN + 3 * SECTION_LEN + 80 + 88 + 80);
    assert_eq!(read(&mixed).len(), 3);
}

#[test]
fn what_does_not_fit_leaves_the_frame_as_it_was() {
    let one = (head(), established());
    let room = HEADER_LEN + SECTION_LEN + 80 + 79;
    let mut buffer = vec![0; room];
    let mut writer = Writer::new(&mut buffer).unwrap();
    writer.push_compact(&one.0, &one.1).unwrap();
    assert_eq!(writer.push_compact(&one.0, &one.1), Err(Full));
    let len = writer.finish();
    assert_eq!(read(&buffer[..len]).len(), 1);
}

#[test]
fn values_that_mean_nothing_are_refused() {
    let good = message(&head(), &established());
    assert!(parse(&good).is_ok());
    let with = |place: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[place] = value;
        parse(&bytes)
    };
    // a direction, TCP's state, a scale by which conntrack would shift
    assert_eq!(with(12, 0xc0), Err(Discard::BadValue));
    assert_eq!(with(12, 0x02), Err(Discard::BadValue));
    assert_eq!(with(36, 10), Err(Discard::BadValue));
    assert_eq!(with(36 + 7 + 16, 15), Err(Discard::BadValue));
    // an attribute longer than the message
    let mut long = good.clone();
    long.extend([4, 9, 0, 0]);
    assert_eq!(parse(&long), Err(Discard::BadLength));
    // and one that is too short
    let mut short = good.clone();
    short.extend([4, 1, 7, 0]);
    assert_eq!(parse(&short), Err(Discard::BadValue));
    let nobody = Head {
        id: StateId {
            creator: [0; 4],
            ..id(1)
        },
        ..head()
    };
    assert_eq!(
        parse(&message(&nobody, &established())),
        Err(Discard::BadState)
    );
}

#[test]
fn a_greeting_says_that_this_is_read() {
    assert!(extra::Received::new(&GREETING).unwrap().reads_compact());
    assert!(!extra::Received::new(&[0; 12]).unwrap().reads_compact());
    assert!(!extra::Received::new(&[0; 16]).unwrap().reads_compact());
}
