// SPDX-License-Identifier: GPL-2.0

//! Packets that an Ethernet device has received, on their way to IP.

use super::{
    bindings,
    netdevice::{Device, MacAddress},
    netdevice_ops::OwnDevice,
    skbuff::Skb,
};
use core::{marker::PhantomData, ops::Deref, ptr::NonNull};
use kernel::{prelude::*, sync::rcu};

/// A received packet, as an rx handler gets it. The buffer may be shared, so it can only
/// be read; [`Self::unshare`] makes a [`UniqueRxSkb`], which can be changed.
///
/// # Invariants
///
/// The Ethernet header is in place and linear, before the data, which begin at the network
/// header. `skb->dev` is a device that stays for `'a`.
pub(crate) struct RxSkb<'a> {
    skb: Skb,
    _dev: PhantomData<&'a Device>,
}

impl<'a> RxSkb<'a> {
    /// # Safety
    ///
    /// `ptr` is a valid buffer as [`RxSkb`] says, which the caller hands over.
    pub(super) unsafe fn from_raw(ptr: *mut bindings::sk_buff) -> Self {
        // INVARIANT: The caller promises it.
        Self {
            // SAFETY: The caller promises a valid buffer.
            skb: unsafe { Skb::from_raw(ptr) },
            _dev: PhantomData,
        }
    }

    pub(super) fn into_raw(self) -> *mut bindings::sk_buff {
        self.skb.into_raw()
    }

    /// The first four bytes of [`Self::ethernet_destination`] as a number, in one load.
    #[inline]
    pub(crate) fn ethernet_destination_head(&self) -> u32 {
        // SAFETY: By the type invariant the header is there.
        u32::from_be(unsafe { self.mac_header().cast::<u32>().read_unaligned() })
    }

    /// The destination address of the Ethernet header, as
    /// [`super::netdevice::ether_addr_to_u64`] has it. Read for many packets, so it is
    /// read in place.
    #[inline]
    pub(crate) fn ethernet_destination(&self) -> u64 {
        // SAFETY: By the type invariant the header is there.
        let tail = u16::from_be(unsafe { self.mac_header().add(4).cast::<u16>().read_unaligned() });
        u64::from(self.ethernet_destination_head()) << u16::BITS | u64::from(tail)
    }

    /// The source address of the Ethernet header.
    pub(crate) fn ethernet_source(&self) -> MacAddress {
        const AT: usize = size_of::<MacAddress>();
        // SAFETY: By the type invariant the header is there.
        unsafe { self.mac_header().add(AT).cast::<MacAddress>().read() }
    }

    /// Makes sure that the `sk_buff` is not shared, and clones it if it is
    /// (`skb_share_check`). `None` without memory.
    #[inline]
    pub(crate) fn unshare(self) -> Option<UniqueRxSkb<'a>> {
        // The usual case: the buffer is not shared.
        if !self.is_shared() {
            // INVARIANT: The only count is ours.
            return Some(UniqueRxSkb(self));
        }
        // SAFETY: The buffer is ours and the function consumes it; the result is ours.
        let skb =
            unsafe { bindings::skb_share_check(self.into_raw(), kernel::bindings::GFP_ATOMIC) };
        // SAFETY: As above; a copy is like what it was made of.
        // INVARIANT: And nobody else's yet.
        (!skb.is_null()).then(|| UniqueRxSkb(unsafe { Self::from_raw(skb) }))
    }

    /// Receives a packet for an address of `dev` on the device that it came in on: `dev`
    /// counts it, `dev`'s taps see it with the Ethernet header, and its packet type
    /// becomes PACKET_HOST. If the buffer is shared it is cloned; returns `None` without
    /// memory. Softirq context; the caller holds RCU.
    pub(crate) fn receive_on_behalf(self, dev: &OwnDevice) -> Option<Self> {
        // SAFETY: The buffer is ours, has its Ethernet header before the data, and is
        // consumed; the result is ours and has the header as well.
        unsafe {
            let skb = bindings::skb_receive_on_behalf(self.into_raw(), dev.as_ptr());
            (!skb.is_null()).then(|| Self::from_raw(skb))
        }
    }

    /// Queues a copy of the packet, to be received later as if it had come in on `dev`.
    /// Returns false without memory, or if the backlog is full. Softirq context.
    pub(crate) fn receive_copy(&self, dev: &Device) -> bool {
        // SAFETY: The buffer is ours, as an rx handler got it. The function consumes the
        // copy, and the kernel drops it before its device is freed
        // (`flush_all_backlogs`).
        unsafe { bindings::skb_receive_copy(self.as_ptr(), dev.as_ptr()) }
    }
}

