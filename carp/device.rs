// SPDX-License-Identifier: GPL-2.0

//! An interface: what its lock, RTNL and the packet paths each have of it.
//!
//! What happens to it is in other files, as functions that take it: its network device
//! ([`super::driver`]), its virtual hosts ([`super::election`]), its parent
//! ([`super::carpdev`]).

use super::{
    attachment::Attachment, changes::Changes, counters::Counters, groups::Group, host::Host,
    published::Published, settings::Settings,
};
use crate::{
    linux::{
        crypto::Secret,
        lock::{new_spinlock_bh, SpinLockBh},
        namespace::Net,
        netdevice::{Device, MacAddress},
        netdevice_ops::OwnDevice,
        rtnl::{Rtnl, RtnlCell, RtnlRefCell},
        timer::{self, Timer},
    },
    proto::carp::{balancing::Balancing, digest::KEY_LEN, election::State, packet::virtual_mac},
};
use kernel::{
    prelude::*,
    sync::{rcu, Arc},
};

/// A carp interface. The device owns one count of it, its attachment to the parent
/// another.
#[pin_data]
pub(crate) struct Carp {
    /// Expires when the virtual host's next deadline has come.
    #[pin]
    pub(super) timer: Timer<Self>,
    /// What the spinlock protects.
    #[pin]
    pub(super) host: SpinLockBh<Host>,
    /// What RTNL protects.
    pub(super) configured: Configured,
    /// What the packet paths read.
    pub(super) published: Published,
    /// What happened to advertisements for or of this interface.
    pub(super) counters: Counters,
    /// What user space is to be told.
    pub(super) changes: Changes,
}

/// What RTNL protects. An event that a change under RTNL causes itself comes while the
/// change is still being made.
pub(super) struct Configured {
    /// What connects it with its parent.
    pub(super) attachment: RtnlRefCell<Option<Attachment>>,
    /// Whether others are being asked about a link-layer address that follows from the
    /// interface's own new settings.
    pub(super) is_changing_mac: RtnlCell<bool>,
    /// The MTU that was asked for; 0: whatever the parent has.
    pub(super) wanted_mtu: RtnlCell<u32>,
    /// The interface's state when user space was told of it last.
    pub(super) notified: RtnlCell<u32>,
    /// Keeps the timer open, from the device's registration until it leaves.
    pub(super) timer: RtnlCell<Option<timer::Guard<Carp>>>,
}

impl Configured {
    fn new() -> Self {
        Self {
            attachment: RtnlRefCell::new(None),
            is_changing_mac: RtnlCell::new(false),
            wanted_mtu: RtnlCell::new(0),
            notified: RtnlCell::new(0),
            timer: RtnlCell::new(None),
        }
    }
}

impl Carp {
    /// Makes the data of an interface that is not registered yet.
    pub(super) fn new(settings: Settings, key: Secret<KEY_LEN>) -> Result<Arc<Self>> {
        let host = Host::new(settings, key)?;
        Arc::pin_init(
            pin_init!(Self {
                timer <- Timer::new(),
                host <- new_spinlock_bh!(host, "carp_host"),
                configured: Configured::new(),
                published: Published::new(&settings),
                counters: Counters::new(),
                changes: Changes::new(),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// The interfaces of a namespace whose index is `from` or more, in ascending order.
    pub(super) fn walk<'a>(
        net: &'a Net,
        from: u32,
        rcu: &'a rcu::Guard,
    ) -> impl Iterator<Item = (&'a OwnDevice, &'a Self)> {
        Device::walk(net, from, rcu).filter_map(|dev| dev.of_driver::<Self>(rcu))
    }

    /// Opens the timer and tells the host its device: the interface begins to
    /// live.
    pub(super) fn begin(self: &Arc<Self>, dev: &OwnDevice, rtnl: &Rtnl) {
        // Taken out again when the device leaves, so the cycle is no leak.
        let guard = timer::Guard::new(self.clone());
        self.host.lock().own = Some(dev.hold());
        self.configured.timer.replace(Some(guard), rtnl);
    }

    /// The group with this index, of those that it is in. Any context.
    pub(super) fn group(&self, index: usize) -> Option<Arc<Group>> {
        self.host.lock().demotion.group(index)
    }

    /// Whether a parent has gone and is waited for.
    pub(super) fn has_lost_parent(&self, _rtnl: &Rtnl) -> bool {
        self.host.lock().lost.is_some()
    }

    /// The link-layer address from which this host may ask and answer for the interface's
    /// addresses: in the modes by hash whoever is master of anything shares one, in
    /// the mode arp each virtual host has its own. Any context.
    pub(super) fn sender_mac(&self) -> Option<MacAddress> {
        match self.published.balancing() {
            Balancing::None => self.published.is_master().then(|| self.published.mac()),
            Balancing::Arp => self.mastered(|_| true),
            Balancing::Ip | Balancing::IpStealth | Balancing::IpUnicast => {
                let speaks = self.published.masters().is_any();
                speaks.then(|| self.published.mac())
            }
        }
    }

    /// Whether this is such an address. Any context.
    pub(super) fn is_sender_mac(&self, mac: &MacAddress) -> bool {
        match self.published.balancing() {
            Balancing::Arp => self.mastered(|own| own == mac).is_some(),
            _ => self.sender_mac().is_some_and(|own| own == *mac),
        }
    }

    /// Of the virtual hosts' own addresses the first that is `wanted` and of which we
    /// are master.
    fn mastered(&self, wanted: impl Fn(&MacAddress) -> bool) -> Option<MacAddress> {
        let host = self.host.lock();
        host.nodes
            .iter()
            .filter(|node| node.election.state() == State::Master)
            .map(|node| virtual_mac(node.vhid()))
            .find(|mac| wanted(mac))
    }

    /// The vhid with this index. Any context.
    pub(super) fn vhid_at(&self, index: u32) -> Option<u8> {
        let host = self.host.lock();
        let node = host.nodes.get(usize::try_from(index).ok()?)?;
        Some(node.vhid())
    }
}
