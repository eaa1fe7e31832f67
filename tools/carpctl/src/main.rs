// SPDX-License-Identifier: GPL-2.0

//! carpctl shows and configures carp and pfsync interfaces, and groups, in ifconfig(8)'s words.

#![forbid(unsafe_code)]

mod address;
mod address_words;
mod addresses;
mod apply;
mod attributes;
mod auth;
mod auth_words;
mod carp;
mod carp_peers;
mod carp_words;
mod causes;
mod change;
mod check;
mod check_file;
mod check_run;
mod checked;
mod complete;
mod contract;
mod controller;
mod counter_metrics;
mod counters;
mod cursor;
mod daemon;
mod difference;
mod doctor;
mod error;
mod family;
mod gateway;
mod history;
mod hook_runs;
mod hooks;
mod hostname_file;
mod http;
mod interface;
mod interface_file;
mod key_file;
mod kind;
mod last_line;
mod lock;
mod maintenance;
mod metrics;
mod netstart;
mod notify_socket;
mod order;
mod output;
mod peers;
mod pfsync;
mod pfsync_words;
mod phrase;
mod plan;
mod process_group;
mod prometheus;
mod react;
mod remembered;
mod required_unit;
mod run_folder;
mod secret_file;
mod sentences;
mod setting;
mod show;
mod socket;
mod states;
mod status;
mod suggest;
mod targets;
#[cfg(test)]
mod test_folder;
mod transition_counts;
mod transitions;
mod trusted_files;
mod value;
mod verdict;
mod virtual_device;
mod wanted;
mod words;

use clap::{CommandFactory, Parser, Subcommand};
use error::{ended, usage, Result};
use netstart::{netstart, Purpose};
use output::Output;
use states::{states, Filter};
use std::{path::PathBuf, process::ExitCode, time::Duration};

const WORDS: &str = "\
An interface and words, in any order; they are checked before anything is changed:
  create, destroy     make it, take it away; naming carpN or pfsyncN makes it, too
  up, down            an address brings it up
  mtu N, lladdr MAC   as of other interfaces; lladdr random
  description TEXT    a comment; -description: none

Of a carp interface:
  vhid N              the virtual host, 1-255
  carpnodes V:S[,...] several virtual hosts, each with its advskew
  carpdev IF          the parent; -carpdev: none
  advbase N           seconds between advertisements, 0-254
  advskew N           1/256 seconds added to that, 0-254
  pass PHRASE         up to 19 bytes, seen by every user in the list of
                      processes; -: from standard input
  passfile FILE       its first line is the passphrase
  balancing MODE      none, arp, ip, ip-stealth, ip-unicast
  carppeer A[,...]    advertise to these hosts; -carppeer: by multicast
  peer A, peer6 A     the same for one family and one host; mcast, mcast6
  minttl N            the least TTL of a peer's advertisement, 1-255
  announce N          announce all addresses again every N seconds; 0: do not
  group NAME          join a group; -group NAME: leave it
  [-]linklocal        advertise the digest over link-local addresses, too
  [-]demoteskew       while demoted advertise an advskew of at least 240
  state STATE         backup or master, once

Addresses, of a carp interface or one that is neither:
  [inet] A[/LEN]      also A MASK [BROADCAST|NONE], netmask MASK, broadcast B;
                      a carp address without a length has that of carpdev's
                      subnet, or is one host's
  inet6 A [LEN]       an IPv6 address
  alias, -alias       before or behind an address: a further one; away with it
  -inet, -inet6       all addresses of the family go

Of a VLAN, a bond or a bridge, which they make if it is not there:
  vnetid N parent IF  a VLAN
  trunkproto P        lacp, failover, loadbalance, roundrobin, broadcast: a bond
  trunkport IF        a port of a bond; -trunkport IF
  add IF, del IF      a port of a bridge

Of a pfsync interface:
  syncdev IF          where states are sent and received; -syncdev: nowhere
  syncpeer A          send them to this host; -syncpeer: to 224.0.0.240
  maxupd N            updates of a TCP state until they are sent, 1-255
  [-]defer            hold first packets until a peer has their state
  [-]local            tell also of this host's own connections
  [-]established      tell of TCP connections only when they are established
  bulkwait N          wait for a first peer, 0-255 seconds