impl Deref for RxSkb<'_> {
    type Target = Skb;

    fn deref(&self) -> &Skb {
        &self.skb
    }
}

/// A received packet whose buffer is not shared.
///
/// # Invariants
///
/// The buffer is not shared.
pub(crate) struct UniqueRxSkb<'a>(RxSkb<'a>);

impl<'a> UniqueRxSkb<'a> {
    /// The first `N` bytes from the network header on. `None` if the packet is shorter,
    /// or without memory to make them linear.
    pub(crate) fn pull<const N: usize>(&mut self) -> Option<&[u8; N]> {
        self.0.skb.pull()
    }

    /// The first `len` bytes from the network header on, or the whole packet if it is
    /// shorter. `None` without memory to make them linear.
    pub(crate) fn pull_up_to(&mut self, len: u32) -> Option<&[u8]> {
        self.0.skb.pull_up_to(len)
    }

    /// Frees a packet that was processed, not dropped (`consume_skb`).
    pub(crate) fn consume(self) {
        self.0.skb.consume();
    }

    /// Sets the packet type to PACKET_HOST.
    pub(crate) fn set_to_this_host(&mut self) {
        // SAFETY: By the type invariant the buffer is ours alone.
        unsafe { self.put_packet_type(bindings::PACKET_HOST) }
    }

    /// Makes `dev` the device that the packet came in on.
    pub(crate) fn set_device(&mut self, dev: &'a Device) {
        // SAFETY: By the type invariant the buffer is ours alone; the device stays for `'a`.
        unsafe { self.put_device(dev) }
    }

    /// Sets the route of an IPv4 multicast packet: local delivery. IP then does not look
    /// up and check its source, which may be an address of this host. The packet must be
    /// in the namespace that `route` was made for.
    pub(crate) fn route_multicast_to_this_host(
        &mut self,
        route: &MulticastRoute,
        _rcu: &rcu::Guard,
    ) {
        // SAFETY: By the type invariant the buffer is ours alone. RCU keeps the route
        // until this read-side critical section ends, and whoever keeps the packet for
        // longer takes a reference first (`skb_dst_force`).
        unsafe {
            bindings::skb_dst_drop(self.as_ptr());
            bindings::skb_dst_set_noref(self.as_ptr(), &raw mut (*route.0.as_ptr()).dst);
        }
    }
}

/// The route of IPv4 multicast to this host, for packets that come in on the devices of a
/// namespace. It is made once, because freeing a route needs an RCU callback, which costs
/// more than everything else that is done with a packet.
///
/// # Invariants
///
/// The pointer is valid, and owns a reference.
pub(crate) struct MulticastRoute(NonNull<bindings::rtable>);

// SAFETY: The reference is not bound to a thread, and packets only read the route.
unsafe impl Send for MulticastRoute {}
// SAFETY: As above.
unsafe impl Sync for MulticastRoute {}

impl MulticastRoute {
    /// Makes the route for packets that come in on `dev`. It must be dropped before the
    /// namespace of `dev` is destroyed, because it holds a reference to that namespace's
    /// loopback device. Any context.
    ///
    /// # Errors
    ///
    /// Out of memory.
    pub(crate) fn new(dev: &Device) -> Result<Self> {
        // SAFETY: A namespace with devices has its loopback device. The route is new, and
        // nobody else's yet.
        unsafe {
            let route = bindings::rt_dst_alloc(
                bindings::net_loopback_dev(dev.net().as_ptr()),
                bindings::RTCF_MULTICAST | bindings::RTCF_LOCAL,
                bindings::RTN_MULTICAST as u16,
                false,
            );
            let route = NonNull::new(route).ok_or(ENOMEM)?;
            (*route.as_ptr()).rt_is_input = 1;
            // INVARIANT: It begins with one count.
            Ok(Self(route))
        }
    }
}

impl Drop for MulticastRoute {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the count is ours; the route itself is freed after
        // an RCU grace period.
        unsafe { bindings::dst_release(&raw mut (*self.0.as_ptr()).dst) };
    }
}

impl<'a> Deref for UniqueRxSkb<'a> {
    type Target = RxSkb<'a>;

    fn deref(&self) -> &RxSkb<'a> {
        &self.0
    }
}

impl<'a> From<UniqueRxSkb<'a>> for RxSkb<'a> {
    fn from(skb: UniqueRxSkb<'a>) -> Self {
        skb.0
    }
}
