// SPDX-License-Identifier: GPL-2.0

//! A pf state and a conntrack entry, one made of the other.

use crate::common::{self, entry, id, tcp_entry, tuple};
use carp_proto::pfsync::conntrack::{
    protocol, Entry, SeqAdjust, Status, Tcp, TcpState, Tracking, TCP_WINDOW_SCALE,
};
use carp_proto::pfsync::extra::Extra;
use carp_proto::pfsync::mapping::{apply, export, import, peers};
use carp_proto::pfsync::merge::{judge, Verdict};
use carp_proto::pfsync::peer::Peer;
use carp_proto::pfsync::state::{Direction, Family, InterfaceName, State, FLAG_ACK, NO_RULE};
use carp_proto::pfsync::tcp::to_peers;
use carp_proto::pfsync::timeout::Timeout;
use carp_proto::pfsync::tuples::{
    between, combine, direction, from_state, inverse, other_half, Unmappable,
};
use proptest::prelude::*;

const BOTH: [Direction; 2] = [Direction::Out, Direction::In];

fn exported(entry: &Entry, direction: Direction) -> State {
    export(entry, id(1), direction, 0).unwrap().0
}

fn tcp_of(entry: &Entry) -> Tcp {
    match entry.details.tracking {
        Tracking::Tcp(tcp) => tcp,
        _ => panic!("not TCP"),
    }
}

#[test]
fn status_bits_are_the_kernels() {
    let shared = 0x1 | 0x2 | 0x4 | 0x10 | 0x20 | 0x40 | 0x400 | 0x2000;
    assert_eq!(Status::SHARED, Status(shared));
    let one_by_one = [
        (Status::EXPECTED, 0x1),
        (Status::SEEN_REPLY, 0x2),
        (Status::ASSURED, 0x4),
        (Status::SRC_NAT, 0x10),
        (Status::DST_NAT, 0x20),
        (Status::SEQ_ADJUST, 0x40),
        (Status::FIXED_TIMEOUT, 0x400),
        (Status::HELPER, 0x2000),
    ];
    assert!(one_by_one.iter().all(|(status, bit)| status.0 == *bit));
    assert_eq!(Status(5).with_if(Status(6), true), Status(7));
    assert_eq!(Status(5).with_if(Status(6), false), Status(5));
    for bit in 0..32 {
        let offloaded = [14, 15].contains(&bit);
        assert_eq!(Status(1 << bit).is_offloaded(), offloaded, "{bit}");
    }
}

#[test]
fn a_tuple_in_words() {
    let of_ipv4 = tuple(protocol::UDP, "10.0.0.1", "192.0.2.9", [1024, 53]);
    assert_eq!(of_ipv4.to_string(), "10.0.0.1:1024 to 192.0.2.9:53");
    let of_ipv6 = tuple(protocol::UDP, "2001:db8::1", "2001:db8::2", [1024, 53]);
    assert_eq!(
        of_ipv6.to_string(),
        "[2001:db8::1]:1024 to [2001:db8::2]:53"
    );
}

#[test]
fn status_says_how_far_others_than_tcp_have_got() {
    let seen = Status::SEEN_REPLY;
    let both = seen.with_if(Status::ASSURED, true);
    for (protocol, classes) in [(17, [6, 7, 8]), (132, [11, 12, 13]), (89, [11, 12, 13])] {
        let tracking = match protocol {
            132 => Tracking::Sctp(Default::default()),
            _ => Tracking::Other,
        };
        let mut entry = entry(tuple(protocol, "10.0.0.1", "10.0.0.2", [7, 8]), tracking);
        let table = [(Status::default(), 1, 0), (seen, 2, 1), (both, 2, 2)];
        for ((status, src, dst), class) in table.into_iter().zip(classes) {
            entry.details.status = status;
            let state = exported(&entry, Direction::Out);
            let numbers = (state.src.state.number(), state.dst.state.number());
            assert_eq!(numbers, (src, dst), "{protocol}");
            assert_eq!(state.timeout.number(), class);
            let back = import(&state, None).unwrap();
            assert_eq!(back.details.status, status);
        }
    }
}

