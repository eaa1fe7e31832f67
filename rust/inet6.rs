// SPDX-License-Identifier: GPL-2.0

//! IPv6: protocols of one's own, and an interface that says nothing by itself.
//!
//! The kernel's IPv6 is never a module (CONFIG_IPV6 is a bool), but it may have been
//! turned off when the machine was booted (`ipv6.disable=1`). Then no device has an
//! `inet6_dev`, tables that its functions use were never set up, and [`enabled`]
//! says so: everything here and in [`super::inet6addr`], [`super::ndisc`] and
//! [`super::ip_output`] asks it where that matters, and does nothing. Registering
//! protocols and notifiers only links them into lists that are always there.

use super::{
    bindings,
    inet::Packet,
    namespace::Net,
    netdevice::Device,
    netdevice_ops::OwnDevice,
    once::{Once, OnceGuard},
    rtnl::Rtnl,
    rwonce::{rcu_dereference, read_once, write_once},
    skbuff::Skb,
};
use core::{cell::UnsafeCell, marker::PhantomData, net::Ipv6Addr};
use kernel::{prelude::*, sync::rcu};

/// Whether this kernel speaks IPv6 (`ipv6_mod_enabled`): it does not change while
/// the kernel runs. Any context.
pub(crate) fn enabled() -> bool {
    // SAFETY: The function has no preconditions.
    unsafe { bindings::ipv6_mod_enabled() }
}

/// An address as the kernel has it.
pub(super) fn to_raw(address: Ipv6Addr) -> bindings::in6_addr {
    bindings::in6_addr {
        in6_u: bindings::in6_addr__bindgen_ty_1 {
            u6_addr8: address.octets(),
        },
    }
}

/// An address of the kernel's.
pub(super) fn from_raw(address: &bindings::in6_addr) -> Ipv6Addr {
    // SAFETY: All parts of the union are 16 bytes, any of which are valid.
    Ipv6Addr::from(unsafe { address.in6_u.u6_addr8 })
}

/// What matters of an IPv6 header (RFC 8200, section 3).
pub(super) struct Header {
    pub(super) next: u8,
    pub(super) hop_limit: u8,
    pub(super) source: Ipv6Addr,
    pub(super) destination: Ipv6Addr,
}

impl From<[u8; 40]> for Header {
    fn from(bytes: [u8; 40]) -> Self {
        let [_, _, _, _, _, _, next, hop_limit, addresses @ ..] = bytes;
        let mut halves = [[0; 16]; 2];
        halves.as_flattened_mut().copy_from_slice(&addresses);
        let [source, destination] = halves.map(Ipv6Addr::from);
        Self {
            next,
            hop_limit,
            source,
            destination,
        }
    }
}

/// A receiver of an IPv6 protocol.
pub(crate) trait Ipv6Receiver: 'static {
    /// The protocol number: the last next header.
    const PROTOCOL: u8;
    /// How many bytes behind the IPv6 header and its extensions the receiver wants
    /// to see.
    const LEN: u32;
    /// Whether IPsec's policies decide which packets come (`xfrm6_policy_check`).
    const OBEYS_POLICY: bool;

    /// A packet has arrived, after netfilter's input chain. Softirq context, RCU
    /// is held, no lock.
    ///
    /// A packet for a group comes only if the device is a member: IPv6 asks twice,
    /// in `ip6_mc_input` and, as the protocol is a final one, in
    /// `ip6_protocol_deliver_rcu`. Nobody asks whether the source is this host's own
    /// address, as IPv4 does.
    ///
    /// # Errors
    ///
    /// The packet was dropped, and shows as such to who watches drops.
    fn receive(packet: &Packet<'_, Ipv6Addr>, rcu: &rcu::Guard) -> Result<(), ()>;
}

/// The registration of an [`Ipv6Receiver`], to be kept in a static.
pub(crate) struct Ipv6Protocol<T> {
    protocol: UnsafeCell<bindings::inet6_protocol>,
    once: Once,
    _receiver: PhantomData<fn() -> T>,
}

// SAFETY: The kernel only reads it.
unsafe impl<T> Sync for Ipv6Protocol<T> {}

impl<T: Ipv6Receiver> Ipv6Protocol<T> {
    /// A registration that is not in place yet.
    pub(crate) const fn new() -> Self {
        Self {
            protocol: UnsafeCell::new(bindings::inet6_protocol {
                handler: Some(receive::<T>),
                // It is no extension header.
                flags: match T::OBEYS_POLICY {
                    true => bindings::INET6_PROTO_FINAL,
                    false => bindings::INET6_PROTO_FINAL | bindings::INET6_PROTO_NOPOLICY,
                },
                // SAFETY: All zeroes is a valid `inet6_protocol`.
                ..unsafe { core::mem::zeroed() }
            }),
            once: Once::new(),
            _receiver: PhantomData,
        }
    }

    /// Receives the protocol in all namespaces until the returned guard is
    /// dropped. Process context, may sleep. Where IPv6 is turned off it succeeds,
    /// and nothing comes.
    ///
    /// # Errors
    ///
    /// Somebody else receives it, or this module already.
    pub(crate) fn register(&'static self) -> Result<Ipv6Registered<T>> {
        let once = self.once.claim()?;
        // SAFETY: The structure lives in a static and is not registered: there is no other
        // guard. Nobody writes it after this.
        if unsafe { bindings::inet6_add_protocol(self.protocol.get(), T::PROTOCOL) } < 0 {
            return Err(EBUSY);
        }
        Ok(Ipv6Registered {
            protocol: self,
            _once: once,
        })
    }
}

