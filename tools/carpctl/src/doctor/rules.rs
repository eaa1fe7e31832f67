// SPDX-License-Identifier: GPL-2.0

//! Rules of nftables and the kernel's reverse path filter.

use super::{Finding, Look};
use crate::family::Family;
use std::{
    fs,
    io::{Read, Write},
    process::{Child, ChildStdin, Command, Stdio},
    thread::{self, JoinHandle},
    time::Duration,
};

/// Of more states than this none is looked at.
const STATES_MAX: u32 = 65_536;

/// What lets both protocols in.
pub const ACCEPT: &str = "nft insert rule inet filter input meta l4proto { 112, 240 } accept";

/// A table that goes when the program that made it ends, and whose only rule has the kernel
/// tell of these packets' way.
const TRACE: &str = "\
add table inet carpctl-doctor { flags owner; }
add chain inet carpctl-doctor prerouting { type filter hook prerouting priority -500; }
add rule inet carpctl-doctor prerouting meta l4proto { 112, 240 } meta nftrace set 1
monitor trace
";

/// Which rule drops what comes in, if it comes in again.
pub fn culprit(look: &Look) -> Option<Finding> {
    let trace = trace(look.window);
    if let Some(rule) = trace.as_deref().and_then(dropping) {
        return Some(Finding::new(
            "rule",
            "nftables",
            format!("what drops them is {rule}"),
            format!("Put a rule before it: {ACCEPT}"),
        ));
    }
    let filtered = look.after.reverse_path > look.before.reverse_path;
    filtered.then(|| {
        Finding::new(
            "reverse-path",
            "rp_filter",
            "the kernel's reverse path filter drops packets",
            "Set net.ipv4.conf.all.rp_filter, and that of the parent, to 0 or 2, or give the \
             parent an address in the subnet of its peers",
        )
    })
}

/// What nft(8) says of the way of packets that come in meanwhile.
fn trace(window: Duration) -> Option<String> {
    let mut nft = Command::new("nft")
        .arg("-i")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let begun = begin(&mut nft);
    if begun.is_some() {
        thread::sleep(window);
    }
    // with it goes its table
    let _ = nft.kill();
    let _ = nft.wait();
    let (_words, reader) = begun?;
    reader.join().ok()
}

/// Has it trace. Returns its standard input, at whose end it would end, and who reads what it
/// says.
fn begin(nft: &mut Child) -> Option<(ChildStdin, JoinHandle<String>)> {
    let mut words = nft.stdin.take()?;
    words.write_all(TRACE.as_bytes()).ok()?;
    let mut out = nft.stdout.take()?;
    let reader = thread::spawn(move || {
        let mut text = String::new();
        let _ = out.read_to_string(&mut text);
        text
    });
    Some((words, reader))
}

/// The rule, or the chain whose policy it is, that dropped a packet of a trace.
fn dropping(trace: &str) -> Option<String> {
    trace.lines().find_map(|line| {
        // trace id 5d1b5f5c inet filter input rule ip protocol 112 drop (verdict drop)
        let words = line.strip_prefix("trace id ")?;
        let mut words = words.splitn(5, ' ').skip(1);
        let (family, table, chain) = (words.next()?, words.next()?, words.next()?);
        let rest = words.next()?;
        let of = format!("of chain {chain} of table {family} {table}");
        if let Some(rule) = rest.strip_prefix("rule ") {
            let rule = rule.strip_suffix("(verdict drop)")?;
            return Some(format!("the rule \"{}\" {of}", rule.trim()));
        }
        (rest.trim() == "policy drop").then(|| format!("the policy {of}"))
    })
}

/// What carp(4) and pfsync(4) warn of: rules that look at the device that an address is of,
/// and translated states where nothing translates.
pub fn look(look: &Look) -> Vec<Finding> {
    if !look.is_root {
        return Vec::new();
    }
    let ruleset = Command::new("nft").args(["list", "ruleset"]).output();
    let ruleset = ruleset.map(|it| String::from_utf8_lossy(&it.stdout).into_owned());
    let ruleset = ruleset.unwrap_or_default();
    let mut findings = of_devices(look, &ruleset);
    findings.extend(no_nat_chain(look, &ruleset));
    findings
}

