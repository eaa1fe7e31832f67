// SPDX-License-Identifier: GPL-2.0

//! A packet on its way through netfilter, and one that is held back.

use super::{
    adapter::{
        context::SoftirqsOff,
        table::{Held, Stolen},
    },
    bindings,
    entry::Entry,
    helper::Helper,
};
use core::ptr;
use kernel::{prelude::*, sync::rcu, types::Opaque};

/// What becomes of a packet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It goes on.
    Accept,
    /// It is dropped.
    Drop,
    /// Somebody has it now.
    Stolen,
    /// It was sent on, and this came of it, as who sends it reads it (`NF_DROP_GETERR`).
    Sent(c_int),
}

/// A packet that is with a hook.
pub(crate) struct Packet<'a> {
    skb: *mut bindings::sk_buff,
    state: &'a bindings::nf_hook_state,
}

/// What a segment of TCP says to both ends.
pub(crate) struct Segment {
    /// Whether it goes to the initiator.
    pub(crate) is_reply: bool,
    /// The sequence number behind it.
    pub(crate) end: u32,
    /// What it acknowledges.
    pub(crate) ack: Option<u32>,
    /// The window that it offers, as it stands in the header.
    pub(crate) window: u16,
    /// Whether it opens the connection: then its window is not scaled.
    pub(crate) is_syn: bool,
}

impl<'a> Packet<'a> {
    /// # Safety
    ///
    /// Both are what netfilter has passed to a hook for IPv4, IPv6 or a bridge that has not
    /// returned yet.
    pub(super) unsafe fn from_raw(
        skb: *mut bindings::sk_buff,
        state: &'a bindings::nf_hook_state,
    ) -> Self {
        Self { skb, state }
    }

    fn is_leaving(&self) -> bool {
        const _: () =
            assert!(bindings::NF_BR_POST_ROUTING == bindings::nf_inet_hooks_NF_INET_POST_ROUTING);
        u32::from(self.state.hook) == bindings::nf_inet_hooks_NF_INET_POST_ROUTING
    }

    /// Whether a bridge has it.
    fn is_bridged(&self) -> bool {
        u32::from(self.state.pf) == bindings::NFPROTO_BRIDGE
    }

    /// Whether a bridge has it, and a hook of IP sees it as well: of br_netfilter, whose NAT
    /// comes after ours; or because this host has sent it.
    pub(crate) fn is_also_of_ip(&self) -> bool {
        if !self.is_bridged() {
            return false;
        }
        // SAFETY: The packet is valid.
        unsafe { bindings::nf_bridge_info_exists(self.skb) || bindings::skb_valid_dst(self.skb) }
    }

    /// Whether it is IPv4, else IPv6; it is tracked.
    fn is_ipv4(&self) -> bool {
        match self.is_bridged() {
            true => self
                .entry()
                .is_some_and(|entry| u32::from(entry.family()) == bindings::AF_INET),
            false => u32::from(self.state.pf) == bindings::NFPROTO_IPV4,
        }
    }

    /// Whether it does not leave this host, or comes by a second time: on its way to
    /// a VRF's device, before it goes to the real one.
    pub(crate) fn is_inside(&self) -> bool {
        let dev = if self.is_leaving() {
            self.state.out
        } else {
            self.state.in_
        };
        if dev.is_null() {
            return false;
        }
        // SAFETY: Netfilter passes devices that are alive.
        unsafe {
            bindings::netif_is_loopback(dev)
                || self.is_leaving() && bindings::netif_is_l3_master(dev)
        }
    }

    fn entry_and_info(&self) -> Option<(&Entry, u32)> {
        let mut info = 0;
        // SAFETY: The packet is valid. It has a count of its entry.
        unsafe {
            let ct = bindings::nf_ct_get(self.skb, &raw mut info);
            (!ct.is_null()).then(|| (Entry::from_raw(ct), info))
        }
    }

    /// The packet's entry, if it is tracked.
    pub(crate) fn entry(&self) -> Option<&Entry> {
        self.entry_and_info().map(|(entry, _)| entry)
    }

    /// Whether it goes to the initiator of the connection that it is tracked as.
    pub(crate) fn is_reply(&self) -> bool {
        self.entry_and_info()
            .is_some_and(|(_, info)| info >= bindings::ip_conntrack_info_IP_CT_IS_REPLY)
    }

