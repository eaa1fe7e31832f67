// SPDX-License-Identifier: GPL-2.0

//! Compiled by `object.rs`, as the kernel module compiles the protocol: into one
//! object, with everything that it can be asked for.

#![no_std]
#![allow(missing_docs)]

#[path = "../../mod.rs"]
mod proto;

use core::net::{Ipv4Addr, Ipv6Addr};

use proto::carp::arp_hash::{seed_input, ArpHash};
use proto::carp::balancing::{arpbalance, hash_of_ipv4, hash_of_ipv6, Balancing, Masters};
use proto::carp::demotion::{count, is_automatic, visible_to_all, Counter};
use proto::carp::digest::{hashed_lladdr, key, Digests, Input, Mac, KEY_LEN};
use proto::carp::effects::Effects;
use proto::carp::election::{Config, Environment, Event, Family, VirtualHost};
use proto::carp::frame;
use proto::carp::neighbour::{self, solicited_node, Place, Solicitation, Speaker};
use proto::carp::packet::{checksum, Advertisement, Digest, Discard, Received};
use proto::carp::send_errors::SendErrors;
use proto::carp::time::{Instant, Interval};

/// Stands for the kernel's HMAC, of which the compiler knows as little.
#[derive(Clone)]
pub struct Opaque(pub fn(&[u8]) -> Digest, pub u64);

impl Mac for Opaque {
    fn update(&mut self, bytes: &[u8]) {
        self.1 = self.1.wrapping_add(u64::from((self.0)(bytes)[0]));
    }

    fn finish(self) -> Digest {
        (self.0)(&self.1.to_ne_bytes())
    }
}

#[inline(never)]
pub fn everything_received(
    digests: &Digests<Opaque>,
    host: &mut VirtualHost,
    env: &Environment,
    now: u64,
    ttl: u8,
    payload: &[u8],
) -> Result<Effects, Discard> {
    let received = Received::check(ttl, payload)?;
    if received.vhid() != host.config().vhid {
        return Err(Discard::BadVhid);
    }
    let advertisement = received.authenticate(digests, host.counter())?;
    let event = Event::Received(Family::Ipv6, &advertisement);
    Ok(host.handle(Instant(now), env, event))
}

#[inline(never)]
pub fn every_event(
    config: Config,
    counter: [u8; 8],
    env: &Environment,
    now: u64,
    event: Event<'_>,
) -> (VirtualHost, Effects, Option<Instant>) {
    let mut host = VirtualHost::new(config, counter);
    let effects = host.handle(Instant(now), env, event);
    let deadline = host.deadline();
    (host, effects, deadline)
}

#[inline(never)]
pub fn every_packet(
    digests: &Digests<Opaque>,
    host: &VirtualHost,
    env: &Environment,
    mac: [u8; 6],
    source: Ipv4Addr,
) -> ([u8; 36], [u8; frame::IPV4_LEN]) {
    let mut sent: Advertisement = visible_to_all(host.advertisement(env));
    sent.digest = digests.sign(host.counter());
    let mut farewell = host.bow_out(env);
    farewell.digest = digests.sign_with_link_local(host.counter());
    (farewell.emit(), frame::ipv4(mac, source, &sent))
}

#[inline(never)]
pub fn every_digest(
    pass: &[u8],
    hash: fn(&[u8]) -> Digest,
    vhid: u8,
    macs: [[u8; 6]; 3],
    ipv4: &[Ipv4Addr],
    ipv6: &[Ipv6Addr],
) -> Option<(Digests<Opaque>, u32)> {
    let key: [u8; KEY_LEN] = key(pass)?;
    let [own, ours, parent] = macs;
    let input = Input {
        vhid,
        lladdr: hashed_lladdr(vhid != 0, own, ours, parent),
        ipv4,
        ipv6,
    };
    let arp = ArpHash::new(&hash(&seed_input(&key)), &key).of(own);
    Some((Digests::new(Opaque(hash, 0), &input), arp))
}

#[inline(never)]
pub fn every_count(
    groups: &mut [Counter],
    errors: &mut SendErrors,
    name: &[u8],
    sent: bool,
    hosts: u32,
    step: i32,
) -> (u8, usize) {
    let by = errors.record(sent, hosts).or_else(|| errors.reset());
    let mut advertise = 0_usize;
    for group in &mut *groups {
        if is_automatic(name) {
            advertise = advertise.wrapping_add(usize::from(group.adjust(by.unwrap_or(step))));
        }
        match group.step(step) {
            Ok(now) => advertise = advertise.wrapping_add(usize::from(now)),
            Err(refusal) => advertise = advertise.wrapping_add(refusal.as_str().len()),
        }
    }
    (count(groups.iter().copied(), Counter::default()), advertise)
}

#[inline(never)]
pub fn every_hash(
    packet: &[u8],
    to_us: bool,
    hosts: &[bool],
    mode: Balancing,
    sender: Ipv4Addr,
) -> (bool, bool, Option<u32>, [u8; 6], u16) {
    let masters = Masters::new(hosts.iter().copied());
    (
        masters.take(hash_of_ipv4(packet, to_us)),
        masters.take(hash_of_ipv6(packet, to_us)),
        arpbalance(sender, packet.len() as u32),
        mode.in_force(hosts.len()).interface_mac(to_us.into()),
        checksum(packet),
    )
}

#[inline(never)]
pub fn every_time(now: Instant, advbase: u8, advskew: u8, any: Interval) -> [Instant; 4] {
    [
        now.after(any),
        now.after(Interval::new(advbase, advskew)),
        now.after(Interval::between_advertisements(advbase, advskew)),
        now.after(Interval::until_master_down(advbase, advskew)),
    ]
}

#[inline(never)]
pub fn every_neighbour(
    packet: &[u8],
    speaker: Speaker,
) -> Option<([u8; neighbour::LEN], [u8; neighbour::LEN], Ipv6Addr)> {
    if Place::of(packet) != Place::Solicitation {
        return None;
    }
    let solicitation = Solicitation::parse(packet)?;
    let answer = speaker.answer(&solicitation, speaker.at);
    let group = solicited_node(solicitation.target);
    Some((answer, speaker.announce(solicitation.source), group))
}

#[inline(never)]
pub fn every_frame(
    mac: [u8; 6],
    ipv4: [Ipv4Addr; 2],
    ipv6: [Ipv6Addr; 2],
    sent: &Advertisement,
) -> (
    [u8; frame::IPV6_LEN],
    [u8; frame::IPV4_PACKET_LEN],
    [u8; frame::IPV6_PACKET_LEN],
) {
    (
        frame::ipv6(mac, ipv6[0], sent),
        frame::ipv4_packet(ipv4[0], ipv4[1], sent),
        frame::ipv6_packet(ipv6[0], ipv6[1], sent),
    )
}

/// What `object.rs` must find, to show that it would find the like of it.
#[cfg(sabotage)]
#[inline(never)]
pub fn sabotage(bytes: &[u8], index: usize) -> u8 {
    bytes[index]
}
