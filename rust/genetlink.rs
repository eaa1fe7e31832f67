// SPDX-License-Identifier: GPL-2.0

//! Generic netlink: a family with its operations and its events (`struct genl_family`).
//!
//! This does not build on the kernel crate's `net::netlink` (`rust/kernel/net/netlink.rs`), which
//! as of 7.3 has what a driver in the first namespace needs to send events:
//!
//! - its `Family` has no operations, and its `genl_family` cannot be given any: neither
//!   `split_ops` nor policies, `resv_start_op`, `extack`, dumps or permissions;
//! - `GenlMsg::multicast` and `Family::has_listeners` mean `init_net`; interfaces here belong to
//!   namespaces, and so do their events (`genlmsg_multicast_netns`, `genl_has_listeners`);
//! - listeners get no error when events were lost (`genl_set_err`);
//! - a message is always a new buffer without flags: no reply to a request
//!   (`genlmsg_reply`), no `NLM_F_MULTI`, no entry in a dump's buffer;
//! - attributes are u32, strings and flags; there are no nests, u8, u16, u64 or bytes.
//!
//! Both cannot be used for one family: a name has one `genl_family`. If the crate gets
//! operations and namespaces, its `Family` and `Registration` can replace `Family` and
//! `Registered` here, and [`Message`] can wrap its `GenlMsg`.
//!
//! Operations run in process context and concurrently (`parallel_ops`). Neither RTNL nor
//! the lock that serialises other families is held, so a request for a long list waits
//! for nobody and delays nobody. Operations lock the data that they read themselves,
//! mostly with RCU. Unregistering the family waits for running operations. A dump that
//! user space has not read to its end keeps the module loaded.
//!
//! Source: `net/netlink/genetlink.c`, `netlink_dump` in `net/netlink/af_netlink.c`.

use super::{
    bindings,
    compat::ENOBUFS,
    namespace::Net,
    netlink::{Attributes, Extack, Message, Policies},
    once::{Once, OnceGuard},
};
use core::{
    cell::UnsafeCell,
    mem::ManuallyDrop,
    ptr::{self, NonNull},
};
use kernel::{
    error::to_result,
    prelude::*,
    sync::atomic::{Acquire, Atomic, Release},
};

/// Who may ask.
#[derive(Clone, Copy)]
pub(crate) enum Permission {
    /// Anybody in the namespace.
    Anyone,
    /// Who has CAP_NET_ADMIN in the user namespace that owns the network namespace.
    Administrator,
}

/// What the attributes of an operation's request may be.
#[derive(Clone, Copy)]
pub(crate) struct Table {
    policies: *const bindings::nla_policy,
    max: u32,
}

impl Table {
    /// Those of `policies`: strict, as everywhere, and whatever is beyond the last
    /// of them is refused.
    pub(crate) const fn new<const N: usize>(policies: &'static Policies<N>) -> Self {
        Self {
            policies: policies.as_ptr(),
            max: policies.max(),
        }
    }

    /// There are no attributes.
    pub(crate) const NONE: Self = Self {
        policies: ptr::null(),
        max: 0,
    };
}

/// An operation that answers once ("do").
pub(crate) trait Do: 'static {
    /// Its number.
    const COMMAND: u32;
    /// Who may ask.
    const PERMISSION: Permission;
    /// What may be asked.
    const ATTRIBUTES: Table;

    /// Does it. Process context, no lock; may sleep.
    ///
    /// # Errors
    ///
    /// Go to user space, with the words of [`Request::extack`].
    fn call(request: &Request<'_>) -> Result;
}

