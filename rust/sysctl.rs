// SPDX-License-Identifier: GPL-2.0

//! Sysctls of a namespace.

use super::{bindings, namespace::Net};
use core::ptr::NonNull;
use kernel::{
    ffi::c_void,
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
};

/// An integer that the administrator sets.
pub(crate) struct Integer(Atomic<i32>);

impl Integer {
    /// An integer with its default.
    pub(crate) const fn new(default: i32) -> Self {
        Self(Atomic::new(default))
    }

    /// The value now. Any context.
    pub(crate) fn get(&self) -> i32 {
        self.0.load(Relaxed)
    }
}

/// An integer that is worked out when it is read, and acted on when it is written.
pub(crate) trait Computed: 'static {
    /// The value now. Process context, may sleep.
    fn read(net: &Net) -> i32;

    /// The administrator has written this. Process context, may sleep.
    ///
    /// # Errors
    ///
    /// What write(2) is to return; nothing changed.
    fn write(net: &Net, value: i32) -> Result;
}

/// Where the value of an entry is.
pub(crate) enum Value<'a> {
    /// In an integer between the smallest and the greatest value.
    Integer(&'a Integer, &'static [i32; 2]),
    /// It is computed.
    Computed(Handler),
}

/// `proc_handler` of a [`Computed`].
#[derive(Clone, Copy)]
pub(crate) struct Handler(ProcHandler);

type ProcHandler = unsafe extern "C" fn(
    *const bindings::ctl_table,
    c_int,
    *mut c_void,
    *mut usize,
    *mut bindings::loff_t,
) -> c_int;

impl Handler {
    /// That of `T`.
    pub(crate) const fn of<T: Computed>() -> Self {
        Self(computed::<T>)
    }
}

/// One entry of a folder of sysctls.
pub(crate) struct Entry<'a> {
    /// The file's name.
    pub(crate) name: &'static CStr,
    /// Where the value is.
    pub(crate) value: Value<'a>,
}

/// # Safety
///
/// Only the kernel may call it, as `proc_handler` of an entry whose `extra1` is its
/// namespace.
unsafe extern "C" fn computed<T: Computed>(
    table: *const bindings::ctl_table,
    write: c_int,
    buffer: *mut c_void,
    length: *mut usize,
    position: *mut bindings::loff_t,
) -> c_int {
    // SAFETY: The folder is removed before its namespace goes, and `extra1` is that.
    let net = unsafe { Net::from_raw((*table).extra1.cast()) };
    let mut value = if write == 0 { T::read(net) } else { 0 };
    let here = bindings::ctl_table {
        data: (&raw mut value).cast(),
        maxlen: size_of::<i32>() as c_int,
        ..Default::default()
    };
    // SAFETY: The table describes `value`; the rest is what the kernel has passed.
    let result = unsafe { bindings::proc_dointvec(&here, write, buffer, length, position) };
    if write == 0 || result != 0 {
        return result;
    }
    T::write(net, value).map_or_else(Error::to_errno, |()| 0)
}

/// A folder of sysctls in one namespace; dropping it removes them.
///
/// # Invariants
///
/// `header` is registered with `table`, which stays where it is.
pub(crate) struct Folder {
    header: NonNull<bindings::ctl_table_header>,
    _table: KVec<bindings::ctl_table>,
}

// SAFETY: The kernel guards the table by itself.
unsafe impl Send for Folder {}
// SAFETY: There is nothing to do with a shared reference.
unsafe impl Sync for Folder {}

impl Folder {
    /// Makes `entries` appear under `path`, such as `net/inet/carp`. Process
    /// context, may sleep.
    ///
    /// # Safety
    ///
    /// The values must stay where they are until the folder is dropped.
    ///
    /// # Errors
    ///
    /// Out of memory.
    unsafe fn register(net: &Net, path: &'static CStr, entries: &[Entry<'_>]) -> Result<Self> {
        let mut table = KVec::with_capacity(entries.len(), GFP_KERNEL_ACCOUNT)?;
        for entry in entries {
            let common = bindings::ctl_table {
                procname: entry.name.as_char_ptr(),
                maxlen: size_of::<i32>() as c_int,
                mode: 0o644,
                ..Default::default()
            };
            let row = match &entry.value {
                Value::Integer(value, range) => bindings::ctl_table {
                    data: value.0.as_ptr().cast(),
                    proc_handler: Some(bindings::proc_dointvec_minmax),
                    extra1: (&raw const range[0]).cast_mut().cast(),
                    extra2: (&raw const range[1]).cast_mut().cast(),
                    ..common
                },
                Value::Computed(handler) => bindings::ctl_table {
                    proc_handler: Some(handler.0),
                    extra1: net.as_ptr().cast(),
                    ..common
                },
            };
            table.push(row, GFP_KERNEL_ACCOUNT)?;
        }
        // SAFETY: The table lives on the heap until after the folder is
        // unregistered; the caller promises the same of the values.
        let header = unsafe {
            bindings::register_net_sysctl_sz(
                net.as_ptr(),
                path.as_char_ptr(),
                // not written to, though kernels before 7.3 do not promise it
                table.as_ptr().cast_mut(),
                table.len(),
            )
        };
        Ok(Self {
            header: NonNull::new(header).ok_or(ENOMEM)?,
            _table: table,
        })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // SAFETY: Registered by the type invariant; the function waits for
        // readers.
        unsafe { bindings::unregister_net_sysctl_table(self.header.as_ptr()) }
    }
}

/// Values together with the folder that shows them.
///
/// The values lie on the heap and go after the folder, so the kernel always
/// finds them in place.
pub(crate) struct Sysctls<T> {
    // Dropped first: fields are dropped in order.
    _folder: Folder,
    values: KBox<T>,
}

impl<T: Send + Sync> Sysctls<T> {
    /// Makes `values` appear under `path` as the entries that `entries` lists.
    ///
    /// # Errors
    ///
    /// Out of memory.
    pub(crate) fn new<const N: usize>(
        net: &Net,
        path: &'static CStr,
        values: T,
        entries: impl for<'a> FnOnce(&'a T) -> [Entry<'a>; N],
    ) -> Result<Self> {
        let values = KBox::new(values, GFP_KERNEL_ACCOUNT)?;
        // SAFETY: The values lie in a box that is dropped after the folder and is
        // never moved out of.
        let folder = unsafe { Folder::register(net, path, &entries(&values))? };
        Ok(Self {
            _folder: folder,
            values,
        })
    }

    /// The values.
    pub(crate) fn values(&self) -> &T {
        &self.values
    }
}
