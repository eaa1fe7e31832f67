// SPDX-License-Identifier: GPL-2.0

//! Any messages into a frame of any size: what was taken comes out, in order.

#![no_main]

use arbitrary::{Arbitrary, Result, Unstructured};
use carp_proto::pfsync::compact::Head;
use carp_proto::pfsync::confirmation::{Confirmation, FrameNumber, STATES_MAX};
use carp_proto::pfsync::conntrack::{Entry, Tuple};
use carp_proto::pfsync::expectation::Expectation;
use carp_proto::pfsync::extra::Extra;
use carp_proto::pfsync::id::StateId;
use carp_proto::pfsync::message::Message;
use carp_proto::pfsync::short::{Bulk, BulkStatus, Clear, Tdb};
use carp_proto::pfsync::state::{Direction, InterfaceName, State};
use carp_proto::pfsync::update::Update;
use carp_proto::pfsync::writer::{Outgoing, Writer};
use carp_proto_fuzz::{any_state, entry, expectation, extra, id, messages, update};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = run(&mut Unstructured::new(data));
});

/// A message that was written.
#[derive(Clone, Debug, PartialEq)]
enum Said {
    Clear(Clear),
    InsertAck(StateId),
    UpdateCompressed(Update),
    Request(StateId),
    Delete(StateId),
    DeleteCompressed(StateId),
    Bulk(Bulk),
    Insert(Box<State>),
    Update(Box<State>),
    Tdb(Tdb),
    Extra(StateId, Box<Extra>),
    Expectation(Box<Expectation>),
    /// What is all there is asked of the target pfsync_compact.
    Compact(Head, Tuple),
    FrameNumber(FrameNumber),
    /// Of a frame, and which states have arrived.
    Confirmation(FrameNumber, Vec<usize>),
}

fn here(confirmation: &Confirmation) -> Said {
    let here = (0..STATES_MAX).filter(|at| confirmation.is_here(*at));
    Said::Confirmation(confirmation.frame, here.collect())
}

fn read(message: &Message<'_>) -> Said {
    match message {
        Message::Clear(clear) => Said::Clear(*clear),
        Message::InsertAck(id) => Said::InsertAck(*id),
        Message::UpdateCompressed(bytes) => {
            Said::UpdateCompressed(Update::parse(bytes).expect("it was written"))
        }
        Message::Request(id) => Said::Request(*id),
        Message::Delete(id) => Said::Delete(*id),
        Message::DeleteCompressed(id) => Said::DeleteCompressed(*id),
        Message::Bulk(bulk) => Said::Bulk(*bulk),
        Message::Insert(state) => Said::Insert(Box::new(state.for_insert().expect("written"))),
        Message::Update(state) => Said::Update(Box::new(state.for_insert().expect("written"))),
        Message::Tdb(tdb) => Said::Tdb(*tdb),
        Message::Extra(extra) => Said::Extra(extra.id(), Box::new(extra.parse().expect("written"))),
        Message::Expectation(it) => Said::Expectation(Box::new(it.parse().expect("written"))),
        Message::Compact(it) => {
            let mut entry = Entry::default();
            let head = it.read(&mut entry).expect("written");
            Said::Compact(head, entry.original)
        }
        Message::FrameNumber(number) => Said::FrameNumber(*number),
        Message::Confirmation(confirmation) => here(confirmation),
    }
}

