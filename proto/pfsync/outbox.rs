// SPDX-License-Identifier: GPL-2.0

//! When frames leave: as soon as one is full, and after a second at the latest.

use super::action::Action;
use super::compact;
use super::frame::{HEADER_LEN, IP_HEADER_LEN, SECTION_LEN};
use super::pending::{Place, Queue, Step};
use super::time::{Instant, Millis};

/// How long anything waits at most.
pub const DELAY_MAX: Millis = Millis(1000);

impl Queue {
    /// The type of its messages.
    #[must_use]
    pub const fn action(self) -> Action {
        match self {
            Self::InsertAck => Action::InsertAck,
            Self::UpdateCompressed => Action::UpdateCompressed,
            Self::DeleteCompressed => Action::DeleteCompressed,
            Self::Insert => Action::Insert,
            Self::Update => Action::Update,
        }
    }

    /// Whether its messages say how a state is, and so have more beside them.
    #[must_use]
    pub const fn tells(self) -> bool {
        matches!(self, Self::UpdateCompressed | Self::Insert | Self::Update)
    }
}

/// What is to be sent now.
#[must_use = "what waits would wait too long"]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Leave {
    /// Nothing, until [`Outbox::deadline`].
    Later,
    /// Frames, as long as there is one full ([`Outbox::is_full`]). What does not fit
    /// waits for company.
    FullFrames,
    /// Frame after frame, until all lists of [`Queue::ORDER`] are empty.
    Everything,
}

/// The lists of states that wait to be sent, counted.
///
/// The driver tells it of each [`Step`] that a state took, those of being sent
/// among them, and sends what it says; at its deadline, everything. While it
/// reads a frame or wakes up states that await confirmation, it only remembers
/// the most urgent [`Leave`], so that the answers share a frame.
#[derive(Clone, Copy, Debug)]
pub struct Outbox {
    /// Bytes of messages that a frame holds.
    room: usize,
    /// Bytes that go beside a state to Linux hosts, as many as is usual.
    extra: usize,
    /// States are told of in Linux' own form.
    compact: bool,
    counts: [u32; 5],
    /// All of them together.
    waiting: u32,
    /// When what waits must have left.
    deadline: Option<Instant>,
}

impl Outbox {
    /// An empty one. `mtu` is that of pfsync, the IP header counts. `extra` is
    /// what an [`Extra`](super::extra::Extra) and its section usually take, or
    /// 0 if none are sent. It need not be exact: a frame that is taken for full
    /// too early or too late does no harm.
    #[must_use]
    pub const fn new(mtu: usize, extra: usize) -> Self {
        Self {
            room: mtu.saturating_sub(IP_HEADER_LEN.saturating_add(HEADER_LEN)),
            extra,
            compact: false,
            counts: [0; 5],
            waiting: 0,
            deadline: None,
        }
    }

    /// Frames hold `room` bytes behind the IP header from now on.
    pub fn set_room(&mut self, room: usize) {
        self.room = room.saturating_sub(HEADER_LEN);
    }

    /// Whether states are told of in Linux' own form ([`compact`]) from now on.
    pub fn set_compact(&mut self, on: bool) {
        self.compact = on;
    }

    /// Whether they are.
    #[must_use]
    pub const fn is_compact(&self) -> bool {
        self.compact
    }

    /// When to send at the latest; `None`: nothing waits.
    #[must_use]
    pub const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// How many states wait.
    #[must_use]
    pub const fn waiting(&self) -> u32 {
        self.waiting
    }

    /// Notes the step of a state. Returns what is to be sent now.
    pub fn apply(&mut self, now: Instant, step: &Step) -> Leave {
        if step.moves() {
            if let Some(count) = self.count(step.from) {
                *count = count.saturating_sub(1);
                self.waiting = self.waiting.saturating_sub(1);
            }
            if let Some(count) = self.count(step.to) {
                *count = count.saturating_add(1);
                self.waiting = self.waiting.saturating_add(1);
            }
        }
        self.deadline = match (self.waiting, self.deadline) {
            (0, _) => None,
            (_, None) => Some(DELAY_MAX.after(now)),
            (_, deadline) => deadline,
        };
        // Not in the middle of sending: a step from a queue to nowhere.
        let grows = step.moves() && matches!(step.to, Place::Queued(_));
        if step.send_now {
            Leave::Everything
        } else if grows && self.is_full() {
            Leave::FullFrames
        } else {
            Leave::Later
        }
    }

    fn count(&mut self, place: Place) -> Option<&mut u32> {
        let Place::Queued(queue) = place else {
            return None;
        };
        self.counts.get_mut(queue.number())
    }

    /// Whether what waits is more than fits into a frame.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let mut bytes = 0_usize;
        for (queue, count) in Queue::ORDER.into_iter().zip(self.counts) {
            if count == 0 {
                continue;
            }
            let len = queue.action().message_len();
            let each = match (queue.tells(), self.compact) {
                (false, _) => len,
                (true, false) => len.saturating_add(self.extra),
                (true, true) => compact::USUAL_LEN,
            };
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            bytes = bytes
                .saturating_add(SECTION_LEN)
                .saturating_add(each.saturating_mul(count));
        }
        bytes > self.room
    }
}
