// SPDX-License-Identifier: GPL-2.0

//! What a hostname.if(5) file wants of its interface.

use crate::{
    address::Action,
    auth::AuthKey,
    change::Change,
    hostname_file::{Content, Line, Mistake},
    kind::Kind,
    setting::Setting,
    virtual_device::says_how_to_make_one,
    words,
};

#[derive(Debug)]
pub enum Step {
    /// All lines up to the next command.
    Change(Box<Change>),
    /// For the shell, in this line.
    Command(usize, String),
}

#[derive(Debug, Default)]
pub struct Wanted {
    /// All that the file says of the interface.
    pub whole: Change,
    /// The same in the file's order, with its commands; the first is a change.
    pub steps: Vec<Step>,
    /// IPv4 addresses come from a DHCP client.
    pub dhcp: bool,
    /// IPv6 addresses come from router advertisements.
    pub autoconf: bool,
    /// In sentences, with the line.
    pub warnings: Vec<Mistake>,
}

impl Wanted {
    /// Reads the lines of a file for an interface of a kind.
    pub fn read(kind: Option<Kind>, lines: Vec<Line>) -> (Self, Vec<Mistake>) {
        let empty = || Change {
            kind,
            ..Change::default()
        };
        let mut wanted = Self {
            whole: empty(),
            ..Self::default()
        };
        let mut mistakes = Vec::new();
        let mut now = empty();
        for Line { number, content } in lines {
            let words = match content {
                Content::Words(words) => words,
                Content::Command(command) => {
                    let before = std::mem::replace(&mut now, empty());
                    // the first step makes the interface
                    if wanted.steps.is_empty() || !before.is_empty() {
                        wanted.steps.push(Step::Change(Box::new(before)));
                    }
                    wanted.steps.push(Step::Command(number, command));
                    continue;
                }
            };
            match wanted.line(kind, &words, number) {
                Ok(change) if wanted.whole.contradicts_peers(&change) => mistakes.push(Mistake {
                    line: number,
                    sentence: "carppeer and peer, peer6, mcast or mcast6 speak of the same: \
                               say it in one of these ways"
                        .to_owned(),
                }),
                Ok(change) => {
                    wanted.whole.merge(change.clone());
                    now.merge(change);
                }
                Err(sentence) => mistakes.push(Mistake {
                    line: number,
                    sentence,
                }),
            }
        }
        if wanted.steps.is_empty() || !now.is_empty() {
            wanted.steps.push(Step::Change(Box::new(now)));
        }
        (wanted, mistakes)
    }

    /// One line, which may begin with what ifconfig(8) does not do by itself.
    fn line(
        &mut self,
        kind: Option<Kind>,
        words: &[String],
        number: usize,
    ) -> Result<Change, String> {
        let text: Vec<_> = words.iter().map(String::as_str).collect();
        let rest = match &text[..] {
            ["dhcp", ..] => {
                self.wants_dhcp(number);
                1
            }
            ["inet", "autoconf", ..] => {
                self.wants_dhcp(number);
                2
            }
            ["rtsol", ..] => {
                self.autoconf = true;
                1
            }
            ["inet6", "autoconf", ..] => {
                self.autoconf = true;
                2
            }
            ["rtlabel" | "rdomain" | "media" | "mediaopt" | "nwid" | "wpakey" | "join", ..] => {
                let word = words.first().map_or("", String::as_str);
                return Err(format!(
                    "{word} is OpenBSD's alone: Linux has other tools for it, which a line with ! can call"
                ));
            }
            _ => 0,
        };
        let words = words.get(rest..).unwrap_or_default();
        let mut change = words::read(kind, words).map_err(|error| error.to_string())?;
        if rest > 0 && self.whole.up.is_none() {
            // as on OpenBSD; a later down wins
            change.up.get_or_insert(true);
        }
        if change.destroy {
            return Err("destroy has no place in a file".to_owned());
        }
        change.create = false;
        // a file lists all addresses: none of them replaces another, and -inet6 means that
        // it lists none
        (change.flush_ipv4, change.flush_ipv6) = (false, false);
        for address in &mut change.addresses {
            if address.action == Action::Set {
                address.action = Action::Add;
            }
        }
        let warnings = std::mem::take(&mut change.warnings);
        let located = warnings.into_iter().map(|sentence| Mistake {
            line: number,
            sentence,
        });
        self.warnings.extend(located);
        Ok(change)
    }

