// SPDX-License-Identifier: GPL-2.0

//! An interface: what the kernel's network devices, its timer and the state table ask
//! of their driver.

use super::{
    authentication::{Gate, GateLock},
    counters::{Counter, Counters},
    demotion,
    netns::Namespace,
    session::Session,
    settings::{Settings, TableName},
};
use crate::{
    carp::Group,
    linux::{
        lock::{new_spinlock_bh, SpinLockBh},
        membership::Membership,
        memcg::MemoryCgroup,
        netdevice_ops::{Driver, LinkLayer, Operations, OwnDevice},
        rcu::RcuSlot,
        rtnl::Rtnl,
        skbuff_tx::XmitSkb,
        state_table::{Adapter, Borrowed, Entry, Held, TableEvents},
        timer::{self, HasTimer, Timer},
        watch::Watch,
    },
    proto::pfsync::{frame::DEFAULT_MTU, time::Instant},
};
use core::net::Ipv4Addr;
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{Acquire, Atomic, Full, Relaxed},
        rcu, Arc, Mutex,
    },
};

/// How an entry was found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// It is new: its first packet has passed.
    ByPacket,
    /// It was in the table.
    InTable {
        /// Peers are to hear of it now.
        tell: bool,
    },
}

/// An entry that is new to the interface.
pub(super) struct Newborn {
    /// The entry.
    pub(super) entry: Entry,
    /// Its first packet, if it is to be held.
    pub(super) first: Option<Held>,
    /// How it was found.
    pub(super) how: Found,
}

/// A pfsync interface. The device owns one count of it; its timer and its table others
/// while they are in use.
#[pin_data]
pub(crate) struct Pfsync {
    /// Expires when there is something to be done, or something new in the inbox.
    #[pin]
    timer: Timer<Self>,
    /// How soon the inbox is to be emptied, for which the timer was armed: [`SOON`],
    /// [`NOW`], or 0.
    kicked: Atomic<u32>,
    /// What packet paths know of the states.
    pub(super) watch: Arc<Watch<Newborn>>,
    /// Who may send frames, and whether they are authentic.
    #[pin]
    pub(super) gate: GateLock,
    /// All else.
    #[pin]
    pub(super) session: SpinLockBh<Session>,
    /// The syncdev's index, for frames that come in.
    pub(super) syncdev: RcuSlot<u32>,
    /// The syncdev's membership in the group of multicast frames; RTNL.
    #[pin]
    pub(super) membership: Mutex<Option<Membership<Ipv4Addr>>>,
    /// What happened to frames and states.
    pub(super) counters: Counters,
    /// The state table, and what it is called.
    pub(super) adapter: Arc<Adapter>,
    /// Its name.
    pub(super) table: TableName,
    /// Whom the memory for states is charged to.
    pub(super) memory: MemoryCgroup,
}

/// In [`Pfsync::kicked`]: a state is new or has changed, which leaves within a second
/// anyway. An interrupt for each would cost more than the state.
const SOON: u32 = 1;

/// A packet waits for it, or too many have passed.
const NOW: u32 = 2;

/// How soon [`SOON`] is.
const SOON_NS: u64 = 1_000_000;

/// When the inbox is to be emptied.
fn kicked_at(urgency: u32) -> u64 {
    match urgency {
        NOW => timer::now(),
        _ => timer::now().saturating_add(SOON_NS),
    }
}

static OPERATIONS: Operations<Pfsync> = Operations::new();

