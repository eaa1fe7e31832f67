// SPDX-License-Identifier: GPL-2.0

//! An interface: what the kernel's network devices ask of their driver.

use super::{counters::Counters, follow_up::Changes, host::Host, netns::Namespace};
use crate::{
    linux::{
        crypto::Secret,
        lock::{new_spinlock_bh, SpinLockBh},
        netdevice::Device,
        netdevice_ops::{Driver, Operations, OwnDevice},
        rcu::RcuSlot,
        rtnl::Rtnl,
        skbuff::Skb,
        timer::{self, HasTimer, Timer},
    },
    proto::carp::{digest::KEY_LEN, election::State},
};
use kernel::{
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{Acquire, Atomic, Relaxed, Release},
        rcu, Arc,
    },
};

/// A carp interface. The device owns one count of it, its place on the parent
/// another.
#[pin_data]
pub(crate) struct Carp {
    /// Expires when the virtual host's next deadline has come.
    #[pin]
    timer: Timer<Self>,
    /// The virtual host and what it needs; see [`super::host`].
    #[pin]
    pub(super) host: SpinLockBh<Host>,
    /// A copy of the virtual host's state for the packet paths, as
    /// [`state_to_u32`] numbers it.
    state: Atomic<u32>,
    /// A copy of the vhid for the packet paths; 0: none yet.
    vhid: Atomic<u32>,
    /// The parent, for the packet paths.
    pub(super) carpdev: RcuSlot<ARef<Device>>,
    /// What happened to advertisements for or of this interface.
    pub(super) counters: Counters,
    /// What user space is to be told.
    pub(super) changes: Changes,
}

static OPERATIONS: Operations<Carp> = Operations::new();

impl Carp {
    /// Makes the data of an interface that is not registered yet.
    pub(super) fn new(counter: [u8; 8], key: Secret<KEY_LEN>) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                timer <- Timer::new(),
                host <- new_spinlock_bh!(Host::new(counter, key), "carp_host"),
                state: Atomic::new(state_to_u32(State::Init)),
                vhid: Atomic::new(0),
                carpdev: RcuSlot::new(),
                counters: Counters::new(),
                changes: Changes::new(),
            }),
            GFP_KERNEL,
        )
    }

    /// Whether this host is the master. Any context.
    pub(crate) fn is_master(&self) -> bool {
        // Pairs with `set_state`: who sees a master sees what made it one.
        self.state.load(Acquire) == state_to_u32(State::Master)
    }

    /// The state, as `enum carp_state` of `if_carp.h`.
    pub(crate) fn state(&self) -> u32 {
        self.state.load(Relaxed)
    }

    /// Tells the packet paths. Under the host's lock.
    pub(super) fn set_state(&self, state: State) {
        self.state.store(state_to_u32(state), Release);
    }

    /// The vhid; 0: none yet. Any context.
    pub(crate) fn vhid(&self) -> u8 {
        u8::try_from(self.vhid.load(Relaxed)).unwrap_or(0)
    }

    /// Tells the packet paths. Under RTNL.
    pub(super) fn set_vhid(&self, vhid: u8) {
        self.vhid.store(u32::from(vhid), Relaxed);
    }

    /// Opens the timer and tells the host its device: the interface begins to
    /// live.
    pub(super) fn begin(this: &Arc<Self>, dev: &OwnDevice, _rtnl: &Rtnl) {
        // Taken out again in `uninit`, so the cycle is no leak.
        let guard = timer::Guard::new(this.clone());
        let mut host = this.host.lock();
        host.own = Some(dev.hold());
        host.timer = Some(guard);
    }
}

/// The number of a state in `if_carp.h`.
pub(crate) const fn state_to_u32(state: State) -> u32 {
    match state {
        State::Init => 0,
        State::Backup => 1,
        State::Master => 2,
    }
}

impl HasTimer for Carp {
    fn timer(&self) -> &Timer<Self> {
        &self.timer
    }

    fn expired(&self) {
        self.timer_expired();
    }
}

impl Driver for Carp {
    fn operations() -> &'static Operations<Self> {
        &OPERATIONS
    }

    fn open(&self, _dev: &OwnDevice, rtnl: &Rtnl) -> Result {
        let attachment = self.host.lock().attachment.take();
        if let Some(mut attachment) = attachment {
            let filtered = attachment.set_filter(true, rtnl);
            self.host.lock().attachment = Some(attachment);
            filtered?;
        }
        self.host.lock().admin_up = true;
        self.update(rtnl);
        Ok(())
    }

    fn stop(&self, _dev: &OwnDevice, rtnl: &Rtnl) {
        self.host.lock().admin_up = false;
        self.update(rtnl);
        let attachment = self.host.lock().attachment.take();
        if let Some(mut attachment) = attachment {
            // Removing never fails.
            let _ = attachment.set_filter(false, rtnl);
            self.host.lock().attachment = Some(attachment);
        }
    }

    fn uninit(&self, dev: &OwnDevice, rtnl: &Rtnl) {
        // Unreachable first, then the timer, then what it needed.
        self.disconnect(dev, rtnl);
        let (own, timer) = {
            let mut host = self.host.lock();
            (host.own.take(), host.timer.take())
        };
        drop(timer);
        if own.is_some() {
            if let Some(namespace) = Namespace::of(dev.net()) {
                namespace.remove_interface(dev.net(), rtnl);
            }
        }
        drop(own);
    }

    fn start_xmit(&self, dev: &OwnDevice, skb: Skb) {
        let rcu = rcu::read_lock();
        // Whatever left here while another is master would show switches the
        // virtual MAC at the wrong port.
        match self.carpdev.get(&rcu) {
            Some(carpdev) if self.is_master() => {
                let len = skb.len();
                if skb.transmit_on(carpdev).is_ok() {
                    dev.count_sent(len);
                } else {
                    dev.count_not_sent();
                }
            }
            _ => dev.count_not_sent(),
        }
    }

    fn work(&self, dev: &OwnDevice, bits: u32, rtnl: &Rtnl) {
        self.follow_up(dev, bits, rtnl);
    }

    fn iflink(&self) -> Option<u32> {
        let rcu = rcu::read_lock();
        self.carpdev.get(&rcu).map(|carpdev| carpdev.ifindex())
    }
}

impl Carp {
    /// Takes over the parent's MTU: whatever is sent here leaves there.
    pub(super) fn follow_mtu(&self, carpdev: &Device, rtnl: &Rtnl) {
        let own = self.host.lock().own.clone();
        if let Some(own) = own {
            // Ours can have any MTU that an Ethernet device has.
            let _ = own.change_mtu(carpdev.mtu(), rtnl);
        }
    }

    /// Leaves the parent: bows out if it still can, and becomes INIT.
    pub(super) fn disconnect(&self, own: &OwnDevice, rtnl: &Rtnl) {
        self.halt(true);
        let attachment = self.host.lock().attachment.take();
        self.carpdev.clear();
        if let Some(attachment) = attachment {
            attachment.detach(own, rtnl);
        }
    }
}
