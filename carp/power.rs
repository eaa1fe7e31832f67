// SPDX-License-Identifier: GPL-2.0

//! The machine stops, or goes on: reboot(2) sets no interface down, and a master that
//! stops without a farewell is missed for as long as its peers wait for it.

use super::{device::Carp, election, stopping};
use crate::linux::{
    namespace::Net,
    power::{PowerListener, PowerNotifiers},
};
use kernel::sync::rcu;

/// The receiver of events.
pub(crate) struct Power;

/// Its registration.
pub(crate) static POWER: PowerNotifiers<Power> = PowerNotifiers::new();

impl PowerListener for Power {
    /// All virtual hosts of the machine bow out and become INIT. RTNL is not taken: who
    /// holds it might never give it back, and a reboot must not wait for that.
    fn stopping() {
        stopping::set(true);
        for_each(|carp| election::halt(carp, true));
    }

    /// They start again as backups, whatever they were: much may have happened
    /// meanwhile.
    fn resumed() {
        stopping::set(false);
        for_each(election::start_or_stop);
    }
}

/// Calls `each` with every interface of the machine.
fn for_each(each: impl Fn(&Carp)) {
    let rcu = rcu::read_lock();
    for net in Net::walk(&rcu) {
        for (_, carp) in Carp::walk(net, 0, &rcu) {
            each(carp);
        }
    }
}
