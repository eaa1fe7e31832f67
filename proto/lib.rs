// SPDX-License-Identifier: GPL-2.0

//! What CARP and pfsync say on the wire and in time: the root of the ordinary
//! crate.
//!
//! The kernel module does not see this file; it starts at `mod.rs`.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![warn(missing_docs, rust_2018_idioms)]
#![cfg_attr(
    not(test),
    deny(
        missing_docs,
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

#[path = "mod.rs"]
mod proto;

pub use proto::*;
