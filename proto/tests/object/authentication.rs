// SPDX-License-Identifier: GPL-2.0

//! All that authentication can be asked for.

use core::fmt;
use core::net::IpAddr;

use super::proto::auth::freshness::{Freshness, Window};
use super::proto::auth::key::{KeyId, Keys, KEY_LEN};
use super::proto::auth::mac::{Covered, Mac};
use super::proto::auth::mark::Mark;
use super::proto::auth::mode::{Mode, Outcome};
use super::proto::auth::receiver::{Notice, Receiver, Unverified};
use super::proto::auth::replay::Replay;
use super::proto::auth::sender::Sender;
use super::proto::auth::sequence::Sequence;
use super::proto::auth::trailer::{sign_advertisement, SIGNED_LEN};
use super::proto::carp::packet::Received;
use super::proto::carp::time::Interval;
use super::proto::pfsync::authentication;
use super::proto::pfsync::frame::Frame;

/// Stands for a key of the kernel, of which the compiler knows as little.
pub struct Opaque(pub fn(&[&[u8]]) -> [u8; 32]);

impl Mac for Opaque {
    fn hmac(&self, pieces: &[&[u8]]) -> [u8; 32] {
        (self.0)(pieces)
    }
}

type Marks = Receiver<Mark, 8>;
type Rings = Receiver<Replay<&'static mut [Sequence]>, 4>;

#[inline(never)]
pub fn every_number(
    sender: &mut Sender,
    unix: u64,
    other: u64,
    seconds: u32,
) -> (Sequence, i64, Freshness) {
    let interval = Interval(seconds);
    let window = Window::new(seconds).unwrap_or(Window::default_for(interval));
    let freshness = match seconds {
        0 => Freshness::Monotonic,
        _ => Freshness::Time(window),
    };
    let number = sender.next(freshness, Sequence::at(unix));
    let nanos = number.nanos_after(Sequence::from_bits(other));
    (number, nanos, freshness)
}

#[inline(never)]
pub fn every_key(keys: &mut Keys<Opaque>, id: u8, key: Opaque, what: u8) -> Option<Opaque> {
    let id = KeyId::new(id)?;
    match what {
        0 if KEY_LEN.contains(&usize::from(what)) => keys.insert(id, key).ok()?,
        1 => keys.activate(id).map(|()| None).ok()?,
        2 => {
            keys.deactivate();
            None
        }
        _ => keys.remove(id).ok(),
    }
}

#[inline(never)]
pub fn every_signature(
    keys: &Keys<Opaque>,
    sender: IpAddr,
    number: Sequence,
    advertisement: &[u8; 36],
    buffer: &mut [u8],
    len: usize,
) -> Option<([u8; SIGNED_LEN], usize)> {
    let (id, key) = keys.active()?;
    let signed = sign_advertisement((id, key), sender, number, advertisement);
    let len = authentication::sign((id, key), sender, number, buffer, len).ok()?;
    Some((signed, len))
}

#[inline(never)]
pub fn every_authentication(
    receiver: &mut Marks,
    keys: &Keys<Opaque>,
    mode: Mode,
    sender: IpAddr,
    payload: &[u8],
    unix: u64,
) -> Option<(bool, Option<Notice>)> {
    let received = Received::check(255, payload).ok()?;
    let packet = Covered::Advertisement(received.bytes());
    let clock = Sequence::at(unix);
    let (outcome, notice) = receiver.receive(keys, sender, received.trailer(), packet, clock);
    if outcome == Outcome::Stale && mode == Mode::Off {
        receiver.set_freshness(Freshness::Monotonic);
    }
    let believed = mode.examines() && mode.believes(outcome);
    Some((believed, notice))
}

#[inline(never)]
pub fn every_notice(notice: Notice, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    fmt::Display::fmt(&notice, f)
}

#[inline(never)]
pub fn every_examination(
    receiver: &Rings,
    keys: &Keys<Opaque>,
    sender: IpAddr,
    payload: &[u8],
    unix: u64,
) -> Option<Result<Unverified, Outcome>> {
    let frame = Frame::check(255, payload).ok()?;
    let trailer = authentication::trailer(&frame);
    Some(receiver.examine(keys, sender, trailer, Sequence::at(unix)))
}

#[inline(never)]
pub fn every_verification(
    receiver: &mut Rings,
    keys: &Keys<Opaque>,
    unverified: Unverified,
    payload: &[u8],
    unix: u64,
) -> Result<Option<Notice>, Outcome> {
    let key = keys.get(unverified.key()).ok_or(Outcome::UnknownKey)?;
    let verified = unverified.verify(key, Covered::Frame(payload))?;
    receiver.accept(verified, Sequence::at(unix))
}

#[inline(never)]
pub fn every_receiver(
    rings: [&'static mut [Sequence]; 4],
    freshness: Freshness,
    unix: u64,
) -> (Rings, Marks) {
    let clock = Sequence::at(unix);
    let rings = rings.map(Replay::new);
    let marks = [Mark::default(); 8];
    (
        Receiver::new(freshness, rings, clock),
        Receiver::new(freshness, marks, clock),
    )
}
