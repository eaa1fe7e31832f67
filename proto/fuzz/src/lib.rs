// SPDX-License-Identifier: GPL-2.0

//! What the targets share: arbitrary values of the protocol's types.

use std::net::IpAddr;

use arbitrary::{Arbitrary as _, Result, Unstructured};
use carp_proto::carp::digest::{Mac, KEY_LEN};
use carp_proto::carp::election::{Config, Environment, Families, Family};
use carp_proto::carp::packet::{Advertisement, Digest};
use carp_proto::pfsync::conntrack::{
    protocol, Details, Entry, Gre, Sctp, SeqAdjust, Status, Synproxy, Tcp, TcpLast, TcpSide,
    TcpState, Tracking, Tuple, Zone,
};
use carp_proto::pfsync::expectation::{Expectation, Kind};
use carp_proto::pfsync::extra::Extra;
use carp_proto::pfsync::frame::{Frame, Section, TTL};
use carp_proto::pfsync::id::StateId;
use carp_proto::pfsync::merge::Verdict;
use carp_proto::pfsync::message::Message;
use carp_proto::pfsync::state::{self, State};
use carp_proto::pfsync::tuples::inverse;
use carp_proto::pfsync::update::Update;
use carp_proto::text::Text;

/// All messages of a frame that we have written, of which nothing may be skipped.
pub fn messages(frame: &[u8]) -> impl Iterator<Item = Message<'_>> {
    let frame = Frame::check(TTL, frame).expect("what we send is right");
    frame.sections().flat_map(|section| match section {
        Ok(Section::Messages(messages)) => messages,
        _ => panic!("what we send is understood"),
    })
}

/// A hash that anybody can compute: what comes behind the digest is to be
/// reached, too.
#[derive(Default)]
pub struct Transparent(pub Vec<u8>);

impl Mac for Transparent {
    fn begin(&mut self, _: &[u8; KEY_LEN]) {
        self.0.clear();
    }

    fn continue_from(&mut self, other: &Self) {
        self.0.clone_from(&other.0);
    }

