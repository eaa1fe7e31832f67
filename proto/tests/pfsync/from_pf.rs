// SPDX-License-Identifier: GPL-2.0

//! What pf says of a connection, which has no words for some of what conntrack knows.

use crate::common::{entry, id, tcp_entry, tuple};
use carp_proto::pfsync::conntrack::{
    protocol, Entry, Gre, Sctp, SeqAdjust, Status, Tcp, TcpLast, TcpSide, TcpState, Tracking,
    TCP_BE_LIBERAL, TCP_CLOSE_INIT, TCP_WINDOW_SCALE,
};
use carp_proto::pfsync::mapping::{apply, export, import};
use carp_proto::pfsync::merge::Verdict;
use carp_proto::pfsync::peer::{Peer, PeerState, WSCALE_SEEN};
use carp_proto::pfsync::state::{Direction, State, FLAG_SLOPPY};
use carp_proto::pfsync::tuples::Unmappable;

const SEEN: Status = Status::SEEN_REPLY;

/// Only one side is taken.
const FIRST: Verdict = Verdict {
    take_src: true,
    take_dst: false,
};

fn state_of(entry: &Entry) -> State {
    export(entry, id(1), Direction::Out, 0).unwrap().0
}

fn tcp_of(entry: &Entry) -> Tcp {
    match entry.details.tracking {
        Tracking::Tcp(tcp) => tcp,
        _ => panic!("not TCP"),
    }
}

fn at(state: PeerState) -> Peer {
    Peer {
        state,
        ..Peer::default()
    }
}

// -- a new state

#[test]
fn how_far_both_sides_of_tcp_have_got() {
    use PeerState as P;
    let both = SEEN.with_if(Status::ASSURED, true);
    let mut state = state_of(&tcp_entry(TcpState::Established));
    for (src, dst, status) in [
        (P::SYN_SENT, P::CLOSED, Status::default()),
        (P::SYN_SENT, P::LISTEN, Status::default()),
        (P::SYN_SENT, P::SYN_SENT, SEEN),
        (P::ESTABLISHED, P::SYN_SENT, SEEN),
        (P::SYN_SENT, P::ESTABLISHED, SEEN),
        (P::ESTABLISHED, P::ESTABLISHED, both),
        (P::CLOSING, P::ESTABLISHED, both),
        (P::FIN_WAIT_2, P::FIN_WAIT_2, both),
        // it was reset
        (P::TIME_WAIT, P::TIME_WAIT, SEEN),
    ] {
        (state.src, state.dst) = (at(src), at(dst));
        let entry = import(&state, None).unwrap();
        assert_eq!(entry.details.status, status, "{src:?}, {dst:?}");
    }
}

#[test]
fn numbers_that_are_moved() {
    let adjusted = |src, dst| {
        let mut state = state_of(&tcp_entry(TcpState::Established));
        (state.src.seqdiff, state.dst.seqdiff) = (src, dst);
        let details = import(&state, None).unwrap().details;
        let told = details.adjust.map(|it| (it.before, it.after));
        (details.status.only(Status::SEQ_ADJUST).0 != 0, told)
    };
    assert_eq!(adjusted(0, 0), (false, [(0, 0); 2]));
    assert_eq!(adjusted(5, 0), (true, [(5, 5), (0, 0)]));
    assert_eq!(adjusted(0, 7), (true, [(0, 0), (7, 7)]));
}

#[test]
fn windows_of_a_sloppy_state_are_not_checked() {
    let mut state = state_of(&tcp_entry(TcpState::Established));
    for (flags, expected) in [(0, 0), (FLAG_SLOPPY, TCP_BE_LIBERAL)] {
        state.flags = flags;
        let tcp = tcp_of(&import(&state, None).unwrap());
        let liberal = tcp.seen.map(|side| side.flags & TCP_BE_LIBERAL);
        assert_eq!(liberal, [expected; 2]);
    }
}