/// An operation that answers with a list ("dump").
pub(crate) trait Dump: 'static {
    /// Its number.
    const COMMAND: u32;
    /// Who may ask.
    const PERMISSION: Permission;
    /// What may be asked.
    const ATTRIBUTES: Table;

    /// A number that changes with the list, except when a device is registered or
    /// unregistered. If it changes during a dump, user space gets NLM_F_DUMP_INTR and
    /// repeats the dump. Any context.
    fn generation(net: &Net) -> u32;

    /// Writes the list from `position` on with one [`Entries::add`] for each element, and
    /// moves `position` past the last one written. Process context, no lock; may sleep.
    ///
    /// # Errors
    ///
    /// The error of [`Entries::add`] if there is no room for an entry: the kernel calls
    /// this again after user space has read the entries so far. Any other error ends the
    /// dump.
    fn call(request: &Request<'_>, entries: &mut Entries<'_>, position: &mut Position) -> Result;
}

/// The position in a list; all zero at its beginning.
///
/// It is stored in the kernel's memory for the dump (`netlink_callback.ctx`).
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Position {
    /// The element, such as the index of a device.
    pub(crate) outer: u32,
    /// The part of the element.
    pub(crate) inner: u32,
    /// The part of that part, such as an address.
    pub(crate) key: [u8; 16],
}

impl Position {
    /// Before the first part of an element.
    pub(crate) const fn new(outer: u32) -> Self {
        Self {
            outer,
            inner: 0,
            key: [0; 16],
        }
    }

    /// Whether this is the beginning of the list.
    pub(crate) const fn is_begin(&self) -> bool {
        self.outer == 0 && self.inner == 0
    }
}

/// A request.
pub(crate) struct Request<'a> {
    info: *mut bindings::genl_info,
    /// Its attributes.
    pub(crate) attributes: Attributes<'a>,
    /// The namespace of the socket.
    pub(crate) net: &'a Net,
    /// Where to tell what is wrong.
    pub(crate) extack: Extack<'a>,
}

impl Request<'_> {
    /// # Safety
    ///
    /// `info` is valid for as long as the request; its attributes were parsed by the
    /// table whose highest attribute is `max`.
    unsafe fn from_raw(info: *mut bindings::genl_info, max: u32) -> Self {
        // SAFETY: The caller promises it; a socket lives in a live namespace.
        unsafe {
            Self {
                info,
                attributes: Attributes::from_raw((*info).attrs, max),
                net: Net::from_raw(bindings::genl_info_net(info)),
                extack: Extack::from_raw((*info).extack),
            }
        }
    }

    /// Answers with one message that `fill` writes, in at most `size` bytes of
    /// attributes. Only in a [`Do`].
    ///
    /// # Errors
    ///
    /// Out of memory, or `fill`'s.
    pub(crate) fn reply(
        &self,
        size: usize,
        fill: impl FnOnce(&mut Message<'_>) -> Result,
    ) -> Result {
        let buffer = Buffer::new(size, kernel::bindings::GFP_KERNEL)?;
        // SAFETY: The request is alive, and so are the parts it names.
        let header = unsafe {
            Header {
                portid: (*self.info).snd_portid,
                sequence: (*self.info).snd_seq,
                family: (*self.info).family,
                flags: 0,
                command: (*(*self.info).genlhdr).cmd,
            }
        };
        // SAFETY: The buffer is ours.
        unsafe { header.write(buffer.0.as_ptr(), |_| (), fill)? };
        // SAFETY: The message is complete; the function takes it over.
        to_result(unsafe { bindings::genlmsg_reply(buffer.into_raw(), self.info) })
    }
}

/// Where the entries of a list are written.
pub(crate) struct Entries<'a> {
    skb: *mut bindings::sk_buff,
    callback: *mut bindings::netlink_callback,
    net: &'a Net,
    generation: fn(&Net) -> u32,
    header: Header,
}

