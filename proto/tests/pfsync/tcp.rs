// SPDX-License-Identifier: GPL-2.0

//! TCP: two states of pf's, one of conntrack's.

use crate::common::{id, tcp_entry};
use carp_proto::pfsync::conntrack::{
    Entry, SeqAdjust, Status, Tcp, TcpSide, TcpState, Tracking, TCP_BE_LIBERAL, TCP_CLOSE_INIT,
    TCP_WINDOW_SCALE,
};
use carp_proto::pfsync::mapping::{export, import};
use carp_proto::pfsync::peer::PeerState;
use carp_proto::pfsync::state::{Direction, State, FLAG_SLOPPY};
use carp_proto::pfsync::tcp::{state as tcp_state, to_peers, Closer};
use carp_proto::pfsync::tuples::Unmappable;

fn exported(entry: &Entry, direction: Direction) -> State {
    export(entry, id(1), direction, 0).unwrap().0
}

fn with_states(src: u8, dst: u8) -> State {
    let mut state = exported(&tcp_entry(TcpState::Established), Direction::Out);
    state.src.state = PeerState::new(src).unwrap();
    state.dst.state = PeerState::new(dst).unwrap();
    state
}

fn tcp_of(entry: &Entry) -> Tcp {
    match entry.details.tracking {
        Tracking::Tcp(tcp) => tcp,
        _ => panic!("not TCP"),
    }
}

#[test]
fn each_of_conntracks_tcp_states_has_two_of_pfs() {
    let table = [
        (TcpState::None, 0, 0, 0),
        (TcpState::SynSent, 2, 0, 0),
        (TcpState::SynSent2, 2, 2, 1),
        (TcpState::SynRecv, 4, 2, 1),
        (TcpState::Established, 4, 4, 2),
        (TcpState::FinWait, 7, 4, 3),
        (TcpState::CloseWait, 9, 4, 3),
        (TcpState::LastAck, 9, 7, 4),
        (TcpState::TimeWait, 9, 9, 5),
        (TcpState::Close, 10, 10, 5),
    ];
    for (tcp, src, dst, class) in table {
        let state = exported(&tcp_entry(tcp), Direction::Out);
        let numbers = (state.src.state.number(), state.dst.state.number());
        assert_eq!(numbers, (src, dst), "{tcp:?}");
        assert_eq!(state.timeout.number(), class, "{tcp:?}");
        let back = import(&state, None).unwrap();
        assert_eq!(tcp_of(&back).state, tcp);
    }
}

#[test]
fn who_closed_first_is_kept() {
    for closed in [TcpState::FinWait, TcpState::CloseWait, TcpState::LastAck] {
        for closer in 0..2 {
            let mut entry = tcp_entry(closed);
            let mut tcp = tcp_of(&entry);
            tcp.seen[closer].flags = TCP_CLOSE_INIT;
            entry.details.tracking = Tracking::Tcp(tcp);
            let state = exported(&entry, Direction::Out);
            let (first, other) = match closer {
                0 => (state.src.state, state.dst.state),
                _ => (state.dst.state, state.src.state),
            };
            assert!(first > other);
            let back = tcp_of(&import(&state, None).unwrap());
            assert_eq!(back.state, closed);
            assert_eq!(back.seen[closer].flags, TCP_CLOSE_INIT);
            assert_eq!(back.seen[1 - closer].flags, 0);
        }
    }
}

#[test]
fn states_that_pf_does_not_use_count_as_their_neighbours() {
    let table = [
        ((1, 1), TcpState::None),
        ((2, 1), TcpState::SynSent),
        ((0, 2), TcpState::SynSent),
        ((3, 3), TcpState::SynSent2),
        ((4, 3), TcpState::SynRecv),
        ((2, 4), TcpState::SynRecv),
        ((5, 4), TcpState::Established),
        ((6, 5), TcpState::FinWait),
        ((4, 8), TcpState::FinWait),
        ((4, 9), TcpState::CloseWait),
        ((7, 7), TcpState::LastAck),
        ((7, 9), TcpState::LastAck),
        ((10, 4), TcpState::Close),
        ((9, 10), TcpState::Close),
    ];
    for ((src, dst), expected) in table {
        let (src, dst) = (PeerState::new(src).unwrap(), PeerState::new(dst).unwrap());
        assert_eq!(tcp_state(src, dst).0, expected, "{src:?} {dst:?}");
    }
    let closing = |src, dst| tcp_state(PeerState::new(src).unwrap(), PeerState::new(dst).unwrap());
    assert_eq!(closing(7, 9).1, Some(Closer::Other));
    assert_eq!(closing(9, 7).1, Some(Closer::Initiator));
    // both or none acknowledged: nobody knows
    assert_eq!(closing(7, 7).1, Some(Closer::Initiator));
    assert_eq!(closing(9, 9).1, Some(Closer::Initiator));
}

