// SPDX-License-Identifier: GPL-2.0

//! What comes of an event, which is handled under the lock of the [`Session`]: frames,
//! packets that were held, demotion. It is carried out when the lock is released, for
//! all of that may lead back into the network stack.

use super::{
    counters::Counter,
    demotion::{self, Demoted},
    device::Pfsync,
    netns::Namespace,
    send::Frames,
    session::Session,
};
use crate::{
    carp::Group,
    linux::{log::KernelDisplay, netdevice_ops::OwnDevice, state_table::HeldList, timer},
    proto::pfsync::{bulk_request, conntrack::Tuple, id::StateId, time::Instant},
};
use core::fmt;
use kernel::{
    prelude::*,
    sync::{aref::ARef, Arc},
};

/// A state of a peer's that does not go with what is here.
pub(super) struct Conflict {
    /// The connection as it began.
    pub(super) original: Tuple,
    /// How its answers look to the peer.
    pub(super) theirs: Tuple,
    /// And how to this host; nothing, if another connection has such answers.
    pub(super) ours: Option<Tuple>,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            original,
            theirs,
            ours,
        } = self;
        write!(f, "a peer has {original} answered by {theirs}, ")?;
        match ours {
            Some(ours) => write!(f, "and this host by {ours}"),
            None => write!(f, "which is another connection's here"),
        }
    }
}

/// A state of a peer's that is not taken.
pub(super) struct Refused {
    /// Its name.
    pub(super) id: StateId,
    /// The connection as it began, if that can be said here.
    pub(super) original: Option<Tuple>,
    /// Why.
    pub(super) why: &'static str,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StateId { id, creator } = self.id;
        let (id, creator) = (u64::from_be_bytes(id), u32::from_be_bytes(creator));
        write!(f, "state {id:016x} of {creator:08x} is not taken")?;
        if let Some(original) = &self.original {
            write!(f, ", from {original}")?;
        }
        write!(f, ": {}", self.why)
    }
}

/// What is to be done when the lock is released.
pub(super) struct Outcome {
    /// To be sent.
    pub(super) frames: Frames,
    /// To be let go.
    pub(super) released: HeldList,
    /// What the bulk request wanted, and what was done to the group for it. Of one event
    /// come two of them at most, of a frame as well: once its demotion is taken back
    /// and it is complete, it wants nothing more.
    bulk_effects: [BulkEffects; 2],
    /// The last state of a peer's that does not go with what is here.
    pub(super) conflict: Option<Conflict>,
    /// The last one that was not taken.
    pub(super) refused: Option<Refused>,
    own: Option<ARef<OwnDevice>>,
    group: Option<Arc<Group>>,
}

impl Outcome {
    fn new() -> Self {
        Self {
            frames: Frames::new(),
            released: HeldList::new(),
            bulk_effects: Default::default(),
            conflict: None,
            refused: None,
            own: None,
            group: None,
        }
    }

    /// The bulk request wants something done.
    pub(super) fn want(&mut self, effects: bulk_request::Effects) {
        // A frame may say BUS many times: what wants nothing must not push out what does.
        if effects == bulk_request::Effects::default() {
            return;
        }
        let [first, second] = &mut self.bulk_effects;
        *first = core::mem::take(second);
        second.effects = effects;
    }
}

/// What the bulk request wants.
#[derive(Default)]
struct BulkEffects {
    effects: bulk_request::Effects,
    demoted: [Demoted; 2],
}

impl Pfsync {
    /// Has an event happen, and carries out what comes of it. Any context but hard
    /// interrupts.
    pub(super) fn handle(&self, event: impl FnOnce(&mut Session, Instant, &mut Outcome)) {
        let now = Instant(timer::now());
        let mut out = Outcome::new();
        {
            let _charged = self.memory.charge();
            let mut guard = self.session.lock();
            let session = &mut *guard;
            event(session, now, &mut out);
            self.send_due(session, now, &mut out);
            // Under the lock: when two processors have an event each, the later one knows
            // of both, and the earlier one must not set the timer back after it.
            self.arm(session.deadline());
            out.own.clone_from(&session.own);
            out.group.clone_from(&session.group);
            for BulkEffects { effects, demoted } in &mut out.bulk_effects {
                session.demoted = session
                    .demoted
                    .saturating_add(effects.demote)
                    .saturating_add(effects.demote_for_link);
                if let Some(group) = &session.group {
                    *demoted = demotion::demote(group, effects);
                }
            }
        }
        self.carry_out(out);
    }

    /// The lock is not held.
    fn carry_out(&self, out: Outcome) {
        let Outcome {
            frames,
            released,
            bulk_effects,
            conflict,
            refused,
            own,
            group,
        } = out;
        if let Some(own) = &own {
            frames.send(own, &self.counters);
        }
        drop(released);
        if let (Some(conflict), Some(own)) = (conflict, &own) {
            if Namespace::prints(own.net()) {
                pr_info!("{}: {}\n", own.name(), KernelDisplay(conflict));
            }
        }
        if let (Some(refused), Some(own)) = (refused, &own) {
            if Namespace::prints(own.net()) {
                pr_info!("{}: {}\n", own.name(), KernelDisplay(refused));
            }
        }
        let (Some(own), Some(group)) = (own, group) else {
            return;
        };
        for it in &bulk_effects {
            demotion::tell(&own, &group, &it.demoted);
        }
        for ending in bulk_effects.iter().filter_map(|it| it.effects.ending) {
            if ending == bulk_request::Ending::Complete {
                self.counters.count(Counter::BulkReceived);
            }
            pr_info!("{}: {}\n", own.name(), ending.as_str());
        }
    }
}
