// SPDX-License-Identifier: GPL-2.0

//! The link kind: `ip link add`, `set` and `show … type carp`.

use super::{
    config::{Change, POLICIES},
    counters::Counter,
    device::Carp,
    netns::Namespace,
    parent::Attachment,
};
use crate::{
    linux::{
        bindings,
        crypto::Secret,
        link::{Link, LinkKind, Request},
        netdevice::Device,
        netdevice_ops::{NewDevice, OwnDevice},
        netlink::{attribute_size, attribute_size_u64, Extack, Message},
        random,
        rcu::RcuSlot,
        rtnl::Rtnl,
    },
    proto::carp::{digest::KEY_LEN, election::State, packet::virtual_mac},
};
use kernel::{
    prelude::*,
    sync::{rcu, Arc, ArcBorrow},
};

/// The registration.
pub(crate) static LINK: Link<Carp> = Link::new(c"carp", &POLICIES);

impl LinkKind for Carp {
    fn link() -> &'static Link<Self> {
        &LINK
    }

    fn new(dev: &NewDevice<'_>, request: &Request<'_>, rtnl: &Rtnl) -> Result<Arc<Self>> {
        let change = Change::read(request, rtnl)?;
        if change.state.is_some() {
            return Err(request.extack.error(
                EINVAL,
                format_args!("state can be set once the interface is up"),
            ));
        }
        let this = Self::new(random::bytes(), Secret::new([0; KEY_LEN]))?;
        let vhid = change.apply_to(this.host.lock().virtual_host.config()).vhid;
        let mac = virtual_mac(vhid);
        if request.address.is_some_and(|address| address != mac) {
            return Err(request.extack.error(
                EINVAL,
                format_args!("the address of a carp interface follows from its vhid"),
            ));
        }
        dev.set_mac(&mac);
        Ok(this)
    }

    fn created(this: &Arc<Self>, dev: &OwnDevice, request: &Request<'_>, rtnl: &Rtnl) -> Result {
        let change = Change::read(request, rtnl)?;
        let namespace = Namespace::of(dev.net()).ok_or(ENODEV)?;
        namespace.add_interface(dev.net(), rtnl)?;
        Self::begin(this, dev, rtnl);
        this.reconfigure(this, dev, change, &request.extack, rtnl)
    }

    fn change(
        this: ArcBorrow<'_, Self>,
        dev: &OwnDevice,
        request: &Request<'_>,
        rtnl: &Rtnl,
    ) -> Result {
        let change = Change::read(request, rtnl)?;
        let this: Arc<Self> = this.into();
        this.reconfigure(&this, dev, change, &request.extack, rtnl)
    }

    fn size(&self) -> usize {
        let bytes: usize = [1, 4, 1, 1, 1, 4].into_iter().map(attribute_size).sum();
        let counters = Counter::ALL.len().saturating_mul(attribute_size_u64());
        bytes
            .saturating_add(attribute_size(0))
            .saturating_add(counters)
    }

    fn fill(&self, dev: &OwnDevice, message: &mut Message<'_>) -> Result {
        let (config, demote) = {
            let host = self.host.lock();
            (host.virtual_host.config(), host.environment().demote)
        };
        if config.vhid != 0 {
            message.u8(bindings::IFLA_CARP_VHID, config.vhid)?;
        }
        {
            let rcu = rcu::read_lock();
            if let Some(carpdev) = self.carpdev.get(&rcu) {
                message.u32(bindings::IFLA_CARP_CARPDEV, carpdev.ifindex())?;
            }
        }
        message.u8(bindings::IFLA_CARP_ADVBASE, config.advbase)?;
        message.u8(bindings::IFLA_CARP_ADVSKEW, config.advskew)?;
        message.u8(
            bindings::IFLA_CARP_STATE,
            u8::try_from(self.state()).unwrap_or(0),
        )?;
        message.u32(bindings::IFLA_CARP_DEMOTE, u32::from(demote))?;
        message.nest(bindings::IFLA_CARP_STATS, |message| {
            self.fill_counters(dev, message)
        })
    }
}

