// SPDX-License-Identifier: GPL-2.0

//! One virtual host of an interface: its election, and how it signs.

use super::{
    addresses::{Addresses, Sorted},
    transition_counts::TransitionCounts,
};
use crate::{
    linux::crypto::{HmacSha1, Secret},
    proto::carp::{
        address_change::Signer,
        advertisers::Advertisers,
        digest::{Digests, Input, Mac, KEY_LEN},
        election::{Config, VirtualHost},
        learning::Learning,
        packet::{Advertisement, Counter, Digest, Discard, Received},
        time::Instant,
    },
};
use core::net::{Ipv4Addr, Ipv6Addr};
use kernel::prelude::*;

impl Mac for HmacSha1 {
    fn begin(&mut self, key: &[u8; KEY_LEN]) {
        HmacSha1::begin(self, key);
    }

    fn continue_from(&mut self, other: &Self) {
        HmacSha1::continue_from(self, other);
    }

    fn update(&mut self, bytes: &[u8]) {
        HmacSha1::update(self, bytes);
    }

    fn digest(&self, last: &[u8]) -> Digest {
        HmacSha1::digest(self, last)
    }

    fn wipe(&mut self) {
        HmacSha1::wipe(self);
    }
}

/// What all virtual hosts of an interface hash, besides the vhid.
pub(super) struct Common<'a> {
    pub(super) key: &'a Secret<KEY_LEN>,
    /// A link-layer address set by hand, which the leader hashes.
    pub(super) lladdr: Option<[u8; 6]>,
    pub(super) addresses: &'a Addresses,
}

impl Common<'_> {
    /// What one virtual host hashes.
    pub(super) fn input(
        &self,
        vhid: u8,
        leader: bool,
    ) -> Input<&Sorted<Ipv4Addr>, &Sorted<Ipv6Addr>> {
        Input {
            vhid,
            lladdr: self.lladdr.filter(|_| leader),
            ipv4: &self.addresses.ipv4,
            ipv6: &self.addresses.ipv6,
        }
    }
}

/// The digest of the kind that the administrator chose.
fn sign(digests: &Digests<HmacSha1>, counter: &Counter, link_local: bool) -> Digest {
    match link_local {
        true => digests.sign_with_link_local(counter),
        false => digests.sign(counter),
    }
}

/// A virtual host ("carpnode").
pub(super) struct Node {
    /// The election, as the protocol has it.
    pub(super) election: VirtualHost,
    /// In one place, however nodes are moved: what was there would sign after the
    /// passphrase is gone.
    pub(super) signer: KBox<Signer<HmacSha1>>,
    /// When switches are shown the virtual MAC.
    pub(super) learning: Learning,
    /// Who else advertises it.
    pub(super) advertisers: Advertisers,
    /// How often its state has changed.
    pub(super) transitions: TransitionCounts,
}

impl Node {
    /// A virtual host that does not run yet, and has nothing to sign with; `counter` is
    /// random. Process context, may sleep.
    ///
    /// # Errors
    ///
    /// Out of memory.
    pub(super) fn new(config: Config, counter: [u8; 8]) -> Result<Self> {
        Ok(Self {
            election: VirtualHost::new(config, counter),
            signer: KBox::new(Signer::default(), GFP_KERNEL_ACCOUNT)?,
            learning: Learning::new(),
            advertisers: Advertisers::new(),
            transitions: TransitionCounts::new(),
        })
    }

    pub(super) fn vhid(&self) -> u8 {
        self.election.config().vhid
    }

    /// The advertisement, signed in every way that others may expect of us now.
    /// `link_local` says whether link-local addresses are hashed.
    pub(super) fn signed(
        &self,
        now: Instant,
        advertisement: Advertisement,
        link_local: bool,
    ) -> impl Iterator<Item = Advertisement> + '_ {
        let counter = self.election.counter();
        self.signer.digests(now).map(move |digests| {
            let mut signed = advertisement;
            signed.digest = sign(digests, counter, link_local);
            signed
        })
    }

    /// Signs with what was hashed last, so that a takeover need not.
    pub(super) fn sign_ahead(&self, link_local: bool) {
        if let Some(digests) = self.signer.current() {
            sign(digests, self.election.counter(), link_local);
        }
    }

    /// Checks an advertisement for this vhid.
    ///
    /// # Errors
    ///
    /// Why it is not to be believed.
    pub(super) fn authenticate(
        &self,
        now: Instant,
        received: &Received<'_>,
    ) -> Result<Advertisement, Discard> {
        self.signer
            .authenticate(now, received, self.election.counter())
    }
}
