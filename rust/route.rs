// SPDX-License-Identifier: GPL-2.0

//! Questions to the routing table about packets that came in.

use super::{
    bindings,
    inet6::{enabled, to_raw},
    netdevice::Device,
    skbuff::Skb,
};
use core::net::{Ipv4Addr, Ipv6Addr};
use kernel::sync::rcu;

/// What a route to an address may depend on besides.
#[derive(Clone, Copy)]
pub(crate) struct Query<A> {
    /// Where it is to lead.
    pub(crate) to: A,
    /// What the source would be; unspecified if that is open.
    pub(crate) from: A,
    /// The field of the IP header, 0 if there is none.
    pub(crate) tos: u8,
    /// The packet's mark.
    pub(crate) mark: u32,
}

impl<A> Query<A> {
    /// A question without a packet.
    pub(crate) const fn new(to: A, from: A) -> Self {
        Self {
            to,
            from,
            tos: 0,
            mark: 0,
        }
    }
}

impl Skb {
    /// The packet's mark.
    pub(crate) fn mark(&self) -> u32 {
        // SAFETY: The buffer is ours.
        unsafe { bindings::skb_mark(self.as_ptr()) }
    }
}

/// Whether the route leads out on `dev` and not on `other` too, as `nft_fib4_eval`
/// and `fib_validate_source` would find it for a packet that came in on `dev`. Not if
/// there is no route. Any context.
pub(crate) fn leads_out_on(
    dev: &Device,
    other: &Device,
    query: &Query<Ipv4Addr>,
    _rcu: &rcu::Guard,
) -> bool {
    // SAFETY: All zeroes is a valid `flowi4`, and a `fib_result` to be filled in.
    let (mut flow, mut result) = unsafe {
        (
            core::mem::zeroed::<bindings::flowi4>(),
            core::mem::zeroed::<bindings::fib_result>(),
        )
    };
    // SAFETY: `dev` is live, RCU is held.
    let l3mdev = unsafe { bindings::l3mdev_master_ifindex_rcu(dev.as_ptr()) };
    flow.__fl_common.flowic_iif = bindings::LOOPBACK_IFINDEX as i32;
    flow.__fl_common.flowic_l3mdev = l3mdev;
    flow.__fl_common.flowic_mark = query.mark;
    // SAFETY: The function has no preconditions.
    flow.__fl_common.flowic_dscp = unsafe { bindings::inet_dsfield_to_dscp(query.tos) };
    flow.daddr = u32::from_ne_bytes(query.to.octets());
    flow.saddr = u32::from_ne_bytes(query.from.octets());
    // SAFETY: The namespace is live, RCU is held; what is found stays in memory for as
    // long.
    unsafe {
        bindings::fib_lookup(
            dev.net().as_ptr(),
            &mut flow,
            &mut result,
            bindings::FIB_LOOKUP_IGNORE_LINKSTATE,
        ) == 0
            && u32::from(result.type_) == bindings::RTN_UNICAST
            && !bindings::fib_info_nh_uses_dev(result.fi, other.as_ptr())
            && bindings::fib_info_nh_uses_dev(result.fi, dev.as_ptr())
    }
}

/// Whether the route leads out on `dev`. Not if there is no route. Any context.
pub(crate) fn leads_out_on6(dev: &Device, query: &Query<Ipv6Addr>, _rcu: &rcu::Guard) -> bool {
    if !enabled() {
        return false;
    }
    // SAFETY: All zeroes is a valid `flowi6`.
    let mut flow: bindings::flowi6 = unsafe { core::mem::zeroed() };
    // SAFETY: `dev` is live, RCU is held.
    flow.__fl_common.flowic_l3mdev = unsafe { bindings::l3mdev_master_ifindex_rcu(dev.as_ptr()) };
    flow.__fl_common.flowic_mark = query.mark;
    flow.daddr = to_raw(query.to);
    flow.saddr = to_raw(query.from);
    // SAFETY: The namespace is live, no socket asks. The result is never null, and ours,
    // to be given back.
    unsafe {
        let route =
            bindings::ip6_route_output_flags(dev.net().as_ptr(), core::ptr::null(), &mut flow, 0);
        let found = (*route).error == 0 && core::ptr::eq(bindings::dst_dev(route), dev.as_ptr());
        bindings::dst_release(route);
        found
    }
}
