// SPDX-License-Identifier: GPL-2.0

//! What several tests of pfsync need.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use carp_proto::pfsync::conntrack::{
    protocol, Details, Entry, Gre, Sctp, SeqAdjust, Status, Synproxy, Tcp, TcpLast, TcpSide,
    TcpState, Tracking, Tuple, Zone,
};
use carp_proto::pfsync::expectation::{Expectation, Kind};
use carp_proto::pfsync::extra::Extra;
use carp_proto::pfsync::frame::{Frame, Section, TTL};
use carp_proto::pfsync::id::StateId;
use carp_proto::pfsync::message::Message;
use carp_proto::pfsync::peer::{Peer, PeerState, Scrub};
use carp_proto::pfsync::short::{Bulk, BulkStatus, Clear, Tdb};
use carp_proto::pfsync::state::{Direction, Family, InterfaceName, Key, State};
use carp_proto::pfsync::time::Instant;
use carp_proto::pfsync::timeout::Timeout;
use carp_proto::pfsync::tuples::inverse;
use carp_proto::pfsync::update::Update;
use carp_proto::text::Text;
use proptest::prelude::*;

pub const MS: u64 = 1_000_000;

pub const fn at(ms: u64) -> Instant {
    Instant(ms * MS)
}

pub const fn id(number: u8) -> StateId {
    StateId {
        id: [0, 0, 0, 0, 0, 0, 0, number],
        creator: *b"here",
    }
}

/// All messages of a frame without fault.
pub fn messages(frame: &[u8]) -> Vec<Message<'_>> {
    let frame = Frame::check(TTL, frame).unwrap();
    frame
        .sections()
        .filter_map(|section| match section.unwrap() {
            Section::Messages(messages) => Some(messages),
            Section::Skipped(_) => None,
        })
        .flatten()
        .collect()
}

pub fn tuple(protocol: u8, source: &str, destination: &str, ids: [u16; 2]) -> Tuple {
    Tuple {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
        protocol,
        ids,
    }
}

pub fn entry(original: Tuple, tracking: Tracking) -> Entry {
    Entry {
        original,
        reply: inverse(&original),
        timeout: 100,
        age: 7,
        packets: [3, 2],
        bytes: [300, 200],
        details: Details {
            tracking,
            ..Details::default()
        },
    }
}

pub fn tcp_entry(state: TcpState) -> Entry {
    let original = tuple(protocol::TCP, "10.0.0.99", "198.51.100.7", [51000, 443]);
    let tcp = Tcp {
        state,
        ..Tcp::default()
    };
    entry(original, Tracking::Tcp(tcp))
}

pub fn peer_state() -> impl Strategy<Value = PeerState> {
    (0..=12_u8).prop_map(|number| PeerState::new(number).unwrap())
}

prop_compose! {
    pub fn peer()(
        scrub in any::<(u16, u8, u8, u32)>(),
        numbers in any::<(u32, u32, u32, u16, u16)>(),
        state in peer_state(),
        wscale in any::<u8>(),
    ) -> Peer {
        let (flags, ttl, valid, timestamp) = scrub;
        let (seqlo, seqhi, seqdiff, max_win, mss) = numbers;
        Peer {
            scrub: Scrub { flags, ttl, valid, timestamp },
            seqlo, seqhi, seqdiff, max_win, mss, state, wscale,
        }
    }
}

pub fn timeout() -> impl Strategy<Value = Timeout> {
    (0..=19_u8).prop_map(|number| Timeout::new(number).unwrap())
}

prop_compose! {
    pub fn state_id()(id in any::<[u8; 8]>(), creator in any::<[u8; 4]>()) -> StateId {
        StateId { id, creator: if creator == [0; 4] { [1; 4] } else { creator } }
    }
}

pub fn family() -> impl Strategy<Value = Family> {
    prop_oneof![Just(Family::Ipv4), Just(Family::Ipv6)]
}

