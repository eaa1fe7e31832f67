// SPDX-License-Identifier: GPL-2.0

//! Which way packets take: not through an interface that is not master of anything,
//! which would carry them nowhere. If there is another route they take that, and if
//! there is none the sender is told at once.

use super::device::Carp;
use crate::linux::{fib::Routed, netdevice_ops::OwnDevice, rtnl::Rtnl};
use kernel::sync::rcu;

/// Says which interfaces are passed over.
pub(crate) struct Routes;

impl Routed for Routes {
    type Driver = Carp;

    fn passes_over(carp: &Carp) -> bool {
        !carp.published.masters().is_any()
    }
}

/// Has the routes follow the state, after NETDEV_UP or NETDEV_CHANGE of the
/// interface. By now the kernel has marked those of one without link, and unmarked
/// those of one that is operational.
pub(super) fn follow(carp: &Carp, own: &OwnDevice, rtnl: &Rtnl) {
    let master = {
        let mut host = carp.host.lock();
        let master = carp.published.masters().is_any();
        // A master needs the exception of `publish` until no route is marked.
        if !master || own.is_operational() {
            let passed_over = core::mem::take(&mut host.passed_over);
            own.restore_marked_routes(passed_over, &rcu::read_lock());
        }
        master
    };
    if !master {
        own.mark_routes(rtnl);
    }
}
