// SPDX-License-Identifier: GPL-2.0

//! Timeout classes: how long a state lives after its last packet.

/// A timeout class, by pf's number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timeout(u8);

impl Timeout {
    /// TCP: the first packet was seen.
    pub const TCP_FIRST: Self = Self(0);
    /// TCP: not established yet.
    pub const TCP_OPENING: Self = Self(1);
    /// TCP: established.
    pub const TCP_ESTABLISHED: Self = Self(2);
    /// TCP: one side sent its FIN.
    pub const TCP_CLOSING: Self = Self(3);
    /// TCP: both sides sent their FIN.
    pub const TCP_FIN_WAIT: Self = Self(4);
    /// TCP: both FINs were acknowledged, or somebody sent an RST.
    pub const TCP_CLOSED: Self = Self(5);
    /// UDP: the first packet was seen.
    pub const UDP_FIRST: Self = Self(6);
    /// UDP: one side has not spoken twice.
    pub const UDP_SINGLE: Self = Self(7);
    /// UDP: packets went to and fro.
    pub const UDP_MULTIPLE: Self = Self(8);
    /// ICMP: an exchange.
    pub const ICMP_FIRST: Self = Self(9);
    /// ICMP: an error came back.
    pub const ICMP_ERROR: Self = Self(10);
    /// Other protocols: the first packet was seen.
    pub const OTHER_FIRST: Self = Self(11);
    /// Other protocols: one side has not spoken twice.
    pub const OTHER_SINGLE: Self = Self(12);
    /// Other protocols: packets went to and fro.
    pub const OTHER_MULTIPLE: Self = Self(13);

    /// pf has limits and settings in the same list. Peers may send those below
    /// "until whenever" (20), though none of them is a state's timeout.
    const LAST_ACCEPTED: u8 = 19;

    /// The class of this number, if a peer may send it.
    ///
    /// 21 and 22 say of a dying state that it is to be freed.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number <= Self::LAST_ACCEPTED {
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

    /// pf's default for it, in seconds.
    #[must_use]
    pub const fn default_seconds(self) -> u32 {
        match self {
            Self::TCP_FIRST => 120,
            Self::TCP_ESTABLISHED => 86_400,
            Self::TCP_CLOSING => 900,
            Self::TCP_FIN_WAIT => 45,
            Self::TCP_CLOSED => 90,
            Self::UDP_FIRST | Self::UDP_MULTIPLE => 60,
            Self::ICMP_FIRST => 20,
            Self::ICMP_ERROR => 10,
            Self::OTHER_FIRST | Self::OTHER_MULTIPLE => 60,
            // Opening and single; what is no state's timeout is given as little.
            _ => 30,
        }
    }
}
