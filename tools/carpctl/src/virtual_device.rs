// SPDX-License-Identifier: GPL-2.0

//! VLANs, bonds and bridges: OpenBSD's words for them, and what the kernel takes instead.

use crate::{
    attributes::{bytes, emit, u32, u8},
    change::Change,
    cursor::Cursor,
    error::{failed, usage, Result},
    interface::{Interface, Route, RTM_NEWLINK},
    value::Value::{self, *},
};
use netlink_packet_route::link::{
    InfoData, InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};

pub const WORDS: &[(&str, Value)] = &[
    ("vnetid", Unlisted),
    ("parent", Interface),
    ("trunkproto", OneOf(PROTOCOLS)),
    ("trunkport", Interface),
    ("-trunkport", Interface),
    ("add", Interface),
    ("del", Interface),
];

/// Of linux/if_link.h.
const IFLA_VLAN_ID: u16 = 1;
const IFLA_BOND_MODE: u16 = 1;
const IFLA_BOND_MIIMON: u16 = 3;

/// How often a bond looks for the links of its ports, in milliseconds: never, if nobody asks.
const MIIMON: u32 = 100;

/// OpenBSD's protocols, in the order of the modes of bonds that are nearest to them.
const PROTOCOLS: &[&str] = &["roundrobin", "failover", "loadbalance", "broadcast", "lacp"];

/// What was said of a VLAN, a bond or a bridge.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VirtualDevice {
    pub vnetid: Option<u16>,
    pub parent: Option<String>,
    /// The mode of a bond.
    pub trunkproto: Option<u8>,
    pub is_bond: bool,
    pub ports: Vec<String>,
    pub leaving: Vec<String>,
}

/// Whether `word` is one of these; if so it is read with its value.
pub fn word(word: &str, cursor: &mut Cursor<'_>, change: &mut Change) -> Result<bool> {
    let device = &mut change.virtual_device;
    match word {
        "vnetid" => {
            let value = cursor.value_once("vnetid")?;
            match value.parse() {
                Ok(id @ 1..=4094) => device.vnetid = Some(id),
                _ => {
                    return usage(format!(
                        "vnetid \"{value}\": a number of 1-4094 is expected"
                    ));
                }
            }
        }
        "parent" => device.parent = Some(cursor.value_once("parent")?.to_owned()),
        "trunkproto" => {
            let value = cursor.value_once("trunkproto")?;
            let mode = PROTOCOLS.iter().position(|name| *name == value);
            let Some(mode) = mode.and_then(|mode| u8::try_from(mode).ok()) else {
                let names = PROTOCOLS.join(", ");
                return usage(format!(
                    "trunkproto \"{value}\": one of {names} is expected"
                ));
            };
            device.trunkproto = Some(mode);
            device.is_bond = true;
        }
        "trunkport" => {
            device.ports.push(cursor.value("trunkport")?.to_owned());
            device.is_bond = true;
        }
        "add" => device.ports.push(cursor.value("add")?.to_owned()),
        "-trunkport" | "del" => device.leaving.push(cursor.value(word)?.to_owned()),
        _ => return Ok(false),
    }
    Ok(true)
}

/// Whether an interface is of a kind that can be made here.
pub fn is_one(interface: &Interface) -> bool {
    let kind = interface.link_kind.as_deref();
    matches!(kind, Some("vlan" | "bond" | "bridge"))
}

/// Whether the words of a command, or of a file, say how a device of this kind is made.
pub fn says_how_to_make_one(words: &[String]) -> bool {
    let tells = ["vnetid", "parent", "trunkproto", "trunkport", "add"];
    words.iter().any(|word| tells.contains(&word.as_str()))
}

impl VirtualDevice {
    /// What the kernel calls it; nothing: nothing was said of one.
    pub fn kind(&self) -> Option<&'static str> {
        if self.vnetid.is_some() || self.parent.is_some() {
            Some("vlan")
        } else if self.is_bond {
            Some("bond")
        } else if self.ports.is_empty() {
            None
        } else {
            Some("bridge")
        }
    }

    /// The interfaces that must be there first.
    pub fn below(&self) -> impl Iterator<Item = &str> {
        self.parent.iter().chain(&self.ports).map(String::as_str)
    }

    /// What makes it.
    ///
    /// # Errors
    ///
    /// Something was not said, or the parent does not exist.
    pub fn making(&self, name: &str, route: &mut Route) -> Result<Vec<LinkAttribute>> {
        let Some(kind) = self.kind() else {
            return failed(format!("{name}: there is no such interface"));
        };
        let mut attributes = Vec::new();
        let mut data = Vec::new();
        if kind == "vlan" {
            let (Some(id), Some(parent)) = (self.vnetid, &self.parent) else {
                return failed(format!("{name} needs both vnetid and parent to be made"));
            };
            data.push(bytes(IFLA_VLAN_ID, &id.to_ne_bytes()));
            match route.by_name(parent)? {
                Some(parent) => attributes.push(LinkAttribute::Link(parent.index)),
                None => return failed(format!("parent {parent}: there is no such interface")),
            }
        }
        if kind == "bond" {
            data.extend(self.trunkproto.map(|mode| u8(IFLA_BOND_MODE, mode)));
            data.push(u32(IFLA_BOND_MIIMON, MIIMON));
        }
        let mut info = vec![LinkInfo::Kind(InfoKind::Other(kind.to_owned()))];
        if !data.is_empty() {
            info.push(LinkInfo::Data(InfoData::Other(emit(&data))));
        }
        attributes.push(LinkAttribute::LinkInfo(info));
        Ok(attributes)
    }

    /// Whether an interface that is there can be what was said.
    ///
    /// # Errors
    ///
    /// It is another one, which cannot be changed into it.
    pub fn check(&self, interface: &Interface, route: &mut Route) -> Result<()> {
        let Some(kind) = self.kind() else {
            return Ok(());
        };
        let name = &interface.name;
        if interface.link_kind.as_deref() != Some(kind) {
            return failed(format!("{name} is there already, and is not a {kind}"));
        }
        let parent = match &self.parent {
            Some(parent) => route.by_name(parent)?.map(|parent| parent.index),
            None => interface.parent,
        };
        let another = self.vnetid.is_some() && self.vnetid != interface.vlan_id
            || parent != interface.parent
            || self.trunkproto.is_some() && self.trunkproto != interface.bond_mode;
        if another {
            return failed(format!(
                "{name} was made with another vnetid, parent or trunkproto: \
                 take it away first (ip link delete {name})"
            ));
        }
        Ok(())
    }

    /// Takes ports in and lets them go.
    pub fn move_ports(&self, index: u32, route: &mut Route) -> Result<()> {
        for (names, word, master) in [(&self.leaving, "leave", 0), (&self.ports, "join", index)] {
            for name in names {
                let Some(port) = route.by_name(name)? else {
                    return failed(format!("{name}: there is no such interface"));
                };
                // what is a port of another one is not ours to let go
                let is_port = port.master == Some(index);
                if is_port == (master == index) {
                    continue;
                }
                let mut message = LinkMessage::default();
                message.header.index = port.index;
                if self.is_bond && port.is_up() {
                    // a bond takes only what is down, and brings it up
                    message.header.change_mask = LinkFlags::Up;
                    route.request(RTM_NEWLINK, 0, &message)?;
                    message.header.change_mask = LinkFlags::empty();
                }
                message.attributes = vec![LinkAttribute::Controller(master)];
                route
                    .request(RTM_NEWLINK, 0, &message)
                    .map_err(|error| error.about(format!("{name} cannot {word}")))?;
            }
        }
        Ok(())
    }
}
