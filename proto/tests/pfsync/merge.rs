// SPDX-License-Identifier: GPL-2.0

//! Whose knowledge of a state is newer, and what to do with a message.

use crate::common::{id, tcp_entry};
use carp_proto::pfsync::conntrack::{protocol, TcpState};
use carp_proto::pfsync::frame::Discard;
use carp_proto::pfsync::mapping::{export, peers};
use carp_proto::pfsync::merge::{judge, Verdict};
use carp_proto::pfsync::peer::{Peer, PeerState};
use carp_proto::pfsync::state::{Direction, Received};
use carp_proto::pfsync::timeout::Timeout;
use carp_proto::pfsync::update::Update;
use proptest::prelude::*;

fn peer(state: u8, seqlo: u32) -> Peer {
    Peer {
        state: PeerState::new(state).unwrap(),
        seqlo,
        ..Peer::default()
    }
}

/// Judges an update of the initiator alone.
fn takes(protocol: u8, ours: Peer, theirs: Peer) -> bool {
    let update = Update {
        id: id(1),
        src: theirs,
        dst: Peer::default(),
        expire: 0,
        timeout: Timeout::TCP_FIRST,
        flags: 0,
    };
    let verdict = judge(protocol, &ours, &Peer::default(), &update);
    assert!(verdict.take_dst, "what is the same is taken");
    verdict.take_src
}

#[test]
fn a_state_never_goes_backwards() {
    for ours in 0..=10 {
        for theirs in 0..=10 {
            for protocol in [protocol::TCP, protocol::UDP, protocol::ICMP, 89] {
                let expected = theirs >= ours;
                assert_eq!(takes(protocol, peer(ours, 0), peer(theirs, 0)), expected);
            }
        }
    }
}

#[test]
fn proxy_states_come_first_though_their_numbers_are_high() {
    for proxy in [11, 12] {
        for other in 0..=10 {
            assert!(takes(protocol::TCP, peer(proxy, 9), peer(other, 0)));
            assert!(!takes(protocol::TCP, peer(other, 0), peer(proxy, 9)));
        }
    }
    assert!(takes(protocol::TCP, peer(11, 0), peer(12, 0)));
    assert!(!takes(protocol::TCP, peer(12, 0), peer(11, 0)));
}

#[test]
fn in_the_same_state_tcp_is_judged_by_seqlo() {
    for (ours, theirs, newer) in [
        (100, 100, true),
        (100, 101, true),
        (101, 100, false),
        (u32::MAX, 5, true),
        (5, u32::MAX, false),
    ] {
        assert_eq!(takes(protocol::TCP, peer(4, ours), peer(4, theirs)), newer);
        assert!(takes(protocol::UDP, peer(1, ours), peer(1, theirs)));
        // by state first
        assert!(takes(protocol::TCP, peer(4, ours), peer(7, theirs)));
        // a side that has sent nothing has no number
        assert!(takes(protocol::TCP, peer(0, ours), peer(0, theirs)));
    }
}

#[test]
fn each_of_the_two_peers_is_judged_alone() {
    let table = [
        ((4, 4), (2, true, true)),
        ((2, 4), (1, false, true)),
        ((4, 2), (1, true, false)),
        ((2, 2), (0, false, false)),
    ];
    for ((src, dst), (taken, take_src, take_dst)) in table {
        let update = Update {
            id: id(1),
            src: peer(src, 0),
            dst: peer(dst, 0),
            expire: 0,
            timeout: Timeout::TCP_FIRST,
            flags: 0,
        };
        let verdict = judge(protocol::TCP, &peer(4, 0), &peer(4, 0), &update);
        assert_eq!(verdict, Verdict { take_src, take_dst });
        assert_eq!(verdict.stale(), 2 - taken);
        // unless both were stale, the class is taken
        assert_eq!(verdict.take_timeout(), taken > 0);
    }
}

#[test]
fn a_bad_value_is_refused_as_far_as_it_is_looked_at() {
    let (theirs, _) = export(&tcp_entry(TcpState::Established), id(1), Direction::Out, 0).unwrap();
    let mut bytes = theirs.emit();
    bytes[252] = 3; // the direction
    let received = Received::new(&bytes).unwrap();
    assert_eq!(received.for_insert(), Err(Discard::BadValue));
    assert_eq!(received.for_update().map(|update| update.id), Ok(id(1)));
}

#[test]
fn an_older_state_of_a_whole_connection_is_stale() {
    let at = |state| {
        let (told, _) = export(&tcp_entry(state), id(1), Direction::Out, 0).unwrap();
        told.update()
    };
    let ours = |state| peers(&tcp_entry(state));
    for (state, stale) in [
        (TcpState::SynSent, 0),
        (TcpState::Established, 0),
        (TcpState::TimeWait, 2),
    ] {
        let (src, dst, _) = ours(state);
        let verdict = judge(protocol::TCP, &src, &dst, &at(TcpState::Established));
        assert_eq!(verdict.stale(), stale);
    }
}

proptest! {
    /// Two hosts that differ agree after each has told the other.
    #[test]
    fn two_hosts_agree(
        one in (0..=10_u8, any::<u32>()), other in (0..=10_u8, any::<u32>()),
        tcp in any::<bool>(),
    ) {
        let protocol = if tcp { protocol::TCP } else { protocol::UDP };
        let (a, b) = (peer(one.0, one.1), peer(other.0, other.1));
        let (ab, ba) = (takes(protocol, a, b), takes(protocol, b, a));
        prop_assert!(ab || ba, "one of them is not behind");
        if ab && ba {
            prop_assert_eq!(a.state, b.state);
        }
    }
}
