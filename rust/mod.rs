// SPDX-License-Identifier: GPL-2.0

//! What the `kernel` crate lacks: safe abstractions over the kernel's networking.
//!
//! This is the only place with `unsafe` code and with C. It knows nothing of
//! CARP; every file here wraps one kernel facility and could be sent upstream.

pub(crate) mod arp;
pub(crate) mod atomic;
pub(crate) mod bindings;
pub(crate) mod bug;
pub(crate) mod capability;
pub(crate) mod compat;
pub(crate) mod crypto;
pub(crate) mod fib;
pub(crate) mod genetlink;
pub(crate) mod inet;
pub(crate) mod inet6;
pub(crate) mod inet6addr;
pub(crate) mod inetaddr;
pub(crate) mod ip_output;
pub(crate) mod link;
pub(crate) mod lock;
pub(crate) mod log;
pub(crate) mod membership;
pub(crate) mod memcg;
pub(crate) mod multicast;
pub(crate) mod namespace;
pub(crate) mod ndisc;
pub(crate) mod netdevice;
pub(crate) mod netdevice_ops;
pub(crate) mod netdevice_work;
pub(crate) mod netfilter;
pub(crate) mod netfilter_arp;
pub(crate) mod netfilter_ingress;
pub(crate) mod netfilter_ipv6;
pub(crate) mod netfilter_local_out;
pub(crate) mod netlink;
pub(crate) mod notifier;
mod once;
pub(crate) mod power;
pub(crate) mod random;
pub(crate) mod rcu;
pub(crate) mod route;
pub(crate) mod rtnl;
mod rwonce;
pub(crate) mod rx_handler;
pub(crate) mod siphash;
pub(crate) mod skbuff;
pub(crate) mod skbuff_rx;
pub(crate) mod skbuff_tx;
pub(crate) mod state_table;
pub(crate) mod sysctl;
pub(crate) mod timer;
pub(crate) mod watch;
