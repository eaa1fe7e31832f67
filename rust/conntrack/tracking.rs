// SPDX-License-Identifier: GPL-2.0

//! What is known of an entry's protocol, and how its sequence numbers are adjusted:
//! all that changes under the entry's lock.

use super::{
    adapter::context::{seconds_to_jiffies, HZ},
    bindings,
    entry::Entry,
    packet::Segment,
};
use core::marker::PhantomData;
use kernel::{prelude::*, types::NotThreadSafe};

/// Of TCP.
pub(crate) type Tcp = bindings::ip_ct_tcp;
/// Of SCTP.
pub(crate) type Sctp = bindings::ip_ct_sctp;
/// How sequence numbers of one direction are adjusted.
pub(crate) type SeqAdjust = bindings::nf_ct_seqadj;

/// In the flags of one side of TCP: its windows are not checked.
pub(crate) const BE_LIBERAL: u8 = bindings::IP_CT_TCP_FLAG_BE_LIBERAL as u8;

/// The largest factor of window scaling that there is (RFC 7323).
const MAX_SCALE: u8 = 14;

/// An entry whose lock is held.
pub(crate) struct Locked<'a>(&'a Entry, PhantomData<NotThreadSafe>);

impl Entry {
    /// Takes the entry's lock. Any context but hard interrupts.
    pub(crate) fn lock(&self) -> Locked<'_> {
        // SAFETY: `self` is a live entry.
        unsafe { bindings::spin_lock_bh(&raw mut (*self.as_ptr()).lock) };
        Locked(self, PhantomData)
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // SAFETY: We hold the lock.
        unsafe { bindings::spin_unlock_bh(&raw mut (*self.0.as_ptr()).lock) };
    }
}