impl Entries<'_> {
    /// Compares the list with what it was at the dump's beginning.
    fn check_generation(&self) {
        // SAFETY: The callback is that of a dump which is under way.
        unsafe {
            bindings::genl_dump_set_seq(
                self.callback,
                self.net.as_ptr(),
                (self.generation)(self.net),
            );
        }
    }

    /// Adds one entry that `fill` writes. On an error nothing of it is added.
    ///
    /// # Errors
    ///
    /// EMSGSIZE: there is no room. Or `fill`'s.
    pub(crate) fn add(&mut self, fill: impl FnOnce(&mut Message<'_>) -> Result) -> Result {
        self.check_generation();
        let callback = self.callback;
        // SAFETY: The buffer is the dump's, which is under way; so is the callback.
        unsafe {
            self.header.write(
                self.skb,
                |header| bindings::genl_dump_check_consistent(callback, header),
                fill,
            )
        }
    }

    /// Whether the kernel's buffer is empty: an entry that does not fit now never will,
    /// and must be divided.
    pub(crate) fn is_empty(&self) -> bool {
        // SAFETY: The buffer is the dump's.
        unsafe { (*self.skb).len == 0 }
    }
}

/// The header of a message, before the attributes.
struct Header {
    portid: u32,
    sequence: u32,
    family: *const bindings::genl_family,
    flags: u32,
    command: u8,
}

impl Header {
    /// Writes a whole message into a buffer, or nothing. `mark` sees its header.
    ///
    /// # Safety
    ///
    /// `skb` is ours and has room that was not given out; the family is registered.
    unsafe fn write(
        &self,
        skb: *mut bindings::sk_buff,
        mark: impl FnOnce(*mut c_void),
        fill: impl FnOnce(&mut Message<'_>) -> Result,
    ) -> Result {
        // SAFETY: The caller promises it.
        let header = unsafe {
            bindings::genlmsg_put(
                skb,
                self.portid,
                self.sequence,
                self.family,
                self.flags as c_int,
                self.command,
            )
        };
        if header.is_null() {
            return Err(EMSGSIZE);
        }
        mark(header);
        // SAFETY: The message was begun, and is ours until it ends.
        let filled = fill(&mut unsafe { Message::from_raw(skb) });
        // SAFETY: `header` was begun in this buffer and not ended.
        unsafe {
            match filled {
                Ok(()) => bindings::genlmsg_end(skb, header),
                Err(_) => bindings::genlmsg_cancel(skb, header),
            }
        }
        filled
    }
}

/// A buffer for one message.
///
/// # Invariants
///
/// It is ours.
struct Buffer(NonNull<bindings::sk_buff>);

impl Buffer {
    /// Makes one with room for so many bytes of attributes.
    fn new(size: usize, flags: kernel::bindings::gfp_t) -> Result<Self> {
        // SAFETY: The function has no preconditions.
        let skb = unsafe { bindings::genlmsg_new(size, flags) };
        // INVARIANT: It was just allocated.
        Ok(Self(NonNull::new(skb).ok_or(ENOMEM)?))
    }

    /// Returns the pointer; the caller then owns the buffer.
    fn into_raw(self) -> *mut bindings::sk_buff {
        ManuallyDrop::new(self).0.as_ptr()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: The buffer is ours by the type invariant.
        unsafe { bindings::kfree_skb(self.0.as_ptr()) }
    }
}

/// One operation of a family, in the kernel's form.
#[repr(transparent)]
pub(crate) struct Operation(bindings::genl_split_ops);

// SAFETY: Operations are never written.
unsafe impl Sync for Operation {}

const fn flags(permission: Permission, kind: u32) -> u8 {
    let permission = match permission {
        Permission::Anyone => 0,
        Permission::Administrator => bindings::GENL_UNS_ADMIN_PERM,
    };
    (permission | kind) as u8
}

impl Operation {
    /// The operation `O`, which answers once.
    pub(crate) const fn once<O: Do>() -> Self {
        // SAFETY: All zeroes is a valid `genl_split_ops`.
        let mut operation: bindings::genl_split_ops = unsafe { core::mem::zeroed() };
        bindings::genl_set_doit(&mut operation, doit::<O>);
        operation.policy = O::ATTRIBUTES.policies;
        operation.maxattr = O::ATTRIBUTES.max;
        operation.cmd = O::COMMAND as u8;
        operation.flags = flags(O::PERMISSION, bindings::GENL_CMD_CAP_DO);
        Self(operation)
    }

