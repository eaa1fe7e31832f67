// SPDX-License-Identifier: GPL-2.0

//! `carpctl status`, `monitor` and `stats`, and `carpctl -g`.

use crate::{
    carp_words::check_group,
    causes,
    counters::Counters,
    error::{usage, Result},
    family::{Event, Family, Group, VirtualHost},
    interface::Route,
    kind::Kind,
    output::Output,
    show::digest_differs,
};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    io::{stdout, IsTerminal},
    time::{SystemTime, UNIX_EPOCH},
};

/// The most that one step demotes or takes back.
const STEP_MAX: i32 = 128;

/// What goes on in this network namespace.
#[derive(Serialize)]
struct Status {
    virtual_hosts: Vec<VirtualHost>,
    groups: Vec<Group>,
    /// By interface: why its hosts may not believe the others.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    digest_differs: BTreeMap<String, String>,
}

impl Status {
    fn read(family: &mut Family) -> Result<Self> {
        let virtual_hosts = family.virtual_hosts()?;
        Ok(Self {
            digest_differs: trouble(&virtual_hosts)?,
            groups: family.groups()?,
            virtual_hosts,
        })
    }

    fn text(&self) -> String {
        let mut rows = vec![[
            "INTERFACE",
            "VHID",
            "STATE",
            "ADVBASE",
            "ADVSKEW",
            "DEMOTE",
            "CARPDEV",
        ]
        .map(str::to_owned)];
        rows.extend(self.virtual_hosts.iter().map(|host| {
            [
                host.ifname.clone(),
                host.vhid.to_string(),
                host.state.to_uppercase(),
                host.advbase.to_string(),
                host.advskew.to_string(),
                host.demote.to_string(),
                match &host.carpdev {
                    Some(carpdev) => carpdev.to_string(),
                    None => "none".to_owned(),
                },
            ]
        }));
        let mut text = table(&rows);
        for group in &self.groups {
            text += &group_lines(group);
        }
        for (interface, trouble) in &self.digest_differs {
            text += &format!("{interface}: {trouble}\n");
        }
        text
    }
}

/// By interface: whose digests differ, and what they cover here. rtnetlink, which tells of
/// thousands of links slowly, is asked only if there are any.
fn trouble(hosts: &[VirtualHost]) -> Result<BTreeMap<String, String>> {
    if !hosts.iter().any(|host| host.digest_differs) {
        return Ok(BTreeMap::new());
    }
    let links = Route::open()?.all(Kind::Carp)?;
    let trouble = links.into_iter().filter_map(|interface| {
        let carp = interface.carp.filter(|it| it.digest_differs.is_some())?;
        Some((interface.name, digest_differs(&carp)))
    });
    Ok(trouble.collect())
}

/// Columns as wide as what is in them.
pub fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let widths: [usize; N] = std::array::from_fn(|column| {
        let lengths = rows.iter().map(|row| row[column].len());
        lengths.max().unwrap_or_default()
    });
    let mut text = String::new();
    for row in rows {
        for (cell, width) in row.iter().zip(widths) {
            text += cell;
            text.extend(std::iter::repeat_n(' ', width + 2 - cell.len()));
        }
        text.truncate(text.trim_end().len());
        text += "\n";
    }
    text
}

/// As `ifconfig -g` says it, and below it why.
fn group_lines(group: &Group) -> String {
    let count = format!("{}: carp demote count {}\n", group.group, group.demote);
    count + &causes::lines(&group.causes)
}

pub fn status(output: &mut Output, json: bool, watch: bool) -> Result<()> {
    let mut family = Family::open()?;
    let listener = Family::open()?;
    if watch {
        // before the first look, so that nothing falls between
        listener.listen()?;
    }
    loop {
        let status = Status::read(&mut family)?;
        if json {
            output.json(&status)?;
        } else if watch && stdout().is_terminal() {
            output.text(&format!("\x1b[H\x1b[2J{}", status.text()))?;
        } else {
            output.text(&status.text())?;
        }
        if !watch {
            return Ok(());
        }
        while listener.hear()?.is_empty() {}
        if !json && !stdout().is_terminal() {
            output.text("\n")?;
        }
    }
}