#[test]
fn icmp_has_the_id_at_the_initiator_and_the_type_at_the_other() {
    let original = tuple(1, "198.51.100.254", "198.51.100.1", [4711, 8 << 8]);
    let entry = entry(original, Tracking::Other);
    assert_eq!(entry.reply.ids, [4711, 0], "an echo reply of the same id");
    for direction in BOTH {
        let state = exported(&entry, direction);
        let expected = match direction {
            Direction::Out => [8, 4711],
            _ => [4711, 8],
        };
        assert_eq!(state.wire_key.ports, expected);
        assert_eq!(state.stack_key.ports, expected);
        assert_eq!((state.src, state.dst), (Peer::default(), Peer::default()));
        assert_eq!(state.timeout, Timeout::ICMP_FIRST);
        let back = import(&state, None).unwrap();
        assert_eq!((back.original, back.reply), (entry.original, entry.reply));
    }
}

#[test]
fn icmp_of_ipv6_under_nat_keeps_both_ids() {
    let original = tuple(58, "fd00::1", "2001:db8::1", [1, 128 << 8]);
    let mut entry = entry(original, Tracking::Other);
    entry.reply = tuple(58, "2001:db8::1", "2001:db8::99", [2, 129 << 8]);
    for direction in BOTH {
        let (state, extra) = export(&entry, id(1), direction, 0).unwrap();
        // sources are translated where packets go out
        let told = direction == Direction::Out;
        assert_eq!(extra.ids.is_none() && extra.other_side.is_none(), told);
        let back = import(&state, (!told).then_some(&extra)).unwrap();
        assert_eq!((back.original, back.reply), (entry.original, entry.reply));
        assert!(back.details.status.contains(Status::SRC_NAT));
    }
}

#[test]
fn every_question_of_icmp_has_its_answer() {
    let table = [(1, 8, 0), (1, 13, 14), (1, 15, 16), (1, 17, 18)];
    let table6 = [(58, 128, 129), (58, 139, 140), (58, 77, 77)];
    for (protocol, asks, answers) in table.into_iter().chain(table6) {
        let original = tuple(protocol, "::1", "::2", [5, (asks << 8) | 3]);
        assert_eq!(inverse(&original).ids, [5, (answers << 8) | 3]);
        assert_eq!(inverse(&inverse(&original)), original);
    }
}

#[test]
fn source_nat_makes_the_two_keys_differ() {
    let original = tuple(6, "10.0.0.99", "198.51.100.7", [51000, 443]);
    let mut entry = tcp_entry(TcpState::Established);
    entry.reply = tuple(6, "198.51.100.7", "203.0.113.5", [443, 60001]);
    entry.details.status = Status::SRC_NAT;
    assert_eq!(direction(entry.details.status), Direction::Out);
    let state = exported(&entry, Direction::Out);
    assert_eq!(state.wire_key.ports, [443, 60001]);
    assert_eq!(state.stack_key.ports, [443, 51000]);
    assert_eq!(state.wire_key.addresses[1][..4], [203, 0, 113, 5]);
    assert_eq!(state.stack_key.addresses[1][..4], [10, 0, 0, 99]);
    let back = import(&state, None).unwrap();
    assert_eq!((back.original, back.reply), (original, entry.reply));
    let nat = back.details.status.only(Status(0x30));
    assert_eq!(nat, Status::SRC_NAT);
}

