// SPDX-License-Identifier: GPL-2.0

//! When a host that cannot send should step back.

/// Counts what became of the advertisements of one interface: of all its virtual
/// hosts, in both families.
///
/// As many errors in a row as all virtual hosts send in three rounds of one
/// family demote by 1, and as many successes in a row take that back. Source:
/// `carp_send_ad` and its `CARP_SENDAD_MAX_ERRORS`.
///
/// To a unicast peer, "host is down" is not an error of ours: do not count it,
/// neither as error nor as success.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendErrors {
    demoted: bool,
    /// Successes in a row if demoted, else errors in a row.
    run: u32,
}

impl SendErrors {
    /// An interface that has not failed yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            demoted: false,
            run: 0,
        }
    }

    /// An advertisement was sent, or could not be; the interface has `hosts`
    /// virtual hosts.
    ///
    /// Returns by what to [adjust](super::demotion::Counter::adjust) demotion, if
    /// at all.
    pub fn record(&mut self, sent: bool, hosts: u32) -> Option<i32> {
        // An error while all is well, or a success while demoted.
        if sent != self.demoted {
            self.run = 0;
            return None;
        }
        self.run = self.run.saturating_add(1);
        if self.run < hosts.max(1).saturating_mul(3) {
            return None;
        }
        self.run = 0;
        self.demoted = !self.demoted;
        Some(if self.demoted { 1 } else { -1 })
    }

    /// Forgets everything, as when the interface loses its parent. Returns by
    /// what to adjust demotion, if at all.
    pub fn reset(&mut self) -> Option<i32> {
        let demoted = core::mem::take(self).demoted;
        demoted.then_some(-1)
    }
}
