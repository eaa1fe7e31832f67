// SPDX-License-Identifier: GPL-2.0

//! What follows a change later, in process context under RTNL, because it may sleep.
//!
//! Linkwatch usually updates operstate and sends RTM_NEWLINK. Uevents for udev are sent
//! from here. So is RTM_NEWLINK where one of several virtual hosts has changed its state
//! but the interface as a whole has not, because linkwatch does not see that.
//!
//! A uevent has the state at the time when it is sent: a virtual host that has changed
//! twice in between gets one uevent.

use super::{
    carpdev, device::Carp, hooks, netns::report, status::Status,
    wait_for_parent::take_parent_again, work,
};
use crate::{
    linux::{netdevice_ops::OwnDevice, rtnl::Rtnl},
    proto::carp::{election::State, log::NO_MEMORY},
};
use kernel::{prelude::*, str::CString};

/// Does the work that [`OwnDevice::schedule_work`] asked for with these bits.
pub(super) fn follow_up(carp: &Carp, own: &OwnDevice, bits: u32, rtnl: &Rtnl) {
    if bits & work::GROUPS != 0 {
        carpdev::join_groups(carp, own, rtnl);
    }
    if bits & work::WAYS_BACK != 0 {
        carp.published.find_ways_back(own);
    }
    if bits & work::LOST_PARENT != 0 {
        take_parent_again(carp, own, rtnl);
    }
    if bits & (work::STATE | work::INGRESS) != 0 {
        carpdev::follow_ingress(carp, own, rtnl);
    }
    if bits & work::STATE != 0 {
        follow_state(carp, own, rtnl);
    }
}

fn follow_state(carp: &Carp, own: &OwnDevice, rtnl: &Rtnl) {
    carpdev::follow_state(carp, own, rtnl);
    if hooks::follow_standby(own.net(), rtnl).is_err() {
        report!(
            own,
            NO_MEMORY,
            "{}: no memory to watch what programs send while it is not master\n",
            own.name()
        );
    }
    let state = carp.published.state();
    if carp.configured.notified.replace(state, rtnl) == state {
        own.notify_state_change(rtnl);
    }
    carp.changes.take(|vhid| {
        // A virtual host that was removed is reported as INIT.
        let state = Status::of(carp, own)
            .nodes()
            .find(|node| node.vhid == vhid)
            .map_or(State::Init, |node| node.state);
        if send_uevent(own, vhid, state, rtnl).is_err() {
            // udev misses this uevent. Who must not miss a change listens to generic
            // netlink, which reports lost events (ENOBUFS).
            pr_debug!("{}: no memory to tell udev\n", own.name());
        }
    });
}

fn send_uevent(own: &OwnDevice, vhid: u8, state: State, rtnl: &Rtnl) -> Result {
    let state = match state {
        State::Init => c"CARP_STATE=INIT",
        State::Backup => c"CARP_STATE=BACKUP",
        State::Master => c"CARP_STATE=MASTER",
    };
    let vhid = CString::try_from_fmt(fmt!("CARP_VHID={vhid}"))?;
    own.change_uevent(&[state, &vhid], rtnl)
}