/// An event, and when it was heard.
#[derive(Serialize)]
struct Stamped {
    /// Seconds since 1970.
    time: f64,
    #[serde(flatten)]
    event: Event,
}

pub fn monitor(output: &mut Output, json: bool) -> Result<()> {
    let family = Family::open()?;
    family.listen()?;
    loop {
        for event in family.hear()? {
            if json {
                let since = SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default();
                output.json(&Stamped {
                    time: since.as_secs_f64(),
                    event,
                })?;
            } else {
                output.text(&event_line(&event))?;
            }
        }
    }
}

fn event_line(event: &Event) -> String {
    match event {
        Event::State {
            ifname,
            vhid,
            old_state,
            state,
            reason,
            demote,
            ..
        } => {
            let reason = reason.replace('_', " ");
            let (old_state, state) = (old_state.to_uppercase(), state.to_uppercase());
            format!("{ifname} vhid {vhid}: {old_state} -> {state} ({reason}), demote {demote}\n")
        }
        Event::Demote {
            group,
            demote,
            step,
            cause,
            cause_reason,
        } => {
            let reason = cause_reason.as_ref().map(|it| format!(": {it}"));
            let reason = reason.unwrap_or_default();
            format!("group {group}: carp demote count {demote} ({step:+}: {cause}{reason})\n")
        }
        Event::Carpdev {
            ifname,
            carpdev,
            carpdev_ifindex,
            ..
        } => {
            let what = carpdev_ifindex.map_or("gone", |_| "back");
            format!("{ifname}: carpdev {carpdev} is {what}\n")
        }
        Event::Lost => "events were lost\n".to_owned(),
    }
}

/// Of one interface, or of all carp interfaces of the network namespace.
pub fn stats(output: &mut Output, json: bool, interface: Option<&str>) -> Result<()> {
    let counters = match interface {
        Some(name) => {
            let interface = Route::open()?.ours_by_name(name)?;
            let carp = interface.carp.map(|carp| carp.counters);
            let pfsync = interface.pfsync.map(|pfsync| pfsync.counters);
            carp.or(pfsync).unwrap_or_default()
        }
        None => Family::open()?.counters()?,
    };
    if json {
        return output.json(&counters);
    }
    output.text(&counter_lines(&counters))
}

fn counter_lines(counters: &Counters) -> String {
    let mut lines = String::new();
    for (name, value) in &counters.0 {
        lines += &format!("{name} {value}\n");
    }
    lines
}

/// The words for a group, and the sign of the step that each takes.
pub const GROUP_WORDS: [(&str, i32); 2] = [("carpdemote", 1), ("-carpdemote", -1)];

/// `-g NAME`, `-g NAME carpdemote [N]`, `-g NAME -carpdemote [N]`.
pub fn group(output: &mut Output, words: &[String]) -> Result<()> {
    match read_group(words)? {
        (name, None) => {
            let group = Family::open()?
                .group(name)
                .map_err(|error| error.about(name))?;
            output.text(&group_lines(&group))
        }
        (name, Some(step)) => Family::open()?
            .demote(name, step)
            .map_err(|error| error.about(name)),
    }
}

