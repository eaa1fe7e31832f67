// SPDX-License-Identifier: GPL-2.0

//! Demotion: how a host says that another one would make the better master.
//!
//! Interfaces are in groups, and each group has a counter. A carp interface adds
//! up the counters of its groups and sends the sum along; among masters, and
//! before any question of speed, the lower sum wins. Source:
//! `carp_group_demote_adj`, `carp_group_demote_count`, `carp_ifgroup_ioctl`, and
//! for the administrator's steps ifconfig(8).

use super::packet::Advertisement;

/// The group of all interfaces, which automatic demotion leaves alone.
pub const GROUP_ALL: &[u8] = b"all";

/// The group that every new carp and pfsync interface is in.
pub const GROUP_CARP: &[u8] = b"carp";

/// The largest step of an administrator, up or down.
pub const STEP_MAX: i32 = 128;

/// The largest value to which an administrator can take a counter, and the
/// largest sum that is sent.
pub const COUNT_MAX: u32 = 255;

/// The advskew that FreeBSD and ucarp send when they are not well.
pub const DEMOTED_ADVSKEW: u8 = 240;

/// The demotion counter of a group, or an interface's own share.
///
/// An interface counts for itself as well what it brought upon its groups. That
/// is what a group that it joins is [adjusted](Self::adjust) by, and what is
/// taken back from one that it leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Counter(u32);

impl Counter {
    /// A counter that stands at `count`.
    #[must_use]
    pub const fn new(count: u32) -> Self {
        Self(count)
    }

    /// The count. Automatic demotion may take it above [`COUNT_MAX`].
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Adds `by`, but stops at 0.
    ///
    /// Returns whether all masters of the host, in whatever group, should advertise at once
    /// if that is automatic demotion: an increase leaves the counter of a group at exactly
    /// 1, so the host was well until now.
    pub fn adjust(&mut self, by: i32) -> bool {
        self.0 = self.0.saturating_add_signed(by);
        by > 0 && self.0 == 1
    }
}

/// The most bytes of a group's name.
pub const GROUP_NAME_MAX: usize = 15;

/// The name of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GroupName {
    bytes: [u8; GROUP_NAME_MAX],
    len: usize,
}

impl GroupName {
    /// Checks a name: 1 to 15 visible characters without a slash, and no digit at
    /// the end, which would make it an interface's (ifconfig(8)).
    #[must_use]
    pub fn new(name: &[u8]) -> Option<Self> {
        let visible = |byte: &u8| byte.is_ascii_graphic() && *byte != b'/';
        if !name.iter().all(visible) || name.last()?.is_ascii_digit() {
            return None;
        }
        let mut bytes = [0; GROUP_NAME_MAX];
        bytes.get_mut(..name.len())?.copy_from_slice(name);
        Some(Self {
            bytes,
            len: name.len(),
        })
    }

    /// Its characters.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// The same as a string.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

/// Why a change of a group's demotion was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// It is a step of more than 128.
    Step,
    /// The counter would exceed 255.
    Range,
    /// More would be taken away than `carpdemote` has added.
    NotManual,
    /// A cause's name is malformed.
    CauseName,
    /// A cause's name is one of this module's own.
    OwnCause,
    /// A cause's amount is not 1–255.
    Amount,
    /// A cause's time is not 1 s to a year.
    For,
    /// A reason is malformed.
    Reason,
    /// There are as many causes as there may be.
    TooMany,
}

impl Refusal {
    /// The refusal in words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Step => "a step of carpdemote is at most 128",
            Self::Range => "the demotion counter must stay between 0 and 255",
            Self::NotManual => {
                "carpdemote has added less than that; other causes demote the group (carpctl -g)"
            }
            Self::CauseName => "a cause's name has 1-31 visible ASCII characters",
            Self::OwnCause => "link:, send-errors: and pfsync- are causes of the kernel's own",
            Self::Amount => "a cause demotes by 1-255",
            Self::For => "a cause lasts 1 second to a year",
            Self::Reason => "a reason has at most 127 bytes of UTF-8, without control characters",
            Self::TooMany => "a group has at most 32 causes that were set by name",
        }
    }
}

/// Whether automatic demotion touches the group of this name.
#[must_use]
pub fn is_automatic(group: &[u8]) -> bool {
    group != GROUP_ALL
}

/// What an interface sends and compares: the sum over its groups, at most 255; plus
/// its `own` share if no group carries that, as of an interface in no group. A group is
/// `(automatic, counter)`, see [`is_automatic`].
///
/// `carp_group_demote_count` takes the own share wherever the sum is 0.
#[must_use]
pub fn count(groups: impl IntoIterator<Item = (bool, Counter)>, own: Counter) -> u8 {
    let (carried, sum) = groups
        .into_iter()
        .fold((false, 0u32), |(carried, sum), (automatic, group)| {
            (carried | automatic, sum.saturating_add(group.0))
        });
    let count = if carried {
        sum
    } else {
        sum.saturating_add(own.0)
    };
    u8::try_from(count).unwrap_or(u8::MAX)
}

/// What a demoted host sends to peers that do not read the demotion count: the
/// same with an advskew of at least 240, and not much above, but in the order in
/// which it was chosen, so that of two that are demoted alike the better one is
/// still known.
///
/// FreeBSD and ucarp compare intervals alone; OpenBSD looks at the count first.
/// What we ourselves compare is what we say, how long we wait does not change.
#[must_use]
pub const fn visible_to_all(mut sent: Advertisement) -> Advertisement {
    if sent.demote > 0 && sent.advskew < u8::MAX {
        // 0–254 becomes 240–254
        sent.advskew = DEMOTED_ADVSKEW.saturating_add(sent.advskew / 17);
    }
    sent
}
