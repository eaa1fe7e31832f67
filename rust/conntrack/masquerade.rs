// SPDX-License-Identifier: GPL-2.0

//! What masquerade gives up: entries that left by an interface which goes down or loses the
//! address (nf_nat_masquerade.c).

use super::{bindings, entry::Entry};
use kernel::{bindings::AF_INET, prelude::*, sync::rcu};

impl Entry {
    /// Whether masquerade would give it up now. That it has, is what it looks like then;
    /// after the interface has got the address again nothing tells it any more.
    pub(crate) fn lost_masquerade(&self) -> bool {
        // SAFETY: The entry is live, its extensions are complete.
        let index = unsafe { bindings::nf_ct_masq_index(self.as_ptr()) };
        if index == 0 {
            return false;
        }
        let _rcu = rcu::Guard::new();
        // SAFETY: The entry's namespace is live as long as it has entries; RCU is held, for
        // the device and what it has of IPv4. Tuples of a confirmed entry do not change, and
        // the family says which member of the union is in use.
        unsafe {
            let net = bindings::nf_ct_net(self.as_ptr());
            let dev = bindings::dev_get_by_index_rcu(net, index);
            if dev.is_null() || (*dev).flags & bindings::net_device_flags_IFF_UP == 0 {
                return true;
            }
            let address = &raw const (*self.as_ptr()).tuplehash[1].tuple.dst.u3;
            if u32::from(self.family()) == AF_INET {
                let in_dev = bindings::__in_dev_get_rcu(dev);
                let scope = bindings::rt_scope_t_RT_SCOPE_HOST as c_int;
                in_dev.is_null()
                    || bindings::inet_confirm_addr(net, in_dev, 0, (*address).ip, scope) == 0
            } else {
                !bindings::ipv6_has_addr(net, &raw const (*address).in6, dev, 1)
            }
        }
    }
}