    fn wants_dhcp(&mut self, line: usize) {
        self.dhcp = true;
        self.warnings.push(Mistake {
            line,
            sentence: "DHCP is not carpctl's to do: start a DHCP client, for example in a line \
                       with !"
                .to_owned(),
        });
    }

    /// Whether a passphrase stands in the file itself.
    pub fn has_phrase(lines: &[Line]) -> bool {
        lines.iter().any(|line| match &line.content {
            Content::Words(words) => words.iter().any(|word| word == "pass"),
            Content::Command(_) => false,
        })
    }

    /// Whether a line is for the shell.
    pub fn has_command(lines: &[Line]) -> bool {
        let is_command = |line: &Line| matches!(line.content, Content::Command(_));
        lines.iter().any(is_command)
    }
}

/// What an interface will be that is not there yet: by its name, or by what is said of it.
pub fn kind_of_new(name: &str, lines: &[Line]) -> Option<Kind> {
    let mut words = lines.iter().filter_map(|line| match &line.content {
        Content::Words(words) => Some(words),
        Content::Command(_) => None,
    });
    let usual = Kind::ALL.into_iter().find(|kind| kind.is_usual_name(name));
    if usual.is_some() {
        return usual;
    }
    let first = words.find_map(|words| {
        if says_how_to_make_one(words) {
            return Some(None);
        }
        let says = |word: &str| words.iter().any(|it| it == word);
        if says("vhid") || says("carpnodes") {
            return Some(Some(Kind::Carp));
        }
        says("syncdev").then_some(Some(Kind::Pfsync))
    });
    first.flatten()
}

impl Change {
    pub fn is_empty(&self) -> bool {
        *self
            == Self {
                kind: self.kind,
                ..Self::default()
            }
    }

    /// Whether one of the two says `carppeer` and the other one `peer` or its like.
    fn contradicts_peers(&self, other: &Self) -> bool {
        let of_a_family = |it: &Self| it.peer_ipv4.is_some() || it.peer_ipv6.is_some();
        let of_both = |it: &Self| {
            let mut settings = it.settings.iter();
            settings.any(|setting| matches!(setting, Setting::Peers(_)))
        };
        of_a_family(self) && of_both(other) || of_both(self) && of_a_family(other)
    }

    /// Leaves out what a later line says otherwise. `whole` is what all lines say together.
    pub fn retain_last_words(&mut self, whole: &Self) {
        fn retain<T: PartialEq>(here: &mut Option<T>, last: &Option<T>) {
            if here != last {
                *here = None;
            }
        }
        let is_last = |setting: &Setting| whole.settings.contains(setting);
        self.settings.retain(is_last);
        self.auth_keys.retain(|key| whole.auth_keys.contains(key));
        self.lost_keys.retain(|id| whole.lost_keys.contains(id));
        retain(&mut self.device, &whole.device);
        self.join.retain(|group| whole.join.contains(group));
        self.leave.retain(|group| whole.leave.contains(group));
        retain(&mut self.peer_ipv4, &whole.peer_ipv4);
        retain(&mut self.peer_ipv6, &whole.peer_ipv6);
        retain(&mut self.state, &whole.state);
        retain(&mut self.lladdr, &whole.lladdr);
        self.is_lladdr_random &= self.lladdr.is_some();
        retain(&mut self.mtu, &whole.mtu);
        retain(&mut self.description, &whole.description);
        self.addresses
            .retain(|address| whole.addresses.contains(address));
        let (ports, leaving) = (&whole.virtual_device.ports, &whole.virtual_device.leaving);
        let device = &mut self.virtual_device;
        device.ports.retain(|port| ports.contains(port));
        device.leaving.retain(|port| leaving.contains(port));
        // an address does not bring up what is down in the end
        self.up = match (self.up, whole.up) {
            (Some(up), Some(last)) if up != last => None,
            (None, Some(false)) if self.has_addresses() => Some(false),
            (up, _) => up,
        };
    }

