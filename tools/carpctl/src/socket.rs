// SPDX-License-Identifier: GPL-2.0

//! A netlink socket: requests with their answers, and the kernel's own words where
//! it refuses.

use crate::{
    attributes::Attributes,
    error::{failed, Error, Result},
};
use netlink_packet_core::{
    DecodeError, DoneMessage, ErrorMessage, NetlinkBuffer, NetlinkDeserializable, NetlinkHeader,
    NetlinkMessage, NetlinkPayload, NetlinkSerializable, NLM_F_ACK, NLM_F_ACK_TLVS, NLM_F_CAPPED,
    NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST,
};
use netlink_sys::{Socket, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};

/// Of linux/netlink.h.
const NLMSGERR_ATTR_MSG: u16 = 1;
/// Messages of lower kinds are netlink's own.
const NLMSG_MIN_TYPE: u16 = 16;
/// Of errno.h.
pub const ENOENT: i32 = 2;
pub const ENODEV: i32 = 19;
pub const EOPNOTSUPP: i32 = 95;
pub const ENETDOWN: i32 = 100;
const ENOBUFS: i32 = 105;
/// Of sys/socket.h: the length of the whole datagram is told.
const MSG_TRUNC: i32 = 0x20;
/// Bytes; a single link with all its attributes may exceed 32 KiB.
const DATAGRAM_MAX: usize = 1 << 18;
/// How often a dump that changed under our eyes is asked for again.
const ATTEMPTS: usize = 8;

/// A message as it is, for its sender to write and its receiver to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raw {
    pub kind: u16,
    pub body: Vec<u8>,
}

impl NetlinkSerializable for Raw {
    fn message_type(&self) -> u16 {
        self.kind
    }

    fn buffer_len(&self) -> usize {
        self.body.len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        buffer.copy_from_slice(&self.body);
    }
}

impl NetlinkDeserializable for Raw {
    type Error = DecodeError;

    fn deserialize(
        header: &NetlinkHeader,
        payload: &[u8],
    ) -> std::result::Result<Self, DecodeError> {
        Ok(Self {
            kind: header.message_type,
            body: payload.to_vec(),
        })
    }
}

/// What a socket that listens has heard.
pub enum Heard {
    Message(Raw),
    /// There was no room for what the kernel had to say.
    Lost,
}

pub struct Netlink {
    socket: Socket,
    sequence: u32,
}

impl Netlink {
    pub fn open(protocol: isize) -> Result<Self> {
        let mut socket = Socket::new(protocol)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        socket.set_ext_ack(true)?;
        socket.set_cap_ack(true)?;
        Ok(Self {
            socket,
            sequence: 0,
        })
    }

    /// Sends one request and returns the answers to it.
    ///
    /// # Errors
    ///
    /// The kernel's own words, where it refuses.
    pub fn request(&mut self, kind: u16, flags: u16, body: &[u8]) -> Result<Vec<Raw>> {
        self.attempts(kind, flags, body, |kind, body| {
            let body = body.to_vec();
            Some(Raw { kind, body })
        })
    }

    pub fn dump(&mut self, kind: u16, body: &[u8]) -> Result<Vec<Raw>> {
        self.request(kind, NLM_F_DUMP, body)
    }

    /// Returns what `read` makes of the body of each answer. Nothing of it is copied before:
    /// there may be thousands of them.
    pub fn dump_with<T>(
        &mut self,
        kind: u16,
        body: &[u8],
        read: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<Vec<T>> {
        self.attempts(kind, NLM_F_DUMP, body, |_, body| read(body))
    }

    fn attempts<T>(
        &mut self,
        kind: u16,
        flags: u16,
        body: &[u8],
        read: impl Fn(u16, &[u8]) -> Option<T>,
    ) -> Result<Vec<T>> {
        for _ in 0..ATTEMPTS {
            if let Some(answers) = self.attempt(kind, flags, body, &read)? {
                return Ok(answers);
            }
        }
        failed("the kernel's answer changed while it was read, again and again")
    }

    /// Nothing: the answer was not of one piece.
    fn attempt<T>(
        &mut self,
        kind: u16,
        flags: u16,
        body: &[u8],
        read: impl Fn(u16, &[u8]) -> Option<T>,
    ) -> Result<Option<Vec<T>>> {
        let dump = flags & NLM_F_DUMP == NLM_F_DUMP;
        self.sequence += 1;
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags | if dump { 0 } else { NLM_F_ACK };
        header.sequence_number = self.sequence;
        let payload = NetlinkPayload::InnerMessage(Raw {
            kind,
            body: body.to_vec(),
        });
        let mut message = NetlinkMessage::new(header, payload);
        message.finalize();
        let mut buffer = vec![0; message.buffer_len()];
        message.serialize(&mut buffer);
        self.socket.send(&buffer, 0)?;

        let mut answers = Vec::new();
        let mut whole = true;
        let mut datagram = Vec::with_capacity(DATAGRAM_MAX);
        loop {
            self.receive(&mut datagram)?;
            for message in messages(&datagram) {
                let message = message?;
                if message.sequence_number() != self.sequence {
                    continue;
                }
                whole &= message.flags() & NLM_F_DUMP_INTR == 0;
                if message.message_type() >= NLMSG_MIN_TYPE {
                    answers.extend(read(message.message_type(), message.payload()));
                    continue;
                }
                let flags = message.flags();
                match own(message)? {
                    NetlinkPayload::Error(error) => {
                        return refusal(flags, &error).map_or_else(|| Ok(Some(answers)), Err);
                    }
                    NetlinkPayload::Done(done) => {
                        return end(&done).map_or_else(|| Ok(whole.then_some(answers)), Err);
                    }
                    _ => {}
                }
            }
        }
    }

    /// The kernel makes the datagrams of a dump as large as there is room for, up to 32 KiB,
    /// so to look for the size first would make them small.
    fn receive(&self, datagram: &mut Vec<u8>) -> Result<()> {
        datagram.clear();
        let (length, _) = self.socket.recv_from(datagram, MSG_TRUNC)?;
        match length > datagram.len() {
            true => failed("the kernel's answer is larger than any that is known"),
            false => Ok(()),
        }
    }

    pub fn listen(&self, group: u32) -> Result<()> {
        Ok(self.socket.add_membership(group)?)
    }

    /// Waits for what the kernel says by itself.
    pub fn hear(&self) -> Result<Vec<Heard>> {
        let (datagram, _) = match self.socket.recv_from_full() {
            Err(error) if error.raw_os_error() == Some(ENOBUFS) => return Ok(vec![Heard::Lost]),
            received => received?,
        };
        let mut heard = Vec::new();
        for message in messages(&datagram) {
            let message = message?;
            let kind = message.message_type();
            if kind >= NLMSG_MIN_TYPE {
                let body = message.payload().to_vec();
                heard.push(Heard::Message(Raw { kind, body }));
            }
        }
        Ok(heard)
    }
}

impl AsFd for Netlink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The messages of a datagram.
fn messages(datagram: &[u8]) -> impl Iterator<Item = Result<NetlinkBuffer<&[u8]>>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let message = NetlinkBuffer::new_checked(rest);
        let length = message
            .as_ref()
            .map_or(rest.len(), |message| message.length() as usize);
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(message.map_err(unreadable))
    })
}

