// SPDX-License-Identifier: GPL-2.0

//! The Common Address Redundancy Protocol, as OpenBSD's carp(4) speaks it.
//!
//! No standard describes CARP. The reference is OpenBSD's implementation
//! (`sys/netinet/ip_carp.c` and `ip_carp.h`, 2025); where a comment names a
//! function, it is one of that file. Differences of FreeBSD and ucarp are named
//! where they matter, for one segment may hold all of them.
//!
//! A packet's way through this module: [`packet::Received::check`] looks at what
//! can be judged without knowing the virtual host, [`packet::Received::vhid`]
//! says which one it is for, [`packet::Received::authenticate`] compares the
//! digest, and what comes out goes to [`election::VirtualHost::handle`]. Back
//! comes what is to be done; an advertisement to be sent is built by
//! [`election::VirtualHost::advertisement`] and signed by
//! [`digest::Digests::sign`].

pub mod address_change;
pub mod advertisers;
pub mod announcements;
pub mod arp_hash;
pub mod balancing;
pub mod carpnodes;
pub mod causes;
pub mod demotion;
pub mod digest;
pub mod effects;
pub mod election;
pub mod frame;
pub mod full_queue;
pub mod learning;
pub mod log;
pub mod master_down;
pub mod neighbour;
pub mod packet;
pub mod send_errors;
pub mod time;
pub mod way_back;
