// SPDX-License-Identifier: GPL-2.0

//! A program with what it has started, which may take its time, but not for ever.

use rustix::process::{kill_process_group, Pid, Signal, WaitStatus};
use std::{
    io,
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// After SIGTERM it has so long until SIGKILL.
pub const GRACE: Duration = Duration::from_secs(5);

/// Starts a program in a process group of its own. It has no part in what this one has with
/// its user and its service manager.
pub fn spawn(command: &mut Command) -> io::Result<Child> {
    command
        .env_remove("NOTIFY_SOCKET")
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()
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

/// How far an end by force has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    NotAskedFor,
    Terminated,
    Killed,
}

/// A process group that runs. While its first process has not been waited for, or another one
/// is left, the number is still its.
pub struct ProcessGroup {
    pid: Pid,
    end: End,
    /// When the next step of its end comes.
    deadline: Instant,
}

impl ProcessGroup {
    /// Of a child of [`spawn`], which has until `deadline`.
    pub fn new(child: &Child, deadline: Instant) -> Self {
        Self {
            pid: Pid::from_child(child),
            end: End::NotAskedFor,
            deadline,
        }
    }

    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// When [`Self::end_overdue`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        (self.end != End::Killed).then_some(self.deadline)
    }

    /// Goes a step on with its end if the time for that has come. Returns whether it was the
    /// first one.
    pub fn end_overdue(&mut self, now: Instant) -> bool {
        if self.deadline().is_none_or(|at| at > now) {
            return false;
        }
        if self.end == End::NotAskedFor {
            self.terminate(now);
            return true;
        }
        self.kill();
        false
    }

    /// Asks it to end.
    pub fn terminate(&mut self, now: Instant) {
        self.signal(Signal::TERM);
        self.end = End::Terminated;
        self.deadline = now + GRACE;
    }

    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.end = End::Killed;
    }

    fn signal(&self, signal: Signal) {
        // it may have ended this moment
        let _ = kill_process_group(self.pid, signal);
    }
}
