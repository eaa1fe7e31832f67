// SPDX-License-Identifier: GPL-2.0

//! Limits on messages that others can cause.

use super::bindings;
use core::fmt::Display;
use kernel::{prelude::*, types::Opaque};

/// Whether one more message may be logged now (`net_ratelimit`,
/// `net.core.message_burst` and `net.core.message_cost`). Any context.
pub(crate) fn ratelimit() -> bool {
    // SAFETY: The function has no preconditions.
    unsafe { bindings::net_ratelimit() != 0 }
}

/// A limit of its own (`struct ratelimit_state`): ten messages in five seconds. It says
/// nothing of those that it holds back.
#[pin_data]
pub(crate) struct RateLimit {
    #[pin]
    state: Opaque<bindings::ratelimit_state>,
}

// SAFETY: The state has a lock of its own.
unsafe impl Send for RateLimit {}
// SAFETY: As above.
unsafe impl Sync for RateLimit {}

impl RateLimit {
    /// A limit that nothing has come up against.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            // SAFETY: The slot is valid for writes, and is initialised by this.
            state <- Opaque::ffi_init(|slot| unsafe { bindings::ratelimit_quiet_init(slot) }),
        })
    }

    /// Whether one more message may be logged now. Any context.
    pub(crate) fn passes(&self) -> bool {
        // SAFETY: The state is initialised; the name is not used with this flag.
        unsafe { bindings::___ratelimit(self.state.get(), c"carp".as_char_ptr()) != 0 }
    }
}

/// Anything that core can print, for the kernel's printing macros, which have a
/// trait of their own.
pub(crate) struct KernelDisplay<T: Display>(pub(crate) T);

impl<T: Display> kernel::fmt::Display for KernelDisplay<T> {
    fn fmt(&self, f: &mut kernel::fmt::Formatter<'_>) -> kernel::fmt::Result {
        self.0.fmt(f)
    }
}

/// Prints at the syslog level (0 emergency - 7 debug) that is known only at run
/// time; the kernel crate has a macro for each level.
macro_rules! print_at {
    ($level:expr, $($arg:tt)*) => {
        match $level {
            0 => ::kernel::pr_emerg!($($arg)*),
            1 => ::kernel::pr_alert!($($arg)*),
            2 => ::kernel::pr_crit!($($arg)*),
            3 => ::kernel::pr_err!($($arg)*),
            4 => ::kernel::pr_warn!($($arg)*),
            5 => ::kernel::pr_notice!($($arg)*),
            _ => ::kernel::pr_info!($($arg)*),
        }
    };
}
pub(crate) use print_at;