    /// Does what connection tracking's own last hook does, helpers and all, which puts its
    /// entry into the table; the packet may have another entry after that. Of what has a
    /// helper, that hook is not to see it again.
    pub(crate) fn confirm(&mut self) -> Verdict {
        // SAFETY: The packet is valid, and RCU is held by netfilter.
        let verdict = unsafe { bindings::nf_confirm(ptr::null_mut(), self.skb, self.state) };
        match verdict & bindings::NF_VERDICT_MASK {
            bindings::NF_ACCEPT => Verdict::Accept,
            bindings::NF_STOLEN => Verdict::Stolen,
            _ => Verdict::Drop,
        }
    }

    /// What it says, if it is TCP, of the connection that it is tracked as.
    pub(crate) fn segment(&self) -> Option<Segment> {
        self.entry()?;
        let start = self.payload()?;
        let mut header = [0; 20];
        // SAFETY: The packet is valid; the function checks that there is so much.
        unsafe {
            if bindings::skb_copy_bits(self.skb, start, header.as_mut_ptr().cast(), 20) < 0 {
                return None;
            }
        }
        let [_, _, _, _, s0, s1, s2, s3, a0, a1, a2, a3, offset, flags, w0, w1, ..] = header;
        let flag = |bit: u8| u32::from(flags >> bit & 1);
        let (fin, syn, rst, ack) = (flag(0), flag(1), flag(2), flag(4));
        // SAFETY: The packet is valid.
        let len = unsafe { bindings::skb_len(self.skb) };
        let data = len
            .checked_sub(u32::try_from(start).ok()?)?
            .checked_sub(u32::from(offset >> 4) * 4)?;
        let acknowledged = u32::from_be_bytes([a0, a1, a2, a3]);
        Some(Segment {
            is_reply: self.is_reply(),
            end: u32::from_be_bytes([s0, s1, s2, s3])
                .wrapping_add(data)
                .wrapping_add(fin + syn),
            // A reset may come with the flag and without the number.
            ack: (ack != 0 && (rst == 0 || acknowledged != 0)).then_some(acknowledged),
            window: u16::from_be_bytes([w0, w1]),
            is_syn: syn != 0,
        })
    }

    /// The network header's first bytes.
    fn header<const N: usize>(&self) -> Option<[u8; N]> {
        let mut header = [0; N];
        // SAFETY: The packet is valid; the function checks that there is so much.
        unsafe {
            let offset = bindings::skb_network_offset(self.skb);
            let to = header.as_mut_ptr().cast();
            (bindings::skb_copy_bits(self.skb, offset, to, N as c_int) == 0).then_some(header)
        }
    }

    /// Where its segment of TCP begins, if it is one, and a whole one.
    fn payload(&self) -> Option<c_int> {
        // SAFETY: The packet is valid.
        let network = unsafe { bindings::skb_network_offset(self.skb) };
        if self.is_ipv4() {
            let [first, _, _, _, _, _, frag, frag_low, _, protocol, ..] = self.header::<20>()?;
            let fragment = u16::from_be_bytes([frag & 0x1f, frag_low]) != 0;
            (u32::from(protocol) == bindings::IPPROTO_TCP && !fragment)
                .then_some(network + c_int::from(first & 0xf) * 4)
        } else {
            let [_, _, _, _, _, _, mut next, ..] = self.header::<40>()?;
            let mut fragment = 0;
            // SAFETY: The packet is valid, the places are ours.
            let start = unsafe {
                bindings::ipv6_skip_exthdr(self.skb, network + 40, &raw mut next, &raw mut fragment)
            };
            (start >= 0
                && u32::from(next) == bindings::IPPROTO_TCP
                && u16::from_be(fragment) & !7 == 0)
                .then_some(start)
        }
    }

    /// Whether it goes to one host.
    fn is_unicast(&self) -> bool {
        const MANY: u32 = bindings::RTCF_BROADCAST | bindings::RTCF_MULTICAST;
        if self.is_ipv4() {
            // SAFETY: The packet is valid, and of IPv4, so its route is, too.
            let route = unsafe { bindings::skb_rt_flags(self.skb) };
            route & MANY == 0 && self.header::<20>().is_some_and(|header| header[16] < 224)
        } else {
            self.header::<40>().is_some_and(|header| header[24] != 0xff)
        }
    }

