// SPDX-License-Identifier: GPL-2.0

//! What comes in on parents and syncdevs, before any rule sees it, and ARP requests.

use super::frame::{arp_probe, Frame, Mac, CARP, PFSYNC};
use crate::{error::Result, interface::Interface};
use nix::{
    errno::Errno,
    ifaddrs::getifaddrs,
    sys::socket::{
        bind, recvfrom, send, socket, AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol,
        SockType,
    },
};
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use socket2::{SockFilter, Socket};
use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr},
    os::fd::AsRawFd,
    time::{Duration, Instant},
};

/// Of linux/if_packet.h: what this host sends itself.
const PACKET_OUTGOING: u8 = 4;

/// The most frames that are kept: strangers can send any number.
const FRAMES_MAX: usize = 4096;

/// An address, and the interface on whose link it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    pub interface: u32,
    pub address: Ipv4Addr,
    /// The virtual MAC from which it is asked for; nothing: the interface's own.
    pub lladdr: Option<Mac>,
}

/// To whom an answer may go as well (RFC 5227).
const BROADCAST: Mac = [0xff; 6];

/// What has come in, and on which interface.
#[derive(Debug, Default)]
pub struct Frames(Vec<(u32, Frame)>);

impl Frames {
    fn on(&self, interface: u32) -> impl Iterator<Item = &Frame> {
        let all = self.0.iter();
        all.filter_map(move |(index, frame)| (*index == interface).then_some(frame))
    }

    /// Who answered for an address.
    pub fn owner(&self, probe: Probe) -> Option<Mac> {
        self.on(probe.interface).find_map(|frame| match frame {
            Frame::Arp {
                address, lladdr, ..
            } if *address == probe.address => Some(*lladdr),
            _ => None,
        })
    }

    /// Whether an answer for this address has come for a MAC address; nothing: for all.
    pub fn answered(&self, probe: Probe, wanted: Option<Mac>) -> bool {
        self.on(probe.interface).any(|frame| match frame {
            Frame::Arp { address, to, .. } => {
                *address == probe.address && *to == wanted.unwrap_or(BROADCAST)
            }
            _ => false,
        })
    }

    /// Who advertised a virtual host, in one of the families.
    pub fn advertiser(&self, interface: u32, number: u8, is_ipv4: bool) -> Option<IpAddr> {
        self.on(interface).find_map(|frame| match frame {
            Frame::Advertisement { source, vhid } => {
                (*vhid == number && source.is_ipv4() == is_ipv4).then_some(*source)
            }
            _ => None,
        })
    }

    /// Who sent of pfsync's, in one of the families.
    pub fn pfsync(&self, interface: u32, is_ipv4: bool) -> Option<IpAddr> {
        self.on(interface).find_map(|frame| match frame {
            Frame::Pfsync { source } => (source.is_ipv4() == is_ipv4).then_some(*source),
            _ => None,
        })
    }
}

struct Wire {
    interface: u32,
    /// Of Ethernet.
    lladdr: Option<Mac>,
    socket: Socket,
}

/// The interfaces that are watched.
pub struct Wires(Vec<Wire>);

impl Wires {
    /// Opens a packet socket on each of them.
    ///
    /// # Errors
    ///
    /// Only root may.
    pub fn open(interfaces: &BTreeMap<u32, &Interface>) -> Result<Self> {
        let addresses = link_addresses()?;
        let mut wires = Vec::new();
        for (index, interface) in interfaces {
            let Some(address) = addresses.get(index) else {
                continue;
            };
            wires.push(Wire {
                interface: *index,
                lladdr: interface.lladdr.as_slice().try_into().ok(),
                socket: open(address).map_err(io::Error::from)?,
            });
        }
        Ok(Self(wires))
    }

