// SPDX-License-Identifier: GPL-2.0

//! What the words of a command ask for.

use crate::{
    address::AddressChange, auth::AuthKey, kind::Kind, setting::Setting,
    virtual_device::VirtualDevice,
};
use std::net::{Ipv4Addr, Ipv6Addr};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// Whose words they are; nothing: an interface of another kind.
    pub kind: Option<Kind>,
    pub create: bool,
    pub destroy: bool,
    pub settings: Vec<Setting>,
    /// Keys to add or to replace, and the ids of those to remove.
    pub auth_keys: Vec<AuthKey>,
    pub lost_keys: Vec<u8>,
    /// The carpdev's or syncdev's name; `Some(None)`: none any more.
    pub device: Option<Option<String>>,
    pub join: Vec<String>,
    pub leave: Vec<String>,
    /// One unicast peer of the family, or multicast; the other family stays as it is.
    pub peer_ipv4: Option<Option<Ipv4Addr>>,
    pub peer_ipv6: Option<Option<Ipv6Addr>>,
    /// Becomes it once it is up.
    pub state: Option<u8>,
    pub up: Option<bool>,
    pub lladdr: Option<[u8; 6]>,
    /// It was made up for `lladdr random`.
    pub is_lladdr_random: bool,
    pub mtu: Option<u32>,
    /// An empty one: none any more.
    pub description: Option<String>,
    /// All addresses of these families go.
    pub flush_ipv4: bool,
    pub flush_ipv6: bool,
    pub addresses: Vec<AddressChange>,
    /// Who is said to set the addresses (`IFA_PROTO`); 0: nobody.
    pub address_proto: u8,
    pub virtual_device: VirtualDevice,
    /// What the user should know, in sentences.
    pub warnings: Vec<String>,
}

impl Change {
    /// The passphrase, if it speaks of one.
    pub fn phrase(&self) -> Option<&[u8]> {
        self.settings.iter().find_map(|setting| match setting {
            Setting::Pass(phrase) => Some(phrase.as_slice()),
            _ => None,
        })
    }
}
