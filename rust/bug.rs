// SPDX-License-Identifier: GPL-2.0

//! Warnings of what cannot be (`<asm-generic/bug.h>`).

/// `WARN_ON_ONCE`: reports the first time that the condition holds here, with where it was
/// called from, and returns it. Any context.
///
/// The kernel crate has `warn_on!`, which reports each time: what is wrong with a counter would
/// fill the log. And it includes files that the kernel's build has made, which the headers of
/// many distributions do without.
macro_rules! warn_on_once {
    ($cond:expr) => {{
        let cond: bool = $cond;
        if cond {
            static WARNED: ::kernel::sync::atomic::Atomic<u32> =
                ::kernel::sync::atomic::Atomic::new(0);
            if WARNED.xchg(1, ::kernel::sync::atomic::Relaxed) == 0 {
                $crate::linux::bug::warn(file!(), line!(), stringify!($cond));
            }
        }
        cond
    }};
}
pub(crate) use warn_on_once;

/// Says where what cannot be was found, with a stack trace.
#[cold]
pub(crate) fn warn(file: &str, line: u32, condition: &str) {
    kernel::pr_err!("{}:{}: {}\n", file, line, condition);
    // SAFETY: It is always safe to call it.
    unsafe { kernel::bindings::WARN_ON(true) };
}
