// SPDX-License-Identifier: GPL-2.0

//! What can be typed next, on a host with a few interfaces.

use super::*;
use crate::Arguments;
use clap::CommandFactory;

struct Example;

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

impl Names for Example {
    fn interfaces(&mut self) -> Result<Vec<String>> {
        Ok(owned(&["lo", "eth0", "eth1", "carp0", "pfsync0"]))
    }

    fn ours(&mut self) -> Result<Vec<String>> {
        Ok(owned(&["carp0", "pfsync0"]))
    }

    fn groups(&mut self) -> Result<Vec<String>> {
        Ok(owned(&["carp", "inside"]))
    }

    fn causes(&mut self) -> Result<Vec<String>> {
        Ok(owned(&["check:web", "manual"]))
    }

    fn checks(&mut self) -> Vec<String> {
        owned(&["dns", "web"])
    }

    fn units(&mut self) -> Vec<String> {
        owned(&["nginx.service", "unbound.service"])
    }

    fn with_file(&mut self, etc: &str) -> Result<Vec<String>> {
        Ok(match etc {
            "/etc" => owned(&["carp0", "eth0"]),
            _ => owned(&["vlan5"]),
        })
    }

    fn kinds(&mut self, name: &str, _words: &[String]) -> Result<Vec<Option<Kind>>> {
        Ok(match name {
            "eth0" => vec![None],
            "new" => vec![Some(Kind::Carp), None],
            _ => vec![Some(Kind::of_name(name))],
        })
    }
}