#[test]
fn destination_nat_is_for_where_packets_come_in() {
    let mut entry = tcp_entry(TcpState::Established);
    entry.original = tuple(6, "192.0.2.77", "203.0.113.5", [49153, 80]);
    entry.reply = tuple(6, "10.0.0.80", "192.0.2.77", [8080, 49153]);
    assert_eq!(direction(Status::DST_NAT), Direction::In);
    let state = exported(&entry, Direction::In);
    assert_eq!(state.wire_key.ports, [49153, 80]);
    assert_eq!(state.stack_key.ports, [49153, 8080]);
    let back = import(&state, None).unwrap();
    assert_eq!((back.original, back.reply), (entry.original, entry.reply));
    assert_eq!(back.details.status.only(Status(0x30)), Status::DST_NAT);
}

#[test]
fn the_two_states_of_a_forwarded_connection_are_one_entry() {
    // in: destination translated; out: source translated
    let mut inbound = tcp_entry(TcpState::Established);
    inbound.original = tuple(6, "192.0.2.77", "203.0.113.5", [49153, 80]);
    inbound.reply = tuple(6, "10.0.0.80", "192.0.2.77", [8080, 49153]);
    let mut outbound = inbound;
    outbound.original = inverse(&inbound.reply);
    outbound.reply = tuple(6, "10.0.0.80", "10.0.0.1", [8080, 61000]);
    let (inside, outside) = (
        exported(&inbound, Direction::In),
        exported(&outbound, Direction::Out),
    );
    let tuples = |state: &State| from_state(state).unwrap();
    let together = combine(tuples(&inside), tuples(&outside));
    assert_eq!(together, Some((inbound.original, outbound.reply)));
    assert_eq!(combine(tuples(&outside), tuples(&inside)), None);
    let stranger = exported(&tcp_entry(TcpState::Established), Direction::Out);
    assert_eq!(combine(tuples(&inside), tuples(&stranger)), None);
    // each finds the other one's entry, whichever comes first
    let found = other_half(Direction::In, &inbound.original, &inbound.reply);
    assert_eq!(found, Some((outbound.original, false)));
    let found = other_half(Direction::Out, &outbound.original, &outbound.reply);
    assert_eq!(found, Some((inbound.reply, true)));
    assert_eq!(
        other_half(Direction::Any, &inbound.original, &inbound.reply),
        None
    );
    // what was made of both is told as both
    let mut whole = inbound;
    whole.reply = outbound.reply;
    for (half, is) in [(inside, Direction::In), (outside, Direction::Out)] {
        let told = exported(&whole, is);
        assert_eq!(
            (told.wire_key, told.stack_key),
            (half.wire_key, half.stack_key)
        );
    }
}

#[test]
fn the_other_half_says_nothing_to_linux() {
    let entry = tcp_entry(TcpState::Established);
    let (state, _) = export(&entry, id(1), Direction::In, 0).unwrap();
    let half = Extra::half_of(id(2));
    assert_eq!(half.half_of, Some(id(2)));
    assert_eq!(import(&state, Some(&half)), import(&state, None));
    let (mut with, mut without) = (entry, entry);
    for (entry, extra) in [(&mut with, Some(&half)), (&mut without, None)] {
        apply(entry, &state.update(), Verdict::both(true), extra);
    }
    assert_eq!(with, without);
}

/// Client, public address, server, the address that the client is translated to.
const WHO: [&str; 4] = ["192.0.2.77", "203.0.113.5", "10.0.0.80", "10.0.0.1"];
const WHO6: [&str; 4] = ["2001:db8::77", "2001:db8:1::5", "fd00::80", "fd00::1"];

