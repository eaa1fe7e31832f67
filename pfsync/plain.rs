// SPDX-License-Identifier: GPL-2.0

//! An entry as a table describes it, and as the protocol does.

use crate::{
    linux::state_table::{Expected, Plain},
    proto::{
        pfsync::{
            conntrack::{
                protocol, Entry, Gre, Sctp, SeqAdjust, Status, Synproxy, Tcp, TcpLast, TcpSide,
                TcpState, Tracking, Tuple, Zone,
            },
            expectation::{Expectation, Kind},
            id::StateId,
            state::address_bytes,
        },
        text::Text,
    },
};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `AF_INET` and `AF_INET6`.
const IPV4: u8 = 2;
const IPV6: u8 = 10;

fn address(bytes: &[u8; 16], family: u8) -> IpAddr {
    match (family, bytes) {
        (IPV6, bytes) => IpAddr::V6(Ipv6Addr::from(*bytes)),
        (_, [a, b, c, d, ..]) => IpAddr::V4(Ipv4Addr::new(*a, *b, *c, *d)),
    }
}

fn family(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => IPV4,
        IpAddr::V6(_) => IPV6,
    }
}

/// What the table says of an entry; `master` is the name of the one that expected it.
pub(super) fn to_entry(plain: &Plain, master: Option<StateId>, entry: &mut Entry) {
    let tuple = |tuple: &crate::linux::bindings::pfsync_tuple| Tuple {
        source: address(&tuple.source, plain.family),
        destination: address(&tuple.destination, plain.family),
        protocol: plain.protocol,
        ids: tuple.ids,
    };
    let adjust = |adjust: &crate::linux::bindings::pfsync_seqadj| SeqAdjust {
        position: adjust.position,
        before: adjust.before,
        after: adjust.after,
    };
    entry.original = tuple(&plain.original);
    entry.reply = tuple(&plain.reply);
    entry.timeout = plain.timeout;
    entry.age = plain.age;
    entry.packets = plain.packets;
    entry.bytes = plain.bytes;
    let details = &mut entry.details;
    details.status = Status(plain.status);
    details.tracking = tracking(plain);
    details.adjust = plain.adjust.each_ref().map(adjust);
    details.zone = Zone {
        id: plain.zone,
        directions: plain.zone_directions,
    };
    details.mark = plain.mark;
    details.labels = plain.labels;
    details.helper = text(&plain.helper);
    details.master = master;
    details.synproxy = (plain.synproxy.present != 0).then_some(Synproxy {
        isn: plain.synproxy.isn,
        its: plain.synproxy.its,
        tsoff: plain.synproxy.tsoff,
    });
    details.start = plain.start;
}

fn text<const N: usize>(bytes: &[u8; N]) -> Text<N> {
    match bytes.first() {
        // As most are.
        Some(0) => Text::default(),
        _ => Text::new(bytes).unwrap_or_default(),
    }
}

fn tracking(plain: &Plain) -> Tracking {
    match plain.protocol {
        protocol::TCP => {
            let last = &plain.tcp.last;
            Tracking::Tcp(Tcp {
                state: TcpState::new(plain.tcp.state).unwrap_or_default(),
                seen: plain.tcp.seen.each_ref().map(|side| TcpSide {
                    end: side.end,
                    maxend: side.maxend,
                    maxwin: side.maxwin,
                    maxack: side.maxack,
                    scale: side.scale,
                    flags: side.flags,
                }),
                last: TcpLast {
                    direction: last.direction,
                    retrans: last.retrans,
                    index: last.index,
                    wscale: last.wscale,
                    flags: last.flags,
                    win: last.win,
                    seq: last.seq,
                    ack: last.ack,
                    end: last.end,
                },
            })
        }
        protocol::SCTP => Tracking::Sctp(Sctp {
            state: plain.sctp.state,
            vtag: plain.sctp.vtag,
            init: plain.sctp.init,
            last_direction: plain.sctp.last_direction,
            flags: plain.sctp.flags,
        }),
        protocol::GRE => Tracking::Gre(Gre {
            timeout: plain.gre.timeout,
            stream_timeout: plain.gre.stream_timeout,
        }),
        _ => Tracking::Other,
    }
}

/// What is looked for in a table, by its original tuple or that of its reply.
pub(super) fn of_tuple(tuple: &Tuple, zone: Zone) -> Plain {
    let mut plain = Plain {
        family: family(tuple.source),
        protocol: tuple.protocol,
        zone: zone.id,
        zone_directions: zone.directions,
        ..Plain::default()
    };
    for to in [&mut plain.original, &mut plain.reply] {
        set_tuple(to, tuple);
    }
    plain
}

