// SPDX-License-Identifier: GPL-2.0

//! What is believed in which mode.

use carp_proto::auth::mode::Mode::{self, Enforce, Off, Permissive, Receive};
use carp_proto::auth::mode::Outcome::{
    self, BadHmac, Good, Malformed, Missing, Replayed, Stale, UnknownKey,
};

const OUTCOMES: [Outcome; 7] = [
    Missing, Malformed, UnknownKey, Stale, Replayed, BadHmac, Good,
];

#[test]
fn the_verdicts() {
    let believed = |mode: Mode| OUTCOMES.map(|outcome| mode.believes(outcome));
    assert_eq!(believed(Off), [true; 7]);
    assert_eq!(believed(Receive), [true; 7]);
    let without = [true, false, false, false, false, false, true];
    assert_eq!(believed(Permissive), without);
    let good = [false, false, false, false, false, false, true];
    assert_eq!(believed(Enforce), good);
}

#[test]
fn who_sends_and_who_looks() {
    let modes = [Off, Receive, Permissive, Enforce];
    assert_eq!(modes.map(Mode::sends), [false, false, true, true]);
    assert_eq!(modes.map(Mode::examines), [false, true, true, true]);
    for mode in modes {
        assert_eq!(Mode::new(mode as u8), Some(mode));
    }
    assert_eq!(Mode::new(4), None);
    assert_eq!(Mode::default(), Off);
}

#[test]
fn each_step_of_the_roll_out_is_understood_by_the_one_before() {
    // host by host: two neighbours in this list run side by side
    let steps = [Off, Receive, Permissive, Enforce];
    for pair in steps.windows(2) {
        for (sender, receiver) in [(pair[0], pair[1]), (pair[1], pair[0])] {
            let outcome = if sender.sends() { Good } else { Missing };
            // Only who enforces already must not meet somebody who does not send yet.
            assert!(receiver.believes(outcome), "{sender:?} {receiver:?}");
        }
    }
    assert!(!Enforce.believes(Missing), "two steps at once");
}
