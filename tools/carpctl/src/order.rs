// SPDX-License-Identifier: GPL-2.0

//! The order in which interfaces are started: what others stand on comes first, pfsync
//! before carp, so that a firewall asks for states before it takes anything over.

use std::collections::HashSet;

pub trait Named {
    fn name(&self) -> &str;
    /// Nothing: a physical interface.
    fn link_kind(&self) -> Option<&str>;
    /// The interfaces that it stands on.
    fn below(&self) -> Vec<&str>;
}

fn class(link_kind: Option<&str>) -> u8 {
    match link_kind {
        None => 0,
        Some("vlan") => 2,
        Some("bond") => 3,
        Some("bridge") => 4,
        Some("pfsync") => 5,
        Some("carp") => 6,
        Some(_) => 1,
    }
}

pub fn in_order<T: Named>(mut items: Vec<T>) -> Vec<T> {
    items.sort_by(|a, b| {
        let key = |item: &T| (class(item.link_kind()), item.name().to_owned());
        key(a).cmp(&key(b))
    });
    let names: HashSet<String> = items.iter().map(|item| item.name().to_owned()).collect();
    let mut done = HashSet::new();
    let mut ordered = Vec::with_capacity(items.len());
    while !items.is_empty() {
        let is_ready = |item: &T| {
            let mut below = item.below().into_iter();
            below.all(|name| done.contains(name) || !names.contains(name))
        };
        // in a circle nobody is ready, and somebody must be first
        let next = items.iter().position(is_ready).unwrap_or(0);
        let item = items.remove(next);
        done.insert(item.name().to_owned());
        ordered.push(item);
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Item(&'static str, Option<&'static str>, &'static [&'static str]);

    impl Named for Item {
        fn name(&self) -> &str {
            self.0
        }

        fn link_kind(&self) -> Option<&str> {
            self.1
        }

        fn below(&self) -> Vec<&str> {
            self.2.to_vec()
        }
    }

    fn ordered(items: Vec<Item>) -> Vec<&'static str> {
        in_order(items).into_iter().map(|item| item.0).collect()
    }

    #[test]
    fn what_others_stand_on_comes_first() {
        let items = vec![
            Item("carp0", Some("carp"), &["vlan5"]),
            Item("bond0", Some("bond"), &["eth1", "eth0"]),
            Item("vlan5", Some("vlan"), &["bond0"]),
            Item("br0", Some("bridge"), &["eth9"]),
            Item("pfsync0", Some("pfsync"), &["eth2"]),
            Item("eth1", None, &[]),
            Item("eth0", None, &[]),
        ];
        assert_eq!(
            ordered(items),
            ["eth0", "eth1", "bond0", "vlan5", "br0", "pfsync0", "carp0"]
        );
    }

    #[test]
    fn a_circle_ends() {
        let items = vec![Item("a", None, &["b"]), Item("b", None, &["a"])];
        assert_eq!(ordered(items), ["a", "b"]);
    }
}
