// SPDX-License-Identifier: GPL-2.0

//! The digest of an advertisement.
//!
//! HMAC-SHA1, keyed with the passphrase, over: the bytes 2 (version) and 1
//! (type); in some cases a link-layer address; the vhid; every IPv4 address in
//! ascending order; every IPv6 address in ascending order; the counter. Source:
//! `carp_hmac_prepare_ctx`, `carp_hmac_generate`, `carp_hmac_verify`.
//!
//! There are two such digests, with and without link-local IPv6 addresses. OpenBSD and
//! this module send the one without and accept both. FreeBSD sends and accepts only the
//! one with them.
//!
//! The protocol's digest does not cover advskew, advbase and demote.

use core::cell::Cell;
use core::hint::black_box;
use core::net::{Ipv4Addr, Ipv6Addr};

use super::packet::{Counter, Digest, TYPE_ADVERTISEMENT, VERSION};

/// The longest passphrase in bytes. OpenBSD silently truncates longer ones; ucarp takes
/// one byte more.
pub const PASS_MAX: usize = 19;

/// Bytes of the key.
pub const KEY_LEN: usize = 20;

/// Writes the key for a passphrase: its bytes, then zero bytes. The empty passphrase
/// gives twenty zero bytes. `None` if it is longer than [`PASS_MAX`].
///
/// The key is written to its final location, so that no copy of it is left on the stack.
#[must_use]
pub fn write_key(pass: &[u8], key: &mut [u8; KEY_LEN]) -> Option<()> {
    if pass.len() > PASS_MAX {
        return None;
    }
    let padded = pass.iter().chain(core::iter::repeat(&0));
    for (to, from) in key.iter_mut().zip(padded) {
        *to = *from;
    }
    Some(())
}

/// An HMAC-SHA1 state that is not moved. By default it has no key.
///
/// The state is as secret as the key, because one can sign with it. A move would leave a
/// copy in memory that nobody wipes. So the methods write the state in place, and wipe
/// their temporary copies.
pub trait Mac: Default {
    /// Starts a new message under `key`.
    fn begin(&mut self, key: &[u8; KEY_LEN]);

    /// Copies the state of `other`.
    fn continue_from(&mut self, other: &Self);

    /// Adds `bytes` to the message.
    fn update(&mut self, bytes: &[u8]);

    /// The digest of the message followed by `last`. The state does not change.
    fn digest(&self, last: &[u8]) -> Digest;

    /// Wipes the key and the state.
    fn wipe(&mut self);
}

/// What one virtual host hashes besides its key and its counter.
///
/// The lists of addresses are anything that can be walked more than once, such as a
/// reference to a slice or to a tree.
#[derive(Clone, Copy, Debug)]
pub struct Input<V4, V6> {
    /// The virtual host, 1–255.
    pub vhid: u8,
    /// The link-layer address to hash, see [`hashed_lladdr`].
    pub lladdr: Option<[u8; 6]>,
    /// The interface's IPv4 addresses, in any order.
    ///
    /// An address that occurs twice is hashed once. The time is linear in their number if
    /// they are in ascending order (for IPv6 by [`hash_order`]), otherwise quadratic.
    pub ipv4: V4,
    /// The interface's IPv6 addresses, link-local ones included, in any order.
    pub ipv6: V6,
}

/// The link-layer address for [`Input::lladdr`].
///
/// Only an address set by hand is hashed: one that is neither `virtual_mac`, the
/// interface's default address, nor that of the `parent`. Only the digest of the
/// `leader`, the lowest vhid of the interface, covers it. FreeBSD and ucarp never hash a
/// link-layer address.
#[must_use]
pub fn hashed_lladdr(
    leader: bool,
    lladdr: [u8; 6],
    virtual_mac: [u8; 6],
    parent: [u8; 6],
) -> Option<[u8; 6]> {
    (leader && lladdr != virtual_mac && lladdr != parent).then_some(lladdr)
}

/// Both digests of a virtual host, with everything but the counter hashed. [`Self::hash`]
/// must be called before any other method.
///
/// Must not be moved after [`Self::hash`], see [`Mac`].
#[derive(Default)]
pub struct Digests<M> {
    without_link_local: M,
    with_link_local: M,
    /// Whether there is a link-local address. Without one both digests are the same, and
    /// `with_link_local` is unused.
    has_link_local: bool,
    /// What [`Self::sign`] or [`Self::sign_with_link_local`] returned last.
    signed: Cell<Option<(Variant, Signature)>>,
    /// The last signature that [`Self::verify`] accepted.
    verified: Cell<Option<Signature>>,
}

/// A counter with its digest. Linux and OpenBSD hosts never change their counter, so
/// keeping the last signature saves most HMACs. It is not secret, because it was sent.
#[derive(Clone, Copy)]
struct Signature {
    counter: Counter,
    digest: Digest,
}

/// Which of the two digests is meant.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Variant {
    WithoutLinkLocal,
    WithLinkLocal,
}

