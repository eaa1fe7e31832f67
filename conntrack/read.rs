// SPDX-License-Identifier: GPL-2.0

//! An entry in plain numbers, and plain numbers for an entry.

use crate::linux::{
    adapter::table::Plain,
    bindings::{nf_ct_seqadj, pfsync_seqadj, pfsync_tcp_side},
    entry::{Entry, Status},
    helper::Helper,
    tracking::{Locked, Sctp, SeqAdjust, Tcp, BE_LIBERAL},
};
use kernel::sync::rcu;

/// The seconds for which an offloaded entry's copy stays at least: twice as long as it takes
/// to be told of again (`pfsync/sweep.rs`).
const OFFLOADED_TIMEOUT_MIN: u32 = 60;

/// Writes down what is known of an entry, where all is zero.
pub(super) fn read(entry: &Entry, plain: &mut Plain) {
    let status = entry.status();
    let [original, reply] = entry.tuples();
    plain.original = original;
    plain.reply = reply;
    plain.family = entry.family();
    plain.protocol = entry.protocol();
    (plain.zone, plain.zone_directions) = entry.zone();
    plain.status = status.0;
    plain.mark = entry.mark();
    plain.timeout = entry.timeout();
    let is_offloaded = status.has(Status::OFFLOAD);
    if is_offloaded {
        plain.timeout = plain
            .timeout
            .min(entry.idle_timeout().max(OFFLOADED_TIMEOUT_MIN));
    }
    (plain.start, plain.age) = entry.made();
    let [[packets, bytes], [packets_back, bytes_back]] = entry.counted();
    plain.packets = [packets, packets_back];
    plain.bytes = [bytes, bytes_back];
    plain.labels = entry.labels();
    plain.master = entry.master();
    let rcu = rcu::Guard::new();
    if let Some(helper) = Helper::of(entry, &rcu) {
        plain.helper = helper.name();
    }
    if let Some(synproxy) = entry.synproxy() {
        plain.synproxy.present = 1;
        plain.synproxy.isn = synproxy.isn;
        plain.synproxy.its = synproxy.its;
        plain.synproxy.tsoff = synproxy.tsoff;
    }
    let locked = entry.lock();
    plain.stamp = stamp(&locked);
    if let Some(adjust) = locked.seq_adjust() {
        plain.adjust = adjust.map(|adjust| pfsync_seqadj {
            position: adjust.correction_pos,
            before: adjust.offset_before,
            after: adjust.offset_after,
        });
    }
    if let Some(mut tcp) = locked.tcp() {
        if is_offloaded {
            // Nobody has looked at its windows for long.
            for side in &mut tcp.seen {
                side.flags |= BE_LIBERAL;
            }
        }
        read_tcp(&tcp, plain);
    }
    if let Some(sctp) = locked.sctp() {
        plain.sctp.state = sctp.state as u8;
        plain.sctp.vtag = sctp.vtag.map(u32::to_ne_bytes);
        plain.sctp.init = sctp.init;
        plain.sctp.last_direction = sctp.last_dir;
        plain.sctp.flags = sctp.flags;
    }
    if let Some([timeout, stream_timeout]) = locked.gre() {
        plain.gre.timeout = timeout;
        plain.gre.stream_timeout = stream_timeout;
    }
}

/// A number that changes with what packets make of TCP or SCTP; never 0.
pub(super) fn stamp(locked: &Locked<'_>) -> u64 {
    // FNV-1a, by words: whoever misses a change by chance overwrites what one packet said.
    let mix = |stamp: u64, number: u32| (stamp ^ u64::from(number)).wrapping_mul(0x100_0000_01b3);
    let stamp = if let Some(tcp) = locked.tcp() {
        let sides = tcp.seen.iter();
        let numbers = sides.flat_map(|it| [it.td_end, it.td_maxend, it.td_maxwin, it.td_maxack]);
        numbers.fold(u64::from(tcp.state), mix)
    } else if let Some(sctp) = locked.sctp() {
        sctp.vtag.into_iter().fold(sctp.state.into(), mix)
    } else {
        0
    };
    stamp | 1
}

fn read_tcp(tcp: &Tcp, plain: &mut Plain) {
    plain.tcp.state = tcp.state;
    plain.tcp.seen = tcp.seen.map(|side| pfsync_tcp_side {
        end: side.td_end,
        maxend: side.td_maxend,
        maxwin: side.td_maxwin,
        maxack: side.td_maxack,
        scale: side.td_scale,
        flags: side.flags,
    });
    let last = &mut plain.tcp.last;
    last.seq = tcp.last_seq;
    last.ack = tcp.last_ack;
    last.end = tcp.last_end;
    last.win = tcp.last_win;
    last.direction = tcp.last_dir;
    last.retrans = tcp.retrans;
    last.index = tcp.last_index;
    last.wscale = tcp.last_wscale;
    last.flags = tcp.last_flags;
}

/// What plain numbers say of TCP.
pub(super) fn tcp(plain: &Plain) -> Tcp {
    let mut tcp = Tcp {
        state: plain.tcp.state,
        last_seq: plain.tcp.last.seq,
        last_ack: plain.tcp.last.ack,
        last_end: plain.tcp.last.end,
        last_win: plain.tcp.last.win,
        last_dir: plain.tcp.last.direction,
        retrans: plain.tcp.last.retrans,
        last_index: plain.tcp.last.index,
        last_wscale: plain.tcp.last.wscale,
        last_flags: plain.tcp.last.flags,
        ..Tcp::default()
    };
    for (to, from) in tcp.seen.iter_mut().zip(&plain.tcp.seen) {
        to.td_end = from.end;
        to.td_maxend = from.maxend;
        to.td_maxwin = from.maxwin;
        to.td_maxack = from.maxack;
        to.td_scale = from.scale;
        to.flags = from.flags;
    }
    tcp
}

/// What plain numbers say of SCTP.
pub(super) fn sctp(plain: &Plain) -> Sctp {
    Sctp {
        state: u32::from(plain.sctp.state),
        vtag: plain.sctp.vtag.map(u32::from_ne_bytes),
        init: plain.sctp.init,
        last_dir: plain.sctp.last_direction,
        flags: plain.sctp.flags,
    }
}

/// What plain numbers say of the adjustment of sequence numbers.
pub(super) fn seq_adjust(plain: &Plain) -> [SeqAdjust; 2] {
    plain.adjust.map(|adjust| nf_ct_seqadj {
        correction_pos: adjust.position,
        offset_before: adjust.before,
        offset_after: adjust.after,
    })
}

/// Whether they say that sequence numbers are adjusted.
pub(super) fn is_adjusted(plain: &Plain) -> bool {
    Status(plain.status).has(Status::SEQ_ADJUST)
        || (plain.adjust.iter()).any(|adjust| adjust.before != 0 || adjust.after != 0)
}
