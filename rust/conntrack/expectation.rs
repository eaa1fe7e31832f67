// SPDX-License-Identifier: GPL-2.0

//! Connections that an entry expects (`struct nf_conntrack_expect`).

use super::{
    adapter::{
        context::{jiffies, seconds_to_jiffies, HZ},
        net::Net,
    },
    bindings,
    entry::Entry,
    helper::{padded, Helper, Name},
    rwonce::write_once,
    tuple,
};
use core::marker::PhantomData;
use kernel::{error::to_result, prelude::*, sync::rcu, types::NotThreadSafe};

type Expectation = bindings::nf_conntrack_expect;

/// Flags that make sense on another host.
const FLAGS: u32 = bindings::NF_CT_EXPECT_PERMANENT | bindings::NF_CT_EXPECT_INACTIVE;

/// The lock over all expectations, held.
struct Locked(PhantomData<NotThreadSafe>);

impl Locked {
    fn new() -> Self {
        // SAFETY: The lock is the kernel's own.
        unsafe { bindings::spin_lock_bh(&raw mut bindings::nf_conntrack_expect_lock) };
        Self(PhantomData)
    }

    /// The expectation of an entry that is the first to be chosen.
    fn find(
        &self,
        entry: &Entry,
        mut choose: impl FnMut(&Expectation) -> bool,
    ) -> Option<*mut Expectation> {
        // SAFETY: The entry is live, its extensions are complete, and the lock keeps
        // the list as it is.
        unsafe {
            let help = bindings::nfct_help(entry.as_ptr());
            if help.is_null() {
                return None;
            }
            let mut next = bindings::nf_ct_exp_first(help);
            while !next.is_null() {
                if !bindings::nf_ct_exp_is_expired(next) && choose(&*next) {
                    return Some(next);
                }
                next = bindings::nf_ct_exp_next(next);
            }
        }
        None
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // SAFETY: We hold the lock.
        unsafe { bindings::spin_unlock_bh(&raw mut bindings::nf_conntrack_expect_lock) };
    }
}

/// What tells expectations of one entry from each other.
#[derive(PartialEq)]
struct Key {
    source: [u8; 16],
    destination: [u8; 16],
    ids: [u16; 2],
    protocol: u8,
    mask_source: [u8; 16],
    mask_id: u16,
}

impl Key {
    fn of(exp: &Expectation) -> Self {
        let plain = tuple::to_plain(&exp.tuple);
        // SAFETY: All members of the union are plain numbers of two bytes.
        let mask_id = unsafe { exp.mask.src.u.all };
        Self {
            source: plain.source,
            destination: plain.destination,
            ids: plain.ids,
            protocol: exp.tuple.dst.protonum,
            mask_source: tuple::address_bytes(&exp.mask.src.u3),
            mask_id: u16::from_be(mask_id),
        }
    }

    /// As the kernel would have it.
    fn of_plain(plain: &bindings::pfsync_expected) -> Self {
        let clean = |bytes| tuple::address_bytes(&tuple::address(plain.family, bytes));
        Self {
            source: clean(&plain.source),
            destination: clean(&plain.destination),
            ids: plain.ids,
            protocol: plain.protocol,
            mask_source: clean(&plain.mask_source),
            mask_id: plain.mask_id,
        }
    }

    /// A number for it: the same on every host, and no address of memory.
    fn number(&self) -> u32 {
        let ids = [self.ids[0], self.ids[1], self.mask_id].map(u16::to_be_bytes);
        let parts: [&[u8]; 5] = [
            &self.source,
            &self.destination,
            &self.mask_source,
            ids.as_flattened(),
            &[self.protocol],
        ];
        // FNV-1a
        (parts.iter().copied().flatten()).fold(0x811c_9dc5, |hash: u32, byte| {
            (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
        })
    }
}

/// The plain form of an expectation. RCU and the lock are held.
fn to_plain(exp: &Expectation) -> bindings::pfsync_expected {
    let key = Key::of(exp);
    // SAFETY: Helpers and functions are there under RCU, their names end with a zero
    // byte. All members of the union are plain numbers of two bytes.
    unsafe {
        let name = |helper: *mut bindings::nf_conntrack_helper| {
            if helper.is_null() {
                return [0; 16];
            }
            padded((*helper).name.as_ptr().cast())
        };
        let function = match exp.expectfn {
            Some(function) => {
                let symbol = function as *const c_void;
                bindings::nf_ct_helper_expectfn_find_by_symbol(symbol)
                    .as_ref()
                    .map_or([0; 32], |function| padded(function.name))
            }
            None => [0; 32],
        };
        bindings::pfsync_expected {
            number: key.number(),
            family: exp.tuple.src.l3num as u8,
            protocol: key.protocol,
            source: key.source,
            destination: key.destination,
            mask_source: key.mask_source,
            ids: key.ids,
            mask_id: key.mask_id,
            nat_address: tuple::address_bytes(&exp.saved_addr),
            nat_id: u16::from_be(exp.saved_proto.all),
            nat_direction: exp.dir as u8,
            timeout: exp.timeout.wrapping_sub(jiffies()) / HZ,
            flags: exp.flags & FLAGS,
            class: exp.class,
            helper: name(bindings::nf_ct_exp_helper(exp)),
            assign_helper: name(bindings::nf_ct_exp_assigned(exp)),
            function,
        }
    }
}

/// An expectation that is being made; dropping it gives our count back.
struct Counted(*mut Expectation);

impl Drop for Counted {
    fn drop(&mut self) {
        // SAFETY: The count is ours.
        unsafe { bindings::nf_ct_expect_put(self.0) };
    }
}

impl Entry {
    /// The expected connection number `place`.
    pub(crate) fn expected(&self, place: u32) -> Option<bindings::pfsync_expected> {
        let _rcu = rcu::Guard::new();
        let lock = Locked::new();
        let mut left = place;
        let exp = lock.find(self, |_| {
            let found = left == 0;
            left = left.wrapping_sub(1);
            found
        })?;
        // SAFETY: The lock keeps it in the list.
        Some(to_plain(unsafe { &*exp }))
    }

