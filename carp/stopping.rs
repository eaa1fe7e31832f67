// SPDX-License-Identifier: GPL-2.0

//! Whether the machine is about to stop: then no virtual host may run.

use kernel::sync::atomic::{Atomic, Relaxed};

static STOPPING: Atomic<bool> = Atomic::new(false);

/// Whether the machine is about to stop. Any context.
pub(super) fn is_stopping() -> bool {
    STOPPING.load(Relaxed)
}

/// It is, or goes on after all. Any context.
pub(super) fn set(stopping: bool) {
    STOPPING.store(stopping, Relaxed);
}
