// SPDX-License-Identifier: GPL-2.0

//! Frames that are to be transmitted.

use super::{
    bindings,
    netdevice::{Device, MacAddress},
    netdevice_ops::OwnDevice,
    skbuff::{xmit_result, Skb, State, ETH_HLEN},
};
use core::{mem::ManuallyDrop, ops::Deref, ptr, ptr::NonNull};
use kernel::{prelude::*, sync::aref::ARef};

/// A complete Ethernet frame for a device of which it has a count.
///
/// # Invariants
///
/// The data begin at the Ethernet header, behind which the network header is in place.
/// `skb->dev` is a device of which a count is ours.
pub(crate) struct TxFrame(ManuallyDrop<Skb>);

impl TxFrame {
    /// Makes a frame to be sent on `dev` from its bytes. Any context. Nothing, if there is
    /// no memory, or no header.
    pub(crate) fn new(dev: &Device, frame: &[u8], priority: u32) -> Option<Self> {
        let header = frame.first_chunk::<{ ETH_HLEN as usize }>()?;
        let protocol = u16::from_ne_bytes([header[12], header[13]]);
        let len = u32::try_from(frame.len()).ok()?;
        // SAFETY: `dev` is a live device.
        let (head, tail) = unsafe {
            (
                bindings::ll_reserved_space(dev.as_ptr()),
                u32::from((*dev.as_ptr()).needed_tailroom),
            )
        };
        let head = u32::try_from(head).ok()?;
        // SAFETY: The function has no preconditions.
        let skb = unsafe { bindings::alloc_skb(head + len + tail, kernel::bindings::GFP_ATOMIC) };
        if skb.is_null() {
            return None;
        }
        // SAFETY: The buffer is new, ours, and has room for `head` and `len`
        // bytes.
        let skb = unsafe {
            bindings::skb_reserve(skb, head as c_int);
            let data = bindings::skb_put(skb, len);
            ptr::copy_nonoverlapping(frame.as_ptr(), data.cast(), frame.len());
            bindings::skb_reset_mac_header(skb);
            bindings::skb_set_network_header(skb, ETH_HLEN as c_int);
            bindings::skb_prepare_xmit(skb, dev.as_ptr(), protocol, priority);
            Skb::from_raw(skb)
        };
        // INVARIANT: The headers are in place; the count goes to the frame.
        let _ = ARef::into_raw(dev.hold());
        Some(Self(ManuallyDrop::new(skb)))
    }

    /// The buffer alone, and the count of its device.
    fn into_parts(self) -> (Skb, ARef<Device>) {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: `this` is not used any more, and not dropped.
        let skb = unsafe { ManuallyDrop::take(&mut this.0) };
        // SAFETY: By the type invariant the count is ours, and given to the caller here.
        let dev = unsafe { ARef::from_raw(NonNull::new_unchecked(skb.device().cast())) };
        (skb, dev)
    }

    /// Sends the frame on its device. Softirqs may be on or off; no lock that a receiver takes
    /// may be held.
    ///
    /// # Errors
    ///
    /// ENOBUFS: a queue on the way was full, or a filter behind it took the packet, which
    /// looks the same. Any other: the device or its driver did not take it.
    pub(crate) fn transmit(self) -> Result {
        let (skb, _dev) = self.into_parts();
        // `dev_queue_xmit` without a call more.
        // SAFETY: The buffer is ours and given away; the device that it names is counted.
        xmit_result(unsafe { bindings::__dev_queue_xmit(skb.into_raw(), ptr::null_mut()) })
    }

    /// The same before all that waits in the device's queue, if nobody filters what leaves
    /// there: for a packet that must not wait for those of users.
    ///
    /// # Errors
    ///
    /// As [`Self::transmit`].
    pub(crate) fn transmit_first(self) -> Result {
        let (skb, _dev) = self.into_parts();
        // SAFETY: As above.
        xmit_result(unsafe { bindings::dev_xmit_first(skb.into_raw()) })
    }

    /// Shows an IP packet, without the Ethernet header, to the taps of a device that has no
    /// link layer. Any context but hard interrupts.
    pub(crate) fn show_ip_to_taps(&mut self, dev: &OwnDevice) {
        // SAFETY: By the type invariant the network header is in place.
        unsafe { self.0.show_ip_to_taps(dev) }
    }
}

impl Deref for TxFrame {
    type Target = Skb;

    fn deref(&self) -> &Skb {
        &self.0
    }
}

impl Drop for TxFrame {
    fn drop(&mut self) {
        let dev = self.device();
        // SAFETY: It is not used any more. By the type invariant the count is ours.
        unsafe {
            ManuallyDrop::drop(&mut self.0);
            bindings::dev_put(dev);
        }
    }
}

// SAFETY: The count goes along with the buffer's field.
unsafe impl State for TxFrame {
    fn into_raw(self) -> *mut bindings::sk_buff {
        ManuallyDrop::new(self).0.as_ptr()
    }

    unsafe fn from_raw(ptr: *mut bindings::sk_buff) -> Self {
        // SAFETY: The caller has the buffer from `into_raw`.
        // INVARIANT: So its count is ours.
        Self(ManuallyDrop::new(unsafe { Skb::from_raw(ptr) }))
    }
}

/// A packet that a device of ours is to send, as its driver gets it (`ndo_start_xmit`). What it
/// names as its device is not asked.
///
/// # Invariants
///
/// The data begin at the header of the link layer, if the device has one.
pub(crate) struct XmitSkb(Skb);

impl XmitSkb {
    /// # Safety
    ///
    /// `ptr` is a valid buffer as [`XmitSkb`] says, which the caller hands over.
    pub(super) unsafe fn from_raw(ptr: *mut bindings::sk_buff) -> Self {
        // SAFETY: The caller promises a valid buffer.
        // INVARIANT: And where its data begin.
        Self(unsafe { Skb::from_raw(ptr) })
    }

    /// Changes the source address of an Ethernet frame. Whether there was memory to
    /// do so.
    pub(crate) fn set_ethernet_source(&mut self, mac: &MacAddress) -> bool {
        // SAFETY: The buffer is ours, `mac` as long as an Ethernet address.
        unsafe { bindings::skb_set_ethernet_source(self.0.as_ptr(), mac.as_ptr()) }
    }

    /// Sends the frame on another device. Softirqs are off; no lock that a receiver takes may be
    /// held.
    ///
    /// # Errors
    ///
    /// As [`TxFrame::transmit`].
    pub(crate) fn transmit_on(self, dev: &Device) -> Result {
        // SAFETY: The device is live until the function has returned, which sees to it that
        // nothing waits for one that leaves. The buffer is ours and given away.
        xmit_result(unsafe {
            self.0.put_device(dev);
            bindings::__dev_queue_xmit(self.0.into_raw(), ptr::null_mut())
        })
    }
}

impl Deref for XmitSkb {
    type Target = Skb;

    fn deref(&self) -> &Skb {
        &self.0
    }
}
