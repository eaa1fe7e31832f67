// SPDX-License-Identifier: GPL-2.0

//! Compiled by `object.rs`, as the kernel module compiles the protocol: into one
//! object, with everything that it can be asked for.

#![no_std]
#![allow(missing_docs)]

pub mod authentication;

#[path = "../../mod.rs"]
mod proto;

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proto::carp::address_change::Signer;
use proto::carp::announcements::{Addresses, Announcements, Batch};
use proto::carp::arp_hash::{write_seed_input, ArpHash, SEED_INPUT_LEN};
use proto::carp::balancing::{arpbalance, hash_of_ipv4, hash_of_ipv6, Balancing, Masters};
use proto::carp::carpnodes::{Carpnode, Carpnodes};
use proto::carp::causes::{self, seconds_since, Cause, CauseName, Reason};
use proto::carp::demotion::{count, is_automatic, Counter, GroupName};
use proto::carp::digest::{hashed_lladdr, write_key, Digests, Input, Mac, KEY_LEN};
use proto::carp::effects::Effects;
use proto::carp::election::{Config, Environment, Event, Family, VirtualHost};
use proto::carp::frame;
use proto::carp::learning::Learning;
use proto::carp::neighbour::{self, solicited_node, Class, NaSender, Solicitation};
use proto::carp::packet::{checksum, Advertisement, Digest, Discard, Received};
use proto::carp::send_errors::SendErrors;
use proto::carp::time::{Instant, Interval};
use proto::pfsync::bulk_answer::{BulkAnswer, Do};
use proto::pfsync::bulk_request::{bulk_within, BulkRequest, Effects as BulkEffects, PEER_WITHIN};
use proto::pfsync::conntrack::Entry;
use proto::pfsync::defer::{Deferred, Slot, Ticket};
use proto::pfsync::expectation::Expectation;
use proto::pfsync::extra::{Companion, Extra};
use proto::pfsync::frame::{Discard as FrameDiscard, Frame, Section};
use proto::pfsync::id::StateId;
use proto::pfsync::mapping;
use proto::pfsync::merge::{judge, Verdict};
use proto::pfsync::message::Message;
use proto::pfsync::outbox::{Leave, Outbox};
use proto::pfsync::pending::{Config as PendingConfig, Pending, Step};
use proto::pfsync::short::{Bulk, Clear, Tdb};
use proto::pfsync::state::{Direction, State};
use proto::pfsync::tuples;
use proto::pfsync::twins::{self, Twin, Twins, Use};
use proto::pfsync::update::Update;
use proto::pfsync::writer::{Full, Outgoing, Writer};

/// Stands for the kernel's HMAC, of which the compiler knows as little.
pub struct Opaque(pub fn(&[u8]) -> Digest, pub u64);

impl Default for Opaque {
    fn default() -> Self {
        Self(|_| [0; 20], 0)
    }
}

impl Mac for Opaque {
    fn begin(&mut self, key: &[u8; KEY_LEN]) {
        self.1 = 0;
        self.update(key);
    }

    fn continue_from(&mut self, other: &Self) {
        (self.0, self.1) = (other.0, other.1);
    }

    fn update(&mut self, bytes: &[u8]) {
        self.1 = self.1.wrapping_add(u64::from((self.0)(bytes)[0]));
    }

    fn digest(&self, last: &[u8]) -> Digest {
        (self.0)(&[self.1 as u8, (self.0)(last)[0]])
    }

