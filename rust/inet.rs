// SPDX-License-Identifier: GPL-2.0

//! IP protocols of one's own, multicast groups, and routes set beforehand.

use super::{
    bindings,
    namespace::Net,
    netdevice::{Device, MacAddress},
    once::{Once, OnceGuard},
    skbuff::{Skb, ETH_HLEN},
};
use core::{cell::UnsafeCell, marker::PhantomData, net::Ipv4Addr};
use kernel::{prelude::*, sync::rcu};

/// A packet of an IP protocol, delivered to this host; `A` is the kind of its
/// addresses.
pub(crate) struct Packet<'a, A = Ipv4Addr> {
    /// The namespace that it arrived in.
    pub(crate) net: &'a Net,
    /// The index of the device that it came in on; under a VRF not that of
    /// `skb->dev`.
    pub(crate) iif: c_int,
    /// The IP header's time to live, or hop limit.
    pub(crate) ttl: u8,
    /// The IP source address.
    pub(crate) source: A,
    /// The IP destination address: this host's, or a group's.
    pub(crate) destination: A,
    /// The first bytes behind the IP headers, as many as were asked for or the
    /// packet has.
    pub(crate) payload: &'a [u8],
    /// The packet, while it is with the receiver.
    pub(super) skb: *mut bindings::sk_buff,
}

impl<A> Packet<'_, A> {
    /// The source address of the packet's Ethernet header; `None` if it has none.
    pub(crate) fn ethernet_source(&self) -> Option<MacAddress> {
        let mut address = [0; 6];
        // SAFETY: The packet is with us; plain fields. Between the offsets of the MAC
        // header and of the network header lies the former, linear.
        unsafe {
            let mac = bindings::skb_mac_header_offset(self.skb);
            let network = bindings::skb_network_header_offset(self.skb);
            if u32::from(network.checked_sub(mac)?) < ETH_HLEN {
                return None;
            }
            let source = (*self.skb).head.add(usize::from(mac)).add(address.len());
            core::ptr::copy_nonoverlapping(source, address.as_mut_ptr(), address.len());
        }
        Some(address)
    }

    /// Shows the packet to the taps of a device that has no link layer.
    pub(crate) fn show_to_taps(&self, dev: &Device) {
        // SAFETY: The packet is with us, its network header linear. The taps get
        // copies; the payload stays where it is.
        unsafe { bindings::skb_show_ip_to_taps(self.skb, dev.as_ptr()) }
    }
}

/// A receiver of an IPv4 protocol.
pub(crate) trait Ipv4Receiver: 'static {
    /// The protocol number.
    const PROTOCOL: u8;
    /// How many bytes behind the IPv4 header the receiver wants to see.
    const LEN: u32;
    /// Whether IPsec's policies decide which packets come (`xfrm4_policy_check`).
    const OBEYS_POLICY: bool;

    /// A packet has arrived, after netfilter's input chain. Softirq context, RCU
    /// is held, no lock.
    ///
    /// # Errors
    ///
    /// The packet was dropped, and shows as such to who watches drops.
    fn receive(packet: &Packet<'_>, rcu: &rcu::Guard) -> Result<(), ()>;
}

/// The registration of an [`Ipv4Receiver`], to be kept in a static.
pub(crate) struct Ipv4Protocol<T> {
    protocol: UnsafeCell<bindings::net_protocol>,
    once: Once,
    _receiver: PhantomData<fn() -> T>,
}

// SAFETY: The kernel only reads it.
unsafe impl<T> Sync for Ipv4Protocol<T> {}

impl<T: Ipv4Receiver> Ipv4Protocol<T> {
    /// A registration that is not in place yet.
    pub(crate) const fn new() -> Self {
        Self {
            protocol: UnsafeCell::new(bindings::net_protocol {
                handler: Some(receive::<T>),
                // SAFETY: All zeroes is a valid `net_protocol`.
                ..unsafe { core::mem::zeroed() }
            }),
            once: Once::new(),
            _receiver: PhantomData,
        }
    }

    /// Receives the protocol in all namespaces until the returned guard is
    /// dropped. Process context, may sleep.
    ///
    /// # Errors
    ///
    /// Somebody else receives it, or this module already.
    pub(crate) fn register(&'static self) -> Result<Ipv4Registered<T>> {
        let once = self.once.claim()?;
        // SAFETY: The structure lives in a static and is not registered: there is no other
        // guard. Nobody writes it after this.
        unsafe {
            (*self.protocol.get()).set_no_policy(u32::from(!T::OBEYS_POLICY));
            if bindings::inet_add_protocol(self.protocol.get(), T::PROTOCOL) < 0 {
                return Err(EBUSY);
            }
        }
        Ok(Ipv4Registered {
            protocol: self,
            _once: once,
        })
    }
}

/// Keeps an [`Ipv4Protocol`] registered.
pub(crate) struct Ipv4Registered<T: Ipv4Receiver> {
    protocol: &'static Ipv4Protocol<T>,
    _once: OnceGuard,
}

impl<T: Ipv4Receiver> Drop for Ipv4Registered<T> {
    fn drop(&mut self) {
        // SAFETY: `register` has registered it; the function waits for packets
        // that are with the receiver.
        unsafe { bindings::inet_del_protocol(self.protocol.protocol.get(), T::PROTOCOL) };
    }
}

/// # Safety
///
/// Only the kernel may call it, as `net_protocol.handler`.
unsafe extern "C" fn receive<T: Ipv4Receiver>(skb: *mut bindings::sk_buff) -> c_int {
    let rcu = rcu::Guard::new();
    // SAFETY: The kernel hands over the packet.
    let mut skb = unsafe { Skb::from_raw(skb) };
    let raw = skb.as_ptr();
    // SAFETY: The kernel has checked the IPv4 header, which lies before the data,
    // linear.
    let header: [u8; 20] = unsafe { skb.network_header() };
    let [_, _, _, _, _, _, _, _, ttl, _, _, _, s0, s1, s2, s3, d0, d1, d2, d3] = header;
    let Some(payload) = skb.pull_up_to(T::LEN) else {
        return 0;
    };
    // SAFETY: The packet's device is alive under RCU.
    let packet = unsafe {
        Packet {
            net: Net::from_raw(bindings::dev_net(bindings::skb_dev(raw))),
            iif: bindings::ipcb_iif(raw),
            ttl,
            source: Ipv4Addr::new(s0, s1, s2, s3),
            destination: Ipv4Addr::new(d0, d1, d2, d3),
            payload,
            skb: raw,
        }
    };
    if T::receive(&packet, &rcu).is_ok() {
        skb.consume();
    }
    0
}
