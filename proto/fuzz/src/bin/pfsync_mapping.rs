// SPDX-License-Identifier: GPL-2.0

//! Any state as an entry, any entry as a state, and one changed by the other.

#![no_main]

use arbitrary::{Arbitrary, Result, Unstructured};
use carp_proto::pfsync::conntrack::{Entry, Status};
use carp_proto::pfsync::mapping::{apply, export, import, peers};
use carp_proto::pfsync::merge::judge;
use carp_proto::pfsync::state::Direction;
use carp_proto::pfsync::tuples::{self, combine, inverse};
use carp_proto_fuzz::{any_state, entry, extra, id, update, verdict};
use libfuzzer_sys::fuzz_target;

const BOTH: [Direction; 2] = [Direction::In, Direction::Out];

fuzz_target!(|data: &[u8]| {
    let u = &mut Unstructured::new(data);
    let _ = match bool::arbitrary(u) {
        Ok(false) => from_state(u),
        _ => from_entry(u),
    };
});

/// All of an entry that is told to others.
fn told(entry: &Entry) -> Entry {
    let nat = tuples::nat_status(&entry.original, &entry.reply);
    let mut told = Entry {
        packets: [0; 2],
        bytes: [0; 2],
        ..*entry
    };
    let status = told.details.status.only(Status::SHARED);
    told.details.status = Status(status.0 | nat.0);
    told
}

/// What came in, sent on and come in again, is still the same.
fn from_state(u: &mut Unstructured<'_>) -> Result<()> {
    let state = any_state(u)?;
    let beside = match bool::arbitrary(u)? {
        true => Some(extra(u, state.protocol)?),
        false => None,
    };
    let other = any_state(u)?;
    if let (Ok(inbound), Ok(outbound)) = (tuples::from_state(&state), tuples::from_state(&other)) {
        let _ = combine(inbound, outbound);
    }
    let Ok(entry) = import(&state, beside.as_ref()) else {
        return Ok(());
    };
    let (on, extra) = export(&entry, state.id, state.direction, 0).expect("it was a state");
    let again = import(&on, Some(&extra)).expect("it was a state");
    assert_eq!(
        again,
        told(&entry),
        "with what goes beside it, nothing is lost"
    );

    // Without, what pf knows is the same however often it goes to and fro.
    let bare = import(&on, None).expect("it was a state");
    let (back, _) = export(&bare, state.id, state.direction, 0).expect("it was a state");
    let twice = import(&back, None).expect("it was a state");
    assert_eq!(peers(&twice), peers(&bare));
    assert_eq!((twice.original, twice.reply), (bare.original, bare.reply));
    Ok(())
}

fn from_entry(u: &mut Unstructured<'_>) -> Result<()> {
    let mut entry = entry(u)?;
    assert_eq!(inverse(&inverse(&entry.original)), entry.original);
    let id = id(u)?;
    for direction in BOTH {
        let (state, extra) = export(&entry, id, direction, 0).expect("of one family");
        assert_eq!(import(&state, Some(&extra)), Ok(told(&entry)));
        // What we say of our own is not news to ourselves.
        let (src, dst, _) = peers(&entry);
        let verdict = judge(entry.original.protocol, &src, &dst, &state.update());
        assert_eq!(verdict.stale(), 0);
    }
    let (_, mine) = export(&entry, id, Direction::Out, 0).expect("of one family");
    let update = update(u)?;
    let beside = match u.int_in_range(0..=2)? {
        0 => None,
        1 => Some(mine),
        _ => Some(extra(u, entry.original.protocol)?),
    };
    // By what was judged, and by anything at all.
    let (src, dst, _) = peers(&entry);
    let verdict = match bool::arbitrary(u)? {
        true => judge(entry.original.protocol, &src, &dst, &update),
        false => verdict(u)?,
    };
    let before = entry;
    let restarted = apply(&mut entry, &update, verdict, beside.as_ref());
    assert_eq!(restarted, verdict.take_timeout());
    assert_eq!(
        (entry.original, entry.reply),
        (before.original, before.reply)
    );
    if !restarted {
        assert_eq!(entry, before);
    }
    // It can be told.
    export(&entry, id, Direction::In, 0).expect("of one family");
    Ok(())
}
