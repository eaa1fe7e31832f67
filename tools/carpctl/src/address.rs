// SPDX-License-Identifier: GPL-2.0

//! Addresses on the command line: `10.0.0.1/24`, `inet 10.0.0.1 netmask 255.255.255.0`,
//! `inet6 2001:db8::1 prefixlen 64`, `-alias`.

use crate::error::{usage, Result};
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

/// One address of a command, complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressChange {
    pub action: Action,
    pub address: IpAddr,
    /// Of one to be removed it may be absent: any.
    pub prefix_len: Option<u8>,
    pub broadcast: Option<Ipv4Addr>,
}

/// One address of a command while its words are read.
#[derive(Debug, Clone)]
pub struct AddressWords {
    pub address: IpAddr,
    pub action: Action,
    prefix_len: Option<u8>,
    broadcast: Option<Ipv4Addr>,
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
        let mask = match word.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16).ok(),
            None => word.parse::<Ipv4Addr>().ok().map(u32::from),
        };
        match mask {
            Some(mask) if mask.leading_ones() + mask.trailing_zeros() >= 32 => {
                self.set_length(mask.leading_ones() as u8)
            }
            _ => usage(format!(
                "\"{word}\" is not a netmask: one as 255.255.255.0 is expected"
            )),
        }
    }

    pub fn set_broadcast(&mut self, word: &str) -> Result<()> {
        match (self.address, word.parse()) {
            (IpAddr::V4(_), Ok(broadcast)) => {
                self.broadcast = Some(broadcast);
                Ok(())
            }
            (IpAddr::V6(_), _) => usage(format!("{} has no broadcast address", self.address)),
            _ => usage(format!("\"{word}\" is not an IPv4 address")),
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

    pub fn has_prefix_len(&self) -> bool {
        self.prefix_len.is_some()
    }

    /// Checks what can only be known at the end of the words.
    pub fn finish(self) -> Result<AddressChange> {
        let Self {
            address,
            action,
            mut prefix_len,
            mut broadcast,
        } = self;
        if action != Action::Remove {
            // as ifconfig(8): 64 for IPv6; the class of an IPv4 address says nothing today
            let length = match (prefix_len, address) {
                (Some(length), _) => length,
                (None, IpAddr::V6(_)) => 64,
                (None, IpAddr::V4(_)) => {
                    return usage(format!(
                        "{address} needs a prefix length: {address}/24, or netmask 255.255.255.0"
                    ));
                }
            };
            prefix_len = Some(length);
            broadcast = broadcast.or_else(|| last_of(address, length));
        }
        Ok(AddressChange {
            action,
            address,
            prefix_len,
            broadcast,
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
        AddressWords::read(word, Action::Set)?.finish()
    }

    fn complaint<T: std::fmt::Debug>(result: Result<T>) -> String {
        result.expect_err("is wrong").to_string()
    }

    #[test]
    fn with_a_slash() {
        let change = finished("10.0.0.1/24").expect("is right");
        assert_eq!(change.prefix_len, Some(24));
        assert_eq!(change.broadcast, Some(Ipv4Addr::new(10, 0, 0, 255)));
        assert_eq!(finished("10.0.0.1/32").expect("is right").broadcast, None);
        assert_eq!(finished("10.0.0.1/31").expect("is right").broadcast, None);
        let all = finished("10.0.0.1/0").expect("is right");
        assert_eq!(all.broadcast, Some(Ipv4Addr::BROADCAST));
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
                words.finish().expect("is right").prefix_len,
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
