// SPDX-License-Identifier: GPL-2.0

//! Fields that lie in unions and groups without a name: for these bindgen makes up names, which
//! change with the structures. So they stand here and nowhere else.
//!
//! All of it is in place, for packet paths read some of them. The functions in it need a
//! pointer to a valid structure; who changes a field is who may do so in C.

#![allow(clippy::missing_safety_doc)]

use super::*;

/// `skb->dev`
#[inline(always)]
pub(crate) unsafe fn skb_dev(skb: *const sk_buff) -> *mut net_device {
    // SAFETY: The caller has a valid buffer.
    unsafe {
        (*skb)
            .__bindgen_anon_1
            .__bindgen_anon_1
            .__bindgen_anon_1
            .dev
    }
}

/// `skb->dev = dev`
#[inline(always)]
pub(crate) unsafe fn skb_set_dev(skb: *mut sk_buff, dev: *mut net_device) {
    // SAFETY: The caller has a valid buffer.
    unsafe {
        (*skb)
            .__bindgen_anon_1
            .__bindgen_anon_1
            .__bindgen_anon_1
            .dev = dev
    };
}

/// `skb->protocol`
#[inline(always)]
pub(crate) unsafe fn skb_protocol(skb: *const sk_buff) -> __be16 {
    // SAFETY: The caller has a valid buffer.
    unsafe { (*skb).__bindgen_anon_4.headers.as_ref().protocol }
}

/// `skb->pkt_type`
#[inline(always)]
pub(crate) unsafe fn skb_pkt_type(skb: *const sk_buff) -> u32 {
    // SAFETY: The caller has a valid buffer.
    u32::from(unsafe { (*skb).__bindgen_anon_4.headers.as_ref().pkt_type() })
}

/// `skb->pkt_type = kind`
#[inline(always)]
pub(crate) unsafe fn skb_set_pkt_type(skb: *mut sk_buff, kind: u32) {
    // SAFETY: The caller has a valid buffer.
    let headers = unsafe { (*skb).__bindgen_anon_4.headers.as_mut() };
    headers.set_pkt_type(kind as u8);
}

/// `skb->vlan_all`
#[inline(always)]
pub(crate) unsafe fn skb_vlan_all(skb: *const sk_buff) -> u32 {
    // SAFETY: The caller has a valid buffer, and each member of the union is a number.
    unsafe {
        (*skb)
            .__bindgen_anon_4
            .headers
            .as_ref()
            .__bindgen_anon_2
            .vlan_all
    }
}

/// `skb->mac_header`, an offset from `skb->head`
#[inline(always)]
pub(crate) unsafe fn skb_mac_header_offset(skb: *const sk_buff) -> u16 {
    // SAFETY: The caller has a valid buffer.
    unsafe { (*skb).__bindgen_anon_4.headers.as_ref().mac_header }
}

/// `skb->network_header`, an offset from `skb->head`
#[inline(always)]
pub(crate) unsafe fn skb_network_header_offset(skb: *const sk_buff) -> u16 {
    // SAFETY: The caller has a valid buffer.
    unsafe { (*skb).__bindgen_anon_4.headers.as_ref().network_header }
}

/// `dev->priv_flags = (dev->priv_flags | set) & ~clear`; returns what it was.
#[inline(always)]
pub(crate) unsafe fn netdev_change_priv_flags(
    dev: *mut net_device,
    set: netdev_priv_flags,
    clear: netdev_priv_flags,
) -> netdev_priv_flags {
    // SAFETY: The caller has a valid device, whose flags nobody else changes meanwhile.
    let bits = unsafe { &mut (*dev).__bindgen_anon_1.__bindgen_anon_1 };
    let old = bits.priv_flags() as netdev_priv_flags;
    bits.set_priv_flags(((old | set) & !clear) as ffi::c_ulong);
    old
}

/// `dev->lltx = true`
#[inline(always)]
pub(crate) unsafe fn netdev_set_lltx(dev: *mut net_device) {
    // SAFETY: The caller has a valid device that nobody else uses yet.
    unsafe { (*dev).__bindgen_anon_1.__bindgen_anon_1.set_lltx(1) };
}

/// `ops->doit = doit`
pub(crate) const fn genl_set_doit(
    ops: &mut genl_split_ops,
    doit: unsafe extern "C" fn(*mut sk_buff, *mut genl_info) -> ffi::c_int,
) {
    ops.__bindgen_anon_1.__bindgen_anon_1 = genl_split_ops__bindgen_ty_1__bindgen_ty_1 {
        pre_doit: None,
        doit: Some(doit),
        post_doit: None,
    };
}

/// `ops->dumpit = dumpit`
pub(crate) const fn genl_set_dumpit(
    ops: &mut genl_split_ops,
    dumpit: unsafe extern "C" fn(*mut sk_buff, *mut netlink_callback) -> ffi::c_int,
) {
    ops.__bindgen_anon_1.__bindgen_anon_2 = genl_split_ops__bindgen_ty_1__bindgen_ty_2 {
        start: None,
        dumpit: Some(dumpit),
        done: None,
    };
}

/// `cb->ctx`, as long as `NETLINK_CTX_SIZE` says
#[inline(always)]
pub(crate) unsafe fn netlink_callback_ctx<T>(cb: *mut netlink_callback) -> *mut T {
    const { assert!(size_of::<T>() <= NETLINK_CTX_SIZE as usize) }
    // SAFETY: The caller has a valid callback.
    unsafe { (&raw mut (*cb).__bindgen_anon_1.ctx).cast() }
}

/// `policy->strict_start_type = from`
pub(crate) const fn nla_policy_set_strict_start(policy: &mut nla_policy, from: u16) {
    policy.__bindgen_anon_1.strict_start_type = from;
}
