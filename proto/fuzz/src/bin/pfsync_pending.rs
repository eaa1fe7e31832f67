// SPDX-License-Identifier: GPL-2.0

//! Any life of some states, with the lists that a driver keeps of them.

#![no_main]

use std::collections::BTreeMap;

use arbitrary::{Arbitrary, Result, Unstructured};
use carp_proto::pfsync::outbox::{Leave, Outbox, DELAY_MAX};
use carp_proto::pfsync::pending::{Config, Pending, Place, Queue, Step};
use carp_proto::pfsync::state::FLAG_ACK;
use carp_proto::pfsync::time::Instant;
use carp_proto_fuzz::{pause, verdict};
use libfuzzer_sys::fuzz_target;

const STATES: usize = 6;

fuzz_target!(|data: &[u8]| {
    let _ = run(&mut Unstructured::new(data));
});

struct Driver {
    now: Instant,
    config: Config,
    states: [Pending; STATES],
    deleted: [bool; STATES],
    lists: BTreeMap<Place, Vec<usize>>,
    outbox: Outbox,
    /// Since when something has waited.
    waiting_since: Option<Instant>,
}

impl Driver {
    fn apply(&mut self, index: usize, step: Step) {
        let real = self.lists.iter().find(|(_, list)| list.contains(&index));
        let real = real.map_or(Place::Nowhere, |(place, _)| *place);
        assert_eq!(step.from, real, "a step leads from where the state is");
        assert_eq!(self.states[index].place(), step.to);
        if step.moves() {
            if let Some(list) = self.lists.get_mut(&step.from) {
                list.retain(|other| *other != index);
            }
            if step.to != Place::Nowhere {
                self.lists.entry(step.to).or_default().push(index);
            }
        }
        let leave = self.outbox.apply(self.now, &step);
        self.check(index);
        match leave {
            Leave::Later => (),
            Leave::FullFrames => assert!(matches!(step.to, Place::Queued(_))),
            Leave::Everything => assert!(step.send_now),
        }
    }

    fn check(&mut self, index: usize) {
        let queued = |place: &Place| matches!(place, Place::Queued(_));
        let queues = self.lists.iter().filter(|(place, _)| queued(place));
        let waiting: usize = queues.map(|(_, list)| list.len()).sum();
        assert_eq!(self.outbox.waiting() as usize, waiting, "no count drifts");
        // What waits has a deadline, which is not put off.
        assert_eq!(self.outbox.deadline().is_some(), waiting > 0);
        self.waiting_since = match waiting {
            0 => None,
            _ => self.waiting_since.or(Some(self.now)),
        };
        assert_eq!(
            self.outbox.deadline(),
            self.waiting_since.map(|since| DELAY_MAX.after(since))
        );

        let state = &self.states[index];
        assert_eq!(state.deadline().is_some(), state.place() == Place::Awaiting);
        if self.deleted[index] {
            let only = Place::Queued(Queue::DeleteCompressed);
            assert!([Place::Nowhere, Place::Awaiting, only].contains(&state.place()));
            assert_eq!(state.flags(&self.config) & FLAG_ACK, 0);
            assert!(!state.is_bulk());
        }
        // The first in the list of those that await confirmation is the first
        // to be due.
        if let Some(awaiting) = self.lists.get(&Place::Awaiting) {
            assert!(awaiting
                .iter()
                .map(|i| self.states[*i].deadline())
                .is_sorted());
        }
    }

    /// Sends all that waits.
    fn flush(&mut self) {
        for queue in Queue::ORDER {
            for index in self.lists.remove(&Place::Queued(queue)).unwrap_or_default() {
                // still in its list while it is written
                let list = self.lists.entry(Place::Queued(queue)).or_default();
                list.push(index);
                let step = self.states[index].sent(&self.config, self.now);
                assert_eq!(step.from, Place::Queued(queue));
                assert!(!matches!(step.to, Place::Queued(_)), "sent is sent");
                self.apply_to_many(index, step);
            }
        }
    }

    /// As [`Self::apply`], while a list has been taken out.
    fn apply_to_many(&mut self, index: usize, step: Step) {
        if let Some(list) = self.lists.get_mut(&step.from) {
            list.retain(|other| *other != index);
        }
        if step.to != Place::Nowhere {
            self.lists.entry(step.to).or_default().push(index);
        }
        let _ = self.outbox.apply(self.now, &step);
    }
}

fn run(u: &mut Unstructured<'_>) -> Result<()> {
    let config = Config {
        max_updates: u8::arbitrary(u)?,
        confirm: bool::arbitrary(u)?,
    };
    let mtu = 100 + usize::from(u8::arbitrary(u)?);
    let extra = usize::from(u8::arbitrary(u)?);
    let mut driver = Driver {
        now: Instant(u64::from(u32::arbitrary(u)?)),
        config,
        states: [Pending::found(); STATES],
        deleted: [false; STATES],
        lists: BTreeMap::new(),
        outbox: Outbox::new(mtu, extra),
        waiting_since: None,
    };
    while !u.is_empty() {
        if u.ratio(1, 2)? {
            driver.now = Instant(driver.now.0.saturating_add(pause(u)?));
        }
        let now = driver.now;
        let index = u.int_in_range(0..=STATES - 1)?;
        let state = &mut driver.states[index];
        let step = match u.int_in_range(0..=12)? {
            0..=2 => {
                let tcp = bool::arbitrary(u)?;
                state.updated(&config, now, tcp)
            }
            3 => {
                driver.deleted[index] = true;
                state.deleted()
            }
            4 => state.forgotten(),
            5 => state.updated_by_peer(now, verdict(u)?, bool::arbitrary(u)?),
            6 => state.requested(),
            7 => state.acknowledged(),
            8 if state.is_bulk() => state.sent_in_bulk(&config, now),
            9 => {
                // A driver wakes up those that are due, from the first on.
                let Some(due) = driver
                    .lists
                    .get(&Place::Awaiting)
                    .map(|list| list[..].to_vec())
                else {
                    continue;
                };
                for index in due {
                    let step = driver.states[index].timer(now);
                    driver.apply(index, step);
                }
                continue;
            }
            10 => {
                driver.flush();
                driver.waiting_since = None;
                assert_eq!(driver.outbox.waiting(), 0);
                assert_eq!(driver.outbox.deadline(), None);
                continue;
            }
            // A state that is nowhere can be freed, and another one made.
            11 | 12 if state.place() == Place::Nowhere => {
                driver.deleted[index] = false;
                let (new, step) = match u.int_in_range(0..=2)? {
                    0 => Pending::created(bool::arbitrary(u)?),
                    1 => Pending::received(now, bool::arbitrary(u)?),
                    _ => {
                        driver.states[index] = Pending::found();
                        continue;
                    }
                };
                driver.states[index] = new;
                step
            }
            _ => continue,
        };
        driver.apply(index, step);
    }

    // Left alone, everything is said in the end, and confirmed or given up.
    for _ in 0..100 {
        driver.flush();
        driver.waiting_since = None;
        let Some(list) = driver.lists.get(&Place::Awaiting) else {
            break;
        };
        let Some(first) = list.first() else {
            break;
        };
        let due = driver.states[*first].deadline().expect("it awaits");
        if due.0 == u64::MAX {
            break;
        }
        driver.now = driver.now.max(due);
        for index in list.clone() {
            let step = driver.states[index].timer(driver.now);
            driver.apply(index, step);
        }
    }
    let left: usize = driver.lists.values().map(Vec::len).sum();
    assert!(left == 0 || driver.now.0 > u64::MAX / 2, "{left} never end");
    Ok(())
}
