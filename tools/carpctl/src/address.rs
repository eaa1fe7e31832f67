// SPDX-License-Identifier: GPL-2.0

//! Addresses on the command line: `10.0.0.1/24`, `inet 10.0.0.1 netmask 255.255.255.0`,
//! `inet6 2001:db8::1 prefixlen 64`, `-alias`.

use crate::{
    error::{usage, Result},
    kind::Kind,
};
use std::net::{IpAddr, Ipv4Addr};

/// What is to happen with an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It becomes the address: in IPv4 the first one goes.
    Set,
    /// It comes beside those that are there.
    Add,
    Remove,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Broadcast {
    /// That of the subnet, where there is room for one.
    #[default]
    OfSubnet,
    None,
    Address(Ipv4Addr),
}

/// One address of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressChange {
    pub action: Action,
    pub address: IpAddr,
    /// Nothing: that of the subnet in which it lies; of one to be removed: any.
    pub prefix_len: Option<u8>,
    pub broadcast: Broadcast,
    /// The other end of a point-to-point link.
    pub dest: Option<IpAddr>,
}

impl AddressChange {
    /// Finds the prefix length where none was said: that of the smallest of `subnets` in
    /// which the address lies, or that of a single host.
    pub fn find_prefix_len(&mut self, subnets: &[(IpAddr, u8)]) {
        if self.action != Action::Remove && self.prefix_len.is_none() {
            let host = if self.address.is_ipv4() { 32 } else { 128 };
            let found = subnets
                .iter()
                .filter(|(address, length)| in_subnet(self.address, *address, *length))
                .map(|(_, length)| *length)
                .max();
            self.prefix_len = Some(found.unwrap_or(host));
        }
    }

    /// The broadcast address that it is to have.
    pub fn broadcast_address(&self) -> Option<Ipv4Addr> {
        match self.broadcast {
            Broadcast::OfSubnet => self
                .prefix_len
                .and_then(|length| last_of(self.address, length)),
            Broadcast::None => None,
            Broadcast::Address(address) => Some(address),
        }
    }
}

/// Whether `address` lies in the subnet of `other`.
fn in_subnet(address: IpAddr, other: IpAddr, length: u8) -> bool {
    let differing = match (address, other) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            let differing = u32::from(a) ^ u32::from(b);
            u128::from(differing) << 96
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => u128::from(a) ^ u128::from(b),
        _ => return false,
    };
    differing.leading_zeros() >= u32::from(length)
}

/// One address of a command while its words are read.
#[derive(Debug, Clone)]
pub struct AddressWords {
    pub address: IpAddr,
    pub action: Action,
    prefix_len: Option<u8>,
    broadcast: Option<Broadcast>,
    dest: Option<IpAddr>,
}

/// Whether a word can be nothing but a netmask: no host has such an address.
pub fn is_netmask(word: &str) -> bool {
    read_netmask(word).is_some_and(|length| length >= 8)
}

/// The prefix length of 255.255.255.0 or 0xffffff00.
fn read_netmask(word: &str) -> Option<u8> {
    let mask = match word.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => word.parse::<Ipv4Addr>().ok().map(u32::from),
    }?;
    let whole = mask.leading_ones() + mask.trailing_zeros() >= 32;
    whole.then(|| mask.leading_ones() as u8)
}

/// Whether a word can be nothing but an address.
pub fn looks_like_address(word: &str) -> bool {
    let address = word.split_once('/').map_or(word, |(address, _)| address);
    address.parse::<IpAddr>().is_ok()
}

impl AddressWords {
    /// Reads ADDRESS or ADDRESS/PREFIXLEN.
    pub fn read(word: &str, action: Action) -> Result<Self> {
        let (address, prefix_len) = match word.split_once('/') {
            Some((address, prefix_len)) => (address, Some(prefix_len)),
            None => (word, None),
        };
        let Ok(address) = address.parse::<IpAddr>() else {
            return usage(format!("\"{word}\" is not an address"));
        };
        let mut words = Self {
            address,
            action,
            prefix_len: None,
            broadcast: None,
            dest: None,
        };
        if let Some(prefix_len) = prefix_len {
            words.set_prefix_len(prefix_len)?;
        }
        Ok(words)
    }

