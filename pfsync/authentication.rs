// SPDX-License-Identifier: GPL-2.0

//! Who may send frames, and what authenticates them: a section at the end of each.
//!
//! What comes in is judged by the [`Gate`], behind a lock of its own and before the session
//! hears of it. Not even that lock is held while an HMAC is made, so that processors verify
//! frames at the same time, and forged ones keep nobody from a state. What goes out is
//! signed by the session's [`Signer`].

use super::{
    counters::{Counter, Counters},
    settings::Settings,
};
use crate::{
    carp::{auth_config::AuthChange, clock},
    linux::{crypto::HmacSha256Key, lock::SpinLockBh},
    proto::{
        auth::{
            freshness::Freshness,
            key::{KeyId, Keys},
            mac::Covered,
            mode::{Mode, Outcome},
            receiver::{Notice, Receiver, Unverified},
            replay::{Replay, RING},
            sender::Sender,
            senders::MULTICAST,
            sequence::Sequence,
        },
        pfsync::{
            authentication::{self, sign},
            frame::{Discard, Frame},
            packet::check_sender,
        },
    },
};
use core::{array, net::IpAddr};
use kernel::prelude::*;

/// The keys of an interface.
pub(super) type FrameKeys = Keys<HmacSha256Key>;

/// The key that signs, with its id.
pub(super) type SigningKey = (KeyId, HmacSha256Key);

/// What was believed: 8 KiB for each sender that is told apart.
type Believed = Receiver<Replay<KVec<Sequence>>, MULTICAST>;

/// Why a frame is dropped.
pub(super) enum Dropped {
    /// It is counted, as far as there is a counter for it.
    Unheard,
    /// It is not authentic, which is counted.
    Unauthenticated(Outcome),
}

/// Who comes in.
pub(super) struct Gate {
    /// Whether states are synchronised.
    is_open: bool,
    /// The only one who may send, if there is one.
    syncpeer: Option<IpAddr>,
    mode: Mode,
    keys: FrameKeys,
    /// There once there has been a key.
    believed: Option<Believed>,
}

impl Gate {
    /// A gate that is shut.
    pub(super) fn new() -> Self {
        Self {
            is_open: false,
            syncpeer: None,
            mode: Mode::Off,
            keys: FrameKeys::default(),
            believed: None,
        }
    }

    /// Lets frames in, or none.
    pub(super) fn set_open(&mut self, is_open: bool) {
        self.is_open = is_open;
    }

    /// Lets them in by the rules of these settings, and with these keys. The old keys.
    fn set(&mut self, settings: &Settings, keys: FrameKeys) -> FrameKeys {
        self.syncpeer = settings.syncpeer;
        self.mode = settings.auth.mode;
        if let Some(believed) = &mut self.believed {
            believed.set_freshness(settings.freshness());
        }
        core::mem::replace(&mut self.keys, keys)
    }

    /// Whether there has been a key.
    pub(super) const fn has_had_key(&self) -> bool {
        self.believed.is_some()
    }

    /// The keys.
    pub(super) fn keys(&self) -> &FrameKeys {
        &self.keys
    }

    /// What can be said of a frame without an HMAC, and the key that is to verify it.
    fn examine(
        &self,
        source: IpAddr,
        frame: &Frame<'_>,
    ) -> Result<(Unverified, HmacSha256Key), Outcome> {
        let believed = self.believed.as_ref().ok_or(Outcome::UnknownKey)?;
        let trailer = authentication::trailer(frame);
        let unverified = believed.examine(&self.keys, source, trailer, clock())?;
        let key = self.keys.get(unverified.key());
        Ok((unverified, key.ok_or(Outcome::UnknownKey)?.clone()))
    }
}

/// A lock around a [`Gate`].
pub(super) type GateLock = SpinLockBh<Gate>;

