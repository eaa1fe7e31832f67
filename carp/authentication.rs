// SPDX-License-Identifier: GPL-2.0

//! What an interface keeps to authenticate whole advertisements: keys, its own numbers, and
//! those of the hosts that it hears. Behind the interface's lock.

use super::auth_config::{AuthChange, AuthSettings};
use crate::{
    linux::{
        bindings,
        crypto::{HmacSha256Key, SHA256_DIGEST_SIZE},
        timer,
    },
    proto::{
        auth::{
            freshness::Freshness,
            key::{KeyId, Keys},
            mac::{Covered, Mac},
            mark::Mark,
            mode::{Mode, Outcome},
            receiver::{Notice, Receiver},
            sender::Sender,
            sequence::Sequence,
        },
        carp::{packet::Received, time::Interval},
    },
};
use core::{cell::Cell, net::IpAddr};
use kernel::prelude::*;

/// So many senders are told apart: all the unicast peers that there may be, or else more
/// hosts than share an address.
const SENDERS: usize = 2 * bindings::CARP_PEERS_MAX as usize;

impl Mac for HmacSha256Key {
    fn hmac(&self, pieces: &[&[u8]]) -> [u8; SHA256_DIGEST_SIZE] {
        HmacSha256Key::hmac(self, pieces)
    }
}

/// What is kept.
pub(super) struct Authentication {
    keys: Keys<HmacSha256Key>,
    sender: Cell<Sender>,
    receiver: Receiver<Mark, SENDERS>,
}

impl Authentication {
    /// One without keys, which begins to hear now.
    ///
    /// # Errors
    ///
    /// Out of memory.
    pub(super) fn new() -> Result<KBox<Self>> {
        let freshness = AuthSettings::DEFAULT.freshness(Interval(0));
        let auth = Self {
            keys: Keys::default(),
            sender: Cell::new(Sender::new()),
            receiver: Receiver::new(freshness, [Mark::default(); SENDERS], clock()),
        };
        Ok(KBox::new(auth, GFP_KERNEL_ACCOUNT)?)
    }

    /// The keys.
    pub(super) fn keys(&self) -> &Keys<HmacSha256Key> {
        &self.keys
    }

    /// Carries out a change that was checked.
    pub(super) fn change_keys(&mut self, change: AuthChange) {
        change.change_keys(&mut self.keys);
    }

    /// Judges by these rules from now on.
    pub(super) fn set_freshness(&mut self, freshness: Freshness) {
        self.receiver.set_freshness(freshness);
    }

    /// The key that signs, and the number of what is sent next; `None` where nothing is signed.
    pub(super) fn next(&self, mode: Mode) -> Option<((KeyId, &HmacSha256Key), Sequence)> {
        let key = self.keys.active().filter(|_| mode.sends())?;
        let mut sender = self.sender.get();
        let number = sender.next(self.receiver.freshness(), clock());
        self.sender.set(sender);
        Some((key, number))
    }

    /// Judges an advertisement that came from `sender`.
    pub(super) fn receive(
        &mut self,
        sender: IpAddr,
        received: &Received<'_>,
    ) -> (Outcome, Option<Notice>) {
        let packet = Covered::Advertisement(received.bytes());
        let Self { keys, receiver, .. } = self;
        receiver.receive(keys, sender, received.trailer(), packet, clock())
    }
}

/// The number that the wall clock says. Any context.
pub(crate) fn clock() -> Sequence {
    Sequence::at(timer::wall_clock())
}
