// SPDX-License-Identifier: GPL-2.0

//! What is asked over generic netlink about addresses: all that digests cover, of which
//! rtnetlink shows the first few.

use super::{device::Carp, link::fill_ip, netns::Namespace, notify, requested};
use crate::{
    linux::{
        bindings,
        genetlink::{Dump, Entries, Permission, Position, Request, Table},
        namespace::Net,
    },
    proto::carp::digest::hash_order,
};
use core::{
    array,
    net::{IpAddr, Ipv4Addr},
};
use kernel::{prelude::*, sync::rcu};

/// CARP_CMD_ADDRESS_GET: of all interfaces, or of one.
pub(super) struct AddressGet;

/// How many addresses one message has: the smallest buffer has room for it.
const PER_MESSAGE: usize = 64;

/// [`Position::inner`]: which family is next, and that there is none.
const IPV4: u32 = 0;
const IPV6: u32 = 1;
const END: u32 = 2;

impl Dump for AddressGet {
    const COMMAND: u32 = bindings::CARP_CMD_ADDRESS_GET;
    const PERMISSION: Permission = Permission::Anyone;
    const ATTRIBUTES: Table = Table::new(&requested::INTERFACE);

    fn generation(net: &Net) -> u32 {
        Namespace::of(net, &rcu::read_lock()).map_or(0, Namespace::generation)
    }

    fn call(request: &Request<'_>, entries: &mut Entries<'_>, position: &mut Position) -> Result {
        requested::each_interface(request, position, |own, carp, position| {
            while position.inner != END {
                let (chunk, next) = Chunk::read(carp, position);
                if chunk.addresses().next().is_some() {
                    entries.add(|message| {
                        notify::interface(message, own)?;
                        chunk
                            .addresses()
                            .try_for_each(|it| fill_ip(it, bindings::CARP_A_ADDRESS, message))
                    })?;
                }
                *position = next;
            }
            Ok(())
        })
    }
}

/// Some addresses one behind the other.
struct Chunk([Option<IpAddr>; PER_MESSAGE]);

impl Chunk {
    /// Those of an interface from `position` on, and where the next ones begin. What
    /// comes or goes between two chunks is in its place or not there.
    fn read(carp: &Carp, position: &Position) -> (Self, Position) {
        let mut chunk = Self([None; PER_MESSAGE]);
        let mut next = *position;
        let mut free = chunk.0.iter_mut();
        let mut push = |address: IpAddr| {
            *free.next().ok_or(EMSGSIZE)? = Some(address);
            Ok(())
        };
        let mut host = carp.host.lock();
        if next.inner == IPV4 {
            let [a, b, c, d, ..] = next.key;
            let all = host
                .addresses
                .ipv4
                .try_for_each_from(Ipv4Addr::new(a, b, c, d), |address| {
                    let [a, b, c, d] = address.octets();
                    next.key = array::from_fn(|i| [a, b, c, d].get(i).copied().unwrap_or(0));
                    push(address.into())
                });
            if all.is_ok() {
                next.inner = IPV6;
                next.key = [0; 16];
            }
        }
        if next.inner == IPV6 {
            let all = host
                .addresses
                .ipv6
                .try_for_each_from(next.key.into(), |address| {
                    next.key = hash_order(address).octets();
                    push(address.into())
                });
            if all.is_ok() {
                next.inner = END;
            }
        }
        (chunk, next)
    }

    fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.0.iter().flatten().copied()
    }
}
