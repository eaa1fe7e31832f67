// SPDX-License-Identifier: GPL-2.0

//! The link kind: `ip link add`, `set` and `show … type pfsync`.

use super::{
    authentication::{FrameKeys, Prepared},
    bulk::has_link,
    config::{self, Change, AUTH, POLICIES},
    counters::Counter,
    demotion,
    device::Pfsync,
    netns::Namespace,
    settings::Settings,
};
use crate::{
    carp::auth_config::AuthChange,
    linux::{
        bindings,
        link::{Link, LinkKind, Request},
        memcg::MemoryCgroup,
        netdevice::Device,
        netdevice_ops::{NewDevice, OwnDevice},
        netlink::{attribute_size, attribute_size_u64, Attributes, Extack, Message},
        rcu::RcuSlot,
        rtnl::Rtnl,
        state_table::{self, Adapter},
    },
    proto::{
        auth::key::KEYS_MAX,
        pfsync::{bulk_request::Progress, frame::GROUP},
    },
};
use core::net::IpAddr;
use kernel::{
    prelude::*,
    sync::{rcu, Arc, ArcBorrow},
};

/// The registration.
pub(crate) static LINK: Link<Pfsync> = Link::new(c"pfsync", &POLICIES);

impl LinkKind for Pfsync {
    fn link() -> &'static Link<Self> {
        &LINK
    }

    fn prepare(data: &Attributes<'_>) {
        if let Some(table) = config::table(data) {
            Adapter::request(table.as_bytes());
        }
    }

    type Change<'a> = Change<'a>;

    fn read<'a>(request: &Request<'a>, dev: &Device, rtnl: &'a Rtnl) -> Result<Change<'a>> {
        Change::read(request, dev.net(), rtnl)
    }

    fn new(dev: &NewDevice<'_>, request: &Request<'_>, change: &Change<'_>) -> Result<Arc<Self>> {
        let extack = &request.extack;
        // Checked before the interface is there for anybody to see.
        let settings = change.apply_to(Settings::DEFAULT);
        change.reaches(None, settings.syncpeer, extack)?;
        change
            .auth
            .check(&settings.auth, None::<&FrameKeys>, extack)?;
        {
            let rcu = rcu::read_lock();
            let namespace = Namespace::of(dev.net(), &rcu).ok_or(ENODEV)?;
            if let Some((other, _)) = namespace.interface(&rcu) {
                return Err(extack.error(
                    EEXIST,
                    format_args!("{} is there: one is enough for a namespace", other.name()),
                ));
            }
        }
        let table = config::table(&request.data)
            .ok_or_else(|| extack.error(EINVAL, format_args!("that is no name of a table")))?;
        let adapter = Adapter::get(table.as_bytes())
            .map_err(|error| config::no_table(error, &table, extack))?;
        let memory = MemoryCgroup::of_caller(dev.net());
        Self::new(Settings::DEFAULT, adapter, table, memory)
    }

    fn created(
        self: &Arc<Self>,
        dev: &OwnDevice,
        request: &Request<'_>,
        change: Change<'_>,
        rtnl: &Rtnl,
    ) -> Result {
        let namespace = Namespace::of(dev.net(), rtnl).ok_or(ENODEV)?;
        let interface = RcuSlot::prepare(dev.hold())?;
        let group = demotion::join(dev, rtnl)?;
        self.begin(dev, group, rtnl);
        namespace.set_interface(interface, rtnl);
        self.reconfigure(dev, change, &request.extack, rtnl)
    }

    fn change(
        this: ArcBorrow<'_, Self>,
        dev: &OwnDevice,
        request: &Request<'_>,
        change: Change<'_>,
        rtnl: &Rtnl,
    ) -> Result {
        change.keeps_table(&this.table, &request.extack)?;
        let this: Arc<Self> = this.into();
        this.reconfigure(dev, change, &request.extack, rtnl)
    }

    fn lower<'a>(&'a self, _rcu: &'a rcu::Guard) -> Option<&'a Device> {
        // In the same namespace always.
        None
    }

    fn size(&self) -> usize {
        let values: usize = [
            4,
            16,
            1,
            1,
            1,
            1,
            4,
            4,
            2,
            state_table::NAME_MAX,
            1,
            4,
            4,
            4,
            4,
            0,
        ]
        .into_iter()
        .map(attribute_size)
        .sum();
        let counters = Counter::ALL.len().saturating_mul(attribute_size_u64());
        let auth = AUTH.size(KEYS_MAX);
        values.saturating_add(auth).saturating_add(counters)
    }

    fn fill(&self, _dev: &OwnDevice, message: &mut Message<'_>, _rtnl: &Rtnl) -> Result {
        let (settings, progress, numbers) = {
            let session = self.session.lock();
            let progress = session.table.as_ref().map(|_| session.request.progress());
            let unconfirmed = u32::try_from(session.unconfirmed()).unwrap_or(u32::MAX);
            let numbers = [
                (bindings::IFLA_PFSYNC_DEMOTE, session.demoted.unsigned_abs()),
                (bindings::IFLA_PFSYNC_STATES, session.store.len()),
                (bindings::IFLA_PFSYNC_QUEUED, session.queued()),
                (bindings::IFLA_PFSYNC_UNCONFIRMED, unconfirmed),
            ];
            (session.settings, progress, numbers)
        };
        {
            let rcu = rcu::read_lock();
            if let Some(syncdev) = self.syncdev.get(&rcu) {
                message.u32(bindings::IFLA_PFSYNC_SYNCDEV, *syncdev)?;
            }
        }
        match settings.syncpeer {
            Some(IpAddr::V4(peer)) => {
                message.binary(bindings::IFLA_PFSYNC_SYNCPEER, &peer.octets())?;
            }
            Some(IpAddr::V6(peer)) => {
                message.binary(bindings::IFLA_PFSYNC_SYNCPEER, &peer.octets())?;
            }
            None => {}
        }
        message.u8(bindings::IFLA_PFSYNC_MAXUPD, settings.maxupd)?;
        message.u8(bindings::IFLA_PFSYNC_BULKWAIT, settings.bulkwait)?;
        message.u8(bindings::IFLA_PFSYNC_LOCAL, settings.local.into())?;
        message.u8(
            bindings::IFLA_PFSYNC_ESTABLISHED,
            settings.established.into(),
        )?;
        message.u8(bindings::IFLA_PFSYNC_DEFER, u8::from(settings.defer))?;
        if settings.nosync_mask != 0 {
            message.u32(bindings::IFLA_PFSYNC_NOSYNC_MARK, settings.nosync_mark)?;
            message.u32(bindings::IFLA_PFSYNC_NOSYNC_MASK, settings.nosync_mask)?;
        }
        if settings.nosync_zone != 0 {
            message.u16(bindings::IFLA_PFSYNC_NOSYNC_ZONE, settings.nosync_zone)?;
        }
        self.fill_auth(&settings, message)?;
        message.string(bindings::IFLA_PFSYNC_TABLE, self.table.as_bytes())?;
        message.u8(bindings::IFLA_PFSYNC_BULK, progress_to_u8(progress))?;
        for (attribute, number) in numbers {
            message.u32(attribute, number)?;
        }
        message.nest(bindings::IFLA_PFSYNC_STATS, |message| {
            Counter::ALL
                .into_iter()
                .try_for_each(|(counter, attribute)| {
                    let value = self.counters.get(counter);
                    message.u64(attribute, value, bindings::PFSYNC_STATS_PAD)
                })
        })
    }
}

