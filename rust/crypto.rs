// SPDX-License-Identifier: GPL-2.0

//! HMAC-SHA1 of the kernel's crypto library (`<crypto/sha1.h>`).

use super::bindings;
use core::mem::MaybeUninit;
use kernel::prelude::*;

/// Length of the digest in bytes.
pub(crate) const SHA1_DIGEST_SIZE: usize = 20;

/// An HMAC-SHA1 under way: keyed, and fed with some of its message.
///
/// A copy of it goes on from the same point, so that a constant beginning is
/// hashed once. Any context; it allocates nothing.
///
/// # Invariants
///
/// The context was initialised by `hmac_sha1_init` and not finished.
#[derive(Clone)]
pub(crate) struct HmacSha1(bindings::hmac_sha1_ctx);

impl HmacSha1 {
    /// Begins an HMAC under `key`.
    pub(crate) fn new(key: &[u8]) -> Self {
        let mut prepared = MaybeUninit::<bindings::hmac_sha1_key>::uninit();
        let mut context = MaybeUninit::<bindings::hmac_sha1_ctx>::uninit();
        // SAFETY: `key` is valid for reads of its length, `prepared` and
        // `context` for writes; the first call initialises `prepared`, the second
        // `context`.
        let context = unsafe {
            bindings::hmac_sha1_preparekey(prepared.as_mut_ptr(), key.as_ptr(), key.len());
            bindings::hmac_sha1_init(context.as_mut_ptr(), prepared.as_ptr());
            context.assume_init()
        };
        // SAFETY: Plain integers that are not read again.
        unsafe { wipe(&mut prepared) };
        // INVARIANT: `hmac_sha1_init` has just initialised it.
        Self(context)
    }

    /// Adds `bytes` to the message.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        // SAFETY: The context is initialised by the type invariant, `bytes` valid
        // for reads of its length.
        unsafe { bindings::sha1_update(&mut self.0.sha_ctx, bytes.as_ptr(), bytes.len()) }
    }

    /// Ends the message and returns its digest.
    pub(crate) fn finish(mut self) -> [u8; SHA1_DIGEST_SIZE] {
        let mut digest = [0; SHA1_DIGEST_SIZE];
        // SAFETY: The context is initialised by the type invariant, `digest` valid
        // for writes of the digest's size.
        unsafe { bindings::hmac_sha1_final(&mut self.0, digest.as_mut_ptr()) };
        digest
    }
}

impl Drop for HmacSha1 {
    fn drop(&mut self) {
        // The state after the key is as good as the key.
        // SAFETY: Plain integers, for which zeroes are valid.
        unsafe { wipe(&mut self.0) };
    }
}

/// The SHA-1 of the `N` bytes that `write` writes over zeroes; they are wiped. Any
/// context.
pub(crate) fn sha1<const N: usize>(write: impl FnOnce(&mut [u8; N])) -> [u8; SHA1_DIGEST_SIZE] {
    let mut input = [0; N];
    write(&mut input);
    let mut digest = [0; SHA1_DIGEST_SIZE];
    // SAFETY: `input` is valid for reads of its length, `digest` for writes of the
    // digest's size; zeroes are valid bytes.
    unsafe {
        bindings::sha1(input.as_ptr(), input.len(), digest.as_mut_ptr());
        wipe(&mut input);
    }
    digest
}

/// A key, or another secret: it lies in one place in memory, which is wiped when it goes.
/// To move it moves a pointer, so nothing stays on the stack.
pub(crate) struct Secret<const N: usize>(KBox<[u8; N]>);

impl<const N: usize> Secret<N> {
    /// A secret of zeroes. Process context, may sleep.
    ///
    /// # Errors
    ///
    /// Out of memory.
    pub(crate) fn zeroes() -> Result<Self> {
        Ok(Self(KBox::new([0; N], GFP_KERNEL_ACCOUNT)?))
    }

    /// The secret itself. Who copies it wipes the copy.
    pub(crate) fn bytes(&self) -> &[u8; N] {
        &self.0
    }

    /// The same, to be written.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8; N] {
        &mut self.0
    }
}

impl<const N: usize> Drop for Secret<N> {
    fn drop(&mut self) {
        // SAFETY: Plain integers, for which zeroes are valid.
        unsafe { wipe(&mut *self.0) };
    }
}

/// Overwrites memory with zeroes in a way that the compiler keeps.
///
/// # Safety
///
/// Zero bytes must be a valid `T`, or nothing may read `secret` again.
unsafe fn wipe<T>(secret: &mut T) {
    // SAFETY: `secret` is exclusively borrowed, and the caller promises that
    // zeroes may stand in it.
    unsafe { bindings::memzero_explicit(core::ptr::from_mut(secret).cast(), size_of::<T>()) }
}
