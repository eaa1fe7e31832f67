// SPDX-License-Identifier: GPL-2.0

//! Netfilter hooks for what programs on this host send over IP: a say in what leaves a
//! namespace.

use super::{
    bindings,
    inet6::Header,
    namespace::Net,
    netdevice::Device,
    netfilter::{HookSet, Hooks},
};
use core::{
    marker::PhantomData,
    net::{IpAddr, Ipv4Addr},
};
use kernel::{prelude::*, sync::rcu};

/// A packet that this host has made.
pub(crate) struct LocalPacket {
    /// Its source address.
    pub(crate) source: IpAddr,
    /// The protocol number: the first next header.
    pub(crate) protocol: u8,
    /// Whether connection tracking knows it as part of a connection that somebody else has
    /// begun.
    pub(crate) is_reply: bool,
}

/// What becomes of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is sent.
    Accept,
    /// It is not sent; the sender gets EHOSTUNREACH.
    Unreachable,
}

/// Who has a say. Softirq or process context; RCU is held, no lock of this kind's.
pub(crate) trait LocalOutFilter: 'static {
    /// A packet is about to leave by `dev`.
    fn local_out(net: &Net, dev: &Device, packet: &LocalPacket, rcu: &rcu::Guard) -> Verdict;
}

/// The hooks of one filter in a namespace.
pub(crate) type LocalOutHooks<T> = Hooks<LocalOut<T>>;

/// The set of them.
pub(crate) struct LocalOut<T>(PhantomData<fn() -> T>);

// SAFETY: The functions are hooks of these places, and look for nothing that is not always
// there.
unsafe impl<T: LocalOutFilter> HookSet for LocalOut<T> {
    const OPS: &'static [bindings::nf_hook_ops] = &[
        hook(local_out4::<T>, bindings::NFPROTO_IPV4),
        hook(local_out6::<T>, bindings::NFPROTO_IPV6),
    ];
}

type HookFunction = unsafe extern "C" fn(
    *mut c_void,
    *mut bindings::sk_buff,
    *const bindings::nf_hook_state,
) -> c_uint;

const fn hook(function: HookFunction, family: c_uint) -> bindings::nf_hook_ops {
    bindings::nf_hook_ops {
        hook: Some(function),
        pf: family as u8,
        hooknum: bindings::nf_inet_hooks_NF_INET_LOCAL_OUT,
        // Connection tracking has seen the packet, and nobody has translated it.
        priority: bindings::nf_ip_hook_priorities_NF_IP_PRI_CONNTRACK + 1,
        // SAFETY: All zeroes is a valid `nf_hook_ops`.
        ..unsafe { core::mem::zeroed() }
    }
}

/// `NF_DROP_ERR(-EHOSTUNREACH)`
const NF_UNREACHABLE: c_uint = bindings::EHOSTUNREACH << 16 | bindings::NF_DROP;

/// # Safety
///
/// Only the kernel may call it, as an `NF_INET_LOCAL_OUT` hook of IPv4.
unsafe extern "C" fn local_out4<T: LocalOutFilter>(
    _private: *mut c_void,
    skb: *mut bindings::sk_buff,
    state: *const bindings::nf_hook_state,
) -> c_uint {
    // SAFETY: The kernel passes a packet whose IPv4 header is linear.
    let header: [u8; 20] = unsafe { bindings::skb_network_header(skb).cast::<[u8; 20]>().read() };
    let [_, _, _, _, _, _, _, _, _, protocol, _, _, s0, s1, s2, s3, ..] = header;
    // SAFETY: As the caller promises.
    unsafe { local_out::<T>(skb, state, Ipv4Addr::new(s0, s1, s2, s3).into(), protocol) }
}

/// # Safety
///
/// Only the kernel may call it, as an `NF_INET_LOCAL_OUT` hook of IPv6.
unsafe extern "C" fn local_out6<T: LocalOutFilter>(
    _private: *mut c_void,
    skb: *mut bindings::sk_buff,
    state: *const bindings::nf_hook_state,
) -> c_uint {
    // SAFETY: The kernel passes a packet whose IPv6 header is linear.
    let header: [u8; 40] = unsafe { bindings::skb_network_header(skb).cast::<[u8; 40]>().read() };
    let header = Header::from(header);
    // SAFETY: As the caller promises.
    unsafe { local_out::<T>(skb, state, header.source.into(), header.next) }
}

/// # Safety
///
/// A hook's arguments.
unsafe fn local_out<T: LocalOutFilter>(
    skb: *mut bindings::sk_buff,
    state: *const bindings::nf_hook_state,
    source: IpAddr,
    protocol: u8,
) -> c_uint {
    let rcu = rcu::Guard::new();
    // SAFETY: The kernel passes a live namespace and device, and a packet with what
    // connection tracking has noted on it (`nf_ct_get`).
    unsafe {
        let noted = (*skb)._nfct;
        let info = noted as u32 & bindings::NFCT_INFOMASK;
        let packet = LocalPacket {
            source,
            protocol,
            is_reply: info == bindings::ip_conntrack_info_IP_CT_ESTABLISHED_REPLY
                || info == bindings::ip_conntrack_info_IP_CT_RELATED_REPLY,
        };
        let (net, dev) = (Net::from_raw((*state).net), Device::from_raw((*state).out));
        match T::local_out(net, dev, &packet, &rcu) {
            Verdict::Accept => bindings::NF_ACCEPT,
            Verdict::Unreachable => NF_UNREACHABLE,
        }
    }
}
