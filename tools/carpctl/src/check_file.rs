// SPDX-License-Identifier: GPL-2.0

//! The files in a folder such as /etc/carp/checks.d: what is checked, how often, and whom a
//! failure demotes.

use crate::{
    carp_words::check_group,
    causes::{AMOUNT_MAX, GROUP_DEFAULT},
    error::{Error, Result},
    trusted_files::{list, trust},
};
use std::{fs::File, io::Read, ops::RangeInclusive, path::Path, time::Duration};

/// What the name of a file ends with.
const SUFFIX: &str = ".conf";
/// What the name of a cause begins with.
const CAUSE_PREFIX: &str = "check:";
/// The most bytes of a cause's name.
pub const CAUSE_MAX: usize = 31;
/// The most bytes of a file.
const FILE_MAX: u64 = 65536;
/// What is not done with a file that cannot be trusted.
const READ: &str = "read";

/// Seconds.
const SECONDS: RangeInclusive<u32> = 1..=86400;
/// Results in a row.
const RESULTS: RangeInclusive<u32> = 1..=1000;

/// What is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// A line for the shell.
    Shell(String),
    /// A program and its words.
    Words(&'static str, Vec<String>),
}

/// A check, as its file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub command: Command,
    /// Between the beginnings of two runs.
    pub every: Duration,
    /// How long a run may take.
    pub timeout: Duration,
    /// So many bad results in a row make it fail.
    pub fall: u32,
    /// So many good results in a row make it good again.
    pub rise: u32,
    /// By how much it demotes each group.
    pub demote: u32,
    pub groups: Vec<String>,
}

impl Settings {
    /// Those of a command of which nothing else is said.
    pub fn new(command: Command) -> Self {
        Self {
            command,
            every: Duration::from_secs(5),
            timeout: Duration::from_secs(3),
            fall: 3,
            rise: 2,
            demote: 1,
            groups: vec![GROUP_DEFAULT.to_owned()],
        }
    }
}

/// A check with its names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// As people know it: "check web".
    pub title: String,
    /// That of its cause.
    pub cause: String,
    /// What the line that is printed is about, before it.
    pub prefix: String,
    pub settings: Settings,
}

/// What is known of a file.
#[derive(Debug, PartialEq, Eq)]
pub struct CheckFile {
    pub name: String,
    /// Or a sentence for each of its mistakes.
    pub read: std::result::Result<Settings, Vec<String>>,
}

impl CheckFile {
    /// The name of its cause.
    pub fn cause(&self) -> String {
        format!("{CAUSE_PREFIX}{}", self.name)
    }

    /// Sentences about what is wrong with it.
    pub fn mistakes(&self) -> &[String] {
        self.read.as_ref().err().map_or(&[], Vec::as_slice)
    }

    /// Nothing: it has mistakes.
    pub fn named(&self) -> Option<Named> {
        Some(Named {
            title: format!("check {}", self.name),
            cause: self.cause(),
            prefix: String::new(),
            settings: self.read.clone().ok()?,
        })
    }
}

/// Reads a folder, in lexical order.
///
/// # Errors
///
/// The folder cannot be read or trusted. A file with a mistake is no error.
pub fn read_folder(folder: &Path) -> Result<Vec<CheckFile>> {
    let paths = list(folder, READ, is_name)?;
    let files = paths.iter().filter_map(|path| {
        let name = path.file_name()?.to_str()?.strip_suffix(SUFFIX)?.to_owned();
        let read = read_file(path, &name);
        Some(CheckFile { name, read })
    });
    Ok(files.collect())
}

/// Whether a file of this name is one of a check.
fn is_name(name: &str) -> bool {
    name.ends_with(SUFFIX) && !name.starts_with('.')
}

fn read_file(path: &Path, name: &str) -> std::result::Result<Settings, Vec<String>> {
    let text = read_text(path, name).map_err(|error| vec![error.to_string()])?;
    parse(&text).map_err(|mistakes| {
        let path = path.display();
        let mistakes = mistakes.into_iter();
        mistakes
            .map(|mistake| match mistake.line {
                0 => format!("{path}: {}", mistake.sentence),
                line => format!("{path}:{line}: {}", mistake.sentence),
            })
            .collect()
    })
}

fn read_text(path: &Path, name: &str) -> Result<String> {
    let failed = |words: &str| Err(Error::Failed(format!("{}: {words}", path.display())));
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return failed("the name of a check has visible ASCII characters only");
    }
    let room = CAUSE_MAX - CAUSE_PREFIX.len();
    if name.len() > room {
        return failed(&format!("the name of a check has at most {room} bytes"));
    }
    let about = |error: std::io::Error| Error::from(error).about(path.display());
    let file = File::open(path).map_err(about)?;
    let metadata = file.metadata().map_err(about)?;
    if !metadata.is_file() {
        return failed("it is no file");
    }
    trust(path, READ, &metadata)?;
    let mut text = Vec::new();
    file.take(FILE_MAX + 1)
        .read_to_end(&mut text)
        .map_err(about)?;
    if text.len() as u64 > FILE_MAX {
        return failed(&format!("it has more than {FILE_MAX} bytes"));
    }
    String::from_utf8(text).or_else(|_| failed("it is not UTF-8"))
}

/// A mistake in a line; 0: in the whole.
#[derive(Debug, PartialEq, Eq)]
struct Mistake {
    line: usize,
    sentence: String,
}