    /// Has the entry expect a connection; if it does already, until when.
    ///
    /// # Errors
    ///
    /// ENOENT: it has no helper. EINVAL: that expects nothing of this kind, or
    /// there is no function of this name. Others, if the table has no room for it.
    pub(crate) fn expect_related(&self, plain: &bindings::pfsync_expected) -> Result {
        let rcu = rcu::Guard::new();
        let timeout = || jiffies().wrapping_add(seconds_to_jiffies(plain.timeout));
        let key = Key::of_plain(plain);
        let known = |exp: &Expectation| exp.class == plain.class && Key::of(exp) == key;
        let update = |known: &dyn Fn(&Expectation) -> bool| {
            let lock = Locked::new();
            let exp = lock.find(self, known)?;
            // SAFETY: The lock keeps it in the list.
            unsafe { write_once(&raw mut (*exp).timeout, timeout()) };
            Some(())
        };
        if update(&known).is_some() {
            return Ok(());
        }
        let exp = self.new_expectation(plain, &rcu)?;
        // SAFETY: It is whole; the table takes a count of its own.
        to_result(unsafe { bindings::nf_ct_expect_related_report(exp.0, 0, 0, 0) })?;
        // The helper's own timeout was written there.
        update(&known);
        Ok(())
    }

    fn new_expectation(
        &self,
        plain: &bindings::pfsync_expected,
        rcu: &rcu::Guard,
    ) -> Result<Counted> {
        let helper = Helper::of(self, rcu).ok_or(ENOENT)?;
        if plain.class > helper.last_class()
            || plain.nat_direction > 1
            || plain.family != self.family()
        {
            return Err(EINVAL);
        }
        let assigned = Name::new(&plain.assign_helper)
            .and_then(|name| Helper::find(&name, plain.family, plain.protocol, rcu));
        let function = match Name::new(&plain.function) {
            // SAFETY: The name ends with a zero byte, RCU is held.
            Some(name) => unsafe {
                bindings::nf_ct_helper_expectfn_find_by_name(name.as_ptr())
                    .as_ref()
                    .ok_or(EINVAL)?
                    .expectfn
            },
            None => None,
        };
        let tuple = tuple::to_kernel(
            &bindings::pfsync_tuple {
                source: plain.source,
                destination: plain.destination,
                ids: plain.ids,
            },
            plain.family,
            plain.protocol,
            0,
        )?;
        // SAFETY: The entry is live.
        let exp = Counted(unsafe { bindings::nf_ct_expect_alloc(self.as_ptr()) });
        if exp.0.is_null() {
            core::mem::forget(exp);
            return Err(ENOMEM);
        }
        // SAFETY: The expectation is ours, filled with zeroes but for its master and its
        // count.
        unsafe {
            let new = exp.0;
            (*new).flags = plain.flags & FLAGS;
            (*new).class = plain.class;
            (*new).expectfn = function;
            (*new).tuple = tuple;
            (*new).mask.src.u3 = tuple::address(plain.family, &plain.mask_source);
            (*new).mask.src.u.all = plain.mask_id.to_be();
            (*new).saved_addr = tuple::address(plain.family, &plain.nat_address);
            (*new).saved_proto.all = plain.nat_id.to_be();
            (*new).dir = u32::from(plain.nat_direction);
            bindings::nf_ct_exp_inherit(
                new,
                self.as_ptr(),
                helper.as_ptr(),
                assigned.map_or(core::ptr::null_mut(), Helper::as_ptr),
            );
        }
        Ok(exp)
    }

    /// Has the entry expect none like that any more.
    pub(crate) fn unexpect_related(&self, plain: &bindings::pfsync_expected) {
        let key = Key::of_plain(plain);
        let lock = Locked::new();
        if let Some(exp) = lock.find(self, |exp| Key::of(exp) == key) {
            // SAFETY: It is in the list, the lock is held.
            unsafe { bindings::nf_ct_unlink_expect_report(exp, 0, 0) };
        }
    }

    /// Takes away the expectation that led to this entry, which is just made, as its
    /// first packet would have.
    pub(crate) fn fulfil(&self, net: &Net) {
        let master = self.master();
        let _rcu = rcu::Guard::new();
        let _lock = Locked::new();
        // SAFETY: The entry is live and in this namespace; what is found stays under
        // the lock.
        unsafe {
            let ct = self.as_ptr();
            let exp = bindings::__nf_ct_expect_find(
                net.as_ptr(),
                &raw const (*ct).zone,
                &raw const (*ct).tuplehash[0].tuple,
            );
            if !exp.is_null() && (*exp).master.cast() == master && (*exp).flags & FLAGS == 0 {
                bindings::nf_ct_unlink_expect_report(exp, 0, 0);
            }
        }
    }
}
