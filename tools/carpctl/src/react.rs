// SPDX-License-Identifier: GPL-2.0

//! `carpctl react`: a daemon that has systemd's targets follow the state of each interface,
//! and calls hooks for each change of a virtual host. It runs in one thread, and waits for
//! the kernel, its children and signals at once.

use crate::{
    daemon::{tell_manager, wait_readable, Module, Signal},
    error::{Error, Result},
    family::Event,
    hook_runs::HookRuns,
    notify_socket::{READY, STOPPING},
    output::report,
    process_group::{failure, GRACE},
    targets::Targets,
    transitions::{Transition, Transitions},
};
use rustix::process::{wait, Pid, WaitOptions};
use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

/// The state could not be read: it is tried again after so long.
const RETRY: Duration = Duration::from_secs(1);
/// So many datagrams are read in a row before hooks are started.
const BATCH: usize = 64;

struct Daemon {
    has_to_end: Signal,
    has_child: Signal,
    module: Module,
    /// When the whole state is to be read.
    read_at: Option<Instant>,
    /// Whether it was read once.
    has_read: bool,
    /// The names of interfaces by index: of a new name no event tells by itself.
    names: BTreeMap<u32, String>,
    transitions: Transitions,
    runs: HookRuns,
    targets: Targets,
    systemctl: Option<Pid>,
    /// When it ends at the latest.
    end_at: Option<Instant>,
}

/// Returns when a signal has ended it.
pub fn react(folder: &Path, timeout: Duration) -> Result<()> {
    let mut daemon = Daemon {
        has_to_end: Signal::end()?,
        has_child: Signal::child()?,
        module: Module::connect("reactions begin when it is there")?,
        read_at: None,
        has_read: false,
        names: BTreeMap::new(),
        transitions: Transitions::default(),
        runs: HookRuns::new(folder, timeout),
        targets: Targets::new(),
        systemctl: None,
        end_at: None,
    };
    if daemon.module.kernel.is_some() {
        daemon.read_at = Some(Instant::now());
    }
    daemon.read_when_due();
    daemon.start();
    tell_manager(READY);
    while !daemon.has_ended() {
        daemon.round()?;
    }
    daemon.runs.end_all();
    Ok(())
}

impl Daemon {
    fn has_ended(&self) -> bool {
        let is_idle = || {
            self.runs.is_idle()
                && self.transitions.waiting().next().is_none()
                && self.systemctl.is_none()
                && !self.targets.is_waiting()
        };
        self.end_at
            .is_some_and(|at| at <= Instant::now() || is_idle())
    }

    /// Waits for something, and does what is to be done then.
    fn round(&mut self) -> Result<()> {
        let deadlines = [self.read_at, self.runs.deadline(), self.end_at];
        let until = deadlines.into_iter().flatten().min();
        let module = &self.module;
        let [has_end, has_child, has_families, has_events] = wait_readable(
            [
                &self.has_to_end,
                &self.has_child,
                module.registrations(),
                module.events(),
            ],
            until,
        )?;
        if has_events {
            self.hear()?;
        }
        if has_families {
            self.follow_registrations()?;
        }
        self.read_when_due();
        if has_child {
            self.has_child.drain();
            self.reap();
        }
        self.runs.end_overdue(Instant::now());
        if has_end {
            self.has_to_end.drain();
            tell_manager(STOPPING);
            self.end_at = Some(Instant::now() + GRACE);
        }
        self.start();
        Ok(())
    }

    /// carp.ko was loaded or removed.
    fn follow_registrations(&mut self) -> Result<()> {
        for is_there in self.module.follow()? {
            if is_there {
                self.read_at = Some(Instant::now());
            } else {
                self.read_at = None;
                self.transitions.read(&[]);
            }
        }
        Ok(())
    }

    /// Takes the events that have come.
    fn hear(&mut self) -> Result<()> {
        let Some(kernel) = &self.module.kernel else {
            return Ok(());
        };
        let mut is_whole = true;
        for count in 1.. {
            for event in kernel.events.hear()? {
                match event {
                    Event::Lost => is_whole = false,
                    Event::State {
                        ifname,
                        ifindex,
                        vhid,
                        old_state,
                        state,
                        reason,
                        demote,
                    } => {
                        let before = self.names.insert(ifindex, ifname.clone());
                        if before.is_some_and(|before| before != ifname) {
                            self.read_at = Some(Instant::now());
                        }
                        self.transitions.changed(Transition {
                            interface: ifname,
                            vhid,
                            old_state,
                            state,
                            reason,
                            demote,
                        });
                    }
                    Event::Demote { .. } | Event::Carpdev { .. } => {}
                }
            }
            // The kernel queues no event after a lost one until all that are queued have been
            // taken. They are older than what is read then, so they must not come after it.
            let [has_more] = wait_readable([&kernel.events], Some(Instant::now()))?;
            if !has_more || is_whole && count >= BATCH {
                break;
            }
        }
        if !is_whole {
            self.read_at = Some(Instant::now());
        }
        Ok(())
    }

    fn read_when_due(&mut self) {
        let is_due = self.read_at.is_some_and(|at| at <= Instant::now());
        let (true, Some(kernel)) = (is_due, &mut self.module.kernel) else {
            return;
        };
        match kernel.requests.virtual_hosts() {
            Ok(hosts) => {
                self.read_at = None;
                self.transitions.read(&hosts);
                let names = hosts.into_iter().map(|host| (host.ifindex, host.ifname));
                self.names = names.collect();
            }
            Err(error) => {
                report(&error.about("the state cannot be read").to_string());
                self.read_at = Some(Instant::now() + RETRY);
            }
        }
    }

    /// Waits for children that have ended.
    fn reap(&mut self) {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if self.systemctl == Some(pid) {
                self.systemctl = None;
                if let Some(how) = failure(status) {
                    report(&format!("systemctl: {how}"));
                    self.targets.forget();
                }
            } else {
                self.runs.ended(pid, status, &self.transitions);
            }
        }
    }

    /// Starts what can be started: hooks first, for which somebody may be waiting.
    fn start(&mut self) {
        let is_first = !self.has_read && self.read_at.is_none();
        for (name, state) in self.transitions.take_touched() {
            self.targets.follow(&name, state);
        }
        self.runs.start(&mut self.transitions);
        if is_first {
            self.has_read = true;
            if let Err(error) = self.targets.adopt() {
                report(&error.to_string());
            }
        }
        if self.systemctl.is_some() {
            return;
        }
        match self.targets.start() {
            None => {}
            Some(Ok(child)) => self.systemctl = Some(Pid::from_child(&child)),
            Some(Err(error)) => report(&Error::from(error).about("systemctl").to_string()),
        }
    }
}
