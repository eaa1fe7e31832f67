// SPDX-License-Identifier: GPL-2.0

//! `carpctl check` and `carpctl require`: daemons that run checks, and demote groups while one
//! fails. They run in one thread, and wait for the kernel, their children and signals at once.

use crate::{
    check_file::{read_folder, CheckFile, Named},
    check_run::{Outcome, Run},
    checked::Check,
    daemon::{tell_manager, wait_readable, wait_readable_and, Module, Signal},
    error::{failed, Result},
    family::{Event, Family},
    notify_socket::{READY, STOPPING},
    output::{report, Output},
    process_group::{ProcessGroup, GRACE},
    required_unit::Words,
};
use rustix::process::{wait, WaitOptions};
use std::{
    collections::BTreeSet,
    path::Path,
    time::{Duration, Instant},
};

/// What waits for this daemon at boot waits so long for the first results.
const FIRST: Duration = Duration::from_secs(5);
/// So many datagrams are read in a row before other things are done.
const BATCH: usize = 64;

/// Where the files are.
pub const FOLDER: &str = "/etc/carp/checks.d";

struct Daemon<'a> {
    has_to_end: Signal,
    has_to_reload: Signal,
    has_child: Signal,
    module: Module,
    /// Nothing: there are no files.
    folder: Option<&'a Path>,
    checks: Vec<Check>,
    /// What was stopped and still runs.
    stopped: Vec<ProcessGroup>,
    /// When the service manager is told that this runs, at the latest; nothing: it was told.
    ready_at: Option<Instant>,
    /// When it ends at the latest.
    end_at: Option<Instant>,
}

/// Runs the checks of a folder. Returns when a signal has ended it.
pub fn check(folder: &Path) -> Result<()> {
    Daemon::new(Some(folder))?.run()
}

/// Looks whether a unit is active. Returns when a signal has ended it.
pub fn require(words: &Words) -> Result<()> {
    let named = words.named()?;
    let mut daemon = Daemon::new(None)?;
    daemon.checks.push(Check::new(named, Instant::now()));
    daemon.run()
}

impl<'a> Daemon<'a> {
    fn new(folder: Option<&'a Path>) -> Result<Self> {
        Ok(Self {
            has_to_end: Signal::end()?,
            has_to_reload: Signal::reload()?,
            has_child: Signal::child()?,
            module: Module::connect("groups are demoted when it is there")?,
            folder,
            checks: Vec::new(),
            stopped: Vec::new(),
            ready_at: Some(Instant::now() + FIRST),
            end_at: None,
        })
    }

    fn run(mut self) -> Result<()> {
        self.reload();
        self.adopt();
        while !self.has_ended() {
            self.go_on();
            self.round()?;
        }
        for group in &mut self.stopped {
            group.kill();
        }
        Ok(())
    }

    fn has_ended(&self) -> bool {
        self.end_at
            .is_some_and(|at| at <= Instant::now() || self.stopped.is_empty())
    }

    /// Checks that failed when an earlier run ended go on from there.
    fn adopt(&mut self) {
        let Some(kernel) = &mut self.module.kernel else {
            return;
        };
        match kernel.requests.groups() {
            Ok(groups) => self.checks.iter_mut().for_each(|it| it.adopt(&groups)),
            Err(error) => report(&error.about("the causes cannot be read").to_string()),
        }
    }

    /// Does what is due.
    fn go_on(&mut self) {
        let now = Instant::now();
        for group in &mut self.stopped {
            group.end_overdue(now);
        }
        if self.end_at.is_some() {
            return;
        }
        for check in &mut self.checks {
            check.go_on(requests(&mut self.module), now);
        }
        let has_all = || !self.checks.iter().any(Check::is_open);
        if self.ready_at.is_some_and(|at| at <= now || has_all()) {
            self.ready_at = None;
            tell_manager(READY);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let stopped = self.stopped.iter().filter_map(ProcessGroup::deadline);
        let ends = stopped.chain(self.end_at);
        if self.end_at.is_some() {
            return ends.min();
        }
        let checks = self.checks.iter().map(Check::deadline);
        checks.chain(ends).chain(self.ready_at).min()
    }

    /// Waits for something, and takes it.
    fn round(&mut self) -> Result<()> {
        let (numbers, outputs): (Vec<_>, Vec<_>) = (0..)
            .zip(&self.checks)
            .filter_map(|(number, check)| Some((number, check.output()?)))
            .unzip();
        let numbers: Vec<usize> = numbers;
        let module = &self.module;
        let ([has_end, has_reload, has_child, has_families, has_events], printed) =
            wait_readable_and(
                [
                    &self.has_to_end,
                    &self.has_to_reload,
                    &self.has_child,
                    module.registrations(),
                    module.events(),
                ],
                &outputs,
                self.deadline(),
            )?;
        for (number, _) in numbers.into_iter().zip(printed).filter(|it| it.1) {
            if let Some(check) = self.checks.get_mut(number) {
                check.read();
            }
        }
        if has_events {
            self.hear()?;
        }
        if has_families && self.module.follow()?.last() == Some(&true) {
            self.renew();
        }
        if has_child {
            self.has_child.drain();
            self.reap();
        }
        if has_reload {
            self.has_to_reload.drain();
            self.reload();
        }
        if has_end {
            self.has_to_end.drain();
            self.end();
        }
        Ok(())
    }

    /// What fails is to demote again: groups come with interfaces, and go with them.
    fn renew(&mut self) {
        let now = Instant::now();
        self.checks.iter_mut().for_each(|check| check.renew(now));
    }

    /// Takes the events that have come.
    fn hear(&mut self) -> Result<()> {
        let Some(kernel) = &self.module.kernel else {
            return Ok(());
        };
        let mut has_begun = false;
        for _ in 0..BATCH {
            for event in kernel.events.hear()? {
                has_begun |= match event {
                    Event::State { old_state, .. } => old_state == "init",
                    Event::Lost => true,
                    Event::Demote { .. } | Event::Carpdev { .. } => false,
                };
            }
            let [has_more] = wait_readable([&kernel.events], Some(Instant::now()))?;
            if !has_more {
                break;
            }
        }
        if has_begun {
            self.renew();
        }
        Ok(())
    }

    /// Waits for children that have ended.
    fn reap(&mut self) {
        let now = Instant::now();
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if let Some(index) = self.stopped.iter().position(|it| it.pid() == pid) {
                self.stopped.swap_remove(index).kill();
                continue;
            }
            for check in &mut self.checks {
                if check.ended(pid, status, requests(&mut self.module), now) {
                    break;
                }
            }
        }
    }

