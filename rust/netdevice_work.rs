// SPDX-License-Identifier: GPL-2.0

//! What a driver puts off to process context: work that any context may ask for and
//! that is done under RTNL (`ndo_work`), and what can be told from there.
//!
//! A work item of one's own would have to be waited for when its device leaves; but
//! that happens under RTNL, which the item wants to take, so the wait would never
//! end. An item that keeps its device's data alive instead may run after the device,
//! and the last line of it after the module. The kernel has
//! solved this once for all devices: one work item of its own walks a list of devices
//! under RTNL, and unregistering a device takes it off the list. Hence
//!
//! - work is done on a registered device or not at all;
//! - when `rtnl_link_unregister` has returned none is running and none will;
//! - what is asked for several times before it is done is done once.
//!
//! Source: `net/core/netdev_work.c`.

use super::{bindings, netdevice_ops::OwnDevice, rtnl::Rtnl};
use core::ptr;
use kernel::{error::to_result, prelude::*};

/// The most variables of a uevent.
const VARIABLES: usize = 8;

impl OwnDevice {
    /// Asks for [`Driver::work`](super::netdevice_ops::Driver::work) with these bits,
    /// and those of others who ask before it is done. Any context but hard interrupts;
    /// a lock may be held. Of a device that leaves nothing is done any more.
    pub(crate) fn schedule_work(&self, bits: u32) {
        // SAFETY: `self` is a live device. That it is registered, or not any more, the
        // function finds out under its own lock.
        unsafe { bindings::netdev_work_sched(self.as_ptr(), bits as c_ulong) }
    }

    /// Tells notifiers (NETDEV_CHANGE) and user space (RTM_NEWLINK) how the device is
    /// now, if it is up.
    pub(crate) fn notify_state_change(&self, _rtnl: &Rtnl) {
        // SAFETY: `self` is a live device, RTNL is held. The device has no lock of its
        // own that the caller could hold.
        unsafe { bindings::netdev_state_change(self.as_ptr()) }
    }

    /// Tells udev, in the device's namespace, that the device has changed; the
    /// variables are of the form `NAME=value` and at most 7.
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
