// SPDX-License-Identifier: GPL-2.0

//! Packet buffers (`struct sk_buff`).

use super::{
    bindings,
    compat::ENOBUFS,
    netdevice::{Device, MacAddress},
    netdevice_ops::OwnDevice,
};
use core::{mem::ManuallyDrop, ptr, ptr::NonNull};
use kernel::prelude::*;

/// Bytes of the Ethernet header, which stands in front of what a receiver counts.
pub(crate) const ETH_HLEN: u32 = bindings::ETH_HLEN;

/// What [`Skb::protocol`] says of IPv4.
pub(crate) const ETH_P_IP: u16 = 0x0800;
/// What it says of ARP.
pub(crate) const ETH_P_ARP: u16 = 0x0806;
/// What it says of IPv6.
pub(crate) const ETH_P_IPV6: u16 = 0x86dd;

/// To whom a packet is addressed at layer 2 (`skb->pkt_type`), as far as it
/// matters here.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum PacketType {
    /// To this host.
    Host,
    /// One that this host has sent itself, and that was looped back.
    Loopback,
    /// Anything else: broadcast, multicast, to another host.
    Other,
}

/// A packet that is ours: dropping the value drops the packet (`kfree_skb`).
///
/// # Invariants
///
/// The pointer is a buffer to which we hold the only right of use that was given
/// to us; whether others share it, [`Self::unshare`] tells.
pub(crate) struct Skb(NonNull<bindings::sk_buff>);

// SAFETY: A buffer is not bound to a thread.
unsafe impl Send for Skb {}

impl Skb {
    /// # Safety
    ///
    /// `ptr` is a valid buffer that the caller hands over.
    pub(super) unsafe fn from_raw(ptr: *mut bindings::sk_buff) -> Self {
        // SAFETY: The caller promises a valid pointer.
        Self(unsafe { NonNull::new_unchecked(ptr) })
    }

    pub(super) fn as_ptr(&self) -> *mut bindings::sk_buff {
        self.0.as_ptr()
    }

    /// The first `N` bytes of the network header. They are copied as bytes: on many
    /// machines headers lie unaligned (`NET_IP_ALIGN` is 0), so they must not be read
    /// through a pointer to their C structure.
    ///
    /// # Safety
    ///
    /// The buffer has a network header of at least `N` bytes, linear.
    pub(super) unsafe fn network_header<const N: usize>(&self) -> [u8; N] {
        // SAFETY: The caller promises that the bytes are there.
        unsafe {
            bindings::skb_network_header(self.as_ptr())
                .cast::<[u8; N]>()
                .read()
        }
    }

    /// Gives the buffer out of our hands.
    pub(super) fn into_raw(self) -> *mut bindings::sk_buff {
        ManuallyDrop::new(self).as_ptr()
    }

    /// Makes a packet to be sent on `dev` from a complete Ethernet frame. Any
    /// context. Nothing, if there is no memory.
    pub(crate) fn from_frame(dev: &Device, frame: &[u8], priority: u32) -> Option<Self> {
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
        unsafe {
            bindings::skb_reserve(skb, head as c_int);
            let data = bindings::skb_put(skb, len);
            core::ptr::copy_nonoverlapping(frame.as_ptr(), data.cast(), frame.len());
            bindings::skb_reset_mac_header(skb);
            bindings::skb_set_network_header(skb, ETH_HLEN as c_int);
            bindings::skb_prepare_xmit(skb, dev.as_ptr(), protocol, priority);
            Some(Self::from_raw(skb))
        }
    }

    /// Sends the packet, a complete frame, on the device that it names. Softirqs
    /// may be on or off; no lock that a receiver takes may be held.
    ///
    /// # Errors
    ///
    /// ENOBUFS: a queue on the way was full, or a filter behind it took the packet, which
    /// looks the same. Any other: the device or its driver did not take it.
    pub(crate) fn transmit(self) -> Result {
        // `dev_queue_xmit` without a call more.
        // SAFETY: The buffer is ours and given away; it names its device.
        xmit_result(unsafe { bindings::__dev_queue_xmit(self.into_raw(), ptr::null_mut()) })
    }

