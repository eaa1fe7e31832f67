// SPDX-License-Identifier: GPL-2.0

//! Netlink attributes, read and written, and error messages (extack).
//!
//! The kernel crate (as of 7.3) has no policies, reads no attributes and knows no extack. It
//! writes u32, strings and flags into messages of its own making, of generic netlink
//! (`net::netlink::GenlMsg`); here most are written into buffers of rtnetlink, in nests, and of
//! other types. See [`super::genetlink`] for the rest.

use super::bindings;
use core::{
    fmt::{self, Write},
    marker::PhantomData,
};
use kernel::{error::to_result, prelude::*};

/// The policy of one attribute: what kind of value it may carry.
#[derive(Clone, Copy)]
pub(crate) enum Policy {
    /// Refused: user space must not send it.
    Reject,
    /// One byte.
    U8,
    /// Two bytes in host order.
    U16,
    /// Four bytes in host order.
    U32,
    /// Four bytes in host order, with a sign.
    S32,
    /// At most this many bytes.
    Binary(u16),
    /// A string of one to this many bytes, which may end with a zero byte.
    String(u16),
    /// Attributes in an attribute, read by [`Attributes::each`].
    Nested,
}

/// A table of policies in the kernel's form. Attributes are validated strictly:
/// lengths are exact, and an attribute without a policy is refused.
///
/// `N` is one more than the highest attribute.
pub(crate) struct Policies<const N: usize>([bindings::nla_policy; N]);

// SAFETY: The table is never written.
unsafe impl<const N: usize> Sync for Policies<N> {}

impl<const N: usize> Policies<N> {
    /// Makes a table from pairs of attribute and policy.
    pub(crate) const fn new(list: &[(u32, Policy)]) -> Self {
        // SAFETY: All zeroes is a valid `nla_policy`.
        let mut table: [bindings::nla_policy; N] = unsafe { core::mem::zeroed() };
        let mut i = 0;
        while i < N {
            table[i].type_ = bindings::NLA_REJECT as u8;
            i += 1;
        }
        // Strictness begins with the first attribute; entry 0 holds this.
        table[0].type_ = bindings::NLA_UNSPEC as u8;
        bindings::nla_policy_set_strict_start(&mut table[0], 1);
        let mut i = 0;
        while i < list.len() {
            let (attribute, policy) = list[i];
            let entry = &mut table[attribute as usize];
            match policy {
                Policy::Reject => {}
                Policy::U8 => entry.type_ = bindings::NLA_U8 as u8,
                Policy::U16 => entry.type_ = bindings::NLA_U16 as u8,
                Policy::U32 => entry.type_ = bindings::NLA_U32 as u8,
                Policy::S32 => entry.type_ = bindings::NLA_S32 as u8,
                Policy::Binary(len) => {
                    entry.type_ = bindings::NLA_BINARY as u8;
                    entry.len = len;
                }
                Policy::String(len) => {
                    entry.type_ = bindings::NLA_STRING as u8;
                    entry.len = len;
                }
                Policy::Nested => entry.type_ = bindings::NLA_NESTED as u8,
            }
            i += 1;
        }
        Self(table)
    }

    /// The highest attribute.
    pub(super) const fn max(&self) -> u32 {
        N as u32 - 1
    }

    pub(super) const fn as_ptr(&self) -> *const bindings::nla_policy {
        self.0.as_ptr()
    }
}

/// Parsed attributes: a table of pointers, some null.
///
/// # Invariants
///
/// `table` is null or has `max + 1` entries, each null or an attribute that lives
/// for `'a` and was validated.
pub(crate) struct Attributes<'a> {
    table: *mut *mut bindings::nlattr,
    max: u32,
    _message: PhantomData<&'a [u8]>,
}

impl<'a> Attributes<'a> {
    /// # Safety
    ///
    /// The type's invariants.
    pub(super) unsafe fn from_raw(table: *mut *mut bindings::nlattr, max: u32) -> Self {
        Self {
            table,
            max,
            _message: PhantomData,
        }
    }

