// SPDX-License-Identifier: GPL-2.0

//! Authentication that covers a whole packet and cannot be replayed.
//!
//! CARP's own digest covers neither demotion nor intervals, and pfsync has none. So
//! 28 bytes more go with each advertisement, behind the 36 that others know, and in the
//! last section of each frame of pfsync: a key's id, a [`sequence`] number that is the
//! sender's clock, and an HMAC-SHA256 over all of the packet. Systems that do not know them
//! do not see them.
//!
//! # A packet that is sent
//!
//! [`sender::Sender::next`] gives it a number. [`trailer::sign_advertisement`] puts a
//! trailer behind an advertisement, [`authentication::sign`] a section behind a frame.
//!
//! # A packet that comes in
//!
//! 1. [`packet::Received::trailer`] or [`authentication::trailer`] finds the trailer.
//! 2. [`receiver::Receiver::examine`] says what can be said without an HMAC: what has none, an
//!    unknown key, a recording. It costs some tens of instructions, whoever sent it.
//! 3. [`receiver::Unverified::verify`] compares the HMAC.
//! 4. [`receiver::Receiver::accept`] takes what was verified, and nothing else, and
//!    remembers its number.
//! 5. [`mode::Mode::believes`] says whether the packet is carried out.
//!
//! # What somebody on the wire can still do
//!
//! Lose packets, and delay each for as long as the window is. In mode
//! [`Time`](freshness::Freshness::Time) nothing else, as long as clocks do not go back:
//! each packet is believed once at most, in the order in which it was sent, and no later than
//! the window after that. Where a clock is set back by more than the window, what was sent
//! at the time that it shows now can be repeated, until the sender that it is from is heard
//! again. In mode [`Monotonic`](freshness::Freshness::Monotonic) the same is true of a
//! receiver that was restarted, of everything that was ever sent under its keys.
//!
//! The destination is not covered: what was sent to one peer can be repeated to
//! another one, once, if it had nothing newer from that sender.
//!
//! [`packet::Received::trailer`]: super::carp::packet::Received::trailer
//! [`authentication::trailer`]: super::pfsync::authentication::trailer
//! [`authentication::sign`]: super::pfsync::authentication::sign

pub mod freshness;
pub mod key;
pub mod mac;
pub mod mark;
pub mod mode;
pub mod receiver;
pub mod replay;
pub mod sender;
pub mod senders;
pub mod sequence;
pub mod trailer;