    /// Whether it gives addresses, which bring an interface up.
    pub fn has_addresses(&self) -> bool {
        let mut addresses = self.addresses.iter();
        addresses.any(|address| address.action != Action::Remove)
    }

    /// Adds what `later` says, which wins where both say something.
    pub fn merge(&mut self, later: Self) {
        fn replace<T>(old: &mut Option<T>, new: Option<T>) {
            if new.is_some() {
                *old = new;
            }
        }
        self.settings
            .retain(|setting| !later.settings.iter().any(|it| it.is_same_word(setting)));
        self.settings.extend(later.settings);
        self.auth_keys
            .retain(|key| !later.lost_keys.contains(&key.id) && !has_key(&later.auth_keys, key.id));
        self.lost_keys
            .retain(|id| !has_key(&later.auth_keys, *id) && !later.lost_keys.contains(id));
        self.auth_keys.extend(later.auth_keys);
        self.lost_keys.extend(later.lost_keys);
        replace(&mut self.device, later.device);
        self.join.retain(|group| !later.leave.contains(group));
        self.leave.retain(|group| !later.join.contains(group));
        self.join.extend(later.join);
        self.leave.extend(later.leave);
        replace(&mut self.peer_ipv4, later.peer_ipv4);
        replace(&mut self.peer_ipv6, later.peer_ipv6);
        replace(&mut self.state, later.state);
        replace(&mut self.up, later.up);
        if later.lladdr.is_some() {
            self.is_lladdr_random = later.is_lladdr_random;
        }
        replace(&mut self.lladdr, later.lladdr);
        replace(&mut self.mtu, later.mtu);
        replace(&mut self.description, later.description);
        self.flush_ipv4 |= later.flush_ipv4;
        self.flush_ipv6 |= later.flush_ipv6;
        self.addresses.retain(|address| {
            !later
                .addresses
                .iter()
                .any(|it| it.address == address.address)
        });
        self.addresses.extend(later.addresses);
        let device = &mut self.virtual_device;
        replace(&mut device.vnetid, later.virtual_device.vnetid);
        replace(&mut device.parent, later.virtual_device.parent);
        replace(&mut device.trunkproto, later.virtual_device.trunkproto);
        device.is_bond |= later.virtual_device.is_bond;
        let (ports, leaving) = (later.virtual_device.ports, later.virtual_device.leaving);
        device.ports.retain(|port| !leaving.contains(port));
        device.leaving.retain(|port| !ports.contains(port));
        device.ports.extend(ports);
        device.leaving.extend(leaving);
    }
}

/// Whether a key of this id is among them.
pub fn has_key(keys: &[AuthKey], id: u8) -> bool {
    keys.iter().any(|key| key.id == id)
}

impl Setting {
    /// Whether only the value differs.
    pub fn is_same_word(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Byte { attribute: a, .. }, Self::Byte { attribute: b, .. })
            | (Self::Number { attribute: a, .. }, Self::Number { attribute: b, .. }) => a == b,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hostname_file;

    fn wanted(kind: Option<Kind>, text: &str) -> (Wanted, Vec<String>) {
        let (lines, mistakes) = hostname_file::read(text);
        assert_eq!(mistakes, []);
        let (wanted, mistakes) = Wanted::read(kind, lines);
        let told = mistakes
            .into_iter()
            .map(|mistake| format!("{}: {}", mistake.line, mistake.sentence))
            .collect();
        (wanted, told)
    }

    #[test]
    fn lines_up_to_a_command_are_one_step() {
        let text = "inet 10.0.0.1 255.255.255.0\ninet alias 10.0.0.2/32\nmtu 1400\n!true\nmtu 1300\ndown\n";
        let (wanted, mistakes) = wanted(None, text);
        assert_eq!(mistakes, [""; 0]);
        let [Step::Change(first), Step::Command(4, command), Step::Change(second)] =
            &wanted.steps[..]
        else {
            panic!("{:?}", wanted.steps)
        };
        assert_eq!(command, "true");
        assert_eq!((first.addresses.len(), first.mtu), (2, Some(1400)));
        assert!(first.addresses.iter().all(|it| it.action == Action::Add));
        assert_eq!((second.mtu, second.up), (Some(1300), Some(false)));
        assert_eq!(wanted.whole.mtu, Some(1300));
    }