    pub fn set_prefix_len(&mut self, word: &str) -> Result<()> {
        let most = if self.address.is_ipv4() { 32 } else { 128 };
        match word.parse() {
            Ok(length) if length <= most && !word.starts_with('+') => self.set_length(length),
            _ => usage(format!(
                "\"{word}\" is not a prefix length of {}: 0-{most} is expected",
                self.address
            )),
        }
    }

    /// As in `netmask 255.255.255.0` or `netmask 0xffffff00`.
    pub fn set_netmask(&mut self, word: &str) -> Result<()> {
        if self.address.is_ipv6() {
            return usage(format!("{} has a prefixlen, not a netmask", self.address));
        }
        match read_netmask(word) {
            Some(length) => self.set_length(length),
            None => usage(format!(
                "\"{word}\" is not a netmask: one as 255.255.255.0 is expected"
            )),
        }
    }

    /// An address, or NONE.
    pub fn set_broadcast(&mut self, word: &str) -> Result<()> {
        if self.address.is_ipv6() {
            return usage(format!("{} has no broadcast address", self.address));
        }
        let broadcast = match word.parse() {
            Ok(address) => Broadcast::Address(address),
            Err(_) if word.eq_ignore_ascii_case("none") => Broadcast::None,
            Err(_) => return usage(format!("\"{word}\" is not an IPv4 address")),
        };
        match self.broadcast.replace(broadcast) {
            None => Ok(()),
            Some(_) => usage(format!(
                "the broadcast address of {} is said twice",
                self.address
            )),
        }
    }

    /// The other end of a point-to-point link.
    pub fn set_dest(&mut self, word: &str) -> Result<()> {
        match word.parse::<IpAddr>() {
            Ok(dest) if dest.is_ipv4() == self.address.is_ipv4() => {
                self.dest = Some(dest);
                Ok(())
            }
            _ => usage(format!(
                "dest \"{word}\": an address of the family of {} is expected",
                self.address
            )),
        }
    }

    fn set_length(&mut self, length: u8) -> Result<()> {
        match self.prefix_len.replace(length) {
            None => Ok(()),
            Some(_) => usage(format!(
                "the prefix length of {} is said twice",
                self.address
            )),
        }
    }

    /// Whether a word can be meant for its broadcast address, and for nothing else.
    pub fn may_have_broadcast(&self, word: &str) -> bool {
        let last = || last_of(self.address, self.prefix_len?);
        self.address.is_ipv4()
            && (word.eq_ignore_ascii_case("none")
                || word.parse().is_ok_and(|address| last() == Some(address)))
    }

    pub fn has_prefix_len(&self) -> bool {
        self.prefix_len.is_some()
    }

    /// Checks what can only be known at the end of the words.
    ///
    /// # Errors
    ///
    /// A prefix length is missing, and the kind of interface does not tell it.
    pub fn finish(mut self, kind: Option<Kind>) -> Result<AddressChange> {
        let stands_in_a_subnet = kind == Some(Kind::Carp) || self.action == Action::Remove;
        if self.prefix_len.is_none() && !stands_in_a_subnet {
            if self.address.is_ipv4() {
                let address = self.address;
                return usage(format!(
                    "{address} needs a prefix length: {address}/24, or netmask 255.255.255.0"
                ));
            }
            // as ifconfig(8)
            self.prefix_len = Some(64);
        }
        Ok(AddressChange {
            action: self.action,
            address: self.address,
            prefix_len: self.prefix_len,
            broadcast: self.broadcast.unwrap_or_default(),
            dest: self.dest,
        })
    }
}

