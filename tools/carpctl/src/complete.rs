// SPDX-License-Identifier: GPL-2.0

//! `carpctl complete -- WORD...`: what the last word can become. A shell asks when the
//! user presses Tab, so this changes nothing, and loads no module.

use crate::{
    apply, check,
    contract::settable,
    error::{usage, Result},
    family::Family,
    interface::Route,
    kind::Kind,
    netstart,
    output::Output,
    required_unit,
    states::PROTOCOLS,
    status::GROUP_WORDS,
    value::Value,
    words,
};
use clap::{Arg, ArgAction};
use std::{collections::BTreeSet, path::Path};

/// Stands for every file, for a shell completes names of files by itself. No interface
/// and no group can have this name.
const FILES: &str = "/";

/// What a word can become.
type Candidates = BTreeSet<String>;

/// Shows what the last of the words that follow `carpctl` can become, one in a line.
pub fn complete(output: &mut Output, command: clap::Command, words: &[String]) -> Result<()> {
    let Some((current, before)) = words.split_last() else {
        return usage("complete wants the words of a command; the last one may be empty");
    };
    let found = candidates(command, before, &mut Host)?;
    let text: String = matching(found, current)
        .map(|candidate| candidate + "\n")
        .collect();
    output.text(&text)
}

/// Returns those that begin with `current`. Words with a minus are shown only when the
/// minus is typed, as they would double the list.
fn matching(found: Candidates, current: &str) -> impl Iterator<Item = String> + '_ {
    let has_minus = current.starts_with('-');
    found.into_iter().filter(move |candidate| {
        candidate == FILES
            || candidate.starts_with(current) && candidate.starts_with('-') == has_minus
    })
}

/// What is asked of the host; a test has names of its own.
trait Names {
    fn interfaces(&mut self) -> Result<Vec<String>>;
    /// Those of carp and pfsync.
    fn ours(&mut self) -> Result<Vec<String>>;
    fn groups(&mut self) -> Result<Vec<String>>;
    /// What groups are demoted for.
    fn causes(&mut self) -> Result<Vec<String>>;
    fn with_file(&mut self, etc: &str) -> Result<Vec<String>>;
    /// Those of checks.
    fn checks(&mut self) -> Vec<String>;
    /// Those of systemd that are services.
    fn units(&mut self) -> Vec<String>;
    /// The kinds whose words an interface takes.
    fn kinds(&mut self, name: &str, words: &[String]) -> Result<Vec<Option<Kind>>>;
}

struct Host;

impl Names for Host {
    fn interfaces(&mut self) -> Result<Vec<String>> {
        Route::open()?.names()
    }

    fn ours(&mut self) -> Result<Vec<String>> {
        let mut route = Route::open()?;
        let mut names = Vec::new();
        for kind in Kind::ALL {
            names.extend(route.all(kind)?.into_iter().map(|interface| interface.name));
        }
        Ok(names)
    }

    fn groups(&mut self) -> Result<Vec<String>> {
        if self.ours()?.is_empty() {
            // the question would load carp.ko
            return Ok(Vec::new());
        }
        let groups = Family::open()?.groups()?;
        Ok(groups.into_iter().map(|group| group.group).collect())
    }

    fn causes(&mut self) -> Result<Vec<String>> {
        if self.ours()?.is_empty() {
            return Ok(Vec::new());
        }
        let groups = Family::open()?.groups()?.into_iter();
        let causes = groups.flat_map(|group| group.causes);
        // those of the kernel's own are told of interfaces
        let named = causes.filter(|cause| cause.interfaces.is_empty());
        Ok(named.map(|cause| cause.cause).collect())
    }

    fn with_file(&mut self, etc: &str) -> Result<Vec<String>> {
        netstart::names_in(Path::new(etc))
    }

    fn checks(&mut self) -> Vec<String> {
        check::names(Path::new(check::FOLDER))
    }

    fn units(&mut self) -> Vec<String> {
        required_unit::services()
    }

    fn kinds(&mut self, name: &str, words: &[String]) -> Result<Vec<Option<Kind>>> {
        let existing = Route::open()?.by_name(name)?;
        let kind = apply::kind(name, existing.as_ref(), words);
        let mut kinds = vec![kind];
        if existing.is_none() && !Kind::is_usual(name) {
            // as yet it can become a VLAN, a bond or a bridge
            kinds.push(None);
        }
        Ok(kinds)
    }
}

fn candidates(
    mut command: clap::Command,
    before: &[String],
    host: &mut impl Names,
) -> Result<Candidates> {
    // adds --help and --version
    command.build();
    let Some((first, rest)) = before.split_first() else {
        return first_word(&command, host);
    };
    if first == "-g" {
        return group(rest, host);
    }
    if let Some(command) = command.find_subcommand(first) {
        return of_command(command, rest, host);
    }
    if first.starts_with('-') {
        return Ok(Candidates::new());
    }
    of_interface(first, rest, host)
}

