// SPDX-License-Identifier: GPL-2.0

//! The generic netlink family `pfsync`, as `include/uapi/linux/pfsync.h` and
//! `docs/pfsync.yaml` have it: what an administrator can look at.

use super::{
    device::Pfsync,
    netns::Namespace,
    session::Session,
    store::{Record, Slot},
    write::read,
};
use crate::{
    linux::{
        bindings,
        genetlink::{self, Dump, Entries, Operation, Permission, Position, Request, Table},
        namespace::Net,
        netlink::Message,
        timer,
    },
    proto::pfsync::{
        conntrack::{Entry, Tuple},
        id::StateId,
        pending::Place,
        syncpeers::Syncpeer,
        time::{millis_since, seconds_since, Instant},
    },
};
use core::net::IpAddr;
use kernel::{prelude::*, sync::rcu};

/// The registration.
pub(crate) static FAMILY: genetlink::Family = genetlink::Family::new(c"pfsync", 1, &[]);

/// In ascending order, as [`genetlink::Family::register`] wants them.
pub(crate) static OPERATIONS: [Operation; 2] =
    [Operation::list::<StateGet>(), Operation::list::<PeerGet>()];

/// How many records are looked at while the lock is held; a message has room for fewer.
const AT_ONCE: Slot = 1024;

/// PFSYNC_CMD_STATE_GET: all states.
struct StateGet;

impl Dump for StateGet {
    const COMMAND: u32 = bindings::PFSYNC_CMD_STATE_GET;
    const PERMISSION: Permission = Permission::Administrator;
    const ATTRIBUTES: Table = Table::NONE;

    fn generation(_net: &Net) -> u32 {
        // It changes all the time; who asked again for that would never end.
        0
    }

    fn call(request: &Request<'_>, entries: &mut Entries<'_>, position: &mut Position) -> Result {
        let rcu = rcu::read_lock();
        let Some((_, pfsync)) = Namespace::interface_of(request.net, &rcu) else {
            return Ok(());
        };
        while pfsync.show_states(entries, &mut position.outer)? {}
        Ok(())
    }
}

/// PFSYNC_CMD_PEER_GET: all who were heard.
struct PeerGet;

impl Dump for PeerGet {
    const COMMAND: u32 = bindings::PFSYNC_CMD_PEER_GET;
    const PERMISSION: Permission = Permission::Anyone;
    const ATTRIBUTES: Table = Table::NONE;

    fn generation(_net: &Net) -> u32 {
        // They are so few that they are read in one piece.
        0
    }

    fn call(request: &Request<'_>, entries: &mut Entries<'_>, position: &mut Position) -> Result {
        let rcu = rcu::read_lock();
        let Some((_, pfsync)) = Namespace::interface_of(request.net, &rcu) else {
            return Ok(());
        };
        let (peers, last) = {
            let session = pfsync.session.lock();
            // Otherwise frames have no numbers.
            let is_numbered = session.outbox.is_compact() && session.config().confirm;
            (session.peers, is_numbered.then(|| session.flight.number()))
        };
        let now = Instant(timer::now());
        let next = usize::try_from(position.outer).unwrap_or(usize::MAX);
        for peer in peers.iter().skip(next) {
            entries.add(|message| show_peer(message, peer, last, now))?;
            position.outer = position.outer.saturating_add(1);
        }
        Ok(())
    }
}

/// `last` is the number of the last frame, if frames have any.
fn show_peer(
    message: &mut Message<'_>,
    peer: &Syncpeer,
    last: Option<u32>,
    now: Instant,
) -> Result {
    if let Some(address) = peer.address() {
        show_address(message, bindings::PFSYNC_PEER_ADDRESS, address)?;
    }
    let system = match (peer.is_pf(), peer.is_linux()) {
        (true, _) => bindings::pfsync_system_PFSYNC_SYSTEM_PF,
        (_, true) => bindings::pfsync_system_PFSYNC_SYSTEM_LINUX,
        _ => bindings::pfsync_system_PFSYNC_SYSTEM_UNKNOWN,
    };
    message.u8(bindings::PFSYNC_PEER_SYSTEM, system as u8)?;
    let pad = bindings::PFSYNC_PEER_PAD;
    message.u64(
        bindings::PFSYNC_PEER_HEARD,
        millis_since(peer.heard(), now),
        pad,
    )?;
    message.u64(bindings::PFSYNC_PEER_FRAMES, peer.frames(), pad)?;
    match last.and_then(|last| peer.behind(last)) {
        Some(behind) => message.u32(bindings::PFSYNC_PEER_BEHIND, behind),
        None => Ok(()),
    }
}

