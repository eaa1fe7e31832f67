// SPDX-License-Identifier: GPL-2.0

//! Load balancing: modes, addresses, and who takes a packet.

use carp_proto::carp::balancing::{
    arpbalance, hash_of_ipv4, hash_of_ipv6, ipv4, ipv6, Balancing, Masters, HOSTS_MAX,
};
use proptest::prelude::*;
use std::net::{Ipv4Addr, Ipv6Addr};
use Balancing::{Arp, Ip, IpStealth, IpUnicast, None as NoBalancing};

const ALL: [Balancing; 5] = [NoBalancing, Ip, IpStealth, IpUnicast, Arp];

fn v4(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

fn v6(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

fn ipv4_packet(protocol: u8, source: &str, destination: &str, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, protocol, 0, 0];
    packet.extend(v4(source).octets());
    packet.extend(v4(destination).octets());
    packet.extend(payload);
    packet
}

fn ipv6_packet(next: u8, source: &str, destination: &str, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0, 0, 0, next, 64];
    packet.extend(v6(source).octets());
    packet.extend(v6(destination).octets());
    packet.extend(payload);
    packet
}

// --- modes ---

#[test]
fn several_hosts_without_a_mode_mean_ip_and_a_single_one_means_none() {
    assert_eq!(NoBalancing.in_force(2), Ip);
    assert_eq!(NoBalancing.in_force(32), Ip);
    for mode in ALL {
        assert_eq!(mode.in_force(0), NoBalancing);
        assert_eq!(mode.in_force(1), NoBalancing);
        if mode != NoBalancing {
            assert_eq!(mode.in_force(2), mode);
        }
    }
}

#[test]
fn only_mode_ip_has_a_multicast_mac() {
    for mode in ALL {
        let first = if mode == Ip { 1 } else { 0 };
        assert_eq!(mode.interface_mac(7), [first, 0, 0x5e, 0, 1, 7]);
    }
}

#[test]
fn a_multicast_or_stealthy_mac_is_never_a_source() {
    let hidden = ALL.map(Balancing::hides_its_mac);
    assert_eq!(hidden, [false, true, true, false, false]);
}

#[test]
fn only_the_leader_without_balancing_announces() {
    for mode in ALL {
        assert_eq!(mode.announces(true), mode == NoBalancing);
        assert!(!mode.announces(false));
    }
}

#[test]
fn the_three_ip_modes_go_by_hash() {
    let by_hash = ALL.map(Balancing::is_by_hash);
    assert_eq!(by_hash, [false, true, true, true, false]);
}

// --- the hash ---

#[test]
fn the_hash_is_the_xor_of_all_words_in_host_order() {
    let hash = ipv4(v4("10.0.0.1"), v4("192.168.1.2"));
    assert_eq!(hash, 0x0a00_0001 ^ 0xc0a8_0102);
    let hash = ipv6(v6("1:2:3:4:5:6:7:8"), v6("10:20:30:40:50:60:70:80"));
    let words = [
        0x0001_0002,
        0x0003_0004,
        0x0005_0006,
        0x0007_0008,
        0x0010_0020,
        0x0030_0040,
        0x0050_0060,
        0x0070_0080,
    ];
    assert_eq!(hash, words.into_iter().fold(0, |a, b| a ^ b));
}

#[test]
fn we_take_what_belongs_to_a_host_of_which_we_are_master() {
    let masters = Masters::new([true, false, true]);
    let taken = [0, 1, 2, 3, 4, 5, u32::MAX].map(|hash| masters.take(Some(hash)));
    assert_eq!(taken, [true, false, true, true, false, true, true]);
    assert_eq!(masters.owner(7), Some(1));
}

#[test]
fn icmp_that_is_neither_echo_nor_error_is_for_everybody() {
    // A timestamp and a router advertisement, long enough to hold a packet.
    let packet = ipv4_packet(1, "10.0.0.1", "10.0.0.2", &[&[13][..], &[9; 40]].concat());
    assert_eq!(hash_of_ipv4(&packet, true), None);
    let packet = ipv6_packet(
        58,
        "2001:db8::1",
        "2001:db8::2",
        &[&[134][..], &[9; 80]].concat(),
    );
    assert_eq!(hash_of_ipv6(&packet, true), None);
}