/// Reads the text of a file; each line by itself, so that all mistakes are found at once.
fn parse(text: &str) -> std::result::Result<Settings, Vec<Mistake>> {
    let mut settings = Settings::new(Command::Shell(String::new()));
    let mut said: Vec<&str> = Vec::new();
    let mut mistakes = Vec::new();
    for (line, content) in (1..).zip(text.lines()) {
        let content = content.trim();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        let (key, value) = key_and_value(content);
        let read = match said.contains(&key) {
            true => Err(format!("{key} is said twice")),
            false => settings.set(key, value),
        };
        said.push(key);
        mistakes.extend(read.err().map(|sentence| Mistake { line, sentence }));
    }
    if !said.contains(&"command") {
        mistakes.push(Mistake {
            line: 0,
            sentence: "there is no command".into(),
        });
    }
    match mistakes.is_empty() {
        true => Ok(settings),
        false => Err(mistakes),
    }
}

/// "key value", "key = value" or "key=value".
fn key_and_value(line: &str) -> (&str, &str) {
    let is_end = |c: char| c == '=' || c.is_whitespace();
    let (key, rest) = line.split_at(line.find(is_end).unwrap_or(line.len()));
    let rest = rest.trim_start();
    (key, rest.strip_prefix('=').unwrap_or(rest).trim_start())
}

impl Settings {
    fn set(&mut self, key: &str, value: &str) -> std::result::Result<(), String> {
        let number = |allowed: RangeInclusive<u32>, unit: &str| {
            let (min, max) = (allowed.start(), allowed.end());
            let read = value.parse().ok().filter(|it| allowed.contains(it));
            read.ok_or_else(|| {
                format!("{key} \"{value}\": a number of {min}-{max}{unit} is expected")
            })
        };
        let seconds = || number(SECONDS, " seconds").map(|it| Duration::from_secs(it.into()));
        match key {
            "command" if value.is_empty() => return Err("command: a command is missing".into()),
            "command" => self.command = Command::Shell(value.to_owned()),
            "every" => self.every = seconds()?,
            "timeout" => self.timeout = seconds()?,
            "fall" => self.fall = number(RESULTS, "")?,
            "rise" => self.rise = number(RESULTS, "")?,
            "demote" => self.demote = number(1..=AMOUNT_MAX, "")?,
            "groups" => self.groups = groups(value)?,
            _ => return Err(format!("\"{key}\" is unknown")),
        }
        Ok(())
    }
}

/// Names with blanks or commas between them.
fn groups(value: &str) -> std::result::Result<Vec<String>, String> {
    let mut groups: Vec<String> = Vec::new();
    let names = value.split(|c: char| c == ',' || c.is_whitespace());
    for name in names.filter(|name| !name.is_empty()) {
        check_group(name).map_err(|error| error.to_string())?;
        if !groups.iter().any(|it| it == name) {
            groups.push(name.to_owned());
        }
    }
    match groups.is_empty() {
        true => Err("groups: a group is missing".into()),
        false => Ok(groups),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_has_a_default() {
        let settings = parse("# about the web server\n\ncommand curl -fsS http://[::1]/ # no\n");
        let command = Command::Shell("curl -fsS http://[::1]/ # no".into());
        assert_eq!(settings, Ok(Settings::new(command)));
    }

    #[test]
    fn both_ways_to_write_it() {
        let text = "command = a=b sh -c 'x = y'\r\nevery 10\n timeout=7\nfall =2\nrise\t1\n\
                    demote = 100\ngroups = carp, dmz lan,carp\n";
        let settings = Settings {
            command: Command::Shell("a=b sh -c 'x = y'".into()),
            every: Duration::from_secs(10),
            timeout: Duration::from_secs(7),
            fall: 2,
            rise: 1,
            demote: 100,
            groups: ["carp", "dmz", "lan"].map(str::to_owned).into(),
        };
        assert_eq!(parse(text), Ok(settings));
    }

    #[test]
    fn mistakes_are_all_told_of() {
        let text = "evry 5\nevery 0\ntimeout 1.5\nfall x\nrise\nrise 1\ndemote 256\ngroups ,\n\
                    groups2 = a\ncommand\n";
        let mistakes = parse(text).expect_err("is full of mistakes");
        let told: Vec<_> = mistakes
            .iter()
            .map(|it| format!("{}: {}", it.line, it.sentence))
            .collect();
        assert_eq!(
            told,
            [
                "1: \"evry\" is unknown",
                "2: every \"0\": a number of 1-86400 seconds is expected",
                "3: timeout \"1.5\": a number of 1-86400 seconds is expected",
                "4: fall \"x\": a number of 1-1000 is expected",
                "5: rise \"\": a number of 1-1000 is expected",
                "6: rise is said twice",
                "7: demote \"256\": a number of 1-255 is expected",
                "8: groups: a group is missing",
                "9: \"groups2\" is unknown",
                "10: command: a command is missing",
            ]
        );
        let nothing = parse("every 5\n").expect_err("has no command");
        assert_eq!(
            (nothing[0].line, &*nothing[0].sentence),
            (0, "there is no command")
        );
        let group = parse("command x\ngroups a-name-far-too-long\n").expect_err("is no group");
        assert!(group[0].sentence.contains("1-15 characters"), "{group:?}");
    }

    #[test]
    fn names_of_files() {
        for name in ["web.conf", "a.b.conf", ".conf.conf"] {
            assert_eq!(is_name(name), !name.starts_with('.'), "{name}");
        }
        for name in [
            "web",
            "web.conf~",
            "web.conf.dpkg-old",
            ".web.conf",
            "README",
        ] {
            assert!(!is_name(name), "{name}");
        }
        let told = |name: &str| {
            let path = format!("/nowhere/{name}.conf");
            let told = read_text(Path::new(&path), name).expect_err("is none");
            told.to_string()
        };
        assert!(told("two words").contains("visible ASCII"));
        assert!(told(&"x".repeat(26)).contains("at most 25 bytes"));
        assert!(told(&"x".repeat(25)).contains("No such file"));
    }
}