/// The number of how far a bulk update is in `if_pfsync.h`; nothing: the interface is
/// down.
fn progress_to_u8(progress: Option<Progress>) -> u8 {
    let number = match progress {
        None => bindings::pfsync_bulk_PFSYNC_BULK_DOWN,
        Some(Progress::NoLink) => bindings::pfsync_bulk_PFSYNC_BULK_NO_LINK,
        Some(Progress::Asking) => bindings::pfsync_bulk_PFSYNC_BULK_ASKING,
        Some(Progress::Receiving) => bindings::pfsync_bulk_PFSYNC_BULK_RECEIVING,
        Some(Progress::Done) => bindings::pfsync_bulk_PFSYNC_BULK_DONE,
    };
    u8::try_from(number).unwrap_or(0)
}

impl Pfsync {
    /// Carries a change out. What can fail comes first.
    fn reconfigure(
        self: &Arc<Self>,
        dev: &OwnDevice,
        change: Change<'_>,
        extack: &Extack<'_>,
        rtnl: &Rtnl,
    ) -> Result {
        let (old, syncdev) = {
            let session = self.session.lock();
            (session.settings, session.syncdev.clone())
        };
        let new = change.apply_to(old);
        let moves = match change.syncdev {
            Some(Some(new)) if new.is(dev) => {
                return Err(extack.error(EINVAL, format_args!("syncdev: that is itself")));
            }
            Some(Some(new)) => !syncdev.as_ref().is_some_and(|it| it.is(new)),
            Some(None) => true,
            None => false,
        };
        change.reaches(syncdev.as_deref(), new.syncpeer, extack)?;
        let slot = match change.syncdev {
            Some(Some(syncdev)) if moves => Some(RcuSlot::prepare(syncdev.ifindex())?),
            _ => None,
        };
        let auth = self.prepare_auth(change.auth, &new, extack)?;
        // Nothing can fail from here on, but for the start at the end.
        let old_keys = self.set_settings(new, auth);
        if moves {
            self.replace_syncdev(change.syncdev.flatten().zip(slot), rtnl);
        }
        {
            let mut session = self.session.lock();
            if let Some(table) = &session.table {
                table.set_defer(new.defer);
                table.set_local(new.local);
            }
            if new.maxupd != old.maxupd {
                session.set_maxupd();
            }
        }
        let was_running = self.session.lock().table.is_some();
        self.adapt(rtnl).map_err(|error| {
            // It was not running, for want of a syncdev: as before.
            self.set_syncdev(None, rtnl);
            self.set_settings(old, Prepared::back_to(old_keys));
            extack.error(
                error,
                format_args!("states cannot be watched in self namespace"),
            )
        })?;
        if was_running && (moves || new.syncpeer != old.syncpeer) {
            self.mtu_changed(rtnl);
            self.ask_again();
        }
        Ok(())
    }

