// SPDX-License-Identifier: GPL-2.0

//! What an interface asks for that is done later, in process context under RTNL
//! ([`super::follow_up`]). The bits of [`OwnDevice::schedule_work`].
//!
//! [`OwnDevice::schedule_work`]: crate::linux::netdevice_ops::OwnDevice::schedule_work

/// What a change of state asks for.
pub(super) const STATE: u32 = 1;
/// The parent's groups are to follow the IPv6 addresses.
pub(super) const GROUPS: u32 = 2;
/// Who receives is to be found out.
pub(super) const WAYS_BACK: u32 = 4;
/// The parent may be back.
pub(super) const LOST_PARENT: u32 = 8;
/// Hooks of others came to the parent's ingress, or went.
pub(super) const INGRESS: u32 = 16;