#[test]
fn other_protocols_have_what_conntrack_needs() {
    let state = |protocol, dst| {
        let mut state = state_of(&entry(
            tuple(protocol, "10.0.0.1", "10.0.0.2", [7, 8]),
            Tracking::Other,
        ));
        state.dst = at(dst);
        import(&state, None).unwrap().details.tracking
    };
    let sctp = |state| {
        Tracking::Sctp(Sctp {
            state,
            ..Sctp::default()
        })
    };
    // COOKIE_WAIT, ESTABLISHED
    assert_eq!(state(protocol::SCTP, PeerState::NO_TRAFFIC), sctp(2));
    assert_eq!(state(protocol::SCTP, PeerState::SINGLE), sctp(4));
    assert_eq!(state(protocol::SCTP, PeerState::MULTIPLE), sctp(4));
    let gre = Tracking::Gre(Gre::default());
    assert_eq!(state(protocol::GRE, PeerState::SINGLE), gre);
    assert_eq!(state(protocol::UDP, PeerState::SINGLE), Tracking::Other);
}

#[test]
fn what_has_ports_needs_them() {
    for (protocol, is_missed) in [
        (protocol::SCTP, true),
        (protocol::DCCP, true),
        (protocol::UDPLITE, true),
        (protocol::UDP, false),
        (protocol::GRE, false),
        (99, false),
    ] {
        for ids in [[0, 0], [7, 0], [0, 8]] {
            let state = state_of(&entry(
                tuple(protocol, "10.0.0.1", "10.0.0.2", ids),
                Tracking::Other,
            ));
            let imported = import(&state, None).map(|entry| entry.original.ids);
            let expected = match is_missed && ids == [0, 0] {
                true => Err(Unmappable::NoPorts),
                false => Ok(ids),
            };
            // of protocols without ports pf's keys say nothing
            if is_missed || protocol == protocol::UDP || ids == [0, 0] {
                assert_eq!(imported, expected, "{protocol} {ids:?}");
            }
        }
    }
}

// -- an update

#[test]
fn what_only_linux_knows_of_other_protocols_stays() {
    for (protocol, tracking) in [
        (
            protocol::SCTP,
            Tracking::Sctp(Sctp {
                state: 3,
                vtag: [[1; 4], [2; 4]],
                ..Sctp::default()
            }),
        ),
        (
            protocol::GRE,
            Tracking::Gre(Gre {
                timeout: 30,
                stream_timeout: 180,
            }),
        ),
        (protocol::UDP, Tracking::Other),
    ] {
        let original = tuple(protocol, "10.0.0.1", "10.0.0.2", [7, 8]);
        let mut entry = entry(original, tracking);
        let mut update = state_of(&entry).update();
        (update.src, update.dst) = (at(PeerState::MULTIPLE), at(PeerState::MULTIPLE));
        assert!(apply(&mut entry, &update, Verdict::both(true), None));
        assert_eq!(entry.details.tracking, tracking);
        assert_eq!(
            entry.details.status,
            SEEN.with_if(Status::ASSURED, true),
            "{protocol}"
        );
    }
}

#[test]
fn liberal_is_who_was_or_whose_peer_is() {
    for (was, flags, expected) in [
        (0, 0, 0),
        (0, FLAG_SLOPPY, TCP_BE_LIBERAL),
        // a flag that says nothing of that
        (0, 1, 0),
        (TCP_BE_LIBERAL, 0, TCP_BE_LIBERAL),
        (TCP_BE_LIBERAL, FLAG_SLOPPY, TCP_BE_LIBERAL),
    ] {
        let mut entry = tcp_entry(TcpState::Established);
        let mut tcp = tcp_of(&entry);
        for side in &mut tcp.seen {
            side.flags = was;
        }
        entry.details.tracking = Tracking::Tcp(tcp);
        let mut update = state_of(&entry).update();
        update.flags = u8::try_from(flags).unwrap();
        assert!(apply(&mut entry, &update, Verdict::both(true), None));
        let liberal = tcp_of(&entry).seen.map(|side| side.flags & TCP_BE_LIBERAL);
        assert_eq!(liberal, [expected; 2], "{was} {flags}");
    }
}

/// A flag that only conntrack understands: SACK is permitted.
const SACK: u8 = 0x02;

const OURS: TcpSide = TcpSide {
    end: 1000,
    maxend: 2000,
    maxwin: 5000,
    maxack: 777,
    scale: 7,
    flags: TCP_WINDOW_SCALE | SACK,
};

const LAST: TcpLast = TcpLast {
    direction: 1,
    retrans: 2,
    index: 3,
    wscale: 4,
    flags: 5,
    win: 6,
    seq: 7,
    ack: 8,
    end: 9,
};