#[test]
fn both_halves_of_every_kind_of_translation() {
    for (protocol, [from, to, back, back_to]) in [
        (
            protocol::TCP,
            [[7000, 80], [7000, 8080], [8080, 61000], [8080, 7000]],
        ),
        (
            protocol::UDP,
            [[7000, 80], [7000, 8080], [8080, 61000], [8080, 7000]],
        ),
        (
            protocol::ICMP,
            [[77, 0x0800], [77, 0x0800], [78, 0], [77, 0]],
        ),
        (
            protocol::ICMPV6,
            [[77, 0x8000], [77, 0x8000], [78, 0x8100], [77, 0x8100]],
        ),
        (89, [[0, 0], [0, 0], [0, 0], [0, 0]]),
    ] {
        let [client, public, server, shared] = match protocol {
            protocol::ICMPV6 => WHO6,
            _ => WHO,
        };
        let asks = tuple(protocol, client, public, from);
        let inside = tuple(protocol, client, server, to);
        let answers = tuple(protocol, server, client, back_to);
        let translated = tuple(protocol, server, shared, back);
        let mut entry = match protocol {
            protocol::TCP => tcp_entry(TcpState::Established),
            _ => entry(asks, Tracking::Other),
        };
        for (original, reply) in [
            (asks, translated),
            (asks, answers),
            (inside, translated),
            (inside, answers),
        ] {
            (entry.original, entry.reply) = (original, reply);
            assert_eq!(between(&original, &reply), inside);
            let halves = [Direction::In, Direction::Out].map(|direction| {
                let (state, extra) = export(&entry, id(1), direction, 0).unwrap();
                // by itself it is a state of pf's, with what goes beside it all there is
                assert_eq!(import(&state, Some(&extra)).unwrap().original, original);
                assert_eq!(import(&state, Some(&extra)).unwrap().reply, reply);
                from_state(&state).unwrap()
            });
            assert_eq!(halves, [(original, answers), (inside, reply)]);
            assert_eq!(combine(halves[0], halves[1]), Some((original, reply)));
        }
    }
}

#[test]
fn what_conntrack_cannot_have_is_refused() {
    let entry = tcp_entry(TcpState::Established);
    let none = export(&entry, id(1), Direction::Any, 0);
    assert_eq!(none.err(), Some(Unmappable::NoDirection));
    let mut state = exported(&entry, Direction::Out);
    state.direction = Direction::Any;
    assert_eq!(import(&state, None), Err(Unmappable::NoDirection));
    state.direction = Direction::Out;
    state.wire_key.family = Some(Family::Ipv6);
    assert_eq!(import(&state, None), Err(Unmappable::TwoFamilies));
    let mut mixed = entry;
    mixed.reply.source = "::1".parse().unwrap();
    let mixed = export(&mixed, id(1), Direction::Out, 0);
    assert_eq!(mixed.err(), Some(Unmappable::TwoFamilies));
}

#[test]
fn families_of_keys_may_be_left_to_the_state() {
    let entry = tcp_entry(TcpState::Established);
    let mut state = exported(&entry, Direction::Out);
    (state.wire_key.family, state.stack_key.family) = (None, None);
    let back = import(&state, None).unwrap();
    assert_eq!((back.original, back.reply), (entry.original, entry.reply));
}

#[test]
fn the_fields_that_are_the_same_for_all() {
    let entry = tcp_entry(TcpState::Established);
    for direction in BOTH {
        let (state, _) = export(&entry, id(1), direction, FLAG_ACK).unwrap();
        assert_eq!(state.interface, InterfaceName::ALL);
        assert_eq!([state.rule, state.anchor, state.nat_rule], [NO_RULE; 3]);
        assert_eq!((state.creation, state.expire), (7, 100));
        assert_eq!((state.packets, state.bytes), ([3, 2], [300, 200]));
        assert!(state.wants_ack());
        let expected = match direction {
            Direction::In => [-1, 0],
            _ => [0, -1],
        };
        assert_eq!(state.routing_tables, expected);
    }
}

#[test]
fn expire_zero_is_the_full_timeout_and_counters_are_not_taken() {
    let mut state = exported(&tcp_entry(TcpState::Established), Direction::Out);
    assert_eq!(import(&state, None).unwrap().timeout, 100);
    state.expire = 0;
    let entry = import(&state, None).unwrap();
    assert_eq!(entry.timeout, 86_400);
    assert_eq!((entry.packets, entry.bytes), ([0; 2], [0; 2]));
}