impl<M: Mac> Digests<M> {
    /// Hashes everything that does not change from one advertisement to the next, under
    /// the key that [`write_key`] wrote. Overwrites earlier digests.
    pub fn hash<'a, V4, V6>(&mut self, key: &[u8; KEY_LEN], input: &Input<V4, V6>)
    where
        V4: IntoIterator<Item = &'a Ipv4Addr> + Copy,
        V6: IntoIterator<Item = &'a Ipv6Addr> + Copy,
    {
        self.signed.set(None);
        self.verified.set(None);
        let (without, with) = (&mut self.without_link_local, &mut self.with_link_local);
        without.begin(key);
        without.update(&[VERSION, TYPE_ADVERTISEMENT]);
        if let Some(lladdr) = &input.lladdr {
            without.update(lladdr);
        }
        without.update(&[input.vhid]);
        ascending(
            input.ipv4,
            |address| Some(address).filter(|a| !a.is_unspecified() && !a.is_broadcast()),
            |address| without.update(&address.octets()),
        );

        let mut ipv6 = input.ipv6.into_iter();
        self.has_link_local = ipv6.any(Ipv6Addr::is_unicast_link_local);
        if self.has_link_local {
            with.continue_from(without);
            ascending(input.ipv6, hashed_ipv6, |address| {
                with.update(&address.octets());
            });
        } else {
            with.wipe();
        }
        ascending(
            input.ipv6,
            |address| hashed_ipv6(address).filter(|a| !a.is_unicast_link_local()),
            |address| without.update(&address.octets()),
        );
    }

    /// Wipes the key and both digests.
    pub(super) fn wipe(&mut self) {
        self.signed.set(None);
        self.verified.set(None);
        self.without_link_local.wipe();
        self.with_link_local.wipe();
    }

    /// The digest to send with `counter`, the one without link-local addresses.
    #[must_use]
    pub fn sign(&self, counter: &Counter) -> Digest {
        self.sign_as(Variant::WithoutLinkLocal, counter)
    }

    /// The digest that FreeBSD sends and accepts, with link-local addresses.
    #[must_use]
    pub fn sign_with_link_local(&self, counter: &Counter) -> Digest {
        self.sign_as(Variant::WithLinkLocal, counter)
    }

    fn sign_as(&self, variant: Variant, counter: &Counter) -> Digest {
        if let Some((kept, signature)) = self.signed.get() {
            if kept == variant && signature.counter == *counter {
                return signature.digest;
            }
        }
        let mac = match variant {
            Variant::WithLinkLocal if self.has_link_local => &self.with_link_local,
            _ => &self.without_link_local,
        };
        let (counter, digest) = (*counter, mac.digest(counter));
        self.signed
            .set(Some((variant, Signature { counter, digest })));
        digest
    }

    /// Whether `digest` is one of the two that go with `counter`.
    ///
    /// How long this takes says nothing about where the digests differ.
    #[must_use]
    pub fn verify(&self, counter: &Counter, digest: &Digest) -> bool {
        let kept = self.verified.get();
        if kept.is_some_and(|it| it.counter == *counter && equal(&it.digest, digest)) {
            return true;
        }
        let without = equal(&self.without_link_local.digest(counter), digest);
        let with = self.has_link_local && equal(&self.with_link_local.digest(counter), digest);
        let good = without | with;
        // A forged advertisement must not replace the good one.
        if good {
            let (counter, digest) = (*counter, *digest);
            self.verified.set(Some(Signature { counter, digest }));
        }
        good
    }
}

/// Compares two HMACs in constant time.
pub(in super::super) fn equal<const N: usize>(a: &[u8; N], b: &[u8; N]) -> bool {
    let difference = a.iter().zip(b).fold(0, |seen, (a, b)| seen | (a ^ b));
    // Keeps the optimizer from ending the loop at the first difference.
    black_box(difference) == 0
}

/// An IPv6 address in the form in which it is hashed; `None` if it is not hashed.
///
/// OpenBSD leaves out the smallest and the largest address, because its search for the
/// next address begins with them.
fn hashed_ipv6(address: Ipv6Addr) -> Option<Ipv6Addr> {
    const LARGEST: Ipv6Addr = Ipv6Addr::from_bits(u128::MAX);

    (!address.is_unspecified() && address != LARGEST).then(|| hash_order(address))
}

/// The sort key of an IPv6 address in the digest. OpenBSD's kernel keeps the interface of
/// a link-local address in its second 16 bits, and clears them for the hash.
#[must_use]
pub fn hash_order(address: Ipv6Addr) -> Ipv6Addr {
    if !address.is_unicast_link_local() {
        return address;
    }
    let [a, _, c, d, e, f, g, h] = address.segments();
    Ipv6Addr::new(a, 0, c, d, e, f, g, h)
}

/// Calls `hash` once for each distinct value that `pick` returns for `items`, in
/// ascending order.
fn ascending<'a, T: Copy + Ord + 'a>(
    items: impl IntoIterator<Item = &'a T> + Copy,
    pick: impl Fn(T) -> Option<T>,
    mut hash: impl FnMut(&T),
) {
    let picked = || items.into_iter().filter_map(|item| pick(*item));
    let mut last = None;
    if picked().is_sorted() {
        for item in picked().filter(|item| last.replace(*item) != Some(*item)) {
            hash(&item);
        }
        return;
    }
    // There is no memory to sort in, so each step searches for the next larger value, as
    // OpenBSD does.
    while let Some(next) = picked().filter(|item| last.is_none_or(|l| *item > l)).min() {
        hash(&next);
        last = Some(next);
    }
}
