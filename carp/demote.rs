// SPDX-License-Identifier: GPL-2.0

//! Demotes the groups of an interface when its parent fails or it cannot send, and has
//! the host's masters say so at once.

use super::{device::Carp, election, groups::Group, netns::Namespace, notify};
use crate::{
    linux::{
        log::print_at, namespace::Net, netdevice::Device, netdevice_ops::OwnDevice, rtnl::Rtnl,
        timer,
    },
    proto::carp::{demotion, log::DEMOTION, time::Instant},
};
use kernel::sync::{aref::ARef, rcu};

/// Why demotion changes by itself, in OpenBSD's words.
const CARPDEV: &str = "carpdev";
const SEND_ERRORS: &str = "> snderrors";
const SEND_ERRORS_OVER: &str = "< snderrors";
/// Long enough after the last error: to see whether sending works again.
const SEND_ERRORS_TRIAL: &str = "snderrors, trial";

/// Demotes, or takes it back. No lock of ours is held.
fn demote(carp: &Carp, by: i32, cause: &str) {
    let Some((own, announce)) = adjust(carp, by, cause) else {
        return;
    };
    if announce {
        advertise_everywhere(own.net());
    }
    // Last, for a console may be slow.
    each_automatic(carp, |group| tell(&own, group, by, cause));
}

/// Changes what it has brought upon its groups. The interface's device, and whether
/// masters are to say so at once. No lock of ours is held.
fn adjust(carp: &Carp, by: i32, cause: &str) -> Option<(ARef<OwnDevice>, bool)> {
    let (own, announce) = {
        let mut host = carp.host.lock();
        host.demotion.own.adjust(by);
        let groups = &host.demotion.groups;
        let announce = groups
            .iter()
            .fold(false, |announce, group| group.adjust(by) | announce);
        (host.own.clone(), announce)
    };
    let own = own?;
    each_automatic(carp, |group| notify::demoted(own.net(), group, by, cause));
    Some((own, announce))
}

/// Calls `each` with the groups that automatic demotion touches.
fn each_automatic(carp: &Carp, each: impl Fn(&Group)) {
    for index in 0..usize::MAX {
        match carp.group(index) {
            None => break,
            Some(group) if demotion::is_automatic(group.name.as_bytes()) => each(&group),
            Some(_) => {}
        }
    }
}

/// What came of sending; `failed` and `sent` count advertisements.
pub(super) fn sent(carp: &Carp, sent: usize, failed: usize) {
    let change = {
        let mut host = carp.host.lock();
        let now = Instant(timer::now());
        let hosts = u32::try_from(host.nodes.len()).unwrap_or(u32::MAX);
        let mut change = 0_i32;
        for (success, times) in [(false, failed), (true, sent)] {
            for _ in 0..times {
                let by = host.demotion.send_errors.record(now, success, hosts);
                change = change.saturating_add(by.unwrap_or(0));
            }
        }
        if failed != 0 {
            // Of the trial.
            election::arm(carp, &host);
        }
        change
    };
    match change {
        0 => {}
        1.. => demote(carp, change, SEND_ERRORS),
        _ => demote(carp, change, SEND_ERRORS_OVER),
    }
}

/// The time may have come to try whether sending works again. Softirq context.
pub(super) fn try_sending(carp: &Carp) {
    let now = Instant(timer::now());
    let by = carp.host.lock().demotion.send_errors.expired(now);
    if let Some(by) = by {
        demote(carp, by, SEND_ERRORS_TRIAL);
    }
}

/// The parent works, or does not; without parent there is nothing to suffer.
pub(super) fn suppress(carp: &Carp, suppressed: bool, _rtnl: &Rtnl) {
    let was = core::mem::replace(&mut carp.host.lock().demotion.suppressed, suppressed);
    match (was, suppressed) {
        (false, true) => demote(carp, 1, CARPDEV),
        (true, false) => demote(carp, -1, CARPDEV),
        _ => {}
    }
}

