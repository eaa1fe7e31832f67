// SPDX-License-Identifier: GPL-2.0

//! What is known of the virtual hosts, and which of their changes hooks have not been
//! called for yet. Of several changes of one virtual host only the last one waits.

use crate::family::VirtualHost;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What is true of a virtual host of which hooks have heard nothing yet.
const UNKNOWN: &str = "unknown";
/// The reason of a state that no event told of.
const FOUND: &str = "found";

/// The state of an interface: the highest one that a virtual host of it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    Init,
    Backup,
    Master,
}

impl State {
    /// A state that a newer kernel may have, and that has no name here, counts as INIT.
    fn named(name: &str) -> Self {
        match name {
            "master" => Self::Master,
            "backup" => Self::Backup,
            _ => Self::Init,
        }
    }
}

/// A change of a virtual host, for hooks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    pub interface: String,
    pub vhid: u8,
    /// The state for which hooks were called the last time.
    pub old_state: String,
    pub state: String,
    pub reason: String,
    pub demote: u32,
}

/// What the kernel said last of a virtual host.
struct Latest {
    state: String,
    reason: String,
    demote: u32,
    /// The state for which hooks were called the last time.
    told: String,
}

#[derive(Default)]
struct Interface {
    hosts: BTreeMap<u8, Latest>,
    /// Those that hooks are to be called for, each once.
    waiting: VecDeque<u8>,
}

impl Interface {
    fn state(&self) -> State {
        let states = self.hosts.values().map(|host| State::named(&host.state));
        states.max().unwrap_or(State::Init)
    }

    fn enqueue(&mut self, vhid: u8) {
        if !self.waiting.contains(&vhid) {
            self.waiting.push_back(vhid);
        }
    }
}

/// All virtual hosts of the network namespace.
#[derive(Default)]
pub struct Transitions {
    interfaces: BTreeMap<String, Interface>,
    /// The interfaces that have virtual hosts which wait.
    waiting: BTreeSet<String>,
    /// The interfaces whose state may be another one since [`Transitions::take_touched`].
    touched: BTreeSet<String>,
}

impl Transitions {
    /// An event has told of a change.
    pub fn changed(&mut self, event: Transition) {
        let interface = self.interfaces.entry(event.interface.clone()).or_default();
        let host = interface.hosts.entry(event.vhid).or_insert_with(|| Latest {
            state: event.old_state.clone(),
            reason: String::new(),
            demote: 0,
            told: event.old_state,
        });
        host.state = event.state;
        host.reason = event.reason;
        host.demote = event.demote;
        interface.enqueue(event.vhid);
        self.touch(event.interface);
    }

    /// The whole state was read. A virtual host whose state is not the one that is known has
    /// changed without an event; one that is not there any more is INIT.
    pub fn read(&mut self, hosts: &[VirtualHost]) {
        let mut there = BTreeSet::new();
        for host in hosts {
            there.insert((host.ifname.as_str(), host.vhid));
            self.found(&host.ifname, host.vhid, &host.state, host.demote);
        }
        let mut gone = Vec::new();
        for (name, interface) in &mut self.interfaces {
            let is_there = |vhid: &u8| there.contains(&(name.as_str(), *vhid));
            let waiting = &interface.waiting;
            interface.hosts.retain(|vhid, host| {
                is_there(vhid) || waiting.contains(vhid) || host.state != "init"
            });
            let others = interface.hosts.keys().filter(|vhid| !is_there(vhid));
            gone.extend(others.map(|vhid| (name.clone(), *vhid)));
        }
        for (name, vhid) in gone {
            self.found(&name, vhid, "init", 0);
        }
        self.interfaces.retain(|_, it| !it.hosts.is_empty());
    }

    fn found(&mut self, name: &str, vhid: u8, state: &str, demote: u32) {
        let interface = self.interfaces.entry(name.to_owned()).or_default();
        let host = interface.hosts.entry(vhid).or_insert_with(|| Latest {
            state: UNKNOWN.to_owned(),
            reason: String::new(),
            demote,
            told: UNKNOWN.to_owned(),
        });
        if host.state == state {
            return;
        }
        host.state = state.to_owned();
        host.reason = FOUND.to_owned();
        host.demote = demote;
        interface.enqueue(vhid);
        self.touch(name.to_owned());
    }

    fn touch(&mut self, name: String) {
        self.waiting.insert(name.clone());
        self.touched.insert(name);
    }

    /// The interfaces with virtual hosts that something was said of, and their states.
    pub fn take_touched(&mut self) -> Vec<(String, State)> {
        let touched = std::mem::take(&mut self.touched).into_iter();
        touched
            .map(|name| {
                let interface = self.interfaces.get(&name);
                let state = interface.map_or(State::Init, Interface::state);
                (name, state)
            })
            .collect()
    }

    /// The interfaces that have a change which waits.
    pub fn waiting(&self) -> impl Iterator<Item = &str> {
        self.waiting.iter().map(String::as_str)
    }

    /// Takes the next change of an interface that hooks are to be called for.
    pub fn next(&mut self, name: &str) -> Option<Transition> {
        let interface = self.interfaces.get_mut(name)?;
        let vhid = interface.waiting.pop_front();
        if interface.waiting.is_empty() {
            self.waiting.remove(name);
        }
        let vhid = vhid?;
        let host = interface.hosts.get_mut(&vhid)?;
        let old_state = std::mem::replace(&mut host.told, host.state.clone());
        Some(Transition {
            interface: name.to_owned(),
            vhid,
            old_state,
            state: host.state.clone(),
            reason: host.reason.clone(),
            demote: host.demote,
        })
    }

