// SPDX-License-Identifier: GPL-2.0

//! One hostname.if(5) file and its interface: what it wants, and what is left to do.

use crate::{
    address::Action,
    addresses::with_prefix_len,
    auth::AuthKey,
    change::Change,
    contract::IFAPROT_NETSTART,
    difference::{auth_of, leftovers, remaining, Present, GROUP_CARP},
    error::{failed, in_lines, usage, Error, Result},
    hostname_file::{self, Line, Mistake},
    interface::{Address, Interface, Route, NAME_MAX},
    kind::Kind,
    order::Named,
    plan::Plan,
    remembered::{forget_keys, forget_phrase, Remembered, RememberedKeys},
    sentences::sentences,
    setting::Setting,
    virtual_device::VirtualDevice,
    wanted::{kind_of_new, Step, Wanted},
};
use std::{
    collections::HashSet,
    fs::{self, File},
    io::{self, Read},
    net::IpAddr,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
};

/// A file and what it wants.
pub struct InterfaceFile {
    pub path: PathBuf,
    name: String,
    /// What the kernel calls the interface's kind, or will.
    link_kind: Option<String>,
    pub wanted: Wanted,
    /// Addresses that what it stands on will have, with their lengths.
    pub planned: Vec<(IpAddr, u8)>,
    /// The user named the interface: a passphrase is set in any case.
    pub is_named: bool,
}

impl Named for InterfaceFile {
    fn name(&self) -> &str {
        &self.name
    }

    fn link_kind(&self) -> Option<&str> {
        self.link_kind.as_deref()
    }

    fn below(&self) -> Vec<&str> {
        let whole = &self.wanted.whole;
        let device = whole.device.iter().flatten().map(String::as_str);
        device.chain(whole.virtual_device.below()).collect()
    }
}

/// Tells all mistakes in a file.
pub fn check(path: &Path, mistakes: &[Mistake]) -> Result<()> {
    if mistakes.is_empty() {
        return Ok(());
    }
    let told: Vec<_> = mistakes
        .iter()
        .map(|Mistake { line, sentence }| format!("{}:{line}: {sentence}", path.display()))
        .collect();
    usage(in_lines(&told))
}

impl InterfaceFile {
    pub fn read(path: PathBuf, name: String, route: &mut Route) -> Result<Self> {
        if name.is_empty() || name.len() > NAME_MAX {
            return usage(format!(
                "{}: an interface has a name of 1-{NAME_MAX} bytes",
                path.display()
            ));
        }
        let (text, access) = read_with_access(&path)
            .map_err(|error| Error::from(error).about(format!("cannot read {}", path.display())))?;
        let (lines, mut mistakes) = hostname_file::read(&text);
        if let Some(reason) = access.refusal(&lines) {
            return failed(format!("{}: {reason}", path.display()));
        }
        let existing = route.by_name(&name)?;
        let kind = match &existing {
            Some(interface) => interface.kind(),
            None => kind_of_new(&name, &lines),
        };
        let (wanted, more) = Wanted::read(kind, lines);
        mistakes.extend(more);
        mistakes.sort_by_key(|mistake| mistake.line);
        check(&path, &mistakes)?;
        let made = kind
            .map(Kind::name)
            .or(wanted.whole.virtual_device.kind())
            .map(str::to_owned);
        Ok(Self {
            path,
            name,
            link_kind: existing.and_then(|interface| interface.link_kind).or(made),
            wanted,
            planned: Vec::new(),
            is_named: false,
        })
    }

    /// Whether it shares something with other hosts.
    pub fn is_shared(&self) -> bool {
        let kind = self.link_kind();
        Kind::ALL.into_iter().any(|it| kind == Some(it.name()))
    }

