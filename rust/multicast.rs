// SPDX-License-Identifier: GPL-2.0

//! Multicast addresses of devices, and their synchronisation to a lower device.

use super::{
    bindings,
    netdevice::{Device, MacAddress},
    netdevice_ops::{AddressLock, OwnDevice},
    rtnl::Rtnl,
};
use core::mem::offset_of;

impl OwnDevice {
    /// Calls `each` with every multicast address that the device is to receive.
    pub(crate) fn for_each_multicast(
        &self,
        _addresses: &AddressLock<'_>,
        mut each: impl FnMut(MacAddress),
    ) {
        // SAFETY: `self` is live and its list locked. The list's head lies in the device,
        // its other elements in addresses, which are longer than Ethernet's.
        unsafe {
            let head = &raw const (*self.as_ptr()).mc.list;
            let mut element = (*head).next.cast_const();
            while !core::ptr::eq(element, head) {
                let address = element
                    .byte_sub(offset_of!(bindings::netdev_hw_addr, list))
                    .cast::<bindings::netdev_hw_addr>();
                if let Some(mac) = (*address).addr.first_chunk::<6>() {
                    each(*mac);
                }
                element = (*element).next;
            }
        }
    }

    /// Adds the multicast addresses of this device to `lower`, and removes those that
    /// this device does not have any more (`dev_mc_sync`). If there is no memory, some
    /// are missing until the next call.
    pub(crate) fn sync_multicast(&self, lower: &Device, _addresses: &AddressLock<'_>) {
        // SAFETY: Both are live Ethernet devices; the list of this one is locked, and
        // `lower` stands below it, so that the order of the locks is right.
        let _ = unsafe { bindings::dev_mc_sync(lower.as_ptr(), self.as_ptr()) };
    }

    /// The same; takes the lock of this device's list itself. Process context.
    pub(crate) fn lock_and_sync_multicast(&self, lower: &Device, _rtnl: &Rtnl) {
        // SAFETY: As above; the function takes the lock.
        unsafe { bindings::dev_mc_sync_locked(lower.as_ptr(), self.as_ptr()) };
    }

    /// Removes from `lower` the multicast addresses of this device (`dev_mc_unsync`).
    /// Process context.
    pub(crate) fn unsync_multicast(&self, lower: &Device, _rtnl: &Rtnl) {
        // SAFETY: Both are live Ethernet devices; the function takes their locks.
        unsafe { bindings::dev_mc_unsync(lower.as_ptr(), self.as_ptr()) };
    }

    /// Whether packet sockets are bound to this very device. Any context.
    pub(crate) fn has_packet_sockets(&self) -> bool {
        // SAFETY: `self` is live.
        unsafe { bindings::dev_has_packet_sockets(self.as_ptr()) }
    }
}