#[test]
fn the_hash_of_an_address_and_itself_is_0() {
    let address = v4("10.255.3.1");
    assert_eq!(ipv4(address, address), 0);
    let address = v6("2001:db8::ff:fe00:1");
    assert_eq!(ipv6(address, address), 0);
}

#[test]
fn of_which_hosts_we_are_master() {
    let masters = Masters::new([true, false, true]);
    let ours = [0, 1, 2, 3, 31].map(|place| masters.is_master_of(place));
    assert_eq!(ours, [true, false, true, false, false]);
    let all = Masters::new([true; 32]);
    assert!(all.is_master_of(31) && !all.is_master_of(32));
    let any_and_all = [&[][..], &[false], &[true], &[true, false], &[true; 32]].map(|hosts| {
        let masters = Masters::new(hosts.iter().copied());
        (masters.is_any(), masters.is_all())
    });
    let expected = [
        (false, false),
        (false, false),
        (true, true),
        (true, false),
        (true, true),
    ];
    assert_eq!(any_and_all, expected);
}

#[test]
fn they_are_the_same_as_a_number() {
    for count in 0..=32 {
        for first in 0..=count {
            let masters = Masters::new((0..count).map(|place| place >= first));
            assert_eq!(Masters::from_bits(masters.to_bits()), masters);
        }
    }
}

#[test]
fn what_is_for_everybody_is_always_taken() {
    assert!(Masters::new([false, false]).take(None));
    assert!(Masters::default().take(None));
}

#[test]
fn without_hosts_nothing_is_taken() {
    assert_eq!(Masters::default().owner(5), None);
    assert!(!Masters::default().take(Some(5)));
    assert_eq!(Masters::new([]), Masters::default());
}

#[test]
fn there_may_be_32_hosts() {
    assert_eq!(HOSTS_MAX, 32);
    let masters = Masters::new((0..32).map(|n| n == 31));
    assert!(masters.take(Some(31)) && masters.take(Some(63)));
    assert!(!masters.take(Some(30)) && !masters.take(Some(32)));
    assert_eq!(Masters::new([true; 40]), Masters::new([true; 32]));
}

#[test]
fn multicast_and_broadcast_are_for_everybody() {
    for destination in ["224.0.0.18", "239.1.2.3", "255.255.255.255"] {
        let packet = ipv4_packet(17, "10.0.0.1", destination, &[]);
        assert_eq!(hash_of_ipv4(&packet, false), None);
    }
    for destination in ["ff02::12", "ff0e::1"] {
        let packet = ipv6_packet(17, "2001:db8::1", destination, &[]);
        assert_eq!(hash_of_ipv6(&packet, false), None);
    }
}

#[test]
fn other_packets_go_by_their_addresses() {
    let hash = ipv4(v4("10.0.0.1"), v4("10.0.0.2"));
    let hash6 = ipv6(v6("2001:db8::1"), v6("2001:db8::2"));
    for to_us in [false, true] {
        let packet = ipv4_packet(6, "10.0.0.1", "10.0.0.2", &[]);
        assert_eq!(hash_of_ipv4(&packet, to_us), Some(hash));
        let packet = ipv6_packet(6, "2001:db8::1", "2001:db8::2", &[]);
        assert_eq!(hash_of_ipv6(&packet, to_us), Some(hash6));
    }
}