/// What is known after an update by `src` and `dst` of a connection with these sides.
fn updated(ours: [TcpSide; 2], src: Peer, dst: Peer, verdict: Verdict) -> Tcp {
    let mut entry = tcp_entry(TcpState::Established);
    entry.details.tracking = Tracking::Tcp(Tcp {
        state: TcpState::Established,
        seen: ours,
        last: LAST,
    });
    let mut update = state_of(&entry).update();
    (update.src, update.dst) = (src, dst);
    assert!(apply(&mut entry, &update, verdict, None));
    tcp_of(&entry)
}

/// A side that pf has seen farther.
fn theirs(wscale: u8) -> Peer {
    Peer {
        seqlo: 1500,
        seqhi: 2500,
        max_win: 10,
        wscale,
        ..at(PeerState::ESTABLISHED)
    }
}

#[test]
fn a_side_that_is_taken_keeps_what_pf_does_not_know() {
    let tcp = updated([OURS; 2], theirs(0), theirs(0), FIRST);
    let expected = TcpSide {
        end: 1500,
        maxend: 2500,
        ..OURS
    };
    assert_eq!((tcp.seen, tcp.last), ([expected, OURS], LAST));
    let tcp = updated([OURS; 2], theirs(0), theirs(0), Verdict::both(true));
    assert_eq!(tcp.seen, [expected; 2]);
}

#[test]
fn a_larger_window_is_taken_and_a_smaller_one_is_not() {
    for (max_win, expected) in [(10, 5000), (9000, 9000)] {
        let peer = Peer {
            max_win,
            ..theirs(0)
        };
        let tcp = updated([OURS; 2], peer, peer, Verdict::both(true));
        assert_eq!(tcp.seen.map(|side| side.maxwin), [expected; 2]);
    }
}

#[test]
fn agreed_scales_stay_unless_pf_has_seen_them() {
    let scales = |ours: u8, flags, wscale| {
        let ours = TcpSide {
            scale: ours,
            flags,
            ..OURS
        };
        let tcp = updated(
            [ours; 2],
            theirs(wscale),
            theirs(wscale),
            Verdict::both(true),
        );
        let [side, other] = tcp.seen;
        assert_eq!(side, other);
        (side.scale, side.flags)
    };
    let both = TCP_WINDOW_SCALE | SACK;
    assert_eq!(scales(7, both, 0), (7, both));
    assert_eq!(scales(7, both, WSCALE_SEEN | 4), (4, both));
    assert_eq!(scales(7, SACK, WSCALE_SEEN | 4), (4, both));
    assert_eq!(scales(7, SACK, 0), (0, SACK));
    // an own flag that happens to be all others
    assert_eq!(scales(7, !TCP_WINDOW_SCALE & 0x33, 0), (0, 0x32));
}

#[test]
fn who_closed_first_is_known_whichever_side_is_taken() {
    let closing = Peer {
        state: PeerState::CLOSING,
        ..theirs(0)
    };
    let is_closer = |tcp: Tcp| tcp.seen.map(|side| side.flags & TCP_CLOSE_INIT != 0);
    for verdict in [FIRST, Verdict::both(true)] {
        let tcp = updated([OURS; 2], closing, theirs(0), verdict);
        assert_eq!(is_closer(tcp), [true, false]);
    }
    // the other side, which is not taken as to its numbers
    let ours = [
        OURS,
        TcpSide {
            flags: OURS.flags | TCP_CLOSE_INIT,
            ..OURS
        },
    ];
    let verdict = Verdict {
        take_src: false,
        take_dst: true,
    };
    assert_eq!(
        is_closer(updated(ours, theirs(0), closing, verdict)),
        [false, true]
    );
}

#[test]
fn an_offset_that_is_the_same_says_nothing_new() {
    let ours = [
        SeqAdjust {
            position: 9,
            before: 1,
            after: 5,
        },
        SeqAdjust {
            position: 8,
            before: 2,
            after: 6,
        },
    ];
    let mut entry = tcp_entry(TcpState::Established);
    entry.details.adjust = ours;
    let mut update = state_of(&entry).update();
    (update.src.seqdiff, update.dst.seqdiff) = (5, 7);
    assert!(apply(&mut entry, &update, Verdict::both(true), None));
    let moved = SeqAdjust {
        position: 0,
        before: 7,
        after: 7,
    };
    assert_eq!(entry.details.adjust, [ours[0], moved]);
}
