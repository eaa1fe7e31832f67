// SPDX-License-Identifier: GPL-2.0

//! Bindings to what an adapter offers to carp.ko.
//!
//! They come from a bindgen run of their own over `bindings_helper.h`. A type that
//! the kernel's own bindings know as well (`net`, `sk_buff`) is two types to the
//! compiler with one layout.

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
use pin_init::MaybeZeroable;

type __kernel_size_t = usize;
type __kernel_ssize_t = isize;
type __kernel_ptrdiff_t = isize;

include!(concat!(
    env!("CARP_OBJTREE"),
    "/rust/memory/bindings_generated.rs"
));
