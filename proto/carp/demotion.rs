// SPDX-License-Identifier: GPL-2.0

//! Demotion: how a host says that another one would make the better master.
//!
//! Interfaces are in groups, and each group has a counter. A carp interface advertises
//! the sum of its groups' counters. Between two masters the lower sum wins; only if the
//! sums are equal do the intervals matter. Source: `carp_group_demote_adj`,
//! `carp_group_demote_count`, `carp_ifgroup_ioctl`, and ifconfig(8) for the
//! administrator's steps.

use super::packet::Advertisement;

/// The group of all interfaces, which automatic demotion leaves alone.
pub const GROUP_ALL: &[u8] = b"all";

/// The group that every new carp and pfsync interface is in.
pub const GROUP_CARP: &[u8] = b"carp";

/// The largest step that an administrator may add or subtract.
pub const STEP_MAX: i32 = 128;

/// The largest value to which an administrator can raise a counter, and the largest sum
/// that is advertised.
pub const COUNT_MAX: u32 = 255;

/// The advskew that FreeBSD and ucarp send while they are demoted.
pub const DEMOTED_ADVSKEW: u8 = 240;

/// The demotion counter of a group, or an interface's own share.
///
/// An interface also keeps its own share: by how much it demotes its groups. A group that
/// it joins is [adjusted](Self::adjust) by the share, and the share is taken back from a
/// group that it leaves.
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
    /// Returns whether, after automatic demotion, all masters of the host should
    /// advertise at once, in whichever group they are. That is so if an increase leaves
    /// the group's counter at exactly 1: the group was not demoted until now.
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

/// The demotion count that an interface advertises and compares: the sum over its groups,
/// at most 255. Its `own` share is added only if no group contains it, for example
/// because the interface is in no group. A group is `(automatic, counter)`, see
/// [`is_automatic`].
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

/// Makes a demoted host's advertisement show the demotion to peers that do not read the
/// demotion count: advskew becomes 240 to 254. The order of advskews is kept, so that of
/// two hosts that are demoted alike the better one is still known.
///
/// FreeBSD and ucarp compare only intervals; OpenBSD compares the count first. This host
/// compares what it advertises; its own timers do not change.
#[must_use]
pub const fn visible_to_all(mut sent: Advertisement) -> Advertisement {
    if sent.demote > 0 && sent.advskew < u8::MAX {
        // 0–254 becomes 240–254
        sent.advskew = DEMOTED_ADVSKEW.saturating_add(sent.advskew / 17);
    }
    sent
}
