// SPDX-License-Identifier: GPL-2.0

//! Any bytes after an IP header: a frame, its sections, their messages, and what
//! becomes of the states in them.

#![no_main]

use carp_proto::pfsync::action::{is_unused, Action};
use carp_proto::pfsync::compact;
use carp_proto::pfsync::confirmation::{Confirmation, FrameNumber};
use carp_proto::pfsync::conntrack::{protocol, Entry, Tracking};
use carp_proto::pfsync::extra::{Companion, Extra};
use carp_proto::pfsync::frame::{Discard, Frame, Section, HEADER_LEN, SECTION_LEN, TTL};
use carp_proto::pfsync::mapping::{apply, import, peers};
use carp_proto::pfsync::merge::judge;
use carp_proto::pfsync::message::Message;
use carp_proto::pfsync::short::{Bulk, Clear, Tdb};
use carp_proto::pfsync::state;
use carp_proto::pfsync::update::Update;
use carp_proto::pfsync::writer::{Outgoing, Writer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|payload: &[u8]| {
    assert!(matches!(
        Frame::check(TTL - 1, payload),
        Err(Discard::BadTtl)
    ));
    let Ok(frame) = Frame::check(TTL, payload) else {
        return;
    };
    let mut table: Vec<Entry> = Vec::new();
    let mut companion = Companion::default();
    let mut failed = false;
    for section in frame.sections() {
        assert!(!failed, "the first section that is wrong is the last");
        let Ok(Section::Messages(messages)) = section else {
            failed = section.is_err();
            continue;
        };
        let action = messages.action();
        assert!(!is_unused(action as u8));
        for message in messages {
            assert_eq!(action_of(&message), action);
            take(&message, &mut companion, &mut table);
        }
    }
});

fn action_of(message: &Message<'_>) -> Action {
    match message {
        Message::Clear(_) => Action::Clear,
        Message::InsertAck(_) => Action::InsertAck,
        Message::UpdateCompressed(_) => Action::UpdateCompressed,
        Message::Request(_) => Action::Request,
        Message::Delete(_) => Action::Delete,
        Message::DeleteCompressed(_) => Action::DeleteCompressed,
        Message::Bulk(_) => Action::Bulk,
        Message::Insert(_) => Action::Insert,
        Message::Update(_) => Action::Update,
        Message::Tdb(_) => Action::Tdb,
        Message::Extra(_) => Action::Extra,
        Message::Expectation(_) => Action::Expectation,
        Message::Compact(_) => Action::Compact,
        Message::FrameNumber(_) => Action::FrameNumber,
        Message::Confirmation(_) => Action::Confirmation,
    }
}

/// What a host does with a message whose table has one place.
fn take<'a>(message: &Message<'a>, companion: &mut Companion<'a>, table: &mut Vec<Entry>) {
    match message {
        Message::Clear(clear) => assert_eq!(Clear::parse(&clear.emit()), Some(*clear)),
        Message::Bulk(bulk) => assert_eq!(Bulk::parse(&bulk.emit()), Some(*bulk)),
        Message::FrameNumber(number) => {
            assert_eq!(FrameNumber::parse(&number.emit()), Some(*number));
        }
        Message::Confirmation(confirmation) => {
            let mut buffer = [0; 1024];
            let mut writer = Writer::new(&mut buffer).unwrap();
            writer.push(Outgoing::Confirmation(confirmation)).unwrap();
            let len = writer.finish();
            let again = Confirmation::parse(&buffer[HEADER_LEN + SECTION_LEN..len]);
            let again = again.expect("it was written");
            assert_eq!(
                (again.frame, again.here()),
                (confirmation.frame, confirmation.here())
            );
        }
        Message::Tdb(tdb) => assert_eq!(Tdb::parse(&tdb.emit()), Some(*tdb)),
        Message::Extra(received) => companion.offer(*received),
        Message::Expectation(received) => {
            if let Ok(expectation) = received.parse() {
                let bytes = expectation.emit();
                let again = carp_proto::pfsync::expectation::Received::new(&bytes);
                let again = again.and_then(|again| again.parse().ok());
                assert_eq!(again, Some(expectation));
            }
        }
        Message::Insert(received) | Message::Update(received) => {
            let extra = companion.take(&received.id()).ok().flatten();
            if let Ok(state) = received.for_insert() {
                let bytes = state.emit();
                let again = state::Received::new(&bytes).map(|again| again.for_insert());
                assert_eq!(again, Some(Ok(state)));
            }
            match (
                table.first_mut(),
                received.for_insert(),
                received.for_update(),
            ) {
                (None, Ok(state), _) => {
                    if let Ok(entry) = import(&state, extra.as_ref()) {
                        sound(&entry);
                        table.push(entry);
                    }
                }
                (Some(entry), _, Ok(update)) => merge(entry, &update, extra.as_ref()),
                _ => (),
            }
        }
        Message::UpdateCompressed(bytes) => {
            let Ok(update) = Update::parse(bytes) else {
                return;
            };
            assert_eq!(Update::parse(&update.emit()), Ok(update));
            let extra = companion.take(&update.id).ok().flatten();
            if let Some(entry) = table.first_mut() {
                merge(entry, &update, extra.as_ref());
            }
        }
        Message::Compact(received) => {
            let mut entry = Entry::default();
            let Ok(head) = received.read(&mut entry) else {
                return;
            };
            sound(&entry);
            match table.first_mut() {
                None => table.push(entry),
                Some(known) => {
                    let (update, extra) = compact::update(&head, &entry);
                    merge(known, &update, Some(&extra));
                }
            }
        }
        Message::InsertAck(_)
        | Message::Request(_)
        | Message::Delete(_)
        | Message::DeleteCompressed(_) => (),
    }
}

fn merge(entry: &mut Entry, update: &Update, extra: Option<&Extra>) {
    let before = *entry;
    let (src, dst, _) = peers(entry);
    let verdict = judge(entry.original.protocol, &src, &dst, update);
    let restarted = apply(entry, update, verdict, extra);
    assert_eq!(restarted, verdict.take_timeout());
    assert_eq!(
        (entry.original, entry.reply),
        (before.original, before.reply)
    );
    if !restarted {
        assert_eq!(*entry, before);
    }
    sound(entry);
}

/// What conntrack would stumble over.
fn sound(entry: &Entry) {
    let tracking = &entry.details.tracking;
    let protocol = entry.original.protocol;
    assert_eq!(protocol, entry.reply.protocol);
    assert_eq!(
        entry.original.source.is_ipv4(),
        entry.reply.source.is_ipv4()
    );
    assert_eq!(
        matches!(tracking, Tracking::Tcp(_)),
        protocol == protocol::TCP
    );
    assert_eq!(
        matches!(tracking, Tracking::Sctp(_)),
        protocol == protocol::SCTP
    );
    assert_eq!(
        matches!(tracking, Tracking::Gre(_)),
        protocol == protocol::GRE
    );
    if let Tracking::Tcp(tcp) = tracking {
        assert!(tcp.seen.iter().all(|side| side.scale <= 14));
    }
}
