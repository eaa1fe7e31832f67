// SPDX-License-Identifier: GPL-2.0

//! Interfaces and their addresses, as rtnetlink tells of them.

use crate::{
    attributes::{as_text, as_u32, Attributes},
    carp::Carp,
    error::{failed, Error, Result},
    kind::Kind,
    pfsync::Pfsync,
    socket::{Netlink, Raw, ENODEV},
};
use netlink_packet_core::{Emitable, Parseable};
use netlink_packet_route::{
    address::{AddressAttribute, AddressMessage},
    link::{InfoKind, LinkAttribute, LinkExtentMask, LinkFlags, LinkHeader, LinkInfo, LinkMessage},
};
use netlink_sys::protocols::NETLINK_ROUTE;
use std::net::IpAddr;

/// Of linux/rtnetlink.h.
pub const RTM_NEWLINK: u16 = 16;
pub const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
pub const RTM_NEWADDR: u16 = 20;
pub const RTM_DELADDR: u16 = 21;
const RTM_GETADDR: u16 = 22;

/// Of linux/if_link.h.
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_IFALIAS: u16 = 20;
const IFLA_LINK_NETNSID: u16 = 37;
const IFLA_PERM_ADDRESS: u16 = 54;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_INFO_SLAVE_KIND: u16 = 4;
const IFLA_INFO_SLAVE_DATA: u16 = 5;
const IFLA_VLAN_ID: u16 = 1;
const IFLA_BOND_MODE: u16 = 1;
const IFLA_MACVLAN_MODE: u16 = 1;
const IFLA_BRPORT_LOCKED: u16 = 39;

/// Interfaces have names of at most so many bytes.
pub const NAME_MAX: usize = 15;

#[derive(Debug, Clone, Default)]
pub struct Interface {
    pub index: u32,
    pub name: String,
    pub flags: LinkFlags,
    pub mtu: u32,
    pub lladdr: Vec<u8>,
    /// That of the hardware, if it has one.
    pub hardware_lladdr: Vec<u8>,
    /// Its alias.
    pub description: Option<String>,
    /// What the kernel calls its kind; nothing: a physical interface.
    pub link_kind: Option<String>,
    /// The index of what a VLAN stands on.
    pub parent: Option<u32>,
    /// Whether that is in another network namespace.
    pub is_parent_elsewhere: bool,
    /// The index of the bond or bridge of which it is a port.
    pub master: Option<u32>,
    pub vlan_id: Option<u16>,
    pub bond_mode: Option<u8>,
    /// `enum macvlan_mode`.
    pub macvlan_mode: Option<u32>,
    /// Whether it is a port of a bridge that drops frames from MAC addresses which are not in
    /// the bridge's table already.
    pub is_locked: bool,
    /// What its kind tells of it; nothing: it is of another one.
    pub carp: Option<Carp>,
    pub pfsync: Option<Pfsync>,
}

impl Interface {
    /// What is not read here is most of what the kernel tells of a link.
    fn read(body: &[u8]) -> Option<Self> {
        let header = LinkHeader::parse(body).ok()?;
        let said = Attributes::new(body.get(header.buffer_len()..)?);
        let mut interface = Self {
            index: header.index,
            flags: header.flags,
            ..Self::default()
        };
        for (kind, value) in said.iter() {
            match kind {
                IFLA_ADDRESS => interface.lladdr = value.to_vec(),
                IFLA_IFNAME => interface.name = as_text(value),
                IFLA_MTU => interface.mtu = as_u32(value).unwrap_or_default(),
                IFLA_LINK => interface.parent = as_u32(value),
                IFLA_LINK_NETNSID => interface.is_parent_elsewhere = true,
                IFLA_MASTER => interface.master = as_u32(value),
                IFLA_LINKINFO => interface.read_kind(Attributes::new(value)),
                IFLA_IFALIAS => interface.description = Some(as_text(value)),
                IFLA_PERM_ADDRESS => interface.hardware_lladdr = value.to_vec(),
                _ => {}
            }
        }
        Some(interface)
    }

