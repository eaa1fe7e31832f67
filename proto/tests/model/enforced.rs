// SPDX-License-Identifier: GPL-2.0

//! Hosts that believe what is authenticated only, and somebody who has all packets but no key:
//! each can be sent again, later, to whom it was for. What becomes of it the real
//! [`Receiver`]s say.
//!
//! All clocks agree, and go on between any two events: within a tick numbers are counted. A
//! packet that its receiver would refuse now it refuses for ever, so it is forgotten; of the
//! others only their order and their age matter, and not their numbers.

use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr};

use carp_proto::auth::freshness::Freshness;
use carp_proto::auth::key::{KeyId, Keys};
use carp_proto::auth::mac::{Covered, Mac};
use carp_proto::auth::mark::Mark;
use carp_proto::auth::mode::{Mode, Outcome};
use carp_proto::auth::receiver::Receiver;
use carp_proto::auth::sequence::Sequence;
use carp_proto::auth::trailer::Trailer;

use crate::moment::{Moment, Packet};

/// Nobody forges an HMAC, so none is made.
struct Nobodys;

impl Mac for Nobodys {
    fn hmac(&self, _: &[&[u8]]) -> [u8; 32] {
        [0; 32]
    }
}

/// The number of a packet, by which no two moments differ.
#[derive(Clone, Copy, Debug, Default)]
pub struct Number(pub Sequence);

impl PartialEq for Number {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Number {}

impl Hash for Number {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

/// What hosts remember of each other, and somebody of all of them.
#[derive(Clone, Debug)]
pub struct Enforced<const N: usize> {
    freshness: Freshness,
    /// Those of the hosts that live.
    receivers: [Option<Receiver<Mark, N>>; N],
    /// So many numbers were given in this tick.
    given: u16,
    /// When the tick began.
    tick: Sequence,
    /// All packets that may be believed yet.
    pub recorded: Vec<Packet>,
}

fn address(index: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, index))
}

impl<const N: usize> Enforced<N> {
    pub fn new(freshness: Freshness, now: u64) -> Self {
        Self {
            freshness,
            receivers: [const { None }; N],
            given: 0,
            tick: Sequence::at(now),
            recorded: Vec::new(),
        }
    }

    fn clock(&self) -> Sequence {
        Sequence::from_bits(self.tick.to_bits() + u64::from(self.given))
    }

    /// A tick has passed: it is `now`, in nanoseconds.
    pub fn tick(&mut self, now: u64) {
        (self.tick, self.given) = (Sequence::at(now), 0);
        for packet in &mut self.recorded {
            packet.age += 1;
        }
    }

    pub fn boot(&mut self, index: usize) {
        let clock = self.clock();
        self.receivers[index] = Some(Receiver::new(self.freshness, [Mark::default(); N], clock));
    }

    pub fn kill(&mut self, index: usize) {
        self.receivers[index] = None;
    }

    /// Gives a packet its number, and writes it down.
    pub fn send(&mut self, packet: &mut Packet) {
        self.given += 1;
        packet.number = Number(self.clock());
        // The last one, until they are put in order.
        packet.serial = u8::MAX;
        self.recorded.push(*packet);
    }

    fn trailer(packet: &Packet) -> Trailer {
        Trailer {
            key: Self::key(),
            sequence: packet.number.0,
            tag: [0; 16],
        }
    }

    fn key() -> KeyId {
        KeyId::new(1).unwrap()
    }

    fn keys() -> Keys<Nobodys> {
        let mut keys = Keys::default();
        keys.insert(Self::key(), Nobodys).ok().unwrap();
        keys
    }

    /// Whether a packet that comes in is believed.
    pub fn believes(&mut self, packet: &Packet) -> bool {
        let clock = self.clock();
        let Some(receiver) = &mut self.receivers[usize::from(packet.to)] else {
            return false;
        };
        let trailer = Ok(Some(Self::trailer(packet)));
        let (sender, covered) = (address(packet.from), Covered::Frame(&[]));
        let (outcome, _) = receiver.receive(&Self::keys(), sender, trailer, covered, clock);
        assert!(matches!(
            outcome,
            Outcome::Good | Outcome::Stale | Outcome::Replayed
        ));
        Mode::Enforce.believes(outcome)
    }

    /// Whether somebody may believe it yet.
    fn may_be_believed(&self, packet: &Packet) -> bool {
        let clock = self.clock();
        match &self.receivers[usize::from(packet.to)] {
            Some(receiver) => {
                let trailer = Ok(Some(Self::trailer(packet)));
                let sender = address(packet.from);
                receiver
                    .examine(&Self::keys(), sender, trailer, clock)
                    .is_ok()
            }
            None => !self.freshness.is_stale(packet.number.0, clock),
        }
    }
}

/// Forgets packets that nobody would believe, and puts the others in their order.
pub fn tidy<const N: usize>(moment: &mut Moment<N>) {
    let Some(enforced) = &mut moment.enforced else {
        return;
    };
    let mut recorded = std::mem::take(&mut enforced.recorded);
    recorded.retain(|packet| enforced.may_be_believed(packet));
    let packets = &mut moment.packets;
    packets.retain(|packet| enforced.may_be_believed(packet));
    let mut numbers: Vec<_> = recorded.iter().chain(&*packets).copied().collect();
    let place = |packet: &Packet| (packet.from, packet.to, packet.number.0.to_bits());
    numbers.sort_unstable_by_key(place);
    numbers.dedup_by_key(|packet| place(packet));
    let rank = |packet: &Packet| {
        let same = |other: &&Packet| (other.from, other.to) == (packet.from, packet.to);
        let before = |other: &&Packet| place(other) < place(packet);
        numbers.iter().filter(same).filter(before).count() as u8
    };
    for packet in recorded.iter_mut().chain(&mut *packets) {
        packet.serial = rank(packet);
    }
    recorded.sort_unstable();
    packets.sort_unstable();
    enforced.recorded = recorded;
}