    /// Does what the file wants and is not so yet; returns what failed.
    pub fn start(&self, route: &mut Route) -> Vec<String> {
        let mut failures = Vec::new();
        let path = self.path.display();
        for (number, step) in self.wanted.steps.iter().enumerate() {
            match step {
                Step::Change(change) => {
                    if let Err(error) = self.change(change, number == 0, route) {
                        failures.push(format!("{path}: {error}"));
                        return failures;
                    }
                }
                Step::Command(line, command) => {
                    let failure = run(command, &self.name);
                    failures.extend(failure.map(|failure| format!("{path}:{line}: {failure}")));
                }
            }
        }
        if self.wanted.autoconf {
            for (path, value) in self.autoconf() {
                if let Err(error) = fs::write(&path, value) {
                    failures.push(format!("{path}: {}", Error::from(error)));
                }
            }
        }
        failures
    }

    fn change(&self, change: &Change, is_first: bool, route: &mut Route) -> Result<()> {
        let name = &self.name;
        let there = There::read(name, route)?;
        let mut left = self.left(change, is_first, &there, route)?;
        if there.interface.is_some() && left.is_empty() {
            return Ok(());
        }
        let existing = there.interface.as_ref();
        if let Some(interface) = existing {
            // an address does not bring up what is to stay down
            left.up.get_or_insert(interface.is_up());
        }
        left.address_proto = IFAPROT_NETSTART;
        let plan = Plan::new(name, &left, existing, &there.addresses, route)?;
        if let Some(interface) = existing.filter(|_| left.phrase().is_some()) {
            // it may be set though the rest fails, or this ends in the middle
            forget_phrase(interface.index);
        }
        let has_keys = !left.auth_keys.is_empty();
        let index = existing.filter(|_| has_keys).map(|it| it.index);
        if let Some(remembered) = index.and_then(RememberedKeys::of) {
            remembered.remove(&left.auth_keys);
        }
        plan.carry_out(route)?;
        // of a new interface nothing is known, though its number may have been another's
        if left.phrase().is_some() || existing.is_none() {
            let index = route.existing(name)?.index;
            if let Some(remembered) = Remembered::of(index) {
                remembered.set(left.phrase().unwrap_or_default());
            }
        }
        if has_keys || existing.is_none() {
            let index = route.existing(name)?.index;
            if existing.is_none() {
                forget_keys(index);
            }
            if let Some(remembered) = RememberedKeys::of(index) {
                remembered.add(&left.auth_keys);
            }
        }
        Ok(())
    }

    /// The kernel shows no passphrase: what was set last is remembered. Hosts that do not
    /// believe each other are a reason to doubt that.
    fn without_known_phrase(&self, left: &mut Change, interface: &Interface) {
        let Some((remembered, carp)) = Remembered::of(interface.index).zip(interface.carp.as_ref())
        else {
            return;
        };
        let is_doubted = self.is_named || carp.digest_differs.is_some();
        match left.phrase() {
            Some(phrase) if !is_doubted && remembered.is(phrase) => {
                left.settings.retain(|it| !matches!(it, Setting::Pass(_)));
            }
            None if self.wanted.whole.phrase().is_none() && remembered.is_some() => {
                left.settings.push(Setting::Pass(Vec::new()));
            }
            _ => {}
        }
    }

    /// The same of keys, of which the kernel shows the ids.
    fn without_known_keys(&self, left: &mut Change, interface: &Interface) {
        let auth = auth_of(interface).map(|(_, auth, _)| auth);
        if let Some((remembered, auth)) = RememberedKeys::of(interface.index).zip(auth) {
            let is_known = |key: &AuthKey| auth.keys.contains(&key.id) && remembered.has(key);
            left.auth_keys.retain(|key| self.is_named || !is_known(key));
        }
    }

