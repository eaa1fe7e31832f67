// SPDX-License-Identifier: GPL-2.0

//! Frames on their way out: to the group as complete Ethernet frames, to a syncpeer by
//! way of the routing table.

use super::{
    counters::{Counter, Counters},
    session::Session,
};
use crate::{
    linux::{
        compat::{EADDRNOTAVAIL, ENETDOWN},
        ip_output,
        netdevice::Device,
        netdevice_ops::OwnDevice,
        skbuff::{Skb, SkbList},
    },
    proto::pfsync::packet,
};
use core::net::IpAddr;
use kernel::{prelude::*, sync::aref::ARef};

/// `TC_PRIO_CONTROL`: before users' traffic in the syncdev's queue.
const PRIORITY: u32 = 7;

/// The bytes that are kept free before a frame, for the longest headers.
pub(super) const HEAD: usize = 40;

const _: () = assert!(packet::GROUP_LEN <= HEAD && packet::IPV6_LEN <= HEAD);

/// How frames go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Group,
    Ipv4,
    Ipv6,
}

/// Frames that are to be sent when the lock is released.
pub(super) struct Frames {
    list: SkbList,
    way: Way,
    syncdev: Option<ARef<Device>>,
}

impl Frames {
    pub(super) const fn new() -> Self {
        Self {
            list: SkbList::new(),
            way: Way::Group,
            syncdev: None,
        }
    }

    /// Sends them all. No lock of ours is held.
    pub(super) fn send(mut self, own: &OwnDevice, counters: &Counters) {
        let Some(syncdev) = self.syncdev.take() else {
            return;
        };
        while let Some(mut skb) = self.list.pop() {
            let len = skb.len();
            skb.show_ip_to_taps(own);
            let sent = match self.way {
                Way::Group => skb.transmit(),
                Way::Ipv4 => ip_output::send_routed_ipv4(&syncdev, skb),
                Way::Ipv6 => ip_output::send_routed_ipv6(&syncdev, skb),
            };
            match sent {
                Ok(()) => {
                    counters.count(match self.way {
                        Way::Ipv6 => Counter::SentIpv6,
                        _ => Counter::SentIpv4,
                    });
                    own.count_sent_by_itself(len);
                }
                Err(_) => {
                    counters.count(Counter::SendError);
                    own.count_not_sent();
                }
            }
        }
    }
}

impl Session {
    /// The bytes of the IP header before a frame.
    pub(super) fn ip_header_len(&self) -> usize {
        match self.settings.syncpeer {
            Some(IpAddr::V6(_)) => packet::IPV6_LEN,
            _ => packet::IPV4_LEN,
        }
    }

    /// Has the first `len` bytes behind [`HEAD`] in the buffer, a frame, sent later.
    ///
    /// # Errors
    ///
    /// No memory, no address of our own, no route.
    fn push(&mut self, len: usize, frames: &mut Frames) -> Result {
        let syncdev = self.syncdev.as_ref().ok_or(ENETDOWN)?;
        let bytes = u16::try_from(len)?;
        let buffer = self
            .buffer
            .get_mut(..HEAD.saturating_add(len))
            .ok_or(EMSGSIZE)?;
        let (way, skb) = match self.settings.syncpeer {
            None => {
                let group = crate::proto::pfsync::frame::GROUP;
                let source = ip_output::source_ipv4(syncdev, group).ok_or(EADDRNOTAVAIL)?;
                let headers = packet::to_group(syncdev.mac(), source, bytes);
                let frame = with_headers(buffer, &headers).ok_or(EMSGSIZE)?;
                (
                    Way::Group,
                    Skb::from_frame(syncdev, frame, PRIORITY).ok_or(ENOMEM)?,
                )
            }
            Some(IpAddr::V4(peer)) => {
                let source = ip_output::source_ipv4(syncdev, peer).ok_or(EADDRNOTAVAIL)?;
                let header = packet::to_ipv4(source, peer, bytes);
                let packet = with_headers(buffer, &header).ok_or(EMSGSIZE)?;
                (Way::Ipv4, ip_output::route_ipv4(syncdev, packet, PRIORITY)?)
            }
            Some(IpAddr::V6(peer)) => {
                let source = ip_output::source_ipv6(syncdev, peer).ok_or(EADDRNOTAVAIL)?;
                let header = packet::to_ipv6(source, peer, bytes);
                let packet = with_headers(buffer, &header).ok_or(EMSGSIZE)?;
                (Way::Ipv6, ip_output::route_ipv6(syncdev, packet, PRIORITY)?)
            }
        };
        frames.way = way;
        frames.syncdev = Some(syncdev.clone());
        if way != Way::Group {
            self.note_route_mtu(ip_output::route_mtu(&skb));
        }
        frames.list.push(skb);
        Ok(())
    }

    /// IPsec makes packets longer, and a route knows by how much. The first frame is a short
    /// one, so that full ones pass.
    fn note_route_mtu(&mut self, mtu: u32) {
        if mtu < self.route_mtu {
            self.route_mtu = mtu;
            let room = self.room();
            self.outbox.set_room(room);
        }
    }

    /// As [`Self::push`], counted if it fails.
    pub(super) fn send(&mut self, len: usize, frames: &mut Frames, counters: &Counters) {
        match self.push(len, frames) {
            Ok(()) => {}
            Err(error) if error == ENOMEM => counters.count(Counter::NoMemory),
            Err(_) => counters.count(Counter::SendError),
        }
    }
}

/// Puts headers before the frame in a buffer.
fn with_headers<'b>(buffer: &'b mut [u8], headers: &[u8]) -> Option<&'b [u8]> {
    let start = HEAD.checked_sub(headers.len())?;
    buffer.get_mut(start..HEAD)?.copy_from_slice(headers);
    buffer.get(start..)
}
