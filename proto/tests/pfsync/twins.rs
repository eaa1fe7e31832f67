// SPDX-License-Identifier: GPL-2.0

//! One five-tuple under two names: what lives is never harmed by what is over.

use crate::common::{id, tcp_entry};
use carp_proto::pfsync::conntrack::protocol::{self, TCP, UDP};
use carp_proto::pfsync::conntrack::TcpState;
use carp_proto::pfsync::id::StateId;
use carp_proto::pfsync::mapping::export;
use carp_proto::pfsync::peer::{Peer, PeerState};
use carp_proto::pfsync::state::Direction;
use carp_proto::pfsync::twins::Twins::{OursIsOver, Same, TheirsIsOver, Unsure};
use carp_proto::pfsync::twins::{halves, twins, Twin, Use};

const USES: [Use; 3] = [Use::Copy, Use::Found, Use::Passed];

fn name(number: u64, creator: u8) -> StateId {
    StateId {
        id: number.to_be_bytes(),
        creator: [creator; 4],
    }
}

/// A state of `creator` whose sides are in these states, at these sequence numbers.
fn at(creator: u8, states: [u8; 2], numbers: [u32; 2]) -> Twin {
    let [src, dst] = [0, 1].map(|side| Peer {
        state: PeerState::new(states[side]).unwrap(),
        seqlo: numbers[side],
        max_win: 1,
        ..Peer::default()
    });
    Twin {
        id: name(1, creator),
        src,
        dst,
        age: 1000,
    }
}

fn open(creator: u8, numbers: [u32; 2]) -> Twin {
    at(creator, [4, 4], numbers)
}

#[test]
fn of_one_creator_the_greater_name_lives() {
    // the older one has the higher sequence numbers
    let numbered = |number, at| Twin {
        id: name(number, 1),
        ..open(1, [at, at])
    };
    for used in USES {
        for (old, new) in [(1, 2), (255, 256), (u64::MAX - 1, u64::MAX)] {
            let far = (numbered(old, 1 << 30), numbered(new, 1_000_000));
            let by_number = (
                twins(TCP, &far.0, used, &far.1, true),
                twins(TCP, &far.1, used, &far.0, true),
            );
            match used {
                // it has its number from when it was found
                Use::Found => assert_eq!(by_number, (OursIsOver, OursIsOver)),
                _ => assert_eq!(by_number, (OursIsOver, TheirsIsOver)),
            }
            for protocol in [TCP, UDP, protocol::ICMP] {
                let (old, new) = (numbered(old, 4_000_000), numbered(new, 1_000_000));
                let (older, newer) = (
                    twins(protocol, &old, used, &new, true),
                    twins(protocol, &new, used, &old, true),
                );
                match used {
                    // the creator has lost it, and has named anew what goes on here
                    Use::Passed => {
                        let take = protocol != TCP;
                        assert_eq!((older, newer), (Same { take }, Same { take }));
                    }
                    Use::Found => {
                        assert_eq!((older, newer), (Same { take: true }, Same { take: true }));
                    }
                    Use::Copy => assert_eq!((older, newer), (OursIsOver, TheirsIsOver)),
                }
            }
        }
    }
    // a half of pf's is another matter
    let (one, other) = (numbered(1, 5), numbered(2, 5));
    assert!(matches!(
        twins(TCP, &one, Use::Copy, &other, false),
        Same { .. }
    ));
    assert!(matches!(
        twins(TCP, &other, Use::Copy, &one, false),
        Same { .. }
    ));
}

#[test]
fn of_pfs_two_states_one_may_be_left_of_an_older_connection() {
    let aged = |age, numbers| Twin {
        age,
        ..open(1, numbers)
    };
    let (near, far) = ([5000, 5000], [1 << 30, 5000]);
    for (ours, theirs, expected) in [
        (aged(100, near), aged(5, near), Same { take: true }),
        (aged(100, near), aged(97, far), OursIsOver),
        (aged(97, near), aged(100, far), TheirsIsOver),
        // as old as each other, with other numbers: modulate state
        (aged(100, near), aged(98, far), Same { take: false }),
        (aged(98, near), aged(100, far), Same { take: false }),
    ] {
        assert_eq!(halves(TCP, &ours, &theirs), Some(expected));
        assert_eq!(halves(UDP, &ours, &theirs), Some(Same { take: true }));
        // each host has two of its own
        assert_eq!(
            halves(
                TCP,
                &ours,
                &Twin {
                    id: name(1, 2),
                    ..theirs
                }
            ),
            None
        );
    }
}

#[test]
fn a_connection_that_begins_is_not_one_that_is_over() {
    for over in [[9, 9], [10, 10]] {
        for used in USES {
            // SYN, SYN in both directions, SYN and its answer
            for new in [[2, 0], [2, 2], [4, 2]] {
                let (over, new) = (at(1, over, [9, 9]), at(2, new, [5, 5]));
                for whole in [false, true] {
                    assert_eq!(twins(TCP, &over, used, &new, whole), OursIsOver);
                    assert_eq!(twins(TCP, &new, used, &over, whole), TheirsIsOver);
                }
            }
            for open in [[4, 4], [7, 4], [9, 4], [9, 7], [11, 11], [12, 12]] {
                let (over, open) = (at(1, over, [9, 9]), at(2, open, [9, 9]));
                assert_ne!(twins(TCP, &open, used, &over, true), TheirsIsOver);
                assert!(matches!(twins(TCP, &over, used, &open, false), Same { .. }));
                assert!(matches!(twins(TCP, &open, used, &over, false), Same { .. }));
            }
        }
    }
}

