// SPDX-License-Identifier: GPL-2.0

//! A high resolution timer that expires in softirq context.
//!
//! The kernel crate's handles cancel the timer on drop, but a timer may have several
//! handles, and none of them prevents a concurrent re-arm. Here one guard owns the timer:
//! anybody may arm it until the guard closes it, and nobody afterwards.

use super::{
    bindings,
    lock::{new_spinlock_bh, SpinLockBh},
};
use core::marker::PhantomPinned;
use kernel::{prelude::*, sync::Arc, types::Opaque};

/// An object that contains a timer.
pub(crate) trait HasTimer: Sized + Send + Sync + 'static {
    /// The timer.
    fn timer(&self) -> &Timer<Self>;

    /// Called when the timer has expired. Softirq context; no lock is held. May arm the
    /// timer again.
    fn expired(&self);
}

/// A timer of `T`, made with [`Timer::new`] and opened with [`Guard::new`].
#[pin_data]
pub(crate) struct Timer<T: HasTimer> {
    #[pin]
    timer: Opaque<Raw<T>>,
    /// Whether the timer may be armed.
    #[pin]
    open: SpinLockBh<bool>,
    #[pin]
    _pinned: PhantomPinned,
}

/// A kernel timer with a pointer to the object that contains it.
#[repr(C)]
struct Raw<T> {
    // First, so that a pointer to it is a pointer to `Raw`.
    timer: bindings::hrtimer,
    target: *const T,
}

// SAFETY: The timer is a kernel object that any thread may use; whether it may be
// armed is behind a lock.
unsafe impl<T: HasTimer> Send for Timer<T> {}
// SAFETY: As above.
unsafe impl<T: HasTimer> Sync for Timer<T> {}

impl<T: HasTimer> Timer<T> {
    /// Makes a timer that cannot be armed yet.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            timer <- Opaque::ffi_init(|raw: *mut Raw<T>| {
                // SAFETY: `raw` is valid for writes and pinned.
                unsafe {
                    (&raw mut (*raw).target).write(core::ptr::null());
                    bindings::hrtimer_setup(
                        &raw mut (*raw).timer,
                        Some(expired::<T>),
                        bindings::CLOCK_MONOTONIC as c_int,
                        bindings::hrtimer_mode_HRTIMER_MODE_ABS_SOFT,
                    );
                }
            }),
            open <- new_spinlock_bh!(false, "carp_timer"),
            _pinned: PhantomPinned,
        })
    }

    /// Arms the timer, or moves it if it is armed: it expires at `at`, in ns of the
    /// monotonic clock. Any context except hardirq. Does nothing before the timer is
    /// opened and after it is closed.
    pub(crate) fn arm(&self, at: u64) {
        let open = self.open.lock();
        if *open {
            let at = i64::try_from(at).unwrap_or(i64::MAX);
            // SAFETY: The timer was set up; it is open, so its target lives until
            // after it was closed and cancelled.
            unsafe {
                bindings::hrtimer_start_range_ns(
                    self.timer.get().cast(),
                    at,
                    0,
                    bindings::hrtimer_mode_HRTIMER_MODE_ABS_SOFT,
                );
            }
        }
    }
}

/// Keeps a timer open, and the object that contains it alive.
///
/// It must be dropped in process context. If it is stored in the object that it keeps
/// alive, it must be taken out again, or neither is ever freed.
pub(crate) struct Guard<T: HasTimer> {
    target: Arc<T>,
    /// The timer of `target`, as it was when it was opened.
    timer: *const Timer<T>,
}

// SAFETY: The pointer points into the object of the `Arc`, which any thread may use.
unsafe impl<T: HasTimer> Send for Guard<T> {}
// SAFETY: As above.
unsafe impl<T: HasTimer> Sync for Guard<T> {}

/// `timer` as a reference, if it lies inside `target`.
fn inside<T: HasTimer>(target: &Arc<T>, timer: *const Timer<T>) -> Option<&Timer<T>> {
    let offset = (timer as usize).checked_sub(Arc::as_ptr(target) as usize)?;
    // SAFETY: `timer` was a reference once, and it points into what the `Arc` keeps
    // alive and in place.
    (offset < size_of::<T>()).then(|| unsafe { &*timer })
}

impl<T: HasTimer> Guard<T> {
    /// Opens the timer of `target`. A timer is opened once.
    pub(crate) fn new(target: Arc<T>) -> Self {
        let timer: *const Timer<T> = target.timer();
        // A timer outside the target could outlive it; it stays closed.
        if let Some(timer) = inside(&target, timer) {
            let mut open = timer.open.lock();
            // SAFETY: The timer is not open, so its callback does not run and
            // nobody reads the pointer.
            unsafe { (*timer.timer.get()).target = Arc::as_ptr(&target) };
            *open = true;
        }
        Self { target, timer }
    }
}

impl<T: HasTimer> Drop for Guard<T> {
    /// Closes the timer and waits for a callback that is under way. Process
    /// context, without a lock that the callback takes.
    fn drop(&mut self) {
        let Some(timer) = inside(&self.target, self.timer) else {
            return;
        };
        *timer.open.lock() = false;
        // SAFETY: The timer was set up. Nobody can arm it any more.
        unsafe { bindings::hrtimer_cancel(timer.timer.get().cast()) };
    }
}

/// # Safety
///
/// Only the kernel may call it, as the callback of a timer in a [`Raw`].
unsafe extern "C" fn expired<T: HasTimer>(
    timer: *mut bindings::hrtimer,
) -> bindings::hrtimer_restart {
    // SAFETY: The timer is the first field of `Raw`, and its target alive: the
    // guard that keeps it waits for this function before it lets go.
    let target = unsafe { &*(*timer.cast::<Raw<T>>()).target };
    target.expired();
    bindings::hrtimer_restart_HRTIMER_NORESTART
}

/// The monotonic clock in ns. Any context.
pub(crate) fn now() -> u64 {
    // SAFETY: The function has no preconditions.
    u64::try_from(unsafe { bindings::ktime_get() }).unwrap_or(0)
}

/// The wall clock in ns since 1970, UTC (`ktime_get_real_ns`). It may be set, forward and
/// back. Any context.
pub(crate) fn wall_clock() -> u64 {
    // SAFETY: The function has no preconditions.
    let time = unsafe { bindings::ktime_get_with_offset(bindings::tk_offsets_TK_OFFS_REAL) };
    u64::try_from(time).unwrap_or(0)
}