/// What the end of a line can become, separated by blanks.
fn completed(line: &str) -> String {
    let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
    let (current, before) = words.split_last().expect("has a word");
    let found = candidates(Arguments::command(), before, &mut Example).expect("can be told");
    matching(found, current).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_first_word() {
    assert_eq!(
        completed(""),
        "carp carp0 check demote doctor eth0 eth1 history inside lo maintenance metrics monitor \
         netstart peers pfsync pfsync0 react require states stats status undemote"
    );
    assert_eq!(completed("st"), "states stats status");
    assert_eq!(completed("-"), "--help --version -A -V -a -g -h");
}

#[test]
fn causes_and_maintenance() {
    assert_eq!(completed("undemote "), "check:web manual");
    assert_eq!(completed("undemote --group "), "carp inside");
    assert_eq!(completed("demote check:web --r"), "--reason");
    assert_eq!(completed("maintenance "), "off on");
    assert_eq!(completed("maintenance on --w"), "--wait");
}

#[test]
fn values_of_words() {
    for (line, found) in [
        ("carp0 carpdev ", "eth0 eth1 lo pfsync0"),
        ("carp0 vhid 1 carpdev eth", "eth0 eth1"),
        ("pfsync0 syncdev e", "eth0 eth1"),
        ("carp0 balancing ", "arp ip ip-stealth ip-unicast none"),
        ("carp0 balancing ip-", "ip-stealth ip-unicast"),
        ("carp0 state ", "backup master"),
        ("carp0 group ", "carp inside"),
        ("carp0 -group i", "inside"),
        ("carp0 passfile /etc/ca", "/"),
        ("carp0 auth ", "enforce off permissive receive"),
        ("pfsync0 authkey ", ""),
        ("pfsync0 authkey 1 ", "/"),
        (
            "carp0 authkey 1 auth auth",
            "auth authactive authkey authmonotonic authtime authwindow",
        ),
        ("carp0 vhid ", ""),
        ("carp0 lladdr r", "random"),
        ("carp0 inet al", "alias"),
        (
            "new trunkproto ",
            "broadcast failover lacp loadbalance roundrobin",
        ),
        ("new trunkproto lacp trunkport eth", "eth0 eth1"),
    ] {
        assert_eq!(completed(line), found, "{line}");
    }
}

/// A value is no word, though it may look like one.
#[test]
fn words_behind_values() {
    assert_eq!(completed("carp0 pass vhid adv"), "advbase advskew");
    assert_eq!(completed("carp0 pass vhid 1 ca"), completed("carp0 ca"));
    assert_eq!(completed("carp0 inet alias 10.0.0.1/24 vh"), "vhid");
    assert_eq!(
        completed("carp0 10.0.0.1/24 carpdev eth0 -carpd"),
        "-carpdev"
    );
}

#[test]
fn groups() {
    assert_eq!(completed("-g "), "carp inside");
    assert_eq!(completed("-g carp "), "carpdemote");
    assert_eq!(completed("-g carp -"), "-carpdemote");
    assert_eq!(completed("-g carp carpdemote "), "");
}

#[test]
fn commands() {
    for (line, found) in [
        ("netstart ", "carp0 eth0"),
        ("netstart eth0 ", "carp0"),
        ("netstart --check c", "carp0"),
        ("netstart --", "--boot --check --etc --help"),
        ("netstart --check --c", ""),
        ("netstart --etc /tm", "/"),
        ("netstart --etc /tmp ", "vlan5"),
        ("netstart --etc=/tmp ", "vlan5"),
        ("status --", "--help --json --watch"),
        ("monitor --j", "--json"),
        ("stats ", "carp0 pfsync0"),
        ("metrics --", "--help --http"),
        ("peers --", "--help --json"),
        ("states --c", "--copies --creatorid"),
        ("states --port 5 --pr", "--proto"),
        ("states --proto ud", "udp udplite"),
        ("stats --json p", "pfsync0"),
        ("stats carp0 ", ""),
        ("react --", "--help --hooks --timeout"),
        ("react --hooks /e", "/"),
        ("check --", "--checks --help --once"),
        ("check --checks /e", "/"),
        ("check --once w", "web"),
        ("check --once web d", "dns"),
        ("require n", "nginx.service"),
        ("require --", "--by --group --help"),
        ("require nginx -g i", "inside"),
        ("-a ", ""),
    ] {
        assert_eq!(completed(line), found, "{line}");
    }
}

/// All that the parser takes is found: it takes no word that is not in the lists.
#[test]
fn every_word() {
    for (name, kinds) in [
        ("carp0", &[Some(Kind::Carp)][..]),
        ("pfsync0", &[Some(Kind::Pfsync)]),
        ("eth0", &[None]),
        ("new", &[Some(Kind::Carp), None]),
    ] {
        let words = kinds.iter().flat_map(|kind| words::list(*kind));
        let words: Candidates = words.map(|(word, _)| word.to_owned()).collect();
        let lines = [format!("{name} "), format!("{name} -")];
        let found: Candidates = lines
            .iter()
            .flat_map(|line| {
                completed(line)
                    .split(' ')
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            })
            .collect();
        assert_eq!(found, words, "{name}");
        for word in words {
            assert!(
                completed(&format!("{name} {word}")).contains(&word),
                "{word}"
            );
        }
    }
}

/// A further command, or an argument of one, must not be forgotten.
#[test]
fn every_command() {
    let mut command = Arguments::command();
    command.build();
    for argument in command.get_arguments().filter(|it| !it.is_positional()) {
        for option in options(argument) {
            assert!(completed(&option).split(' ').any(|it| it == option));
        }
    }
    for command in command.get_subcommands().filter(|it| !it.is_hide_set()) {
        let name = command.get_name();
        assert_eq!(completed(name).split(' ').next_back(), Some(name));
        for argument in command.get_arguments() {
            if argument.is_positional() {
                assert_ne!(completed(&format!("{name} ")), "", "{name}");
            } else if argument.get_action().takes_values() {
                let option = options(argument).next().expect("has a name");
                let found = completed(&format!("{name} {option} "));
                match &*option {
                    "--checks" | "--etc" | "--hooks" => assert_eq!(found, FILES),
                    "-g" => assert_eq!(found, "carp inside"),
                    "--proto" => assert!(found.contains("udp"), "{found}"),
                    _ => assert_eq!(found, "", "a number or an address follows"),
                }
            }
        }
    }
}
