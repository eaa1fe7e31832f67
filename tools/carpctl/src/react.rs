// SPDX-License-Identifier: GPL-2.0

//! `carpctl react`: a daemon that has systemd's targets follow the state of each interface,
//! and calls hooks for each change of a virtual host. It runs in one thread, and waits for
//! the kernel, its children and signals at once.

use crate::{
    contract::family::CARP_GENL_NAME,
    controller::{Controller, Registration},
    error::{Error, Result},
    family::{Event, Family},
    hook_runs::{failure, HookRuns},
    notify_socket::{notify, READY, STOPPING},
    output::report,
    targets::Targets,
    transitions::{Transition, Transitions},
};
use rustix::{
    event::{poll, PollFd, PollFlags, Timespec},
    io::Errno,
    process::{wait, Pid, WaitOptions},
};
use signal_hook::{
    consts::{SIGCHLD, SIGINT, SIGTERM},
    low_level::pipe,
};
use std::{
    collections::BTreeMap,
    io::Read,
    os::{fd::AsFd, unix::net::UnixStream},
    path::Path,
    time::{Duration, Instant},
};

/// After SIGTERM hooks have so long to end by themselves.
const GRACE: Duration = Duration::from_secs(5);
/// The state could not be read: it is tried again after so long.
const RETRY: Duration = Duration::from_secs(1);
/// So many datagrams are read in a row before hooks are started.
const BATCH: usize = 64;

/// A connection to carp.ko.
struct Kernel {
    events: Family,
    requests: Family,
}

impl Kernel {
    fn open() -> Result<Self> {
        let kernel = Self {
            events: Family::open()?,
            requests: Family::open()?,
        };
        kernel.events.listen()?;
        Ok(kernel)
    }
}

/// Signals, as bytes in sockets.
struct Signals {
    end: UnixStream,
    child: UnixStream,
}

impl Signals {
    fn catch() -> Result<Self> {
        let receive = |signals: &[i32]| -> Result<UnixStream> {
            let (receiver, sender) = UnixStream::pair()?;
            receiver.set_nonblocking(true)?;
            for signal in signals {
                pipe::register(*signal, sender.try_clone()?)?;
            }
            Ok(receiver)
        };
        Ok(Self {
            end: receive(&[SIGTERM, SIGINT])?,
            child: receive(&[SIGCHLD])?,
        })
    }
}

/// Takes what a signal has left in its socket.
fn drain(mut socket: &UnixStream) {
    let mut bytes = [0; 64];
    while matches!(socket.read(&mut bytes), Ok(1..)) {}
}

/// Waits until one of them can be read, and returns which.
fn wait_readable<const N: usize>(
    sources: [&dyn AsFd; N],
    until: Option<Instant>,
) -> Result<[bool; N]> {
    let timeout = until.map(|until| until.saturating_duration_since(Instant::now()));
    // what no timespec has room for is for ever
    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    let mut polled = sources.map(|source| PollFd::from_borrowed_fd(source.as_fd(), PollFlags::IN));
    match poll(&mut polled, timeout.as_ref()) {
        Ok(_) => Ok(polled.map(|it| !it.revents().is_empty())),
        Err(Errno::INTR) => Ok([false; N]),
        Err(error) => Err(std::io::Error::from(error).into()),
    }
}

struct Daemon {
    signals: Signals,
    controller: Controller,
    /// Nothing while carp.ko is not loaded.
    kernel: Option<Kernel>,
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
        signals: Signals::catch()?,
        controller: Controller::listen()?,
        kernel: None,
        read_at: None,
        has_read: false,
        names: BTreeMap::new(),
        transitions: Transitions::default(),
        runs: HookRuns::new(folder, timeout),
        targets: Targets::new(),
        systemctl: None,
        end_at: None,
    };
    daemon.connect();
    daemon.read_when_due();
    daemon.start();
    tell_manager(READY);
    while !daemon.has_ended() {
        daemon.round()?;
    }
    daemon.runs.end_all();
    Ok(())
}

/// A manager that does not hear it will notice.
fn tell_manager(what: &str) {
    if let Err(error) = notify(what) {
        report(&Error::from(error).about("NOTIFY_SOCKET").to_string());
    }
}

impl Daemon {
    /// Without carp.ko there is nothing to react to, until the controller tells of it.
    fn connect(&mut self) {
        match Kernel::open() {
            Ok(kernel) => {
                self.kernel = Some(kernel);
                self.read_at = Some(Instant::now());
            }
            Err(error) => report(&format!("{error}; reactions begin when it is there")),
        }
    }

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
        let Signals { end, child } = &self.signals;
        // with nothing to hear from it stands for the controller once more
        let events: &dyn AsFd = match &self.kernel {
            Some(kernel) => &kernel.events,
            None => &self.controller,
        };
        let [has_end, has_child, has_families, has_events] =
            wait_readable([end, child, &self.controller, events], until)?;
        if has_events {
            self.hear()?;
        }
        if has_families {
            self.follow_registrations()?;
        }
        self.read_when_due();
        if has_child {
            drain(&self.signals.child);
            self.reap();
        }
        self.runs.end_overdue(Instant::now());
        if has_end {
            drain(&self.signals.end);
            tell_manager(STOPPING);
            self.end_at = Some(Instant::now() + GRACE);
        }
        self.start();
        Ok(())
    }

    /// carp.ko was loaded or removed.
    fn follow_registrations(&mut self) -> Result<()> {
        for registration in self.controller.hear(CARP_GENL_NAME)? {
            match registration {
                // with another number than before
                Registration::Added => self.connect(),
                Registration::Removed => {
                    self.kernel = None;
                    self.read_at = None;
                    self.transitions.read(&[]);
                }
            }
        }
        Ok(())
    }

    /// Takes the events that have come.
    fn hear(&mut self) -> Result<()> {
        let Some(kernel) = &self.kernel else {
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
        let (true, Some(kernel)) = (is_due, &mut self.kernel) else {
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