#[test]
fn an_update_starts_the_full_timeout_of_its_class() {
    let mut entry = tcp_entry(TcpState::Established);
    let mut later = tcp_entry(TcpState::FinWait);
    later.timeout = 3;
    let state = exported(&later, Direction::Out);
    for expire in [0, 5, u32::MAX] {
        let mut update = state.update();
        update.expire = expire;
        assert!(apply(&mut entry, &update, Verdict::both(true), None));
        assert_eq!(entry.timeout, 900, "expire is ignored");
        assert_eq!(tcp_of(&entry).state, TcpState::FinWait);
    }
}

#[test]
fn nothing_is_taken_of_an_update_that_is_stale() {
    let mut entry = tcp_entry(TcpState::Established);
    let before = entry;
    let (state, extra) = export(&tcp_entry(TcpState::SynSent), id(1), Direction::Out, 0).unwrap();
    let taken = apply(
        &mut entry,
        &state.update(),
        Verdict::both(false),
        Some(&extra),
    );
    assert!(!taken);
    assert_eq!(entry, before);
}

#[test]
fn each_side_is_taken_alone() {
    let mut entry = tcp_entry(TcpState::Established);
    let mut tcp = tcp_of(&entry);
    for (side, end) in tcp.seen.iter_mut().zip([1000, 2000]) {
        (side.end, side.maxack, side.maxwin) = (end, 5, 3000);
        (side.scale, side.flags) = (2, TCP_WINDOW_SCALE);
    }
    entry.details.tracking = Tracking::Tcp(tcp);
    let (src, dst, timeout) = peers(&entry);
    let mut update = exported(&entry, Direction::Out).update();
    assert_eq!(
        (update.src, update.dst, update.timeout),
        (src, dst, timeout)
    );
    // they saw more of the one side and less of the other
    (update.src.seqlo, update.dst.seqlo) = (1500, 1900);
    let verdict = judge(protocol::TCP, &src, &dst, &update);
    assert_eq!((verdict.take_src, verdict.take_dst), (true, false));
    assert!(apply(&mut entry, &update, verdict, None));
    let merged = tcp_of(&entry);
    assert_eq!(merged.seen.map(|side| side.end), [1500, 2000]);
    assert_eq!(merged.seen.map(|side| side.maxack), [5, 5]);
    assert_eq!(merged.seen[1], tcp.seen[1]);
}

#[test]
fn what_goes_beside_is_of_the_same_protocol_or_nothing() {
    let (state, mut extra) =
        export(&tcp_entry(TcpState::Established), id(1), Direction::Out, 0).unwrap();
    extra.details.mark = 9;
    assert_eq!(import(&state, Some(&extra)).unwrap().details.mark, 9);
    extra.details.tracking = Tracking::Other;
    extra.ids = Some([[1, 2], [3, 4]]);
    let without = import(&state, None).unwrap();
    assert_eq!(import(&state, Some(&extra)).unwrap(), without);
    assert_eq!(without.details.mark, 0);
}

#[test]
fn this_hosts_own_status_bits_stay_its_own() {
    let mut ours = tcp_entry(TcpState::Established);
    ours.details.status = Status((1 << 3) | (1 << 14)); // confirmed, offloaded
    let mut theirs = ours;
    theirs.details.status = Status((1 << 3) | (1 << 9) | Status::ASSURED.0); // dying
    theirs.details.mark = 3;
    let (state, extra) = export(&theirs, id(1), Direction::Out, 0).unwrap();
    assert_eq!(extra.details.status, Status::ASSURED);
    apply(
        &mut ours,
        &state.update(),
        Verdict::both(true),
        Some(&extra),
    );
    assert_eq!(
        ours.details.status.0,
        (1 << 3) | (1 << 14) | Status::ASSURED.0
    );
    assert_eq!(ours.details.mark, 3);
}

