// SPDX-License-Identifier: GPL-2.0

//! An interface: what the kernel's network devices ask of their driver.

use super::{
    copies::Members,
    counters::Counters,
    follow_up::Changes,
    host::Host,
    mtu::WantedMtu,
    netns::{report, Namespace},
    place::Place,
    settings::Settings,
    way_back::WaysBack,
};
use crate::{
    linux::{
        atomic::{read_acquire, read_once},
        bindings,
        crypto::Secret,
        lock::{new_spinlock_bh, SpinLockBh},
        netdevice::{ether_addr_to_u64, Device, MacAddress},
        netdevice_ops::{AddressLock, Driver, Operations, OwnDevice},
        rcu::RcuSlot,
        rtnl::Rtnl,
        skbuff_tx::XmitSkb,
        timer::{self, HasTimer, Timer},
    },
    proto::carp::{
        arp_hash::ArpHash,
        balancing::{Balancing, Masters},
        digest::KEY_LEN,
        election::State,
        log::NO_MEMORY,
    },
};
use kernel::{
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{Atomic, Relaxed, Release},
        rcu, Arc, ArcBorrow,
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
    /// What the packet paths know of the virtual hosts: [`Masters::to_bits`].
    masters: Atomic<u64>,
    /// The interface's state, as [`state_to_u32`] numbers it.
    state: Atomic<u32>,
    /// The mode in force, as [`balancing_to_u32`] numbers it.
    balancing: Atomic<u32>,
    /// The interface's link-layer address, in the lower 48 bits.
    mac: Atomic<u64>,
    /// For the mode arp: [`ArpHash::to_bits`].
    arp_hash: Atomic<u64>,
    /// The least TTL of a unicast advertisement.
    minttl: Atomic<u32>,
    /// Who receives, for the packet paths.
    pub(super) ways_back: WaysBack,
    /// The groups joined on the interface.
    pub(super) members: Members,
    /// The MTU that it would have.
    pub(super) wanted_mtu: WantedMtu,
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
    pub(super) fn new(settings: Settings, key: Secret<KEY_LEN>) -> Result<Arc<Self>> {
        let host = Host::new(settings, key)?;
        let this = Arc::pin_init(
            pin_init!(Self {
                timer <- Timer::new(),
                host <- new_spinlock_bh!(host, "carp_host"),
                masters: Atomic::new(0),
                state: Atomic::new(state_to_u32(State::Init)),
                balancing: Atomic::new(0),
                mac: Atomic::new(0),
                arp_hash: Atomic::new(0),
                minttl: Atomic::new(0),
                ways_back: WaysBack::new(),
                members: Members::new(),
                wanted_mtu: WantedMtu::new(),
                carpdev: RcuSlot::new(),
                counters: Counters::new(),
                changes: Changes::new(),
            }),
            GFP_KERNEL_ACCOUNT,
        )?;
        this.set_mode(&settings);
        Ok(this)
    }

    /// Of which virtual hosts this host is master. Any context.
    pub(crate) fn masters(&self) -> Masters {
        // Pairs with `set_state`: who sees a master sees what made it one.
        Masters::from_bits(read_acquire(&self.masters))
    }

    /// Whether this host is master of the leader, who speaks for the addresses.
    /// Any context.
    pub(crate) fn is_master(&self) -> bool {
        self.masters().is_master_of(0)
    }

    /// The state, as `enum carp_state` of `if_carp.h`.
    pub(crate) fn state(&self) -> u32 {
        self.state.load(Relaxed)
    }

    /// Tells the packet paths. Under the host's lock.
    pub(super) fn set_state(&self, state: State, masters: Masters) {
        self.state.store(state_to_u32(state), Relaxed);
        self.masters.store(masters.to_bits(), Release);
    }

    /// Whether the interface shares its traffic out, in whatever mode. Any context.
    pub(crate) fn is_balancing(&self) -> bool {
        read_once(&self.balancing) != balancing_to_u32(Balancing::None)
    }

    /// The mode in force. Any context.
    pub(crate) fn balancing(&self) -> Balancing {
        balancing_from_u32(read_once(&self.balancing))
    }

    /// The interface's link-layer address. Any context.
    pub(crate) fn mac(&self) -> MacAddress {
        let [_, _, mac @ ..] = self.mac.load(Relaxed).to_be_bytes();
        mac
    }

    /// The least TTL of a unicast advertisement. Any context.
    pub(crate) fn minttl(&self) -> u8 {
        u8::try_from(self.minttl.load(Relaxed)).unwrap_or(u8::MAX)
    }

    /// The hash of the mode arp. Any context.
    pub(crate) fn arp_hash(&self) -> ArpHash {
        ArpHash::from_bits(self.arp_hash.load(Relaxed))
    }

    /// Tells the packet paths what does not change with the state.
    pub(super) fn set_mode(&self, settings: &Settings) {
        self.mac.store(ether_addr_to_u64(settings.mac()), Relaxed);
        self.minttl.store(u32::from(settings.minttl), Relaxed);
        self.balancing
            .store(balancing_to_u32(settings.balancing()), Relaxed);
    }

    /// Tells the packet paths the hash of the mode arp.
    pub(super) fn set_arp_hash(&self, hash: ArpHash) {
        self.arp_hash.store(hash.to_bits(), Relaxed);
    }

    /// Opens the timer and tells the host its device: the interface begins to
    /// live.
    pub(super) fn begin(self: &Arc<Self>, dev: &OwnDevice, _rtnl: &Rtnl) {
        // Taken out again in `uninit`, so the cycle is no leak.
        let guard = timer::Guard::new(self.clone());
        let mut host = self.host.lock();
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

/// The number of a mode in `if_carp.h`.
pub(crate) const fn balancing_to_u32(balancing: Balancing) -> u32 {
    match balancing {
        Balancing::None => bindings::carp_balancing_CARP_BALANCING_NONE,
        Balancing::Arp => bindings::carp_balancing_CARP_BALANCING_ARP,
        Balancing::Ip => bindings::carp_balancing_CARP_BALANCING_IP,
        Balancing::IpStealth => bindings::carp_balancing_CARP_BALANCING_IP_STEALTH,
        Balancing::IpUnicast => bindings::carp_balancing_CARP_BALANCING_IP_UNICAST,
    }
}

const fn balancing_from_u32(number: u32) -> Balancing {
    match number {
        bindings::carp_balancing_CARP_BALANCING_ARP => Balancing::Arp,
        bindings::carp_balancing_CARP_BALANCING_IP => Balancing::Ip,
        bindings::carp_balancing_CARP_BALANCING_IP_STEALTH => Balancing::IpStealth,
        bindings::carp_balancing_CARP_BALANCING_IP_UNICAST => Balancing::IpUnicast,
        _ => Balancing::None,
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
        self.set_filter(true, rtnl)?;
        self.host.lock().admin_up = true;
        self.update(rtnl);
        Ok(())
    }

    fn stop(&self, dev: &OwnDevice, rtnl: &Rtnl) {
        self.host.lock().admin_up = false;
        self.update(rtnl);
        // Removing never fails.
        let _ = self.set_filter(false, rtnl);
        self.leave_members(dev, rtnl);
    }

    fn set_rx_mode(&self, dev: &OwnDevice, addresses: &AddressLock<'_>) {
        self.members.read(dev, addresses);
        // Master or not: changing a filter may need RTNL, and a takeover must not.
        let rcu = rcu::read_lock();
        if let Some(carpdev) = self.carpdev.get(&rcu) {
            dev.sync_multicast(carpdev, addresses);
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
        if let Some(namespace) = Namespace::of(dev.net(), rtnl) {
            self.leave_all(namespace.groups(), rtnl);
        }
        self.leave_home(dev, rtnl);
        drop(own);
    }

    fn set_mac(
        this: ArcBorrow<'_, Self>,
        dev: &OwnDevice,
        mac: &MacAddress,
        rtnl: &Rtnl,
    ) -> Result {
        let this: Arc<Self> = this.into();
        this.set_lladdr(dev, *mac, rtnl)
    }

    fn start_xmit(&self, dev: &OwnDevice, mut skb: XmitSkb, rcu: &rcu::Guard) {
        // Whatever left here while another is master would show switches the
        // virtual MAC at the wrong port.
        match self.carpdev.get(rcu) {
            Some(carpdev) if self.masters().is_any() => {
                let len = skb.len();
                let source = match self.balancing() {
                    mode if mode.hides_its_mac() => Some(carpdev.mac()),
                    // The interface's own may be another host's.
                    Balancing::Arp => self.voice(),
                    _ => None,
                };
                if source.is_some_and(|source| !skb.set_ethernet_source(&source)) {
                    dev.count_not_sent();
                    return;
                }
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
    /// The interface is in this namespace from now on.
    ///
    /// # Errors
    ///
    /// Out of memory: ARP is not watched for it.
    pub(super) fn find_home(&self, own: &OwnDevice, rtnl: &Rtnl) -> Result {
        Namespace::enter(own.net(), rtnl)?;
        let hosts = {
            let mut host = self.host.lock();
            host.at_home = true;
            host.settings.hosts()
        };
        if let Some(namespace) = Namespace::of(own.net(), rtnl) {
            namespace.count_hosts(0, hosts, rtnl);
        }
        Ok(())
    }

    fn leave_home(&self, own: &OwnDevice, rtnl: &Rtnl) {
        let (at_home, hosts) = {
            let mut host = self.host.lock();
            (core::mem::take(&mut host.at_home), host.settings.hosts())
        };
        if !at_home {
            return;
        }
        Namespace::leave(own.net(), rtnl);
        if let Some(namespace) = Namespace::of(own.net(), rtnl) {
            namespace.count_hosts(hosts, 0, rtnl);
        }
    }

    /// The interface is about to move to another namespace. It is down by now and its
    /// addresses are about to go; the parent stays, and stays where it is.
    pub(super) fn leave_namespace(&self, own: &OwnDevice, rtnl: &Rtnl) {
        if let Some(namespace) = Namespace::of(own.net(), rtnl) {
            self.leave_groups_behind(namespace.groups(), rtnl);
            namespace.count_waiting(self.has_lost_parent(), false, rtnl);
        }
        self.leave_home(own, rtnl);
    }

    /// The interface is registered in a namespace: after a move, or for the first time,
    /// when it is not alive yet.
    pub(super) fn come_to_namespace(&self, own: &OwnDevice, rtnl: &Rtnl) {
        if self.host.lock().own.is_none() {
            return;
        }
        if let Some(namespace) = Namespace::of(own.net(), rtnl) {
            namespace.count_waiting(false, self.has_lost_parent(), rtnl);
        }
        let groups = Namespace::of(own.net(), rtnl).map(Namespace::groups);
        let joined = groups.map_or(Ok(()), |groups| self.join_groups_again(groups, rtnl));
        // Nobody could be told in another way.
        if self.find_home(own, rtnl).and(joined).is_err() {
            report!(
                own,
                NO_MEMORY,
                "{}: no memory to settle in another network namespace\n",
                own.name()
            );
        }
    }

    /// Lets the interface's addresses through the parent's receive filter, or no
    /// longer.
    fn set_filter(&self, up: bool, rtnl: &Rtnl) -> Result {
        let settings = self.host.lock().settings;
        let masters = self.masters();
        self.with_place(|place| place.set_filter(&settings, up, masters, rtnl))
    }

    /// Where the parent's receive filter depends on the state, brings it in line.
    pub(super) fn follow_state(&self, own: &OwnDevice, rtnl: &Rtnl) {
        let (up, follows) = {
            let host = self.host.lock();
            let place = host.place.as_ref();
            (
                host.admin_up,
                place.is_some_and(Place::filter_follows_state),
            )
        };
        if follows && self.set_filter(up, rtnl).is_err() {
            report!(
                own,
                NO_MEMORY,
                "{}: no memory for the receive filter of its parent\n",
                own.name()
            );
        }
    }

    /// The groups joined on the interface are let through the parent's receive filter, if
    /// it is up.
    pub(super) fn join_members(&self, own: &OwnDevice, carpdev: &Device, rtnl: &Rtnl) {
        if own.is_up() {
            own.lock_and_sync_multicast(carpdev, rtnl);
        }
    }

    fn leave_members(&self, own: &OwnDevice, rtnl: &Rtnl) {
        let carpdev = {
            let rcu = rcu::read_lock();
            self.carpdev.get(&rcu).map(|carpdev| (*carpdev).clone())
        };
        if let Some(carpdev) = carpdev {
            own.unsync_multicast(&carpdev, rtnl);
        }
    }

    /// Takes the place out of the lock, for what may sleep. RTNL keeps others from
    /// missing it.
    fn with_place(&self, change: impl FnOnce(&mut Place) -> Result) -> Result {
        let place = self.host.lock().place.take();
        let Some(mut place) = place else {
            return Ok(());
        };
        let changed = change(&mut place);
        self.host.lock().place = Some(place);
        changed
    }

    /// Joins the parent again to groups that it has lost.
    pub(super) fn refresh_groups(&self, rtnl: &Rtnl) {
        // This cannot fail.
        let _ = self.with_place(|place| {
            place.refresh_groups(rtnl);
            Ok(())
        });
    }

    /// Brings the parent's groups in line with the addresses.
    pub(super) fn join_groups(&self, own: &OwnDevice, rtnl: &Rtnl) {
        let joined = self.with_place(|place| {
            let mut result = Ok(());
            // RTNL keeps others from carrying out a change before an earlier one.
            let next = || self.host.lock().addresses.solicited.next();
            while let Some((group, member)) = next() {
                let done = if member {
                    place.join(group, rtnl)
                } else {
                    place.leave(group, rtnl);
                    Ok(())
                };
                result = result.and(done);
            }
            result
        });
        if joined.is_err() {
            report!(
                own,
                NO_MEMORY,
                "{}: no memory for a multicast group: switches may not know that it listens\n",
                own.name()
            );
        }
    }

    /// Has no parent any more, and waits for none.
    pub(super) fn disconnect(&self, own: &OwnDevice, rtnl: &Rtnl) {
        self.set_lost(own, None, rtnl);
        self.detach(own, rtnl);
        // Without a parent there is none that fails.
        self.suppress(false, rtnl);
    }

    /// Leaves the parent: bows out if it still can, and becomes INIT.
    pub(super) fn detach(&self, own: &OwnDevice, rtnl: &Rtnl) {
        self.halt(true);
        let place = self.host.lock().place.take();
        self.carpdev.clear();
        if let Some(place) = place {
            // Who adds to the list from now on finds no parent.
            own.unsync_multicast(place.parent().device(), rtnl);
            place.detach(own, rtnl);
        }
        Self::free_mtu(own, rtnl);
        self.forgive_send_errors();
    }
}
