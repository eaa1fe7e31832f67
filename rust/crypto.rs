// SPDX-License-Identifier: GPL-2.0

//! HMACs of the kernel's crypto library (`<crypto/sha1.h>`, `<crypto/sha2.h>`), and keys.

use super::bindings;
use core::mem::MaybeUninit;
use kernel::{
    prelude::*,
    sync::{Arc, UniqueArc},
};

/// Length of the digest in bytes.
pub(crate) const SHA1_DIGEST_SIZE: usize = 20;

/// An HMAC-SHA1 under way: keyed, and fed with some of its message. By default it has no
/// key.
///
/// Its state is as good as the key, and is not to be moved once it has one: the place that
/// it leaves is not wiped, the one where it is dropped is. Any context; it allocates
/// nothing.
#[derive(Default)]
pub(crate) struct HmacSha1(bindings::hmac_sha1_ctx);

impl HmacSha1 {
    /// Begins an HMAC under `key`.
    pub(crate) fn begin(&mut self, key: &[u8]) {
        // SAFETY: The context is valid for writes, `key` for reads of its length.
        unsafe { bindings::hmac_sha1_init_usingrawkey(&mut self.0, key.as_ptr(), key.len()) }
    }

    /// Begins where `other` is now, so that a constant beginning is hashed once.
    pub(crate) fn continue_from(&mut self, other: &Self) {
        let from = core::ptr::from_ref(&other.0);
        // SAFETY: Plain integers; one is exclusively borrowed, so they do not overlap.
        // Copied by address: an assignment may go through the stack.
        unsafe { core::ptr::from_mut(&mut self.0).copy_from_nonoverlapping(from, 1) }
    }

    /// Adds `bytes` to the message.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        // SAFETY: The context is a valid one, `bytes` valid for reads of its length.
        unsafe { bindings::sha1_update(&mut self.0.sha_ctx, bytes.as_ptr(), bytes.len()) }
    }

    /// The digest of the message with `last` at its end. The message itself goes on
    /// without.
    pub(crate) fn digest(&self, last: &[u8]) -> [u8; SHA1_DIGEST_SIZE] {
        let mut copy = MaybeUninit::<bindings::hmac_sha1_ctx>::uninit();
        let context = copy.as_mut_ptr();
        let mut digest = [0; SHA1_DIGEST_SIZE];
        // SAFETY: `context` is valid for writes and overlaps nothing else; the first
        // statement initialises it. `last` is valid for reads of its length, `digest`
        // for writes of the digest's size.
        unsafe {
            context.copy_from_nonoverlapping(&self.0, 1);
            bindings::sha1_update(&raw mut (*context).sha_ctx, last.as_ptr(), last.len());
            // It wipes the only copy that there is.
            bindings::hmac_sha1_final(context, digest.as_mut_ptr());
        }
        digest
    }

    /// Forgets the key and the message.
    pub(crate) fn wipe(&mut self) {
        // SAFETY: Plain integers, for which zeroes are valid.
        unsafe { wipe(&mut self.0) };
    }
}

impl Drop for HmacSha1 {
    fn drop(&mut self) {
        self.wipe();
    }
}

/// Length of an HMAC-SHA256 in bytes.
pub(crate) const SHA256_DIGEST_SIZE: usize = 32;

/// A key for HMAC-SHA256, prepared: what depends on the key alone is hashed.
///
/// It is as good as the key itself. It lies in one place in memory, which is wiped when the
/// last reference goes. Any thread may use it, without a lock.
#[derive(Clone)]
pub(crate) struct HmacSha256Key(Arc<PreparedKey>);

struct PreparedKey(bindings::hmac_sha256_key);

impl Drop for PreparedKey {
    fn drop(&mut self) {
        // SAFETY: Plain integers, for which zeroes are valid.
        unsafe { wipe(&mut self.0) };
    }
}

impl HmacSha256Key {
    /// Prepares a key (`hmac_sha256_preparekey`). Process context, may sleep.
    ///
    /// # Errors
    ///
    /// Out of memory.
    pub(crate) fn new(raw: &[u8]) -> Result<Self> {
        let blank = PreparedKey(bindings::hmac_sha256_key::default());
        let mut key = UniqueArc::new(blank, GFP_KERNEL_ACCOUNT)?;
        // SAFETY: The key is valid for writes, `raw` for reads of its length.
        unsafe { bindings::hmac_sha256_preparekey(&mut key.0, raw.as_ptr(), raw.len()) };
        Ok(Self(key.into()))
    }

    /// The HMAC of `pieces`, one behind the other. Any context; it allocates nothing, and
    /// wipes what it needs on the way.
    pub(crate) fn hmac(&self, pieces: &[&[u8]]) -> [u8; SHA256_DIGEST_SIZE] {
        let mut context = MaybeUninit::<bindings::hmac_sha256_ctx>::uninit();
        let context = context.as_mut_ptr();
        let mut digest = [0; SHA256_DIGEST_SIZE];
        // SAFETY: The first statement initialises the context, which overlaps nothing else;
        // each piece is valid for reads of its length, `digest` for writes of the digest's
        // size. The last one wipes the context.
        unsafe {
            bindings::__hmac_sha256_init(&raw mut (*context).ctx, &self.0 .0.key);
            for piece in pieces {
                let sha = &raw mut (*context).ctx.sha_ctx;
                bindings::__sha256_update(sha, piece.as_ptr(), piece.len());
            }
            bindings::hmac_sha256_final(context, digest.as_mut_ptr());
        }
        digest
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
