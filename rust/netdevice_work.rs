// SPDX-License-Identifier: GPL-2.0

//! Work that a driver defers to process context: any context may schedule it, and it runs
//! under RTNL (`ndo_work`). Also the notifications that are sent from there.
//!
//! A driver with its own work item would have to wait for it when its device is
//! unregistered. That happens under RTNL, which the work item takes as well, so it would
//! be a deadlock. If the item held a reference to the device's data instead, it could run
//! after the device was freed, and its last instructions after the module was unloaded.
//! The kernel solves this for all devices: one work item walks a list of devices under
//! RTNL, and unregistering a device removes it from the list. Hence
//!
//! - work is done on a registered device or not at all;
//! - when `rtnl_link_unregister` has returned, no work is running or will run;
//! - work that is scheduled several times before it runs is done once.
//!
//! Source: `net/core/netdev_work.c`.

use super::{bindings, netdevice_ops::OwnDevice, rtnl::Rtnl};
use core::ptr;
use kernel::{error::to_result, prelude::*};

/// The most variables of a uevent.
const VARIABLES: usize = 8;

impl OwnDevice {
    /// Schedules [`Driver::work`](super::netdevice_ops::Driver::work) with these bits
    /// (`netdev_work_sched`). Bits of several calls before it runs are combined. Any
    /// context except hardirq; a lock may be held. Does nothing for a device that is
    /// being unregistered.
    pub(crate) fn schedule_work(&self, bits: u32) {
        // SAFETY: `self` is a live device. The function checks under its own lock whether
        // the device is registered.
        unsafe { bindings::netdev_work_sched(self.as_ptr(), bits as c_ulong) }
    }

    /// Calls the NETDEV_CHANGE notifiers and sends RTM_NEWLINK, if the device is up
    /// (`netdev_state_change`).
    pub(crate) fn notify_state_change(&self, _rtnl: &Rtnl) {
        // SAFETY: `self` is a live device, RTNL is held. The device has no lock of its
        // own that the caller could hold.
        unsafe { bindings::netdev_state_change(self.as_ptr()) }
    }

    /// Sends a change uevent in the device's namespace. The variables have the form
    /// `NAME=value`; there are at most 7.
    ///
    /// # Errors
    ///
    /// Out of memory.
    pub(crate) fn change_uevent(&self, variables: &[&CStr], _rtnl: &Rtnl) -> Result {
        let mut list = [ptr::null_mut(); VARIABLES];
        // One place is left for the null pointer.
        let Some(places) = list.get_mut(..variables.len()) else {
            return Err(EINVAL);
        };
        if variables.len() >= VARIABLES {
            return Err(EINVAL);
        }
        for (place, variable) in places.iter_mut().zip(variables) {
            *place = variable.as_char_ptr().cast_mut();
        }
        // SAFETY: RTNL keeps the device registered, so its object is in sysfs. The list
        // ends with a null pointer; what it points to lives until the function returns,
        // which only reads it.
        to_result(unsafe {
            bindings::kobject_uevent_env(
                &raw mut (*self.as_ptr()).dev.kobj,
                bindings::kobject_action_KOBJ_CHANGE,
                list.as_mut_ptr(),
            )
        })
    }
}
