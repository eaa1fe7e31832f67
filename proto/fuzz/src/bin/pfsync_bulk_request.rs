// SPDX-License-Identifier: GPL-2.0

//! Any course of asking for all states: the demotion always ends.

#![no_main]

use arbitrary::{Arbitrary, Result, Unstructured};
use carp_proto::pfsync::bulk_request::{
    bulk_within, BulkRequest, Effects, DEMOTION, LINK_DEMOTION, REQUESTS, REQUESTS_AGAIN,
    REQUEST_EVERY,
};
use carp_proto::pfsync::time::{Instant, Millis};
use carp_proto_fuzz::pause;
use libfuzzer_sys::fuzz_target;

/// Far beyond what tests wait for, and before the end of time.
const END: u64 = u64::MAX / 2;

fuzz_target!(|data: &[u8]| {
    let _ = run(&mut Unstructured::new(data));
});

struct Watch {
    longest: u64,
    demoted: i32,
    for_link: i32,
    since: Option<u64>,
    /// Requests since something else than a timer gave a reason for them.
    requests: u32,
}

impl Watch {
    fn look(&mut self, request: &BulkRequest, now: Instant, effects: Effects) {
        self.demoted += effects.demote;
        self.for_link += effects.demote_for_link;
        assert!(self.demoted == 0 || self.demoted == DEMOTION);
        assert!(self.for_link == 0 || self.for_link == LINK_DEMOTION);
        self.since = match self.demoted {
            0 => None,
            _ => self.since.or(Some(now.0)),
        };
        if let Some(since) = self.since {
            assert!(now.0 - since <= self.longest, "demoted for too long");
            assert!(
                request.deadline().is_some(),
                "what ends by itself has a deadline"
            );
        }
        self.requests += u32::from(effects.request);
    }
}

fn run(u: &mut Unstructured<'_>) -> Result<()> {
    let within = bulk_within(u32::arbitrary(u)?, u32::arbitrary(u)?);
    let peer_within = Millis(u.int_in_range(0..=100_000)?);
    let mut request = BulkRequest::new(within, peer_within, bool::arbitrary(u)?);
    let mut watch = Watch {
        longest: u64::from(BulkRequest::longest(within, peer_within).0) * 1_000_000,
        demoted: 0,
        for_link: 0,
        since: None,
        requests: 0,
    };
    let mut now = Instant(0);
    while !u.is_empty() && now.0 < END {
        let next = Instant(now.0.saturating_add(pause(u)?).min(END));
        now = fire(&mut request, &mut watch, now, next);
        let effects = match u.int_in_range(0..=7)? {
            0 => request.up(now),
            1 => {
                let effects = request.down();
                watch.look(&request, now, effects);
                assert_eq!((watch.demoted, watch.for_link), (0, 0));
                assert_eq!(request.deadline(), None);
                continue;
            }
            2 => request.link(now, bool::arbitrary(u)?),
            3 => request.started(now, [u.int_in_range(0..=1)?; 4]),
            4 => request.ended(now, [u.int_in_range(0..=1)?; 4]),
            5 => {
                request.heard(now);
                continue;
            }
            6 => {
                request.peer_heard();
                continue;
            }
            _ => request.timer(now),
        };
        watch.look(&request, now, effects);
        watch.requests = 0;
    }
    // Whatever was lost: with nobody there it ends, after so many questions.
    watch.requests = 0;
    fire(&mut request, &mut watch, now, Instant(END * 2));
    assert_eq!((request.deadline(), watch.demoted), (None, 0));
    let asked_alone = peer_within.0.div_ceil(REQUEST_EVERY.0);
    assert!(watch.requests <= u32::from(REQUESTS).max(asked_alone) + u32::from(REQUESTS_AGAIN));
    let effects = request.down();
    watch.look(&request, now, effects);
    assert_eq!((watch.demoted, watch.for_link), (0, 0));
    Ok(())
}

/// The timers that fire until then.
fn fire(request: &mut BulkRequest, watch: &mut Watch, from: Instant, until: Instant) -> Instant {
    let mut now = from;
    while let Some(due) = request.deadline().filter(|due| *due <= until) {
        now = now.max(due);
        let effects = request.timer(now);
        watch.look(request, now, effects);
        assert!(
            request.deadline().is_none_or(|later| later > now),
            "served is served"
        );
    }
    until
}
