// SPDX-License-Identifier: GPL-2.0

//! What the administrator asks for, checked: everything that can be wrong about a
//! value by itself is told here, in words.

use super::device::Carp;
use crate::{
    linux::{
        bindings,
        crypto::Secret,
        link::Request,
        netdevice::Device,
        netlink::{Extack, Policies, Policy},
        rtnl::Rtnl,
    },
    proto::carp::{
        digest::{self, KEY_LEN, PASS_MAX},
        election::{Config, State},
    },
};
use kernel::prelude::*;

/// The most that rtnetlink parses (`RTNL_MAX_TYPE`): it would ignore what lies above
/// the last one, and a newer ip(8) would take that for success.
const ATTRIBUTES: usize = 51;

/// The kinds of values; their ranges are checked here, where an error can say
/// what the range is.
pub(crate) static POLICIES: Policies<ATTRIBUTES> = Policies::new(&[
    (bindings::IFLA_CARP_VHID, Policy::U8),
    (bindings::IFLA_CARP_CARPDEV, Policy::U32),
    (bindings::IFLA_CARP_ADVBASE, Policy::U8),
    (bindings::IFLA_CARP_ADVSKEW, Policy::U8),
    (bindings::IFLA_CARP_PASS, Policy::Binary(u16::MAX)),
    (bindings::IFLA_CARP_STATE, Policy::U8),
    (bindings::IFLA_CARP_DEMOTE, Policy::Reject),
    (bindings::IFLA_CARP_STATS, Policy::Reject),
]);

/// The largest advbase and advskew: 255 is how a master bows out.
const ADV_MAX: u8 = 254;

/// A change that was asked for; nothing means: as it is.
pub(super) struct Change<'a> {
    vhid: Option<u8>,
    advbase: Option<u8>,
    advskew: Option<u8>,
    /// A new passphrase, padded.
    pub(super) key: Option<Secret<KEY_LEN>>,
    /// A new parent; `Some(None)`: none any more.
    pub(super) carpdev: Option<Option<&'a Device>>,
    /// A state to be forced.
    pub(super) state: Option<State>,
}

impl<'a> Change<'a> {
    /// Reads and checks a request.
    ///
    /// # Errors
    ///
    /// In words: a value is wrong.
    pub(super) fn read(request: &Request<'a>, rtnl: &'a Rtnl) -> Result<Self> {
        let data = &request.data;
        let extack = &request.extack;
        let vhid = data.u8(bindings::IFLA_CARP_VHID);
        if vhid == Some(0) {
            return Err(extack.error(EINVAL, format_args!("vhid must be 1-255")));
        }
        let state = data
            .u8(bindings::IFLA_CARP_STATE)
            .map(|state| read_state(state, extack))
            .transpose()?;
        let key = data
            .binary(bindings::IFLA_CARP_PASS)
            .map(|pass| read_pass(pass, extack))
            .transpose()?;
        Ok(Self {
            vhid,
            advbase: read_adv(data.u8(bindings::IFLA_CARP_ADVBASE), "advbase", extack)?,
            advskew: read_adv(data.u8(bindings::IFLA_CARP_ADVSKEW), "advskew", extack)?,
            key,
            carpdev: read_carpdev(request, rtnl)?,
            state,
        })
    }

    /// What the virtual host is to be, beginning from what it is.
    pub(super) fn apply_to(&self, config: Config) -> Config {
        Config {
            vhid: self.vhid.unwrap_or(config.vhid),
            advbase: self.advbase.unwrap_or(config.advbase),
            advskew: self.advskew.unwrap_or(config.advskew),
        }
    }
}

fn read_adv(value: Option<u8>, name: &str, extack: &Extack<'_>) -> Result<Option<u8>> {
    match value {
        Some(value) if value > ADV_MAX => {
            Err(extack.error(EINVAL, format_args!("{} must be 0-{}", name, ADV_MAX)))
        }
        value => Ok(value),
    }
}

fn read_state(state: u8, extack: &Extack<'_>) -> Result<State> {
    match u32::from(state) {
        bindings::carp_state_CARP_STATE_BACKUP => Ok(State::Backup),
        bindings::carp_state_CARP_STATE_MASTER => Ok(State::Master),
        _ => Err(extack.error(
            EINVAL,
            format_args!("state can be set to backup or master only"),
        )),
    }
}

fn read_pass(pass: &[u8], extack: &Extack<'_>) -> Result<Secret<KEY_LEN>> {
    let key = digest::key(pass).ok_or_else(|| {
        extack.error(
            EINVAL,
            format_args!("the passphrase is longer than {} characters", PASS_MAX),
        )
    })?;
    Ok(Secret::new(key))
}

/// A parent is named by `carpdev` or, as with other kinds, by `link`.
fn read_carpdev<'a>(request: &Request<'a>, rtnl: &'a Rtnl) -> Result<Option<Option<&'a Device>>> {
    let extack = &request.extack;
    let carpdev = request.data.u32(bindings::IFLA_CARP_CARPDEV);
    let ifindex = match (carpdev, request.link) {
        (Some(carpdev), Some(link)) if carpdev != link => {
            return Err(extack.error(
                EINVAL,
                format_args!("carpdev and link name different interfaces"),
            ));
        }
        (carpdev, link) => carpdev.or(link),
    };
    match ifindex {
        None => Ok(None),
        Some(0) => Ok(Some(None)),
        Some(ifindex) => {
            let dev = Device::by_index(request.link_net, ifindex, rtnl).ok_or_else(|| {
                extack.error(
                    ENODEV,
                    format_args!("carpdev: there is no interface with index {}", ifindex),
                )
            })?;
            check_parent(dev, request, rtnl)?;
            Ok(Some(Some(dev)))
        }
    }
}

fn check_parent(dev: &Device, request: &Request<'_>, rtnl: &Rtnl) -> Result {
    let extack = &request.extack;
    if dev.of_driver_rtnl::<Carp>(rtnl).is_some() {
        return Err(extack.error(
            EINVAL,
            format_args!(
                "{} is a carp interface, which cannot be the carpdev of another",
                dev.name()
            ),
        ));
    }
    if !dev.is_ethernet() {
        return Err(extack.error(
            EINVAL,
            format_args!("{} is not an Ethernet interface with ARP", dev.name()),
        ));
    }
    if dev.is_picky_macvlan() {
        return Err(extack.error(
            EINVAL,
            format_args!(
                "{} is a macvlan that is not in passthru mode: it would never see the virtual MAC",
                dev.name()
            ),
        ));
    }
    Ok(())
}
