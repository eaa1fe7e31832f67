// SPDX-License-Identifier: GPL-2.0

//! Packet buffers (`struct sk_buff`).
//!
//! What can be done with a packet depends on where it is, so each state is a type of its own:
//! received ([`super::skbuff_rx`]), a frame to be transmitted ([`super::skbuff_tx`]), an IP packet
//! with a route ([`super::ip_output::RoutedSkb`]). All of them are an [`Skb`], which has what
//! can be asked of any buffer.

use super::{
    bindings, compat::ENOBUFS, netdevice::Device, netdevice_ops::OwnDevice, rwonce::read_once,
};
use core::{marker::PhantomData, mem::ManuallyDrop, ptr, ptr::NonNull};
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
/// The pointer is a buffer of which one count is ours. Others may have more of them
/// (`skb_shared`), and read it.
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

    /// Has the buffer name a device (`skb->dev`).
    ///
    /// # Safety
    ///
    /// The device stays for as long as anybody looks at the field.
    #[inline]
    pub(super) unsafe fn put_device(&self, dev: &Device) {
        // SAFETY: The buffer is ours; a plain field.
        unsafe { bindings::skb_set_dev(self.as_ptr(), dev.as_ptr()) };
    }

    /// Whether somebody else has a count of the buffer (`skb_shared`). In place, for every
    /// packet of an interface comes this way.
    #[inline]
    pub(super) fn is_shared(&self) -> bool {
        // SAFETY: The buffer is ours; the count is read as by `refcount_read`.
        unsafe { read_once(&raw const (*self.as_ptr()).users.refs.counter) != 1 }
    }

    /// Ends the packet's way where it was meant to end (`consume_skb`).
    pub(crate) fn consume(self) {
        // SAFETY: The buffer is ours and given away.
        unsafe { bindings::consume_skb(self.into_raw()) }
    }

    /// The device that the buffer names.
    #[inline]
    pub(super) fn device(&self) -> *mut bindings::net_device {
        // SAFETY: The buffer is ours; a plain field.
        unsafe { bindings::skb_dev(self.as_ptr()) }
    }

    /// Says to whom the packet is addressed.
    ///
    /// # Safety
    ///
    /// Nobody else has a count of the buffer.
    #[inline]
    pub(super) unsafe fn put_packet_type(&self, kind: u32) {
        // SAFETY: The buffer is ours, and nobody else looks at it; a plain field.
        unsafe { bindings::skb_set_pkt_type(self.as_ptr(), kind) };
    }

    /// The length in bytes from where the current layer begins.
    pub(crate) fn len(&self) -> u32 {
        // SAFETY: The buffer is ours.
        unsafe { (*self.as_ptr()).len }
    }

    /// The protocol of layer 3 (`ETH_P_*`), in host order.
    pub(crate) fn protocol(&self) -> u16 {
        // SAFETY: The buffer is ours; a plain field.
        u16::from_be(unsafe { bindings::skb_protocol(self.as_ptr()) })
    }

    /// To whom the packet is addressed.
    pub(crate) fn packet_type(&self) -> PacketType {
        // SAFETY: The buffer is ours; a plain field.
        match unsafe { bindings::skb_pkt_type(self.as_ptr()) } {
            bindings::PACKET_HOST => PacketType::Host,
            bindings::PACKET_LOOPBACK => PacketType::Loopback,
            _ => PacketType::Other,
        }
    }

    /// Whether the packet carries the tag of a VLAN beside its data; VLAN 0 is none,
    /// but a priority (IEEE 802.1Q).
    pub(crate) fn has_vlan_tag(&self) -> bool {
        // SAFETY: The buffer is ours; plain fields, of which the first tells by itself
        // that there is no tag, as for nearly every packet.
        unsafe {
            bindings::skb_vlan_all(self.as_ptr()) != 0
                && bindings::skb_vlan_tag_get_id(self.as_ptr()) != 0
        }
    }

    /// Where the MAC header is, if there is one.
    #[inline]
    pub(super) fn mac_header(&self) -> *const u8 {
        let skb = self.as_ptr();
        // SAFETY: The buffer is ours; plain fields, and an offset within its memory.
        unsafe {
            let offset = bindings::skb_mac_header_offset(skb);
            (*skb).head.add(usize::from(offset))
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

    /// The first `N` bytes from where the current layer begins; nothing if the packet is
    /// shorter, or as for [`Self::pull_up_to`].
    pub(super) fn pull<const N: usize>(&mut self) -> Option<&[u8; N]> {
        let len = u32::try_from(N).ok()?;
        // SAFETY: The buffer is ours; if the pull succeeds, `data` points to at
        // least `N` bytes, which live as long as the buffer is not changed.
        unsafe {
            if !bindings::skb_pull_unshared(self.as_ptr(), len) {
                return None;
            }
            Some(&*(*self.as_ptr()).data.cast::<[u8; N]>())
        }
    }

    /// The first `len` bytes from where the current layer begins, or all that the
    /// packet has; nothing, if there is no memory to make them linear, or others share the
    /// buffer (`pskb_may_pull`).
    pub(super) fn pull_up_to(&mut self, len: u32) -> Option<&[u8]> {
        let len = self.len().min(len);
        // SAFETY: The buffer is ours; if the pull succeeds, `data` points to at
        // least `len` bytes, which live as long as the buffer is not changed.
        unsafe {
            if !bindings::skb_pull_unshared(self.as_ptr(), len) {
                return None;
            }
            Some(core::slice::from_raw_parts(
                (*self.as_ptr()).data,
                len as usize,
            ))
        }
    }

    /// Shows an IP packet, from its network header on, to the taps of a device that
    /// has no link layer. Any context but hard interrupts.
    ///
    /// # Safety
    ///
    /// The network header is in place, and that of an IP packet.
    pub(super) unsafe fn show_ip_to_taps(&mut self, dev: &OwnDevice) {
        // SAFETY: The buffer is ours, with its network header in place; the taps copy.
        unsafe { bindings::skb_show_ip_to_taps(self.as_ptr(), dev.as_ptr()) }
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

/// What an [`Skb`] is in a certain state.
///
/// # Safety
///
/// The state is all in the buffer: a value may be taken apart and put together again.
pub(super) unsafe trait State {
    /// Gives the buffer out of our hands, as it is.
    fn into_raw(self) -> *mut bindings::sk_buff;

    /// # Safety
    ///
    /// `ptr` came from [`Self::into_raw`], once.
    unsafe fn from_raw(ptr: *mut bindings::sk_buff) -> Self;
}

/// Packets in a row, held together by their own `next` pointers: no memory is
/// needed for the list. Dropping it drops them.
///
/// # Invariants
///
/// `first` is null or the first of a chain that ends with null at `last`; all of
/// its buffers came from a `T`.
#[expect(private_bounds, reason = "states are made in this folder alone")]
pub(crate) struct SkbList<T: State> {
    first: *mut bindings::sk_buff,
    last: *mut bindings::sk_buff,
    _of: PhantomData<T>,
}

#[expect(private_bounds, reason = "states are made in this folder alone")]
impl<T: State> SkbList<T> {
    /// An empty list.
    pub(crate) const fn new() -> Self {
        Self {
            first: ptr::null_mut(),
            last: ptr::null_mut(),
            _of: PhantomData,
        }
    }

    /// Puts a packet at the end.
    pub(crate) fn push(&mut self, skb: T) {
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
    pub(crate) fn pop(&mut self) -> Option<T> {
        if self.first.is_null() {
            return None;
        }
        let skb = self.first;
        // SAFETY: By the type invariant the buffer is ours; it leaves the list,
        // and is alone from here on.
        unsafe {
            self.first = bindings::skb_next(skb);
            bindings::skb_set_next(skb, ptr::null_mut());
            Some(T::from_raw(skb))
        }
    }
}

impl<T: State> Drop for SkbList<T> {
    fn drop(&mut self) {
        while self.pop().is_some() {}
    }
}