    /// The same before all that waits in the device's queue, if nobody filters what leaves
    /// there: for a packet that must not wait for those of users.
    ///
    /// # Errors
    ///
    /// As [`Self::transmit`].
    pub(crate) fn transmit_first(self) -> Result {
        // SAFETY: The buffer is ours and given away; it names its device.
        xmit_result(unsafe { bindings::dev_xmit_first(self.into_raw()) })
    }

    /// Moves the packet to another device for sending; see [`Self::transmit`].
    pub(crate) fn transmit_on(self, dev: &Device) -> Result {
        self.put_device(dev);
        self.transmit()
    }

    #[inline]
    fn put_device(&self, dev: &Device) {
        // SAFETY: The buffer is ours; a plain field.
        unsafe {
            (*self.as_ptr())
                .__bindgen_anon_1
                .__bindgen_anon_1
                .__bindgen_anon_1
                .dev = dev.as_ptr();
        }
    }

    /// Changes the source address of a complete frame. Whether there was memory to
    /// do so.
    pub(crate) fn set_ethernet_source(&mut self, mac: &MacAddress) -> bool {
        // SAFETY: The buffer is ours, `mac` as long as an Ethernet address.
        unsafe { bindings::skb_set_ethernet_source(self.as_ptr(), mac.as_ptr()) }
    }

    /// Makes sure that no one else uses the buffer's fields (`skb_share_check`):
    /// copies them if they are shared. Nothing, if there is no memory.
    pub(crate) fn unshare(self) -> Option<Self> {
        // Nearly always; asked in place, for every packet of an interface comes this way.
        // SAFETY: The buffer is ours; the count is read as by `refcount_read`.
        if unsafe { (&raw const (*self.as_ptr()).users.refs.counter).read_volatile() } == 1 {
            return Some(self);
        }
        // SAFETY: The buffer is ours and given away; the result is ours.
        let skb =
            unsafe { bindings::skb_share_check(self.into_raw(), kernel::bindings::GFP_ATOMIC) };
        // SAFETY: As above.
        (!skb.is_null()).then(|| unsafe { Self::from_raw(skb) })
    }

    /// Ends the packet's way where it was meant to end (`consume_skb`).
    pub(crate) fn consume(self) {
        // SAFETY: The buffer is ours and given away.
        unsafe { bindings::consume_skb(self.into_raw()) }
    }

    /// The length in bytes from where the current layer begins.
    pub(crate) fn len(&self) -> u32 {
        // SAFETY: The buffer is ours.
        unsafe { (*self.as_ptr()).len }
    }

    /// The protocol of layer 3 (`ETH_P_*`), in host order.
    pub(crate) fn protocol(&self) -> u16 {
        // SAFETY: The buffer is ours; a plain field.
        u16::from_be(unsafe { (*self.as_ptr()).__bindgen_anon_4.headers.as_ref().protocol })
    }

    /// To whom the packet is addressed.
    pub(crate) fn packet_type(&self) -> PacketType {
        // SAFETY: The buffer is ours; a plain field.
        let kind = unsafe {
            (*self.as_ptr())
                .__bindgen_anon_4
                .headers
                .as_ref()
                .pkt_type()
        };
        match u32::from(kind) {
            bindings::PACKET_HOST => PacketType::Host,
            bindings::PACKET_LOOPBACK => PacketType::Loopback,
            _ => PacketType::Other,
        }
    }

    /// Says that the packet is addressed to this host. The buffer must not be
    /// shared ([`Self::unshare`]).
    pub(crate) fn set_to_this_host(&mut self) {
        // SAFETY: The buffer is ours; a plain field.
        unsafe {
            (*self.as_ptr())
                .__bindgen_anon_4
                .headers
                .as_mut()
                .set_pkt_type(bindings::PACKET_HOST as u8);
        }
    }

