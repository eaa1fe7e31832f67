// SPDX-License-Identifier: GPL-2.0

//! A pf state and an entry of the connection tracking, one made of the other.
//!
//! [`export`] makes of an entry what is sent, [`import`] makes an entry of what
//! came in, [`apply`] changes one by an update. What has no field in a state
//! goes beside it as an [`Extra`]; with it, nothing is lost on the way, without
//! it what remains is what pf knows.

use super::conntrack::{protocol, Details, Entry, Gre, Sctp, Status, Tcp, TcpState, Tracking};
use super::conntrack::{TCP_BE_LIBERAL, TCP_CLOSE_INIT, TCP_WINDOW_SCALE};
use super::extra::Extra;
use super::id::StateId;
use super::merge::Verdict;
use super::peer::{Peer, PeerState};
use super::state::{address, address_bytes, Direction, InterfaceName, State, FLAG_SLOPPY, NO_RULE};
use super::tcp;
use super::timeout::Timeout;
use super::tuples::{self, Unmappable};
use super::update::Update;

/// The timeout classes of a protocol in which only traffic counts.
struct Classes {
    first: Timeout,
    single: Timeout,
    multiple: Timeout,
}

const UDP: Classes = Classes {
    first: Timeout::UDP_FIRST,
    single: Timeout::UDP_SINGLE,
    multiple: Timeout::UDP_MULTIPLE,
};

const OTHER: Classes = Classes {
    first: Timeout::OTHER_FIRST,
    single: Timeout::OTHER_SINGLE,
    multiple: Timeout::OTHER_MULTIPLE,
};

const fn is_icmp(protocol: u8) -> bool {
    matches!(protocol, protocol::ICMP | protocol::ICMPV6)
}

/// The two peers and the timeout class of an entry.
#[must_use]
pub fn peers(entry: &Entry) -> (Peer, Peer, Timeout) {
    let protocol = entry.original.protocol;
    let details = &entry.details;
    if let Tracking::Tcp(tcp) = &details.tracking {
        let (src, dst) = tcp::to_peers(tcp, &details.adjust);
        return (src, dst, tcp::timeout(tcp.state));
    }
    if is_icmp(protocol) {
        return (Peer::default(), Peer::default(), Timeout::ICMP_FIRST);
    }
    let classes = match protocol {
        protocol::UDP => UDP,
        _ => OTHER,
    };
    let peer = |state| Peer {
        state,
        ..Peer::default()
    };
    // conntrack counts no packets here: it knows whether there was an answer,
    // and whether it went on for a while after that.
    let (src, dst, class) = if details.status.contains(Status::ASSURED) {
        (PeerState::MULTIPLE, PeerState::MULTIPLE, classes.multiple)
    } else if details.status.contains(Status::SEEN_REPLY) {
        (PeerState::MULTIPLE, PeerState::SINGLE, classes.single)
    } else {
        (PeerState::SINGLE, PeerState::NO_TRAFFIC, classes.first)
    };
    (peer(src), peer(dst), class)
}

/// Whether windows of the connection are not to be trusted.
fn is_liberal(entry: &Entry) -> bool {
    match &entry.details.tracking {
        Tracking::Tcp(tcp) => tcp.seen.iter().any(|side| side.flags & TCP_BE_LIBERAL != 0),
        _ => false,
    }
}

/// Makes a state of an entry, and what goes beside it to Linux hosts.
///
/// `flags` are those of the state that do not come from the entry, such as
/// [`FLAG_ACK`](super::state::FLAG_ACK). The direction is the driver's choice,
/// see [`tuples::direction`].
///
/// # Errors
///
/// The tuples are of two families, or there is no direction.
pub fn export(
    entry: &Entry,
    id: StateId,
    direction: Direction,
    flags: u16,
) -> Result<(State, Extra), Unmappable> {
    let (family, wire_key, stack_key) = tuples::keys(&entry.original, &entry.reply, direction)?;
    let (src, dst, timeout) = peers(entry);
    let sloppy = if is_liberal(entry) { FLAG_SLOPPY } else { 0 };
    let state = State {
        id,
        interface: InterfaceName::ALL,
        wire_key,
        stack_key,
        src,
        dst,
        route_to: [0; 16],
        rule: NO_RULE,
        anchor: NO_RULE,
        nat_rule: NO_RULE,
        creation: entry.age,
        expire: entry.timeout,
        packets: entry.packets,
        bytes: entry.bytes,
        // the initiator's key has none, the other one the main table
        routing_tables: match direction {
            Direction::In => [-1, 0],
            _ => [0, -1],
        },
        max_mss: 0,
        family,
        protocol: entry.original.protocol,
        direction,
        log: 0,
        route_to_kind: 0,
        timeout,
        sync_flags: 0,
        updates: 0,
        min_ttl: 0,
        tos: 0,
        flags: flags | sloppy,
        priorities: [0; 2],
    };
    let (ids, other_side) = tuples::untold(&state, entry);
    let details = Details {
        status: entry.details.status.only(Status::SHARED),
        ..entry.details
    };
    let extra = Extra {
        details,
        timeout: entry.timeout,
        ids,
        other_side: other_side.map(address_bytes),
        half_of: None,
        in_use: None,
    };
    Ok((state, extra))
}

