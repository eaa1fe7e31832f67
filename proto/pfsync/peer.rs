// SPDX-License-Identifier: GPL-2.0

//! One side of a connection, as pf sees it.
//!
//! | offset | size | field |
//! | --- | --- | --- |
//! | 0 | 2 | scrub: flags |
//! | 2 | 1 | scrub: TTL |
//! | 3 | 1 | scrub: whether the three fields of scrub hold anything |
//! | 4 | 4 | scrub: timestamp modulation |
//! | 8 | 4 | seqlo |
//! | 12 | 4 | seqhi |
//! | 16 | 4 | seqdiff |
//! | 20 | 2 | max_win |
//! | 22 | 2 | mss |
//! | 24 | 1 | state |
//! | 25 | 1 | wscale |
//! | 26 | 6 | zero |

use zerocopy::byteorder::network_endian::{U16, U32};
use zerocopy_derive::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// In [`Peer::wscale`]: the option was seen.
pub const WSCALE_SEEN: u8 = 0x80;

/// In [`Peer::wscale`]: the factor.
pub const WSCALE_FACTOR: u8 = 0x0f;

/// The bytes of the wire, in their order.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Wire {
    scrub_flags: U16,
    scrub_ttl: u8,
    scrub_valid: u8,
    scrub_timestamp: U32,
    seqlo: U32,
    seqhi: U32,
    seqdiff: U32,
    max_win: U16,
    mss: U16,
    state: u8,
    wscale: u8,
    pad: [u8; 6],
}

const _: () = assert!(size_of::<Wire>() == 32);

/// How far one side of a connection has got.
///
/// The numbers are those of TCP's states in BSD, whatever the protocol, and
/// they grow as the connection goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerState(u8);

impl PeerState {
    /// TCP: has sent nothing.
    pub const CLOSED: Self = Self(0);
    /// TCP: is ready; pf does not use it.
    pub const LISTEN: Self = Self(1);
    /// TCP: has sent its SYN.
    pub const SYN_SENT: Self = Self(2);
    /// TCP: its SYN was acknowledged.
    pub const ESTABLISHED: Self = Self(4);
    /// TCP: has the other's FIN and has sent none; pf does not use it.
    pub const CLOSE_WAIT: Self = Self(5);
    /// TCP: has sent its FIN.
    pub const CLOSING: Self = Self(7);
    /// TCP: its FIN was acknowledged.
    pub const FIN_WAIT_2: Self = Self(9);
    /// TCP: somebody sent an RST.
    pub const TIME_WAIT: Self = Self(10);
    /// TCP: pf still speaks to this side in the other's place.
    pub const PROXY_SRC: Self = Self(11);
    /// TCP: pf speaks to the other side in this one's place.
    pub const PROXY_DST: Self = Self(12);

    /// Not TCP: has sent nothing. ICMP stays at this.
    pub const NO_TRAFFIC: Self = Self(0);
    /// Not TCP: has sent something.
    pub const SINGLE: Self = Self(1);
    /// Not TCP: has sent something after it got an answer.
    pub const MULTIPLE: Self = Self(2);

    /// The state of this number, if pf has one.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number <= Self::PROXY_DST.0 {
            Some(Self(number))
        } else {
            None
        }
    }

    /// Its number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Whether pf answers in the place of one side. What it sees then is not
    /// what the other side will say.
    #[must_use]
    pub const fn is_proxy(self) -> bool {
        self.0 >= Self::PROXY_SRC.0
    }
}

/// What pf's packet normalization remembers of one side. Linux has none of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scrub {
    /// What it does.
    pub flags: u16,
    /// The lowest TTL seen.
    pub ttl: u8,
    /// Whether there is anything; OpenBSD sends 1 then.
    pub valid: u8,
    /// What it adds to TCP timestamps.
    pub timestamp: u32,
}

/// One side of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Peer {
    /// pf's packet normalization.
    pub scrub: Scrub,
    /// TCP: the highest sequence number that it sent, plus one.
    pub seqlo: u32,
    /// TCP: the highest that the other side lets it send.
    pub seqhi: u32,
    /// TCP: what is added to its sequence numbers on the way.
    pub seqdiff: u32,
    /// TCP: the largest window that it offered, before scaling.
    pub max_win: u16,
    /// TCP: its maximum segment size.
    pub mss: u16,
    /// How far it has got.
    pub state: PeerState,
    /// TCP: [`WSCALE_SEEN`] and [`WSCALE_FACTOR`].
    pub wscale: u8,
}

impl Peer {
    /// `None` if its state is one that pf does not have.
    pub(super) const fn parse(wire: &Wire) -> Option<Self> {
        let Some(state) = PeerState::new(wire.state) else {
            return None;
        };
        Some(Self {
            scrub: Scrub {
                flags: wire.scrub_flags.get(),
                ttl: wire.scrub_ttl,
                valid: wire.scrub_valid,
                timestamp: wire.scrub_timestamp.get(),
            },
            seqlo: wire.seqlo.get(),
            seqhi: wire.seqhi.get(),
            seqdiff: wire.seqdiff.get(),
            max_win: wire.max_win.get(),
            mss: wire.mss.get(),
            state,
            wscale: wire.wscale,
        })
    }

    pub(super) const fn emit(&self) -> Wire {
        Wire {
            scrub_flags: U16::new(self.scrub.flags),
            scrub_ttl: self.scrub.ttl,
            scrub_valid: self.scrub.valid,
            scrub_timestamp: U32::new(self.scrub.timestamp),
            seqlo: U32::new(self.seqlo),
            seqhi: U32::new(self.seqhi),
            seqdiff: U32::new(self.seqdiff),
            max_win: U16::new(self.max_win),
            mss: U16::new(self.mss),
            state: self.state.0,
            wscale: self.wscale,
            pad: [0; 6],
        }
    }
}