Of a carp or a pfsync interface, to authenticate whole packets:
  auth MODE           off, receive, permissive, enforce
  authkey ID FILE     add a key of 32-64 bytes, ID 1-255; -authkey ID: remove it
  authactive ID       the key that signs; -authactive: none
  authwindow N        seconds by which clocks may differ, 1-300; 0: the default
  authtime            compare clocks; authmonotonic: do not

A group's demotion: -g NAME shows it and why, carpdemote [N] and -carpdemote [N] change it;
demote and undemote do that for others under a name of their own.
";

/// Shows and configures carp and pfsync interfaces, and groups, in ifconfig(8)'s words.
#[derive(Parser)]
#[command(
    version,
    after_help = WORDS,
    disable_help_subcommand = true,
    override_usage = "carpctl [-a | -A | carp | pfsync]\n       \
                      carpctl INTERFACE [WORD...]\n       \
                      carpctl -g GROUP [carpdemote [N] | -carpdemote [N]]\n       \
                      carpctl demote NAME [-g GROUP] [--by N] [--for SECONDS] [--reason TEXT]\n       \
                      carpctl undemote NAME [-g GROUP]\n       \
                      carpctl maintenance [on [--reason TEXT] [--wait SECONDS] [--force] | off]\n       \
                      carpctl netstart [--check | --boot] [--etc DIR] [INTERFACE...]\n       \
                      carpctl status [--json] [--watch]\n       \
                      carpctl monitor [--json]\n       \
                      carpctl history [--json] [INTERFACE]\n       \
                      carpctl stats [--json] [INTERFACE]\n       \
                      carpctl states [--json] [FILTER...]\n       \
                      carpctl peers [--json]\n       \
                      carpctl doctor [--json]\n       \
                      carpctl react [--hooks DIR] [--timeout SECONDS]\n       \
                      carpctl check [--checks DIR] [--once [NAME...]]\n       \
                      carpctl require UNIT [-g GROUP]... [--by N]\n       \
                      carpctl metrics [--http]"
)]
struct Arguments {
    /// Show all carp and pfsync interfaces, as without an argument
    #[arg(short, conflicts_with_all = ["aliases", "group"])]
    all: bool,
    /// The same with their aliases, which are always shown
    #[arg(short = 'A', conflicts_with = "group")]
    aliases: bool,
    /// A group, and perhaps carpdemote [N] or -carpdemote [N]
    #[arg(short, num_args = 1.., allow_hyphen_values = true, value_name = "GROUP")]
    group: Option<Vec<String>>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Bring interfaces into the state of their /etc/hostname.IF files
    Netstart {
        /// Tell what would be done, and do nothing
        #[arg(long)]
        check: bool,
        /// A mistake in a file keeps only carp and pfsync interfaces down
        #[arg(long, conflicts_with = "check")]
        boot: bool,
        /// The folder of the files
        #[arg(long, value_name = "DIR", default_value = "/etc")]
        etc: PathBuf,
        interfaces: Vec<String>,
    },
    /// Demote a group under a name
    Demote(causes::Demote),
    /// Take back what was demoted under a name
    Undemote(causes::Undemote),
    /// Hand over and stay behind other hosts, also after a reboot
    Maintenance(maintenance::Words),
    /// Show all virtual hosts and groups
    Status {
        /// One line of JSON
        #[arg(long)]
        json: bool,
        /// Show it again after every change
        #[arg(long)]
        watch: bool,
    },
    /// Show what happens as it happens
    Monitor {
        /// A line of JSON for each event
        #[arg(long)]
        json: bool,
    },
    /// Show the last changes of state, of one interface or of all
    History {
        /// One line of JSON
        #[arg(long)]
        json: bool,
        interface: Option<String>,
    },
    /// Show the counters, of one interface or of all
    Stats {
        /// One line of JSON
        #[arg(long)]
        json: bool,
        interface: Option<String>,
    },
    /// Show the connections that pfsync knows of
    States {
        /// One line of JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        filter: Filter,
    },
    /// Show the hosts that carp and pfsync have heard
    Peers {
        /// One line of JSON
        #[arg(long)]
        json: bool,
    },
    /// Say what is wrong, and what to do about it
    Doctor {
        /// One line of JSON
        #[arg(long)]
        json: bool,
    },
    /// Have systemd's targets and hooks follow the state of carp interfaces, as a daemon
    React {
        /// The folder of the hooks
        #[arg(long, value_name = "DIR", default_value = "/etc/carp/hooks.d")]
        hooks: PathBuf,
        /// How long a hook may take
        #[arg(long, value_name = "SECONDS", default_value_t = 90,
              value_parser = clap::value_parser!(u32).range(1..))]
        timeout: u32,
    },
    /// Demote groups while a check fails, as a daemon
    Check {
        /// The folder of the checks
        #[arg(long, value_name = "DIR", default_value = check::FOLDER)]
        checks: PathBuf,
        /// Run them, or some of them, once, and show what they find
        #[arg(long)]
        once: bool,
        #[arg(requires = "once")]
        names: Vec<String>,
    },
    /// Demote groups while a unit of systemd is not active, as a daemon
    Require(required_unit::Words),
    /// Show what a monitor may want to keep, in Prometheus' text format
    Metrics {
        /// Answer the HTTP request on standard input, which is a connection
        #[arg(long)]
        http: bool,
    },
    /// Show what the last word of a command can become, for shells
    #[command(hide = true)]
    Complete {
        #[arg(required = true, allow_hyphen_values = true, trailing_var_arg = true)]
        words: Vec<String>,
    },
    #[command(external_subcommand)]
    Interface(Vec<String>),
}

