// SPDX-License-Identifier: GPL-2.0

//! The hooks that run: of each interface one at a time, of different interfaces side by side.

use crate::{
    hooks::{start, Hooks},
    output::report,
    process_group::{failure, ProcessGroup},
    transitions::{Transition, Transitions},
};
use rustix::process::{Pid, WaitStatus};
use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Display,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// A hook that runs, and those that follow it.
struct Run {
    transition: Transition,
    hook: PathBuf,
    rest: VecDeque<PathBuf>,
    group: ProcessGroup,
}

/// Says something about a hook.
fn say(hook: &Path, transition: &Transition, what: impl Display) {
    let (hook, name, vhid) = (hook.display(), &transition.interface, transition.vhid);
    let state = transition.state.to_uppercase();
    report(&format!("{hook} ({name} vhid {vhid} is {state}): {what}"));
}

pub struct HookRuns {
    folder: PathBuf,
    /// How long one hook may take.
    timeout: Duration,
    /// By interface.
    runs: BTreeMap<String, Run>,
}

impl HookRuns {
    pub fn new(folder: &Path, timeout: Duration) -> Self {
        Self {
            folder: folder.to_owned(),
            timeout,
            runs: BTreeMap::new(),
        }
    }

    pub fn is_idle(&self) -> bool {
        self.runs.is_empty()
    }

    /// Starts hooks for what waits of interfaces of which none runs.
    pub fn start(&mut self, transitions: &mut Transitions) {
        let waiting = transitions.waiting();
        let free = waiting.filter(|name| !self.runs.contains_key(*name));
        let free: Vec<_> = free.map(str::to_owned).collect();
        for name in free {
            while let Some(transition) = transitions.next(&name) {
                let hooks = Hooks::read(&self.folder);
                for sentence in &hooks.refused {
                    report(sentence);
                }
                if self.run(transition, hooks.called.into()) {
                    break;
                }
            }
        }
    }

    /// Starts the first of these hooks that can be started. Returns whether there was one.
    fn run(&mut self, transition: Transition, mut hooks: VecDeque<PathBuf>) -> bool {
        while let Some(hook) = hooks.pop_front() {
            match start(&hook, &transition) {
                Ok(child) => {
                    let run = Run {
                        group: ProcessGroup::new(&child, Instant::now() + self.timeout),
                        hook,
                        rest: hooks,
                        transition,
                    };
                    self.runs.insert(run.transition.interface.clone(), run);
                    return true;
                }
                Err(error) => say(&hook, &transition, crate::error::Error::from(error)),
            }
        }
        false
    }

    /// A child has ended: if it is a hook, the next one follows, unless the virtual host has
    /// changed again.
    pub fn ended(&mut self, pid: Pid, status: WaitStatus, transitions: &Transitions) {
        let mut runs = self.runs.iter();
        let Some(name) =
            runs.find_map(|(name, run)| (run.group.pid() == pid).then(|| name.clone()))
        else {
            return;
        };
        let Some(run) = self.runs.remove(&name) else {
            return;
        };
        if let Some(how) = failure(status) {
            say(&run.hook, &run.transition, how);
        }
        if !transitions.is_outdated(&run.transition) {
            self.run(run.transition, run.rest);
        }
    }

    /// When [`HookRuns::end_overdue`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        let runs = self.runs.values();
        runs.filter_map(|run| run.group.deadline()).min()
    }

    /// Ends hooks that take too long.
    pub fn end_overdue(&mut self, now: Instant) {
        for run in self.runs.values_mut() {
            if run.group.end_overdue(now) {
                let seconds = self.timeout.as_secs();
                let what = format!("it has not ended after {seconds} s, and is ended now");
                say(&run.hook, &run.transition, what);
            }
        }
    }

    /// Ends all hooks.
    pub fn end_all(&mut self) {
        for run in self.runs.values_mut() {
            let what = "it has not ended, and carpctl react does: it is ended now";
            say(&run.hook, &run.transition, what);
            run.group.terminate(Instant::now());
        }
    }
}
