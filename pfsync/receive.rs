// SPDX-License-Identifier: GPL-2.0

//! Frames that come in: IP protocol 240.

use super::{
    authentication::{admit, Dropped},
    counters::Counter,
    device::Pfsync,
    netns::Namespace,
};
use crate::{
    linux::{
        inet::{Ipv4Protocol, Ipv4Receiver, Packet},
        inet6::{Ipv6Protocol, Ipv6Receiver},
        log::KernelDisplay,
        netdevice_ops::OwnDevice,
    },
    proto::auth::{mode::Outcome, receiver::Notice},
    proto::pfsync::frame::{Discard, PROTOCOL},
};
use core::net::{IpAddr, Ipv6Addr};
use kernel::{prelude::*, sync::rcu};

/// The receiver of protocol 240.
pub(crate) struct Receiver;

/// Its registration.
pub(crate) static PROTOCOL_IPV4: Ipv4Protocol<Receiver> = Ipv4Protocol::new();

/// The same in IPv6, for syncpeers.
pub(crate) static PROTOCOL_IPV6: Ipv6Protocol<Receiver> = Ipv6Protocol::new();

/// Frames are as long as the MTU lets them be.
const LEN: u32 = u16::MAX as u32;

impl Ipv4Receiver for Receiver {
    const PROTOCOL: u8 = PROTOCOL;
    const LEN: u32 = LEN;
    // Who demands ESP does not want frames in clear.
    const OBEYS_POLICY: bool = true;

    fn receive(packet: &Packet<'_>, rcu: &rcu::Guard) -> Result<(), ()> {
        receive(packet, Counter::ReceivedIpv4, rcu)
    }
}

impl Ipv6Receiver for Receiver {
    const PROTOCOL: u8 = PROTOCOL;
    const LEN: u32 = LEN;
    // Who demands ESP does not want frames in clear.
    const OBEYS_POLICY: bool = true;

    fn receive(packet: &Packet<'_, Ipv6Addr>, rcu: &rcu::Guard) -> Result<(), ()> {
        receive(packet, Counter::ReceivedIpv6, rcu)
    }
}

fn receive<A: Into<IpAddr> + Copy>(
    packet: &Packet<'_, A>,
    received: Counter,
    rcu: &rcu::Guard,
) -> Result<(), ()> {
    let (own, pfsync) = Namespace::interface_of(packet.net, rcu).ok_or(())?;
    pfsync.counters.count(received);
    if !is_on_syncdev(pfsync, packet.iif, rcu) {
        pfsync.counters.count(Discard::BadInterface.into());
        return Err(());
    }
    own.count_received(u32::try_from(packet.payload.len()).unwrap_or(u32::MAX));
    packet.show_to_taps(own);
    let source = packet.source.into();
    let addresses = [source, packet.destination.into()];
    let admitted = admit(
        &pfsync.gate,
        &pfsync.counters,
        addresses,
        packet.ttl,
        packet.payload,
    );
    match admitted {
        Ok((frame, notice)) => {
            if let Some(notice) = notice {
                log_clock(own, source, notice);
            }
            pfsync.frame(source, &frame).map_err(|_| ())
        }
        Err(dropped) => {
            if let Dropped::Unauthenticated(outcome) = dropped {
                log_dropped(own, source, outcome);
            }
            Err(())
        }
    }
}

/// Logs that a frame is not authentic.
fn log_dropped(own: &OwnDevice, source: IpAddr, outcome: Outcome) {
    if Namespace::prints_of_strangers(own.net()) {
        let why = outcome.as_str();
        pr_info!(
            "{}: frame from {} dropped: {why}\n",
            own.name(),
            KernelDisplay(source)
        );
    }
}

/// Logs that another host's clock is far from ours, or close again.
fn log_clock(own: &OwnDevice, source: IpAddr, notice: Notice) {
    if !Namespace::prints(own.net()) {
        return;
    }
    let (name, clock) = (own.name(), KernelDisplay(notice));
    let source = KernelDisplay(source);
    match notice {
        Notice::Apart(_) => pr_warn!("{name}: the clock of {source} is {clock}\n"),
        Notice::Together => pr_info!("{name}: the clock of {source} is {clock}\n"),
    }
}

fn is_on_syncdev(pfsync: &Pfsync, iif: i32, rcu: &rcu::Guard) -> bool {
    let syncdev = pfsync.syncdev.get(rcu);
    syncdev.is_some_and(|syncdev| u32::try_from(iif) == Ok(*syncdev))
}
