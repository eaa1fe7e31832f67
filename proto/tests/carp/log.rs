// SPDX-License-Identifier: GPL-2.0

//! How loud what is said.

use carp_proto::carp::effects::{Reason, Transition};
use carp_proto::carp::election::{Family, State};
use carp_proto::carp::log::{Level, DEFAULT, DEMOTION, SEND_ERROR};
use carp_proto::carp::packet::Discard;
use State::{Backup, Init, Master};

/// All that there are.
const REASONS: [Reason; 14] = [
    Reason::Started,
    Reason::Stopped,
    Reason::NoAddress,
    Reason::Reconfigured,
    Reason::MasterTimedOut(Family::Ipv4),
    Reason::MasterTimedOut(Family::Ipv6),
    Reason::MasterBowedOut,
    Reason::Preempting,
    Reason::MasterDemoted,
    Reason::MasterTooSlow,
    Reason::BetterMaster,
    Reason::EqualMaster,
    Reason::LessDemotedMaster,
    Reason::Administrator,
];

fn level(from: State, to: State) -> u8 {
    let reason = Reason::Administrator;
    Transition { from, to, reason }.level() as u8
}

#[test]
fn changes_of_state_are_critical() {
    assert_eq!(level(Backup, Master), 2);
    assert_eq!(level(Master, Backup), 2);
}

#[test]
fn changes_from_and_to_init_are_warnings() {
    for (from, to) in [(Init, Backup), (Backup, Init), (Master, Init)] {
        assert_eq!(level(from, to), 4);
    }
}

#[test]
fn discards_have_openbsds_levels() {
    let level = |discard: Discard| discard.level().map(|level| level as u8);
    assert_eq!(level(Discard::Echo), Some(4));
    assert_eq!(level(Discard::BadTtl), Some(5));
    assert_eq!(level(Discard::BadVersion), Some(5));
    assert_eq!(level(Discard::BadDigest), Some(6));
    assert_eq!(level(Discard::BadChecksum), Some(6));
    assert_eq!(level(Discard::BadLength), Some(6));
    assert_eq!(level(Discard::BadInterface), Some(6));
    assert_eq!(level(Discard::BadVhid), None);
    assert_eq!(level(Discard::NotAllowed), None);
}

#[test]
fn demotion_and_send_errors_have_openbsds_levels() {
    assert_eq!((DEMOTION as u8, SEND_ERROR as u8), (3, 4));
}

#[test]
fn by_default_changes_of_state_are_printed_and_nothing_else() {
    assert_eq!(DEFAULT, 2);
    assert!(Level::Critical.is_printed(DEFAULT));
    for level in [
        Level::Error,
        Level::Warning,
        Level::Notice,
        Level::Info,
        Level::Debug,
    ] {
        assert!(!level.is_printed(DEFAULT));
        assert!(level.is_printed(level as u8));
        assert!(level.is_printed(7));
        assert!(!level.is_printed(0));
    }
}

#[test]
fn every_reason_and_discard_has_words_of_its_own() {
    let reasons = REASONS.map(Reason::as_str);
    let discards = [
        Discard::NotAllowed,
        Discard::BadInterface,
        Discard::BadTtl,
        Discard::BadLength,
        Discard::BadChecksum,
        Discard::BadVhid,
        Discard::BadVersion,
        Discard::BadDigest,
        Discard::Echo,
    ]
    .map(Discard::as_str);
    for words in [&reasons[..], &discards[..]] {
        let different: std::collections::BTreeSet<_> = words.iter().collect();
        assert_eq!(different.len(), words.len());
        assert!(words.iter().all(|text| text.is_ascii() && !text.is_empty()));
    }
    assert_eq!(Reason::Preempting.to_string(), "preempting a slower master");
}

/// Whoever reads the log finds each reason in the manual.
#[test]
fn the_manual_explains_every_reason() {
    let manual = include_str!("../../../docs/carp.4");
    let (_, diagnostics) = manual.split_once(".Sh DIAGNOSTICS").expect("is a section");
    let discards = [
        Discard::BadInterface,
        Discard::BadTtl,
        Discard::BadLength,
        Discard::BadChecksum,
        Discard::BadVersion,
        Discard::BadDigest,
        Discard::Echo,
    ];
    let told = REASONS.map(Reason::as_str);
    for reason in told.iter().chain(&discards.map(Discard::as_str)) {
        assert!(diagnostics.contains(reason), "{reason}");
    }
}