    /// Whether nothing else is to happen to it on its way out but what [`Self::confirm`]
    /// does: then it can go on, now or later, past connection tracking's last hook. Chains
    /// of the administrator's own that come after ours do not see it.
    pub(crate) fn can_be_held(&self) -> bool {
        let rcu = rcu::Guard::new();
        self.is_leaving()
            // It would have to be cut into fragments again (`nf_ct_bridge_post`).
            && !self.is_bridged()
            && self.is_unicast()
            && self.entry().is_some_and(|entry| {
                // These get the packet back by other ways.
                entry.synproxy().is_none()
                    && !Helper::of(entry, &rcu).is_some_and(Helper::is_in_user_space)
            })
            // SAFETY: The packet is valid. Those that a bridge has, or that were given
            // a socket on their way in, would take more than we keep.
            && unsafe {
                !bindings::nf_bridge_info_exists(self.skb)
                    && !bindings::skb_sk_is_prefetched(self.skb)
            }
    }

    /// It goes on, past connection tracking's last hook, for [`Self::confirm`] has done its
    /// work, and there is nothing else: see [`Self::can_be_held`].
    pub(crate) fn send(self) -> Verdict {
        let Some(okfn) = self.state.okfn else {
            return Verdict::Accept;
        };
        // Netfilter itself has them off where it sends a packet on that was queued.
        let _softirqs = SoftirqsOff::new();
        // SAFETY: The packet is valid, and of no use to who called the hook after this.
        // RCU is held by netfilter.
        Verdict::Sent(unsafe { okfn(self.state.net, self.state.sk, self.skb) })
    }

    /// Prepares it to be held back; nothing, if it cannot be, or there is no memory.
    ///
    /// # Errors
    ///
    /// Its route is gone: it is to be dropped.
    pub(crate) fn prepare_to_hold(&mut self) -> Result<Option<KBox<HeldPacket>>, Verdict> {
        if !self.can_be_held() {
            return Ok(None);
        }
        let state = *self.state;
        // SAFETY: The packet is valid, RCU is held by netfilter; so all that it leads
        // to is there, and counted for the time after.
        unsafe {
            if !state.sk.is_null() && !bindings::sk_refcount_inc_not_zero(state.sk) {
                return Ok(None);
            }
            let dev = bindings::skb_dev(self.skb);
            for dev in [dev, state.in_, state.out] {
                bindings::dev_hold(dev);
            }
            let held = HeldPacket {
                held: Opaque::uninit(),
                skb: self.skb,
                dev,
                state,
            };
            // What fails drops `held`, which gives the counts back.
            let Ok(held) = KBox::new(held, GFP_ATOMIC) else {
                return Ok(None);
            };
            if bindings::skb_has_dst(self.skb) && !bindings::skb_dst_force(self.skb) {
                return Err(Verdict::Drop);
            }
            Ok(Some(held))
        }
    }
}

/// A packet that may be held back: its devices and its socket stay until it is
/// dropped or sent.
///
/// # Invariants
///
/// Devices and socket are counted.
#[repr(C)]
pub(crate) struct HeldPacket {
    // First, so that a pointer to it is a pointer to the whole.
    held: Opaque<bindings::pfsync_held>,
    skb: *mut bindings::sk_buff,
    dev: *mut bindings::net_device,
    state: bindings::nf_hook_state,
}

// SAFETY: What it points to is counted, and not bound to a thread.
unsafe impl Send for HeldPacket {}

// SAFETY: `pfsync_held` is the first field of a `repr(C)` structure.
unsafe impl Held for HeldPacket {}

impl Drop for HeldPacket {
    fn drop(&mut self) {
        // SAFETY: By the type invariant they are counted.
        unsafe {
            for dev in [self.dev, self.state.in_, self.state.out] {
                bindings::dev_put(dev);
            }
            if !self.state.sk.is_null() {
                bindings::sock_gen_put(self.state.sk);
            }
        }
    }
}

impl HeldPacket {
    /// Sends the packet on that was held back, past connection tracking's last hook, for
    /// [`Packet::confirm`] has done its work. No lock may be held that a receiver takes.
    pub(crate) fn send(this: Stolen<Self>) {
        let this = this.into_inner();
        let _softirqs = SoftirqsOff::new();
        let _rcu = rcu::Guard::new();
        // SAFETY: The packet is ours, for it was stolen; devices, socket and namespace are
        // there until `this` is dropped.
        unsafe {
            if let Some(okfn) = this.state.okfn {
                okfn(this.state.net, this.state.sk, this.skb);
            }
        }
    }
}