impl Pfsync {
    /// Makes the data of an interface that is not registered yet.
    ///
    /// # Errors
    ///
    /// Out of memory.
    pub(super) fn new(
        settings: Settings,
        adapter: Arc<Adapter>,
        table: TableName,
        memory: MemoryCgroup,
    ) -> Result<Arc<Self>> {
        let watch = Watch::new(memory.atomic())?;
        let session = Session::new(settings, memory.atomic())?;
        Arc::pin_init(
            pin_init!(Self {
                timer <- Timer::new(),
                kicked: Atomic::new(0),
                watch,
                gate <- new_spinlock_bh!(Gate::new(), "pfsync_gate"),
                session <- new_spinlock_bh!(session, "pfsync_session"),
                syncdev: RcuSlot::new(),
                membership <- new_mutex!(None, "pfsync_membership"),
                counters: Counters::new(),
                adapter,
                table,
                memory,
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// Opens the timer, and tells the session its device and its group.
    pub(super) fn begin(self: &Arc<Self>, dev: &OwnDevice, group: Arc<Group>, _rtnl: &Rtnl) {
        // Taken out again in `uninit`, so the cycle is no leak.
        let guard = timer::Guard::new(self.clone());
        let mut session = self.session.lock();
        session.own = Some(dev.hold());
        session.group = Some(group);
        session.timer = Some(guard);
    }

    /// The inbox has something: has the timer expire for it. Any context but hard
    /// interrupts.
    fn kick(&self, urgency: u32) {
        let mut old = self.kicked.load(Relaxed);
        while old < urgency {
            match self.kicked.cmpxchg(old, urgency, Full) {
                Ok(_) => {
                    self.timer.arm(kicked_at(urgency));
                    return;
                }
                Err(other) => old = other,
            }
        }
    }

    /// The inbox is about to be emptied: who kicks after this is not overlooked.
    pub(super) fn unkick(&self) {
        self.kicked.xchg(0, Full);
    }

    /// Sets the timer, after the inbox was emptied: what came into it meanwhile is not
    /// to wait for `at`.
    pub(super) fn arm(&self, at: Option<Instant>) {
        if let Some(Instant(at)) = at {
            self.timer.arm(at);
        }
        let urgency = self.kicked.load(Acquire);
        if urgency != 0 {
            let kicked_at = kicked_at(urgency);
            self.timer
                .arm(at.map_or(kicked_at, |Instant(at)| at.min(kicked_at)));
        }
    }
}

impl HasTimer for Pfsync {
    fn timer(&self) -> &Timer<Self> {
        &self.timer
    }

    fn expired(&self) {
        self.unkick();
        self.timer_expired();
    }
}

impl TableEvents for Pfsync {
    fn created(&self, entry: Borrowed<'_>, first: Option<Held>) -> Option<Held> {
        let newborn = Newborn {
            entry: entry.hold(),
            first,
            how: Found::ByPacket,
        };
        let urgency = match newborn.first {
            Some(_) => NOW,
            None => SOON,
        };
        let _charged = self.memory.charge();
        match Watch::insert_new(&self.watch, entry.key(), newborn) {
            Ok(()) => {
                self.kick(urgency);
                None
            }
            Err(newborn) => {
                // The entry will be told of by the next bulk update that walks the
                // table, if there is memory then.
                self.counters.count(Counter::NoMemory);
                newborn.first
            }
        }
    }

    fn passed(&self, key: usize) -> bool {
        let rcu = rcu::read_lock();
        let touched = self.watch.touch(key, &rcu);
        if touched.queued {
            self.kick(if touched.at_threshold { NOW } else { SOON });
        }
        touched.flag
    }
}

impl Driver for Pfsync {
    #[allow(clippy::cast_possible_truncation)]
    const LINK_LAYER: LinkLayer = LinkLayer::None {
        mtu: DEFAULT_MTU as u32,
    };

    fn operations() -> &'static Operations<Self> {
        &OPERATIONS
    }

    fn open(&self, dev: &OwnDevice, rtnl: &Rtnl) -> Result {
        self.session.lock().admin_up = true;
        let Some(this) = dev.data::<Self>(rtnl) else {
            return Err(ENODEV);
        };
        this.adapt(rtnl)
            .inspect_err(|_| self.session.lock().admin_up = false)
    }

    fn stop(&self, dev: &OwnDevice, rtnl: &Rtnl) {
        self.session.lock().admin_up = false;
        if let Some(this) = dev.data::<Self>(rtnl) {
            // Stopping never fails.
            let _ = this.adapt(rtnl);
        }
    }

    fn uninit(&self, dev: &OwnDevice, rtnl: &Rtnl) {
        // Unreachable first: no frame, no event. The device was set down before, so
        // the table is detached by now.
        if let Some(namespace) = Namespace::of(dev.net(), rtnl) {
            namespace.clear_interface(rtnl);
        }
        self.set_syncdev(None, rtnl);
        let (own, timer, group) = {
            let mut session = self.session.lock();
            (
                session.own.take(),
                session.timer.take(),
                session.group.take(),
            )
        };
        drop(timer);
        if let Some(group) = group {
            demotion::leave(dev, &group, rtnl);
        }
        drop(own);
    }

    fn start_xmit(&self, dev: &OwnDevice, _skb: XmitSkb, _rcu: &rcu::Guard) {
        // Nothing is sent here but what pfsync sends by itself.
        dev.count_not_sent();
    }

    fn iflink(&self) -> Option<u32> {
        let rcu = rcu::read_lock();
        self.syncdev.get(&rcu).copied()
    }
}
