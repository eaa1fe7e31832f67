// SPDX-License-Identifier: GPL-2.0

//! What an interface keeps to authenticate whole packets: keys, its own numbers, and those
//! of the hosts that it hears. Behind the interface's lock.

use super::auth_config::{AuthChange, AuthSettings};
use crate::{
    linux::{
        crypto::{HmacSha256Key, SHA256_DIGEST_SIZE},
        timer,
    },
    proto::{
        auth::{
            freshness::Freshness,
            key::{KeyId, Keys},
            mac::{Covered, Mac},
            mode::{Mode, Outcome},
            receiver::{Notice, Receiver},
            sender::Sender,
            senders::History,
            sequence::Sequence,
            trailer::{Malformed, Trailer},
        },
        carp::time::Interval,
    },
};
use core::{cell::Cell, net::IpAddr};
use kernel::prelude::*;

impl Mac for HmacSha256Key {
    fn hmac(&self, pieces: &[&[u8]]) -> [u8; SHA256_DIGEST_SIZE] {
        HmacSha256Key::hmac(self, pieces)
    }
}

/// What is kept; `N` senders are told apart.
pub(crate) struct Authentication<H, const N: usize> {
    keys: Keys<HmacSha256Key>,
    sender: Cell<Sender>,
    receiver: Receiver<H, N>,
}

impl<H: History, const N: usize> Authentication<H, N> {
    /// One without keys, which begins to hear now.
    pub(crate) fn new(histories: [H; N]) -> Self {
        let freshness = AuthSettings::DEFAULT.freshness(Interval(0));
        Self {
            keys: Keys::default(),
            sender: Cell::new(Sender::new()),
            receiver: Receiver::new(freshness, histories, now()),
        }
    }

    /// The keys.
    pub(crate) fn keys(&self) -> &Keys<HmacSha256Key> {
        &self.keys
    }

    /// Carries out a change that was checked, so that no step of it fails.
    pub(crate) fn change(&mut self, change: AuthChange) {
        for (id, key) in change.add {
            let _ = self.keys.insert(id, key);
        }
        match change.active {
            Some(Some(id)) => {
                let _ = self.keys.activate(id);
            }
            Some(None) => self.keys.deactivate(),
            None => {}
        }
        if let Some(id) = change.remove {
            let _ = self.keys.remove(id);
        }
    }

    /// Judges by these rules from now on.
    pub(crate) fn set_freshness(&mut self, freshness: Freshness) {
        self.receiver.set_freshness(freshness);
    }

    /// The key that signs, and the number of what is sent next; none where nothing is signed.
    pub(crate) fn next(&self, mode: Mode) -> Option<((KeyId, &HmacSha256Key), Sequence)> {
        let key = self.keys.active().filter(|_| mode.sends())?;
        let mut sender = self.sender.get();
        let number = sender.next(self.receiver.freshness(), now());
        self.sender.set(sender);
        Some((key, number))
    }

    /// Judges what came from `sender`.
    pub(crate) fn receive(
        &mut self,
        sender: IpAddr,
        trailer: Result<Option<Trailer>, Malformed>,
        packet: Covered<'_>,
    ) -> (Outcome, Option<Notice>) {
        let Self { keys, receiver, .. } = self;
        receiver.receive(keys, sender, trailer, packet, now())
    }
}

/// The number that the clock says.
fn now() -> Sequence {
    Sequence::at(timer::wall_clock())
}
