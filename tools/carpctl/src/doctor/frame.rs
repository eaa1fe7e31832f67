// SPDX-License-Identifier: GPL-2.0

//! Ethernet frames that the doctor reads, and the one that it sends.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub type Mac = [u8; 6];

const ETH_P_ARP: [u8; 2] = [0x08, 0x06];
const ETH_P_IP: [u8; 2] = [0x08, 0x00];
const ETH_P_IPV6: [u8; 2] = [0x86, 0xdd];
/// Of ARP over Ethernet, up to the operation.
const ARP: [u8; 6] = [0, 1, 8, 0, 6, 4];
const ARP_REQUEST: [u8; 2] = [0, 1];
const ARP_REPLY: [u8; 2] = [0, 2];
pub const CARP: u8 = 112;
pub const PFSYNC: u8 = 240;

/// What came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// Somebody has this address, and says so to this MAC address.
    Arp {
        address: Ipv4Addr,
        lladdr: Mac,
        to: Mac,
    },
    /// Of protocol 112, with what is the vhid of carp.
    Advertisement { source: IpAddr, vhid: u8 },
    /// Of protocol 240.
    Pfsync { source: IpAddr },
}

impl Frame {
    /// Nothing: it is none of these, or cut off.
    pub fn read(frame: &[u8]) -> Option<Self> {
        let kind = frame.get(12..14)?;
        let rest = frame.get(14..)?;
        if kind == ETH_P_ARP {
            return arp(frame.get(..6)?.try_into().ok()?, rest);
        }
        let (protocol, source, payload) = if kind == ETH_P_IP {
            ipv4(rest)?
        } else if kind == ETH_P_IPV6 {
            ipv6(rest)?
        } else {
            return None;
        };
        match protocol {
            // version 2, type 1: VRRP has other ones
            CARP if payload.first() == Some(&0x21) => Some(Self::Advertisement {
                source,
                vhid: *payload.get(1)?,
            }),
            PFSYNC => Some(Self::Pfsync { source }),
            _ => None,
        }
    }
}

fn arp(to: Mac, packet: &[u8]) -> Option<Frame> {
    let is_reply = packet.get(..6)? == ARP && packet.get(6..8)? == ARP_REPLY;
    let address: [u8; 4] = packet.get(14..18)?.try_into().ok()?;
    is_reply.then_some(Frame::Arp {
        address: address.into(),
        lladdr: packet.get(8..14)?.try_into().ok()?,
        to,
    })
}

fn ipv4(packet: &[u8]) -> Option<(u8, IpAddr, &[u8])> {
    let header = usize::from(packet.first()? & 15) * 4;
    let source: [u8; 4] = packet.get(12..16)?.try_into().ok()?;
    let source = Ipv4Addr::from(source).into();
    Some((*packet.get(9)?, source, packet.get(header..)?))
}

fn ipv6(packet: &[u8]) -> Option<(u8, IpAddr, &[u8])> {
    let source: [u8; 16] = packet.get(8..24)?.try_into().ok()?;
    let source = Ipv6Addr::from(source).into();
    Some((*packet.get(6)?, source, packet.get(40..)?))
}

/// The ARP request of a host that has no address yet (RFC 5227): nobody learns from it.
pub fn arp_probe(own: Mac, address: Ipv4Addr) -> Vec<u8> {
    let mut frame = [[0xff; 6], own].concat();
    frame.extend(ETH_P_ARP);
    frame.extend(ARP);
    frame.extend(ARP_REQUEST);
    frame.extend(own);
    frame.extend([0; 4]);
    frame.extend([0; 6]);
    frame.extend(address.octets());
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Mac = [2, 0, 0, 0, 0, 1];

    fn framed(kind: [u8; 2], parts: &[&[u8]]) -> Vec<u8> {
        let mut frame = [0; 12].to_vec();
        frame.extend(kind);
        parts.iter().for_each(|part| frame.extend(*part));
        frame
    }

    #[test]
    fn a_probe_and_its_answer() {
        let address = Ipv4Addr::new(10, 0, 0, 100);
        let mut frame = arp_probe(OWN, address);
        assert_eq!(frame.len(), 42);
        assert_eq!(Frame::read(&frame), None, "nobody has said anything");
        assert_eq!(
            (&frame[28..32], &frame[38..42]),
            (&[0; 4][..], &[10, 0, 0, 100][..])
        );
        frame[21] = 2;
        frame[28..32].copy_from_slice(&address.octets());
        let (lladdr, to) = (OWN, [0xff; 6]);
        let answer = Frame::Arp {
            address,
            lladdr,
            to,
        };
        assert_eq!(Frame::read(&frame), Some(answer));
    }

    #[test]
    fn advertisements_and_pfsync() {
        let mut ip = [0; 24];
        (ip[0], ip[9]) = (0x46, CARP);
        ip[12..16].copy_from_slice(&[10, 0, 0, 2]);
        let source = Ipv4Addr::new(10, 0, 0, 2).into();
        let read = |ip: &[u8], payload: &[u8]| Frame::read(&framed(ETH_P_IP, &[ip, payload]));
        let advertisement = Some(Frame::Advertisement { source, vhid: 7 });
        assert_eq!(read(&ip, &[0x21, 7, 0]), advertisement);
        assert_eq!(read(&ip, &[0x31, 7, 0]), None, "VRRP version 3");
        ip[9] = PFSYNC;
        assert_eq!(read(&ip, &[]), Some(Frame::Pfsync { source }));
        let mut ipv6 = [0; 40];
        (ipv6[6], ipv6[8], ipv6[23]) = (CARP, 0xfe, 2);
        let frame = framed(ETH_P_IPV6, &[&ipv6, &[0x21, 9]]);
        let source = "fe00::2".parse().expect("is one");
        assert_eq!(
            Frame::read(&frame),
            Some(Frame::Advertisement { source, vhid: 9 })
        );
        assert_eq!(Frame::read(&framed([0x88, 0xcc], &[&ipv6])), None);
    }

    #[test]
    fn whatever_is_cut_off() {
        let mut ip = [0; 20];
        (ip[0], ip[9]) = (0x4f, CARP);
        for frame in [
            framed(ETH_P_IP, &[&ip]),
            arp_probe(OWN, Ipv4Addr::LOCALHOST),
        ] {
            for length in 0..frame.len() {
                assert_eq!(Frame::read(&frame[..length]), None, "{length}");
            }
        }
    }
}