    /// Whether a later change of the same virtual host waits.
    pub fn is_outdated(&self, transition: &Transition) -> bool {
        let interface = self.interfaces.get(&transition.interface);
        interface.is_some_and(|it| it.waiting.contains(&transition.vhid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(interface: &str, vhid: u8, old_state: &str, state: &str) -> Transition {
        Transition {
            interface: interface.into(),
            vhid,
            old_state: old_state.into(),
            state: state.into(),
            reason: "preempting".into(),
            demote: 0,
        }
    }

    fn host(ifname: &str, vhid: u8, state: &str) -> VirtualHost {
        VirtualHost {
            demote: 3,
            ..VirtualHost::of_test(ifname, vhid, state)
        }
    }

    /// `vhid old -> new`, for each change that waits.
    fn taken(transitions: &mut Transitions, interface: &str) -> Vec<String> {
        let mut taken = Vec::new();
        while let Some(it) = transitions.next(interface) {
            taken.push(format!("{} {} -> {}", it.vhid, it.old_state, it.state));
        }
        assert!(!transitions.waiting().any(|name| name == interface));
        taken
    }

    #[test]
    fn an_event_waits_as_it_is() {
        let mut transitions = Transitions::default();
        let happened = event("carp0", 1, "backup", "master");
        transitions.changed(happened.clone());
        assert_eq!(transitions.waiting().collect::<Vec<_>>(), ["carp0"]);
        assert_eq!(transitions.next("carp0"), Some(happened));
        assert_eq!(transitions.next("carp0"), None);
        assert_eq!(transitions.next("carp9"), None);
    }

    #[test]
    fn of_several_changes_the_last_one_counts() {
        let mut transitions = Transitions::default();
        transitions.changed(event("carp0", 1, "init", "backup"));
        transitions.changed(event("carp0", 2, "init", "backup"));
        transitions.changed(event("carp0", 1, "backup", "master"));
        transitions.changed(event("carp1", 1, "init", "backup"));
        let expected = ["1 init -> master", "2 init -> backup"];
        assert_eq!(taken(&mut transitions, "carp0"), expected);
        assert_eq!(taken(&mut transitions, "carp1"), ["1 init -> backup"]);
    }

    /// Each call's old state is the state of the call before.
    #[test]
    fn the_old_state_is_what_hooks_were_told() {
        let mut transitions = Transitions::default();
        transitions.changed(event("carp0", 1, "backup", "master"));
        let first = transitions.next("carp0").expect("waits");
        assert!(!transitions.is_outdated(&first));
        transitions.changed(event("carp0", 1, "master", "backup"));
        assert!(transitions.is_outdated(&first));
        transitions.changed(event("carp0", 1, "backup", "init"));
        assert_eq!(taken(&mut transitions, "carp0"), ["1 master -> init"]);
        // it went and came back: what a hook did for it may be undone meanwhile
        transitions.changed(event("carp0", 1, "init", "backup"));
        transitions.changed(event("carp0", 1, "backup", "init"));
        assert_eq!(taken(&mut transitions, "carp0"), ["1 init -> init"]);
    }

    #[test]
    fn what_is_true_at_the_start() {
        let mut transitions = Transitions::default();
        transitions.read(&[
            host("carp0", 1, "master"),
            host("carp0", 2, "backup"),
            host("carp1", 1, "init"),
        ]);
        let first = transitions.next("carp0").expect("waits");
        assert_eq!((&*first.reason, first.demote), (FOUND, 3));
        assert_eq!(taken(&mut transitions, "carp0"), ["2 unknown -> backup"]);
        assert_eq!(taken(&mut transitions, "carp1"), ["1 unknown -> init"]);
    }

    #[test]
    fn events_that_were_lost() {
        let mut transitions = Transitions::default();
        let before = [host("carp0", 1, "backup"), host("carp0", 2, "backup")];
        transitions.read(&before);
        while transitions.next("carp0").is_some() {}
        transitions.read(&before);
        assert_eq!(transitions.waiting().count(), 0, "nothing has changed");
        transitions.read(&[host("carp0", 1, "master"), host("carp1", 1, "backup")]);
        let expected = ["1 backup -> master", "2 backup -> init"];
        assert_eq!(taken(&mut transitions, "carp0"), expected);
        assert_eq!(taken(&mut transitions, "carp1"), ["1 unknown -> backup"]);
        transitions.read(&[]);
        assert_eq!(taken(&mut transitions, "carp0"), ["1 master -> init"]);
        assert_eq!(taken(&mut transitions, "carp1"), ["1 backup -> init"]);
        transitions.read(&[]);
        assert!(transitions.interfaces.is_empty(), "nothing is kept of them");
    }

    #[test]
    fn the_state_of_an_interface() {
        let mut transitions = Transitions::default();
        transitions.changed(event("carp0", 1, "init", "backup"));
        transitions.changed(event("carp0", 2, "backup", "master"));
        transitions.changed(event("carp1", 1, "backup", "init"));
        let expected = [
            ("carp0".to_owned(), State::Master),
            ("carp1".to_owned(), State::Init),
        ];
        assert_eq!(transitions.take_touched(), expected);
        assert_eq!(transitions.take_touched(), []);
        transitions.changed(event("carp0", 2, "master", "backup"));
        let expected = [("carp0".to_owned(), State::Backup)];
        assert_eq!(transitions.take_touched(), expected);
    }
}
