// SPDX-License-Identifier: GPL-2.0

//! Changing an entry as another host tells.

use super::read;
use crate::linux::{
    adapter::table::Plain,
    entry::{event, Entry, Status},
    extension::Synproxy,
    tracking::Locked,
};
use kernel::prelude::*;

/// Changes an entry, and tells listeners of ctnetlink what it is to them: not of mere
/// windows and timeouts. Any context but hard interrupts.
pub(super) fn update(entry: &Entry, plain: &Plain) -> Result {
    if entry.status().has(Status::DYING) {
        return Err(ENOENT);
    }
    let mut events = set_protocol(entry, plain)?;
    let (before, told) = (entry.status(), Status(plain.status));
    // Answers were seen, and are not unseen.
    for (bit, event) in [
        (Status::SEEN_REPLY, event::REPLY),
        (Status::ASSURED, event::ASSURED),
    ] {
        if told.has(bit) && !before.has(bit) {
            entry.change_status(bit, Status(0));
            events |= event;
        }
    }
    if told.has(Status::FIXED_TIMEOUT) {
        entry.change_status(Status::FIXED_TIMEOUT, Status(0));
    } else {
        entry.change_status(Status(0), Status::FIXED_TIMEOUT);
    }
    if entry.mark() != plain.mark {
        entry.set_mark(plain.mark);
        events |= event::MARK;
    }
    if entry.labels() != plain.labels {
        entry.set_labels(&plain.labels);
        if entry.labels() == plain.labels {
            events |= event::LABEL;
        }
    }
    entry.set_timeout(plain.timeout);
    entry.report_change(events);
    Ok(())
}

/// Sets what the protocol needs to know, and returns what is to be told of it.
///
/// # Errors
///
/// EINVAL: there is no such state. EAGAIN: it has moved since its stamp was read.
pub(super) fn set_protocol(entry: &Entry, plain: &Plain) -> Result<u32> {
    let mut locked = entry.lock();
    if plain.stamp != 0 && plain.stamp != read::stamp(&locked) {
        return Err(EAGAIN);
    }
    let mut events = set_state(&mut locked, plain)?;
    locked.set_gre([plain.gre.timeout, plain.gre.stream_timeout]);
    if let Some(before) = locked.seq_adjust() {
        let adjust = read::seq_adjust(plain);
        let numbers = |both: &[_; 2]| {
            both.map(|a: Adjust| (a.correction_pos, a.offset_before, a.offset_after))
        };
        if numbers(&before) != numbers(&adjust) {
            locked.set_seq_adjust(adjust);
            events |= event::SEQADJ;
        }
        if read::is_adjusted(plain) {
            entry.change_status(Status::SEQ_ADJUST, Status(0));
        }
    }
    drop(locked);
    if plain.synproxy.present != 0 {
        entry.set_synproxy(Synproxy {
            isn: plain.synproxy.isn,
            its: plain.synproxy.its,
            tsoff: plain.synproxy.tsoff,
        });
    }
    Ok(events)
}

type Adjust = crate::linux::tracking::SeqAdjust;

fn set_state(locked: &mut Locked<'_>, plain: &Plain) -> Result<u32> {
    let same = if let Some(before) = locked.tcp() {
        let tcp = read::tcp(plain);
        locked.set_tcp(&tcp)?;
        before.state == tcp.state
    } else if let Some(before) = locked.sctp() {
        let sctp = read::sctp(plain);
        locked.set_sctp(&sctp)?;
        before.state == sctp.state
    } else {
        true
    };
    Ok(if same { 0 } else { event::PROTOINFO })
}
