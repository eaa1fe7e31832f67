// SPDX-License-Identifier: GPL-2.0

//! Several keys at a time.

use crate::common::id;
use carp_proto::auth::key::{KeyError, KeyId, Keys, KEYS_MAX, KEY_LEN};

#[test]
fn there_is_no_key_0() {
    assert_eq!(KeyId::new(0), None);
    assert_eq!(KeyId::new(255).map(KeyId::get), Some(255));
    assert!(!KEY_LEN.contains(&31) && !KEY_LEN.contains(&65));
    assert!(KEY_LEN.contains(&32) && KEY_LEN.contains(&64));
}

#[test]
fn a_key_is_changed_without_a_gap() {
    let mut keys = Keys::default();
    assert_eq!(keys.active(), None);
    assert_eq!(keys.activate(id(1)), Err(KeyError::Unknown));
    assert_eq!(keys.insert(id(1), "old"), Ok(None));
    assert_eq!(keys.active(), None, "not before it is said");
    assert_eq!(keys.activate(id(1)), Ok(()));
    assert_eq!(keys.insert(id(2), "new"), Ok(None));
    assert_eq!(keys.active(), Some((id(1), &"old")));
    assert_eq!(keys.remove(id(1)), Err(KeyError::Active));
    assert_eq!(keys.activate(id(2)), Ok(()));
    assert_eq!(
        keys.get(id(1)),
        Some(&"old"),
        "others may still sign with it"
    );
    assert_eq!(keys.remove(id(1)), Ok("old"));
    assert_eq!(keys.get(id(1)), None);
    assert_eq!(keys.remove(id(1)), Err(KeyError::Unknown));
    keys.deactivate();
    assert_eq!(keys.active(), None);
    assert_eq!(keys.remove(id(2)), Ok("new"));
}

#[test]
fn there_are_eight_at_a_time() {
    let mut keys = Keys::default();
    for number in 1..=KEYS_MAX as u8 {
        assert_eq!(keys.insert(id(number), number), Ok(None));
    }
    assert_eq!(keys.insert(id(200), 200), Err(KeyError::Full));
    assert_eq!(keys.insert(id(3), 33), Ok(Some(3)), "replaced");
    assert_eq!(keys.iter().count(), KEYS_MAX);
    assert_eq!(keys.remove(id(1)), Ok(1));
    assert_eq!(keys.insert(id(200), 200), Ok(None));
    assert_eq!(keys.get(id(200)), Some(&200));
    assert_eq!(keys.get(id(3)), Some(&33));
}