/// The parent is about to fail: demotes. [`say_parent_fails`] comes when all
/// interfaces on the parent know, for they say farewell, not that they are demoted.
pub(super) fn parent_fails(carp: &Carp, _rtnl: &Rtnl) {
    if core::mem::replace(&mut carp.host.lock().demotion.suppressed, true) {
        return;
    }
    if let Some((own, announce)) = adjust(carp, 1, CARPDEV) {
        carp.host.lock().demotion.is_unlogged = true;
        if let (Some(namespace), true) = (Namespace::of(own.net()), announce) {
            namespace.rounds().want();
        }
    }
}

/// Lets the namespace's other masters advertise, once for all interfaces on the parent.
pub(super) fn say_parent_fails(carp: &Carp, _rtnl: &Rtnl) {
    let own = carp.host.lock().own.clone();
    if let Some(own) = own {
        if let Some(namespace) = Namespace::of(own.net()) {
            namespace.rounds().run_wanted(|| advertise_well(own.net()));
        }
    }
}

/// Logs that the parent fails, last, for a console may be slow.
pub(super) fn log_parent_fails(carp: &Carp, _rtnl: &Rtnl) {
    let (own, is_unlogged) = {
        let mut host = carp.host.lock();
        let is_unlogged = core::mem::take(&mut host.demotion.is_unlogged);
        (host.own.clone(), is_unlogged)
    };
    if let (Some(own), true) = (own, is_unlogged) {
        each_automatic(carp, |group| tell(&own, group, 1, CARPDEV));
    }
}

/// The interface stopped, or its parent is another one or none: errors of sending
/// are forgotten.
pub(super) fn forgive_send_errors(carp: &Carp) {
    let by = carp.host.lock().demotion.send_errors.reset();
    if let Some(by) = by {
        demote(carp, by, SEND_ERRORS_OVER);
    }
}

/// Lets every master of the namespace advertise at once: the host is not well any more. Not
/// those whose parent is known not to work: if they can still send, they are about to say
/// farewell.
///
/// One that cannot may be demoted for it, and so ask for this again: that is done after
/// it, never within it, for there may be many of them and the stack is small.
pub(super) fn advertise_everywhere(net: &Net) {
    if let Some(namespace) = Namespace::of(net) {
        namespace.rounds().run(|| advertise_well(net));
    }
}

/// Lets every master advertise whose parent works.
fn advertise_well(net: &Net) {
    advertise_all(net, |carp| !carp.host.lock().demotion.suppressed);
}

/// Tells of a group that was demoted, or relieved, on behalf of an interface that is none
/// of carp's; `announce` is what [`Group::adjust`] said then. Any context; no lock that
/// [`Carp`] takes is held.
pub(crate) fn group_demoted(own: &OwnDevice, group: &Group, by: i32, cause: &str, announce: bool) {
    notify::demoted(own.net(), group, by, cause);
    if announce {
        advertise_everywhere(own.net());
    }
    tell(own, group, by, cause);
}

/// Lets every master of the namespace that is `wanted` advertise at once.
pub(super) fn advertise_all(net: &Net, wanted: impl Fn(&Carp) -> bool) {
    let rcu = rcu::read_lock();
    for dev in Device::walk(net, 0, &rcu) {
        if let Some((_, carp)) = dev.of_driver::<Carp>(&rcu) {
            if wanted(carp) {
                election::advertise_now(carp);
            }
        }
    }
}

/// Logs a change of a group's counter.
fn tell(own: &OwnDevice, group: &Group, by: i32, cause: &str) {
    if let Some(level) = Namespace::prints(own.net(), DEMOTION, false) {
        print_at!(
            level,
            "{} demoted group {} by {} to {} ({})\n",
            own.name(),
            group.name.as_str(),
            by,
            group.counter().get(),
            cause
        );
    }
}