    /// The operation `O`, which answers with a list.
    pub(crate) const fn list<O: Dump>() -> Self {
        // SAFETY: As above.
        let mut operation: bindings::genl_split_ops = unsafe { core::mem::zeroed() };
        bindings::genl_set_dumpit(&mut operation, dumpit::<O>);
        operation.policy = O::ATTRIBUTES.policies;
        operation.maxattr = O::ATTRIBUTES.max;
        operation.cmd = O::COMMAND as u8;
        operation.flags = flags(O::PERMISSION, bindings::GENL_CMD_CAP_DUMP);
        Self(operation)
    }
}

/// A multicast group, in the kernel's form. Anybody in the namespace may listen.
#[repr(transparent)]
pub(crate) struct Group(bindings::genl_multicast_group);

/// `text` in an array, with zero bytes behind it.
const fn padded<const N: usize>(text: &CStr) -> [c_char; N] {
    let bytes = text.to_bytes();
    let mut array = [0; N];
    // One place is left for the zero byte.
    assert!(bytes.len() < N);
    let mut i = 0;
    while i < bytes.len() {
        array[i] = bytes[i] as c_char;
        i += 1;
    }
    array
}

impl Group {
    /// A group of this name.
    pub(crate) const fn new(name: &CStr) -> Self {
        Self(bindings::genl_multicast_group {
            name: padded(name),
            flags: 0,
        })
    }
}

/// A family, to be kept in a static.
pub(crate) struct Family {
    name: &'static CStr,
    version: u32,
    groups: &'static [Group],
    /// Written before `live` is set and read only after.
    raw: UnsafeCell<bindings::genl_family>,
    /// Whether it is registered.
    live: Atomic<bool>,
    once: Once,
}

// SAFETY: `raw` is guarded as its comment says; otherwise only the kernel writes it,
// under its own locks.
unsafe impl Sync for Family {}

impl Family {
    /// A family that is not registered yet.
    pub(crate) const fn new(name: &'static CStr, version: u32, groups: &'static [Group]) -> Self {
        Self {
            name,
            version,
            groups,
            // SAFETY: All zeroes is a valid `genl_family`.
            raw: UnsafeCell::new(unsafe { core::mem::zeroed() }),
            live: Atomic::new(false),
            once: Once::new(),
        }
    }

    /// Registers the family in every namespace until the returned guard is dropped.
    /// Process context, may sleep.
    ///
    /// Operations must be in ascending order of their numbers, with "do" before "dump" of
    /// the same number; the kernel refuses any other order.
    ///
    /// # Errors
    ///
    /// EEXIST if there is a family of this name, or this one is registered already.
    /// ENOMEM.
    pub(crate) fn register(
        &'static self,
        operations: &'static [Operation],
        module: &'static ThisModule,
    ) -> Result<Registered> {
        let once = self.once.claim()?;
        let mut family = bindings::genl_family {
            name: padded(self.name),
            version: self.version,
            split_ops: operations.as_ptr().cast(),
            n_split_ops: u8::try_from(operations.len())?,
            mcgrps: self.groups.as_ptr().cast(),
            n_mcgrps: u8::try_from(self.groups.len())?,
            module: module.as_ptr().cast(),
            ..Default::default()
        };
        family.set_netnsok(1);
        family.set_parallel_ops(1);
        // SAFETY: There is no other guard, and nobody reads `raw` before it is live. It lies in a static, as does what it points to; the operations
        // and groups are transparent.
        unsafe {
            ptr::write(self.raw.get(), family);
            to_result(bindings::genl_register_family(self.raw.get()))?;
        }
        // Pairs with `live` in `event`.
        self.live.store(true, Release);
        Ok(Registered {
            family: self,
            _once: once,
        })
    }