fn set_tuple(to: &mut crate::linux::bindings::pfsync_tuple, from: &Tuple) {
    to.source = address_bytes(from.source);
    to.destination = address_bytes(from.destination);
    to.ids = from.ids;
}

/// What a table is to make of an entry, without its master; `plain` is all zeroes.
pub(super) fn from_entry(entry: &Entry, plain: &mut Plain) {
    plain.family = family(entry.original.source);
    plain.protocol = entry.original.protocol;
    plain.timeout = entry.timeout;
    plain.age = entry.age;
    plain.packets = entry.packets;
    plain.bytes = entry.bytes;
    set_tuple(&mut plain.original, &entry.original);
    set_tuple(&mut plain.reply, &entry.reply);
    let details = &entry.details;
    plain.status = details.status.0;
    plain.zone = details.zone.id;
    plain.zone_directions = details.zone.directions;
    plain.mark = details.mark;
    plain.labels = details.labels;
    plain.helper = *details.helper.padded();
    plain.start = details.start;
    for (to, from) in plain.adjust.iter_mut().zip(&details.adjust) {
        to.position = from.position;
        to.before = from.before;
        to.after = from.after;
    }
    if let Some(synproxy) = &details.synproxy {
        plain.synproxy.present = 1;
        plain.synproxy.isn = synproxy.isn;
        plain.synproxy.its = synproxy.its;
        plain.synproxy.tsoff = synproxy.tsoff;
    }
    match &details.tracking {
        Tracking::Tcp(tcp) => set_tcp(plain, tcp),
        Tracking::Sctp(sctp) => {
            plain.sctp.state = sctp.state;
            plain.sctp.vtag = sctp.vtag;
            plain.sctp.init = sctp.init;
            plain.sctp.last_direction = sctp.last_direction;
            plain.sctp.flags = sctp.flags;
        }
        Tracking::Gre(gre) => {
            plain.gre.timeout = gre.timeout;
            plain.gre.stream_timeout = gre.stream_timeout;
        }
        Tracking::Other => {}
    }
}

fn set_tcp(plain: &mut Plain, tcp: &Tcp) {
    plain.tcp.state = tcp.state as u8;
    for (to, from) in plain.tcp.seen.iter_mut().zip(&tcp.seen) {
        to.end = from.end;
        to.maxend = from.maxend;
        to.maxwin = from.maxwin;
        to.maxack = from.maxack;
        to.scale = from.scale;
        to.flags = from.flags;
    }
    let (to, from) = (&mut plain.tcp.last, &tcp.last);
    to.direction = from.direction;
    to.retrans = from.retrans;
    to.index = from.index;
    to.wscale = from.wscale;
    to.flags = from.flags;
    to.win = from.win;
    to.seq = from.seq;
    to.ack = from.ack;
    to.end = from.end;
}

/// A connection that the state `master` expects.
pub(super) fn to_expectation(expected: &Expected, master: StateId) -> Expectation {
    Expectation {
        master,
        number: expected.number,
        kind: Kind::Present,
        protocol: expected.protocol,
        source: address(&expected.source, expected.family),
        destination: address(&expected.destination, expected.family),
        ids: expected.ids,
        mask_source: expected.mask_source,
        mask_id: expected.mask_id,
        nat_address: expected.nat_address,
        nat_id: expected.nat_id,
        nat_direction: expected.nat_direction,
        timeout: expected.timeout,
        flags: expected.flags,
        class: expected.class,
        helper: text(&expected.helper),
        assign_helper: text(&expected.assign_helper),
        function: text(&expected.function),
    }
}

/// The same, the other way round.
pub(super) fn from_expectation(expectation: &Expectation) -> Expected {
    Expected {
        number: expectation.number,
        family: family(expectation.destination),
        protocol: expectation.protocol,
        source: address_bytes(expectation.source),
        destination: address_bytes(expectation.destination),
        mask_source: expectation.mask_source,
        ids: expectation.ids,
        mask_id: expectation.mask_id,
        nat_address: expectation.nat_address,
        nat_id: expectation.nat_id,
        nat_direction: expectation.nat_direction,
        timeout: expectation.timeout,
        flags: expectation.flags,
        class: expectation.class,
        helper: *expectation.helper.padded(),
        assign_helper: *expectation.assign_helper.padded(),
        function: *expectation.function.padded(),
    }
}