/// What netlink itself says.
fn own(message: NetlinkBuffer<&[u8]>) -> Result<NetlinkPayload<Raw>> {
    let message = NetlinkMessage::deserialize(message.into_inner());
    Ok(message.map_err(unreadable)?.payload)
}

fn unreadable(error: DecodeError) -> Error {
    Error::Failed(format!("the kernel's answer: {error}"))
}

/// Nothing: it was an acknowledgment.
fn refusal(flags: u16, error: &ErrorMessage) -> Option<Error> {
    let code = error.raw_code();
    if code == 0 {
        return None;
    }
    let mut words = String::new();
    if flags & NLM_F_ACK_TLVS != 0 {
        // after the request's header comes the rest of it, unless that is cut off
        let request = if flags & NLM_F_CAPPED != 0 {
            16
        } else {
            let length = error
                .header
                .first_chunk::<4>()
                .copied()
                .map_or(0, u32::from_ne_bytes);
            (length as usize).next_multiple_of(4)
        };
        let attributes = error.header.get(request..).unwrap_or_default();
        words = Attributes::new(attributes)
            .text(NLMSGERR_ATTR_MSG)
            .unwrap_or_default();
    }
    Some(Error::Kernel { code: -code, words })
}

/// How a dump ended; nothing: well.
fn end(done: &DoneMessage) -> Option<Error> {
    (done.code != 0).then(|| Error::Kernel {
        code: -done.code,
        words: Attributes::new(&done.extended_ack)
            .text(NLMSGERR_ATTR_MSG)
            .unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes::{emit, text};

    fn error(code: i32, header: Vec<u8>) -> ErrorMessage {
        let mut error = ErrorMessage::default();
        error.code = code.try_into().ok();
        error.header = header;
        error
    }

    #[test]
    fn the_kernels_words() {
        let words = emit(&[text(NLMSGERR_ATTR_MSG, "vhid must be 1-255")]);
        let capped = [&[0; 16][..], &words].concat();
        let told = refusal(NLM_F_ACK_TLVS | NLM_F_CAPPED, &error(-22, capped)).expect("refused");
        assert_eq!(told.to_string(), "vhid must be 1-255");

        let mut request = vec![0; 20];
        request[0] = 18;
        let told =
            refusal(NLM_F_ACK_TLVS, &error(-22, [request, words].concat())).expect("refused");
        assert_eq!(told.to_string(), "vhid must be 1-255");

        let told = refusal(0, &error(-1, vec![0; 16])).expect("refused");
        assert_eq!(told.to_string(), "Operation not permitted");
        assert_eq!(refusal(0, &error(0, vec![])), None);
    }

    #[test]
    fn a_datagram_of_several_messages() {
        let mut datagram = Vec::new();
        for body in [&b"one"[..], b"three"] {
            let payload = NetlinkPayload::InnerMessage(Raw {
                kind: 40,
                body: body.to_vec(),
            });
            let mut message = NetlinkMessage::new(NetlinkHeader::default(), payload);
            message.finalize();
            let mut buffer = vec![0; message.buffer_len()];
            message.serialize(&mut buffer);
            buffer.resize(buffer.len().next_multiple_of(4), 0);
            datagram.extend(buffer);
        }
        let bodies: Vec<_> = messages(&datagram)
            .map(|message| message.expect("is whole").payload())
            .collect();
        assert_eq!(bodies, [&b"one"[..], b"three"]);
        assert!(messages(&datagram[..17]).any(|message| message.is_err()));
    }
}
