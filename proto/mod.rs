// SPDX-License-Identifier: GPL-2.0

//! What the protocols say, free of I/O.
//!
//! Time comes in as an argument and effects go out as values: nothing here
//! reads a clock, allocates, sleeps or knows the kernel. So the same source is
//! compiled into the kernel module and into tests, simulators and fuzzers.
//!
//! Nothing here can panic either. The kernels that this is built for check for
//! overflows and bounds, and a panic on a packet's bytes is a crash that
//! anybody on the wire can cause.

// In the module, where this is a private `mod proto`, every `pub` below looks
// too wide, and what only tests or another front end need looks forgotten.
#![allow(dead_code, unreachable_pub)]

pub mod auth;
pub mod carp;
pub mod pfsync;
pub mod text;
