// SPDX-License-Identifier: GPL-2.0

//! Netlink attributes, written and read. What is read comes from kernels older and
//! newer than this program: what has an unknown shape is as if it were absent.

use netlink_packet_core::{DefaultNla, Emitable, NLA_F_NESTED, NLA_TYPE_MASK};
use std::net::IpAddr;

pub fn u8(kind: u16, value: u8) -> DefaultNla {
    DefaultNla::new(kind, vec![value])
}

#[cfg(test)]
pub fn u16(kind: u16, value: u16) -> DefaultNla {
    DefaultNla::new(kind, value.to_ne_bytes().to_vec())
}

pub fn u32(kind: u16, value: u32) -> DefaultNla {
    DefaultNla::new(kind, value.to_ne_bytes().to_vec())
}

pub fn i32(kind: u16, value: i32) -> DefaultNla {
    DefaultNla::new(kind, value.to_ne_bytes().to_vec())
}

pub fn text(kind: u16, value: &str) -> DefaultNla {
    DefaultNla::new(kind, [value.as_bytes(), b"\0"].concat())
}

pub fn bytes(kind: u16, value: &[u8]) -> DefaultNla {
    DefaultNla::new(kind, value.to_vec())
}

pub fn address(kind: u16, value: IpAddr) -> DefaultNla {
    match value {
        IpAddr::V4(address) => bytes(kind, &address.octets()),
        IpAddr::V6(address) => bytes(kind, &address.octets()),
    }
}

pub fn nest(kind: u16, inside: &[DefaultNla]) -> DefaultNla {
    DefaultNla::new(kind | NLA_F_NESTED, emit(inside))
}

/// The attributes one after the other, as they stand in a message.
pub fn emit(attributes: &[DefaultNla]) -> Vec<u8> {
    let mut buffer = vec![0; attributes.buffer_len()];
    attributes.emit(&mut buffer);
    buffer
}

/// The attributes of a message or a nest.
#[derive(Clone, Copy)]
pub struct Attributes<'a>(&'a [u8]);

impl<'a> Attributes<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    /// All of them with their kinds. An interface is asked for twenty, each from the beginning,
    /// so a step must be cheap.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &'a [u8])> + 'a {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (header, _) = rest.split_first_chunk::<4>()?;
            let [length, kind] = [[header[0], header[1]], [header[2], header[3]]];
            let length = usize::from(u16::from_ne_bytes(length));
            let value = rest.get(4..length)?;
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
            Some((u16::from_ne_bytes(kind) & NLA_TYPE_MASK, value))
        })
    }

    /// The u64s, by their kinds, in the order in which they are written.
    pub fn u64s(&self) -> impl Iterator<Item = (u16, u64)> + 'a {
        let numbers = |(kind, value): (u16, &[u8])| {
            let value = value.try_into().ok()?;
            Some((kind, u64::from_ne_bytes(value)))
        };
        self.iter().filter_map(numbers)
    }

    /// Every attribute of this kind.
    pub fn all(&self, kind: u16) -> impl Iterator<Item = &'a [u8]> {
        self.iter()
            .filter(move |(k, _)| *k == kind)
            .map(|(_, value)| value)
    }

    pub fn get(&self, kind: u16) -> Option<&'a [u8]> {
        self.all(kind).next()
    }

    pub fn has(&self, kind: u16) -> bool {
        self.get(kind).is_some()
    }

    fn array<const N: usize>(&self, kind: u16) -> Option<[u8; N]> {
        self.get(kind)?.try_into().ok()
    }

    pub fn u8(&self, kind: u16) -> Option<u8> {
        self.array(kind).map(|[value]| value)
    }

    pub fn u16(&self, kind: u16) -> Option<u16> {
        self.array(kind).map(u16::from_ne_bytes)
    }

    pub fn u32(&self, kind: u16) -> Option<u32> {
        self.array(kind).map(u32::from_ne_bytes)
    }

    pub fn i32(&self, kind: u16) -> Option<i32> {
        self.array(kind).map(i32::from_ne_bytes)
    }

    pub fn u64(&self, kind: u16) -> Option<u64> {
        self.array(kind).map(u64::from_ne_bytes)
    }

    pub fn text(&self, kind: u16) -> Option<String> {
        self.get(kind).map(as_text)
    }

    pub fn address(&self, kind: u16) -> Option<IpAddr> {
        as_address(self.get(kind)?)
    }

    pub fn nest(&self, kind: u16) -> Option<Self> {
        self.get(kind).map(Self)
    }

    /// All nests of a kind.
    pub fn nests(&self, kind: u16) -> impl Iterator<Item = Self> + '_ {
        self.all(kind).map(Self)
    }
}

pub fn as_text(value: &[u8]) -> String {
    let end = value
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(value.len());
    String::from_utf8_lossy(&value[..end]).into_owned()
}

pub fn as_u32(value: &[u8]) -> Option<u32> {
    value.try_into().ok().map(u32::from_ne_bytes)
}

pub fn as_address(value: &[u8]) -> Option<IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(value) {
        return Some(octets.into());
    }
    <[u8; 16]>::try_from(value).ok().map(IpAddr::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let data = emit(&[
            u8(1, 7),
            text(2, "carp"),
            nest(3, &[u32(1, 70_000), i32(2, -3)]),
            bytes(4, b"abc"),
            bytes(4, b"de"),
        ]);
        let read = Attributes::new(&data);
        assert_eq!(read.u8(1), Some(7));
        assert_eq!(read.text(2).as_deref(), Some("carp"));
        let inside = read.nest(3).expect("is there");
        assert_eq!(inside.u32(1), Some(70_000));
        assert_eq!(inside.i32(2), Some(-3));
        assert_eq!(read.all(4).collect::<Vec<_>>(), [&b"abc"[..], b"de"]);
    }

    #[test]
    fn another_shape_is_absent() {
        let data = emit(&[u32(1, 7)]);
        let read = Attributes::new(&data);
        assert_eq!(read.u8(1), None);
        assert!(read.has(1) && !read.has(2));
        // cut in the middle, and lengths that lie
        assert_eq!(Attributes::new(&data[..6]).u32(1), None);
        assert_eq!(Attributes::new(&[0, 0, 1, 0]).get(1), None);
        assert_eq!(Attributes::new(&[200, 0, 1, 0, 1]).get(1), None);
    }
}
