// SPDX-License-Identifier: GPL-2.0

//! `carpctl netstart`: brings interfaces into the state that their hostname.if(5) files
//! describe. All files are read and checked first; then what differs is changed.

use crate::{
    error::{failed, in_lines, usage, Error, Result},
    gateway::{self, Gateway},
    hostname_file::Mistake,
    interface::Route,
    interface_file::{check, InterfaceFile},
    lock::Lock,
    maintenance,
    order::{in_order, Named},
    output::{warn, Output},
    run_folder::FOLDER,
};
use std::{collections::HashSet, fs, path::Path};

/// What copies and package managers leave beside a file.
const LEFT_BEHIND: [&str; 9] = [
    "~",
    ".bak",
    ".old",
    ".orig",
    ".save",
    ".swp",
    ".dpkg-old",
    ".dpkg-new",
    ".dpkg-dist",
];

/// What is to be done with the files.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Tell what would be done.
    Check,
    /// Do it, if there is no mistake in any file.
    Start,
    /// Do it on a machine that boots: a mistake keeps only what is shared down, carp and
    /// pfsync, for who comes to mend it needs an address. Half a firewall must not take over.
    Boot,
}

/// Starts the interfaces of these names, or all that have a file.
pub fn netstart(output: &mut Output, purpose: Purpose, etc: &Path, names: &[String]) -> Result<()> {
    let check = purpose == Purpose::Check;
    let _lock = match check {
        true => None,
        false => Some(Lock::take(Path::new(FOLDER))?),
    };
    let mut route = Route::open()?;
    let (mut files, mut mistakes) = read_all(etc, names, &mut route)?;
    let gateways = match names.is_empty() {
        true => read_gateways(etc),
        false => Ok(Vec::new()),
    };
    let gateways = gateways.unwrap_or_else(|error| {
        mistakes.push(error);
        Vec::new()
    });
    let mistakes = all_of(&mistakes);
    match &mistakes {
        None => {}
        Some(_) if purpose == Purpose::Boot => files.retain(|file| !file.is_shared()),
        Some(error) => return Err(error.clone()),
    }
    for file in &files {
        for Mistake { line, sentence } in &file.wanted.warnings {
            warn(&format!("{}:{line}: {sentence}", file.path.display()));
        }
    }
    let files = in_order(files);
    // what fails for one interface must not keep the others down
    if check {
        return match tell(output, files, &gateways, &mut route)? {
            failures if failures.is_empty() => Ok(()),
            failures => failed(in_lines(&failures)),
        };
    }
    let failures = start(etc, &files, &gateways, &mut route);
    maintenance::restore();
    match mistakes {
        Some(mistakes) => {
            let mut told = vec![mistakes.to_string()];
            told.extend(failures);
            told.push("so no carp and no pfsync interface was started".to_owned());
            usage(in_lines(&told))
        }
        None if failures.is_empty() => Ok(()),
        None => Err(Error::Partly(in_lines(&failures))),
    }
}

/// One error for all mistakes.
fn all_of(mistakes: &[Error]) -> Option<Error> {
    let sentences: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
    let sentences = in_lines(&sentences);
    if mistakes.is_empty() {
        None
    } else if mistakes.iter().all(|it| matches!(it, Error::Usage(_))) {
        Some(Error::Usage(sentences))
    } else {
        Some(Error::Failed(sentences))
    }
}

/// Tells what would be done; returns what of it cannot be told.
fn tell(
    output: &mut Output,
    mut files: Vec<InterfaceFile>,
    gateways: &[Gateway],
    route: &mut Route,
) -> Result<Vec<String>> {
    plan_addresses(&mut files);
    let mut failures = Vec::new();
    let mut told = Vec::new();
    let mut started = HashSet::new();
    for file in &files {
        match file.describe(&started, route) {
            Ok(more) => told.extend(more),
            Err(error) => failures.push(format!("{}: {error}", file.path.display())),
        }
        started.insert(file.name());
    }
    for gateway in gateways {
        if !gateway.is_set(route)? {
            told.push(format!(
                "The default route would lead to {}.",
                gateway.address
            ));
        }
    }
    if told.is_empty() && failures.is_empty() {
        told.push("Nothing would change.".to_owned());
    }
    if !told.is_empty() {
        output.text(&(told.join("\n") + "\n"))?;
    }
    Ok(failures)
}

/// Does what is not so yet; returns what failed.
fn start(
    etc: &Path,
    files: &[InterfaceFile],
    gateways: &[Gateway],
    route: &mut Route,
) -> Vec<String> {
    let mut failures = Vec::new();
    for file in files {
        failures.extend(file.start(route));
    }
    for gateway in gateways {
        let set = match gateway.is_set(route) {
            Ok(false) => gateway.set(route),
            is_set => is_set.map(drop),
        };
        if let Err(error) = set {
            let mygate = etc.join("mygate");
            failures.push(format!(
                "{}: {}: {error}",
                mygate.display(),
                gateway.address
            ));
        }
    }
    failures
}

/// Tells each interface which addresses that on which it stands will have.
fn plan_addresses(files: &mut [InterfaceFile]) {
    let subnets: Vec<(String, Vec<_>)> = files
        .iter()
        .map(|file| (file.name().to_owned(), file.subnets().collect()))
        .collect();
    for file in files {
        let below: Vec<_> = file.below().into_iter().map(str::to_owned).collect();
        let planned = subnets.iter().filter(|(name, _)| below.contains(name));
        file.planned = planned.flat_map(|(_, subnets)| subnets.clone()).collect();
    }
}

/// Reads all files; returns those that are right, and what is wrong with the others.
fn read_all(
    etc: &Path,
    names: &[String],
    route: &mut Route,
) -> Result<(Vec<InterfaceFile>, Vec<Error>)> {
    let are_named = !names.is_empty();
    let names = if names.is_empty() {
        names_in(etc)?
    } else {
        names.to_vec()
    };
    let mut files = Vec::new();
    let mut mistakes = Vec::new();
    for name in names {
        let path = etc.join(format!("hostname.{name}"));
        match InterfaceFile::read(path, name, route) {
            Ok(mut file) => {
                file.is_named = are_named;
                files.push(file);
            }
            Err(error) => mistakes.push(error),
        }
    }
    Ok((files, mistakes))
}

/// The interfaces that have a file.
pub fn names_in(etc: &Path) -> Result<Vec<String>> {
    let unreadable = |error| Error::from(error).about(format!("cannot read {}", etc.display()));
    let mut names = Vec::new();
    for entry in fs::read_dir(etc).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let file = entry.file_name();
        let Some(name) = file.to_str().and_then(|it| it.strip_prefix("hostname.")) else {
            continue;
        };
        if !LEFT_BEHIND.iter().any(|end| name.ends_with(end)) {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn read_gateways(etc: &Path) -> Result<Vec<Gateway>> {
    let path = etc.join("mygate");
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(&path)
        .map_err(|error| Error::from(error).about(format!("cannot read {}", path.display())))?;
    let (gateways, mistakes) = gateway::read(&text);
    check(&path, &mistakes)?;
    Ok(gateways)
}
