// SPDX-License-Identifier: GPL-2.0

//! Frames on their way out: to the group as complete Ethernet frames, to a syncpeer by
//! way of the routing table.

use super::{
    authentication::Signer,
    counters::{Counter, Counters},
    session::Session,
};
use crate::{
    linux::{
        compat::{EADDRNOTAVAIL, ENETDOWN},
        ip_output::{self, RoutedSkb},
        netdevice::Device,
        netdevice_ops::OwnDevice,
        skbuff::SkbList,
        skbuff_tx::TxFrame,
    },
    proto::pfsync::packet,
};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use kernel::{prelude::*, sync::aref::ARef};

/// `TC_PRIO_CONTROL`: before users' traffic in the syncdev's queue.
const PRIORITY: u32 = 7;

/// The bytes that are kept free before a frame, for the longest headers.
pub(super) const HEAD: usize = 40;

const _: () = assert!(packet::GROUP_LEN <= HEAD && packet::IPV6_LEN <= HEAD);

/// Frames that are to be sent when the lock is released.
pub(super) struct Frames {
    to_group: SkbList<TxFrame>,
    to_ipv4: SkbList<RoutedSkb<Ipv4Addr>>,
    to_ipv6: SkbList<RoutedSkb<Ipv6Addr>>,
    syncdev: Option<ARef<Device>>,
}

impl Frames {
    pub(super) const fn new() -> Self {
        Self {
            to_group: SkbList::new(),
            to_ipv4: SkbList::new(),
            to_ipv6: SkbList::new(),
            syncdev: None,
        }
    }

    /// Sends them all. No lock of ours is held.
    pub(super) fn send(mut self, own: &OwnDevice, counters: &Counters) {
        let Some(syncdev) = self.syncdev.take() else {
            return;
        };
        let count = |len, counter, sent: Result| match sent {
            Ok(()) => {
                counters.count(counter);
                own.count_sent_by_itself(len);
            }
            Err(_) => {
                counters.count(Counter::SendError);
                own.count_not_sent();
            }
        };
        while let Some(mut frame) = self.to_group.pop() {
            let len = frame.len();
            frame.show_ip_to_taps(own);
            count(len, Counter::SentIpv4, frame.transmit());
        }
        while let Some(mut packet) = self.to_ipv4.pop() {
            let len = packet.len();
            packet.show_ip_to_taps(own);
            count(len, Counter::SentIpv4, packet.send(&syncdev));
        }
        while let Some(mut packet) = self.to_ipv6.pop() {
            let len = packet.len();
            packet.show_ip_to_taps(own);
            count(len, Counter::SentIpv6, packet.send(&syncdev));
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
        let (buffer, signer) = (&mut self.buffer, &mut self.signer);
        let mtu = match self.settings.syncpeer {
            None => {
                let group = crate::proto::pfsync::frame::GROUP;
                let source = ip_output::source_ipv4(syncdev, group).ok_or(EADDRNOTAVAIL)?;
                let len = sign(signer, source.into(), buffer, len)?;
                let headers = packet::to_group(syncdev.mac(), source, u16::try_from(len)?);
                let frame = with_headers(buffer, &headers, len).ok_or(EMSGSIZE)?;
                let frame = TxFrame::new(syncdev, frame, PRIORITY).ok_or(ENOMEM)?;
                frames.to_group.push(frame);
                None
            }
            Some(IpAddr::V4(peer)) => {
                let source = ip_output::source_ipv4(syncdev, peer).ok_or(EADDRNOTAVAIL)?;
                let len = sign(signer, source.into(), buffer, len)?;
                let header = packet::to_ipv4(source, peer, u16::try_from(len)?);
                let packet = with_headers(buffer, &header, len).ok_or(EMSGSIZE)?;
                let packet = RoutedSkb::<Ipv4Addr>::route(syncdev, packet, PRIORITY)?;
                let mtu = packet.mtu();
                frames.to_ipv4.push(packet);
                Some(mtu)
            }
            Some(IpAddr::V6(peer)) => {
                let source = ip_output::source_ipv6(syncdev, peer).ok_or(EADDRNOTAVAIL)?;
                let len = sign(signer, source.into(), buffer, len)?;
                let header = packet::to_ipv6(source, peer, u16::try_from(len)?);
                let packet = with_headers(buffer, &header, len).ok_or(EMSGSIZE)?;
                let packet = RoutedSkb::<Ipv6Addr>::route(syncdev, packet, PRIORITY)?;
                let mtu = packet.mtu();
                frames.to_ipv6.push(packet);
                Some(mtu)
            }
        };
        frames.syncdev = Some(syncdev.clone());
        if let Some(mtu) = mtu {
            self.note_route_mtu(mtu);
        }
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

/// Signs the frame of `len` bytes in a buffer, if frames are signed. Its length then.
fn sign(signer: &mut Signer, source: IpAddr, buffer: &mut [u8], len: usize) -> Result<usize> {
    let frame = buffer.get_mut(HEAD..).ok_or(EMSGSIZE)?;
    signer.sign(source, frame, len)
}

/// Puts headers before the frame of `len` bytes in a buffer.
fn with_headers<'b>(buffer: &'b mut [u8], headers: &[u8], len: usize) -> Option<&'b [u8]> {
    let start = HEAD.checked_sub(headers.len())?;
    buffer.get_mut(start..HEAD)?.copy_from_slice(headers);
    buffer.get(start..HEAD.checked_add(len)?)
}