fn show_address(message: &mut Message<'_>, attribute: u32, address: IpAddr) -> Result {
    match address {
        IpAddr::V4(address) => message.binary(attribute, &address.octets()),
        IpAddr::V6(address) => message.binary(attribute, &address.octets()),
    }
}

impl Pfsync {
    /// Shows the next states. Whether there are more.
    fn show_states(&self, entries: &mut Entries<'_>, next: &mut Slot) -> Result<bool> {
        let session = self.session.lock();
        let now = Instant(timer::now());
        let end = session.store.end();
        let stop = next.saturating_add(AT_ONCE).min(end);
        while *next < stop {
            let find = |key| self.watch.find(key);
            let record = session.store.get(*next).filter(|it| it.live.is_some());
            let mut entry = Entry::default();
            let known = record.and_then(|_| read(&session.store, *next, now, find, &mut entry));
            if let (Some(record), Some(_)) = (record, known) {
                entries.add(|message| show(message, &session, now, record, &entry))?;
            }
            *next = next.saturating_add(1);
        }
        Ok(stop < end)
    }
}

fn show(
    message: &mut Message<'_>,
    session: &Session,
    now: Instant,
    record: &Record,
    entry: &Entry,
) -> Result {
    let name = |message: &mut Message<'_>, id: &StateId, [number, creator]: [u32; 2]| {
        message.binary(number, &id.id)?;
        message.binary(creator, &id.creator)
    };
    let first = [bindings::PFSYNC_A_ID, bindings::PFSYNC_A_CREATORID];
    name(message, &record.id, first)?;
    let other = record.other().and_then(|slot| session.store.get(slot));
    if let Some(other) = other {
        let second = [
            bindings::PFSYNC_A_SECOND_ID,
            bindings::PFSYNC_A_SECOND_CREATORID,
        ];
        name(message, &other.id, second)?;
    }
    message.u32(bindings::PFSYNC_A_FLAGS, flags(session, record))?;
    message.u32(bindings::PFSYNC_A_HEARD, seconds_since(record.heard, now))?;
    message.u32(bindings::PFSYNC_A_AGE, entry.age)?;
    message.u32(bindings::PFSYNC_A_TIMEOUT, entry.timeout)?;
    message.u8(bindings::PFSYNC_A_PROTOCOL, entry.original.protocol)?;
    message.nest(bindings::PFSYNC_A_ORIGINAL, |message| {
        show_tuple(message, &entry.original)
    })?;
    message.nest(bindings::PFSYNC_A_REPLY, |message| {
        show_tuple(message, &entry.reply)
    })?;
    message.u32(bindings::PFSYNC_A_MARK, entry.details.mark)?;
    message.u16(bindings::PFSYNC_A_ZONE, entry.details.zone.id)
}

fn flags(session: &Session, record: &Record) -> u32 {
    let place = record.pending.place();
    [
        (bindings::pfsync_state_PFSYNC_STATE_OWN, record.is_own()),
        (
            bindings::pfsync_state_PFSYNC_STATE_CREATED,
            record.id.creator == session.creator(),
        ),
        (
            bindings::pfsync_state_PFSYNC_STATE_QUEUED,
            matches!(place, Place::Queued(_)),
        ),
        (
            bindings::pfsync_state_PFSYNC_STATE_UNCONFIRMED,
            place == Place::Awaiting,
        ),
        (
            bindings::pfsync_state_PFSYNC_STATE_HELD,
            record.ticket.is_some(),
        ),
        (bindings::pfsync_state_PFSYNC_STATE_LENIENT, record.lenient),
    ]
    .into_iter()
    .filter(|(_, is_set)| *is_set)
    .fold(0, |flags, (bit, _)| flags | 1_u32.wrapping_shl(bit))
}

fn show_tuple(message: &mut Message<'_>, tuple: &Tuple) -> Result {
    show_address(message, bindings::PFSYNC_TUPLE_SOURCE, tuple.source)?;
    show_address(
        message,
        bindings::PFSYNC_TUPLE_DESTINATION,
        tuple.destination,
    )?;
    let [source, destination] = tuple.ids;
    message.u16(bindings::PFSYNC_TUPLE_SOURCE_PORT, source)?;
    message.u16(bindings::PFSYNC_TUPLE_DESTINATION_PORT, destination)
}
