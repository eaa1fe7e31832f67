// SPDX-License-Identifier: GPL-2.0

//! Carries a command out, once all of its words are checked.

use crate::{
    addresses::with_prefix_len,
    change::Change,
    error::{failed, usage, Result},
    interface::{Interface, Route, NAME_MAX},
    kind::Kind,
    output::warn,
    plan::{delete, Plan},
    remembered::{forget_keys, forget_phrase},
    virtual_device::{self, says_how_to_make_one},
    words,
};

/// Does what the words that follow an interface's name ask for.
pub fn apply(name: &str, words: &[String]) -> Result<()> {
    let mut route = Route::open()?;
    let existing = route.by_name(name)?;
    let mut change = words::read(kind(name, existing.as_ref(), words), words)?;
    if change.destroy {
        let interface = match existing {
            Some(interface) if virtual_device::is_one(&interface) => interface,
            _ => route.ours_by_name(name)?,
        };
        forget_phrase(interface.index);
        forget_keys(interface.index);
        return delete(&mut route, interface.index).map_err(|error| error.about(name));
    }
    match &existing {
        Some(_) if change.create => return failed(format!("{name} is there already")),
        Some(_) => {}
        None => check_new_name(name, &change)?,
    }
    let present = match &existing {
        Some(interface) => route.addresses(Some(interface.index))?,
        None => Vec::new(),
    };
    change.addresses = with_prefix_len(&change, existing.as_ref(), &[], &mut route)?;
    let plan = Plan::new(name, &change, existing.as_ref(), &present, &mut route)?;
    for warning in &change.warnings {
        warn(warning);
    }
    if let Some(interface) = existing.as_ref().filter(|_| change.phrase().is_some()) {
        // it may be set though the rest fails
        forget_phrase(interface.index);
    }
    if let Some(interface) = existing.as_ref().filter(|_| !change.auth_keys.is_empty()) {
        forget_keys(interface.index);
    }
    plan.carry_out(&mut route)
        .map_err(|error| error.about(name))?;
    if existing.is_none() {
        let index = route.existing(name)?.index;
        forget_phrase(index);
        forget_keys(index);
    }
    Ok(())
}

/// The kind of an interface or, where it is not there yet, the one that it will be of.
pub fn kind(name: &str, existing: Option<&Interface>, words: &[String]) -> Option<Kind> {
    match existing {
        Some(interface) => interface.kind(),
        None if says_how_to_make_one(words) && !Kind::is_usual(name) => None,
        None => Some(Kind::of_name(name)),
    }
}

/// Naming a carpN or pfsyncN that is not there makes it, as ifconfig(8) does.
fn check_new_name(name: &str, change: &Change) -> Result<()> {
    let usual = change.kind.is_some_and(|kind| kind.is_usual_name(name));
    let is_virtual = change.virtual_device.kind().is_some();
    if !usual && !is_virtual && !change.create {
        return failed(format!("{name}: there is no such interface"));
    }
    if name.len() > NAME_MAX {
        return usage(format!("{name} is longer than {NAME_MAX} characters"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(line: &str) -> Change {
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        words::read(Some(Kind::Carp), &words).expect("is right")
    }

    #[test]
    fn which_names_make_an_interface() {
        let (create, vhid) = (change("create"), change("vhid 1"));
        assert!(check_new_name("carp0", &vhid).is_ok());
        assert!(check_new_name("carp12", &create).is_ok());
        assert!(check_new_name("vip", &create).is_ok());
        for name in ["carp", "carpx", "eth0", ""] {
            assert!(check_new_name(name, &vhid).is_err(), "{name}");
        }
        let long = check_new_name("carp000000000000", &vhid).expect_err("is too long");
        assert_eq!(long.exit_status(), 2);
    }
}