    /// Whether the packet carries the tag of a VLAN beside its data; VLAN 0 is none,
    /// but a priority (IEEE 802.1Q).
    pub(crate) fn has_vlan_tag(&self) -> bool {
        // SAFETY: The buffer is ours; plain fields, of which the first tells by itself
        // that there is no tag, as for nearly every packet.
        unsafe {
            let headers = (*self.as_ptr()).__bindgen_anon_4.headers.as_ref();
            headers.__bindgen_anon_2.vlan_all != 0
                && bindings::skb_vlan_tag_get_id(self.as_ptr()) != 0
        }
    }

    /// The first four bytes of [`Self::ethernet_destination`] as one number, at the
    /// price of one.
    #[inline]
    pub(crate) fn ethernet_destination_head(&self) -> u32 {
        // SAFETY: As there.
        u32::from_be(unsafe { self.mac_header().cast::<u32>().read_unaligned() })
    }

    /// The destination address of the Ethernet header of a packet that an rx handler
    /// got, as [`super::netdevice::ether_addr_to_u64`] has it. Many packets of the parent
    /// ask for it, so it is read in place.
    #[inline]
    pub(crate) fn ethernet_destination(&self) -> u64 {
        // SAFETY: A received packet on an Ethernet device has its header before
        // the data, linear, where the MAC header's offset points.
        let tail = u16::from_be(unsafe { self.mac_header().add(4).cast::<u16>().read_unaligned() });
        u64::from(self.ethernet_destination_head()) << u16::BITS | u64::from(tail)
    }

    /// Where the MAC header is, if there is one.
    #[inline]
    fn mac_header(&self) -> *const u8 {
        let skb = self.as_ptr();
        // SAFETY: The buffer is ours; plain fields, and an offset within its memory.
        unsafe {
            let offset = (*skb).__bindgen_anon_4.headers.as_ref().mac_header;
            (*skb).head.add(usize::from(offset))
        }
    }

    /// The first `N` bytes from where the current layer begins; nothing if the
    /// packet is shorter, or there is no memory to make them linear.
    pub(crate) fn pull<const N: usize>(&mut self) -> Option<&[u8; N]> {
        let len = u32::try_from(N).ok()?;
        // SAFETY: The buffer is ours; if the pull succeeds, `data` points to at
        // least `N` bytes, which live as long as the buffer is not changed.
        unsafe {
            if !bindings::pskb_may_pull(self.as_ptr(), len) {
                return None;
            }
            Some(&*(*self.as_ptr()).data.cast::<[u8; N]>())
        }
    }

    /// The first `N` bytes from where the current layer begins, if they are linear already
    /// (`skb_headlen`), whoever shares the buffer.
    #[inline]
    pub(crate) fn peek<const N: usize>(&self) -> Option<&[u8; N]> {
        // SAFETY: The buffer is ours; of what follows `data` that much is linear, and lives
        // as long as the buffer is not changed.
        unsafe {
            let skb = self.as_ptr();
            let linear = (*skb).len.wrapping_sub((*skb).data_len);
            (linear as usize >= N).then(|| &*(*skb).data.cast::<[u8; N]>())
        }
    }

    /// The first `N` bytes from where the current layer begins, or all that the packet has,
    /// whoever shares the buffer: where they lie, or in `room` if they are scattered.
    pub(crate) fn head<'a, const N: usize>(&'a self, room: &'a mut [u8; N]) -> &'a [u8] {
        if let Some(linear) = self.peek::<N>() {
            return linear;
        }
        let len = (self.len() as usize).min(N);
        // SAFETY: The buffer is ours and has that much from `data` on, as `room` does.
        let copied = unsafe {
            bindings::skb_copy_bits(self.as_ptr(), 0, room.as_mut_ptr().cast(), len as c_int)
        };
        // What cannot be read is not there.
        room.get(..if copied == 0 { len } else { 0 }).unwrap_or(&[])
    }

    /// The first `len` bytes from where the current layer begins, or all that the
    /// packet has; nothing, if there is no memory to make them linear.
    pub(crate) fn pull_up_to(&mut self, len: u32) -> Option<&[u8]> {
        let len = self.len().min(len);
        // SAFETY: The buffer is ours; if the pull succeeds, `data` points to at
        // least `len` bytes, which live as long as the buffer is not changed.
        unsafe {
            if !bindings::pskb_may_pull(self.as_ptr(), len) {
                return None;
            }
            Some(core::slice::from_raw_parts(
                (*self.as_ptr()).data,
                len as usize,
            ))
        }
    }