    /// Reads the files, also again.
    fn reload(&mut self) {
        let Some(folder) = self.folder else {
            return;
        };
        match read_folder(folder) {
            Ok(files) => self.follow_files(&files),
            Err(error) => report(&error.to_string()),
        }
    }

    fn follow_files(&mut self, files: &[CheckFile]) {
        let now = Instant::now();
        let mut before = std::mem::take(&mut self.checks);
        for file in files {
            let cause = file.cause();
            let index = before.iter().position(|it| it.named().cause == cause);
            let known = index.map(|index| before.swap_remove(index));
            file.mistakes().iter().for_each(|it| report(it));
            let check = match (file.named(), known) {
                (None, None) => continue,
                (None, Some(known)) => {
                    report(&format!("{} goes on as it was", known.named().title));
                    known
                }
                (Some(named), None) => Check::new(named, now),
                (Some(named), Some(mut known)) => {
                    let family = requests(&mut self.module);
                    self.stopped.extend(known.change(named, family, now));
                    known
                }
            };
            self.checks.push(check);
        }
        for gone in before {
            let family = requests(&mut self.module);
            self.stopped.extend(gone.remove(family, now));
        }
    }

    /// Ends what runs. Causes stay, for whoever comes next, and end by themselves.
    fn end(&mut self) {
        tell_manager(STOPPING);
        let now = Instant::now();
        let stopped = self.checks.iter_mut().filter_map(|check| check.stop(now));
        self.stopped.extend(stopped);
        self.end_at = Some(now + GRACE);
    }
}

fn requests(module: &mut Module) -> Option<&mut Family> {
    module.kernel.as_mut().map(|kernel| &mut kernel.requests)
}

/// Runs the checks of a folder once, or those of these names, and shows what they find.
pub fn check_once(output: &mut Output, folder: &Path, names: &[String]) -> Result<()> {
    let mut files = read_folder(folder)?;
    let there: BTreeSet<_> = files.iter().map(|file| file.name.clone()).collect();
    if let Some(name) = names.iter().find(|name| !there.contains(*name)) {
        return failed(format!("{} has no check {name}", folder.display()));
    }
    files.retain(|file| names.is_empty() || names.contains(&file.name));
    let mut has_failed = 0;
    for file in &files {
        let Some(named) = file.named() else {
            file.mistakes().iter().for_each(|it| report(it));
            has_failed += 1;
            continue;
        };
        let outcome = once(&named)?;
        has_failed += usize::from(!outcome.is_good);
        let result = if outcome.is_good { "good" } else { "failed" };
        let words = outcome.words().map(|it| format!(": {it}"));
        output.text(&format!(
            "{}: {result}{}\n",
            file.name,
            words.unwrap_or_default()
        ))?;
    }
    match has_failed {
        0 => Ok(()),
        _ => failed(format!("{has_failed} of {} checks failed", files.len())),
    }
}

/// Runs a check to its end.
fn once(named: &Named) -> Result<Outcome> {
    let (has_to_end, has_child) = (Signal::end()?, Signal::child()?);
    let mut run = match Run::start(&named.settings, Instant::now()) {
        Ok(run) => run,
        Err(error) => return Ok(Outcome::not_started(&error)),
    };
    let mut overdue = None;
    loop {
        let outputs: Vec<_> = run.output().into_iter().collect();
        let deadline = run.group.deadline();
        let ([has_end, has_ended], _) =
            wait_readable_and([&has_to_end, &has_child], &outputs, deadline)?;
        run.read();
        if has_end {
            run.group.kill();
            return failed("interrupted");
        }
        if has_ended {
            has_child.drain();
            if let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
                if run.is(pid) {
                    return Ok(overdue.unwrap_or_else(|| run.ended(status)));
                }
            }
        }
        if run.group.end_overdue(Instant::now()) {
            overdue = Some(Outcome::too_long(&named.settings, run.line()));
        }
    }
}

/// The names of the checks of a folder, for completion.
pub fn names(folder: &Path) -> Vec<String> {
    let files = read_folder(folder).unwrap_or_default();
    files.into_iter().map(|file| file.name).collect()
}
