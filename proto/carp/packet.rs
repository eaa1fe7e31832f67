// SPDX-License-Identifier: GPL-2.0

//! The advertisement on the wire, the protocol's only message.
//!
//! | offset | size | field |
//! | --- | --- | --- |
//! | 0 | 1 | version 2 (high nibble), type 1 (low nibble) |
//! | 1 | 1 | vhid |
//! | 2 | 1 | advskew |
//! | 3 | 1 | authlen: 32-bit words of counter and digest, 7 |
//! | 4 | 1 | demote |
//! | 5 | 1 | advbase |
//! | 6 | 2 | checksum over these 36 bytes, big endian |
//! | 8 | 8 | counter |
//! | 16 | 20 | HMAC-SHA1 |
//!
//! Source: OpenBSD's `struct carp_header` in `ip_carp.h`.

use core::net::{Ipv4Addr, Ipv6Addr};

use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes as _, IntoBytes as _};
use zerocopy_derive::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::super::auth::trailer::{Malformed, Trailer};
use super::digest::{Digests, Mac};

/// The IP protocol number, which CARP shares with VRRP.
pub const PROTOCOL: u8 = 112;

/// The TTL or hop limit, the only one sent and accepted: no router stands
/// between two hosts of a group.
pub const TTL: u8 = 255;

/// The IPv4 type of service: low delay, as OpenBSD and ucarp send.
pub const TOS: u8 = 0x10;

/// Where IPv4 advertisements go unless there is a unicast peer.
pub const GROUP_IPV4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);

/// Where IPv6 advertisements go.
pub const GROUP_IPV6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12);

/// Bytes of an advertisement after the IP header.
pub const LEN: usize = 36;

/// Bytes of the counter.
pub const COUNTER_LEN: usize = 8;

/// Bytes of the digest.
pub const DIGEST_LEN: usize = 20;

/// The counter, its bytes in the order of the wire.
///
/// OpenBSD sends the same 64 random bits for ever; FreeBSD and ucarp count up.
/// Nobody checks that it grows.
pub type Counter = [u8; COUNTER_LEN];

/// An HMAC-SHA1.
pub type Digest = [u8; DIGEST_LEN];

/// The version of the protocol.
pub(in super::super) const VERSION: u8 = 2;
/// The only type that there is.
pub(super) const TYPE_ADVERTISEMENT: u8 = 1;
const AUTHLEN: u8 = 7;

/// advbase and advskew of a host that bows out; no other host may send both.
const BOW_OUT: u8 = 255;

/// The bytes of the wire, in their order.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Wire {
    version_type: u8,
    vhid: u8,
    advskew: u8,
    authlen: u8,
    demote: u8,
    advbase: u8,
    checksum: U16,
    counter: Counter,
    digest: Digest,
}

const _: () = assert!(size_of::<Wire>() == LEN);

/// What an advertisement says.
///
/// Whatever is the same in all of them is left out; [`Self::emit`] fills it in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advertisement {
    /// The virtual host, 1–255.
    pub vhid: u8,
    /// 1/256 s added to `advbase`: 0–254, 255 only when bowing out.
    pub advskew: u8,
    /// The sender's demotion count. FreeBSD and ucarp send 0 and ignore it.
    pub demote: u8,
    /// Seconds between two advertisements: 0–254, 255 only when bowing out.
    pub advbase: u8,
    /// The sender's counter.
    pub counter: Counter,
    /// What authenticates vhid, addresses and counter; not the other fields.
    pub digest: Digest,
}

impl Advertisement {
    /// The bytes after the IP header (`carp_send_ad`).
    #[must_use]
    pub fn emit(&self) -> [u8; LEN] {
        let mut wire = Wire {
            version_type: (VERSION << 4) | TYPE_ADVERTISEMENT,
            vhid: self.vhid,
            advskew: self.advskew,
            authlen: AUTHLEN,
            demote: self.demote,
            advbase: self.advbase,
            checksum: U16::ZERO,
            counter: self.counter,
            digest: self.digest,
        };
        wire.checksum = U16::new(checksum(wire.as_bytes()));
        zerocopy::transmute!(wire)
    }

    /// Whether this is the farewell of a master whose interface goes down.
    #[must_use]
    pub const fn is_bow_out(&self) -> bool {
        self.advbase == BOW_OUT && self.advskew == BOW_OUT
    }

    /// The farewell that `self`'s sender sends, still to be signed.
    #[must_use]
    pub(super) const fn into_bow_out(mut self) -> Self {
        self.advbase = BOW_OUT;
        self.advskew = BOW_OUT;
        self
    }
}

/// Why a packet was dropped, in the order in which OpenBSD checks.
///
/// A packet is counted under the first that applies (`carp_proto_input_if`,
/// `carp6_proto_input_if`, `carp_proto_input_c`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Discard {
    /// `net.inet.carp.allow` is 0.
    NotAllowed,
    /// There is no virtual host on the interface that it came through.
    BadInterface,
    /// The TTL or hop limit is not 255.
    BadTtl,
    /// It is shorter than an advertisement.
    BadLength,
    /// The checksum is wrong.
    BadChecksum,
    /// No running virtual host has this vhid.
    BadVhid,
    /// The version is not 2.
    BadVersion,
    /// The passphrase or the list of addresses differs from ours.
    BadDigest,
    /// It is our own, echoed back.
    Echo,
}

