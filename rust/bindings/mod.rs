// SPDX-License-Identifier: GPL-2.0

//! Bindings to what the kernel's own `bindings` crate leaves out.
//!
//! They come from one bindgen run of ours over `bindings_helper.h`. A type that
//! both know (`sk_buff`, `net`) is two types to the compiler with one layout;
//! where a pointer crosses over it is cast.

#![allow(unknown_lints)]
#![allow(
    clippy::all,
    clippy::undocumented_unsafe_blocks,
    clippy::as_underscore,
    clippy::cast_lossless,
    clippy::ptr_as_ptr,
    clippy::ref_as_ptr,
    dead_code,
    improper_ctypes,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unnecessary_transmutes,
    unreachable_pub,
    unsafe_op_in_unsafe_fn
)]

use kernel::ffi;
use kernel::prelude::Zeroable;
use pin_init::MaybeZeroable;

type __kernel_size_t = usize;
type __kernel_ssize_t = isize;
type __kernel_ptrdiff_t = isize;

// SAFETY: `__BindgenBitfieldUnit` is a newtype around its storage; bindgen does
// not derive this by itself.
unsafe impl<Storage> Zeroable for __BindgenBitfieldUnit<Storage> where Storage: Zeroable {}

mod accessors;

pub(crate) use accessors::*;

include!(concat!(
    env!("CARP_OBJTREE"),
    "/rust/bindings/bindings_generated.rs"
));