impl Locked<'_> {
    fn is(&self, protocol: u32) -> bool {
        u32::from(self.0.protocol()) == protocol
    }

    /// What is known of TCP, if that is the protocol.
    pub(crate) fn tcp(&self) -> Option<Tcp> {
        if !self.is(bindings::IPPROTO_TCP) {
            return None;
        }
        // SAFETY: The protocol says which member counts; the lock is held.
        Some(unsafe { (*self.0.as_ptr()).proto.tcp })
    }

    /// Sets what is known of TCP.
    ///
    /// # Errors
    ///
    /// EINVAL: it is another protocol, or a number is none that the kernel may see:
    /// it looks up tables with them.
    pub(crate) fn set_tcp(&mut self, tcp: &Tcp) -> Result {
        if !self.is(bindings::IPPROTO_TCP)
            || u32::from(tcp.state) >= bindings::tcp_conntrack_TCP_CONNTRACK_MAX
            || tcp.last_dir > 1
            || tcp.last_wscale > MAX_SCALE
            || tcp.seen.iter().any(|side| side.td_scale > MAX_SCALE)
        {
            return Err(EINVAL);
        }
        self.put_tcp(tcp);
        Ok(())
    }

    /// The same with what [`Self::tcp`] has returned, changed only in what the kernel
    /// looks nothing up with.
    fn put_tcp(&mut self, tcp: &Tcp) {
        // SAFETY: The protocol says which member counts; the lock is held.
        unsafe { (*self.0.as_ptr()).proto.tcp = *tcp };
    }

    /// What is known of SCTP, if that is the protocol.
    pub(crate) fn sctp(&self) -> Option<Sctp> {
        if !self.is(bindings::IPPROTO_SCTP) {
            return None;
        }
        // SAFETY: The protocol says which member counts; the lock is held.
        Some(unsafe { (*self.0.as_ptr()).proto.sctp })
    }

    /// Sets what is known of SCTP.
    ///
    /// # Errors
    ///
    /// EINVAL: as with [`Self::set_tcp`].
    pub(crate) fn set_sctp(&mut self, sctp: &Sctp) -> Result {
        if !self.is(bindings::IPPROTO_SCTP)
            || sctp.state >= bindings::sctp_conntrack_SCTP_CONNTRACK_MAX
            || sctp.last_dir > 1
        {
            return Err(EINVAL);
        }
        // SAFETY: The protocol says which member counts; the lock is held.
        unsafe { (*self.0.as_ptr()).proto.sctp = *sctp };
        Ok(())
    }

    /// The two timeouts of GRE in seconds, if that is the protocol: before there was
    /// an answer, and after.
    pub(crate) fn gre(&self) -> Option<[u32; 2]> {
        self.is(bindings::IPPROTO_GRE).then(|| {
            // SAFETY: The protocol says which member counts.
            let gre = unsafe { (*self.0.as_ptr()).proto.gre };
            [gre.timeout, gre.stream_timeout].map(|jiffies| jiffies / HZ)
        })
    }

    /// Sets GRE's timeouts. 0 says nothing, as of a peer that has none: then they stay, or
    /// are those of the namespace.
    pub(crate) fn set_gre(&mut self, seconds: [u32; 2]) {
        let Some(before) = self.gre() else {
            return;
        };
        let [timeout, stream_timeout] = seconds.map(seconds_to_jiffies);
        let gre = match (seconds, before) {
            ([0, 0], [0, 0]) => {
                // SAFETY: The entry is live, and so is its namespace.
                unsafe { bindings::gre_timeouts(self.0.as_ptr()) }
            }
            ([0, 0], _) => return,
            _ => bindings::nf_ct_gre {
                stream_timeout,
                timeout,
            },
        };
        // SAFETY: The protocol says which member counts.
        unsafe { (*self.0.as_ptr()).proto.gre = gre };
    }

    /// How sequence numbers are adjusted, if the entry has room for that.
    pub(crate) fn seq_adjust(&self) -> Option<[SeqAdjust; 2]> {
        // SAFETY: The entry is live, its extensions are complete, the lock is held.
        unsafe {
            bindings::nfct_seqadj(self.0.as_ptr())
                .as_ref()
                .map(|adjust| adjust.seq)
        }
    }

    /// Sets how they are adjusted; false, if there is no room for that.
    pub(crate) fn set_seq_adjust(&mut self, adjust: [SeqAdjust; 2]) -> bool {
        // SAFETY: The entry is live, its extensions are complete, the lock is held.
        unsafe {
            let place = bindings::nfct_seqadj(self.0.as_ptr());
            if place.is_null() {
                return false;
            }
            (*place).seq = adjust;
        }
        true
    }

    /// Learns from a segment that connection tracking has let through without looking,
    /// as the entry is lenient: how far either end has got. What is known only ever
    /// grows, for a segment that repeats old data says nothing of that. Returns whether
    /// the segment can be one of the connection.
    ///
    /// The segment is as connection tracking has seen it: not adjusted yet.
    pub(crate) fn learn(&mut self, segment: &Segment) -> bool {
        let Some(mut tcp) = self.tcp() else {
            return true;
        };
        let ack = segment.ack.map(|ack| {
            let other = u32::from(!segment.is_reply);
            // SAFETY: The entry is live, its extensions are complete.
            let offset =
                unsafe { bindings::nf_ct_seq_offset(self.0.as_ptr(), other, ack.wrapping_sub(1)) };
            ack.wrapping_sub(offset as u32)
        });
        let [original, reply] = &mut tcp.seen;
        let (sender, receiver) = if segment.is_reply {
            (reply, original)
        } else {
            (original, reply)
        };
        // Of an end that it knows nothing of, connection tracking has begun to learn.
        if sender.td_maxwin == 0 || receiver.td_maxwin == 0 {
            return true;
        }
        let room = SLACK.saturating_add(sender.td_maxwin.max(receiver.td_maxwin));
        let ack = ack.unwrap_or(receiver.td_end);
        if is_far(segment.end, sender.td_end, room) || is_far(ack, receiver.td_end, room) {
            return false;
        }
        if !is_after(segment.end, sender.td_end) && !is_after(ack, receiver.td_end) {
            return true;
        }
        let scale = if segment.is_syn { 0 } else { sender.td_scale };
        let window = u32::from(segment.window) << scale.min(MAX_SCALE);
        // It was sent, and so was what it acknowledges; both may be sent again.
        for (value, known) in [
            (segment.end, &mut sender.td_end),
            (segment.end, &mut sender.td_maxend),
            (ack, &mut receiver.td_end),
            (ack.wrapping_add(window.max(1)), &mut receiver.td_maxend),
        ] {
            if is_after(value, *known) {
                *known = value;
            }
        }
        sender.td_maxwin = sender.td_maxwin.max(window);
        self.put_tcp(&tcp);
        true
    }

    /// From now on connection tracking looks at TCP's windows.
    pub(crate) fn be_strict(&mut self) {
        if let Some(mut tcp) = self.tcp() {
            for side in &mut tcp.seen {
                side.flags &= !BE_LIBERAL;
            }
            self.put_tcp(&tcp);
        }
    }
}

/// How far, beside a window, a connection may have got since a peer told of it last: it
/// tells again after 128 packets by default, which are 64 KiB each at most, and twice
/// that may be lost.
const SLACK: u32 = 3 * 128 * 64 * 1024;

/// Whether two sequence numbers are farther from each other than `room`.
const fn is_far(a: u32, b: u32, room: u32) -> bool {
    (a.wrapping_sub(b) as i32).unsigned_abs() > room
}

/// Whether a sequence number comes after another one.
const fn is_after(one: u32, other: u32) -> bool {
    (other.wrapping_sub(one) as i32) < 0
}