    fn update(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn digest(&self, _: &[u8]) -> Digest {
        [0; 20]
    }

    fn wipe(&mut self) {
        self.0.clear();
    }
}

pub fn families(u: &mut Unstructured<'_>) -> Result<Families> {
    Ok(Families {
        ipv4: bool::arbitrary(u)?,
        ipv6: bool::arbitrary(u)?,
    })
}

pub fn family(u: &mut Unstructured<'_>) -> Result<Family> {
    Ok(*u.choose(&[Family::Ipv4, Family::Ipv6])?)
}

pub fn environment(u: &mut Unstructured<'_>) -> Result<Environment> {
    Ok(Environment {
        preempt: bool::arbitrary(u)?,
        demote: u8::arbitrary(u)?,
        families: families(u)?,
        demoteskew: bool::arbitrary(u)?,
    })
}

pub fn config(u: &mut Unstructured<'_>) -> Result<Config> {
    let [vhid, advbase, advskew] = <[u8; 3]>::arbitrary(u)?;
    Ok(Config {
        vhid,
        advbase,
        advskew,
    })
}

pub fn advertisement(u: &mut Unstructured<'_>) -> Result<Advertisement> {
    let [vhid, advskew, demote, advbase] = <[u8; 4]>::arbitrary(u)?;
    Ok(Advertisement {
        vhid,
        advskew,
        demote,
        advbase,
        counter: <[u8; 8]>::arbitrary(u)?,
        digest: <[u8; 20]>::arbitrary(u)?,
    })
}

pub fn id(u: &mut Unstructured<'_>) -> Result<StateId> {
    let mut creator = <[u8; 4]>::arbitrary(u)?;
    if creator == [0; 4] {
        creator = [1; 4];
    }
    Ok(StateId {
        id: <[u8; 8]>::arbitrary(u)?,
        creator,
    })
}

pub fn verdict(u: &mut Unstructured<'_>) -> Result<Verdict> {
    Ok(Verdict {
        take_src: bool::arbitrary(u)?,
        take_dst: bool::arbitrary(u)?,
    })
}

/// Any state that is accepted: any bytes, with those put right that are checked.
pub fn any_state(u: &mut Unstructured<'_>) -> Result<State> {
    let mut bytes = <[u8; State::LEN]>::arbitrary(u)?;
    bytes[236] |= 1; // the creator
    for peer_state in [104 + 24, 136 + 24] {
        bytes[peer_state] %= 13;
    }
    bytes[252] %= 3;
    bytes[255] %= 20;
    let family = |byte: u8| if byte % 2 == 0 { 2 } else { 24 };
    bytes[250] = family(bytes[250]);
    let keys = match bytes[62] % 2 {
        0 => [0, 0],
        _ => [family(bytes[62] / 2), family(bytes[102])],
    };
    [bytes[62], bytes[102]] = keys;
    // the padding of keys and peers
    for pad in [63, 103].into_iter().chain(130..136).chain(162..168) {
        bytes[pad] = 0;
    }
    // Most are of a protocol that there is.
    if u.ratio(3, 4)? {
        bytes[251] = protocol_number(u)?;
    }
    let received = state::Received::new(&bytes).expect("long enough");
    let state = received.for_insert().expect("all that is checked is right");
    assert_eq!(state.emit(), bytes);
    Ok(state)
}

pub fn update(u: &mut Unstructured<'_>) -> Result<Update> {
    let state = any_state(u)?;
    Ok(Update {
        expire: u32::arbitrary(u)?,
        ..state.update()
    })
}

fn protocol_number(u: &mut Unstructured<'_>) -> Result<u8> {
    Ok(*u.choose(&[
        protocol::TCP,
        protocol::UDP,
        protocol::ICMP,
        protocol::ICMPV6,
        protocol::GRE,
        protocol::SCTP,
        protocol::DCCP,
        protocol::UDPLITE,
        50,
    ])?)
}

fn text<const N: usize>(u: &mut Unstructured<'_>) -> Result<Text<N>> {
    let bytes = <[u8; N]>::arbitrary(u)?;
    Ok(Text::new(&bytes).expect("no longer than it may be"))
}

fn side(u: &mut Unstructured<'_>) -> Result<TcpSide> {
    let [end, maxend, maxwin, maxack] = <[u32; 4]>::arbitrary(u)?;
    Ok(TcpSide {
        end,
        maxend,
        maxwin,
        maxack,
        scale: u.int_in_range(0..=14)?,
        flags: u8::arbitrary(u)?,
    })
}

pub fn tracking(u: &mut Unstructured<'_>, protocol: u8) -> Result<Tracking> {
    Ok(match protocol {
        protocol::TCP => {
            let [seq, ack, end] = <[u32; 3]>::arbitrary(u)?;
            let [direction, retrans, index, wscale, flags] = <[u8; 5]>::arbitrary(u)?;
            Tracking::Tcp(Tcp {
                state: TcpState::new(u.int_in_range(0..=9)?).expect("there are ten"),
                seen: [side(u)?, side(u)?],
                last: TcpLast {
                    direction,
                    retrans,
                    index,
                    wscale,
                    flags,
                    win: u16::arbitrary(u)?,
                    seq,
                    ack,
                    end,
                },
            })
        }
        protocol::SCTP => {
            let [state, last_direction, flags] = <[u8; 3]>::arbitrary(u)?;
            Tracking::Sctp(Sctp {
                state,
                vtag: <[[u8; 4]; 2]>::arbitrary(u)?,
                init: <[u8; 2]>::arbitrary(u)?,
                last_direction,
                flags,
            })
        }
        protocol::GRE => Tracking::Gre(Gre {
            timeout: u32::arbitrary(u)?,
            stream_timeout: u32::arbitrary(u)?,
        }),
        _ => Tracking::Other,
    })
}

fn adjust(u: &mut Unstructured<'_>) -> Result<SeqAdjust> {
    Ok(SeqAdjust {
        position: u32::arbitrary(u)?,
        before: i32::arbitrary(u)?,
        after: i32::arbitrary(u)?,
    })
}

fn details(u: &mut Unstructured<'_>, protocol: u8) -> Result<Details> {
    let synproxy = match bool::arbitrary(u)? {
        false => None,
        true => Some(Synproxy {
            isn: u32::arbitrary(u)?,
            its: u32::arbitrary(u)?,
            tsoff: u32::arbitrary(u)?,
        }),
    };
    Ok(Details {
        status: Status(u32::arbitrary(u)?).only(Status::SHARED),
        tracking: tracking(u, protocol)?,
        adjust: [adjust(u)?, adjust(u)?],
        zone: Zone {
            id: u16::arbitrary(u)?,
            directions: u.int_in_range(1..=3)?,
        },
        mark: u32::arbitrary(u)?,
        labels: <[u8; 16]>::arbitrary(u)?,
        helper: text(u)?,
        master: if bool::arbitrary(u)? {
            Some(id(u)?)
        } else {
            None
        },
        synproxy,
        start: u64::arbitrary(u)?,
    })
}

/// What goes beside a state; not always of the same protocol.
pub fn extra(u: &mut Unstructured<'_>, protocol: u8) -> Result<Extra> {
    let protocol = match u.ratio(7, 8)? {
        true => protocol,
        false => protocol_number(u)?,
    };
    Ok(Extra {
        details: details(u, protocol)?,
        timeout: u32::arbitrary(u)?,
        ids: match bool::arbitrary(u)? {
            true => Some(<[[u16; 2]; 2]>::arbitrary(u)?),
            false => None,
        },
        other_side: match u.ratio(1, 8)? {
            true => Some(<[u8; 16]>::arbitrary(u)?),
            false => None,
        },
        half_of: None,
        in_use: Option::<bool>::arbitrary(u)?,
    })
}

fn address(u: &mut Unstructured<'_>, ipv6: bool) -> Result<IpAddr> {
    Ok(match ipv6 {
        false => IpAddr::from(<[u8; 4]>::arbitrary(u)?),
        true => IpAddr::from(<[u8; 16]>::arbitrary(u)?),
    })
}

fn tuple(u: &mut Unstructured<'_>, protocol: u8, ipv6: bool) -> Result<Tuple> {
    Ok(Tuple {
        source: address(u, ipv6)?,
        destination: address(u, ipv6)?,
        protocol,
        ids: <[u16; 2]>::arbitrary(u)?,
    })
}

/// Any entry that conntrack could have: of one family and one protocol.
pub fn entry(u: &mut Unstructured<'_>) -> Result<Entry> {
    let protocol = protocol_number(u)?;
    let ipv6 = bool::arbitrary(u)?;
    let original = tuple(u, protocol, ipv6)?;
    let reply = match u.int_in_range(0..=2)? {
        0 => inverse(&original),
        // one end is translated
        1 => Tuple {
            destination: address(u, ipv6)?,
            ..inverse(&original)
        },
        _ => tuple(u, protocol, ipv6)?,
    };
    Ok(Entry {
        original,
        reply,
        timeout: u32::arbitrary(u)?,
        age: u32::arbitrary(u)?,
        packets: <[u64; 2]>::arbitrary(u)?,
        bytes: <[u64; 2]>::arbitrary(u)?,
        details: details(u, protocol)?,
    })
}

pub fn expectation(u: &mut Unstructured<'_>) -> Result<Expectation> {
    let ipv6 = bool::arbitrary(u)?;
    Ok(Expectation {
        master: id(u)?,
        number: u32::arbitrary(u)?,
        kind: *u.choose(&[Kind::Present, Kind::Gone])?,
        protocol: u8::arbitrary(u)?,
        source: address(u, ipv6)?,
        destination: address(u, ipv6)?,
        ids: <[u16; 2]>::arbitrary(u)?,
        mask_source: <[u8; 16]>::arbitrary(u)?,
        mask_id: u16::arbitrary(u)?,
        nat_address: <[u8; 16]>::arbitrary(u)?,
        nat_id: u16::arbitrary(u)?,
        nat_direction: u.int_in_range(0..=1)?,
        timeout: u32::arbitrary(u)?,
        flags: u32::arbitrary(u)?,
        class: u32::arbitrary(u)?,
        helper: text(u)?,
        assign_helper: text(u)?,
        function: text(u)?,
    })
}

/// A pause of any length, of which most are such as occur.
pub fn pause(u: &mut Unstructured<'_>) -> Result<u64> {
    const MS: u64 = 1_000_000;
    Ok(match u.int_in_range(0..=5)? {
        0 => 0,
        1 => u64::from(u8::arbitrary(u)?),
        2 => u64::from(u8::arbitrary(u)?) * MS,
        3 => u64::from(u16::arbitrary(u)?) * MS,
        4 => u64::from(u32::arbitrary(u)?) * 1000,
        _ => u64::arbitrary(u)?,
    })
}
