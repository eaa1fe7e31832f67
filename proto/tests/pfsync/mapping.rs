// SPDX-License-Identifier: GPL-2.0

//! A pf state and a conntrack entry, one made of the other.

use crate::common::{self, entry, id, tcp_entry, tuple};
use carp_proto::pfsync::conntrack::{
    protocol, Entry, SeqAdjust, Status, Tcp, TcpState, Tracking, TCP_WINDOW_SCALE,
};
use carp_proto::pfsync::extra::Extra;
use carp_proto::pfsync::mapping::{apply, export, import, peers};
use carp_proto::pfsync::merge::{judge, Verdict};
use carp_proto::pfsync::state::{Direction, Family, InterfaceName, State, FLAG_ACK, NO_RULE};
use carp_proto::pfsync::tcp::to_peers;
use carp_proto::pfsync::tuples::{between, inverse, Unmappable};
use proptest::prelude::*;

pub const BOTH: [Direction; 2] = [Direction::Out, Direction::In];

pub fn exported(entry: &Entry, direction: Direction) -> State {
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
fn the_fields_that_are_the_same_for_all() {
    let entry = tcp_entry(TcpState::Established);
    for direction in BOTH {
        let (state, _) = export(&entry, id(1), direction, FLAG_ACK).unwrap();
        assert_eq!(state.interface, InterfaceName::ALL);
        assert_eq!([state.rule, state.anchor, state.nat_rule], [NO_RULE; 3]);
        assert_eq!((state.creation, state.expire), (7, 100));
        assert_eq!((state.packets, state.bytes), ([3, 2], [300, 200]));
        assert_eq!(state.flags, FLAG_ACK);
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
