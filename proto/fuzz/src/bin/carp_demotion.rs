// SPDX-License-Identifier: GPL-2.0

//! Demotion counters, send errors, names of groups, lists of carpnodes.

#![no_main]

use arbitrary::{Arbitrary, Result, Unstructured};
use carp_proto::carp::carpnodes::{Carpnode, Carpnodes, Refusal};
use carp_proto::carp::causes::{self, CauseName, Reason};
use carp_proto::carp::demotion::{count, Counter, GroupName};
use carp_proto::carp::send_errors::SendErrors;
use carp_proto::carp::time::{Instant, Interval};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = run(&mut Unstructured::new(data));
});

fn run(u: &mut Unstructured<'_>) -> Result<()> {
    let name = <Vec<u8>>::arbitrary(u)?;
    if let Some(group) = GroupName::new(&name) {
        assert_eq!(group.as_bytes(), name);
        assert_eq!(group.as_str().as_bytes(), name);
        assert_eq!(GroupName::new(group.as_bytes()), Some(group));
    }

    if let Ok(cause) = CauseName::new(&name) {
        assert_eq!(cause.as_str().as_bytes(), name);
    }
    if let Ok(reason) = Reason::new(&name) {
        assert_eq!(reason.as_bytes(), name);
    }

    let list = <Vec<(u8, u8)>>::arbitrary(u)?;
    let nodes = list
        .iter()
        .map(|&(vhid, advskew)| Carpnode { vhid, advskew });
    match Carpnodes::new(nodes) {
        Ok(nodes) => {
            let mut expected = list.clone();
            expected.sort_unstable();
            let got: Vec<_> = nodes.iter().map(|node| (node.vhid, node.advskew)).collect();
            assert_eq!(got, expected);
            assert_eq!(nodes.leader().vhid, expected[0].0);
        }
        Err(Refusal::Empty) => assert!(list.is_empty()),
        Err(Refusal::TooMany) => assert!(list.len() > 32),
        Err(_) => (),
    }

    let mut groups = [Counter::default(); 3];
    let mut own = Counter::default();
    let mut errors = SendErrors::new();
    let mut now = Instant(0);
    // What errors brought upon the groups, which is taken back in the end.
    let mut by_errors = 0;
    while !u.is_empty() {
        let group = &mut groups[u.int_in_range(0..=2)?];
        let before = group.get();
        match u.int_in_range(0..=3)? {
            0 => {
                let by = i32::arbitrary(u)?;
                let now = group.adjust(by);
                assert_eq!(now, by > 0 && group.get() == 1);
                own.adjust(by);
            }
            1 => {
                let step = i32::arbitrary(u)?;
                let manual = u32::from(u8::arbitrary(u)?).min(before);
                if let Ok(after) = causes::step(*group, manual, step) {
                    assert_eq!(i64::from(after), i64::from(manual) + i64::from(step));
                    group.adjust(step);
                    assert_eq!(i64::from(group.get()), i64::from(before) + i64::from(step));
                    assert!(step <= 0 || group.get() <= 255);
                }
            }
            2 => {
                now = now.after(Interval::new(u8::arbitrary(u)?, 0));
                by_errors += errors.expired(now).unwrap_or(0);
                let sent = bool::arbitrary(u)?;
                let by = errors.record(now, sent, u32::from(u8::arbitrary(u)? % 4));
                by_errors += by.unwrap_or(0);
                assert!((0..=1).contains(&by_errors));
                assert_eq!(errors.deadline().is_some(), by_errors == 1);
            }
            _ => {
                by_errors += errors.reset().unwrap_or(0);
                assert_eq!(by_errors, 0);
            }
        }
        let sum: u64 = groups.iter().map(|group| u64::from(group.get())).sum();
        let carried = groups.map(|group| (true, group));
        assert_eq!(u64::from(count(carried, own)), sum.min(255));
        let sum = sum + u64::from(own.get());
        let others = groups.map(|group| (false, group));
        assert_eq!(u64::from(count(others, own)), sum.min(255));
    }
    Ok(())
}
