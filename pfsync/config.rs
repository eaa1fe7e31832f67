// SPDX-License-Identifier: GPL-2.0

//! What the administrator asks for, checked: everything that can be wrong about a
//! value by itself is told here, in words.

use super::settings::{Settings, TableName};
use crate::{
    carp::{
        auth_config::{AuthChange, Numbers},
        is_unicast, read_switch,
    },
    linux::{
        bindings,
        compat::EPROTO,
        link::Request,
        namespace::Net,
        netdevice::Device,
        netlink::{Attributes, Extack, Policies, Policy},
        rtnl::Rtnl,
        state_table,
    },
};
use core::net::IpAddr;
use kernel::prelude::*;

/// The most that rtnetlink parses (`RTNL_MAX_TYPE`): it would ignore what lies above
/// the last one, and a newer ip(8) would take that for success.
const ATTRIBUTES: usize = 51;

/// The kinds of values.
pub(crate) static POLICIES: Policies<ATTRIBUTES> = Policies::new(&[
    (bindings::IFLA_PFSYNC_SYNCDEV, Policy::U32),
    (bindings::IFLA_PFSYNC_SYNCPEER, Policy::Binary(u16::MAX)),
    (bindings::IFLA_PFSYNC_MAXUPD, Policy::U8),
    (bindings::IFLA_PFSYNC_BULKWAIT, Policy::U8),
    (bindings::IFLA_PFSYNC_LOCAL, Policy::U8),
    (bindings::IFLA_PFSYNC_ESTABLISHED, Policy::U8),
    (bindings::IFLA_PFSYNC_DEFER, Policy::U8),
    (bindings::IFLA_PFSYNC_NOSYNC_MARK, Policy::U32),
    (bindings::IFLA_PFSYNC_NOSYNC_MASK, Policy::U32),
    (bindings::IFLA_PFSYNC_NOSYNC_ZONE, Policy::U16),
    (bindings::IFLA_PFSYNC_TABLE, Policy::Binary(u16::MAX)),
    (bindings::IFLA_PFSYNC_BULK, Policy::Reject),
    (bindings::IFLA_PFSYNC_DEMOTE, Policy::Reject),
    (bindings::IFLA_PFSYNC_STATES, Policy::Reject),
    (bindings::IFLA_PFSYNC_QUEUED, Policy::Reject),
    (bindings::IFLA_PFSYNC_UNCONFIRMED, Policy::Reject),
    (bindings::IFLA_PFSYNC_STATS, Policy::Reject),
    (AUTH.mode, Policy::U8),
    (AUTH.keys, Policy::Nested),
    (AUTH.remove, Policy::U8),
    (AUTH.active, Policy::U8),
    (AUTH.window, Policy::U32),
    (AUTH.monotonic, Policy::U8),
]);

/// The attributes of authentication.
pub(super) const AUTH: Numbers = Numbers {
    mode: bindings::IFLA_PFSYNC_AUTH,
    keys: bindings::IFLA_PFSYNC_AUTH_KEYS,
    remove: bindings::IFLA_PFSYNC_AUTH_KEY_REMOVE,
    active: bindings::IFLA_PFSYNC_AUTH_ACTIVE,
    window: bindings::IFLA_PFSYNC_AUTH_WINDOW,
    monotonic: bindings::IFLA_PFSYNC_AUTH_MONOTONIC,
};

/// The state table unless another one was asked for.
const TABLE: &[u8] = b"conntrack";

/// The state table that was asked for, if it can be one's name.
pub(super) fn table(data: &Attributes<'_>) -> Option<TableName> {
    TableName::new(data.string(bindings::IFLA_PFSYNC_TABLE).unwrap_or(TABLE))
}

/// A change that was asked for; nothing means: as it is.
pub(crate) struct Change<'a> {
    /// A new syncdev; `Some(None)`: none any more.
    pub(super) syncdev: Option<Option<&'a Device>>,
    /// A new peer; `Some(None)`: the group again.
    syncpeer: Option<Option<IpAddr>>,
    maxupd: Option<u8>,
    defer: Option<bool>,
    bulkwait: Option<u8>,
    local: Option<bool>,
    established: Option<bool>,
    nosync_mark: Option<u32>,
    nosync_mask: Option<u32>,
    nosync_zone: Option<u16>,
    table: Option<&'a [u8]>,
    /// Authentication of whole frames.
    pub(super) auth: AuthChange,
}

impl<'a> Change<'a> {
    /// Reads and checks a request about a device that is, or will be, in the namespace
    /// `net`.
    ///
    /// # Errors
    ///
    /// In words: a value is wrong.
    pub(super) fn read(request: &Request<'a>, net: &Net, rtnl: &'a Rtnl) -> Result<Self> {
        let data = &request.data;
        let extack = &request.extack;
        let maxupd = data.u8(bindings::IFLA_PFSYNC_MAXUPD);
        if maxupd == Some(0) {
            return Err(extack.error(EINVAL, format_args!("maxupd must be 1-255")));
        }
        Ok(Self {
            syncdev: data
                .u32(bindings::IFLA_PFSYNC_SYNCDEV)
                .map(|ifindex| read_syncdev(ifindex, request, net, rtnl))
                .transpose()?,
            syncpeer: data
                .binary(bindings::IFLA_PFSYNC_SYNCPEER)
                .map(|peer| read_syncpeer(peer, extack))
                .transpose()?,
            maxupd,
            defer: read_switch(data.u8(bindings::IFLA_PFSYNC_DEFER), "defer", extack)?,
            bulkwait: data.u8(bindings::IFLA_PFSYNC_BULKWAIT),
            local: read_switch(data.u8(bindings::IFLA_PFSYNC_LOCAL), "local", extack)?,
            established: read_switch(
                data.u8(bindings::IFLA_PFSYNC_ESTABLISHED),
                "established",
                extack,
            )?,
            nosync_mark: data.u32(bindings::IFLA_PFSYNC_NOSYNC_MARK),
            nosync_mask: data.u32(bindings::IFLA_PFSYNC_NOSYNC_MASK),
            nosync_zone: data.u16(bindings::IFLA_PFSYNC_NOSYNC_ZONE),
            table: data.string(bindings::IFLA_PFSYNC_TABLE),
            auth: AuthChange::read(data, &AUTH, extack)?,
        })
    }