    fn bytes(&self, attribute: u32) -> Option<&'a [u8]> {
        if self.table.is_null() || attribute > self.max {
            return None;
        }
        // SAFETY: By the type invariant the entry is there, and null or a live
        // attribute.
        unsafe {
            let nla = *self.table.add(attribute as usize);
            if nla.is_null() {
                return None;
            }
            let len = usize::try_from(bindings::nla_len(nla)).ok()?;
            Some(core::slice::from_raw_parts(
                bindings::nla_data(nla).cast(),
                len,
            ))
        }
    }

    /// The value of a one-byte attribute, if it was sent.
    pub(crate) fn u8(&self, attribute: u32) -> Option<u8> {
        self.bytes(attribute)?.first().copied()
    }

    /// The value of a two-byte attribute in host order, if it was sent.
    pub(crate) fn u16(&self, attribute: u32) -> Option<u16> {
        let bytes = self.bytes(attribute)?.first_chunk::<2>()?;
        Some(u16::from_ne_bytes(*bytes))
    }

    /// The value of a four-byte attribute in host order, if it was sent.
    pub(crate) fn u32(&self, attribute: u32) -> Option<u32> {
        let bytes = self.bytes(attribute)?.first_chunk::<4>()?;
        Some(u32::from_ne_bytes(*bytes))
    }

    /// The value of a four-byte attribute with a sign, if it was sent.
    pub(crate) fn s32(&self, attribute: u32) -> Option<i32> {
        let bytes = self.bytes(attribute)?.first_chunk::<4>()?;
        Some(i32::from_ne_bytes(*bytes))
    }

    /// The bytes of a string, without the zero byte that may end it, if it was sent.
    pub(crate) fn string(&self, attribute: u32) -> Option<&'a [u8]> {
        let bytes = self.bytes(attribute)?;
        Some(bytes.strip_suffix(&[0]).unwrap_or(bytes))
    }

    /// The bytes of an attribute, if it was sent.
    pub(crate) fn binary(&self, attribute: u32) -> Option<&'a [u8]> {
        self.bytes(attribute)
    }

    /// The attributes in an attribute, if it was sent.
    pub(crate) fn each(&self, attribute: u32) -> Option<Elements<'a>> {
        self.bytes(attribute).map(Elements)
    }
}

/// A sequence of attributes, as in a nest. The iterator ends after the last one, or at
/// the first malformed one; [`Self::is_whole`] tells these two cases apart.
#[derive(Clone)]
pub(crate) struct Elements<'a>(&'a [u8]);

/// An attribute: its type, and its bytes.
pub(crate) struct Element<'a> {
    pub(crate) kind: u32,
    pub(crate) bytes: &'a [u8],
}

/// The bytes of `struct nlattr`.
const NLA_HDRLEN: usize = 4;
/// The bits of `nla_type` that are not the type.
const NLA_FLAGS: u16 = 0xc000;

impl<'a> Elements<'a> {
    /// The attributes that these bytes hold.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether nothing but attributes is there. At the end of the iteration: or
    /// whether some bytes are left.
    pub(crate) fn is_whole(&self) -> bool {
        let mut rest = self.clone();
        while rest.next().is_some() {}
        rest.0.is_empty()
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        let header = self.0.first_chunk::<NLA_HDRLEN>()?;
        let len = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let kind = u16::from_ne_bytes([header[2], header[3]]) & !NLA_FLAGS;
        let bytes = self.0.get(NLA_HDRLEN..len)?;
        // The last one need not be padded.
        self.0 = self.0.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some(Element {
            kind: u32::from(kind),
            bytes,
        })
    }
}

/// Takes error messages for the user (`struct netlink_ext_ack`).
pub(crate) struct Extack<'a> {
    ptr: *mut bindings::netlink_ext_ack,
    _request: PhantomData<&'a ()>,
}

