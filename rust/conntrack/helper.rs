// SPDX-License-Identifier: GPL-2.0

//! Helpers, which look into connections for what these expect.

use super::{
    bindings,
    entry::{Entry, Status},
    new_entry::NewEntry,
    rwonce::read_once,
};
use core::{marker::PhantomData, ptr};
use kernel::{prelude::*, sync::rcu};

/// The name of a helper or of a function: a text that ends with a zero byte.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Name<const N: usize>([u8; N]);

impl<const N: usize> Name<N> {
    /// Nothing, if there is none, or none that ends.
    pub(crate) fn new(bytes: &[u8; N]) -> Option<Self> {
        let end = bytes.iter().position(|byte| *byte == 0)?;
        (end > 0).then_some(Self(*bytes))
    }

    pub(super) fn as_ptr(&self) -> *const c_char {
        self.0.as_ptr().cast()
    }
}

/// A name of the kernel's, filled up with zeroes; zeroes only, if it is too long.
///
/// # Safety
///
/// The pointer is null, or to a text that ends with a zero byte.
pub(super) unsafe fn padded<const N: usize>(name: *const c_char) -> [u8; N] {
    let mut bytes = [0; N];
    if !name.is_null() {
        // SAFETY: The caller promises a text.
        let text = unsafe { CStr::from_char_ptr(name) }.to_bytes();
        if let Some(place) = bytes.get_mut(..text.len()) {
            place.copy_from_slice(text);
        }
    }
    bytes
}

/// A helper that is registered.
#[derive(Clone, Copy)]
pub(crate) struct Helper<'a>(*mut bindings::nf_conntrack_helper, PhantomData<&'a ()>);

/// Helpers of programs in user space, which get packets through a queue.
const USERSPACE: u32 = bindings::nf_ct_helper_flags_NF_CT_HELPER_F_USERSPACE;

impl<'a> Helper<'a> {
    /// The helper of this name for connections of this kind.
    pub(crate) fn find(
        name: &Name<16>,
        family: u8,
        protocol: u8,
        _rcu: &'a rcu::Guard,
    ) -> Option<Self> {
        // SAFETY: The name ends with a zero byte, RCU is held.
        let helper = unsafe {
            bindings::__nf_conntrack_helper_find(name.as_ptr(), u16::from(family), protocol)
        };
        (!helper.is_null()).then_some(Self(helper, PhantomData))
    }

    pub(super) fn as_ptr(self) -> *mut bindings::nf_conntrack_helper {
        self.0
    }

    /// The helper of an entry.
    pub(crate) fn of(entry: &Entry, _rcu: &'a rcu::Guard) -> Option<Self> {
        // SAFETY: The entry is live, its extensions are complete, RCU is held.
        let helper = unsafe {
            let help = bindings::nfct_help(entry.as_ptr());
            if help.is_null() {
                return None;
            }
            bindings::nfct_help_helper(help)
        };
        (!helper.is_null()).then_some(Self(helper, PhantomData))
    }

    /// Its name, filled up with zeroes.
    pub(crate) fn name(self) -> [u8; 16] {
        // SAFETY: The helper is there for `'a`, its name ends with a zero byte.
        unsafe { padded((*self.0).name.as_ptr().cast()) }
    }

    /// Whether it is a program in user space.
    pub(crate) fn is_in_user_space(self) -> bool {
        // SAFETY: The helper is there for `'a`.
        unsafe { read_once(&raw const (*self.0).flags) & USERSPACE != 0 }
    }

    /// How many classes of expectations it has, less one.
    pub(super) fn last_class(self) -> u32 {
        // SAFETY: The helper is there for `'a`.
        unsafe { (*self.0).expect_class_max }
    }
}

impl Entry {
    /// Whether more than confirmation happens to its packets in connection tracking's last
    /// hook: a helper, or other sequence numbers.
    pub(crate) fn is_helped(&self) -> bool {
        let rcu = rcu::Guard::new();
        self.status().has(Status::SEQ_ADJUST) || Helper::of(self, &rcu).is_some()
    }
}

impl NewEntry {
    /// Gives it a helper, before NAT is set up. No other will be given to it.
    ///
    /// # Errors
    ///
    /// ENOMEM. ENOENT: the helper is just leaving.
    pub(crate) fn set_helper(&mut self, helper: Helper<'_>) -> Result {
        let ct = self.as_ptr();
        // SAFETY: The entry is ours and not confirmed; the helper is counted before it
        // is set, and that count goes with the entry.
        unsafe {
            let help = bindings::nf_ct_helper_ext_add(ct, kernel::bindings::GFP_ATOMIC);
            if help.is_null() {
                return Err(ENOMEM);
            }
            if !bindings::nf_ct_helper_hold(helper.as_ptr()) {
                return Err(ENOENT);
            }
            bindings::nfct_help_set(help, helper.as_ptr());
            // Some helpers keep there what they need for NAT.
            bindings::nf_ct_nat_ext_add(ct);
            // FTP follows sequence numbers, and picks them up where it is told so. That
            // of the kernel reads no attribute; others might.
            if !helper.is_in_user_space()
                && helper.name().starts_with(b"ftp\0")
                && bindings::nf_ct_helper_helps(helper.as_ptr())
            {
                if let Some(from_nlattr) = (*helper.as_ptr()).from_nlattr {
                    from_nlattr(ptr::null_mut(), ct);
                }
            }
        }
        Ok(())
    }
}