    #[test]
    fn the_last_word_counts() {
        let text = "down mtu 1400 description x group a inet 10.0.0.1/24\n!true\n\
                    up mtu 1500 -group a inet 10.0.0.1/25 carpdev eth0\n";
        let (wanted, mistakes) = wanted(Some(Kind::Carp), text);
        assert_eq!(mistakes, [""; 0]);
        assert_eq!((wanted.whole.join.len(), wanted.whole.leave.len()), (0, 1));
        let last = |index: usize| match &wanted.steps[index] {
            Step::Change(change) => {
                let mut change = change.clone();
                change.retain_last_words(&wanted.whole);
                change
            }
            step => panic!("{step:?}"),
        };
        let first = last(0);
        assert_eq!((first.up, first.mtu), (None, None));
        assert_eq!(first.description.as_deref(), Some("x"));
        assert!(first.join.is_empty() && first.addresses.is_empty());
        let Step::Change(second) = &wanted.steps[2] else {
            panic!("{:?}", wanted.steps)
        };
        assert_eq!(last(2), *second);
    }

    #[test]
    fn an_address_and_a_later_down() {
        let (wanted, _) = wanted(None, "inet 10.0.0.1/24\n!true\ndown\n");
        let Step::Change(first) = &wanted.steps[0] else {
            panic!("{:?}", wanted.steps)
        };
        let mut first = first.clone();
        first.retain_last_words(&wanted.whole);
        assert_eq!(first.up, Some(false));
    }

    #[test]
    fn peers_in_two_ways() {
        let (_, told) = wanted(Some(Kind::Carp), "carppeer 10.0.0.3\nup\npeer 10.0.0.4\n");
        assert_eq!(told.len(), 1);
        assert!(
            told.concat().starts_with("3: carppeer and peer"),
            "{told:?}"
        );
    }

    #[test]
    fn a_family_without_addresses() {
        let (wanted, mistakes) = wanted(None, "-inet6 up\n");
        assert_eq!(mistakes, [""; 0]);
        assert!(!wanted.whole.flush_ipv6);
    }

    #[test]
    fn a_command_alone() {
        let (wanted, _) = wanted(None, "!true");
        assert!(matches!(
            &wanted.steps[..],
            [Step::Change(_), Step::Command(1, _)]
        ));
    }

    #[test]
    fn addresses_that_others_give() {
        let (wanted, mistakes) = wanted(None, "dhcp\ninet6 autoconf up\n");
        assert_eq!(mistakes, [""; 0]);
        assert!(wanted.dhcp && wanted.autoconf);
        assert_eq!(wanted.whole.up, Some(true));
        assert_eq!(wanted.warnings.len(), 1);

        let up = |text| self::wanted(None, text).0.whole.up;
        assert_eq!(up("inet6 autoconf\n"), Some(true));
        assert_eq!(up("dhcp\ndown\n"), Some(false));
        assert_eq!(up("down\ndhcp\n"), Some(false));
    }

    #[test]
    fn all_mistakes_are_told() {
        let (_, told) = wanted(
            Some(Kind::Carp),
            "vhid1\nup\nadvskew 300\ndestroy\nrtlabel x\n",
        );
        assert_eq!(
            told,
            [
                "1: there is no word \"vhid1\": did you mean vhid 1?",
                "3: advskew \"300\": a number of 0-254 is expected",
                "4: destroy has no place in a file",
                "5: rtlabel is OpenBSD's alone: Linux has other tools for it, which a line with ! can call",
            ]
        );
    }

    #[test]
    fn what_a_new_interface_is() {
        let kind = |name, text| kind_of_new(name, &hostname_file::read(text).0);
        assert_eq!(kind("carp7", "up"), Some(Kind::Carp));
        assert_eq!(kind("pfsync0", "up"), Some(Kind::Pfsync));
        assert_eq!(kind("vip", "up\nvhid 1"), Some(Kind::Carp));
        assert_eq!(kind("vlan5", "vnetid 5 parent eth0"), None);
        assert_eq!(kind("eth0", "up"), None);
    }
}
