// SPDX-License-Identifier: GPL-2.0

//! Any bytes in the messages of Linux' own, 193 and 194: what is understood can
//! be said again, and means the same.

#![no_main]

use carp_proto::pfsync::expectation;
use carp_proto::pfsync::extra::{self, Companion};
use carp_proto::pfsync::message::Message;
use carp_proto::pfsync::writer::{Outgoing, Writer};
use carp_proto_fuzz::messages;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(Ok(expectation)) = expectation::Received::new(bytes).map(|r| r.parse()) {
        let emitted = expectation.emit();
        let again = expectation::Received::new(&emitted).map(|r| r.parse());
        assert_eq!(again, Some(Ok(expectation)));
    }

    let Some(received) = extra::Received::new(bytes) else {
        return;
    };
    let id = received.id();
    let mut companion = Companion::default();
    companion.offer(received);
    let parsed = received.parse();
    assert_eq!(companion.take(&id), parsed.map(Some));
    assert_eq!(companion.take(&id), Ok(None));
    let Ok(parsed) = parsed else {
        return;
    };
    let mut buffer = [0xaa; 1480];
    let mut writer = Writer::new(&mut buffer).expect("there is room");
    writer
        .push(Outgoing::Extra(&id, &parsed))
        .expect("an empty frame holds it");
    let len = writer.finish();
    let mut messages = messages(&buffer[..len]).map(|message| match message {
        Message::Extra(again) => (again.id(), again.parse()),
        _ => panic!("what we send is what was meant"),
    });
    assert_eq!(messages.next(), Some((id, Ok(parsed))));
    assert_eq!(messages.next(), None);
});