#[test]
fn what_pf_still_proxies_cannot_be_taken_over() {
    for (src, dst) in [(11, 0), (12, 0), (4, 11)] {
        assert_eq!(import(&with_states(src, dst), None), Err(Unmappable::Proxy));
    }
}

#[test]
fn windows_are_carried_over() {
    let mut entry = tcp_entry(TcpState::Established);
    let side = |end, maxend, maxwin, scale| TcpSide {
        end,
        maxend,
        maxwin,
        maxack: 77,
        scale,
        flags: TCP_WINDOW_SCALE,
    };
    let seen = [side(100, 200, 65_535 << 7, 7), side(300, 400, 1001, 3)];
    entry.details.tracking = Tracking::Tcp(Tcp {
        state: TcpState::Established,
        seen,
        ..Tcp::default()
    });
    let state = exported(&entry, Direction::Out);
    let src = (
        state.src.seqlo,
        state.src.seqhi,
        state.src.max_win,
        state.src.wscale,
    );
    assert_eq!(src, (100, 200, 65_535, 0x87));
    let dst = (
        state.dst.seqlo,
        state.dst.seqhi,
        state.dst.max_win,
        state.dst.wscale,
    );
    assert_eq!(dst, (300, 400, 126, 0x83), "rounded up");
    let back = tcp_of(&import(&state, None).unwrap());
    let expected = [
        TcpSide {
            maxack: 0,
            ..seen[0]
        },
        TcpSide {
            maxack: 0,
            maxwin: 1008,
            ..seen[1]
        },
    ];
    assert_eq!(back.seen, expected);
}

#[test]
fn a_window_is_at_most_65535() {
    let mut entry = tcp_entry(TcpState::Established);
    let mut tcp = tcp_of(&entry);
    tcp.seen[0].maxwin = u32::MAX;
    entry.details.tracking = Tracking::Tcp(tcp);
    assert_eq!(exported(&entry, Direction::Out).src.max_win, 65_535);
}

#[test]
fn both_sides_scale_their_windows_or_none_does() {
    let mut tcp = Tcp {
        state: TcpState::Established,
        ..Tcp::default()
    };
    tcp.seen[0].scale = 7;
    tcp.seen[0].flags = TCP_WINDOW_SCALE;
    let scales = |tcp: &Tcp| {
        let (src, dst) = to_peers(tcp, &[SeqAdjust::default(); 2]);
        (src.wscale, dst.wscale)
    };
    assert_eq!(scales(&tcp), (0, 0));
    tcp.seen[1].flags = TCP_WINDOW_SCALE;
    assert_eq!(scales(&tcp), (0x87, 0x80));
    // as long as the SYN has no answer, its sender speaks for itself
    tcp.state = TcpState::SynSent;
    tcp.seen[1].flags = 0;
    assert_eq!(scales(&tcp), (0x87, 0));

    let mut state = with_states(4, 4);
    (state.src.wscale, state.dst.wscale) = (0x87, 0x03);
    let back = tcp_of(&import(&state, None).unwrap());
    assert_eq!(back.seen.map(|side| (side.scale, side.flags)), [(0, 0); 2]);
    // no more than TCP allows: conntrack shifts by it
    (state.src.wscale, state.dst.wscale) = (0x8f, 0x80);
    let back = tcp_of(&import(&state, None).unwrap());
    assert_eq!(back.seen[0].scale, 14);
}

#[test]
fn seqdiff_is_a_constant_adjustment() {
    let mut entry = tcp_entry(TcpState::Established);
    let constant = |by| SeqAdjust {
        position: 0,
        before: by,
        after: by,
    };
    entry.details.adjust = [constant(-5), constant(1000)];
    let state = exported(&entry, Direction::Out);
    assert_eq!(state.src.seqdiff, (-5_i32) as u32);
    assert_eq!(state.dst.seqdiff, 1000);
    let back = import(&state, None).unwrap();
    assert_eq!(back.details.adjust, entry.details.adjust);
    assert!(back.details.status.contains(Status::SEQ_ADJUST));
}

#[test]
fn a_sloppy_state_is_a_liberal_connection() {
    let mut entry = tcp_entry(TcpState::Established);
    let mut tcp = tcp_of(&entry);
    tcp.seen[1].flags |= TCP_BE_LIBERAL;
    entry.details.tracking = Tracking::Tcp(tcp);
    let state = exported(&entry, Direction::Out);
    assert_eq!(state.flags, FLAG_SLOPPY);
    let back = tcp_of(&import(&state, None).unwrap());
    assert!(back.seen.iter().all(|side| side.flags == TCP_BE_LIBERAL));
}

#[test]
fn open_is_from_the_handshake_to_the_end() {
    let open: Vec<_> = (0..=9)
        .filter(|number| TcpState::new(*number).unwrap().is_open())
        .collect();
    assert_eq!(open, [3, 4, 5, 6, 7], "neither Close nor SynSent2");
}
