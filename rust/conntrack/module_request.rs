// SPDX-License-Identifier: GPL-2.0

//! Modules that are asked for from where one cannot wait for them.
//!
//! One is asked for at a time. What was asked for is not asked for again for a while,
//! whether it was found or not: names come from other hosts.

use super::{
    adapter::context::{jiffies, SoftirqsOff, HZ},
    bindings,
    helper::Name,
};
use kernel::{prelude::*, types::Opaque};

/// For how long the answer counts.
const WHILE: u32 = 300 * HZ;

/// How many names are remembered.
const REMEMBERED: usize = 16;

/// What a module is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A helper of connection tracking.
    Help,
    /// The same helper's part in NAT.
    Translate,
}

impl Purpose {
    const fn prefix(self) -> &'static CStr {
        match self {
            Self::Help => c"nfct-helper-",
            Self::Translate => c"ip_nat_",
        }
    }
}

/// What has become of a wish.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is being asked for, or another one is: try again in a while.
    Wait,
    /// It was asked for.
    Asked,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Wish {
    purpose: Purpose,
    name: Name<16>,
}

struct Wishes {
    /// What the work item is to ask for, or is asking for.
    current: Option<Wish>,
    /// What was asked for, and when.
    past: [Option<(Wish, u32)>; REMEMBERED],
    /// The place for the next one.
    next: usize,
}

kernel::sync::global_lock! {
    // SAFETY: `start` initialises it, when the module is loaded.
    unsafe(uninit) static WISHES: SpinLock<Wishes> = Wishes {
        current: None,
        past: [None; REMEMBERED],
        next: 0,
    };
}

struct Work(Opaque<bindings::work_struct>);

// SAFETY: The kernel has a lock of its own for it.
unsafe impl Sync for Work {}

static WORK: Work = Work(Opaque::uninit());

/// Keeps requests possible.
pub(crate) struct Started(());

/// Makes requests possible until the value is dropped. Once, when the module is
/// loaded.
pub(crate) fn start() -> Started {
    // SAFETY: Nobody asks for anything yet; this happens once.
    unsafe {
        WISHES.init();
        bindings::init_work(WORK.0.get(), Some(run));
    }
    Started(())
}

impl Drop for Started {
    fn drop(&mut self) {
        // SAFETY: The item was initialised. Nobody asks for anything any more: no table
        // is attached.
        unsafe { bindings::cancel_work_sync(WORK.0.get()) };
    }
}

/// Asks for the module of a helper, unless that was done lately. Any context but hard
/// interrupts, while a table is attached.
pub(crate) fn ask(purpose: Purpose, name: &Name<16>) -> Answer {
    let harmless = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    if !name.as_bytes().iter().all(harmless) {
        // There is none.
        return Answer::Asked;
    }
    let wish = Wish {
        purpose,
        name: *name,
    };
    let _softirqs = SoftirqsOff::new();
    let mut wishes = WISHES.lock();
    let now = jiffies();
    let lately = |past: &(Wish, u32)| past.0 == wish && now.wrapping_sub(past.1) < WHILE;
    if wishes.past.iter().flatten().any(lately) {
        return Answer::Asked;
    }
    if wishes.current.is_none() {
        wishes.current = Some(wish);
        // SAFETY: The item was initialised before a table could be attached, and is
        // waited for when the module goes.
        unsafe { bindings::schedule_work(WORK.0.get()) };
    }
    Answer::Wait
}

/// # Safety
///
/// Only the kernel may call it, as the work item's function.
unsafe extern "C" fn run(_work: *mut bindings::work_struct) {
    let current = {
        let _softirqs = SoftirqsOff::new();
        let wishes = WISHES.lock();
        wishes.current
    };
    let Some(wish) = current else { return };
    // SAFETY: Both are texts that end with a zero byte; this is process context. If it
    // was found, the table of helpers tells.
    unsafe {
        bindings::request_module(wish.purpose.prefix().as_char_ptr(), wish.name.as_ptr());
    }
    let _softirqs = SoftirqsOff::new();
    let mut wishes = WISHES.lock();
    wishes.current = None;
    let place = wishes.next;
    if let Some(past) = wishes.past.get_mut(place) {
        *past = Some((wish, jiffies()));
    }
    wishes.next = (place + 1) % REMEMBERED;
}
