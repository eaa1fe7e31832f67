// SPDX-License-Identifier: GPL-2.0

//! What is asked over generic netlink about the causes of demotion.

use super::{
    demote::{advertise_group, watch_causes},
    device::Carp,
    groups::Group,
    netns::Namespace,
    notify, requested,
};
use crate::{
    linux::{
        bindings,
        genetlink::{Do, Dump, Entries, Permission, Position, Request, Table},
        namespace::Net,
        netlink::{Message, Policies, Policy},
        timer,
    },
    proto::carp::{
        causes::{seconds_since, Cause, CauseName, Reason, CAUSES_MAX, CAUSE_NAME_MAX, REASON_MAX},
        demotion::Refusal,
        time::Instant,
    },
};
use kernel::{
    prelude::*,
    sync::{rcu, Arc},
};

/// CARP_CMD_CAUSE_GET: those of all groups, or of one.
pub(super) struct CauseGet;

static CAUSE_GET: Policies<{ bindings::CARP_A_GROUP as usize + 1 }> =
    Policies::new(&[requested::GROUP]);

/// [`Position::inner`]: first the causes that were set by name, then those of pfsync
/// interfaces, then those of carp interfaces from the index in [`Position::key`] on.
const PFSYNC: usize = CAUSES_MAX;
const INTERFACES: usize = PFSYNC + 2;

impl Dump for CauseGet {
    const COMMAND: u32 = bindings::CARP_CMD_CAUSE_GET;
    const PERMISSION: Permission = Permission::Anyone;
    const ATTRIBUTES: Table = Table::new(&CAUSE_GET);

    fn generation(net: &Net) -> u32 {
        Namespace::of(net, &rcu::read_lock()).map_or(0, |namespace| namespace.groups().generation())
    }

    fn call(request: &Request<'_>, entries: &mut Entries<'_>, position: &mut Position) -> Result {
        let named = request.attributes.string(bindings::CARP_A_GROUP).is_some();
        let only = named.then(|| requested::group(request)).transpose()?;
        while let Some(group) = requested::nth_group(request.net, position.outer as usize) {
            if only.as_ref().is_none_or(|only| Arc::ptr_eq(only, &group)) {
                list(request.net, &group, entries, position)?;
            }
            *position = Position::new(position.outer.saturating_add(1));
        }
        Ok(())
    }
}

/// Adds the causes of a group from `position` on.
fn list(
    net: &Net,
    group: &Arc<Group>,
    entries: &mut Entries<'_>,
    position: &mut Position,
) -> Result {
    let now = Instant(timer::now());
    loop {
        let index = position.inner as usize;
        if index < PFSYNC {
            let Some(cause) = group.cause(index) else {
                position.inner = PFSYNC as u32;
                continue;
            };
            entries.add(|message| fill_named(message, group, &cause, now))?;
        } else if index < INTERFACES {
            let shares = group.pfsync_shares();
            if let Some((cause, share)) = shares.get(index.saturating_sub(PFSYNC)) {
                if share.amount != 0 {
                    let age = seconds_since(share.since, now);
                    let name = cause.as_str().as_bytes();
                    entries.add(|message| fill(message, group, name, share.amount, age))?;
                }
            }
        } else {
            return list_interfaces(net, group, entries, position, now);
        }
        position.inner = position.inner.saturating_add(1);
    }
}

/// Adds the causes of the group's carp interfaces, from the one in the key on.
fn list_interfaces(
    net: &Net,
    group: &Arc<Group>,
    entries: &mut Entries<'_>,
    position: &mut Position,
    now: Instant,
) -> Result {
    let rcu = rcu::read_lock();
    let [a, b, c, d, ..] = position.key;
    for (own, carp) in Carp::walk(net, u32::from_ne_bytes([a, b, c, d]), &rcu) {
        let causes = {
            let host = carp.host.lock();
            let demotion = &host.demotion;
            if !group.is_automatic() || !demotion.is_in(group) {
                continue;
            }
            demotion
                .shares()
                .map(|(cause, share)| (demotion.name_of(cause, own.name_now()), share))
        };
        let [a, b, c, d] = own.ifindex().to_ne_bytes();
        for (number, (name, share)) in (0_u8..).zip(&causes) {
            if share.amount == 0 || position.key == key([a, b, c, d], number.saturating_add(1)) {
                continue;
            }
            let age = seconds_since(share.since, now);
            entries.add(|message| {
                notify::interface(message, own)?;
                fill(message, group, name.as_str().as_bytes(), share.amount, age)
            })?;
            position.key = key([a, b, c, d], number.saturating_add(1));
        }
        position.key = key(own.ifindex().saturating_add(1).to_ne_bytes(), 0);
    }
    Ok(())
}

