// SPDX-License-Identifier: GPL-2.0

//! Any bytes in a state as Linux tells it to Linux (195): what is understood can be said
//! again, and means the same.

#![no_main]

use carp_proto::pfsync::compact::{Head, Received};
use carp_proto::pfsync::conntrack::Entry;
use carp_proto::pfsync::frame::Discard;
use carp_proto::pfsync::message::Message;
use carp_proto::pfsync::writer::Writer;
use carp_proto_fuzz::messages;
use libfuzzer_sys::fuzz_target;

fn read(received: Received<'_>) -> Result<(Head, Entry), Discard> {
    let mut entry = Entry::default();
    received.read(&mut entry).map(|head| (head, entry))
}

fuzz_target!(|bytes: &[u8]| {
    let Some(Ok((head, entry))) = Received::new(bytes).map(read) else {
        return;
    };
    let mut buffer = [0xaa; 1480];
    let mut writer = Writer::new(&mut buffer).expect("there is room");
    writer
        .push_compact(&head, &entry)
        .expect("an empty frame holds it");
    let len = writer.finish();
    let mut messages = messages(&buffer[..len]).map(|message| match message {
        Message::Compact(again) => read(again),
        _ => panic!("what we send is what was meant"),
    });
    assert_eq!(messages.next(), Some(Ok((head, entry))));
    assert_eq!(messages.next(), None);
});
