// SPDX-License-Identifier: GPL-2.0

//! Netfilter hooks for ARP: a say in what a namespace hears and tells.

use super::{
    bindings,
    namespace::Net,
    netdevice::{Device, MacAddress},
    netfilter::{HookSet, Hooks},
};
use core::{marker::PhantomData, net::Ipv4Addr};
use kernel::{prelude::*, sync::rcu};

/// What an ARP packet wants.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Who has the target's address?
    Request,
    /// The sender has the sender's address.
    Reply,
    /// Something rarer.
    Other,
}

/// An ARP packet for IPv4 over Ethernet.
#[derive(Clone, Copy)]
pub(crate) struct ArpPacket {
    /// What it wants.
    pub(crate) operation: Operation,
    /// The sender's Ethernet address.
    pub(crate) sender_mac: MacAddress,
    /// The sender's IPv4 address.
    pub(crate) sender: Ipv4Addr,
    /// The target's IPv4 address.
    pub(crate) target: Ipv4Addr,
}

/// What becomes of a packet that this host received.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Incoming {
    /// ARP handles it.
    Accept,
    /// ARP never sees it.
    Drop,
}

/// What becomes of a packet that this host sends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outgoing {
    /// It is sent.
    Accept,
    /// It is sent with another sender, as an IPv4 address.
    FromAddress(Ipv4Addr),
    /// It is sent with another sender, as an Ethernet address, in the frame's
    /// header also.
    FromMac(MacAddress),
    /// It is not sent.
    Drop,
}

/// Who has a say. Softirq context or process context with softirqs off; RCU is
/// held, no lock.
pub(crate) trait ArpFilter: 'static {
    /// A packet came in on `dev`.
    fn incoming(net: &Net, dev: &Device, packet: &ArpPacket, rcu: &rcu::Guard) -> Incoming;

    /// A packet is about to go out on `dev`.
    fn outgoing(net: &Net, dev: &Device, packet: &ArpPacket, rcu: &rcu::Guard) -> Outgoing;
}

/// The hooks of one filter in a namespace.
pub(crate) type ArpHooks<T> = Hooks<Arp<T>>;

/// The set of them.
pub(crate) struct Arp<T>(PhantomData<fn() -> T>);

// SAFETY: The functions are hooks of these places, and look for nothing that is not always
// there.
unsafe impl<T: ArpFilter> HookSet for Arp<T> {
    const OPS: &'static [bindings::nf_hook_ops] = &[
        hook(incoming::<T>, bindings::NF_ARP_IN),
        hook(outgoing::<T>, bindings::NF_ARP_OUT),
    ];
}

const fn hook(
    function: unsafe extern "C" fn(
        *mut c_void,
        *mut bindings::sk_buff,
        *const bindings::nf_hook_state,
    ) -> c_uint,
    number: u32,
) -> bindings::nf_hook_ops {
    bindings::nf_hook_ops {
        hook: Some(function),
        pf: bindings::NFPROTO_ARP as u8,
        hooknum: number,
        // After the administrator's filters: what they drop is dropped.
        priority: 0x100,
        // SAFETY: All zeroes is a valid `nf_hook_ops`.
        ..unsafe { core::mem::zeroed() }
    }
}

/// An ARP packet for IPv4 over Ethernet as it stands in a buffer.
#[repr(C, packed)]
struct Wire {
    hardware: [u8; 2],
    protocol: [u8; 2],
    hardware_len: u8,
    protocol_len: u8,
    operation: [u8; 2],
    sender_mac: MacAddress,
    sender: [u8; 4],
    target_mac: MacAddress,
    target: [u8; 4],
}

/// # Safety
///
/// `skb` is a valid buffer whose network header is that of an ARP packet.
unsafe fn wire(skb: *mut bindings::sk_buff) -> Option<*mut Wire> {
    // SAFETY: The caller promises a valid buffer; the header is read only if it
    // lies in the linear part.
    unsafe {
        let header: *mut u8 = bindings::skb_network_header(skb).cast();
        let end = (*skb).data.add(bindings::skb_headlen(skb) as usize);
        if (end as usize).checked_sub(header as usize)? < size_of::<Wire>() {
            return None;
        }
        let wire = header.cast::<Wire>();
        let ethernet_ipv4 = (*wire).protocol == [0x08, 0x00]
            && (*wire).hardware_len == 6
            && (*wire).protocol_len == 4;
        ethernet_ipv4.then_some(wire)
    }
}

impl Wire {
    fn packet(&self) -> ArpPacket {
        ArpPacket {
            operation: match self.operation {
                [0, 1] => Operation::Request,
                [0, 2] => Operation::Reply,
                _ => Operation::Other,
            },
            sender_mac: self.sender_mac,
            sender: Ipv4Addr::from(self.sender),
            target: Ipv4Addr::from(self.target),
        }
    }
}

/// # Safety
///
/// Only the kernel may call it, as an `NF_ARP_IN` hook.
unsafe extern "C" fn incoming<T: ArpFilter>(
    _private: *mut c_void,
    skb: *mut bindings::sk_buff,
    state: *const bindings::nf_hook_state,
) -> c_uint {
    let rcu = rcu::Guard::new();
    // SAFETY: The kernel passes a live namespace and device, and a packet whose
    // ARP header it has made linear.
    unsafe {
        let Some(wire) = wire(skb) else {
            return bindings::NF_ACCEPT;
        };
        let (net, dev) = (Net::from_raw((*state).net), Device::from_raw((*state).in_));
        // Others may look at the buffer, too: it is only read.
        match T::incoming(net, dev, &(*wire).packet(), &rcu) {
            Incoming::Accept => bindings::NF_ACCEPT,
            Incoming::Drop => bindings::NF_DROP,
        }
    }
}

/// # Safety
///
/// Only the kernel may call it, as an `NF_ARP_OUT` hook.
unsafe extern "C" fn outgoing<T: ArpFilter>(
    _private: *mut c_void,
    skb: *mut bindings::sk_buff,
    state: *const bindings::nf_hook_state,
) -> c_uint {
    let rcu = rcu::Guard::new();
    // SAFETY: The kernel passes a live namespace and device, and a packet that
    // `arp_create` has made and nobody else has: it is linear and begins with its
    // Ethernet header.
    unsafe {
        let Some(wire) = wire(skb) else {
            return bindings::NF_ACCEPT;
        };
        let (net, dev) = (Net::from_raw((*state).net), Device::from_raw((*state).out));
        match T::outgoing(net, dev, &(*wire).packet(), &rcu) {
            Outgoing::Accept => {}
            Outgoing::FromAddress(address) => (*wire).sender = address.octets(),
            Outgoing::FromMac(mac) => {
                (*wire).sender_mac = mac;
                let ethernet: *mut bindings::ethhdr = (*skb).data.cast();
                if core::ptr::addr_eq(ethernet.add(1), wire) {
                    (*ethernet).h_source = mac;
                }
            }
            Outgoing::Drop => return bindings::NF_DROP,
        }
        bindings::NF_ACCEPT
    }
}
