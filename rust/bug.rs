// SPDX-License-Identifier: GPL-2.0

//! Warnings of what cannot be (`<asm-generic/bug.h>`).

/// `WARN_ON_ONCE`: reports the first time that the condition holds here, with where it was
/// called from, and returns it. Any context.
///
/// The kernel crate has `warn_on!`, which reports each time: what is wrong with a counter would
/// fill the log.
macro_rules! warn_on_once {
    ($cond:expr) => {{
        let cond: bool = $cond;
        if cond {
            static WARNED: ::kernel::sync::atomic::Atomic<u32> =
                ::kernel::sync::atomic::Atomic::new(0);
            if WARNED.xchg(1, ::kernel::sync::atomic::Relaxed) == 0 {
                ::kernel::warn_on!(true);
            }
        }
        cond
    }};
}
pub(crate) use warn_on_once;
