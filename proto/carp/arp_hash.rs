// SPDX-License-Identifier: GPL-2.0

//! The hash of balancing arp, the older way of [balancing](super::balancing): by
//! the MAC address of whoever asks, an ARP request belongs to one of the virtual
//! hosts, and its master answers with that host's own MAC address.
//!
//! Source: `carp_hash` and `carp_hmac_prepare_ctx` of OpenBSD 5.

use super::digest::KEY_LEN;
use super::packet::Digest;

/// What is hashed before the MAC address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArpHash {
    b: u32,
    c: u32,
}

/// Bytes of what [`write_seed_input`] writes.
pub const SEED_INPUT_LEN: usize = 66;

/// Writes what to hash with a plain SHA-1 for [`ArpHash::new`]: how the HMAC of an
/// advertisement begins. It is as secret as the key.
pub fn write_seed_input(key: &[u8; KEY_LEN], input: &mut [u8; SEED_INPUT_LEN]) {
    const IPAD: u8 = 0x36;
    let padded = key.iter().chain(core::iter::repeat(&0));
    for (to, from) in input.iter_mut().zip(padded) {
        *to = IPAD ^ *from;
    }
    let [.., version, kind] = input;
    *version = 2;
    *kind = 1;
}

impl ArpHash {
    /// The hash for a `key`; `seed` is the SHA-1 of its [`write_seed_input`].
    ///
    /// OpenBSD reads the seed in the machine's byte order. All hosts of a group
    /// must agree, so here it is always that of the usual machines.
    #[must_use]
    pub const fn new(seed: &Digest, key: &[u8; KEY_LEN]) -> Self {
        let [a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3, d0, d1, d2, d3, ..] = *seed;
        let [k0, k1, k2, k3, ..] = *key;
        Self {
            b: u32::from_le_bytes([a0, a1, a2, a3]) ^ u32::from_le_bytes([b0, b1, b2, b3]),
            c: (u32::from_le_bytes([c0, c1, c2, c3]) ^ u32::from_le_bytes([d0, d1, d2, d3]))
                .wrapping_add(u32::from_le_bytes([k0, k1, k2, k3])),
        }
    }

    /// As one number, for a place that is read without a lock.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        ((self.b as u64) << u32::BITS) | self.c as u64
    }

    /// From [`Self::to_bits`].
    #[must_use]
    #[allow(clippy::cast_possible_truncation)]
    pub const fn from_bits(bits: u64) -> Self {
        Self {
            b: (bits >> u32::BITS) as u32,
            c: bits as u32,
        }
    }

    /// The hash of the MAC address of an ARP request's sender, for
    /// [`Masters::owner`](super::balancing::Masters::owner).
    #[must_use]
    pub const fn of(self, mac: [u8; 6]) -> u32 {
        let [m0, m1, m2, m3, m4, m5] = mac;
        let a = 0x9e37_79b9_u32.wrapping_add(u32::from_le_bytes([m0, m1, m2, m3]));
        let b = self.b.wrapping_add(u16::from_le_bytes([m4, m5]) as u32);
        let state = [a, b, self.c];
        let state = mix(state, 13, 8, 13);
        let state = mix(state, 12, 16, 5);
        let [_, _, hash] = mix(state, 3, 10, 15);
        hash
    }
}

/// A third of Bob Jenkins' mix of 96 bits.
const fn mix([a, b, c]: [u32; 3], first: u32, second: u32, third: u32) -> [u32; 3] {
    let a = a.wrapping_sub(b).wrapping_sub(c) ^ c.wrapping_shr(first);
    let b = b.wrapping_sub(c).wrapping_sub(a) ^ a.wrapping_shl(second);
    let c = c.wrapping_sub(a).wrapping_sub(b) ^ b.wrapping_shr(third);
    [a, b, c]
}
