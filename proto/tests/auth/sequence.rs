// SPDX-License-Identifier: GPL-2.0

//! Numbers, and how they are compared.

use crate::common::{at, NOW, SECOND};
use carp_proto::auth::sequence::Sequence;
use proptest::prelude::*;

#[test]
fn a_number_is_seconds_a_fraction_and_a_counter() {
    let bits = |unix| at(unix).to_bits();
    assert_eq!(bits(0), 0);
    assert_eq!(bits(SECOND), 1 << 32);
    assert_eq!(bits(SECOND / 2), 0x8000 << 16);
    assert_eq!(bits(3 * SECOND / 4 + 7 * SECOND), 0x7_c000_0000);
    assert_eq!(bits(SECOND - 1), 0xffff << 16, "rounded down");
    assert_eq!(bits(NOW), 1_796_000_000 << 32);
}

#[test]
fn seconds_begin_again_in_2106() {
    let end = (1 << 32) * SECOND;
    assert_eq!(at(end), at(0));
    assert!(at(end).is_after(at(end - 1)));
    assert!(at(end + SECOND).is_after(at(end - SECOND)));
    assert!(!at(end - SECOND).is_after(at(end + SECOND)));
    assert_eq!(at(end - 1).next().to_bits(), 0xffff_ffff_ffff_0001);
    assert_eq!(Sequence::from_bits(u64::MAX).next(), at(0));
}

#[test]
fn after_the_last_counter_of_a_moment_comes_the_next_moment() {
    let mut number = at(NOW);
    for _ in 0..1 << 16 {
        number = number.next();
    }
    assert_eq!(number, Sequence::from_bits(at(NOW).to_bits() + (1 << 16)));
}

#[test]
fn nothing_comes_after_what_is_half_of_all_numbers_away() {
    let (zero, far) = (Sequence::from_bits(0), Sequence::from_bits(1 << 63));
    assert!(!far.is_after(zero) && !zero.is_after(far));
    assert!(!zero.is_after(zero));
    assert!(Sequence::from_bits((1 << 63) - 1).is_after(zero));
    assert!(zero.is_after(Sequence::from_bits((1 << 63) + 1)));
}

#[test]
fn differences_are_times() {
    let second = SECOND as i64;
    assert_eq!(at(NOW + SECOND).nanos_after(at(NOW)), second);
    assert_eq!(at(NOW).nanos_after(at(NOW + SECOND)), -second);
    assert_eq!(at(NOW + SECOND / 4).nanos_after(at(NOW)), second / 4);
    let far = Sequence::from_bits(1 << 63).nanos_after(Sequence::from_bits(0));
    assert_eq!(far, -(1_i64 << 31) * second);
}

proptest! {
    #[test]
    fn numbers_grow_with_the_clock(unix in 0_u64..u64::MAX / 2, later in 15_259_u64..1 << 60) {
        // 1/65,536 s is 15,259 ns
        prop_assert!(at(unix + later).is_after(at(unix)));
    }

    #[test]
    fn numbers_say_their_time(unix: u64, other in 0_u64..1 << 60) {
        let other = unix.saturating_sub(other);
        let nanos = at(unix).nanos_after(at(other));
        prop_assert!((i128::from(nanos) - i128::from(unix - other)).abs() <= 15_259);
    }

    #[test]
    fn of_two_numbers_one_comes_after_the_other(a: u64, b: u64) {
        prop_assume!(a != b && a.wrapping_sub(b) != 1 << 63);
        let (a, b) = (Sequence::from_bits(a), Sequence::from_bits(b));
        prop_assert_ne!(a.is_after(b), b.is_after(a));
    }
}