prop_compose! {
    pub fn state()(
        id in state_id(),
        interface in any::<[u8; 16]>(),
        addresses in any::<[[u8; 16]; 4]>(),
        ports in any::<[u16; 6]>(),
        families in proptest::option::of((family(), family())),
        peers in (peer(), peer()),
        words in any::<[u32; 5]>(),
        counters in any::<[u64; 4]>(),
        family in family(),
        direction in prop_oneof![
            Just(Direction::Any), Just(Direction::In), Just(Direction::Out)
        ],
        timeout in timeout(),
        bytes in any::<[u8; 9]>(),
        rest in any::<([i32; 2], u16, u16, [u8; 16])>(),
    ) -> State {
        let [a, b, c, d] = addresses;
        let key = |addresses, ports, routing_domain, family| Key {
            addresses, ports, routing_domain, family,
        };
        State {
            id,
            interface: InterfaceName(interface),
            wire_key: key([a, b], [ports[0], ports[1]], ports[2], families.map(|f| f.0)),
            stack_key: key([c, d], [ports[3], ports[4]], ports[5], families.map(|f| f.1)),
            src: peers.0,
            dst: peers.1,
            route_to: rest.3,
            rule: words[0],
            anchor: words[1],
            nat_rule: words[2],
            creation: words[3],
            expire: words[4],
            packets: [counters[0], counters[1]],
            bytes: [counters[2], counters[3]],
            routing_tables: rest.0,
            max_mss: rest.1,
            family,
            protocol: bytes[0],
            direction,
            log: bytes[1],
            route_to_kind: bytes[2],
            timeout,
            sync_flags: bytes[3],
            updates: bytes[4],
            min_ttl: bytes[5],
            tos: bytes[6],
            flags: rest.2,
            priorities: [bytes[7], bytes[8]],
        }
    }
}

prop_compose! {
    pub fn update()(
        id in state_id(),
        src in peer(),
        dst in peer(),
        expire in any::<u32>(),
        timeout in timeout(),
        flags in any::<u8>(),
    ) -> Update {
        Update { id, src, dst, expire, timeout, flags }
    }
}

pub fn clear() -> impl Strategy<Value = Clear> {
    any::<([u8; 16], [u8; 4])>().prop_map(|(interface, creator)| Clear {
        interface: InterfaceName(interface),
        creator,
    })
}

pub fn bulk() -> impl Strategy<Value = Bulk> {
    any::<([u8; 4], u32, u8)>().prop_map(|(creator, end_time, status)| Bulk {
        creator,
        end_time,
        status: match status {
            1 => BulkStatus::Start,
            2 => BulkStatus::End,
            other => BulkStatus::Unknown(other),
        },
    })
}

prop_compose! {
    pub fn tdb()(
        spi in any::<u32>(),
        destination in proptest::array::uniform28(any::<u8>()),
        replay in any::<u64>(),
        bytes in any::<u64>(),
        small in any::<(u8, u8, u16)>(),
    ) -> Tdb {
        Tdb {
            spi, destination, replay, bytes,
            protocol: small.0, updates: small.1, routing_domain: small.2,
        }
    }
}

pub fn text<const N: usize>() -> impl Strategy<Value = Text<N>> {
    proptest::collection::vec(1..=255_u8, 0..=N).prop_map(|bytes| Text::new(&bytes).unwrap())
}

pub fn tcp_state() -> impl Strategy<Value = TcpState> {
    (0..=9_u8).prop_map(|number| TcpState::new(number).unwrap())
}

prop_compose! {
    pub fn tcp_side()(
        words in any::<[u32; 4]>(),
        scale in 0..=14_u8,
        flags in any::<u8>(),
    ) -> TcpSide {
        let [end, maxend, maxwin, maxack] = words;
        TcpSide { end, maxend, maxwin, maxack, scale, flags }
    }
}

prop_compose! {
    pub fn tcp()(
        state in tcp_state(),
        src in tcp_side(),
        dst in tcp_side(),
        bytes in any::<[u8; 5]>(),
        words in any::<(u16, u32, u32, u32)>(),
    ) -> Tcp {
        let [direction, retrans, index, wscale, flags] = bytes;
        let (win, seq, ack, end) = words;
        Tcp {
            state,
            seen: [src, dst],
            last: TcpLast { direction, retrans, index, wscale, flags, win, seq, ack, end },
        }
    }
}

pub fn sctp() -> impl Strategy<Value = Sctp> {
    any::<(u8, [[u8; 4]; 2], [u8; 2], u8, u8)>().prop_map(
        |(state, vtag, init, last_direction, flags)| Sctp {
            state,
            vtag,
            init,
            last_direction,
            flags,
        },
    )
}

pub fn tracking(protocol: u8) -> BoxedStrategy<Tracking> {
    match protocol {
        protocol::TCP => tcp().prop_map(Tracking::Tcp).boxed(),
        protocol::SCTP => sctp().prop_map(Tracking::Sctp).boxed(),
        protocol::GRE => any::<(u32, u32)>()
            .prop_map(|(timeout, stream_timeout)| {
                Tracking::Gre(Gre {
                    timeout,
                    stream_timeout,
                })
            })
            .boxed(),
        _ => Just(Tracking::Other).boxed(),
    }
}

fn seq_adjust() -> impl Strategy<Value = SeqAdjust> {
    prop_oneof![
        Just(SeqAdjust::default()),
        any::<(u32, i32, i32)>().prop_map(|(position, before, after)| SeqAdjust {
            position,
            before,
            after
        }),
    ]
}