#[test]
fn icmp_to_us_is_for_everybody_except_echo_requests_and_errors() {
    for kind in 0..=255 {
        let icmp = [kind, 0, 0, 0, 0, 0, 0, 0];
        let packet = ipv4_packet(1, "10.0.0.1", "10.0.0.2", &icmp);
        let hash = ipv4(v4("10.0.0.1"), v4("10.0.0.2"));
        // forwarded, it goes by its addresses
        assert_eq!(hash_of_ipv4(&packet, false), Some(hash));
        let expected = (kind == 8).then_some(hash);
        assert_eq!(hash_of_ipv4(&packet, true), expected, "type {kind}");

        let packet = ipv6_packet(58, "2001:db8::1", "2001:db8::2", &icmp);
        let hash = ipv6(v6("2001:db8::1"), v6("2001:db8::2"));
        assert_eq!(hash_of_ipv6(&packet, false), Some(hash));
        let expected = (kind == 128).then_some(hash);
        assert_eq!(hash_of_ipv6(&packet, true), expected, "type {kind}");
    }
}

#[test]
fn an_icmp_error_goes_where_the_packet_that_it_quotes_went() {
    let hash = ipv4(v4("10.0.0.2"), v4("192.0.2.9"));
    for kind in [3, 4, 5, 11, 12] {
        let quoted = ipv4_packet(6, "10.0.0.2", "192.0.2.9", &[0; 8]);
        let icmp = [&[kind, 1, 0, 0, 0, 0, 0, 0], &quoted[..]].concat();
        let packet = ipv4_packet(1, "198.51.100.1", "10.0.0.2", &icmp);
        assert_eq!(hash_of_ipv4(&packet, true), Some(hash));
        // behind IP options as well
        let mut long = packet.clone();
        long[0] = 0x47;
        long.splice(20..20, [1; 8]);
        assert_eq!(hash_of_ipv4(&long, true), Some(hash));
    }
    let hash = ipv6(v6("2001:db8::2"), v6("2001:db8:9::9"));
    for kind in [1, 2, 3, 4] {
        let quoted = ipv6_packet(6, "2001:db8::2", "2001:db8:9::9", &[0; 8]);
        let icmp = [&[kind, 0, 0, 0, 0, 0, 0, 0], &quoted[..]].concat();
        let packet = ipv6_packet(58, "2001:db8:5::1", "2001:db8::2", &icmp);
        assert_eq!(hash_of_ipv6(&packet, true), Some(hash));
    }
}

#[test]
fn a_later_fragment_has_no_icmp_header_to_look_at() {
    let mut packet = ipv4_packet(1, "10.0.0.1", "10.0.0.2", &[8; 8]);
    packet[7] = 1;
    assert_eq!(hash_of_ipv4(&packet, true), None);
}

#[test]
fn arpbalance_goes_by_the_sender() {
    assert_eq!(arpbalance(v4("10.0.0.5"), 4), Some(1));
    assert_eq!(arpbalance(v4("10.0.0.5"), 1), Some(0));
    assert_eq!(arpbalance(v4("10.0.0.5"), 0), None);
    assert_eq!(arpbalance(v4("255.255.255.255"), u32::MAX), Some(0));
}

proptest! {
    #[test]
    fn both_directions_of_a_connection_have_one_hash(a: u32, b: u32, c: u128, d: u128) {
        let (a, b) = (Ipv4Addr::from_bits(a), Ipv4Addr::from_bits(b));
        prop_assert_eq!(ipv4(a, b), ipv4(b, a));
        let (c, d) = (Ipv6Addr::from_bits(c), Ipv6Addr::from_bits(d));
        prop_assert_eq!(ipv6(c, d), ipv6(d, c));
    }

    #[test]
    fn every_packet_has_one_taker(hash: u32, masters in prop::collection::vec(0usize..3, 1..=32)) {
        // three hosts share the virtual hosts
        let takers = (0..3).filter(|host| {
            Masters::new(masters.iter().map(|master| master == host)).take(Some(hash))
        });
        prop_assert_eq!(takers.count(), 1);
    }

    #[test]
    fn any_bytes_are_taken_in_stride(
        mut bytes in prop::collection::vec(any::<u8>(), 0..120),
        icmp: bool,
        to_us: bool,
    ) {
        if icmp && bytes.len() > 9 {
            (bytes[6], bytes[9]) = (58, 1);
        }
        let _ = hash_of_ipv4(&bytes, to_us);
        let _ = hash_of_ipv6(&bytes, to_us);
    }
}
