// SPDX-License-Identifier: GPL-2.0

//! The machine stops: reboot, poweroff and kexec (reboot notifiers), suspend and
//! hibernation (notifiers of power management).

use super::{
    bindings,
    once::{Once, OnceGuard},
};
use core::{cell::UnsafeCell, marker::PhantomData};
use kernel::{error::to_result, prelude::*};

/// A receiver of events of the whole machine.
pub(crate) trait PowerListener: 'static {
    /// The machine is about to stop, in good order. Devices still work and everything
    /// still runs. Process context, may sleep, but the machine waits for it. Called again
    /// without a [`Self::resumed`] between where one way to stop failed and another
    /// follows.
    fn stopping();

    /// The machine goes on after suspend or hibernation, or did not stop after all.
    /// Process context, may sleep.
    fn resumed();
}

/// The registration of a [`PowerListener`], to be kept in a static.
pub(crate) struct PowerNotifiers<T> {
    reboot: UnsafeCell<bindings::notifier_block>,
    sleep: UnsafeCell<bindings::notifier_block>,
    once: Once,
    _listener: PhantomData<fn() -> T>,
}

// SAFETY: The blocks are touched by the kernel alone, under its own locks.
unsafe impl<T> Sync for PowerNotifiers<T> {}

/// Before all others, which may take away what sending needs.
const FIRST: c_int = c_int::MAX;

const fn block(
    call: unsafe extern "C" fn(*mut bindings::notifier_block, c_ulong, *mut c_void) -> c_int,
) -> UnsafeCell<bindings::notifier_block> {
    UnsafeCell::new(bindings::notifier_block {
        notifier_call: Some(call),
        next: core::ptr::null_mut(),
        priority: FIRST,
    })
}

impl<T: PowerListener> PowerNotifiers<T> {
    /// A registration that is not in place yet.
    pub(crate) const fn new() -> Self {
        Self {
            reboot: block(reboot::<T>),
            sleep: block(sleep::<T>),
            once: Once::new(),
            _listener: PhantomData,
        }
    }

    /// Receives events until the returned guard is dropped. Process context, may sleep.
    ///
    /// # Errors
    ///
    /// EEXIST: it is registered already.
    pub(crate) fn register(&'static self) -> Result<Registered<T>> {
        let registered = Registered {
            _once: self.once.claim()?,
            notifiers: self,
        };
        // SAFETY: The blocks live in a static, and there is no other guard. What is dropped on
        // an error unregisters a block that is not registered, which the kernel finds out
        // by itself.
        unsafe {
            to_result(bindings::register_reboot_notifier(self.reboot.get()))?;
            to_result(bindings::pm_register(self.sleep.get()))?;
            Ok(registered)
        }
    }
}

/// Keeps [`PowerNotifiers`] registered.
pub(crate) struct Registered<T: PowerListener> {
    notifiers: &'static PowerNotifiers<T>,
    _once: OnceGuard,
}

impl<T: PowerListener> Drop for Registered<T> {
    fn drop(&mut self) {
        // SAFETY: The blocks are registered, or the kernel says that they are not. Both
        // functions wait for calls that are under way.
        unsafe {
            bindings::pm_unregister(self.notifiers.sleep.get());
            bindings::unregister_reboot_notifier(self.notifiers.reboot.get());
        }
    }
}

const NOTIFY_DONE: c_int = 0;

/// Every event of this chain (SYS_RESTART, SYS_HALT, SYS_POWER_OFF) is the last one. A
/// kexec is a SYS_RESTART; a panic and an emergency restart call nobody.
///
/// # Safety
///
/// Only the kernel may call it, as a reboot notifier.
unsafe extern "C" fn reboot<T: PowerListener>(
    _block: *mut bindings::notifier_block,
    _event: c_ulong,
    _command: *mut c_void,
) -> c_int {
    T::stopping();
    NOTIFY_DONE
}

/// # Safety
///
/// Only the kernel may call it, as a notifier of power management.
unsafe extern "C" fn sleep<T: PowerListener>(
    _block: *mut bindings::notifier_block,
    event: c_ulong,
    _unused: *mut c_void,
) -> c_int {
    match u32::try_from(event).unwrap_or(0) {
        bindings::PM_HIBERNATION_PREPARE
        | bindings::PM_SUSPEND_PREPARE
        | bindings::PM_RESTORE_PREPARE => T::stopping(),
        bindings::PM_POST_HIBERNATION | bindings::PM_POST_SUSPEND | bindings::PM_POST_RESTORE => {
            T::resumed();
        }
        _ => {}
    }
    NOTIFY_DONE
}