/// A received packet whose TTL, length and checksum hold.
#[derive(Clone, Copy)]
pub struct Received<'a> {
    wire: &'a Wire,
    behind: &'a [u8],
}

impl<'a> Received<'a> {
    /// Checks what can be judged without knowing the virtual host.
    ///
    /// `ttl` is the TTL or hop limit, `payload` what follows the IP header. Only
    /// its first 36 bytes are looked at, as others do: a [trailer](Self::trailer) may follow.
    ///
    /// # Errors
    ///
    /// [`Discard::BadTtl`], [`Discard::BadLength`] or [`Discard::BadChecksum`].
    pub fn check(ttl: u8, payload: &'a [u8]) -> Result<Self, Discard> {
        Self::check_beyond_link(ttl, TTL, payload)
    }

    /// The same for a unicast advertisement, which the administrator may have let come
    /// from farther away: from where a TTL of at least `min_ttl` is left.
    ///
    /// # Errors
    ///
    /// As [`Self::check`].
    pub fn check_beyond_link(ttl: u8, min_ttl: u8, payload: &'a [u8]) -> Result<Self, Discard> {
        if ttl < min_ttl {
            return Err(Discard::BadTtl);
        }
        let (wire, behind) = Wire::ref_from_prefix(payload).map_err(|_| Discard::BadLength)?;
        if checksum(wire.as_bytes()) != 0 {
            return Err(Discard::BadChecksum);
        }
        Ok(Self { wire, behind })
    }

    /// Its 36 bytes, which a trailer [covers](super::super::auth::mac::Covered).
    #[must_use]
    pub fn bytes(&self) -> &'a [u8; LEN] {
        zerocopy::transmute_ref!(self.wire)
    }

    /// What authenticates all of it, if something does.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if something else follows the advertisement.
    pub fn trailer(&self) -> Result<Option<Trailer>, Malformed> {
        Trailer::behind_advertisement(self.behind)
    }

    /// The virtual host that a packet that was not checked yet may be for.
    #[must_use]
    pub fn peek_vhid(payload: &[u8]) -> Option<u8> {
        payload.get(1).copied()
    }

    /// The virtual host that it claims to speak for.
    #[must_use]
    pub const fn vhid(&self) -> u8 {
        self.wire.vhid
    }

    /// Its advbase in seconds, whoever sent it.
    pub(super) const fn advbase(&self) -> u8 {
        self.wire.advbase
    }

    /// Its advskew in 1/256 s, whoever sent it.
    pub(super) const fn advskew(&self) -> u8 {
        self.wire.advskew
    }

    /// Its demotion count, whoever sent it.
    pub(super) const fn demote(&self) -> u8 {
        self.wire.demote
    }

    /// Checks what the virtual host has to say: version, digest, own echo.
    ///
    /// `digests` are those of the virtual host [`Self::vhid`], `own` is its
    /// counter. Type and authlen are not checked; nobody does.
    ///
    /// # Errors
    ///
    /// [`Discard::BadVersion`], [`Discard::BadDigest`] or [`Discard::Echo`].
    pub fn authenticate<M: Mac>(
        &self,
        digests: &Digests<M>,
        own: &Counter,
    ) -> Result<Advertisement, Discard> {
        let wire = self.wire;
        if wire.version_type >> 4 != VERSION {
            return Err(Discard::BadVersion);
        }
        if !digests.verify(&wire.counter, &wire.digest) {
            return Err(Discard::BadDigest);
        }
        // Only a sender that has our key gets this far, so that a counter like
        // ours says that the packet is ours; nothing is learned from timing.
        if wire.counter == *own {
            return Err(Discard::Echo);
        }
        Ok(Advertisement {
            vhid: wire.vhid,
            advskew: wire.advskew,
            demote: wire.demote,
            advbase: wire.advbase,
            counter: wire.counter,
            digest: wire.digest,
        })
    }
}

/// The MAC address of a virtual host: 00:00:5e:00:01:VHID, as in VRRP (RFC 9568,
/// section 7.3).
#[must_use]
pub const fn virtual_mac(vhid: u8) -> [u8; 6] {
    [0x00, 0x00, 0x5e, 0x00, 0x01, vhid]
}

/// The Internet checksum of `bytes` (RFC 1071), as the number to be stored in
/// big endian. Over bytes that hold their checksum it is 0.
///
/// CARP sums its own bytes alone, without a pseudo header, for IPv6 as well.
#[must_use]
pub fn checksum(bytes: &[u8]) -> u16 {
    // 64 bits do not overflow before 2^48 words.
    let mut sum: u64 = 0;
    let mut rest = bytes;
    while let [high, low, tail @ ..] = rest {
        sum = sum.wrapping_add(u64::from(u16::from_be_bytes([*high, *low])));
        rest = tail;
    }
    if let [high] = rest {
        sum = sum.wrapping_add(u64::from(u16::from_be_bytes([*high, 0])));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff).wrapping_add(sum >> 16);
    }
    !(sum as u16)
}
