// SPDX-License-Identifier: GPL-2.0

//! Random numbers (`get_random_bytes`).

use super::bindings;

/// Returns `N` random bytes of the kernel's generator. Any context.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut buffer = [0; N];
    // SAFETY: `buffer` is valid for writes of `N` bytes.
    unsafe { bindings::get_random_bytes(buffer.as_mut_ptr().cast(), N) };
    buffer
}