    /// What any kind of link tells.
    fn read_kind(&mut self, info: Attributes<'_>) {
        let data = info.nest(IFLA_INFO_DATA).unwrap_or(Attributes::new(&[]));
        self.link_kind = info.text(IFLA_INFO_KIND);
        match self.link_kind.as_deref() {
            Some("carp") => self.carp = Some(Carp::read(data)),
            Some("pfsync") => self.pfsync = Some(Pfsync::read(data)),
            Some("vlan") => self.vlan_id = data.u16(IFLA_VLAN_ID),
            Some("bond") => self.bond_mode = data.u8(IFLA_BOND_MODE),
            Some("macvlan") => self.macvlan_mode = data.u32(IFLA_MACVLAN_MODE),
            _ => {}
        }
        if info.text(IFLA_INFO_SLAVE_KIND).as_deref() == Some("bridge") {
            let port = info.nest(IFLA_INFO_SLAVE_DATA);
            self.is_locked = port.and_then(|it| it.u8(IFLA_BRPORT_LOCKED)) == Some(1);
        }
    }

    /// Nothing: neither of ours.
    pub fn kind(&self) -> Option<Kind> {
        let carp = self.carp.as_ref().map(|_| Kind::Carp);
        carp.or(self.pfsync.as_ref().map(|_| Kind::Pfsync))
    }

    pub fn is_up(&self) -> bool {
        self.flags.contains(LinkFlags::Up)
    }

    /// Whether its link-layer address may be one of `lladdr random`: administered locally,
    /// no group's, and not the hardware's, which can be such a one in a virtual machine.
    pub fn has_random_lladdr(&self) -> bool {
        let is_local = self.lladdr.first().is_some_and(|first| first & 3 == 2);
        is_local && self.lladdr != self.hardware_lladdr
    }

    /// Whether the interface of this name is a port of this bond or bridge.
    pub fn has_port(&self, name: &str, route: &mut Route) -> Result<bool> {
        let port = route.by_name(name)?;
        Ok(port.and_then(|port| port.master) == Some(self.index))
    }
}

/// What carp's carpdev is called, if `name` tells the name of an interface that is here.
pub fn carpdev(carp: &Carp, name: impl FnOnce(u32) -> Result<String>) -> Result<Option<String>> {
    Ok(match (carp.carpdev, carp.carpdev_netnsid) {
        (None, _) => carp
            .carpdev_gone
            .as_ref()
            .map(|name| format!("{name} (gone)")),
        (Some(index), None) => Some(name(index)?),
        // here the index may be another's, or nobody's
        (Some(index), Some(_)) => Some(format!("if{index}")),
    })
}

/// IFLA_INFO_KIND of a kind.
pub fn info_kind(kind: Kind) -> LinkInfo {
    LinkInfo::Kind(InfoKind::Other(kind.name().to_owned()))
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    pub address: IpAddr,
    pub prefix_len: u8,
    pub broadcast: Option<std::net::Ipv4Addr>,
    /// The other end of a point-to-point link.
    pub dest: Option<IpAddr>,
    pub interface: u32,
    /// Who set it (`IFA_PROTO`); 0: nobody who would say so.
    pub proto: u8,
}

impl Address {
    fn read(body: &[u8]) -> Option<Self> {
        let message = AddressMessage::parse(body).ok()?;
        let mut address = None;
        let mut local = None;
        let mut broadcast = None;
        let mut proto = 0;
        for attribute in message.attributes {
            match attribute {
                AddressAttribute::Address(value) => address = Some(value),
                AddressAttribute::Local(value) => local = Some(value),
                AddressAttribute::Broadcast(value) => broadcast = Some(value),
                AddressAttribute::Protocol(value) => proto = value.into(),
                _ => {}
            }
        }
        // of a point-to-point link the other one is the peer's
        let own = local.or(address)?;
        Some(Self {
            address: own,
            dest: address.filter(|dest| *dest != own),
            prefix_len: message.header.prefix_len,
            broadcast,
            interface: message.header.index,
            proto,
        })
    }
}