/// Makes an entry of a state that we do not have.
///
/// Packets and bytes start at 0: those of the peer were counted there.
///
/// # Errors
///
/// The state is of a kind that conntrack does not have.
pub fn import(state: &State, extra: Option<&Extra>) -> Result<Entry, Unmappable> {
    if state.protocol == protocol::TCP && (state.src.state.is_proxy() || state.dst.state.is_proxy())
    {
        return Err(Unmappable::Proxy);
    }
    let extra = fitting(state.protocol, extra);
    let (mut original, mut reply) = tuples::from_state(state)?;
    if let Some([original_ids, reply_ids]) = extra.and_then(|extra| extra.ids) {
        original.ids = original_ids;
        reply.ids = reply_ids;
    }
    let needs_ports = matches!(
        state.protocol,
        protocol::SCTP | protocol::DCCP | protocol::UDPLITE
    );
    if extra.is_none() && needs_ports && original.ids == [0, 0] {
        return Err(Unmappable::NoPorts);
    }
    if let Some(bytes) = extra.and_then(|extra| extra.other_side) {
        let other_side = address(&bytes, state.family);
        match state.direction {
            Direction::In => reply.destination = other_side,
            _ => original.destination = other_side,
        }
    }
    let nat = tuples::nat_status(&original, &reply);
    let details = match extra {
        Some(extra) => Details {
            status: Status(extra.details.status.only(Status::SHARED).0 | nat.0),
            ..extra.details
        },
        None => {
            let mut details = Details::default();
            set_peers(&mut details, state.protocol, &state.src, &state.dst, {
                state.flags & FLAG_SLOPPY != 0
            });
            details.status = Status(details.status.0 | nat.0);
            details
        }
    };
    Ok(Entry {
        original,
        reply,
        timeout: match (extra, state.expire) {
            (Some(extra), _) => extra.timeout,
            (None, 0) => state.timeout.default_seconds(),
            (None, expire) => expire,
        },
        age: state.creation,
        packets: [0; 2],
        bytes: [0; 2],
        details,
    })
}

/// Changes an entry by an update of it, as far as `verdict` allows.
///
/// Returns whether the timeout starts again. Its class's length is pf's default
/// unless the update comes with an [`Extra`]; a driver that has lengths of its
/// own puts those of `update.timeout` there.
pub fn apply(entry: &mut Entry, update: &Update, verdict: Verdict, extra: Option<&Extra>) -> bool {
    if !verdict.take_timeout() {
        return false;
    }
    let protocol = entry.original.protocol;
    let fitting = fitting(protocol, extra).filter(|_| verdict.stale() == 0);
    match fitting {
        Some(extra) => {
            // What belongs to this host's own making of the entry stays.
            let own = Status(entry.details.status.0 & !Status::SHARED.0);
            let nat = tuples::nat_status(&entry.original, &entry.reply);
            let shared = extra.details.status.only(Status::SHARED);
            entry.details = Details {
                status: Status(own.0 | shared.0 | nat.0),
                ..extra.details
            };
            entry.timeout = extra.timeout;
        }
        None => {
            let (src, dst, _) = peers(entry);
            let pick = |take, theirs, ours| if take { theirs } else { ours };
            let src = pick(verdict.take_src, update.src, src);
            let dst = pick(verdict.take_dst, update.dst, dst);
            let kept = entry.details;
            let liberal = is_liberal(entry) || u16::from(update.flags) & FLAG_SLOPPY != 0;
            set_peers(&mut entry.details, protocol, &src, &dst, liberal);
            keep_sides(&mut entry.details, &kept, verdict);
            entry.timeout = update.timeout.default_seconds();
        }
    }
    true
}