    fn wipe(&mut self) {
        self.1 = 0;
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
) -> ([u8; 36], frame::Ipv4Frame) {
    let mut sent: Advertisement = host.advertisement(env);
    sent.digest = digests.sign(host.counter());
    let mut farewell = host.bow_out(env);
    farewell.digest = digests.sign_with_link_local(host.counter());
    (farewell.emit(), frame::ipv4(mac, source, &sent.emit()))
}

/// A list with one address, or none.
struct One(Option<IpAddr>);

impl Addresses for One {
    fn next_after(&self, last: Option<IpAddr>) -> Option<IpAddr> {
        self.0.filter(|_| last.is_none())
    }
}

#[inline(never)]
pub fn every_announcement(
    announcements: &mut Announcements,
    learning: &mut Learning,
    now: u64,
    seconds: u8,
    address: Option<IpAddr>,
    mac: [u8; 6],
) -> (Batch, Option<Instant>, Option<[u8; frame::ARP_LEN]>) {
    let now = Instant(now);
    announcements.repeat(now, Interval::from_seconds(seconds), seconds != 3);
    announcements.begin(now);
    let addresses = One(address);
    let batch = announcements.due(now, &addresses);
    if announcements.in_turn(&addresses).is_none() {
        announcements.stop();
    }
    let probe = learning
        .advertised(now, seconds == 7)
        .then(|| frame::arp_probe(mac, Ipv4Addr::LOCALHOST));
    (batch, announcements.deadline(), probe)
}

#[inline(never)]
pub fn every_digest(
    digests: &mut Digests<Opaque>,
    pass: &[u8],
    hash: fn(&[u8]) -> Digest,
    vhid: u8,
    macs: [[u8; 6]; 3],
    ipv4: &[Ipv4Addr],
    ipv6: &[Ipv6Addr],
) -> Option<u32> {
    let mut key = [0; KEY_LEN];
    write_key(pass, &mut key)?;
    let mut seed_input = [0; SEED_INPUT_LEN];
    write_seed_input(&key, &mut seed_input);
    let [own, ours, parent] = macs;
    let input = Input {
        vhid,
        lladdr: hashed_lladdr(vhid != 0, own, ours, parent),
        ipv4,
        ipv6,
    };
    digests.hash(&key, &input);
    Some(ArpHash::new(&hash(&seed_input), &key).of(own))
}

#[inline(never)]
pub fn every_count(
    groups: &mut [Counter],
    errors: &mut SendErrors,
    name: &[u8],
    (now, sent): (Instant, bool),
    hosts: u32,
    step: i32,
) -> (u8, usize) {
    let by = errors
        .record(now, sent, hosts)
        .or_else(|| errors.expired(now))
        .or_else(|| errors.reset());
    let mut advertise = 0_usize;
    for group in &mut *groups {
        if is_automatic(name) {
            advertise = advertise.wrapping_add(usize::from(group.adjust(by.unwrap_or(step))));
        }
        group.adjust(step);
        match causes::step(*group, hosts, step) {
            Ok(manual) => advertise = advertise.wrapping_add(manual as usize),
            Err(refusal) => advertise = advertise.wrapping_add(refusal.as_str().len()),
        }
    }
    if let (Ok(cause_name), Ok(reason)) = (CauseName::new(name), Reason::new(name)) {
        if let Ok(cause) = Cause::new(cause_name, hosts, now, Some(hosts), reason) {
            let left = cause
                .seconds_left(now)
                .unwrap_or(seconds_since(cause.since, now));
            let bytes = cause.name.as_bytes().len() ^ cause.reason.as_bytes().len();
            advertise =
                advertise.wrapping_add(left as usize ^ bytes ^ usize::from(cause.is_over(now)));
        }
    }
    let carried = groups.iter().map(|group| (is_automatic(name), *group));
    (count(carried, Counter::default()), advertise)
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
    sender: NaSender,
) -> Option<([u8; neighbour::LEN], [u8; neighbour::LEN], Ipv6Addr)> {
    if Class::of(packet) != Class::Solicitation {
        return None;
    }
    let solicitation = Solicitation::parse(packet)?;
    let answer = sender.answer(&solicitation, sender.at);
    let group = solicited_node(solicitation.target);
    Some((answer, sender.announce(solicitation.source), group))
}

#[inline(never)]
pub fn every_carpnode(list: &[(u8, u8)], name: &[u8]) -> Result<(u8, usize), u8> {
    let nodes = Carpnodes::new(
        list.iter()
            .map(|&(vhid, advskew)| Carpnode { vhid, advskew }),
    )
    .map_err(|_| 0)?;
    let name = GroupName::new(name).ok_or(1)?;
    Ok((nodes.leader().vhid, name.as_str().len()))
}

#[inline(never)]
pub fn every_signer(
    signer: &mut Signer<Opaque>,
    now: Instant,
    new: (&[u8; KEY_LEN], &Input<&[Ipv4Addr], &[Ipv6Addr]>),
    received: &Received<'_>,
    own: &[u8; 8],
) -> Result<Advertisement, Discard> {
    signer.replace(new.0, new.1);
    signer.addresses_changed(now, new.0, new.1);
    signer.authenticate(now, received, own)
}

#[inline(never)]
pub fn every_carp_frame(
    mac: [u8; 6],
    ipv4: [Ipv4Addr; 2],
    ipv6: [Ipv6Addr; 2],
    payload: &[u8],
) -> (frame::Ipv6Frame, frame::Ipv4Packet, frame::Ipv6Packet) {
    (
        frame::ipv6(mac, ipv6[0], payload),
        frame::ipv4_packet(ipv4[0], ipv4[1], payload),
        frame::ipv6_packet(ipv6[0], ipv6[1], payload),
    )
}

#[inline(never)]
pub fn every_frame(
    ttl: u8,
    payload: &[u8],
    known: bool,
    mut entry: Entry,
    mut sink: impl FnMut(Result<Entry, &'static str>),
) -> Result<usize, FrameDiscard> {
    let mut companion = Companion::default();
    let mut others = 0_usize;
    for section in Frame::check(ttl, payload)?.sections() {
        let Section::Messages(messages) = section? else {
            continue;
        };
        for message in messages {
            let (update, extra) = match message {
                Message::Insert(state) | Message::Update(state) => {
                    let extra = companion.take(&state.id())?;
                    if !known {
                        let state = state.for_insert()?;
                        let made = mapping::import(&state, extra.as_ref());
                        sink(made.map_err(tuples::Unmappable::as_str));
                        continue;
                    }
                    (state.for_update()?, extra)
                }
                Message::UpdateCompressed(bytes) => {
                    let update = Update::parse(bytes)?;
                    let extra = companion.take(&update.id)?;
                    (update, extra)
                }
                Message::Extra(received) => {
                    companion.offer(received);
                    continue;
                }
                Message::Expectation(received) => {
                    others = others.wrapping_add(usize::from(received.parse()?.protocol));
                    continue;
                }
                Message::Clear(clear) => {
                    others = others.wrapping_add(clear.interface.name().len());
                    continue;
                }
                _ => continue,
            };
            let (src, dst, _) = mapping::peers(&entry);
            let verdict = judge(entry.original.protocol, &src, &dst, &update);
            mapping::apply(&mut entry, &update, verdict, extra.as_ref());
            sink(Ok(entry));
        }
    }
    Ok(others)
}

#[inline(never)]
pub fn every_frame_received(
    payload: &[u8],
    known: bool,
    entry: &Entry,
    sink: fn(Result<Entry, &'static str>),
) -> Result<usize, FrameDiscard> {
    every_frame(255, payload, known, *entry, sink)
}

#[inline(never)]
pub fn every_twin(protocol: u8, ours: &Twin, used: Use, theirs: &State, is_whole: bool) -> Twins {
    let theirs = Twin::from_state(theirs);
    match twins::halves(protocol, ours, &theirs) {
        Some(halves) if !is_whole => halves,
        _ => twins::twins(protocol, ours, used, &theirs, is_whole),
    }
}

#[inline(never)]
#[allow(clippy::too_many_arguments)]
pub fn every_state(
    buffer: &mut [u8],
    entry: &Entry,
    other: &State,
    id: &StateId,
    direction: Direction,
    expectation: &Expectation,
    short: (&Clear, &Bulk, &Tdb),
    extra: &Extra,
) -> Result<(usize, bool), Full> {
    let Ok((state, own)) = mapping::export(entry, *id, direction, 0) else {
        return Err(Full);
    };
    let mut writer = Writer::new(buffer)?;
    writer.push_with(id, Some(&own), Outgoing::Insert(&state))?;
    writer.push_with(id, Some(extra), Outgoing::UpdateCompressed(&state.update()))?;
    let (clear, bulk, tdb) = short;
    for message in [
        Outgoing::Update(other),
        Outgoing::Delete(other),
        Outgoing::DeleteCompressed(id),
        Outgoing::Clear(clear),
        Outgoing::Bulk(bulk),
        Outgoing::Tdb(tdb),
        Outgoing::Expectation(expectation),
    ] {
        writer.push(message)?;
        writer.end_section();
    }
    let halves = tuples::from_state(&state).and_then(|it| Ok((it, tuples::from_state(other)?)));
    let combined = halves.ok().and_then(|(one, other)| {
        tuples::other_half(direction, &one.0, &one.1)?;
        tuples::combine(one, other)
    });
    Ok((writer.finish(), combined.is_some()))
}

#[inline(never)]
pub fn every_step(
    pending: &mut Pending,
    outbox: &mut Outbox,
    config: &PendingConfig,
    now: Instant,
    verdict: Verdict,
    what: u8,
) -> (Step, Leave, u16) {
    let step = match what {
        0 => pending.updated(config, now, true),
        1 => pending.deleted(),
        2 => pending.forgotten(),
        3 => pending.updated_by_peer(now, verdict, true),
        4 => pending.requested(),
        5 => pending.acknowledged(),
        6 => pending.sent(config, now),
        7 => pending.sent_in_bulk(config, now),
        8 => pending.timer(now),
        _ => {
            let (new, step) = Pending::received(now, what == 9);
            *pending = new;
            step
        }
    };
    let leave = outbox.apply(now, &step);
    (step, leave, pending.flags(config))
}

#[inline(never)]
pub fn every_bulk(
    request: &mut BulkRequest,
    answer: &mut BulkAnswer,
    now: Instant,
    what: u8,
    states: u32,
) -> (BulkEffects, Option<Do>, Option<Instant>, Option<Instant>) {
    let effects = match what {
        0 => request.up(now),
        1 => request.down(),
        2 => request.link(now, states > 0),
        3 => request.started(now, states.to_be_bytes()),
        4 => request.ended(now, states.to_be_bytes()),
        5 => {
            *request = BulkRequest::new(bulk_within(states, states), PEER_WITHIN, true);
            answer.sent(now, states);
            BulkEffects::default()
        }
        6 => {
            answer.confirmed(now);
            answer.requested(now, states > 0);
            answer.table_walked(now, states > 1);
            BulkEffects::default()
        }
        _ => request.timer(now),
    };
    answer.walked(now);
    let next = answer.next(now, states as usize);
    (effects, next, request.deadline(), answer.deadline())
}

#[inline(never)]
pub fn every_packet_held(
    held: &mut Deferred<u64, &mut [Slot<u64>]>,
    now: Instant,
    packet: u64,
    ticket: Ticket,
) -> (Option<Ticket>, [Option<u64>; 4], Option<Instant>) {
    let (new, early) = held.hold(now, packet);
    let released = [early, held.release(ticket), held.expired(now), held.any()];
    (new, released, held.deadline())
}

/// What `object.rs` must find, to show that it would find the like of it.
#[cfg(sabotage)]
#[inline(never)]
pub fn sabotage(bytes: &[u8], index: usize) -> u8 {
    bytes[index]
}
