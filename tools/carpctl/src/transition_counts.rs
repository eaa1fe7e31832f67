// SPDX-License-Identifier: GPL-2.0

//! How often virtual hosts have changed their states.

use crate::{attributes::Attributes, contract::family::*};

/// The changes of a virtual host, of CARP_CMD_TRANSITION_GET.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransitionCounts {
    pub ifname: String,
    pub vhid: u8,
    pub counts: Vec<TransitionCount>,
}

/// How often a state was taken for a reason, by their numbers in [`STATES`] and
/// [`REASONS`]: there are thousands of them, with the same few words.
///
/// [`STATES`]: crate::contract::STATES
/// [`REASONS`]: crate::contract::REASONS
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransitionCount {
    pub state: u8,
    pub reason: u8,
    pub count: u32,
}

impl TransitionCounts {
    pub fn read(answer: Attributes<'_>) -> Option<Self> {
        let counts = answer.nests(CARP_A_TRANSITION).filter_map(|it| {
            Some(TransitionCount {
                state: it.u8(CARP_TRANSITION_STATE)?,
                reason: it.u8(CARP_TRANSITION_REASON)?,
                count: it.u32(CARP_TRANSITION_COUNT)?,
            })
        });
        Some(Self {
            ifname: answer.text(CARP_A_IFNAME)?,
            vhid: answer.u8(CARP_A_VHID)?,
            counts: counts.collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes::{emit, nest, text, u32, u8};

    #[test]
    fn two_changes() {
        let change = |state, reason, count| {
            let words = [
                u8(CARP_TRANSITION_STATE, state),
                u8(CARP_TRANSITION_REASON, reason),
                u32(CARP_TRANSITION_COUNT, count),
            ];
            nest(CARP_A_TRANSITION, &words)
        };
        let data = emit(&[
            text(CARP_A_IFNAME, "carp0"),
            u8(CARP_A_VHID, 7),
            change(1, 0, 1),
            change(2, 4, 3),
        ]);
        let told = TransitionCounts::read(Attributes::new(&data)).expect("is whole");
        assert_eq!((&*told.ifname, told.vhid), ("carp0", 7));
        let counts: Vec<_> = told
            .counts
            .iter()
            .map(|it| (it.state, it.reason, it.count))
            .collect();
        assert_eq!(counts, [(1, 0, 1), (2, 4, 3)]);
        assert_eq!(TransitionCounts::read(Attributes::new(&[])), None);
    }
}