    /// What is left to do of a change; of the first one together with what the file no
    /// longer has.
    fn left(
        &self,
        change: &Change,
        is_first: bool,
        there: &There,
        route: &mut Route,
    ) -> Result<Change> {
        let mut change = change.clone();
        let existing = there.interface.as_ref();
        let whole = &self.wanted.whole;
        if existing.is_some() {
            // one run after the other would change it to and fro
            change.retain_last_words(whole);
        }
        // the addresses may lie in the subnet of a device that another line names
        let mut with_device = change.clone();
        with_device.device = change.device.clone().or_else(|| whole.device.clone());
        change.addresses = with_prefix_len(&with_device, existing, &self.planned, route)?;
        let Some(interface) = existing else {
            change.virtual_device.clone_from(&whole.virtual_device);
            if change.has_addresses() {
                change.up.get_or_insert(true);
            }
            // it has none that could go
            change.virtual_device.leaving.clear();
            change.addresses.retain(|it| it.action != Action::Remove);
            change.leave.retain(|group| group == GROUP_CARP);
            change.lost_keys.clear();
            return Ok(change);
        };
        let present = Present {
            interface,
            addresses: &there.addresses,
            device: there.device.as_deref(),
        };
        if is_first {
            let mut first = leftovers(&self.wanted, &present);
            first.merge(change);
            change = first;
        }
        let mut left = remaining(&change, &present);
        self.without_known_phrase(&mut left, interface);
        self.without_known_keys(&mut left, interface);
        left.virtual_device = self.new_ports(&left, interface, route)?;
        Ok(left)
    }

    /// The ports that are not yet there, and those that are to leave and are.
    fn new_ports(
        &self,
        change: &Change,
        interface: &Interface,
        route: &mut Route,
    ) -> Result<VirtualDevice> {
        change.virtual_device.check(interface, route)?;
        let mut device = change.virtual_device.clone();
        (device.vnetid, device.parent, device.trunkproto) = (None, None, None);
        device.ports.clear();
        device.leaving.clear();
        let VirtualDevice { ports, leaving, .. } = &change.virtual_device;
        for port in ports {
            if !interface.has_port(port, route)? {
                device.ports.push(port.clone());
            }
        }
        for port in leaving {
            if interface.has_port(port, route)? {
                device.leaving.push(port.clone());
            }
        }
        if device.ports.is_empty() && device.leaving.is_empty() {
            device.is_bond = false;
        }
        Ok(device)
    }

    /// The addresses that the file gives, with their lengths.
    pub fn subnets(&self) -> impl Iterator<Item = (IpAddr, u8)> + '_ {
        let addresses = self.wanted.whole.addresses.iter();
        addresses.filter_map(|address| Some((address.address, address.prefix_len?)))
    }

    /// What would be done; `started` are the interfaces that come before it.
    pub fn describe(&self, started: &HashSet<&str>, route: &mut Route) -> Result<Vec<String>> {
        let name = &self.name;
        let there = There::read(name, route)?;
        let is_there = there.interface.is_some();
        let mut told = Vec::new();
        let whole = &self.wanted.whole;
        if !is_there && whole.kind.is_none() && whole.virtual_device.kind().is_none() {
            told.push(format!(
                "{name} could not be started: there is no such interface."
            ));
            return Ok(told);
        }
        for below in self.below() {
            if !started.contains(below) && route.by_name(below)?.is_none() {
                told.push(format!(
                    "{name} could not be started: there is no interface {below}."
                ));
                return Ok(told);
            }
        }
        for (number, step) in self.wanted.steps.iter().enumerate() {
            match step {
                Step::Change(change) => {
                    let left = self.left(change, number == 0, &there, route)?;
                    // what an earlier step does is not there yet
                    for sentence in sentences(&self.name, &left, is_there || number > 0) {
                        if !told.contains(&sentence) {
                            told.push(sentence);
                        }
                    }
                }
                Step::Command(_, command) => {
                    told.push(format!("sh would run: {}", command));
                }
            }
        }
        if self.wanted.autoconf {
            for (path, value) in self.autoconf() {
                told.push(format!("{path} would become {value}."));
            }
        }
        Ok(told)
    }

    /// The sysctls for router advertisements, where they are not so yet: by their files,
    /// with their values.
    fn autoconf(&self) -> Vec<(String, &'static str)> {
        let folder = format!("/proc/sys/net/ipv6/conf/{}", self.name);
        let read = |name: &str| fs::read_to_string(format!("{folder}/{name}")).unwrap_or_default();
        // a router listens only if it is told to with 2
        let accept = if read("forwarding").trim() == "0" {
            "1"
        } else {
            "2"
        };
        [("accept_ra", accept), ("autoconf", "1")]
            .into_iter()
            .filter(|(name, value)| read(name).trim() != *value)
            .map(|(name, value)| (format!("{folder}/{name}"), value))
            .collect()
    }
}

