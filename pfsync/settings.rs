// SPDX-License-Identifier: GPL-2.0

//! What the administrator chose for an interface, apart from its syncdev.

use crate::{
    carp::auth_config::AuthSettings,
    linux::state_table::NAME_MAX,
    proto::{
        auth::freshness::{Freshness, Window},
        carp::time::Interval,
        pfsync::{
            bulk_request::PEER_WITHIN,
            pending::{Config, DEFAULT_MAX_UPDATES},
        },
        text::Text,
    },
};
use core::net::IpAddr;

/// The name of a state table.
pub(super) type TableName = Text<NAME_MAX>;

/// The settings.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Settings {
    /// The peer; nothing: the group.
    pub(super) syncpeer: Option<IpAddr>,
    /// How often a TCP state is updated until that is sent at once.
    pub(super) maxupd: u8,
    /// Hold first packets until a peer has the state.
    pub(super) defer: bool,
    /// How many seconds to wait for a first peer.
    pub(super) bulkwait: u8,
    /// Tell also of connections that begin or end at this host itself.
    pub(super) local: bool,
    /// Tell of TCP connections only when they are established.
    pub(super) established: bool,
    /// States whose mark is this, as far as the mask goes, stay here.
    pub(super) nosync_mark: u32,
    /// Which bits of a mark count; none: no mark keeps a state here.
    pub(super) nosync_mask: u32,
    /// States of this zone stay here; 0: of none.
    pub(super) nosync_zone: u16,
    /// Authentication of whole frames.
    pub(super) auth: AuthSettings,
}

impl Settings {
    /// A new interface, with OpenBSD's defaults.
    pub(super) const DEFAULT: Self = Self {
        syncpeer: None,
        maxupd: DEFAULT_MAX_UPDATES,
        defer: false,
        bulkwait: (PEER_WITHIN.0 / 1000) as u8,
        local: false,
        established: false,
        nosync_mark: 0,
        nosync_mask: 0,
        nosync_zone: 0,
        auth: AuthSettings::DEFAULT,
    };

    /// By how many seconds clocks may differ. Frames come at no interval.
    pub(super) fn auth_window(&self) -> Window {
        self.auth.window(Interval(0))
    }

    /// By what frames are told from recordings.
    pub(super) fn freshness(&self) -> Freshness {
        self.auth.freshness(Interval(0))
    }

    /// What the protocol wants to know; `confirm`: there is a peer who might.
    pub(super) const fn config(&self, confirm: bool) -> Config {
        Config {
            max_updates: self.maxupd,
            confirm,
        }
    }

    /// Whether a state with this mark in this zone is not to be exchanged.
    pub(super) fn is_private(&self, mark: u32, zone: u16) -> bool {
        let marked = self.nosync_mask != 0 && (mark ^ self.nosync_mark) & self.nosync_mask == 0;
        marked || (self.nosync_zone != 0 && zone == self.nosync_zone)
    }
}
