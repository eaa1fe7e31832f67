// SPDX-License-Identifier: GPL-2.0

//! TCP: two states of pf's, one of conntrack's.
//!
//! pf follows each side by itself, conntrack the connection. What conntrack
//! knows less is who closed first; it has a flag for that.
//!
//! | conntrack | pf, the side that closed first or opened, the other | class |
//! | --- | --- | --- |
//! | SYN_SENT | SYN sent, closed | first |
//! | SYN_SENT2 | SYN sent, SYN sent | opening |
//! | SYN_RECV | established, SYN sent | opening |
//! | ESTABLISHED | established, established | established |
//! | FIN_WAIT | closing, established | closing |
//! | CLOSE_WAIT | FIN acknowledged, established | closing |
//! | LAST_ACK | FIN acknowledged, closing | FIN wait |
//! | TIME_WAIT | FIN acknowledged, FIN acknowledged | closed |
//! | CLOSE | time wait, time wait | closed |

use super::conntrack::{
    SeqAdjust, Tcp, TcpLast, TcpSide, TcpState, TCP_BE_LIBERAL, TCP_CLOSE_INIT, TCP_WINDOW_SCALE,
};
use super::peer::{Peer, PeerState, Scrub, WSCALE_FACTOR, WSCALE_SEEN};
use super::timeout::Timeout;

/// The largest factor that TCP allows (RFC 7323); conntrack shifts by it.
pub(super) const SCALE_MAX: u8 = 14;

/// The timeout class of a connection in this state.
#[must_use]
pub const fn timeout(state: TcpState) -> Timeout {
    match state {
        TcpState::None | TcpState::SynSent => Timeout::TCP_FIRST,
        TcpState::SynSent2 | TcpState::SynRecv => Timeout::TCP_OPENING,
        TcpState::Established => Timeout::TCP_ESTABLISHED,
        TcpState::FinWait | TcpState::CloseWait => Timeout::TCP_CLOSING,
        TcpState::LastAck => Timeout::TCP_FIN_WAIT,
        TcpState::TimeWait | TcpState::Close => Timeout::TCP_CLOSED,
    }
}

/// How far the two sides have got: the initiator, the other.
#[must_use]
pub const fn peer_states(tcp: &Tcp) -> (PeerState, PeerState) {
    let [src, dst] = &tcp.seen;
    let (closer, other) = match tcp.state {
        TcpState::None => (PeerState::CLOSED, PeerState::CLOSED),
        TcpState::SynSent => (PeerState::SYN_SENT, PeerState::CLOSED),
        TcpState::SynSent2 => (PeerState::SYN_SENT, PeerState::SYN_SENT),
        TcpState::SynRecv => (PeerState::ESTABLISHED, PeerState::SYN_SENT),
        TcpState::Established => (PeerState::ESTABLISHED, PeerState::ESTABLISHED),
        TcpState::FinWait => (PeerState::CLOSING, PeerState::ESTABLISHED),
        TcpState::CloseWait => (PeerState::FIN_WAIT_2, PeerState::ESTABLISHED),
        TcpState::LastAck => (PeerState::FIN_WAIT_2, PeerState::CLOSING),
        TcpState::TimeWait => (PeerState::FIN_WAIT_2, PeerState::FIN_WAIT_2),
        TcpState::Close => (PeerState::TIME_WAIT, PeerState::TIME_WAIT),
    };
    let is_closing = matches!(
        tcp.state,
        TcpState::FinWait | TcpState::CloseWait | TcpState::LastAck
    );
    let by_other = dst.flags & TCP_CLOSE_INIT != 0 && src.flags & TCP_CLOSE_INIT == 0;
    match is_closing && by_other {
        true => (other, closer),
        false => (closer, other),
    }
}

/// What conntrack would call the connection of two sides, and which of them
/// closed first. States that pf itself does not use count as their neighbours.
#[must_use]
pub fn state(src: PeerState, dst: PeerState) -> (TcpState, Option<Closer>) {
    let closing = |peer: PeerState| peer > PeerState::CLOSE_WAIT;
    let acked = |peer: PeerState| peer >= PeerState::FIN_WAIT_2;
    let open = |peer: PeerState| peer >= PeerState::ESTABLISHED;
    let started = |peer: PeerState| peer >= PeerState::SYN_SENT;

    if src >= PeerState::TIME_WAIT || dst >= PeerState::TIME_WAIT {
        return (TcpState::Close, None);
    }
    match (closing(src), closing(dst)) {
        (true, true) => {
            // The one whose FIN is acknowledged must have been first; if that
            // is true of both or none, the initiator is as good a guess.
            let closer = if acked(dst) && !acked(src) {
                Closer::Other
            } else {
                Closer::Initiator
            };
            match acked(src) && acked(dst) {
                true => (TcpState::TimeWait, Some(closer)),
                false => (TcpState::LastAck, Some(closer)),
            }
        }
        (true, false) => (half_closed(acked(src)), Some(Closer::Initiator)),
        (false, true) => (half_closed(acked(dst)), Some(Closer::Other)),
        (false, false) => {
            let state = match (open(src), open(dst)) {
                (true, true) => TcpState::Established,
                (true, false) | (false, true) => TcpState::SynRecv,
                (false, false) if started(src) && started(dst) => TcpState::SynSent2,
                (false, false) if started(src) || started(dst) => TcpState::SynSent,
                (false, false) => TcpState::None,
            };
            (state, None)
        }
    }
}