impl Carp {
    /// The interface's own counters, and with them those of packets that nobody
    /// could be charged with: on its parent, and in its namespace.
    fn fill_counters(&self, dev: &OwnDevice, message: &mut Message<'_>) -> Result {
        let parent = self
            .host
            .lock()
            .attachment
            .as_ref()
            .map(|attachment| attachment.parent().clone());
        let namespace = Namespace::of(dev.net());
        for (counter, attribute) in Counter::ALL {
            let of_parent = parent.as_ref().map_or(0, |it| it.counters.get(counter));
            let of_namespace = namespace.map_or(0, |it| it.counters.get(counter));
            let value = self
                .counters
                .get(counter)
                .saturating_add(of_parent)
                .saturating_add(of_namespace);
            message.u64(attribute, value, bindings::CARP_STATS_PAD)?;
        }
        Ok(())
    }

    /// Carries a change out. What can fail comes first, and is undone if what
    /// comes after it fails; so all of it happens or nothing.
    fn reconfigure(
        &self,
        this: &Arc<Self>,
        own: &OwnDevice,
        change: Change<'_>,
        extack: &Extack<'_>,
        rtnl: &Rtnl,
    ) -> Result {
        let old = self.host.lock().virtual_host.config();
        let new = change.apply_to(old);
        // A state can be forced on what runs, and still will after the change.
        let runs = self.state() != 0
            && match change.carpdev {
                None => true,
                Some(None) => false,
                Some(Some(dev)) => dev.is_up() && dev.has_carrier(),
            };
        if change.state.is_some() && !runs {
            return Err(extack.error(
                ENETDOWN,
                format_args!("state cannot be set while the interface is INIT"),
            ));
        }
        // A virtual host that moves bows out where it was, under its old digest.
        match change.carpdev {
            Some(Some(dev)) if !self.stands_on(dev) => {
                if dev.net() != own.net() {
                    return Err(extack.error(
                        EINVAL,
                        format_args!("carpdev must be in the network namespace of {}", own.name()),
                    ));
                }
                self.move_to(this, own, dev, new.vhid, extack, rtnl)?;
            }
            Some(None) => self.disconnect(own, rtnl),
            _ if new.vhid != old.vhid => self.move_vhid(this, own, new.vhid, extack, rtnl)?,
            _ => {}
        }
        if new.vhid != old.vhid {
            self.halt(true);
            self.set_vhid(new.vhid);
            own.change_mac(&virtual_mac(new.vhid), rtnl);
        }
        self.configure(new, change.key);
        self.update(rtnl);
        match change.state {
            Some(State::Init) | None => {}
            Some(state) => self.force(state),
        }
        Ok(())
    }

    fn stands_on(&self, dev: &Device) -> bool {
        let rcu = rcu::read_lock();
        self.carpdev
            .get(&rcu)
            .is_some_and(|carpdev| carpdev.is(dev))
    }

    /// Leaves the old parent, if any, for `dev`.
    fn move_to(
        &self,
        this: &Arc<Self>,
        own: &OwnDevice,
        dev: &Device,
        vhid: u8,
        extack: &Extack<'_>,
        rtnl: &Rtnl,
    ) -> Result {
        let mut attachment = Attachment::new(this, own, dev, vhid, extack, rtnl)?;
        if self.host.lock().admin_up {
            if let Err(error) = attachment.set_filter(true, rtnl) {
                attachment.detach(own, rtnl);
                return Err(error);
            }
        }
        let carpdev = RcuSlot::prepare(dev.hold());
        let carpdev = match carpdev {
            Ok(carpdev) => carpdev,
            Err(error) => {
                attachment.detach(own, rtnl);
                return Err(error);
            }
        };
        // Nothing can fail from here on.
        self.disconnect(own, rtnl);
        self.carpdev.put(carpdev);
        self.host.lock().attachment = Some(attachment);
        self.follow_mtu(dev, rtnl);
        Ok(())
    }

    /// Gets the new vhid's place on the same parent, if there is one.
    fn move_vhid(
        &self,
        this: &Arc<Self>,
        own: &OwnDevice,
        vhid: u8,
        extack: &Extack<'_>,
        rtnl: &Rtnl,
    ) -> Result {
        let Some(mut attachment) = self.host.lock().attachment.take() else {
            return Ok(());
        };
        let changed = attachment.change_vhid(this, own, vhid, extack, rtnl);
        let parent = attachment.parent().clone();
        self.host.lock().attachment = Some(attachment);
        // While it had no vhid it did not hear of changes.
        self.follow_mtu(parent.device(), rtnl);
        changed
    }
}
