// SPDX-License-Identifier: GPL-2.0

//! `net.inet.carp.demotion`, as FreeBSD has it: the counter of the group `carp`; what is
//! written is added to what `carpdemote` has added before.

use super::{demote::carpdemote, groups::Group, netns::Namespace};
use crate::{
    linux::{
        namespace::{Net, NetState, Registration},
        sysctl::{Computed, Entry, Handler, Sysctls, Value},
    },
    proto::carp::demotion::{GroupName, GROUP_CARP},
};
use kernel::{
    prelude::*,
    sync::{rcu, Arc},
};

/// The entry of a namespace.
pub(crate) struct DemotionSysctl {
    _sysctls: Sysctls<()>,
}

/// The registration.
pub(crate) static DEMOTION_SYSCTL: Registration<DemotionSysctl> = Registration::new();

impl NetState for DemotionSysctl {
    fn registration() -> &'static Registration<Self> {
        &DEMOTION_SYSCTL
    }

    fn new(net: &Net) -> Result<Pin<KBox<Self>>> {
        let sysctls = Sysctls::new(net, c"net/inet/carp", (), |()| {
            [Entry {
                name: c"demotion",
                value: Value::Computed(Handler::of::<Self>()),
            }]
        })?;
        KBox::pin_init(Self { _sysctls: sysctls }, GFP_KERNEL_ACCOUNT)
    }
}

impl Computed for DemotionSysctl {
    fn read(net: &Net) -> i32 {
        group(net).map_or(0, |group| {
            i32::try_from(group.counter().get()).unwrap_or(i32::MAX)
        })
    }

    /// ENOENT: no interface is in the group. ERANGE: `carpdemote` would refuse it.
    fn write(net: &Net, value: i32) -> Result {
        let group = group(net).ok_or(ENOENT)?;
        carpdemote(net, &group, value)?.map_err(|_| ERANGE)
    }
}

fn group(net: &Net) -> Option<Arc<Group>> {
    let name = GroupName::new(GROUP_CARP)?;
    Namespace::of(net, &rcu::read_lock())?.groups().find(&name)
}
