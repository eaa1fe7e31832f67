// SPDX-License-Identifier: GPL-2.0

//! Sends what is in the outbox, and logs changes of state.

use super::{
    announce::announce,
    counters::Counter,
    demote,
    device::Carp,
    election,
    netns::Namespace,
    outbox::{Outbox, StateChange},
    parent::Parent,
    work,
};
use crate::{
    linux::{
        compat::ENOBUFS, log, log::print_at, netdevice_ops::OwnDevice, skbuff::ETH_P_IP, timer,
    },
    proto::auth::receiver::Notice,
    proto::carp::{
        balancing::HOSTS_MAX,
        election::{Families, State},
        log::{CLOCK, SEND_ERROR},
        time::Instant,
    },
};
use core::{fmt, net::IpAddr};
use kernel::{prelude::*, sync::rcu};

/// Sends what is in the outbox. No lock is held.
pub(super) fn deliver(carp: &Carp, outbox: &mut Outbox) {
    let (mut sent, mut failed): (usize, usize) = (0, 0);
    let mut dropped = Families::default();
    let mut record = |counter, result: Result| match result {
        Ok(()) => {
            carp.counters.count(counter);
            sent = sent.saturating_add(1);
        }
        Err(error) => {
            carp.counters.count(Counter::SendError);
            // A full queue does not mean that the parent cannot send.
            if error != ENOBUFS {
                failed = failed.saturating_add(1);
            } else if matches!(counter, Counter::SentIpv4) {
                dropped.ipv4 = true;
            } else {
                dropped.ipv6 = true;
            }
            if let Some(own) = &outbox.own {
                log_send_error(own, error);
            }
        }
    };
    while let Some(frame) = outbox.frames.pop() {
        let counter = match frame.protocol() {
            ETH_P_IP => Counter::SentIpv4,
            _ => Counter::SentIpv6,
        };
        record(counter, frame.transmit_first());
    }
    if let Some(carpdev) = outbox.carpdev.take() {
        for packet in &outbox.packets {
            let (counter, result) = packet.send(&carpdev);
            // An error means that this host has no route or neighbour entry for the peer.
            // A peer that is down causes no error here.
            record(counter, result);
        }
    }
    while let Some(probe) = outbox.probes.pop() {
        // Errors are ignored: another probe follows with the next advertisement.
        let _ = probe.transmit();
    }
    let Some(own) = &outbox.own else {
        return;
    };
    announce(carp, own, &outbox.addresses);
    let mut changes = outbox.transitions.iter().flatten().peekable();
    if changes.peek().is_some() {
        own.schedule_work(work::STATE);
    }
    for change in changes {
        log_transition(own, change);
    }
    if let Some((sender, notice)) = outbox.notice {
        log_clock(own, sender, notice);
    }
    if !dropped.is_empty() {
        send_again(carp, &outbox.advertising, dropped);
    }
    if failed != 0 || sent != 0 && outbox.counts_successes {
        demote::record_sent(carp, sent, failed);
    }
}

/// Tells the elections that the queue dropped their advertisements of these families, so
/// that they send them again.
fn send_again(carp: &Carp, advertising: &[bool; HOSTS_MAX], families: Families) {
    let sharing = {
        let rcu = rcu::read_lock();
        Parent::lower_of(carp, &rcu).map_or(1, Parent::vhids)
    };
    let mut host = carp.host.lock();
    let now = Instant(timer::now());
    for (node, advertises) in host.nodes.iter_mut().zip(advertising) {
        if *advertises {
            node.election.dropped(now, sharing, families);
        }
    }
    election::arm(carp, &host);
}

/// Logs one line for each change of state.
fn log_transition(own: &OwnDevice, change: &StateChange) {
    let transition = &change.transition;
    let level = transition.level();
    if let Some(level) = Namespace::prints(own.net(), level, false) {
        print_at!(
            level,
            "{} vhid {}: state transition: {} -> {} ({}{})\n",
            own.name(),
            change.vhid,
            name(transition.from),
            name(transition.to),
            transition.reason.as_str(),
            log::KernelDisplay(Peer(change.peer))
        );
    }
}

/// Prints the peer that caused a change of state; prints nothing without one.
struct Peer(Option<IpAddr>);

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => write!(f, ", peer {address}"),
            None => Ok(()),
        }
    }
}

/// The state's name in messages.
fn name(state: State) -> &'static str {
    match state {
        State::Init => "INIT",
        State::Backup => "BACKUP",
        State::Master => "MASTER",
    }
}

fn log_send_error(own: &OwnDevice, error: kernel::error::Error) {
    if let Some(level) = Namespace::prints(own.net(), SEND_ERROR, true) {
        print_at!(
            level,
            "{}: an advertisement could not be sent (error {})\n",
            own.name(),
            error.to_errno()
        );
    }
}

/// Logs that another host's clock is far from ours, or close again.
fn log_clock(own: &OwnDevice, sender: IpAddr, notice: Notice) {
    if let Some(level) = Namespace::prints(own.net(), CLOCK, true) {
        print_at!(
            level,
            "{}: the clock of {} is {}\n",
            own.name(),
            log::KernelDisplay(sender),
            log::KernelDisplay(notice)
        );
    }
}