impl Extack<'_> {
    /// For requests whose sender gets no messages.
    pub(crate) const NONE: Self = Self {
        ptr: core::ptr::null_mut(),
        _request: PhantomData,
    };

    /// # Safety
    ///
    /// `ptr` is null or valid for `'a`.
    pub(super) unsafe fn from_raw(ptr: *mut bindings::netlink_ext_ack) -> Self {
        Self {
            ptr,
            _request: PhantomData,
        }
    }

    pub(super) fn as_ptr(&self) -> *mut bindings::netlink_ext_ack {
        self.ptr
    }

    /// Sets the error message, which is truncated to 79 bytes. Returns `error`, to be
    /// passed on.
    pub(crate) fn error(&self, error: Error, message: fmt::Arguments<'_>) -> Error {
        if self.ptr.is_null() {
            return error;
        }
        // SAFETY: Not null, so valid and ours while the request is handled.
        let extack = unsafe { &mut *self.ptr };
        let mut buffer = Buffer {
            bytes: &mut extack._msg_buf,
            len: 0,
        };
        // A message that does not fit is truncated; that is not an error.
        let _ = buffer.write_fmt(message);
        let len = buffer.len;
        if let Some(end) = extack._msg_buf.get_mut(len) {
            *end = 0;
        }
        extack._msg = extack._msg_buf.as_ptr();
        error
    }
}

/// A copy of an extack message, for the log, of an operation that no netlink request has
/// started.
pub(crate) struct ExtackMessage {
    bytes: [u8; EXTACK_MESSAGE_MAX],
    len: usize,
}

/// The bytes that are kept of a message: more than [`Extack::error`] writes.
const EXTACK_MESSAGE_MAX: usize = 128;

impl ExtackMessage {
    /// Calls `act` with an extack, and returns its result and a copy of the message that
    /// it has set last.
    pub(crate) fn capture<R>(act: impl FnOnce(&Extack<'_>) -> R) -> (R, Self) {
        // SAFETY: All zeroes is a valid `netlink_ext_ack`.
        let mut raw: bindings::netlink_ext_ack = unsafe { core::mem::zeroed() };
        // The message may lie in the structure itself, which is not moved before it is copied.
        let ptr = &raw mut raw;
        // SAFETY: The pointer is valid until `act` has returned.
        let result = act(&unsafe { Extack::from_raw(ptr) });
        let mut words = Self {
            bytes: [0; EXTACK_MESSAGE_MAX],
            len: 0,
        };
        // SAFETY: As above. Whoever sets the message points to a string that outlives the
        // request: a literal, or the buffer beside it.
        let message = unsafe {
            let message = (*ptr)._msg;
            (!message.is_null()).then(|| CStr::from_char_ptr(message))
        };
        let message = message.map_or(&[][..], |message| message.to_bytes());
        for (place, &byte) in words.bytes.iter_mut().zip(message) {
            *place = byte;
            words.len = words.len.wrapping_add(1);
        }
        (result, words)
    }
}

impl kernel::fmt::Display for ExtackMessage {
    fn fmt(&self, f: &mut kernel::fmt::Formatter<'_>) -> kernel::fmt::Result {
        for &byte in self.bytes.iter().take(self.len) {
            fmt::Write::write_char(f, char::from(byte))?;
        }
        Ok(())
    }
}

/// Writes into an array and leaves room for a zero byte.
struct Buffer<'a> {
    bytes: &'a mut [c_char],
    len: usize,
}

impl Write for Buffer<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for &byte in text.as_bytes() {
            // One byte is left for the zero byte.
            let [place, _, ..] = self.bytes.get_mut(self.len..).ok_or(fmt::Error)? else {
                return Err(fmt::Error);
            };
            *place = byte as c_char;
            self.len = self.len.wrapping_add(1);
        }
        Ok(())
    }
}

/// A netlink message that is being written.
pub(crate) struct Message<'a> {
    skb: *mut bindings::sk_buff,
    _buffer: PhantomData<&'a mut ()>,
}