    /// Sends an event to the listeners of multicast group number `group` in a namespace.
    /// `fill` writes at most `size` bytes of attributes; it is not called if nobody
    /// listens. Any context except hardirq; does not sleep, so a lock may be held.
    ///
    /// A listener gets ENOBUFS if its buffer is full or there is no memory for the event.
    pub(crate) fn event(
        &'static self,
        net: &Net,
        group: u32,
        command: u32,
        size: usize,
        fill: impl FnOnce(&mut Message<'_>) -> Result,
    ) {
        // After unregistration, another family may have the same ids.
        if !self.live.load(Acquire) || group as usize >= self.groups.len() {
            return;
        }
        let raw = self.raw.get();
        // SAFETY: The family was registered, the namespace is live, the group is one
        // of the family's.
        if unsafe { bindings::genl_has_listeners(raw, net.as_ptr(), group) } == 0 {
            return;
        }
        let header = Header {
            portid: 0,
            sequence: 0,
            family: raw,
            flags: 0,
            command: command as u8,
        };
        let written = Buffer::new(size, kernel::bindings::GFP_ATOMIC).and_then(|buffer| {
            // SAFETY: The buffer is ours.
            unsafe { header.write(buffer.0.as_ptr(), |_| (), fill)? };
            Ok(buffer)
        });
        match written {
            // SAFETY: As above; the function takes the buffer over. That the last
            // listener has just gone is no error.
            Ok(buffer) => unsafe {
                let _ = bindings::genlmsg_multicast_netns(
                    raw,
                    net.as_ptr(),
                    buffer.into_raw(),
                    0,
                    group,
                    kernel::bindings::GFP_ATOMIC,
                );
            },
            // SAFETY: As above.
            Err(_) => unsafe {
                let _ = bindings::genl_set_err(raw, net.as_ptr(), 0, group, ENOBUFS.to_errno());
            },
        }
    }
}

/// Keeps a [`Family`] registered.
pub(crate) struct Registered {
    family: &'static Family,
    _once: OnceGuard,
}

impl Drop for Registered {
    /// Waits for running operations. No event may be sent any more.
    fn drop(&mut self) {
        self.family.live.store(false, Release);
        // SAFETY: `register` has registered it. It fails only if it is not there.
        let _ = unsafe { bindings::genl_unregister_family(self.family.raw.get()) };
    }
}

/// # Safety
///
/// Only the kernel may call it, as `genl_split_ops.doit`.
unsafe extern "C" fn doit<O: Do>(
    _skb: *mut bindings::sk_buff,
    info: *mut bindings::genl_info,
) -> c_int {
    // SAFETY: The kernel passes a request that it parsed by this operation's table.
    let request = unsafe { Request::from_raw(info, O::ATTRIBUTES.max) };
    match O::call(&request) {
        Ok(()) => 0,
        Err(error) => error.to_errno(),
    }
}

/// # Safety
///
/// Only the kernel may call it, as `genl_split_ops.dumpit`.
unsafe extern "C" fn dumpit<O: Dump>(
    skb: *mut bindings::sk_buff,
    callback: *mut bindings::netlink_callback,
) -> c_int {
    const { assert!(size_of::<Position>() <= bindings::NETLINK_CTX_SIZE as usize) };
    // SAFETY: The kernel passes a request that it parsed by this operation's table, a
    // buffer, and memory that was zero at the beginning of the dump and is ours,
    // aligned for a `long`.
    let (request, mut entries, position) = unsafe {
        let info = bindings::genl_info_dump(callback).cast_mut();
        let request = Request::from_raw(info, O::ATTRIBUTES.max);
        let entries = Entries {
            skb,
            callback,
            net: request.net,
            generation: O::generation,
            header: Header {
                portid: (*info).snd_portid,
                sequence: (*info).snd_seq,
                family: (*info).family,
                flags: bindings::NLM_F_MULTI,
                command: O::COMMAND as u8,
            },
        };
        let position = bindings::netlink_callback_ctx::<Position>(callback);
        (request, entries, &mut *position)
    };
    entries.check_generation();
    let result = O::call(&request, &mut entries, position);
    // Checks again for changes after the last entry; the message that ends the dump
    // reports them.
    entries.check_generation();
    match result {
        Ok(()) => 0,
        // With EMSGSIZE the kernel comes back if there is anything in the buffer.
        Err(error) => error.to_errno(),
    }
}
