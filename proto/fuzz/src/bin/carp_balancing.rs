// SPDX-License-Identifier: GPL-2.0

//! Any IP packet: of the hosts that share them, one takes it, or all do.

#![no_main]

use carp_proto::carp::arp_hash::{write_seed_input, ArpHash, SEED_INPUT_LEN};
use carp_proto::carp::balancing::{arpbalance, hash_of_ipv4, hash_of_ipv6, Masters, HOSTS_MAX};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [hosts, flags, packet @ ..] = data else {
        return;
    };
    let hosts = usize::from(*hosts) % (HOSTS_MAX + 2);
    let to_us = flags & 1 != 0;
    for hash in [hash_of_ipv4(packet, to_us), hash_of_ipv6(packet, to_us)] {
        // Each virtual host has another master.
        let takers = (0..hosts.min(HOSTS_MAX)).filter(|mine| {
            let masters = Masters::new((0..hosts).map(|host| host == *mine));
            assert_eq!(Masters::from_bits(masters.to_bits()), masters);
            let takes = masters.take(hash);
            if let Some(owner) = hash.and_then(|hash| masters.owner(hash)) {
                assert_eq!(takes, masters.is_master_of(owner));
            }
            takes
        });
        let takers = takers.count();
        match hash {
            None => assert_eq!(takers, hosts.min(HOSTS_MAX)),
            Some(_) => assert_eq!(takers, hosts.min(1)),
        }
        let none = Masters::new((0..hosts).map(|_| false));
        assert!(hash.is_none() || !none.take(hash));
    }
    // What a packet has behind its headers is no matter, nor which way it goes.
    if !to_us {
        let head = &packet[..packet.len().min(40)];
        assert_eq!(hash_of_ipv6(head, false), hash_of_ipv6(packet, false));
        if let Some(mut back) = packet.get(..20).map(<[u8]>::to_vec) {
            back[12..].rotate_left(4);
            let (there, back) = (hash_of_ipv4(packet, false), hash_of_ipv4(&back, false));
            assert!(there == back || there.is_none() || back.is_none());
        }
    }
    if let Some(mac) = packet.first_chunk::<6>() {
        let key = &[*flags; 20];
        let mut input = [0; SEED_INPUT_LEN];
        write_seed_input(key, &mut input);
        let hash = ArpHash::new(&[input[0]; 20], key);
        assert_eq!(ArpHash::from_bits(hash.to_bits()), hash);
        let _ = hash.of(*mac);
        let [a, b, c, d, ..] = *mac;
        let place = arpbalance([a, b, c, d].into(), hosts as u32);
        assert_eq!(place.is_some(), hosts > 0);
        assert!(place.is_none_or(|place| place < hosts as u32));
    }
});