fn run(arguments: &Arguments, output: &mut Output) -> Result<()> {
    if let Some(words) = &arguments.group {
        return status::group(output, words);
    }
    if (arguments.all || arguments.aliases) && arguments.command.is_some() {
        return usage("-a and -A stand alone");
    }
    match &arguments.command {
        None => output.text(&show::all()?),
        Some(Command::Netstart {
            check,
            boot,
            etc,
            interfaces,
        }) => {
            let purpose = match (check, boot) {
                (true, _) => Purpose::Check,
                (false, true) => Purpose::Boot,
                (false, false) => Purpose::Start,
            };
            netstart(output, purpose, etc, interfaces)
        }
        Some(Command::Demote(words)) => causes::demote(words),
        Some(Command::Undemote(words)) => causes::undemote(words),
        Some(Command::Maintenance(words)) => maintenance::maintenance(output, words),
        Some(Command::Status { json, watch }) => status::status(output, *json, *watch),
        Some(Command::Monitor { json }) => status::monitor(output, *json),
        Some(Command::History { json, interface }) => {
            history::history(output, *json, interface.as_deref())
        }
        Some(Command::Stats { json, interface }) => {
            status::stats(output, *json, interface.as_deref())
        }
        Some(Command::States { json, filter }) => states(output, *json, filter.clone()),
        Some(Command::Peers { json }) => peers::peers(output, *json),
        Some(Command::Doctor { json }) => doctor::doctor(output, *json),
        Some(Command::React { hooks, timeout }) => {
            react::react(hooks, Duration::from_secs((*timeout).into()))
        }
        Some(Command::Check {
            checks,
            once,
            names,
        }) => match once {
            true => check::check_once(output, checks, names),
            false => check::check(checks),
        },
        Some(Command::Require(words)) => check::require(words),
        Some(Command::Metrics { http }) => metrics::metrics(output, *http),
        Some(Command::Complete { words }) => {
            complete::complete(output, Arguments::command(), words)
        }
        Some(Command::Interface(words)) => match &words[..] {
            [] => Ok(()),
            [name] => output.text(&show::one(name)?),
            [name, words @ ..] => apply::apply(name, words),
        },
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut output = Output::new();
    match run(&arguments, &mut output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) if output.is_closed() => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("carpctl: {}", ended(&error.to_string()));
            ExitCode::from(error.exit_status())
        }
    }
}