/// The group, and the step; nothing: it is to be shown.
fn read_group(words: &[String]) -> Result<(&str, Option<i32>)> {
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let wanted = "-g wants a group, and perhaps carpdemote [N] or -carpdemote [N]";
    let (name, word, number) = match words[..] {
        [name] => {
            check_group(name)?;
            return Ok((name, None));
        }
        [name, word] => (name, word, "1"),
        [name, word, number] => (name, word, number),
        _ => return usage(wanted),
    };
    let Some((_, sign)) = GROUP_WORDS.iter().find(|(known, _)| *known == word) else {
        return usage(wanted);
    };
    check_group(name)?;
    match number.parse::<i32>() {
        Ok(number) if (1..=STEP_MAX).contains(&number) => Ok((name, Some(sign * number))),
        _ => usage(format!(
            "carpdemote \"{number}\": a number of 1-{STEP_MAX} is expected"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause() -> causes::Cause {
        causes::Cause {
            group: "carp".into(),
            cause: "link:eth0".into(),
            amount: 1,
            age: 5,
            left: None,
            reason: None,
            interfaces: vec!["carp0".into()],
        }
    }

    fn example() -> Status {
        let trouble = ("carp0".to_owned(), "digest differs".to_owned());
        Status {
            virtual_hosts: vec![
                VirtualHost::of_test("carp0", 1, "master"),
                VirtualHost::of_test("carp10", 255, "backup"),
            ],
            groups: vec![Group {
                group: "carp".into(),
                demote: 1,
                members: vec![7],
                causes: vec![cause()],
            }],
            digest_differs: [trouble].into(),
        }
    }

    #[test]
    fn a_table() {
        assert_eq!(
            example().text(),
            "INTERFACE  VHID  STATE   ADVBASE  ADVSKEW  DEMOTE  CARPDEV\n\
             carp0      1     MASTER  1        100      0       eth0\n\
             carp10     255   BACKUP  1        100      0       eth0\n\
             carp: carp demote count 1\n\
             \tlink:eth0 1 since 5 s\n\
             carp0: digest differs\n"
        );
    }

    #[test]
    fn json() {
        let json = serde_json::to_value(example()).expect("is JSON");
        assert_eq!(json["virtual_hosts"][1]["carpdev"], "eth0");
        assert_eq!(json["groups"][0]["members"][0], 7);
        assert_eq!(json["digest_differs"]["carp0"], "digest differs");
        let counters = Counters(vec![("rx_ipv4", 5), ("tx_ipv4", 6)]);
        assert_eq!(counter_lines(&counters), "rx_ipv4 5\ntx_ipv4 6\n");
        assert_eq!(
            serde_json::to_string(&counters).expect("is JSON"),
            r#"{"rx_ipv4":5,"tx_ipv4":6}"#
        );
    }

    #[test]
    fn events_in_words() {
        let state = Event::State {
            ifname: "carp0".into(),
            ifindex: 7,
            vhid: 1,
            old_state: "backup".into(),
            state: "master".into(),
            reason: "master_timed_out".into(),
            demote: 0,
        };
        assert_eq!(
            event_line(&state),
            "carp0 vhid 1: BACKUP -> MASTER (master timed out), demote 0\n"
        );
        let demote = Event::Demote {
            group: "carp".into(),
            demote: 1,
            step: 1,
            cause: "check:web".into(),
            cause_reason: Some("no answer".into()),
        };
        assert_eq!(
            event_line(&demote),
            "group carp: carp demote count 1 (+1: check:web: no answer)\n"
        );
        let stamped = Stamped {
            time: 1.5,
            event: Event::Lost,
        };
        assert_eq!(
            serde_json::to_string(&stamped).expect("is JSON"),
            r#"{"time":1.5,"event":"lost"}"#
        );
    }

    #[test]
    fn words_for_a_group() {
        let read = |line: &str| {
            let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
            read_group(&words).map(|(name, step)| (name.to_owned(), step))
        };
        assert_eq!(read("carp"), Ok(("carp".into(), None)));
        assert_eq!(read("carp carpdemote"), Ok(("carp".into(), Some(1))));
        assert_eq!(read("carp carpdemote 128"), Ok(("carp".into(), Some(128))));
        assert_eq!(read("test -carpdemote 50"), Ok(("test".into(), Some(-50))));
        for line in [
            "carp demote",
            "carp carpdemote 0",
            "carp carpdemote 129",
            "carp carpdemote x",
            "carp carpdemote 1 2",
            "sixteen_letters_",
        ] {
            assert_eq!(read(line).expect_err("is wrong").exit_status(), 2, "{line}");
        }
    }
}