fn of_devices(look: &Look, ruleset: &str) -> Vec<Finding> {
    if look.after.carps().next().is_none() {
        return Vec::new();
    }
    let rules = ruleset
        .lines()
        .map(str::trim)
        .filter(|line| drops_shared(line));
    rules
        .map(|rule| {
            Finding::new(
                "fib",
                "nftables",
                format!("the rule \"{rule}\" drops what a parent receives for a shared address"),
                "Write \"fib daddr type\" without \"iif\": the address is not the parent's own",
            )
        })
        .collect()
}

/// A host without a nat chain passes packets of translated states on as they are.
fn no_nat_chain(look: &Look, ruleset: &str) -> Option<Finding> {
    let mut pfsyncs = look.after.interfaces.values().filter(|it| it.is_up());
    let (interface, pfsync) = pfsyncs.find_map(|it| Some((it, it.pfsync.as_ref()?)))?;
    // iptables-legacy has its own
    let legacy = [
        "/proc/self/net/ip_tables_names",
        "/proc/self/net/ip6_tables_names",
    ]
    .iter()
    .filter_map(|path| fs::read_to_string(path).ok())
    .any(|names| names.lines().any(|name| name == "nat"));
    let translates = ruleset
        .lines()
        .any(|line| line.trim().starts_with("type nat hook"));
    if translates || legacy || pfsync.states > STATES_MAX {
        return None;
    }
    let states = Family::open_pfsync().and_then(|mut it| it.states()).ok()?;
    let states = states
        .iter()
        .filter(|it| it.is_copy() && it.is_translated());
    let count = states.count();
    (count != 0).then(|| {
        Finding::new(
            "no-nat-chain",
            &interface.name,
            format!("peers have told of {count} translated connections, and no nat chain is here"),
            "Load the same rules on all hosts: after a takeover nobody would translate these",
        )
    })
}

fn drops_shared(rule: &str) -> bool {
    let looks =
        rule.contains("fib daddr . iif type") || rule.contains("fib daddr . mark . iif type");
    looks
        && rule
            .split(' ')
            .any(|word| word == "drop" || word == "reject")
}

/// What the reverse path filter has dropped in this network namespace.
pub fn reverse_path_drops() -> u64 {
    let text = fs::read_to_string("/proc/self/net/netstat").unwrap_or_default();
    counter(&text, "TcpExt:", "IPReversePathFilter").unwrap_or_default()
}

/// A counter of /proc/net/netstat: a line of names and one of values.
fn counter(text: &str, head: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter(|line| line.starts_with(head));
    let (names, values) = (lines.next()?, lines.next()?);
    let place = names.split(' ').position(|it| it == name)?;
    values.split(' ').nth(place)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_drops() {
        let way = "trace id 5d1b5f5c inet filter input ";
        let trace = |last: &str| {
            format!(
                "trace id 5d1b5f5c inet filter input packet: iif \"eth0\" ip protocol 112\n\
                 {way}rule meta nftrace set 1 (verdict continue)\n{way}{last}\n"
            )
        };
        assert_eq!(
            dropping(&trace("rule ip protocol 112 drop (verdict drop)")).as_deref(),
            Some("the rule \"ip protocol 112 drop\" of chain input of table inet filter")
        );
        assert_eq!(
            dropping(&trace("policy drop")).as_deref(),
            Some("the policy of chain input of table inet filter")
        );
        assert_eq!(dropping(&trace("policy accept")), None);
        assert_eq!(dropping("trace id 1\nnonsense\n"), None);
    }

    #[test]
    fn rules_that_look_at_the_device() {
        assert!(drops_shared("fib daddr . iif type != local drop"));
        assert!(drops_shared(
            "fib daddr . iif type != { local } counter packets 1 bytes 2 drop"
        ));
        assert!(!drops_shared("fib daddr type != local drop"));
        assert!(!drops_shared("fib daddr . iif type local accept"));
    }

    #[test]
    fn a_counter() {
        let text = "TcpExt: A IPReversePathFilter\nTcpExt: 1 7\nIpExt: B\nIpExt: 2\n";
        assert_eq!(counter(text, "TcpExt:", "IPReversePathFilter"), Some(7));
        assert_eq!(counter(text, "TcpExt:", "C"), None);
        assert_eq!(counter("", "TcpExt:", "A"), None);
    }
}
