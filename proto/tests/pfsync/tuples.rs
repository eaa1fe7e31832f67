// SPDX-License-Identifier: GPL-2.0

//! Addresses and ports: pf's two keys, conntrack's two tuples.

use crate::common::{entry, id, tcp_entry, tuple};
use crate::mapping::{exported, BOTH};
use carp_proto::pfsync::conntrack::{protocol, Status, TcpState, Tracking};
use carp_proto::pfsync::mapping::{export, import};
use carp_proto::pfsync::peer::Peer;
use carp_proto::pfsync::state::{Direction, State};
use carp_proto::pfsync::timeout::Timeout;
use carp_proto::pfsync::tuples::{
    between, combine, direction, from_state, inverse, other_half, Unmappable,
};

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
fn of_protocols_that_pf_knows_no_ports_of_keys_have_none() {
    for protocol in [protocol::GRE, 89, 255] {
        let ids = [7, 8];
        let entry = entry(
            tuple(protocol, "10.0.0.1", "10.0.0.2", ids),
            Tracking::Other,
        );
        for direction in BOTH {
            let (state, extra) = export(&entry, id(1), direction, 0).unwrap();
            assert_eq!([state.wire_key.ports, state.stack_key.ports], [[0; 2]; 2]);
            assert_eq!(extra.ids, Some([[7, 8], [8, 7]]));
        }
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
    let both = Status::DST_NAT.with_if(Status::SRC_NAT, true);
    assert_eq!(direction(both), Direction::Out, "where the latter is done");
    assert_eq!(direction(Status::default()), Direction::Out);
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
fn families_of_keys_may_be_left_to_the_state() {
    let entry = tcp_entry(TcpState::Established);
    let mut state = exported(&entry, Direction::Out);
    (state.wire_key.family, state.stack_key.family) = (None, None);
    let back = import(&state, None).unwrap();
    assert_eq!((back.original, back.reply), (entry.original, entry.reply));
}

#[test]
fn why_a_state_cannot_be_an_entry_in_words() {
    use Unmappable::{NoDirection, NoPorts, Proxy, TwoFamilies};
    let words = [NoDirection, TwoFamilies, NoPorts, Proxy].map(Unmappable::as_str);
    let expected = [
        "state without direction",
        "translation between address families",
        "pf does not know the ports of this protocol",
        "connection is still being proxied",
    ];
    assert_eq!(words, expected);
}