    /// What is shown of authentication.
    fn fill_auth(&self, settings: &Settings, message: &mut Message<'_>) -> Result {
        let gate = self.gate.lock();
        let keys = gate.has_had_key().then(|| gate.keys());
        AUTH.fill(&settings.auth, settings.auth_window(), keys, message)
    }

    /// Checks what is asked for authentication, and makes what it takes.
    ///
    /// # Errors
    ///
    /// In words: it does not go together with the keys that there are. Out of memory.
    fn prepare_auth(
        &self,
        change: AuthChange,
        settings: &Settings,
        extack: &Extack<'_>,
    ) -> Result<Prepared> {
        change.check(&settings.auth, Some(self.gate.lock().keys()), extack)?;
        Prepared::new(&self.gate, change, settings)
    }

    /// Goes by these settings and keys from now on. The keys until now.
    fn set_settings(&self, settings: Settings, auth: Prepared) -> FrameKeys {
        let active = auth.active();
        let old_keys = auth.put(&self.gate, &settings);
        let mut session = self.session.lock();
        session.settings = settings;
        session.signer.set(&settings, active);
        let room = session.room();
        session.outbox.set_room(room);
        old_keys
    }

    /// The syncdev is gone, or is to be none any more.
    pub(super) fn set_syncdev(&self, syncdev: Option<&Device>, rtnl: &Rtnl) {
        let slot = syncdev.and_then(|dev| RcuSlot::prepare(dev.ifindex()).ok());
        self.replace_syncdev(syncdev.zip(slot), rtnl);
    }

    fn replace_syncdev(
        &self,
        new: Option<(&Device, crate::linux::rcu::Prepared<u32>)>,
        rtnl: &Rtnl,
    ) {
        let (dev, slot) = new.unzip();
        match slot {
            Some(slot) => self.syncdev.put(slot),
            None => self.syncdev.clear(),
        }
        let joined = dev.map(|dev| dev.join_group(GROUP, rtnl));
        let left = core::mem::replace(&mut *self.membership.lock(), joined);
        let old = core::mem::replace(&mut self.session.lock().syncdev, dev.map(|dev| dev.hold()));
        if let Some(left) = left {
            left.leave(rtnl);
        }
        drop(old);
        // The old one's link is not the new one's.
        self.link_changed(dev.is_some_and(has_link));
    }
}
