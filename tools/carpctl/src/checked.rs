// SPDX-License-Identifier: GPL-2.0

//! A check that is run again and again, and the cause of demotion that it is while it fails.
//!
//! The cause has a time of its own, and is renewed as long as the check is known to fail,
//! whether it runs, hangs or waits. So it ends soon after this program does, however that
//! comes.

use crate::{
    check_file::Named,
    check_run::{Outcome, Run},
    error::Error,
    family::{Family, Group},
    last_line::cut,
    output::report,
    process_group::ProcessGroup,
    socket::ENOENT,
    verdict::{Turn, Verdict},
};
use rustix::process::{Pid, WaitStatus};
use std::{
    collections::BTreeMap,
    os::fd::BorrowedFd,
    time::{Duration, Instant},
};

/// A cause ends by itself after so many seconds.
const LASTS: u32 = 30;
/// It is set again after so long: one that comes late twice comes in time.
const RENEW: Duration = Duration::from_secs(10);

struct Running {
    run: Run,
    /// It has taken too long, which was counted already.
    is_overdue: bool,
}

pub struct Check {
    named: Named,
    verdict: Verdict,
    running: Option<Running>,
    /// When it is run next, or what hangs is counted once more.
    next_at: Instant,
    /// Why it fails.
    reason: String,
    /// When the cause is set again, while it fails.
    renew_at: Instant,
    /// In which groups the cause could not be set, and what was said of that.
    refused: BTreeMap<String, String>,
}

impl Check {
    pub fn new(named: Named, now: Instant) -> Self {
        Self {
            named,
            verdict: Verdict::new(),
            running: None,
            next_at: now,
            reason: String::new(),
            renew_at: now,
            refused: BTreeMap::new(),
        }
    }

    /// Goes on from where an earlier run of this program ended, if its cause is still there.
    pub fn adopt(&mut self, groups: &[Group]) {
        let own = groups.iter();
        let own = own.filter(|group| self.named.settings.groups.contains(&group.group));
        let mut causes = own.flat_map(|group| &group.causes);
        let is_ours = |cause: &str| cause == self.named.cause;
        // one without an end was set by somebody else
        if let Some(cause) = causes.find(|it| is_ours(&it.cause) && it.left.is_some()) {
            self.verdict = Verdict::adopted();
            self.reason = cause.reason.clone().unwrap_or_default();
        }
    }

    pub fn named(&self) -> &Named {
        &self.named
    }

    /// Whether it had no result yet.
    pub fn is_open(&self) -> bool {
        self.verdict.is_open()
    }

