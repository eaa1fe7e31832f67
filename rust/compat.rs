// SPDX-License-Identifier: GPL-2.0

//! What the kernel crate of one version has and that of another has not, in a way that
//! suits all of them: from 7.2 on.

use core::mem::transmute;
use kernel::{bindings, error::Error};

/// An error that the crate names only since 7.3.
const fn error(code: u32) -> Error {
    assert!(0 < code && code <= bindings::MAX_ERRNO);
    // SAFETY: An `Error` is one number, of the same size, that is an error's, as this one
    // is. The crate's own ways to make one are not `const`.
    unsafe { transmute(-(code as i32)) }
}

/// Protocol error.
pub(crate) const EPROTO: Error = error(bindings::EPROTO);
/// Operation not supported.
pub(crate) const EOPNOTSUPP: Error = error(bindings::EOPNOTSUPP);
/// Address family not supported.
pub(crate) const EAFNOSUPPORT: Error = error(bindings::EAFNOSUPPORT);
/// Address already in use.
pub(crate) const EADDRINUSE: Error = error(bindings::EADDRINUSE);
/// Address not available.
pub(crate) const EADDRNOTAVAIL: Error = error(bindings::EADDRNOTAVAIL);
/// Network is down.
pub(crate) const ENETDOWN: Error = error(bindings::ENETDOWN);
/// No buffer space.
pub(crate) const ENOBUFS: Error = error(bindings::ENOBUFS);

/// Waits until all callbacks of RCU that were queued so far have run. May sleep.
pub(crate) fn rcu_barrier() {
    // SAFETY: The function has no preconditions but its context.
    unsafe { bindings::rcu_barrier() };
}