/// Judges a frame from `source` to `destination`: whether it is whole, comes from who may
/// send, and is authentic, as far as that is asked for. With it comes what is to be logged
/// of the sender's clock.
///
/// # Context
///
/// Softirq. The gate's lock is not held.
///
/// # Errors
///
/// It is to be dropped.
pub(super) fn admit<'a>(
    gate: &GateLock,
    counters: &Counters,
    [source, destination]: [IpAddr; 2],
    ttl: u8,
    payload: &'a [u8],
) -> Result<(Frame<'a>, Option<Notice>), Dropped> {
    let unheard = |discard: Discard| {
        counters.count(discard.into());
        Dropped::Unheard
    };
    let (mode, frame, examined) = {
        let gate = gate.lock();
        if !gate.is_open {
            return Err(Dropped::Unheard);
        }
        check_sender(gate.syncpeer, source, destination).map_err(unheard)?;
        let frame = Frame::check(ttl, payload).map_err(unheard)?;
        if !gate.mode.examines() {
            return Ok((frame, None));
        }
        (gate.mode, frame, gate.examine(source, &frame))
    };
    let judged = examined.and_then(|(unverified, key)| {
        let verified = unverified.verify(&key, Covered::Frame(frame.bytes()))?;
        let mut gate = gate.lock();
        let believed = gate.believed.as_mut().ok_or(Outcome::UnknownKey)?;
        believed.accept(verified, clock())
    });
    let (outcome, notice) = match judged {
        Ok(notice) => (Outcome::Good, notice),
        Err(outcome) => (outcome, None),
    };
    counters.count(outcome.into());
    if !mode.believes(outcome) {
        counters.count(Counter::BadAuthentication);
        return Err(Dropped::Unauthenticated(outcome));
    }
    Ok((frame, notice))
}

/// The keys and the memory that a change asks for, made before anything changes.
pub(super) struct Prepared {
    keys: FrameKeys,
    believed: Option<Believed>,
}

impl Prepared {
    /// Takes the new keys, and makes room for what will be believed, where there was no key
    /// before. What was asked for was checked against the gate's keys. Process context, may
    /// sleep.
    ///
    /// # Errors
    ///
    /// Out of memory.
    pub(super) fn new(gate: &GateLock, change: AuthChange, settings: &Settings) -> Result<Self> {
        let needs_memory = change.adds_keys();
        let (mut keys, has_memory) = {
            let gate = gate.lock();
            let keys = gate.keys.clone();
            (keys, gate.believed.is_some())
        };
        change.change_keys(&mut keys);
        let believed = match needs_memory && !has_memory {
            true => Some(new_believed(settings)?),
            false => None,
        };
        Ok(Self { keys, believed })
    }

    /// These keys, to go back to them.
    pub(super) const fn back_to(keys: FrameKeys) -> Self {
        Self {
            keys,
            believed: None,
        }
    }

    /// The key to sign with.
    pub(super) fn active(&self) -> Option<SigningKey> {
        let active = self.keys.active();
        active.map(|(id, key)| (id, key.clone()))
    }

    /// Has the gate go by these settings and keys from now on. The keys until now.
    pub(super) fn put(self, gate: &GateLock, settings: &Settings) -> FrameKeys {
        let mut gate = gate.lock();
        if self.believed.is_some() {
            gate.believed = self.believed;
        }
        gate.set(settings, self.keys)
    }
}

/// Remembers nobody yet.
fn new_believed(settings: &Settings) -> Result<Believed> {
    let mut rings = array::from_fn::<_, MULTICAST, _>(|_| KVec::new());
    for ring in &mut rings {
        *ring = KVec::from_elem(Sequence::default(), RING, GFP_KERNEL_ACCOUNT)?;
    }
    let histories = rings.map(Replay::new);
    Ok(Receiver::new(settings.freshness(), histories, clock()))
}

/// Signs what is sent. Behind the session's lock.
pub(super) struct Signer {
    /// The key, if frames are signed.
    key: Option<SigningKey>,
    freshness: Freshness,
    sender: Sender,
}

impl Signer {
    /// One who does not sign.
    pub(super) fn new() -> Self {
        Self {
            key: None,
            freshness: Settings::DEFAULT.freshness(),
            sender: Sender::new(),
        }
    }

    /// Signs by the rules of these settings from now on, with this key. Numbers go on.
    pub(super) fn set(&mut self, settings: &Settings, key: Option<SigningKey>) {
        self.freshness = settings.freshness();
        self.key = key.filter(|_| settings.auth.mode.sends());
    }

    /// Bytes that are to be kept free behind a frame.
    pub(super) const fn room(&self) -> usize {
        match self.key {
            Some(_) => authentication::LEN,
            None => 0,
        }
    }

    /// Signs the frame that is in the first `len` bytes of a buffer, if frames are signed, for
    /// a packet from `source`. Its length then.
    ///
    /// # Errors
    ///
    /// There is no room for it.
    pub(super) fn sign(&mut self, source: IpAddr, buffer: &mut [u8], len: usize) -> Result<usize> {
        let Some((id, key)) = &self.key else {
            return Ok(len);
        };
        let number = self.sender.next(self.freshness, clock());
        sign((*id, key), source, number, buffer, len).map_err(|_| EMSGSIZE)
    }
}
