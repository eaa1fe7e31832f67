// SPDX-License-Identifier: GPL-2.0

//! The hooks that run: of each interface one at a time, of different interfaces side by side.

use crate::{
    hooks::{start, Hooks},
    output::report,
    transitions::{Transition, Transitions},
};
use rustix::process::{kill_process_group, Pid, Signal, WaitStatus};
use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Display,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// After SIGTERM a hook has so long until SIGKILL.
const GRACE: Duration = Duration::from_secs(5);

/// How far an end by force has got.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    NotAskedFor,
    Terminated,
    Killed,
}

/// A hook that runs, and those that follow it.
struct Run {
    transition: Transition,
    hook: PathBuf,
    rest: VecDeque<PathBuf>,
    pid: Pid,
    end: End,
    /// When the next step of its end comes.
    deadline: Instant,
}

impl Run {
    /// Sends a signal to the hook and what it has started. It has not been waited for, so the
    /// number is still its.
    fn signal(&self, signal: Signal) {
        // it may have ended this moment
        let _ = kill_process_group(self.pid, signal);
    }
}

/// Says something about a hook.
fn say(hook: &Path, transition: &Transition, what: impl Display) {
    let (hook, name, vhid) = (hook.display(), &transition.interface, transition.vhid);
    let state = transition.state.to_uppercase();
    report(&format!("{hook} ({name} vhid {vhid} is {state}): {what}"));
}

/// How a program ended; nothing: well.
pub fn failure(status: WaitStatus) -> Option<String> {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(0), _) => None,
        (Some(code), _) => Some(format!("it ended with exit status {code}")),
        (_, Some(signal)) => Some(format!("signal {signal} has ended it")),
        _ => None,
    }
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
                        pid: Pid::from_child(&child),
                        hook,
                        rest: hooks,
                        end: End::NotAskedFor,
                        deadline: Instant::now() + self.timeout,
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
        let Some(name) = runs.find_map(|(name, run)| (run.pid == pid).then(|| name.clone())) else {
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
        let runs = self.runs.values().filter(|run| run.end != End::Killed);
        runs.map(|run| run.deadline).min()
    }

    /// Ends hooks that take too long.
    pub fn end_overdue(&mut self, now: Instant) {
        let is_overdue = |run: &&mut Run| run.deadline <= now && run.end != End::Killed;
        for run in self.runs.values_mut().filter(is_overdue) {
            if run.end == End::NotAskedFor {
                let seconds = self.timeout.as_secs();
                let what = format!("it has not ended after {seconds} s, and is ended now");
                say(&run.hook, &run.transition, what);
                run.signal(Signal::TERM);
                run.end = End::Terminated;
                run.deadline = now + GRACE;
            } else {
                run.signal(Signal::KILL);
                run.end = End::Killed;
            }
        }
    }

    /// Ends all hooks.
    pub fn end_all(&mut self) {
        for run in self.runs.values() {
            let what = "it has not ended, and carpctl react does: it is ended now";
            say(&run.hook, &run.transition, what);
            run.signal(Signal::TERM);
        }
    }
}
