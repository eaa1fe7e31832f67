// SPDX-License-Identifier: GPL-2.0

//! Passes events to the virtual hosts of an interface, and carries out the effects that
//! they return.
//!
//! Every event goes through [`handle`], under one lock and in any context. Frames are
//! built under the lock and sent after it is released ([`deliver`]), so that the parent
//! transmits without a lock of this module being held.

use super::{
    advertise,
    counters::Counter,
    deliver::deliver,
    demote,
    device::Carp,
    history::Past,
    hooks,
    host::{Host, Moment},
    notify,
    outbox::{Outbox, StateChange},
    published::state_to_u32,
    stopping,
};
use crate::{
    linux::{netdevice::MacAddress, rtnl::Rtnl, timer},
    proto::auth::{mode::Outcome, receiver::Notice},
    proto::carp::{
        advertisers::Advertiser,
        balancing::Balancing,
        effects::Transition,
        election::{Event, Family, State},
        packet::{Discard, Received},
        time::Instant,
    },
};
use core::net::IpAddr;
use kernel::sync::rcu;

/// The sender of an advertisement.
pub(super) struct Sender {
    /// The IP source.
    pub(super) address: IpAddr,
    /// The Ethernet source.
    pub(super) lladdr: Option<MacAddress>,
    /// Whether the IP destination is this host rather than a multicast group.
    pub(super) unicast: bool,
}

/// Passes an event to all elections of the interface, and carries out their effects.
fn handle(carp: &Carp, event: Event<'_>) {
    let mut outbox = Outbox::new();
    handle_locked(carp, &mut carp.host.lock(), event, &mut outbox);
    deliver(carp, &mut outbox);
}

/// Does the same with the lock held; puts into the outbox what is to be sent and logged.
pub(super) fn handle_locked(carp: &Carp, host: &mut Host, event: Event<'_>, outbox: &mut Outbox) {
    host.hash_addresses();
    let moment = host.moment();
    for index in 0..host.nodes.len() {
        handle_node(carp, host, index, &moment, event, outbox);
    }
    settle(carp, host, moment.now, outbox);
}

/// Passes an event to the election of one virtual host, the one with this index. Under
/// the lock; the caller calls [`settle`] after the last virtual host.
pub(super) fn handle_node(
    carp: &Carp,
    host: &mut Host,
    index: usize,
    moment: &Moment,
    event: Event<'_>,
    outbox: &mut Outbox,
) {
    let Some(node) = host.nodes.get_mut(index) else {
        return;
    };
    let vhid = node.vhid();
    let effects = node.election.handle(moment.now, &moment.environment, event);
    if let Some(transition) = &effects.transition {
        node.transitions.add(transition);
        let change = StateChange {
            vhid,
            transition: *transition,
            peer: node.advertisers.behind(transition.reason),
        };
        if transition.from == State::Master && index == 0 {
            host.announcements.stop();
        }
        publish_transition(carp, host, transition);
        record_transition(carp, host, vhid, moment, transition);
        outbox.push_transition(host, change);
    }
    advertise::send(carp, host, index, moment, &effects, outbox);
}

/// Puts the announcements that are due into the outbox, and sets the timer to the next
/// deadline. Called after all events.
pub(super) fn settle(carp: &Carp, host: &mut Host, now: Instant, outbox: &mut Outbox) {
    advertise::announce_due(host, now, outbox);
    arm(carp, host);
}

/// Sets the timer to the next deadline. Under the host's lock.
pub(super) fn arm(carp: &Carp, host: &Host) {
    if let Some(Instant(at)) = host.deadline() {
        carp.timer.arm(at);
    }
}

/// Publishes the new state to the packet paths at once, so that a takeover waits for
/// nothing; operstate and RTM_NEWLINK follow later through linkwatch.
fn publish_transition(carp: &Carp, host: &mut Host, transition: &Transition) {
    if transition.to == State::Master {
        carp.counters.count(Counter::Preempted);
    }
    publish(carp, host);
}

/// Adds a change of state to the history and sends its generic netlink event. Under the
/// host's lock, so that listeners receive the events in order.
fn record_transition(
    carp: &Carp,
    host: &mut Host,
    vhid: u8,
    moment: &Moment,
    transition: &Transition,
) {
    host.history.push(Past {
        at: moment.now,
        vhid,
        transition: *transition,
        demote: moment.environment.demote,
    });
    if let Some(own) = &host.own {
        notify::state_changed(own, vhid, moment.environment.demote, transition);
        carp.changes.add(vhid);
    }
}

/// Publishes the interface's state to the packet paths and to the kernel (carrier,
/// operstate, routes). Under the host's lock.
pub(super) fn publish(carp: &Carp, host: &mut Host) {
    let before = (carp.published.state(), carp.published.masters().is_any());
    carp.published.set_state(host.state(), host.masters());
    let Some(own) = &host.own else {
        return;
    };
    let is_master = carp.published.masters().is_any();
    if is_master != before.1 && host.is_counted {
        hooks::count_standby(own.net(), is_master);
    }
    if carp.published.state() == before.0 {
        return;
    }
    // To unmark routes needs RTNL, and a takeover must not wait for that.
    let rcu = rcu::read_lock();
    let passed_over = core::mem::take(&mut host.passed_over);
    own.restore_marked_routes(passed_over, &rcu);
    match host.state() {
        State::Init => own.set_carrier(false),
        State::Backup => {
            own.set_dormant(true);
            own.set_carrier(true);
        }
        State::Master => {
            host.passed_over = own.use_marked_routes(&rcu);
            own.set_dormant(false);
            own.set_carrier(true);
        }
    }
}