/// The broadcast address of a subnet, where there is room for one.
fn last_of(address: IpAddr, length: u8) -> Option<Ipv4Addr> {
    let IpAddr::V4(address) = address else {
        return None;
    };
    if length > 30 {
        return None;
    }
    Some(Ipv4Addr::from(u32::from(address) | (u32::MAX >> length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(word: &str) -> Result<AddressChange> {
        AddressWords::read(word, Action::Set)?.finish(None)
    }

    fn complaint<T: std::fmt::Debug>(result: Result<T>) -> String {
        result.expect_err("is wrong").to_string()
    }

    #[test]
    fn with_a_slash() {
        let change = finished("10.0.0.1/24").expect("is right");
        assert_eq!(change.prefix_len, Some(24));
        let broadcast = |word| finished(word).expect("is right").broadcast_address();
        assert_eq!(broadcast("10.0.0.1/24"), Some(Ipv4Addr::new(10, 0, 0, 255)));
        assert_eq!(broadcast("10.0.0.1/32"), None);
        assert_eq!(broadcast("10.0.0.1/31"), None);
        assert_eq!(broadcast("10.0.0.1/0"), Some(Ipv4Addr::BROADCAST));
        assert_eq!(
            finished("2001:db8::1").expect("is right").prefix_len,
            Some(64)
        );
        assert_eq!(
            finished("2001:db8::1/128").expect("is right").prefix_len,
            Some(128)
        );
    }

    #[test]
    fn a_netmask() {
        for mask in ["255.255.255.0", "0xffffff00"] {
            let mut words = AddressWords::read("10.0.0.1", Action::Set).expect("is right");
            words.set_netmask(mask).expect("is right");
            assert_eq!(
                words.finish(None).expect("is right").prefix_len,
                Some(24),
                "{mask}"
            );
        }
        for mask in ["255.0.255.0", "24", "0xz", "0.0.0.255", ""] {
            let mut words = AddressWords::read("10.0.0.1", Action::Set).expect("is right");
            assert!(
                complaint(words.set_netmask(mask)).contains("is not a netmask"),
                "{mask}"
            );
        }
        let mut words = AddressWords::read("10.0.0.1", Action::Set).expect("is right");
        words.set_netmask("0.0.0.0").expect("is right");
        words
            .set_netmask("255.255.255.255")
            .expect_err("is said twice");
    }

    #[test]
    fn a_broadcast_address() {
        let broadcast = |word: &str| {
            let mut words = AddressWords::read("10.0.0.1/24", Action::Set).expect("is right");
            words.set_broadcast(word).expect("is right");
            complaint(words.set_broadcast(word));
            words.finish(None).expect("is right").broadcast_address()
        };
        assert_eq!(broadcast("10.0.0.7"), Some(Ipv4Addr::new(10, 0, 0, 7)));
        assert_eq!(broadcast("NONE"), None);
    }

    #[test]
    fn the_prefix_length_of_a_subnet() {
        let subnets = [
            "10.0.0.2/24",
            "10.0.0.3/8",
            "10.0.0.200/28",
            "2001:db8::2/64",
        ];
        let subnets: Vec<(IpAddr, u8)> = subnets
            .iter()
            .map(|subnet| {
                let (address, length) = subnet.split_once('/').expect("has a length");
                let address = address.parse().expect("is an address");
                (address, length.parse().expect("is a number"))
            })
            .collect();
        for (address, length) in [
            ("10.0.0.1", 24),
            ("10.1.0.1", 8),
            ("10.0.0.201", 28),
            ("192.0.2.1", 32),
            ("10.0.0.1/30", 30),
            ("2001:db8::1", 64),
            ("fd00::1", 128),
        ] {
            let words = AddressWords::read(address, Action::Set).expect("is right");
            let mut change = words.finish(Some(Kind::Carp)).expect("is right");
            change.find_prefix_len(&subnets);
            assert_eq!(change.prefix_len, Some(length), "{address}");
        }
        let words = AddressWords::read("10.0.0.1", Action::Remove).expect("is right");
        let mut change = words.finish(Some(Kind::Carp)).expect("is right");
        change.find_prefix_len(&subnets);
        assert_eq!(change.prefix_len, None);
    }

    #[test]
    fn what_is_wrong() {
        assert!(complaint(finished("10.0.0.1")).contains("needs a prefix length"));
        assert!(complaint(finished("10.0.0.1/33")).contains("0-32 is expected"));
        assert!(complaint(finished("10.0.0.1/")).contains("0-32 is expected"));
        assert!(complaint(finished("10.0.0.1/+1")).contains("0-32 is expected"));
        assert!(complaint(finished("::1/129")).contains("0-128 is expected"));
        assert!(complaint(finished("10.0.0/24")).contains("is not an address"));
        let mut words = AddressWords::read("2001:db8::1/64", Action::Set).expect("is right");
        assert!(complaint(words.set_netmask("255.0.0.0")).contains("not a netmask"));
        assert!(complaint(words.set_broadcast("10.0.0.255")).contains("no broadcast"));
        assert!(complaint(words.set_prefix_len("64")).contains("said twice"));
    }
}