/// An [`Extra`] that is about the protocol that it claims to be about.
///
/// One that tells TCP's state of a UDP flow would make conntrack read the one
/// as the other.
fn fitting(protocol: u8, extra: Option<&Extra>) -> Option<&Extra> {
    let extra = extra.filter(|extra| extra.half_of.is_none());
    extra.filter(|extra| {
        matches!(
            (protocol, &extra.details.tracking),
            (protocol::TCP, Tracking::Tcp(_))
                | (protocol::SCTP, Tracking::Sctp(_))
                | (protocol::GRE, Tracking::Gre(_))
        ) || !matches!(protocol, protocol::TCP | protocol::SCTP | protocol::GRE)
            && matches!(extra.details.tracking, Tracking::Other)
    })
}

/// Sets what two peers say.
fn set_peers(details: &mut Details, protocol: u8, src: &Peer, dst: &Peer, liberal: bool) {
    if protocol == protocol::TCP {
        let tcp = tcp::from_peers(src, dst, liberal);
        let answered = dst.state >= PeerState::SYN_SENT;
        let open = src.state >= PeerState::ESTABLISHED && dst.state >= PeerState::ESTABLISHED;
        details.status = details
            .status
            .with_if(Status::SEEN_REPLY, answered)
            .with_if(Status::ASSURED, open && tcp.state != TcpState::Close)
            .with_if(Status::SEQ_ADJUST, src.seqdiff != 0 || dst.seqdiff != 0);
        details.adjust = [tcp::adjust(src), tcp::adjust(dst)];
        details.tracking = Tracking::Tcp(tcp);
        return;
    }
    if !is_icmp(protocol) {
        details.status = details
            .status
            .with_if(Status::SEEN_REPLY, dst.state >= PeerState::SINGLE)
            .with_if(
                Status::ASSURED,
                src.state >= PeerState::MULTIPLE && dst.state >= PeerState::MULTIPLE,
            );
    }
    // A peer that is not Linux knows nothing of these; what we know, stays.
    match (protocol, &details.tracking) {
        (protocol::SCTP, Tracking::Sctp(_)) | (protocol::GRE, Tracking::Gre(_)) => (),
        (protocol::SCTP, _) => details.tracking = Tracking::Sctp(sctp(dst.state)),
        (protocol::GRE, _) => details.tracking = Tracking::Gre(Gre::default()),
        _ => details.tracking = Tracking::Other,
    }
}

/// What conntrack would call an association of which pf saw packets: COOKIE_WAIT
/// without an answer, else ESTABLISHED. The tags are not known; the driver lets
/// conntrack learn them from the next packets or leaves such an entry out.
fn sctp(dst: PeerState) -> Sctp {
    const COOKIE_WAIT: u8 = 2;
    const ESTABLISHED: u8 = 4;
    Sctp {
        state: if dst >= PeerState::SINGLE {
            ESTABLISHED
        } else {
            COOKIE_WAIT
        },
        ..Sctp::default()
    }
}

/// Puts back what `kept` knows more exactly than pf's peers could say: the sides
/// that were not taken, and what pf has no word for.
fn keep_sides(details: &mut Details, kept: &Details, verdict: Verdict) {
    let (Tracking::Tcp(tcp), Tracking::Tcp(old)) = (&mut details.tracking, &kept.tracking) else {
        return;
    };
    let Tcp { seen, last, .. } = tcp;
    *last = old.last;
    let taken = [verdict.take_src, verdict.take_dst];
    for ((side, old), taken) in seen.iter_mut().zip(&old.seen).zip(taken) {
        let closer = side.flags & TCP_CLOSE_INIT;
        if taken {
            side.maxack = old.maxack;
            side.maxwin = side.maxwin.max(old.maxwin);
            if old.flags & TCP_WINDOW_SCALE != 0 && side.flags & TCP_WINDOW_SCALE == 0 {
                // Agreed is agreed: the peer may not have seen both SYNs.
                side.scale = old.scale;
            }
            side.flags |= old.flags;
        } else {
            *side = *old;
        }
        side.flags |= closer;
    }
    // The same offset says nothing new, and pf cannot tell where it began.
    for (adjust, old) in details.adjust.iter_mut().zip(&kept.adjust) {
        if adjust.after == old.after {
            *adjust = *old;
        }
    }
}
