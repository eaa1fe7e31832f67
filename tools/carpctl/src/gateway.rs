// SPDX-License-Identifier: GPL-2.0

//! Default gateways, as in mygate(5): one of each family.

use crate::{
    attributes::{address, as_address, emit, u32, Attributes},
    error::Result,
    hostname_file::Mistake,
    interface::Route,
};
use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use std::net::IpAddr;

/// Of linux/rtnetlink.h.
const RTM_NEWROUTE: u16 = 24;
const RTM_GETROUTE: u16 = 26;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_DST: u16 = 1;
const RT_TABLE_MAIN: u8 = 254;
const RTPROT_BOOT: u8 = 3;
const RTN_UNICAST: u8 = 1;
/// Of sys/socket.h.
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
/// struct rtmsg.
const HEADER: usize = 12;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    pub address: IpAddr,
    /// Of a link-local address the interface behind the per cent sign.
    pub interface: Option<String>,
}

fn as_index(value: &[u8]) -> Option<u32> {
    value.try_into().ok().map(u32::from_ne_bytes)
}

/// Reads the text of /etc/mygate.
pub fn read(text: &str) -> (Vec<Gateway>, Vec<Mistake>) {
    let mut found: Vec<Gateway> = Vec::new();
    let mut mistakes = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default();
        for word in line.split_whitespace() {
            let mut wrong = |sentence| {
                mistakes.push(Mistake {
                    line: number + 1,
                    sentence,
                });
            };
            let (host, interface) = match word.split_once('%') {
                Some((host, interface)) => (host, Some(interface.to_owned())),
                None => (word, None),
            };
            let Ok(address) = host.parse::<IpAddr>() else {
                wrong(format!("\"{word}\" is not an address of a gateway"));
                continue;
            };
            let is_link_local = match address {
                IpAddr::V4(_) => false,
                IpAddr::V6(ipv6) => ipv6.is_unicast_link_local(),
            };
            let is_named = interface.as_deref().map(|name| !name.is_empty());
            if is_named == Some(false) || is_link_local && is_named.is_none() {
                wrong(format!(
                    "{word}: a link-local address is followed by % and an interface"
                ));
                continue;
            }
            if found
                .iter()
                .any(|it| it.address.is_ipv4() == address.is_ipv4())
            {
                wrong(format!("{word} is a second gateway of its family"));
                continue;
            }
            found.push(Gateway { address, interface });
        }
    }
    (found, mistakes)
}

impl Gateway {
    fn family(&self) -> u8 {
        if self.address.is_ipv4() {
            AF_INET
        } else {
            AF_INET6
        }
    }

    /// A message about a default route by way of it.
    fn message(&self, index: Option<u32>) -> Vec<u8> {
        let mut body = vec![
            self.family(),
            0,
            0,
            0,
            RT_TABLE_MAIN,
            RTPROT_BOOT,
            0,
            RTN_UNICAST,
            0,
            0,
            0,
            0,
        ];
        let mut attributes = vec![address(RTA_GATEWAY, self.address)];
        attributes.extend(index.map(|index| u32(RTA_OIF, index)));
        body.extend(emit(&attributes));
        body
    }

    /// Whether the default route leads there.
    pub fn is_set(&self, route: &mut Route) -> Result<bool> {
        let index = match &self.interface {
            Some(name) => match route.by_name(name)? {
                Some(interface) => Some(interface.index),
                None => return Ok(false),
            },
            None => None,
        };
        let mut question = vec![0; HEADER];
        if let Some(family) = question.first_mut() {
            *family = self.family();
        }
        let answers = route.dump_raw(RTM_GETROUTE, &question)?;
        Ok(answers
            .iter()
            .any(|answer| self.is_route(index, &answer.body)))
    }

    fn is_route(&self, index: Option<u32>, body: &[u8]) -> bool {
        let Some((header, attributes)) = body.split_at_checked(HEADER) else {
            return false;
        };
        let attributes = Attributes::new(attributes);
        header.get(1) == Some(&0)
            && header.get(4) == Some(&RT_TABLE_MAIN)
            && !attributes.has(RTA_DST)
            && attributes.get(RTA_GATEWAY).and_then(as_address) == Some(self.address)
            // the same link-local address may be a router's on any link
            && (index.is_none() || attributes.get(RTA_OIF).and_then(as_index) == index)
    }

    /// Makes it the default route.
    pub fn set(&self, route: &mut Route) -> Result<()> {
        let index = match &self.interface {
            Some(name) => Some(route.existing(name)?.index),
            None => None,
        };
        let flags = NLM_F_CREATE | NLM_F_REPLACE;
        route.request_raw(RTM_NEWROUTE, flags, &self.message(index))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_each_family() {
        let (found, mistakes) = read("# out\n10.0.0.254\nfe80::1%eth0 # IPv6\n");
        assert_eq!(mistakes, []);
        let told: Vec<_> = found
            .iter()
            .map(|it| (it.address.to_string(), it.interface.as_deref()))
            .collect();
        assert_eq!(
            told,
            [
                ("10.0.0.254".into(), None),
                ("fe80::1".into(), Some("eth0"))
            ]
        );
        let (found, mistakes) = read("10.0.0.254 10.0.0.253\nrouter\nfe80::1\nfe80::1%");
        assert_eq!(found.len(), 1);
        let told: Vec<_> = mistakes
            .iter()
            .map(|it| (it.line, it.sentence.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                (1, "10.0.0.253 is a second gateway of its family"),
                (2, "\"router\" is not an address of a gateway"),
                (3, told[2].1),
                (4, told[3].1),
            ]
        );
        assert!(told[2].1.starts_with("fe80::1: a link-local address"));
    }

    #[test]
    fn a_route_that_is_there() {
        let (found, _) = read("10.0.0.254");
        let [gateway] = &found[..] else {
            panic!("{found:?}")
        };
        assert!(gateway.is_route(None, &gateway.message(None)));
        let (others, _) = read("10.0.0.253");
        assert!(!others
            .iter()
            .any(|it| it.is_route(None, &gateway.message(None))));
        assert!(!gateway.is_route(None, &[2, 0]));
        let (found, _) = read("fe80::1%eth0");
        let [gateway] = &found[..] else {
            panic!("{found:?}")
        };
        assert!(gateway.is_route(Some(7), &gateway.message(Some(7))));
        assert!(!gateway.is_route(Some(7), &gateway.message(Some(8))));
    }
}
