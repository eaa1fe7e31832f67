// SPDX-License-Identifier: GPL-2.0

//! What systems listen, as far as they have shown it, and so in which form they are told
//! of states.
//!
//! OpenBSD knows pf's messages alone. Linux reads those as well, with what stands beside
//! them; and, if it has said so in its greeting or speaks so itself, its own
//! [`compact`](super::compact) ones. A group hears what all in it understand.

/// Who has been heard since the interface went up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Systems {
    linux: bool,
    pf: bool,
    reads_compact: bool,
    reads_no_compact: bool,
}

impl Systems {
    /// Something of Linux' own was heard.
    pub fn heard_linux(&mut self) {
        self.linux = true;
    }

    /// What only pf says was heard, or somebody has told of it.
    pub fn heard_pf(&mut self) {
        self.pf = true;
    }

    /// A compact state was heard.
    pub fn heard_compact(&mut self) {
        self.linux = true;
        self.reads_compact = true;
    }

    /// A Linux host's greeting was heard, which says whether that reads compact states.
    pub fn heard_greeting(&mut self, reads_compact: bool) {
        self.linux = true;
        self.reads_compact |= reads_compact;
        self.reads_no_compact |= !reads_compact;
    }

    /// A bulk update has ended without the greeting that Linux sends with that: who has no
    /// states may be pf, and has not shown it yet.
    pub fn heard_end_without_greeting(&mut self) {
        self.reads_no_compact = true;
    }

    /// There are, or may be, others than before: who reads what, shows again.
    pub fn may_be_others(&mut self) {
        self.reads_compact = false;
    }

    /// Whether somebody is Linux.
    #[must_use]
    pub const fn has_linux(&self) -> bool {
        self.linux
    }

    /// Whether somebody is none, as OpenBSD: it has two states of each connection.
    #[must_use]
    pub const fn has_pf(&self) -> bool {
        self.pf
    }

    /// Whether all are Linux, as far as anybody was heard: they confirm whatever they are
    /// asked to.
    #[must_use]
    pub const fn all_confirm(&self) -> bool {
        self.linux && !self.pf
    }

    /// Whether states are told of in Linux' own form alone.
    #[must_use]
    pub const fn read_compact(&self) -> bool {
        self.reads_compact && !self.reads_no_compact && !self.pf
    }
}