    /// A packet for an address of `dev` goes on where it came in, as one for this host:
    /// `dev` counts it, and its taps see it, from the Ethernet header on. Others may share
    /// the buffer; nothing is left if there is no memory to have it alone. Softirq
    /// context; the caller holds RCU.
    pub(crate) fn receive_on_behalf(self, dev: &OwnDevice) -> Option<Self> {
        // SAFETY: The buffer is ours and given away, with its Ethernet header before the
        // data; the result is ours.
        unsafe {
            let skb = bindings::skb_receive_on_behalf(self.into_raw(), dev.as_ptr());
            (!skb.is_null()).then(|| Self::from_raw(skb))
        }
    }

    /// A copy of a received packet goes on later as if it had come in on `dev`. Whether it
    /// does: there may be no memory, or too much waits. Softirq context.
    pub(crate) fn receive_copy(&self, dev: &Device) -> bool {
        // SAFETY: The buffer is ours, as an rx handler got it; the copy is given away.
        unsafe { bindings::skb_receive_copy(self.as_ptr(), dev.as_ptr()) }
    }

    /// Shows an IP packet, from its network header on, to the taps of a device that
    /// has no link layer.
    pub(crate) fn show_ip_to_taps(&mut self, dev: &Device) {
        // SAFETY: The buffer is ours, with its network header linear and in place;
        // the taps copy.
        unsafe { bindings::skb_show_ip_to_taps(self.as_ptr(), dev.as_ptr()) }
    }

    /// Makes `dev` the device that the packet came in on.
    pub(crate) fn set_device(&mut self, dev: &Device) {
        self.put_device(dev);
    }
}

/// What became of a packet that was given away for sending.
pub(super) fn xmit_result(result: c_int) -> Result {
    match result {
        0 => Ok(()),
        error if error < 0 => Err(Error::from_errno(error)),
        // NET_XMIT_CN: another packet was dropped for this one.
        2 => Ok(()),
        _ => Err(ENOBUFS),
    }
}

impl Drop for Skb {
    fn drop(&mut self) {
        // SAFETY: The buffer is ours.
        unsafe { bindings::kfree_skb(self.as_ptr()) }
    }
}

/// Packets in a row, held together by their own `next` pointers: no memory is
/// needed for the list. Dropping it drops them.
///
/// # Invariants
///
/// `first` is null or the first of a chain that ends with null at `last`; all of
/// its buffers are ours.
pub(crate) struct SkbList {
    first: *mut bindings::sk_buff,
    last: *mut bindings::sk_buff,
}

impl SkbList {
    /// An empty list.
    pub(crate) const fn new() -> Self {
        Self {
            first: ptr::null_mut(),
            last: ptr::null_mut(),
        }
    }

    /// Puts a packet at the end.
    pub(crate) fn push(&mut self, skb: Skb) {
        let skb = skb.into_raw();
        // SAFETY: The buffer is ours, and so is the last one of the list.
        unsafe {
            bindings::skb_set_next(skb, ptr::null_mut());
            if self.first.is_null() {
                self.first = skb;
            } else {
                bindings::skb_set_next(self.last, skb);
            }
        }
        self.last = skb;
    }

    /// Takes the first packet out.
    pub(crate) fn pop(&mut self) -> Option<Skb> {
        if self.first.is_null() {
            return None;
        }
        let skb = self.first;
        // SAFETY: By the type invariant the buffer is ours; it leaves the list,
        // and is alone from here on.
        unsafe {
            self.first = bindings::skb_next(skb);
            bindings::skb_set_next(skb, ptr::null_mut());
            Some(Skb::from_raw(skb))
        }
    }
}

impl Drop for SkbList {
    fn drop(&mut self) {
        while self.pop().is_some() {}
    }
}
