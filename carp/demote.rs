// SPDX-License-Identifier: GPL-2.0

//! Demotes the groups of an interface when its parent fails or when it cannot send, and
//! lets the host's masters advertise the new demotion at once.

use super::{
    demotion::{OwnCause, OwnCauseName},
    device::Carp,
    election,
    groups::{Group, PfsyncCause},
    host::Host,
    netns::Namespace,
    notify,
};
use crate::{
    linux::{log::print_at, namespace::Net, netdevice_ops::OwnDevice, rtnl::Rtnl, timer},
    proto::carp::{
        causes::{Reason, MANUAL},
        demotion::Refusal,
        log::DEMOTION,
        time::Instant,
    },
};
use kernel::{
    prelude::*,
    sync::{aref::ARef, rcu, Arc},
};

/// A change of demotion that an interface has applied to its groups; listeners and the
/// log are still to be notified.
struct Demoted {
    own: ARef<OwnDevice>,
    cause: OwnCauseName,
    by: i32,
    /// Whether masters should advertise at once.
    announce: bool,
}

/// Changes by how much the interface demotes its groups. Under the lock that also guards
/// the cause, so that two changes cannot be applied in the wrong order.
fn adjust(host: &mut Host, by: i32, cause: OwnCause) -> Option<Demoted> {
    let own = host.own.clone()?;
    // The cause keeps this name even if the parent is renamed while it demotes.
    if let (Some(carpdev), OwnCause::Link, 1..) = (&host.carpdev, cause, by) {
        host.demotion.carpdev = carpdev.name_now();
    }
    host.demotion.adjust(cause, by, Instant(timer::now()));
    let name = host.demotion.name_of(cause, own.name_now());
    let groups = host.demotion.groups.iter();
    let announce = groups.fold(false, |announce, group| group.adjust(by) | announce);
    Some(Demoted {
        own,
        cause: name,
        by,
        announce,
    })
}

/// Sends the generic netlink events. No lock of this module is held.
fn notify_listeners(carp: &Carp, demoted: &Demoted) {
    let net = demoted.own.net();
    let cause = demoted.cause.as_str();
    for_each_automatic_group(carp, |group| {
        notify::demoted(net, group, demoted.by, cause, &Reason::NONE);
    });
}

/// Notifies listeners, lets masters advertise, and logs the change. No lock of this
/// module is held.
fn notify_and_log(carp: &Carp, demoted: Option<Demoted>) {
    let Some(demoted) = demoted else {
        return;
    };
    notify_listeners(carp, &demoted);
    if demoted.announce {
        advertise_everywhere(demoted.own.net());
    }
    // Last, because a console may be slow.
    let cause = demoted.cause.as_str();
    for_each_automatic_group(carp, |group| {
        log_demotion(&demoted.own, group, demoted.by, cause)
    });
}

/// Calls `each` with the groups that automatic demotion touches.
fn for_each_automatic_group(carp: &Carp, each: impl Fn(&Group)) {
    for index in 0..usize::MAX {
        match carp.group(index) {
            None => break,
            Some(group) if group.is_automatic() => each(&group),
            Some(_) => {}
        }
    }
}

/// Accounts for advertisements: `sent` were transmitted, `failed` were not.
pub(super) fn record_sent(carp: &Carp, sent: usize, failed: usize) {
    let demoted = {
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
            // The deadline at which sending is tried again.
            election::arm(carp, &host);
        }
        match change {
            0 => None,
            by => adjust(&mut host, by, OwnCause::SendErrors),
        }
    };
    notify_and_log(carp, demoted);
}

/// Ends the demotions that are due, see [`super::demotion::Demotion::is_due`], and sets
/// the timer to the next deadline. Softirq context.
pub(super) fn expire_demotions(carp: &Carp) {
    expire_send_errors(carp);
    expire_causes(carp);
    election::arm(carp, &carp.host.lock());
}

/// Takes back the demotion for send errors if it is time to try whether sending works
/// again.
fn expire_send_errors(carp: &Carp) {
    let demoted = {
        let mut host = carp.host.lock();
        let by = host.demotion.send_errors.expired(Instant(timer::now()));
        by.and_then(|by| adjust(&mut host, by, OwnCause::SendErrors))
    };
    notify_and_log(carp, demoted);
}

/// Demotes if the parent does not work (`suppressed`), and takes that back if it does or
/// if there is no parent.
pub(super) fn suppress(carp: &Carp, suppressed: bool, _rtnl: &Rtnl) {
    let demoted = {
        let mut host = carp.host.lock();
        let was = core::mem::replace(&mut host.demotion.suppressed, suppressed);
        match (was, suppressed) {
            (false, true) => adjust(&mut host, 1, OwnCause::Link),
            (true, false) => adjust(&mut host, -1, OwnCause::Link),
            _ => None,
        }
    };
    notify_and_log(carp, demoted);
}

/// Demotes because the parent is about to fail. The caller calls
/// [`advertise_parent_failure`] once it has done so for all interfaces on the parent:
/// their masters are to send a farewell, not an advertisement with the new demotion.
pub(super) fn parent_fails(carp: &Carp, rtnl: &Rtnl) {
    let demoted = {
        let mut host = carp.host.lock();
        if core::mem::replace(&mut host.demotion.suppressed, true) {
            return;
        }
        host.demotion.is_unlogged = true;
        adjust(&mut host, 1, OwnCause::Link)
    };
    if let Some(demoted) = demoted {
        notify_listeners(carp, &demoted);
        let namespace = Namespace::of(demoted.own.net(), rtnl);
        if let (Some(namespace), true) = (namespace, demoted.announce) {
            namespace.rounds().want();
        }
    }
}

