// SPDX-License-Identifier: GPL-2.0

//! What adapters have in common: how they offer a state table to carp.ko
//! (`include/pfsync_table.h`). Each has its own bindings to that.

pub(crate) mod calls;
pub(crate) mod context;
pub(crate) mod net;
pub(crate) mod table;