impl Message<'_> {
    /// # Safety
    ///
    /// `skb` is a netlink message under construction, ours for `'a`.
    pub(super) unsafe fn from_raw(skb: *mut bindings::sk_buff) -> Self {
        Self {
            skb,
            _buffer: PhantomData,
        }
    }

    fn put(&mut self, attribute: u32, bytes: &[u8]) -> Result {
        // SAFETY: The message is ours; `bytes` is valid for reads of its length.
        to_result(unsafe {
            bindings::nla_put(
                self.skb,
                attribute as c_int,
                bytes.len() as c_int,
                bytes.as_ptr().cast(),
            )
        })
    }

    /// Adds a one-byte attribute.
    ///
    /// # Errors
    ///
    /// The message is full. The other methods have the same error.
    pub(crate) fn u8(&mut self, attribute: u32, value: u8) -> Result {
        self.put(attribute, &[value])
    }

    /// Adds a two-byte attribute in host order.
    pub(crate) fn u16(&mut self, attribute: u32, value: u16) -> Result {
        self.put(attribute, &value.to_ne_bytes())
    }

    /// Adds a four-byte attribute in host order.
    pub(crate) fn u32(&mut self, attribute: u32, value: u32) -> Result {
        self.put(attribute, &value.to_ne_bytes())
    }

    /// Adds a four-byte attribute in host order, with a sign.
    pub(crate) fn s32(&mut self, attribute: u32, value: i32) -> Result {
        self.put(attribute, &value.to_ne_bytes())
    }

    /// Adds an attribute of these bytes.
    pub(crate) fn binary(&mut self, attribute: u32, bytes: &[u8]) -> Result {
        self.put(attribute, bytes)
    }

    /// Adds a string, with the zero byte that ends it.
    pub(crate) fn string(&mut self, attribute: u32, text: &[u8]) -> Result {
        // SAFETY: The message is ours; what was reserved has room for the string
        // and its end.
        unsafe {
            let len = c_int::try_from(text.len().checked_add(1).ok_or(EMSGSIZE)?)?;
            let nla = bindings::nla_reserve(self.skb, attribute as c_int, len);
            if nla.is_null() {
                return Err(EMSGSIZE);
            }
            let data = bindings::nla_data(nla).cast::<u8>();
            core::ptr::copy_nonoverlapping(text.as_ptr(), data, text.len());
            data.add(text.len()).write(0);
        }
        Ok(())
    }

    /// Adds an eight-byte attribute in host order; attribute `pad` aligns it
    /// (`nla_put_u64_64bit`).
    pub(crate) fn u64(&mut self, attribute: u32, value: u64, pad: u32) -> Result {
        // SAFETY: The message is ours.
        to_result(unsafe {
            bindings::nla_put_u64_64bit(self.skb, attribute as c_int, value, pad as c_int)
        })
    }

    /// Adds a nest and fills it.
    pub(crate) fn nest(
        &mut self,
        attribute: u32,
        fill: impl FnOnce(&mut Self) -> Result,
    ) -> Result {
        // SAFETY: The message is ours.
        let start = unsafe { bindings::nla_nest_start(self.skb, attribute as c_int) };
        if start.is_null() {
            return Err(EMSGSIZE);
        }
        let filled = fill(self);
        // SAFETY: `start` was begun in this message and not ended.
        unsafe {
            match filled {
                Ok(()) => {
                    bindings::nla_nest_end(self.skb, start);
                }
                Err(_) => bindings::nla_nest_cancel(self.skb, start),
            }
        }
        filled
    }
}

/// The number of bytes that an attribute with this payload length takes in a message
/// (`nla_total_size`).
pub(crate) const fn attribute_size(payload: usize) -> usize {
    payload.next_multiple_of(4) + 4
}

/// The number of bytes that an aligned eight-byte attribute takes
/// (`nla_total_size_64bit`).
pub(crate) const fn attribute_size_u64() -> usize {
    attribute_size(8) + attribute_size(0)
}