/// Lets the namespace's other masters advertise, once for all interfaces on the parent.
pub(super) fn advertise_parent_failure(carp: &Carp, _rtnl: &Rtnl) {
    let own = carp.host.lock().own.clone();
    if let Some(own) = own {
        if let Some(namespace) = Namespace::of(own.net(), &rcu::read_lock()) {
            namespace
                .rounds()
                .run_wanted(|| advertise_where_parent_works(own.net()));
        }
    }
}

/// Logs that the parent fails. Called last, because a console may be slow.
pub(super) fn log_parent_failure(carp: &Carp, _rtnl: &Rtnl) {
    let (own, name) = {
        let mut host = carp.host.lock();
        let is_unlogged = core::mem::take(&mut host.demotion.is_unlogged);
        let Some(own) = host.own.clone().filter(|_| is_unlogged) else {
            return;
        };
        let name = host.demotion.name_of(OwnCause::Link, own.name_now());
        (own, name)
    };
    for_each_automatic_group(carp, |group| log_demotion(&own, group, 1, name.as_str()));
}

/// Forgets send errors and takes back the demotion for them. Called when the interface
/// has stopped or its parent has changed.
pub(super) fn reset_send_errors(carp: &Carp) {
    let demoted = {
        let mut host = carp.host.lock();
        let by = host.demotion.send_errors.reset();
        by.and_then(|by| adjust(&mut host, by, OwnCause::SendErrors))
    };
    notify_and_log(carp, demoted);
}

/// Lets every master of the namespace advertise at once, because the host became demoted.
/// Masters whose parent is known to fail are left out: if they can still send, they are
/// about to send a farewell.
///
/// A master that fails to send may be demoted for that and ask for another round. That
/// round runs after this one and never inside it: there may be many such masters, and the
/// kernel's stack is small.
pub(super) fn advertise_everywhere(net: &Net) {
    if let Some(namespace) = Namespace::of(net, &rcu::read_lock()) {
        namespace.rounds().run(|| advertise_where_parent_works(net));
    }
}

/// Lets every master whose parent works advertise.
fn advertise_where_parent_works(net: &Net) {
    advertise_all(net, |carp| !carp.host.lock().demotion.suppressed);
}

/// Notifies listeners, and logs, that a pfsync interface has changed a group's demotion;
/// `announce` is what [`Group::adjust_for`] returned. Any context; no lock that [`Carp`]
/// takes is held.
pub(crate) fn group_demoted(
    own: &OwnDevice,
    group: &Group,
    by: i32,
    cause: PfsyncCause,
    announce: bool,
) {
    notify::demoted(own.net(), group, by, cause.as_str(), &Reason::NONE);
    if announce {
        advertise_everywhere(own.net());
    }
    log_demotion(own, group, by, cause.as_str());
}

/// Carries out `carpdemote`: adds `step` to what `carpdemote` has added before, and lets
/// the group's masters advertise at once if the demotion grew. Process context, may
/// sleep.
///
/// # Errors
///
/// As [`crate::proto::carp::causes::step`], or there is no memory. Nothing changed.
pub(super) fn carpdemote(net: &Net, group: &Arc<Group>, step: i32) -> Result<Result<(), Refusal>> {
    let more = match group.step(step, Instant(timer::now()))? {
        Ok(more) => more,
        Err(refusal) => return Ok(Err(refusal)),
    };
    notify::demoted(net, group, step, MANUAL, &Reason::NONE);
    if more {
        advertise_group(net, group);
    }
    Ok(Ok(()))
}

/// Takes back the causes set by name whose time is over.
fn expire_causes(carp: &Carp) {
    let now = Instant(timer::now());
    let own = {
        let host = carp.host.lock();
        if host.demotion.next_expiry().is_none_or(|at| at > now) {
            return;
        }
        host.own.clone()
    };
    for index in 0..usize::MAX {
        let Some(group) = carp.group(index) else {
            break;
        };
        while let Some((cause, by)) = group.take_expired(now) {
            // An interface that is being unregistered notifies nobody, but the cause must
            // be taken back, or its timer would expire for it again at once.
            if let Some(own) = &own {
                let name = cause.name.as_str();
                notify::demoted(own.net(), &group, by, name, &cause.reason);
                log_demotion(own, &group, by, name);
            }
        }
    }
}

/// Sets the timers of the group's carp interfaces after a cause was set by name, so that
/// they take it back when it ends. Process context.
pub(super) fn watch_causes(net: &Net, group: &Arc<Group>) {
    for_each_member(net, group, |carp| election::arm(carp, &carp.host.lock()));
}

/// Lets those masters of the namespace advertise at once for which `wanted` returns true.
fn advertise_all(net: &Net, wanted: impl Fn(&Carp) -> bool) {
    for_each_interface(net, |carp| {
        if wanted(carp) {
            election::advertise_now(carp);
        }
    });
}

/// Lets every master in the group advertise at once.
pub(super) fn advertise_group(net: &Net, group: &Arc<Group>) {
    for_each_member(net, group, election::advertise_now);
}

/// Calls `each` with the carp interfaces in the group.
fn for_each_member(net: &Net, group: &Arc<Group>, each: impl Fn(&Carp)) {
    for_each_interface(net, |carp| {
        let is_in = carp.host.lock().demotion.is_in(group);
        if is_in {
            each(carp);
        }
    });
}

/// Calls `each` with the carp interfaces of the namespace.
fn for_each_interface(net: &Net, each: impl Fn(&Carp)) {
    let rcu = rcu::read_lock();
    for (_, carp) in Carp::walk(net, 0, &rcu) {
        each(carp);
    }
}

/// Logs a change of a group's counter.
fn log_demotion(own: &OwnDevice, group: &Group, by: i32, cause: &str) {
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