/// Keeps an [`Ipv6Protocol`] registered.
pub(crate) struct Ipv6Registered<T: Ipv6Receiver> {
    protocol: &'static Ipv6Protocol<T>,
    _once: OnceGuard,
}

impl<T: Ipv6Receiver> Drop for Ipv6Registered<T> {
    fn drop(&mut self) {
        // SAFETY: `register` has registered it; the function waits for packets
        // that are with the receiver.
        unsafe { bindings::inet6_del_protocol(self.protocol.protocol.get(), T::PROTOCOL) };
    }
}

/// # Safety
///
/// Only the kernel may call it, as `inet6_protocol.handler`.
unsafe extern "C" fn receive<T: Ipv6Receiver>(skb: *mut bindings::sk_buff) -> c_int {
    let rcu = rcu::Guard::new();
    // SAFETY: The kernel hands over the packet.
    let mut skb = unsafe { Skb::from_raw(skb) };
    let raw = skb.as_ptr();
    // SAFETY: The kernel has checked the IPv6 header, which lies linear before the
    // data, perhaps with extensions between.
    let header: Header = unsafe { skb.network_header::<40>().into() };
    let Some(payload) = skb.pull_up_to(T::LEN) else {
        return 0;
    };
    // SAFETY: The packet's device is alive under RCU.
    let packet = unsafe {
        Packet {
            net: Net::from_raw(bindings::dev_net(bindings::skb_dev(raw))),
            iif: bindings::ip6cb_iif(raw),
            ttl: header.hop_limit,
            source: header.source,
            destination: header.destination,
            payload,
            skb: raw,
        }
    };
    if T::receive(&packet, &rcu).is_ok() {
        skb.consume();
    }
    // Done with: more than 0 would name a next header to go on with.
    0
}

impl Device {
    /// Whether IPv6 takes packets that come in on the device: it may be unknown to
    /// IPv6, or turned off there (`disable_ipv6`). Any context.
    pub(crate) fn has_inet6(&self, _rcu: &rcu::Guard) -> bool {
        // SAFETY: `self` is live, RCU is held; a plain field.
        unsafe {
            rcu_dereference(&raw const (*self.as_ptr()).ip6_ptr)
                .as_ref()
                .is_some_and(|idev| read_once(&raw const idev.cnf.disable_ipv6) == 0)
        }
    }
}

impl OwnDevice {
    /// Sees to it that IPv6 gives the device no address and says nothing about it
    /// that was not asked for, and keeps those that it has: no addresses from router
    /// advertisements, none made up (link-local, temporary), no router
    /// solicitations, no duplicate address detection, and what is set stays when the
    /// device is down (but for link-local addresses, which the kernel never keeps).
    /// Routes that are marked are passed over ([`super::fib`]).
    /// The user may change all this later.
    ///
    /// Returns whether it could: IPv6 must know the device, which is so from
    /// `register_netdevice` on, if its MTU is at least 1280. Until then the device
    /// keeps `IFF_NO_ADDRCONF`, which it has from its set-up and which also stops
    /// IPv6 from making addresses up. To be called when the device is registered,
    /// and, as what IPv6 knows of a device does not survive an MTU below 1280, after
    /// each change of its MTU, each NETDEV_UP and NETDEV_CHANGE, and for each address
    /// that is about to be added. It changes settings once, so what the user sets
    /// afterwards stays.
    pub(crate) fn disable_inet6_output(&self, _rtnl: &Rtnl) -> bool {
        let none = bindings::netdev_priv_flags_IFF_NO_ADDRCONF;
        // SAFETY: The device is live; RTNL keeps what it has of IPv6, and serialises
        // changes of its flags. Readers of the settings read single words.
        unsafe {
            let dev = self.as_ptr();
            let idev = bindings::in6_dev_peek(dev);
            if idev.is_null() {
                bindings::netdev_change_priv_flags(dev, none, 0);
                return false;
            }
            if bindings::netdev_change_priv_flags(dev, 0, 0) & none == 0 {
                return true;
            }
            let cnf = &raw mut (*idev).cnf;
            write_once(&raw mut (*cnf).accept_ra, 0);
            write_once(&raw mut (*cnf).autoconf, 0);
            write_once(&raw mut (*cnf).rtr_solicits, 0);
            write_once(&raw mut (*cnf).use_tempaddr, 0);
            write_once(&raw mut (*cnf).accept_dad, 0);
            write_once(&raw mut (*cnf).dad_transmits, 0);
            write_once(&raw mut (*cnf).keep_addr_on_down, 1);
            write_once(&raw mut (*cnf).ignore_routes_with_linkdown, 1);
            write_once(
                &raw mut (*cnf).addr_gen_mode,
                bindings::in6_addr_gen_mode_IN6_ADDR_GEN_MODE_NONE,
            );
            bindings::netdev_change_priv_flags(dev, 0, none);
            true
        }
    }
}