/// What a peer may tell: bits that depend on the tuples follow from them.
fn settled(mut entry: Entry) -> Entry {
    let nat = carp_proto::pfsync::tuples::nat_status(&entry.original, &entry.reply);
    entry.details.status.0 |= nat.0;
    (entry.packets, entry.bytes) = ([0; 2], [0; 2]);
    entry
}

proptest! {
    /// Nothing is lost between two Linux hosts.
    #[test]
    fn with_what_goes_beside_it_an_entry_comes_back(
        entry in common::entries(), out in any::<bool>(),
    ) {
        let direction = if out { Direction::Out } else { Direction::In };
        let (state, extra) = export(&entry, id(1), direction, 0).unwrap();
        let bytes = state.emit();
        let received = carp_proto::pfsync::state::Received::new(&bytes).unwrap();
        let state = received.for_insert().unwrap();
        prop_assert_eq!(import(&state, Some(&extra)), Ok(settled(entry)));
    }

    /// An update with all that goes beside it makes the peer's entry ours.
    #[test]
    fn an_update_tells_all_as_well(theirs in common::entries(), timeout in any::<u32>()) {
        let (state, extra) = export(&theirs, id(1), Direction::Out, 0).unwrap();
        let mut ours = import(&state, Some(&extra)).unwrap();
        ours.timeout = timeout;
        ours.details = import(&state, None).unwrap().details;
        apply(&mut ours, &state.update(), Verdict::both(true), Some(&extra));
        prop_assert_eq!(ours, settled(theirs));
    }

    /// Without it, what pf knows comes back: of a translation, one side.
    #[test]
    fn without_it_addresses_and_ports_come_back(
        entry in common::entries(), out in any::<bool>(),
    ) {
        let direction = if out { Direction::Out } else { Direction::In };
        let (state, extra) = export(&entry, id(1), direction, 0).unwrap();
        let back = import(&state, None).unwrap();
        let between = between(&entry.original, &entry.reply);
        let (original, reply) = match out {
            true => (between, entry.reply),
            false => (entry.original, inverse(&between)),
        };
        prop_assert_eq!(back.original.source, original.source);
        prop_assert_eq!(back.original.destination, original.destination);
        prop_assert_eq!(back.reply.source, reply.source);
        prop_assert_eq!(back.reply.destination, reply.destination);
        if matches!(entry.original.protocol, 6 | 17 | 33 | 132 | 136) {
            prop_assert_eq!(back.original, original);
            prop_assert_eq!(back.reply, reply);
            let is_all = (back.original, back.reply) == (entry.original, entry.reply);
            prop_assert_eq!(extra.ids.is_none() && extra.other_side.is_none(), is_all);
        }
        prop_assert_eq!(back.age, entry.age);
    }

    /// What came back once comes back for ever: two hosts do not drift apart by
    /// telling each other.
    #[test]
    fn what_pf_told_is_told_the_same(state in common::state()) {
        let Ok(entry) = import(&state, None) else { return Ok(()) };
        let direction = state.direction;
        let (first, _) = export(&entry, state.id, direction, 0).unwrap();
        let again = import(&first, None).unwrap();
        let (second, _) = export(&again, state.id, direction, 0).unwrap();
        prop_assert_eq!(first, second);
        let verdict = judge(
            state.protocol, &first.src, &first.dst, &second.update(),
        );
        prop_assert_eq!(verdict.stale(), 0);
    }

    /// conntrack's windows are never narrower for the way through pf's fields.
    #[test]
    fn windows_do_not_shrink(tcp in common::tcp()) {
        let (src, _) = to_peers(&tcp, &[SeqAdjust::default(); 2]);
        if tcp.seen[0].maxwin >> tcp.seen[0].scale < 65_535 {
            prop_assert!(u64::from(src.max_win) << tcp.seen[0].scale
                >= u64::from(tcp.seen[0].maxwin));
        }
    }
}