const fn half_closed(acked: bool) -> TcpState {
    match acked {
        true => TcpState::CloseWait,
        false => TcpState::FinWait,
    }
}

/// Who closed a connection first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Closer {
    /// The initiator.
    Initiator,
    /// The other side.
    Other,
}

/// The two peers of a state: the initiator, the other.
#[must_use]
pub fn to_peers(tcp: &Tcp, adjust: &[SeqAdjust; 2]) -> (Peer, Peer) {
    let [src, dst] = &tcp.seen;
    let [adjust_src, adjust_dst] = adjust;
    let (src_state, dst_state) = peer_states(tcp);
    let offers = |side: &TcpSide| side.flags & TCP_WINDOW_SCALE != 0;
    // Until the answer to the SYN is seen, each side speaks for itself; then
    // both scale or none does.
    let undecided = matches!(tcp.state, TcpState::SynSent | TcpState::SynSent2);
    let both = offers(src) && offers(dst);
    let peer = |side: &TcpSide, adjust: &SeqAdjust, state| {
        let scales = both || (undecided && offers(side));
        // conntrack keeps a factor for both or none, however it came to it.
        let scale = side.scale.min(SCALE_MAX);
        Peer {
            scrub: Scrub::default(),
            seqlo: side.end,
            seqhi: side.maxend,
            seqdiff: adjust.after as u32,
            max_win: max_win(side.maxwin, scale),
            mss: 0,
            state,
            wscale: match scales {
                true => WSCALE_SEEN | scale,
                false => 0,
            },
        }
    };
    (
        peer(src, adjust_src, src_state),
        peer(dst, adjust_dst, dst_state),
    )
}

/// A window before scaling, rounded up: a little too much lets a packet pass
/// that is allowed, a little too little drops it.
fn max_win(scaled: u32, scale: u8) -> u16 {
    let scale = u32::from(scale);
    let down = scaled.checked_shr(scale).unwrap_or(0);
    let exact = down.checked_shl(scale) == Some(scaled);
    let up = if exact { down } else { down.saturating_add(1) };
    u16::try_from(up).unwrap_or(u16::MAX)
}

/// What conntrack would know of a connection of these two peers.
///
/// `liberal`: the windows are not to be checked.
#[must_use]
pub fn from_peers(src: &Peer, dst: &Peer, liberal: bool) -> Tcp {
    let (state, closer) = state(src.state, dst.state);
    let offers = |peer: &Peer| peer.wscale & WSCALE_SEEN != 0;
    let undecided = matches!(state, TcpState::SynSent | TcpState::SynSent2);
    let both = offers(src) && offers(dst);
    let side = |peer: &Peer, who: Closer| {
        let scales = both || (undecided && offers(peer));
        let scale = match scales {
            true => (peer.wscale & WSCALE_FACTOR).min(SCALE_MAX),
            false => 0,
        };
        let flag = |flag, set| if set { flag } else { 0 };
        TcpSide {
            end: peer.seqlo,
            maxend: peer.seqhi,
            maxwin: u32::from(peer.max_win)
                .checked_shl(u32::from(scale))
                .unwrap_or(0),
            // It has acknowledged nothing that we know of: conntrack sets this
            // with the next packet.
            maxack: 0,
            scale,
            flags: flag(TCP_WINDOW_SCALE, scales)
                | flag(TCP_CLOSE_INIT, closer == Some(who))
                | flag(TCP_BE_LIBERAL, liberal),
        }
    };
    Tcp {
        state,
        seen: [side(src, Closer::Initiator), side(dst, Closer::Other)],
        last: TcpLast::default(),
    }
}

/// The adjustment that a peer's seqdiff stands for: the same before and after.
#[must_use]
pub const fn adjust(peer: &Peer) -> SeqAdjust {
    let by = peer.seqdiff as i32;
    SeqAdjust {
        position: 0,
        before: by,
        after: by,
    }
}