#[test]
fn a_copy_makes_way_for_what_somebody_knows_now() {
    let ours = open(1, [4_000_000, 4_000_000]);
    for theirs in [[1_000_000, 1_000_000], [5_000_000, 1], [1 << 31, 1 << 30]] {
        let theirs = open(2, theirs);
        assert_eq!(twins(TCP, &ours, Use::Copy, &theirs, true), OursIsOver);
        assert_eq!(twins(UDP, &ours, Use::Copy, &theirs, true), OursIsOver);
        // a half of pf's is not all that it knows
        assert_eq!(
            twins(TCP, &ours, Use::Copy, &theirs, false),
            Same { take: true }
        );
    }
    // somebody has another old one, or one that has ended
    let far = [1 << 31, 1 << 30];
    for (age, expected) in [(1003, TheirsIsOver), (1002, OursIsOver), (5, OursIsOver)] {
        let theirs = Twin {
            age,
            ..open(2, far)
        };
        assert_eq!(twins(TCP, &ours, Use::Copy, &theirs, true), expected);
        let near = Twin {
            age,
            ..open(2, [4_000_000, 4_000_001])
        };
        assert_eq!(twins(TCP, &ours, Use::Copy, &near, true), OursIsOver);
    }
    let over = at(2, [9, 9], [1 << 31, 1 << 30]);
    assert_eq!(twins(TCP, &ours, Use::Copy, &over, true), TheirsIsOver);
    let its_end = at(2, [9, 9], [4_000_100, 4_000_100]);
    assert_eq!(twins(TCP, &ours, Use::Copy, &its_end, true), OursIsOver);
}

#[test]
fn what_packets_have_said_is_not_overwritten() {
    let ours = open(1, [4_000_000, 4_000_000]);
    for far in [0_u32, 1, (1 << 26) - 1] {
        for theirs in [
            4_000_000_u32.wrapping_add(far),
            4_000_000_u32.wrapping_sub(far),
        ] {
            let theirs = open(2, [theirs, theirs]);
            for (used, take) in [(Use::Passed, false), (Use::Found, true)] {
                for whole in [false, true] {
                    assert_eq!(twins(TCP, &ours, used, &theirs, whole), Same { take });
                    // there is nothing that could drop a packet
                    assert_eq!(twins(UDP, &ours, used, &theirs, whole), Same { take: true });
                }
            }
        }
    }
    // a handshake: whoever has seen more of it says so
    let (begun, answered) = (at(1, [2, 0], [7, 0]), at(2, [2, 2], [7, 90]));
    assert_eq!(
        twins(TCP, &begun, Use::Passed, &answered, true),
        Same { take: true }
    );
}

#[test]
fn of_two_connections_the_younger_one_lives() {
    for (ours, theirs) in [
        ([1 << 26, 0], [0, 0]),
        ([0, 1 << 26], [0, 0]),
        ([0, 0], [u32::MAX << 26, 0]),
        ([5, 1 << 31], [5, 0]),
    ] {
        for used in [Use::Found, Use::Passed] {
            let compare = |ours_age, theirs_age| {
                let aged = |twin, age| Twin { age, ..twin };
                let (ours, theirs) = (
                    aged(open(1, ours), ours_age),
                    aged(open(2, theirs), theirs_age),
                );
                twins(TCP, &ours, used, &theirs, true)
            };
            assert_eq!(compare(103, 100), OursIsOver);
            assert_eq!(compare(100, 103), TheirsIsOver);
            // what nobody has seen a packet of gives way
            let tie = match used {
                Use::Found => OursIsOver,
                _ => Unsure,
            };
            for theirs in [98, 99, 100, 101, 102] {
                assert_eq!(compare(100, theirs), tie);
            }
            assert_eq!(compare(u32::MAX, u32::MAX), tie);
        }
    }
    // a side that has not spoken, or for which a proxy speaks, has no number
    for state in [0, 1, 11, 12] {
        let theirs = at(2, [4, state], [0, 99]);
        let ours = open(1, [0, 1 << 31]);
        assert_eq!(
            twins(TCP, &ours, Use::Passed, &theirs, true),
            Same { take: false }
        );
        assert_eq!(
            twins(TCP, &theirs, Use::Found, &ours, true),
            Same { take: true }
        );
    }
}

#[test]
fn a_told_state_is_read_as_it_stands() {
    let mut entry = tcp_entry(TcpState::Established);
    entry.age = 77;
    let (state, _) = export(&entry, id(7), Direction::Out, 0).unwrap();
    let twin = Twin::from_state(&state);
    assert_eq!(
        (twin.id, twin.src, twin.dst),
        (state.id, state.src, state.dst)
    );
    assert_eq!(twin.age, state.creation);
}

#[test]
fn windows_that_nobody_knows_tell_no_two_connections_apart() {
    // conntrackd has put it into the table, and this host has found it there
    let mut unknown = open(2, [0, 0]);
    unknown.src.max_win = 0;
    unknown.dst.max_win = 0;
    let ours = open(1, [3_000_000_000, 2_000_000_000]);
    for (used, take) in [(Use::Found, true), (Use::Passed, false)] {
        assert_eq!(twins(TCP, &ours, used, &unknown, true), Same { take });
        assert_eq!(twins(TCP, &unknown, used, &ours, true), Same { take });
    }
    // one side alone
    let mut half = open(2, [3_000_000_000, 0]);
    half.dst.max_win = 0;
    assert_eq!(
        twins(TCP, &ours, Use::Passed, &half, true),
        Same { take: false }
    );
    let far = Twin {
        src: open(2, [1_000_000_000, 0]).src,
        ..half
    };
    assert_eq!(twins(TCP, &ours, Use::Passed, &far, true), Unsure);
}