/// What the kernel has of an interface now.
struct There {
    interface: Option<Interface>,
    addresses: Vec<Address>,
    /// The name of its carpdev or syncdev.
    device: Option<String>,
}

impl There {
    fn read(name: &str, route: &mut Route) -> Result<Self> {
        let Some(interface) = route.by_name(name)? else {
            return Ok(Self {
                interface: None,
                addresses: Vec::new(),
                device: None,
            });
        };
        let device = match (&interface.carp, &interface.pfsync) {
            (Some(carp), _) if carp.carpdev_netnsid.is_none() => carp.carpdev,
            (_, Some(pfsync)) => pfsync.syncdev,
            _ => None,
        };
        let device = match device {
            Some(index) => Some(route.name(index)?),
            None => None,
        };
        Ok(Self {
            addresses: route.addresses(Some(interface.index))?,
            interface: Some(interface),
            device,
        })
    }
}

/// Who can read and write a file.
#[derive(Clone, Copy)]
struct Access {
    owner: u32,
    mode: u32,
}

/// The text of a file, and who can read and write this very file: another one may have
/// its name a moment later.
fn read_with_access(path: &Path) -> io::Result<(String, Access)> {
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let access = Access {
        owner: metadata.uid(),
        mode: metadata.mode(),
    };
    Ok((text, access))
}

impl Access {
    /// Why lines of such a file are not to be believed, if they are not.
    fn refusal(self, lines: &[Line]) -> Option<&'static str> {
        // a passphrase that others can read is none
        if Wanted::has_phrase(lines) && (self.owner != 0 || self.mode & 0o077 != 0) {
            return Some(
                "it holds a passphrase, so it must be root's and for nobody else: \
                 chown it to root, and chmod it to 600",
            );
        }
        // who can write a command into it is root
        if Wanted::has_command(lines) && (self.owner != 0 || self.mode & 0o022 != 0) {
            return Some(
                "it holds a command, which root runs, so only root may be able to write it: \
                 chown it to root, and chmod it to 644 or less",
            );
        }
        None
    }
}

/// Runs a command of a file, which finds the interface's name in $if; returns how it failed.
fn run(command: &str, interface: &str) -> Option<String> {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(command).env("if", interface);
    match shell.status() {
        Ok(status) if status.success() => None,
        Ok(status) => Some(format!("the command failed with {status}")),
        Err(error) => Some(format!("sh: {}", Error::from(error))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_roots_alone() {
        let refused = |owner, mode, text| {
            let (lines, _) = hostname_file::read(text);
            Access { owner, mode }.refusal(&lines).is_some()
        };
        for (owner, mode, text, expected) in [
            (0, 0o100_600, "vhid 1 pass x\n!true\n", false),
            (0, 0o100_640, "vhid 1 pass x\n", true),
            (7, 0o100_600, "vhid 1 pass x\n", true),
            (0, 0o100_644, "up\n!true\n", false),
            (0, 0o100_664, "up\n!true\n", true),
            (0, 0o100_646, "up\n!true\n", true),
            (7, 0o100_644, "up\n!true\n", true),
            (7, 0o100_666, "up\n", false),
        ] {
            assert_eq!(
                refused(owner, mode, text),
                expected,
                "{owner} {mode:o} {text}"
            );
        }
    }
}