    pub fn output(&self) -> Option<BorrowedFd<'_>> {
        self.running.as_ref()?.run.output()
    }

    pub fn read(&mut self) {
        if let Some(running) = &mut self.running {
            running.run.read();
        }
    }

    /// When [`Self::go_on`] has something to do.
    pub fn deadline(&self) -> Instant {
        let next = match &self.running {
            None => Some(self.next_at),
            Some(it) if it.is_overdue => {
                let end = it.run.group.deadline();
                Some(end.map_or(self.next_at, |end| end.min(self.next_at)))
            }
            Some(it) => it.run.group.deadline(),
        };
        let renew = self.verdict.is_bad().then_some(self.renew_at);
        next.into_iter().chain(renew).min().unwrap_or(self.next_at)
    }

    /// Does what is due.
    pub fn go_on(&mut self, family: Option<&mut Family>, now: Instant) {
        let mut turn = None;
        let settings = &self.named.settings;
        if let Some(running) = &mut self.running {
            let is_due = self.next_at <= now;
            let is_new = running.run.group.end_overdue(now);
            running.is_overdue |= is_new;
            // nothing ends what waits for a disk that does not answer: it is counted again
            if is_new || (running.is_overdue && is_due) {
                if is_due {
                    self.next_at = now + settings.every;
                }
                let outcome = Outcome::too_long(settings, running.run.line());
                turn = self.take(&outcome, now);
            }
        } else if self.next_at <= now {
            self.next_at = now + settings.every;
            match Run::start(settings, now) {
                Ok(run) => {
                    self.running = Some(Running {
                        run,
                        is_overdue: false,
                    });
                }
                Err(error) => turn = self.take(&Outcome::not_started(&error), now),
            }
        }
        self.follow(turn, family, now);
    }

    /// A child has ended. Returns whether it was this check.
    pub fn ended(
        &mut self,
        pid: Pid,
        status: WaitStatus,
        family: Option<&mut Family>,
        now: Instant,
    ) -> bool {
        let is_own = |it: &mut Running| it.run.is(pid);
        let Some(mut running) = self.running.take_if(is_own) else {
            return false;
        };
        // lest what has not ended with it becomes more and more
        running.run.group.kill();
        if !running.is_overdue {
            let outcome = running.run.ended(status);
            let turn = self.take(&outcome, now);
            self.follow(turn, family, now);
        }
        true
    }

    /// Takes a result.
    fn take(&mut self, outcome: &Outcome, now: Instant) -> Option<Turn> {
        if !outcome.is_good {
            self.reason = cut(&match &outcome.line {
                Some(line) => format!("{}{line}", self.named.prefix),
                None => outcome.how.clone().unwrap_or_default(),
            });
        }
        let settings = &self.named.settings;
        if self.verdict.is_open() {
            // of a check that failed before it was another one: the reason is new
            self.renew_at = now;
        }
        let turn = self
            .verdict
            .add(outcome.is_good, settings.fall, settings.rise);
        match turn {
            None => {}
            Some(Turn::Fails) => report(&format!("{} fails: {}", self.named.title, self.reason)),
            Some(Turn::IsGood) => report(&format!("{} is good again", self.named.title)),
        }
        turn
    }

    /// Has the groups follow it.
    fn follow(&mut self, turn: Option<Turn>, family: Option<&mut Family>, now: Instant) {
        match turn {
            Some(Turn::Fails) => self.renew_at = now,
            Some(Turn::IsGood) => return self.take_back(family),
            None => {}
        }
        if !self.verdict.is_bad() || self.renew_at > now {
            return;
        }
        self.renew_at = now + RENEW;
        let Some(family) = family else {
            return;
        };
        let (named, reason) = (&self.named, &*self.reason);
        for group in &named.settings.groups {
            let reason = (!reason.is_empty()).then_some(reason);
            let amount = named.settings.demote;
            let set = family.set_cause(group, &named.cause, amount, Some(LASTS), reason);
            match set {
                Ok(()) => {
                    self.refused.remove(group);
                }
                Err(error) => {
                    let words = error.to_string();
                    if self.refused.get(group) != Some(&words) {
                        report(&format!("{} cannot demote {group}: {words}", named.title));
                    }
                    self.refused.insert(group.clone(), words);
                }
            }
        }
    }

    /// Something has happened after which the cause may not be there any more, or can be set
    /// where it could not be.
    pub fn renew(&mut self, now: Instant) {
        self.renew_at = now;
    }

    /// Takes the cause back everywhere.
    fn take_back(&mut self, family: Option<&mut Family>) {
        let groups = self.named.settings.groups.clone();
        self.take_back_from(&groups, family);
    }

    fn take_back_from(&mut self, groups: &[String], family: Option<&mut Family>) {
        let Some(family) = family else {
            return;
        };
        for group in groups {
            self.refused.remove(group);
            match family.unset_cause(group, &self.named.cause) {
                // it has ended, or the group has
                Ok(()) | Err(Error::Kernel { code: ENOENT, .. }) => {}
                Err(error) => {
                    let (title, cause) = (&self.named.title, &self.named.cause);
                    report(&format!("{title} cannot take {cause} back: {error}"));
                }
            }
        }
    }

    /// Its file says something else now. Returns what still runs.
    pub fn change(
        &mut self,
        named: Named,
        family: Option<&mut Family>,
        now: Instant,
    ) -> Option<ProcessGroup> {
        if named == self.named {
            return None;
        }
        let kept = &named.settings.groups;
        let groups = self.named.settings.groups.iter();
        let left: Vec<_> = groups.filter(|it| !kept.contains(it)).cloned().collect();
        if self.verdict.is_bad() {
            self.take_back_from(&left, family);
        }
        self.named = named;
        self.verdict.reopen();
        self.next_at = now;
        self.renew_at = now;
        self.stop(now)
    }

    /// Its file is gone. Returns what still runs.
    pub fn remove(mut self, family: Option<&mut Family>, now: Instant) -> Option<ProcessGroup> {
        if self.verdict.is_bad() {
            self.take_back(family);
        }
        self.stop(now)
    }

    /// Asks what runs to end, and returns it.
    pub fn stop(&mut self, now: Instant) -> Option<ProcessGroup> {
        let mut group = self.running.take()?.run.group;
        group.terminate(now);
        Some(group)
    }
}