    /// The table cannot be changed any more.
    ///
    /// # Errors
    ///
    /// In words.
    pub(super) fn keeps_table(&self, table: &TableName, extack: &Extack<'_>) -> Result {
        match self.table {
            Some(wanted) if wanted != table.as_bytes() => Err(extack.error(
                EBUSY,
                format_args!("the state table is chosen when the interface is made"),
            )),
            _ => Ok(()),
        }
    }

    /// The syncdev, beginning from what it is, can send where it has to.
    ///
    /// # Errors
    ///
    /// In words: frames to the group are Ethernet's.
    pub(super) fn reaches(
        &self,
        old: Option<&Device>,
        syncpeer: Option<IpAddr>,
        extack: &Extack<'_>,
    ) -> Result {
        match self.syncdev.unwrap_or(old) {
            Some(dev) if syncpeer.is_none() && !dev.is_ethernet() => Err(extack.error(
                EINVAL,
                format_args!(
                    "syncdev: {} is not Ethernet: it needs a syncpeer",
                    dev.name()
                ),
            )),
            _ => Ok(()),
        }
    }

    /// What the interface is to be, beginning from what it is.
    pub(super) fn apply_to(&self, old: Settings) -> Settings {
        // A mark without a mask is compared as a whole.
        let mask = self.nosync_mask.or(self.nosync_mark.map(|_| u32::MAX));
        Settings {
            syncpeer: self.syncpeer.unwrap_or(old.syncpeer),
            maxupd: self.maxupd.unwrap_or(old.maxupd),
            defer: self.defer.unwrap_or(old.defer),
            bulkwait: self.bulkwait.unwrap_or(old.bulkwait),
            local: self.local.unwrap_or(old.local),
            established: self.established.unwrap_or(old.established),
            nosync_mark: self.nosync_mark.unwrap_or(old.nosync_mark),
            nosync_mask: mask.unwrap_or(old.nosync_mask),
            nosync_zone: self.nosync_zone.unwrap_or(old.nosync_zone),
            auth: self.auth.apply_to(old.auth),
        }
    }
}

fn read_syncdev<'a>(
    ifindex: u32,
    request: &Request<'a>,
    net: &Net,
    rtnl: &'a Rtnl,
) -> Result<Option<&'a Device>> {
    if ifindex == 0 {
        return Ok(None);
    }
    let extack = &request.extack;
    let dev = Device::by_index(request.link_net, ifindex, rtnl)
        .ok_or_else(|| extack.error(ENODEV, format_args!("syncdev: there is no such interface")))?;
    // Where the index is looked up, the request says (`link-netnsid`, or who asks). Events
    // of the syncdev and frames lead to the interface of the syncdev's own namespace.
    if dev.net() != net {
        return Err(extack.error(
            EINVAL,
            format_args!("syncdev: {} is in another namespace", dev.name()),
        ));
    }
    if dev.is_loopback() || dev.is_l3_master() || dev.is_ethernet() && !dev.has_arp() {
        return Err(extack.error(
            EINVAL,
            format_args!("syncdev: {} leads to no other host", dev.name()),
        ));
    }
    Ok(Some(dev))
}

fn read_syncpeer(peer: &[u8], extack: &Extack<'_>) -> Result<Option<IpAddr>> {
    let address: IpAddr = match peer.len() {
        0 => return Ok(None),
        4 => peer.first_chunk::<4>().map(|peer| (*peer).into()),
        16 => peer.first_chunk::<16>().map(|peer| (*peer).into()),
        _ => None,
    }
    .ok_or_else(|| extack.error(EINVAL, format_args!("syncpeer: malformed address")))?;
    match address {
        // As OpenBSD's default is written out.
        IpAddr::V4(group) if group == crate::proto::pfsync::frame::GROUP => Ok(None),
        address if is_unicast(&address) => Ok(Some(address)),
        _ => Err(extack.error(
            EINVAL,
            format_args!("syncpeer is the unicast address of another host"),
        )),
    }
}

/// Says why there is no such table.
pub(super) fn no_table(error: Error, table: &TableName, extack: &Extack<'_>) -> Error {
    // Only lower-case letters and underscores are names; others were not looked for.
    let name = core::str::from_utf8(table.as_bytes()).unwrap_or("");
    if error == EPROTO {
        return extack.error(
            error,
            format_args!("the module pfsync_{} is of another version than carp", name),
        );
    }
    if error != ENOENT {
        return error;
    }
    extack.error(
        error,
        format_args!("the module pfsync_{} is not there: modprobe says why", name),
    )
}

const _: () = assert!(TABLE.len() <= state_table::NAME_MAX);