/// The timer has expired. Softirq context.
///
/// The elections come first, so that a takeover is not delayed; demotion that expires is
/// handled after them.
pub(super) fn timer_expired(carp: &Carp) {
    let mut outbox = Outbox::new();
    let due = {
        let mut host = carp.host.lock();
        handle_locked(carp, &mut host, Event::Timer, &mut outbox);
        host.demotion.is_due(Instant(timer::now()))
    };
    deliver(carp, &mut outbox);
    if due {
        demote::expire_demotions(carp);
    }
}

/// Lets the masters advertise now rather than at their next deadline, because demotion
/// changed.
pub(super) fn advertise_now(carp: &Carp) {
    if carp.published.masters().is_any() {
        handle(carp, Event::AdvertiseNow);
    }
}

/// Handles an advertisement for a vhid of this interface that came in on the parent.
/// Softirq context.
///
/// An interface that has unicast peers in a family accepts only unicast advertisements of
/// that family; without peers it accepts only those to the multicast group.
///
/// # Errors
///
/// Why it was dropped.
pub(super) fn advertised(
    carp: &Carp,
    family: Family,
    sender: &Sender,
    received: &Received<'_>,
) -> Result<(), Discard> {
    let mut outbox = Outbox::new();
    {
        let mut host = carp.host.lock();
        let now = Instant(timer::now());
        if host.has_peers(family) != sender.unicast {
            return Err(Discard::BadVhid);
        }
        let index = host
            .nodes
            .iter()
            .position(|node| node.vhid() == received.vhid())
            .filter(|&index| {
                let node = host.nodes.get(index);
                node.is_some_and(|node| node.election.state() != State::Init)
            })
            .ok_or(Discard::BadVhid)?;
        host.hash_addresses();
        let node = host.nodes.get_mut(index).ok_or(Discard::BadVhid)?;
        let authenticated = node.authenticate(now, received);
        let discard = authenticated.as_ref().err().copied();
        if let Some(advertiser) = Advertiser::new(sender.address, now, received, discard) {
            node.advertisers.heard(advertiser);
        }
        let advertisement = authenticated?;
        if let Some(notice) = check_whole(carp, &mut host, sender.address, received)? {
            outbox.push_notice(&host, sender.address, notice);
        }
        if host.settings.balancing() == Balancing::IpStealth {
            let mac = host.settings.mac();
            host.exposure.heard(sender.lladdr, mac);
        }
        let event = Event::Received(family, &advertisement);
        let moment = Moment {
            now,
            environment: host.environment(),
        };
        handle_node(carp, &mut host, index, &moment, event, &mut outbox);
        settle(carp, &mut host, now, &mut outbox);
    }
    deliver(carp, &mut outbox);
    Ok(())
}

/// Checks what authenticates the whole of an advertisement whose digest is right. Returns
/// what is to be logged of the sender's clock. Under the host's lock.
///
/// # Errors
///
/// It is not to be believed.
fn check_whole(
    carp: &Carp,
    host: &mut Host,
    sender: IpAddr,
    received: &Received<'_>,
) -> Result<Option<Notice>, Discard> {
    let mode = host.settings.auth.mode;
    if !mode.examines() {
        return Ok(None);
    }
    let (outcome, notice) = match &mut host.auth {
        Some(auth) => auth.receive(sender, received),
        // The mode needs a key, so there is one.
        None => (Outcome::UnknownKey, None),
    };
    carp.counters.count(outcome.into());
    match mode.believes(outcome) {
        true => Ok(notice),
        false => Err(Discard::Unauthenticated(outcome)),
    }
}

/// Starts or stops the virtual hosts. Called after a change of anything that they depend
/// on.
pub(super) fn update(carp: &Carp, rtnl: &Rtnl) {
    let lost = carp.has_lost_parent(rtnl);
    let suffers = {
        let host = carp.host.lock();
        (lost || host.carpdev.is_some()) && !host.can_send()
    };
    start_or_stop(carp);
    // Only now, after the virtual hosts have sent their farewell: demotion makes the
    // namespace's other masters advertise.
    demote::suppress(carp, suffers, rtnl);
    if carp.published.state() == state_to_u32(State::Init) {
        demote::reset_send_errors(carp);
    }
}

/// Does the same, but does not demote for a parent that fails. Any context.
pub(super) fn start_or_stop(carp: &Carp) {
    let (run, can_send) = {
        let host = carp.host.lock();
        (host.may_run() && !stopping::is_stopping(), host.can_send())
    };
    if run {
        handle(carp, Event::Start);
    } else {
        halt(carp, can_send);
    }
}

/// Stops the virtual hosts: their state becomes INIT. With `bow_out`, masters first send
/// a farewell.
pub(super) fn halt(carp: &Carp, bow_out: bool) {
    handle(carp, Event::Stop { bow_out });
}

/// Forces the state that the administrator asks for.
pub(super) fn force(carp: &Carp, state: State) {
    handle(carp, Event::Force(state));
}

/// Announces all addresses again, for example because the parent has moved to another
/// port of the switch. Any context.
pub(super) fn announce_again(carp: &Carp) {
    let mut outbox = Outbox::new();
    {
        let mut host = carp.host.lock();
        if !carp.published.is_master() || carp.published.is_balancing() {
            return;
        }
        let now = Instant(timer::now());
        host.announcements.begin(now);
        settle(carp, &mut host, now, &mut outbox);
    }
    deliver(carp, &mut outbox);
}
