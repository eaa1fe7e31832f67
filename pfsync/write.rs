// SPDX-License-Identifier: GPL-2.0

//! Writing what the table knows of a state into a frame.

use super::{
    device::Pfsync,
    plain,
    session::Session,
    store::{Slot, Store},
};
use crate::{
    linux::state_table::master_key,
    proto::pfsync::{
        compact::Head,
        conntrack::{Entry, Tracking, TCP_BE_LIBERAL},
        extra::Extra,
        id::StateId,
        mapping,
        state::{Direction, FLAG_ACK},
        time::{seconds_since, Instant},
        writer::{Full, Outgoing, Writer},
    },
};

/// How a state's message is called.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Insert,
    Update,
    Compressed,
}

/// Why a state was not written.
pub(super) enum Unwritten {
    /// There is no room left.
    Full,
    /// It is none that can be sent.
    Unfit,
    /// It is not for peers, or not any more: its mark may have changed.
    Private,
}

impl From<Full> for Unwritten {
    fn from(Full: Full) -> Self {
        Self::Full
    }
}

/// What was seen of a state that was written.
pub(super) struct Written {
    /// It may expect others, which are to be told of as well.
    pub(super) expects: bool,
    /// Seconds until it expires.
    pub(super) timeout: u32,
    /// Packets of it pass that nobody sees here.
    pub(super) is_offloaded: bool,
    /// It is confirmed with the rest of its frame.
    pub(super) is_numbered: bool,
}

/// Reads what the table knows of a record. The stamp of it.
pub(super) fn read(
    store: &Store,
    slot: Slot,
    now: Instant,
    find: impl FnOnce(usize) -> Option<Slot>,
    entry: &mut Entry,
) -> Option<u64> {
    let record = store.get(store.main(slot))?;
    let live = record.live.as_ref()?;
    let plain = live.entry.read();
    let master = match master_key(&plain) {
        0 => None,
        key => find(key)
            .and_then(|slot| store.get(slot))
            .map(|master| master.id),
    };
    plain::to_entry(&plain, master, entry);
    entry.age = seconds_since(record.born, now);
    if record.lenient && live.watched.has_flag() {
        if let Tracking::Tcp(tcp) = &mut entry.details.tracking {
            for side in &mut tcp.seen {
                side.flags &= !TCP_BE_LIBERAL;
            }
        }
    }
    Some(plain.stamp)
}

impl Session {
    /// Writes a state, in the form that all peers read.
    pub(super) fn write(
        &self,
        (slot, now): (Slot, Instant),
        form: Form,
        flags: u16,
        pfsync: &Pfsync,
        writer: &mut Writer<'_>,
    ) -> Result<Written, Unwritten> {
        let store = &self.store;
        let find = |key| pfsync.watch.find(key);
        let record = store.get(slot).ok_or(Unwritten::Unfit)?;
        let mut entry = Entry::default();
        read(store, slot, now, find, &mut entry).ok_or(Unwritten::Unfit)?;
        if self
            .settings
            .is_private(entry.details.mark, entry.details.zone.id)
        {
            return Err(Unwritten::Private);
        }
        let main = store.get(store.main(slot)).ok_or(Unwritten::Unfit)?;
        let half_of = (main.id != record.id).then_some(main.id);
        let is_compact = half_of.is_none() && self.outbox.is_compact();
        if is_compact && writer.has_number() && self.flight.is_full() {
            return Err(Unwritten::Full);
        }
        let written = if is_compact {
            let head = Head {
                id: record.id,
                direction: record.direction,
                confirm: flags & FLAG_ACK != 0,
                in_use: main.is_own(),
            };
            let written = writer.push_compact(&head, &entry);
            match written {
                // There may be room without the number.
                Err(Full) if writer.is_empty() && writer.has_number() => {
                    writer.take_number_back();
                    writer.push_compact(&head, &entry)
                }
                written => written,
            }
        } else {
            let name = (record.id, record.direction);
            let beside = match half_of {
                Some(main) => Beside::HalfOf(main),
                None => Beside::All {
                    in_use: main.is_own(),
                },
            };
            write_for_pf(&entry, name, form, flags, beside, writer)?
        };
        match written {
            // What does not fit into an empty frame never will.
            Err(Full) if writer.is_empty() => Err(Unwritten::Unfit),
            written => {
                written?;
                Ok(Written {
                    expects: half_of.is_none() && !entry.details.helper.is_empty(),
                    timeout: entry.timeout,
                    is_offloaded: entry.details.status.is_offloaded(),
                    is_numbered: is_compact && writer.has_number(),
                })
            }
        }
    }
}

/// What stands beside pf's message of a state.
enum Beside {
    /// All that Linux knows.
    All {
        /// This host was the last to see a packet of it.
        in_use: bool,
    },
    /// That it is a second name for this state.
    HalfOf(StateId),
}

/// Writes a state as pf does, and for Linux what belongs beside it.
#[inline(never)]
fn write_for_pf(
    entry: &Entry,
    (id, direction): (StateId, Direction),
    form: Form,
    flags: u16,
    beside: Beside,
    writer: &mut Writer<'_>,
) -> Result<Result<(), Full>, Unwritten> {
    let (state, mut extra) =
        mapping::export(entry, id, direction, flags).map_err(|_| Unwritten::Unfit)?;
    match beside {
        Beside::All { in_use } => extra.in_use = Some(in_use),
        Beside::HalfOf(main) => extra = Extra::half_of(main),
    }
    let update;
    let message = match form {
        Form::Insert => Outgoing::Insert(&state),
        Form::Update => Outgoing::Update(&state),
        Form::Compressed => {
            update = state.update();
            Outgoing::UpdateCompressed(&update)
        }
    };
    Ok(writer.push_with(&id, Some(&extra), message))
}
