// SPDX-License-Identifier: GPL-2.0

//! What is asked about groups over generic netlink, and `carpdemote`.

use super::{demote::carpdemote, device::Carp, groups::Group, netns::Namespace, requested};
use crate::{
    linux::{
        bindings,
        genetlink::{Do, Dump, Entries, Permission, Position, Request, Table},
        namespace::Net,
        netlink::{attribute_size, Message, Policies, Policy},
    },
    proto::carp::{
        causes::{Cause, CAUSES_MAX, MANUAL},
        demotion::{Refusal, GROUP_NAME_MAX},
    },
};
use kernel::{
    prelude::*,
    sync::{rcu, Arc},
};

/// CARP_CMD_GROUP_GET: a group, or all.
pub(super) struct GroupGet;

static GROUP_GET: Policies<{ bindings::CARP_A_GROUP as usize + 1 }> =
    Policies::new(&[requested::GROUP]);

impl Do for GroupGet {
    const COMMAND: u32 = bindings::CARP_CMD_GROUP_GET;
    const PERMISSION: Permission = Permission::Anyone;
    const ATTRIBUTES: Table = Table::new(&GROUP_GET);

    fn call(request: &Request<'_>) -> Result {
        let group = requested::group(request)?;
        let mut members: usize = 0;
        each_member(request.net, &group, 0, |_| {
            members = members.saturating_add(1);
            Ok(())
        })?;
        let size = attribute_size(GROUP_NAME_MAX.saturating_add(1))
            .saturating_add(attribute_size(4).saturating_mul(members.saturating_add(1)));
        request.reply(size, |message| {
            fill(message, &group)?;
            each_member(request.net, &group, 0, |ifindex| {
                // Who joined since they were counted is left out.
                let left = members.checked_sub(1);
                members = left.unwrap_or(0);
                left.map_or(Ok(()), |_| message.u32(bindings::CARP_A_MEMBER, ifindex))
            })
        })
    }
}

impl Dump for GroupGet {
    const COMMAND: u32 = bindings::CARP_CMD_GROUP_GET;
    const PERMISSION: Permission = Permission::Anyone;
    const ATTRIBUTES: Table = Table::NONE;

    fn generation(net: &Net) -> u32 {
        let rcu = rcu::read_lock();
        Namespace::of(net, &rcu).map_or(0, |namespace| namespace.groups().generation())
    }

    fn call(request: &Request<'_>, entries: &mut Entries<'_>, position: &mut Position) -> Result {
        while let Some(group) = requested::nth_group(request.net, position.outer as usize) {
            // A group that is too large for any buffer is divided, others are not.
            let divide = entries.is_empty();
            let mut next = position.inner;
            let mut all = Ok(());
            entries.add(|message| {
                fill(message, &group)?;
                all = each_member(request.net, &group, position.inner, |ifindex| {
                    message.u32(bindings::CARP_A_MEMBER, ifindex)?;
                    next = ifindex.saturating_add(1);
                    Ok(())
                });
                if divide && next != position.inner {
                    return Ok(());
                }
                all
            })?;
            position.inner = next;
            all?;
            *position = Position::new(position.outer.saturating_add(1));
        }
        Ok(())
    }
}

/// CARP_CMD_GROUP_DEMOTE: the administrator's `carpdemote`.
pub(super) struct GroupDemote;

static GROUP_DEMOTE: Policies<{ bindings::CARP_A_STEP as usize + 1 }> =
    Policies::new(&[requested::GROUP, (bindings::CARP_A_STEP, Policy::S32)]);

impl Do for GroupDemote {
    const COMMAND: u32 = bindings::CARP_CMD_GROUP_DEMOTE;
    const PERMISSION: Permission = Permission::Administrator;
    const ATTRIBUTES: Table = Table::new(&GROUP_DEMOTE);

    fn call(request: &Request<'_>) -> Result {
        let extack = &request.extack;
        let group = requested::group(request)?;
        let step = request
            .attributes
            .s32(bindings::CARP_A_STEP)
            .ok_or_else(|| extack.error(EINVAL, format_args!("by how much is not said")))?;
        carpdemote(request.net, &group, step)?.map_err(|refusal| {
            // Whose it is, of whom more would be taken.
            match other_cause(&group) {
                Some(cause) if refusal == Refusal::NotManual => extack.error(
                    ERANGE,
                    format_args!(
                        "carpdemote has added less than that to {}, which {} demotes too",
                        group.name.as_str(),
                        cause.name.as_str()
                    ),
                ),
                _ => requested::refuse(request, refusal),
            }
        })
    }
}

/// The first cause that was set by another name.
fn other_cause(group: &Group) -> Option<Cause> {
    let mut causes = (0..CAUSES_MAX).map_while(|index| group.cause(index));
    causes.find(|cause| cause.name.as_str() != MANUAL)
}

fn fill(message: &mut Message<'_>, group: &Group) -> Result {
    message.string(bindings::CARP_A_GROUP, group.name.as_bytes())?;
    message.u32(bindings::CARP_A_DEMOTE, group.counter().get())
}

/// Calls `each` with the index of every interface in the group, from `from` on in
/// ascending order.
fn each_member(
    net: &Net,
    group: &Arc<Group>,
    from: u32,
    mut each: impl FnMut(u32) -> Result,
) -> Result {
    let rcu = rcu::read_lock();
    for (own, carp) in Carp::walk(net, from, &rcu) {
        if carp.host.lock().demotion.is_in(group) {
            each(own.ifindex())?;
        }
    }
    Ok(())
}
