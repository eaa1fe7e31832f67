// SPDX-License-Identifier: GPL-2.0

//! systemd's targets of an interface: `carp-master@IF.target` is active while this host is
//! master, `carp-backup@IF.target` while it is backup, and neither in INIT.

use crate::{
    error::{failed, Error, Result},
    transitions::State,
};
use std::{
    collections::BTreeMap,
    io,
    path::Path,
    process::{Child, Command, Stdio},
};

/// The two targets, with the state in which each is active.
const TARGETS: [(&str, State); 2] = [
    ("carp-master@", State::Master),
    ("carp-backup@", State::Backup),
];
const SUFFIX: &str = ".target";

/// The name of an interface as systemd has it between `@` and `.target`. A minus stays, so
/// that users write the name as it is; what no name of a unit can have becomes `\xHH`.
fn instance(interface: &str) -> String {
    let mut name = String::new();
    for byte in interface.bytes() {
        match byte {
            b'-' | b'_' | b'.' | b':' => name.push(byte.into()),
            _ if byte.is_ascii_alphanumeric() => name.push(byte.into()),
            _ => name += &format!("\\x{byte:02x}"),
        }
    }
    name
}

/// The instances of which a list of units has a target, as `systemctl list-units` prints it.
fn instances(list: &str) -> impl Iterator<Item = &str> {
    let units = list.lines().filter_map(|line| line.split(' ').next());
    units.filter_map(|unit| {
        let mut targets = TARGETS.iter();
        let rest = targets.find_map(|(prefix, _)| unit.strip_prefix(prefix))?;
        rest.strip_suffix(SUFFIX)
    })
}

/// What systemd was asked for, and what it is still to be asked for.
#[derive(Default)]
pub struct Targets {
    /// Whether systemd runs here.
    is_there: bool,
    /// By instance.
    asked: BTreeMap<String, State>,
    wanted: BTreeMap<String, State>,
}

impl Targets {
    /// Whether systemd is this machine's service manager is said as sd_booted(3) finds it.
    pub fn new() -> Self {
        Self {
            is_there: Path::new("/run/systemd/system").is_dir(),
            ..Self::default()
        }
    }

    /// The targets of an interface are to be those of a state.
    pub fn follow(&mut self, interface: &str, state: State) {
        let instance = instance(interface);
        if self.asked.get(&instance) == Some(&state) {
            self.wanted.remove(&instance);
        } else {
            self.wanted.insert(instance, state);
        }
    }

    /// Has those stopped that an earlier run has started, of interfaces that are not there any
    /// more: nobody says anything of them.
    pub fn adopt(&mut self) -> Result<()> {
        if !self.is_there {
            return Ok(());
        }
        let patterns = TARGETS.map(|(prefix, _)| format!("{prefix}*{SUFFIX}"));
        let listed = Command::new("systemctl")
            .args(["list-units", "--plain", "--no-legend", "--full"])
            .args(patterns)
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| Error::from(error).about("systemctl"))?;
        if !listed.status.success() {
            return failed("systemctl could not list the targets that are active");
        }
        for instance in instances(&String::from_utf8_lossy(&listed.stdout)) {
            if !self.wanted.contains_key(instance) {
                self.wanted.insert(instance.to_owned(), State::Init);
            }
        }
        Ok(())
    }

    /// Takes what systemctl(1) is to be called with next, or nothing. Of one interface there is
    /// one wish at a time, so one call at a time keeps them in their order.
    fn next(&mut self) -> Option<Vec<String>> {
        let is_stop = self.wanted.values().any(|state| *state == State::Init);
        let mut words = vec!["--no-block".to_owned()];
        words.push(if is_stop { "stop" } else { "start" }.to_owned());
        words.push("--".to_owned());
        let before = words.len();
        self.wanted.retain(|instance, state| {
            if is_stop != (*state == State::Init) {
                return true;
            }
            // to start one stops the other: they conflict
            let targets = TARGETS.iter().filter(|it| is_stop || it.1 == *state);
            words.extend(targets.map(|(prefix, _)| format!("{prefix}{instance}{SUFFIX}")));
            self.asked.insert(instance.clone(), *state);
            false
        });
        (words.len() > before).then_some(words)
    }

    /// Starts systemctl(1) with what is wanted next; nothing is.
    pub fn start(&mut self) -> Option<io::Result<Child>> {
        if !self.is_there {
            self.wanted.clear();
            return None;
        }
        let words = self.next()?;
        let child = Command::new("systemctl")
            .args(words)
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .spawn();
        Some(child)
    }

    /// systemd has not done what it was asked for: it is asked again when there is something
    /// new to be said of an interface.
    pub fn forget(&mut self) {
        self.asked.clear();
    }

    pub fn is_waiting(&self) -> bool {
        !self.wanted.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(targets: &mut Targets) -> String {
        targets.next().unwrap_or_default().join(" ")
    }

    #[test]
    fn names_of_units() {
        assert_eq!(instance("carp0"), "carp0");
        assert_eq!(instance("carp-lan.5"), "carp-lan.5");
        assert_eq!(instance("a*\\ü"), "a\\x2a\\x5c\\xc3\\xbc");
    }

    #[test]
    fn what_systemctl_is_asked_for() {
        let mut targets = Targets::default();
        assert_eq!(next(&mut targets), "");
        targets.follow("carp0", State::Master);
        targets.follow("carp1", State::Backup);
        targets.follow("carp2", State::Init);
        assert_eq!(
            next(&mut targets),
            "--no-block stop -- carp-master@carp2.target carp-backup@carp2.target"
        );
        assert_eq!(
            next(&mut targets),
            "--no-block start -- carp-master@carp0.target carp-backup@carp1.target"
        );
        assert_eq!(next(&mut targets), "");
    }

    #[test]
    fn the_last_state_counts() {
        let mut targets = Targets::default();
        targets.follow("carp0", State::Backup);
        targets.follow("carp0", State::Master);
        let start = "--no-block start -- carp-master@carp0.target";
        assert_eq!(next(&mut targets), start);
        targets.follow("carp0", State::Master);
        assert_eq!(next(&mut targets), "", "it is so already");
        targets.follow("carp0", State::Backup);
        targets.follow("carp0", State::Master);
        assert_eq!(next(&mut targets), "", "it is so again");
    }

    #[test]
    fn what_an_earlier_run_has_left() {
        let list = "carp-backup@carp0.target loaded active active This host is backup\n\
                    carp-master@carp-lan.5.target loaded active active\n\
                    network.target loaded active active\n\n";
        assert_eq!(instances(list).collect::<Vec<_>>(), ["carp0", "carp-lan.5"]);
    }
}