/// [`Position::key`]: an interface, and how many of its causes are told already.
fn key([a, b, c, d]: [u8; 4], told: u8) -> [u8; 16] {
    [a, b, c, d, told, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
}

fn fill(message: &mut Message<'_>, group: &Group, name: &[u8], amount: u32, age: u32) -> Result {
    message.string(bindings::CARP_A_GROUP, group.name.as_bytes())?;
    message.string(bindings::CARP_A_CAUSE, name)?;
    message.u32(bindings::CARP_A_AMOUNT, amount)?;
    message.u32(bindings::CARP_A_AGE, age)
}

fn fill_named(message: &mut Message<'_>, group: &Group, cause: &Cause, now: Instant) -> Result {
    let age = seconds_since(cause.since, now);
    fill(message, group, cause.name.as_bytes(), cause.amount, age)?;
    if let Some(left) = cause.seconds_left(now) {
        message.u32(bindings::CARP_A_FOR, left)?;
    }
    match cause.reason.as_bytes() {
        [] => Ok(()),
        reason => message.string(bindings::CARP_A_CAUSE_REASON, reason),
    }
}

/// The policy of a cause's name.
const CAUSE: (u32, Policy) = (
    bindings::CARP_A_CAUSE,
    Policy::String(CAUSE_NAME_MAX as u16),
);

/// CARP_CMD_CAUSE_SET: a cause is set by name.
pub(super) struct CauseSet;

static CAUSE_SET: Policies<{ bindings::CARP_A_CAUSE_REASON as usize + 1 }> = Policies::new(&[
    requested::GROUP,
    CAUSE,
    (bindings::CARP_A_AMOUNT, Policy::U32),
    (bindings::CARP_A_FOR, Policy::U32),
    (
        bindings::CARP_A_CAUSE_REASON,
        Policy::String(REASON_MAX as u16),
    ),
]);

impl Do for CauseSet {
    const COMMAND: u32 = bindings::CARP_CMD_CAUSE_SET;
    const PERMISSION: Permission = Permission::Administrator;
    const ATTRIBUTES: Table = Table::new(&CAUSE_SET);

    fn call(request: &Request<'_>) -> Result {
        let group = requested::group(request)?;
        let name = cause_name(request)?;
        let attributes = &request.attributes;
        let amount = attributes.u32(bindings::CARP_A_AMOUNT).ok_or_else(|| {
            let extack = &request.extack;
            extack.error(EINVAL, format_args!("by how much is not said"))
        })?;
        let reason = attributes.string(bindings::CARP_A_CAUSE_REASON);
        let seconds = attributes.u32(bindings::CARP_A_FOR);
        let now = Instant(timer::now());
        let cause = Reason::new(reason.unwrap_or_default())
            .and_then(|reason| Cause::new(name, amount, now, seconds, reason))
            .map_err(|refusal| requested::refuse(request, refusal))?;
        let by = group
            .set(cause)?
            .map_err(|refusal| requested::refuse(request, refusal))?;
        // Of one that is only renewed nobody is told, every few seconds.
        if let Some(by) = by {
            notify::demoted(request.net, &group, by, name.as_str(), &cause.reason);
            if by > 0 {
                advertise_group(request.net, &group);
            }
        }
        // After that: a change of the time alone is to be seen too.
        watch_causes(request.net, &group);
        Ok(())
    }
}

/// CARP_CMD_CAUSE_DEL: it is taken back.
pub(super) struct CauseDel;

static CAUSE_DEL: Policies<{ bindings::CARP_A_CAUSE as usize + 1 }> =
    Policies::new(&[requested::GROUP, CAUSE]);

impl Do for CauseDel {
    const COMMAND: u32 = bindings::CARP_CMD_CAUSE_DEL;
    const PERMISSION: Permission = Permission::Administrator;
    const ATTRIBUTES: Table = Table::new(&CAUSE_DEL);

    fn call(request: &Request<'_>) -> Result {
        let group = requested::group(request)?;
        let name = cause_name(request)?;
        let by = group.unset(&name).ok_or_else(|| {
            request.extack.error(
                ENOENT,
                format_args!(
                    "group {} has no cause {} that was set by name",
                    group.name.as_str(),
                    name.as_str()
                ),
            )
        })?;
        let reason = Reason::NONE;
        notify::demoted(request.net, &group, by, name.as_str(), &reason);
        Ok(())
    }
}

/// The name that a request has for a cause.
fn cause_name(request: &Request<'_>) -> Result<CauseName> {
    let name = request.attributes.string(bindings::CARP_A_CAUSE);
    let name = name.ok_or(Refusal::CauseName);
    name.and_then(CauseName::new)
        .map_err(|refusal| requested::refuse(request, refusal))
}
