// SPDX-License-Identifier: GPL-2.0

//! In which form states are told of: in the one that all who listen read.

use carp_proto::pfsync::systems::Systems;

#[test]
fn nobody_was_heard() {
    let systems = Systems::default();
    assert!(!systems.read_compact() && !systems.has_linux() && !systems.has_pf());
    assert!(!systems.all_confirm());
}

#[test]
fn linux_hosts_that_read_it_are_told_in_their_own_form() {
    let mut systems = Systems::default();
    systems.heard_linux();
    assert!(!systems.read_compact() && systems.has_linux() && systems.all_confirm());
    systems.heard_greeting(true);
    assert!(systems.read_compact());
    let mut systems = Systems::default();
    systems.heard_compact();
    assert!(systems.read_compact() && systems.has_linux());
}

#[test]
fn an_older_one_among_them_is_heeded() {
    for first in [true, false] {
        let mut systems = Systems::default();
        systems.heard_greeting(first);
        systems.heard_greeting(!first);
        systems.heard_compact();
        assert!(!systems.read_compact() && systems.all_confirm());
    }
}

#[test]
fn with_pf_among_them_all_is_said_as_pf_says_it() {
    let mut systems = Systems::default();
    systems.heard_compact();
    systems.heard_pf();
    assert!(!systems.read_compact() && systems.has_pf() && systems.has_linux());
    assert!(!systems.all_confirm());
}

#[test]
fn who_ends_a_bulk_update_without_a_greeting_may_be_pf() {
    let mut systems = Systems::default();
    systems.heard_compact();
    systems.heard_end_without_greeting();
    assert!(!systems.read_compact() && !systems.has_pf());
}

#[test]
fn others_show_again_what_they_read() {
    let mut systems = Systems::default();
    systems.heard_greeting(true);
    systems.may_be_others();
    assert!(!systems.read_compact() && systems.has_linux());
    systems.heard_compact();
    assert!(systems.read_compact());
}
