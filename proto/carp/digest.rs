// SPDX-License-Identifier: GPL-2.0

//! What the digest of an advertisement is made of.
//!
//! HMAC-SHA1, keyed with the passphrase, over: the bytes 2 (version) and 1
//! (type); in some cases a link-layer address; the vhid; every IPv4 address in
//! ascending order; every IPv6 address in ascending order; the counter. Source:
//! `carp_hmac_prepare_ctx`, `carp_hmac_generate`, `carp_hmac_verify`.
//!
//! There are two such digests. One counts link-local IPv6 addresses, the other
//! leaves them out. OpenBSD sends the latter and accepts both; so do we. FreeBSD
//! sends and accepts only the former.
//!
//! advskew, advbase and demote are not covered. That is how the protocol is.

use core::cell::Cell;
use core::hint::black_box;
use core::net::{Ipv4Addr, Ipv6Addr};

use super::packet::{Counter, Digest, TYPE_ADVERTISEMENT, VERSION};

/// The longest passphrase in bytes. OpenBSD cuts longer ones without a word;
/// ucarp takes one byte more.
pub const PASS_MAX: usize = 19;

/// Bytes of the key.
pub const KEY_LEN: usize = 20;

/// Writes the key for a passphrase: its bytes, then zero bytes. The empty passphrase
/// gives twenty zero bytes. `None` if it is longer than [`PASS_MAX`].
///
/// It is written where it stays, so that no copy of it is left on the stack.
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

/// An HMAC-SHA1 in its place. By default it has no key.
///
/// Its state is as good as the key: one can sign with it. Whatever moves it leaves a copy
/// behind that nobody wipes, so it is written where it stays, and wipes what it needed on
/// the way.
pub trait Mac: Default {
    /// Begins anew under `key`.
    fn begin(&mut self, key: &[u8; KEY_LEN]);

    /// Begins anew where `other` is now.
    fn continue_from(&mut self, other: &Self);

    /// Hashes some more bytes.
    fn update(&mut self, bytes: &[u8]);

    /// The digest of all bytes hashed, and of these `last` ones, which are not kept.
    fn digest(&self, last: &[u8]) -> Digest;

    /// Forgets the key and what was hashed.
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
    /// One that occurs twice is hashed once. Given in ascending order, for IPv6 that
    /// of [`hash_order`], the time is linear in their number, else quadratic.
    pub ipv4: V4,
    /// The interface's IPv6 addresses, link-local ones included, in any order.
    pub ipv6: V6,
}

/// The link-layer address for [`Input::lladdr`].
///
/// Only one set by hand is hashed, and only into the digest of the `leader` (the
/// lowest vhid of the interface): that is, one that is neither `virtual_mac`,
/// the address that the interface would have by itself, nor that of the
/// `parent`. FreeBSD and ucarp never hash one.
#[must_use]
pub fn hashed_lladdr(
    leader: bool,
    lladdr: [u8; 6],
    virtual_mac: [u8; 6],
    parent: [u8; 6],
) -> Option<[u8; 6]> {
    (leader && lladdr != virtual_mac && lladdr != parent).then_some(lladdr)
}

/// The digests of a virtual host, with everything but the counter hashed. By default
/// nothing is, and there is nothing to be asked for.
///
/// Once hashed they are not to be moved, see [`Mac`].
#[derive(Default)]
pub struct Digests<M> {
    without_link_local: M,
    with_link_local: M,
    /// Whether there is a link-local address; else both would be the same, and there is
    /// no `with_link_local`.
    has_link_local: bool,
    /// What [`Self::sign`] or [`Self::sign_with_link_local`] returned last.
    signed: Cell<Option<(Variant, Signature)>>,
    /// What [`Self::verify`] found good last.
    verified: Cell<Option<Signature>>,
}

/// A counter with its digest. Hosts of Linux and OpenBSD never change their counter, so
/// one that is kept saves most HMACs. It is no secret: it was sent.
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
    /// Hashes what does not change from one advertisement to the next, under the key
    /// that [`write_key`] wrote. What was hashed before is overwritten.
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

    /// Forgets the key and all that was hashed.
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
        // What a stranger sends must not drive out what is good.
        if good {
            let (counter, digest) = (*counter, *digest);
            self.verified.set(Some(Signature { counter, digest }));
        }
        good
    }
}

/// Compares in constant time.
fn equal(a: &Digest, b: &Digest) -> bool {
    let difference = a.iter().zip(b).fold(0, |seen, (a, b)| seen | (a ^ b));
    // The optimizer must not learn that only zero or not is asked for.
    black_box(difference) == 0
}

/// An IPv6 address as it is hashed, if it is.
///
/// The smallest and the largest address are left out by OpenBSD, as its search for
/// the next one begins with them.
fn hashed_ipv6(address: Ipv6Addr) -> Option<Ipv6Addr> {
    const LARGEST: Ipv6Addr = Ipv6Addr::from_bits(u128::MAX);

    (!address.is_unspecified() && address != LARGEST).then(|| hash_order(address))
}

/// By which IPv6 addresses are put in order before they are hashed: in OpenBSD's
/// kernel the second 16 bits of a link-local address hold its interface, and are
/// cleared for the hash.
#[must_use]
pub fn hash_order(address: Ipv6Addr) -> Ipv6Addr {
    if !address.is_unicast_link_local() {
        return address;
    }
    let [a, _, c, d, e, f, g, h] = address.segments();
    Ipv6Addr::new(a, 0, c, d, e, f, g, h)
}

/// Calls `hash` once for every different value that `pick` makes of `items`,
/// from the smallest to the largest.
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
    // Without memory to sort in, look for the next larger one each time, as
    // OpenBSD does.
    while let Some(next) = picked().filter(|item| last.is_none_or(|l| *item > l)).min() {
        hash(&next);
        last = Some(next);
    }
}
