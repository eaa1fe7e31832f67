// SPDX-License-Identifier: GPL-2.0

//! The headers before a frame.

use carp_proto::pfsync::frame::Discard;
use carp_proto::pfsync::packet::{check_sender, to_group, to_ipv4, to_ipv6};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const SOURCE: Ipv4Addr = Ipv4Addr::new(172, 16, 0, 1);

/// RFC 1071: with its checksum in place a header sums up to all ones.
fn sum(header: &[u8]) -> u32 {
    let sum: u32 = header
        .chunks(2)
        .map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])))
        .sum();
    (sum & 0xffff) + (sum >> 16)
}

#[test]
fn to_the_group() {
    let headers = to_group([2, 0, 0, 0, 0, 1], SOURCE, 100);
    assert_eq!(headers.len(), 14 + 20);
    let (ethernet, ip) = headers.split_at(14);
    assert_eq!(
        ethernet,
        [0x01, 0, 0x5e, 0, 0, 0xf0, 2, 0, 0, 0, 0, 1, 8, 0]
    );
    assert_eq!(ip[0], 0x45);
    assert_eq!(ip[1], 0x10, "low delay");
    assert_eq!(ip[2..4], 120_u16.to_be_bytes());
    assert_eq!(ip[6..8], [0x40, 0], "never fragmented");
    assert_eq!((ip[8], ip[9]), (255, 240));
    assert_eq!(ip[12..16], SOURCE.octets());
    assert_eq!(ip[16..20], [224, 0, 0, 240]);
    assert_eq!(sum(ip), 0xffff);
}

#[test]
fn to_a_syncpeer() {
    let ip = to_ipv4(SOURCE, Ipv4Addr::new(172, 16, 0, 2), 1480);
    assert_eq!(ip[2..4], 1500_u16.to_be_bytes());
    assert_eq!(ip[16..20], [172, 16, 0, 2]);
    assert_eq!(sum(&ip), 0xffff);
}

#[test]
fn to_a_syncpeer_with_ipv6() {
    let [source, peer] = [1, 2].map(|n| Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, n));
    let ip = to_ipv6(source, peer, 100);
    assert_eq!(ip[0] >> 4, 6);
    assert_eq!(ip[4..6], 100_u16.to_be_bytes());
    assert_eq!((ip[6], ip[7]), (240, 255));
    assert_eq!(ip[8..24], source.octets());
    assert_eq!(ip[24..40], peer.octets());
}

#[test]
fn with_a_syncpeer_that_alone_is_heard() {
    let address = |text: &str| text.parse::<IpAddr>().unwrap();
    for (own, peer, other, group) in [
        ("10.0.0.1", "10.0.0.2", "10.0.0.3", "224.0.0.240"),
        ("fd00::1", "fd00::2", "fd00::3", "ff02::f0"),
    ] {
        let [own, peer, other, group] = [own, peer, other, group].map(address);
        let heard = |source, destination| check_sender(Some(peer), source, destination);
        assert_eq!(heard(peer, own), Ok(()));
        assert_eq!(heard(other, own), Err(Discard::BadPeer));
        assert_eq!(heard(peer, group), Err(Discard::BadPeer));
        for (source, destination) in [(peer, own), (other, own), (peer, group)] {
            assert_eq!(check_sender(None, source, destination), Ok(()));
        }
    }
    let [four, six] = ["10.0.0.2", "::ffff:10.0.0.2"].map(address);
    assert_eq!(check_sender(Some(four), six, four), Err(Discard::BadPeer));
}