fn zone() -> impl Strategy<Value = Zone> {
    (any::<u16>(), 1..=3_u8).prop_map(|(id, directions)| Zone { id, directions })
}

/// What belongs to an entry of this protocol; only status bits that travel.
pub fn details(protocol: u8) -> impl Strategy<Value = Details> {
    (
        (any::<u32>(), tracking(protocol), seq_adjust(), seq_adjust()),
        (zone(), any::<u32>(), any::<[u8; 16]>(), any::<u64>()),
        text::<16>(),
        (
            proptest::option::of(state_id()),
            proptest::option::of(any::<(u32, u32, u32)>()),
        ),
    )
        .prop_map(|(first, second, helper, options)| Details {
            status: Status(first.0).only(Status::SHARED),
            tracking: first.1,
            adjust: [first.2, first.3],
            zone: second.0,
            mark: second.1,
            labels: second.2,
            helper,
            master: options.0,
            synproxy: options
                .1
                .map(|(isn, its, tsoff)| Synproxy { isn, its, tsoff }),
            start: second.3,
        })
}

pub fn protocols() -> impl Strategy<Value = u8> {
    prop_oneof![
        Just(protocol::TCP),
        Just(protocol::UDP),
        Just(protocol::ICMP),
        Just(protocol::ICMPV6),
        Just(protocol::SCTP),
        Just(protocol::GRE),
        Just(protocol::UDPLITE),
        Just(protocol::DCCP),
        any::<u8>(),
    ]
}

pub fn extra() -> impl Strategy<Value = Extra> {
    let whole = (
        protocols().prop_flat_map(details),
        any::<u32>(),
        proptest::option::of(any::<[[u16; 2]; 2]>()),
        proptest::option::of(any::<[u8; 16]>()),
        any::<Option<bool>>(),
    )
        .prop_map(|(details, timeout, ids, other_side, in_use)| Extra {
            details,
            timeout,
            ids,
            other_side,
            half_of: None,
            in_use,
        });
    prop_oneof![9 => whole, 1 => state_id().prop_map(Extra::half_of)]
}

fn address(ipv6: bool) -> BoxedStrategy<IpAddr> {
    match ipv6 {
        false => any::<[u8; 4]>()
            .prop_map(|octets| IpAddr::V4(Ipv4Addr::from(octets)))
            .boxed(),
        true => any::<[u8; 16]>()
            .prop_map(|octets| IpAddr::V6(Ipv6Addr::from(octets)))
            .boxed(),
    }
}

/// An entry of any kind, with any NAT.
pub fn entries() -> impl Strategy<Value = Entry> {
    (protocols(), any::<bool>())
        .prop_flat_map(|(protocol, ipv6)| {
            let addresses = (address(ipv6), address(ipv6), address(ipv6), address(ipv6));
            (
                Just(protocol),
                addresses,
                any::<[[u16; 2]; 2]>(),
                any::<(bool, u32, u32, [u64; 2], [u64; 2])>(),
                details(protocol),
            )
        })
        .prop_map(|(protocol, addresses, ids, rest, details)| {
            let original = Tuple {
                source: addresses.0,
                destination: addresses.1,
                protocol,
                ids: ids[0],
            };
            let nat = Tuple {
                source: addresses.2,
                destination: addresses.3,
                protocol,
                ids: ids[1],
            };
            Entry {
                original,
                reply: if rest.0 { nat } else { inverse(&original) },
                timeout: rest.1,
                age: rest.2,
                packets: rest.3,
                bytes: rest.4,
                details,
            }
        })
}

pub fn expectation() -> impl Strategy<Value = Expectation> {
    any::<bool>()
        .prop_flat_map(|ipv6| {
            (
                (state_id(), any::<u32>(), any::<bool>(), any::<u8>()),
                (address(ipv6), address(ipv6), any::<[u16; 2]>()),
                any::<([u8; 16], u16, [u8; 16], u16)>(),
                (0..=1_u8, any::<(u32, u32, u32)>()),
                (text::<16>(), text::<16>(), text::<32>()),
            )
        })
        .prop_map(|(name, tuple, masks, rest, texts)| Expectation {
            master: name.0,
            number: name.1,
            kind: if name.2 { Kind::Present } else { Kind::Gone },
            protocol: name.3,
            source: tuple.0,
            destination: tuple.1,
            ids: tuple.2,
            mask_source: masks.0,
            mask_id: masks.1,
            nat_address: masks.2,
            nat_id: masks.3,
            nat_direction: rest.0,
            timeout: rest.1 .0,
            flags: rest.1 .1,
            class: rest.1 .2,
            helper: texts.0,
            assign_helper: texts.1,
            function: texts.2,
        })
}