    /// Asks for the addresses, twice, and notes what comes in. From a virtual MAC both
    /// questions go out at once: later this host may not be master any more.
    pub fn watch(&self, probes: &[Probe], window: Duration) -> Result<Frames> {
        let mut frames = Frames::default();
        let begin = Instant::now();
        let is_virtual = |probe: &&Probe| probe.lladdr.is_some();
        for probe in [probes, probes].concat().iter().filter(is_virtual) {
            self.ask(*probe);
        }
        for part in 1..=2 {
            for probe in probes.iter().filter(|it| !is_virtual(it)) {
                self.ask(*probe);
            }
            self.watch_until(begin + window * part / 2, &mut frames)?;
        }
        Ok(frames)
    }

    fn ask(&self, probe: Probe) {
        let wire = self.0.iter().find(|wire| wire.interface == probe.interface);
        let from = |wire: &Wire| probe.lladdr.or(wire.lladdr);
        if let Some((wire, lladdr)) = wire.and_then(|wire| Some((wire, from(wire)?))) {
            let frame = arp_probe(lladdr, probe.address);
            // what cannot be asked gets no answer
            let _ = send(wire.socket.as_raw_fd(), &frame, MsgFlags::empty());
        }
    }

    fn watch_until(&self, end: Instant, frames: &mut Frames) -> Result<()> {
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            let wires = self.0.iter();
            let mut fds: Vec<_> = wires
                .map(|wire| PollFd::new(&wire.socket, PollFlags::IN))
                .collect();
            let left = Timespec::try_from(left)
                .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
            poll(&mut fds, Some(&left)).map_err(io::Error::from)?;
            for wire in &self.0 {
                wire.drain(frames);
            }
        }
    }
}

impl Wire {
    /// Reads all that has come in.
    fn drain(&self, frames: &mut Frames) {
        let mut buffer = [0; 128];
        while let Ok((length, Some(from))) =
            recvfrom::<LinkAddr>(self.socket.as_raw_fd(), &mut buffer)
        {
            // before it was bound the socket heard of all interfaces
            let is_in = from.pkttype() != PACKET_OUTGOING
                && u32::try_from(from.ifindex()) == Ok(self.interface);
            let frame = buffer.get(..length).filter(|_| is_in).and_then(Frame::read);
            if let Some(frame) = frame {
                let frame = (self.interface, frame);
                if frames.0.len() < FRAMES_MAX && !frames.0.contains(&frame) {
                    frames.0.push(frame);
                }
            }
        }
    }
}

/// The link-layer address of each interface, which names it to a packet socket.
fn link_addresses() -> Result<BTreeMap<u32, LinkAddr>> {
    let all = getifaddrs().map_err(io::Error::from)?;
    let links = all.filter_map(|it| it.address?.as_link_addr().copied());
    Ok(links
        .filter_map(|it| Some((u32::try_from(it.ifindex()).ok()?, it)))
        .collect())
}

fn open(address: &LinkAddr) -> nix::Result<Socket> {
    let fd = socket(
        AddressFamily::Packet,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
        SockProtocol::EthAll,
    )?;
    let socket = Socket::from(fd);
    socket
        .attach_filter(&filter())
        .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or_default()))?;
    bind(socket.as_raw_fd(), address)?;
    Ok(socket)
}

/// Of linux/bpf_common.h.
const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
const JUMP_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;

/// Lets pass what [`Frame::read`] reads, so that a busy firewall copies nothing else.
fn filter() -> [SockFilter; 11] {
    let [carp, pfsync] = [CARP, PFSYNC].map(u32::from);
    [
        SockFilter::new(LOAD_HALF, 0, 0, 12),
        SockFilter::new(JUMP_EQUAL, 8, 0, 0x0806),
        SockFilter::new(JUMP_EQUAL, 0, 2, 0x0800),
        SockFilter::new(LOAD_BYTE, 0, 0, 14 + 9),
        SockFilter::new(JUMP_EQUAL, 5, 2, carp),
        SockFilter::new(JUMP_EQUAL, 0, 3, 0x86dd),
        SockFilter::new(LOAD_BYTE, 0, 0, 14 + 6),
        SockFilter::new(JUMP_EQUAL, 2, 0, carp),
        SockFilter::new(JUMP_EQUAL, 1, 0, pfsync),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, 128),
    ]
}