fn run(u: &mut Unstructured<'_>) -> Result<()> {
    let size = usize::from(u16::arbitrary(u)?);
    let mut buffer = vec![0xaa; size];
    let Ok(mut writer) = Writer::new(&mut buffer) else {
        assert!(size < 20);
        return Ok(());
    };
    let mut said: Vec<Said> = Vec::new();
    let number = FrameNumber {
        creator: <[u8; 4]>::arbitrary(u)?,
        number: u32::arbitrary(u)?,
    };
    if bool::arbitrary(u)? && writer.set_number(&number).is_ok() {
        assert!(writer.is_empty() && writer.has_number());
        match bool::arbitrary(u)? {
            true => writer.take_number_back(),
            false => said.push(Said::FrameNumber(number)),
        }
    }
    while !u.is_empty() && said.len() < 200 {
        let id = id(u)?;
        match u.int_in_range(0..=14)? {
            0 => {
                let clear = Clear {
                    interface: InterfaceName(<[u8; 16]>::arbitrary(u)?),
                    creator: id.creator,
                };
                if writer.push(Outgoing::Clear(&clear)).is_ok() {
                    said.push(Said::Clear(clear));
                }
            }
            1 => {
                if writer.push(Outgoing::InsertAck(&id)).is_ok() {
                    said.push(Said::InsertAck(id));
                }
            }
            2 => {
                let update = update(u)?;
                if writer.push(Outgoing::UpdateCompressed(&update)).is_ok() {
                    said.push(Said::UpdateCompressed(update));
                }
            }
            3 => {
                if writer.push(Outgoing::Request(&id)).is_ok() {
                    said.push(Said::Request(id));
                }
            }
            4 => {
                let state = any_state(u)?;
                if writer.push(Outgoing::Delete(&state)).is_ok() {
                    said.push(Said::Delete(state.id));
                }
            }
            5 => {
                if writer.push(Outgoing::DeleteCompressed(&id)).is_ok() {
                    said.push(Said::DeleteCompressed(id));
                }
            }
            6 => {
                let status = *u.choose(&[BulkStatus::Start, BulkStatus::End])?;
                let bulk = Bulk::new(id.creator, status);
                // Of one section only the first is read.
                writer.end_section();
                if writer.push(Outgoing::Bulk(&bulk)).is_ok() {
                    said.push(Said::Bulk(bulk));
                }
                writer.end_section();
            }
            7..=9 => {
                let state = any_state(u)?;
                let beside = extra(u, state.protocol)?;
                let beside = bool::arbitrary(u)?.then_some(beside);
                let insert = bool::arbitrary(u)?;
                let message = match insert {
                    true => Outgoing::Insert(&state),
                    false => Outgoing::Update(&state),
                };
                if writer
                    .push_with(&state.id, beside.as_ref(), message)
                    .is_ok()
                {
                    said.extend(beside.map(|beside| Said::Extra(state.id, Box::new(beside))));
                    said.push(match insert {
                        true => Said::Insert(Box::new(state)),
                        false => Said::Update(Box::new(state)),
                    });
                }
            }
            14 => {
                let mut confirmation = Confirmation::new(number);
                for is_here in <Vec<bool>>::arbitrary(u)? {
                    confirmation.read(is_here);
                }
                if writer.push(Outgoing::Confirmation(&confirmation)).is_ok() {
                    said.push(here(&confirmation));
                }
            }
            10 => {
                let expectation = expectation(u)?;
                if writer.push(Outgoing::Expectation(&expectation)).is_ok() {
                    said.push(Said::Expectation(Box::new(expectation)));
                }
            }
            11 => {
                let tdb = Tdb {
                    spi: u32::arbitrary(u)?,
                    destination: <[u8; 28]>::arbitrary(u)?,
                    replay: u64::arbitrary(u)?,
                    bytes: u64::arbitrary(u)?,
                    protocol: u8::arbitrary(u)?,
                    updates: u8::arbitrary(u)?,
                    routing_domain: u16::arbitrary(u)?,
                };
                if writer.push(Outgoing::Tdb(&tdb)).is_ok() {
                    said.push(Said::Tdb(tdb));
                }
            }
            12 => {
                let head = Head {
                    id,
                    direction: *u.choose(&[Direction::In, Direction::Out])?,
                    confirm: bool::arbitrary(u)?,
                    in_use: bool::arbitrary(u)?,
                };
                let entry = entry(u)?;
                if writer.push_compact(&head, &entry).is_ok() {
                    said.push(Said::Compact(head, entry.original));
                }
            }
            _ => writer.end_section(),
        }
        let is_number = |said: &&Said| matches!(said, Said::FrameNumber(_));
        let numbers = said.first().filter(is_number).into_iter().count();
        assert_eq!(writer.is_empty(), said.len() == numbers);
    }
    let len = writer.finish();
    assert!(len <= size && len <= usize::from(u16::MAX) && len % 4 == 0);
    let heard: Vec<Said> = messages(&buffer[..len])
        .map(|message| read(&message))
        .collect();
    assert_eq!(heard, said);
    Ok(())
}