fn first_word(command: &clap::Command, host: &mut impl Names) -> Result<Candidates> {
    let shown = command.get_subcommands().filter(|it| !it.is_hide_set());
    let mut found: Candidates = shown.map(|it| it.get_name().to_owned()).collect();
    found.extend(command.get_arguments().flat_map(options));
    found.extend(Kind::ALL.map(|kind| kind.name().to_owned()));
    found.extend(host.interfaces()?);
    found.extend(host.groups()?);
    Ok(found)
}

/// `-s` and `--long`; nothing for an argument without a minus.
fn options(argument: &Arg) -> impl Iterator<Item = String> {
    let short = argument.get_short().map(|short| format!("-{short}"));
    let long = argument.get_long().map(|long| format!("--{long}"));
    short.into_iter().chain(long)
}

/// What follows `-g`.
fn group(words: &[String], host: &mut impl Names) -> Result<Candidates> {
    Ok(match words {
        [] => host.groups()?.into_iter().collect(),
        [_] => GROUP_WORDS.map(|(word, _)| word.to_owned()).into(),
        _ => Candidates::new(),
    })
}

/// What follows `netstart` and its like.
fn of_command(
    command: &clap::Command,
    words: &[String],
    host: &mut impl Names,
) -> Result<Candidates> {
    let mut etc = "/etc";
    let mut named = Candidates::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word == "--etc" {
            match words.next() {
                Some(folder) => etc = folder,
                None => return Ok([FILES.to_owned()].into()),
            }
        } else if takes_value(command, word) {
            named.insert(word.to_owned());
            if words.next().is_none() {
                return values(word, host);
            }
        } else if let Some(folder) = word.strip_prefix("--etc=") {
            etc = folder;
        } else {
            named.insert(word.to_owned());
        }
    }
    let mut found = Candidates::new();
    let within = command
        .get_subcommands()
        .filter(|it| it.get_name() != "help");
    if let Some(one) = command
        .get_subcommands()
        .find(|it| named.contains(it.get_name()))
    {
        found.extend(one.get_arguments().flat_map(options));
        return Ok(&found - &named);
    }
    found.extend(within.map(|it| it.get_name().to_owned()));
    for argument in command.get_arguments() {
        found.extend(options(argument));
        let is_many = matches!(argument.get_action(), ArgAction::Append);
        let has_room = is_many || named.iter().all(|word| word.starts_with('-'));
        if argument.is_positional() && has_room {
            match argument.get_id().as_str() {
                "interfaces" => found.extend(host.with_file(etc)?),
                "interface" => found.extend(host.ours()?),
                "name" => found.extend(host.causes()?),
                "names" => found.extend(host.checks()),
                "unit" => found.extend(host.units()),
                _ => {}
            }
        }
    }
    // what was said already is left out
    Ok(&found - &named)
}

/// Whether a value follows this option.
fn takes_value(command: &clap::Command, word: &str) -> bool {
    let mut options_of = command.get_arguments().filter(|it| !it.is_positional());
    options_of.any(|it| it.get_action().takes_values() && options(it).any(|option| option == word))
}

/// What may follow it, as far as there is a list.
fn values(option: &str, host: &mut impl Names) -> Result<Candidates> {
    Ok(match option {
        "--proto" => PROTOCOLS
            .iter()
            .map(|(name, _)| (*name).to_owned())
            .collect(),
        "--checks" | "--hooks" => [FILES.to_owned()].into(),
        "-g" | "--group" => host.groups()?.into_iter().collect(),
        _ => Candidates::new(),
    })
}

/// What follows the name of an interface.
fn of_interface(name: &str, words: &[String], host: &mut impl Names) -> Result<Candidates> {
    let kinds = host.kinds(name, words)?;
    let known = || kinds.iter().flat_map(|kind| words::list(*kind));
    let mut value = Value::Nothing;
    for word in words {
        value = match value {
            Value::Nothing => known()
                .find(|(known, _)| known == word)
                .map_or(Value::Nothing, |(_, value)| value),
            Value::UnlistedAndFile => Value::File,
            // this word was the value
            _ => Value::Nothing,
        };
    }
    Ok(match value {
        Value::Nothing => known().map(|(word, _)| word.to_owned()).collect(),
        Value::Unlisted | Value::UnlistedAndFile => Candidates::new(),
        Value::Interface => {
            let others = host.interfaces()?.into_iter().filter(|it| it != name);
            others.collect()
        }
        Value::Group => host.groups()?.into_iter().collect(),
        Value::File => [FILES.to_owned()].into(),
        Value::OneOf(values) => settable(values).map(str::to_owned).collect(),
    })
}

#[cfg(test)]
#[path = "complete_tests.rs"]
mod tests;