/// rtnetlink.
pub struct Route(Netlink);

impl Route {
    pub fn open() -> Result<Self> {
        Ok(Self(Netlink::open(NETLINK_ROUTE)?))
    }

    pub fn request(&mut self, kind: u16, flags: u16, message: &impl Emitable) -> Result<Vec<Raw>> {
        self.0.request(kind, flags, &emit(message))
    }

    pub fn request_raw(&mut self, kind: u16, flags: u16, body: &[u8]) -> Result<Vec<Raw>> {
        self.0.request(kind, flags, body)
    }

    pub fn dump_raw(&mut self, kind: u16, body: &[u8]) -> Result<Vec<Raw>> {
        self.0.dump(kind, body)
    }

    /// Nothing: there is no such interface.
    fn get(&mut self, index: u32, attributes: Vec<LinkAttribute>) -> Result<Option<Interface>> {
        let mut message = LinkMessage::default();
        message.header.index = index;
        message.attributes = attributes;
        match self.request(RTM_GETLINK, 0, &message) {
            Ok(answers) => Ok(answers
                .first()
                .and_then(|answer| Interface::read(&answer.body))),
            Err(Error::Kernel { code: ENODEV, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub fn by_name(&mut self, name: &str) -> Result<Option<Interface>> {
        if name.is_empty() || name.len() > NAME_MAX {
            // the kernel would speak of attributes
            return Ok(None);
        }
        self.get(0, vec![LinkAttribute::IfName(name.to_owned())])
    }

    /// Its name, or its index where it has none here.
    pub fn name(&mut self, index: u32) -> Result<String> {
        let interface = self.get(index, Vec::new())?;
        Ok(interface.map_or_else(|| format!("if{index}"), |interface| interface.name))
    }

    /// What carp's carpdev is called here.
    pub fn carpdev(&mut self, carp: &Carp) -> Result<Option<String>> {
        carpdev(carp, |index| self.name(index))
    }

    /// Every interface of a kind, in the order of their indexes.
    pub fn all(&mut self, kind: Kind) -> Result<Vec<Interface>> {
        let mut message = LinkMessage::default();
        message.attributes = vec![
            LinkAttribute::LinkInfo(vec![info_kind(kind)]),
            without_stats(),
        ];
        let read = |body: &[u8]| Interface::read(body).filter(|it| it.kind() == Some(kind));
        let mut found = match self.0.dump_with(RTM_GETLINK, &emit(&message), read) {
            // without carp.ko there is no such kind to ask for, on some kernels
            Err(Error::Kernel { code: ENODEV, .. }) => Vec::new(),
            found => found?,
        };
        found.sort_by_key(|interface| interface.index);
        Ok(found)
    }

    /// All interfaces, of any kind, in the order of their indexes.
    pub fn links(&mut self) -> Result<Vec<Interface>> {
        let mut message = LinkMessage::default();
        message.attributes = vec![without_stats()];
        let mut found = self
            .0
            .dump_with(RTM_GETLINK, &emit(&message), Interface::read)?;
        found.sort_by_key(|interface| interface.index);
        Ok(found)
    }

    /// The names of all interfaces, of any kind.
    pub fn names(&mut self) -> Result<Vec<String>> {
        let answers = self.0.dump(RTM_GETLINK, &emit(&LinkMessage::default()))?;
        Ok(answers
            .iter()
            .filter_map(|answer| Some(Interface::read(&answer.body)?.name))
            .collect())
    }

    /// The addresses of an interface, or of all, in the kernel's order.
    pub fn addresses(&mut self, interface: Option<u32>) -> Result<Vec<Address>> {
        let answers = self
            .0
            .dump(RTM_GETADDR, &emit(&AddressMessage::default()))?;
        Ok(answers
            .iter()
            .filter_map(|answer| Address::read(&answer.body))
            .filter(|address| interface.is_none_or(|index| address.interface == index))
            .collect())
    }

    /// The interface of this name, of any kind.
    pub fn existing(&mut self, name: &str) -> Result<Interface> {
        match self.by_name(name)? {
            Some(interface) => Ok(interface),
            None => failed(format!("{name}: there is no such interface")),
        }
    }

    /// The carp or pfsync interface of this name.
    ///
    /// # Errors
    ///
    /// There is none, or it is of another kind.
    pub fn ours_by_name(&mut self, name: &str) -> Result<Interface> {
        match self.by_name(name)? {
            Some(interface) if interface.kind().is_some() => Ok(interface),
            Some(_) => failed(not_ours(name)),
            None => failed(format!("{name}: there is no such interface")),
        }
    }
}

/// Of an interface that is of another kind.
pub fn not_ours(name: &str) -> String {
    let kind = Kind::of_name(name).name();
    format!("{name} is not a {kind} interface")
}

/// Asks for links without the statistics of any link, which are most of what there is to
/// tell of one, and which nobody wants here.
fn without_stats() -> LinkAttribute {
    LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats])
}

fn emit(message: &impl Emitable) -> Vec<u8> {
    let mut body = vec![0; message.buffer_len()];
    message.emit(&mut body);
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        attributes::{self, nest, text, u8},
        contract::{link::IFLA_CARP_VHID, pfsync::IFLA_PFSYNC_MAXUPD},
    };
    use netlink_packet_core::DefaultNla;

    const IFLA_STATS64: u16 = 23;

    fn link(info: &[DefaultNla]) -> Vec<u8> {
        let header = LinkHeader {
            index: 7,
            flags: LinkFlags::Up | LinkFlags::Running,
            ..LinkHeader::default()
        };
        let attributes = attributes::emit(&[
            // shorter than any kernel's
            attributes::u32(IFLA_STATS64, 1),
            text(IFLA_IFNAME, "carp0"),
            nest(IFLA_LINKINFO, info),
        ]);
        [emit(&header), attributes].concat()
    }

    #[test]
    fn a_carp_interface() {
        let info = [text(1, "carp"), nest(2, &[u8(IFLA_CARP_VHID, 3)])];
        let interface = Interface::read(&link(&info)).expect("is read");
        assert_eq!((interface.index, &*interface.name), (7, "carp0"));
        assert!(interface.is_up());
        assert_eq!(interface.carp.expect("is carp").nodes[0].vhid, 3);
    }

    #[test]
    fn a_pfsync_interface() {
        let info = [text(1, "pfsync"), nest(2, &[u8(IFLA_PFSYNC_MAXUPD, 3)])];
        let interface = Interface::read(&link(&info)).expect("is read");
        assert_eq!(interface.kind(), Some(Kind::Pfsync));
        assert_eq!(interface.pfsync.expect("is pfsync").maxupd, 3);
    }

    #[test]
    fn both_ends_of_a_link() {
        let read = |dest: [u8; 4]| {
            let (local, dest) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from(dest));
            let mut message = AddressMessage::default();
            message.header.family = netlink_packet_route::AddressFamily::Inet;
            message.attributes = vec![
                AddressAttribute::Address(dest),
                AddressAttribute::Local(local),
            ];
            let address = Address::read(&emit(&message)).expect("is read");
            (address.address.to_string(), address.dest)
        };
        assert_eq!(read([10, 0, 0, 1]), ("10.0.0.1".to_owned(), None));
        let dest = IpAddr::from([10, 0, 0, 2]);
        assert_eq!(read([10, 0, 0, 2]), ("10.0.0.1".to_owned(), Some(dest)));
    }

    #[test]
    fn another_interface() {
        let interface = Interface::read(&link(&[text(1, "dummy")])).expect("is read");
        assert_eq!(interface.kind(), None);
        assert!(Interface::read(&[0; 8]).is_none());
    }
}
