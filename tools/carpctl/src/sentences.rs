// SPDX-License-Identifier: GPL-2.0

//! What a change would do, in sentences for `carpctl netstart --check`.

use crate::{
    address::{Action, AddressChange},
    change::Change,
    contract::{name, STATES},
};

/// One sentence for each thing that `change` does to the interface `name`.
pub fn sentences(interface: &str, change: &Change, is_there: bool) -> Vec<String> {
    let mut told = Vec::new();
    let mut tell = |what: String| told.push(format!("{interface} would {what}."));
    if !is_there {
        tell("be created".to_owned());
    }
    for setting in &change.settings {
        tell(format!("get {setting}"));
    }
    for key in &change.auth_keys {
        tell(format!("get authkey {}", key.id));
    }
    for id in &change.lost_keys {
        tell(format!("lose authkey {id}"));
    }
    if let Some(device) = &change.device {
        let word = change.kind.map_or("", |kind| kind.device().0);
        match device {
            Some(device) => tell(format!("get {word} {device}")),
            None => tell(format!("get -{word}")),
        }
    }
    match change.peer_ipv4 {
        Some(Some(peer)) => tell(format!("get peer {peer}")),
        Some(None) => tell("get mcast".to_owned()),
        None => {}
    }
    match change.peer_ipv6 {
        Some(Some(peer)) => tell(format!("get peer6 {peer}")),
        Some(None) => tell("get mcast6".to_owned()),
        None => {}
    }
    for group in &change.join {
        tell(format!("join group {group}"));
    }
    for group in &change.leave {
        tell(format!("leave group {group}"));
    }
    if let Some(mtu) = change.mtu {
        tell(format!("get mtu {mtu}"));
    }
    if let Some(lladdr) = change.lladdr {
        let octets = lladdr.map(|octet| format!("{octet:02x}"));
        tell(format!("get lladdr {}", octets.join(":")));
    }
    match change.description.as_deref() {
        Some("") => tell("lose its description".to_owned()),
        Some(text) => tell(format!("get the description \"{text}\"")),
        None => {}
    }
    for port in &change.virtual_device.ports {
        tell(format!("have the port {port}"));
    }
    for port in &change.virtual_device.leaving {
        tell(format!("not have the port {port}"));
    }
    for address in &change.addresses {
        match address.action {
            Action::Remove => tell(format!("lose the address {}", shown(address))),
            _ => tell(format!("get the address {}", shown(address))),
        }
    }
    match change.up {
        Some(true) => tell("be set up".to_owned()),
        Some(false) => tell("be set down".to_owned()),
        None => {}
    }
    if let Some(state) = change.state {
        tell(format!("become {}", name(STATES, state).to_uppercase()));
    }
    told
}

fn shown(address: &AddressChange) -> String {
    match address.prefix_len {
        Some(length) => format!("{}/{length}", address.address),
        None => address.address.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{kind::Kind, words};

    fn told(line: &str, is_there: bool) -> Vec<String> {
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        let change = words::read(Some(Kind::Carp), &words).expect("is right");
        sentences("carp0", &change, is_there)
    }

    #[test]
    fn everything() {
        assert_eq!(
            told(
                "vhid 1 pass secret carpdev eth0 peer 10.0.0.3 mcast6 group a -group b mtu 1400 \
                 lladdr 2:0:0:0:0:1 description lan 10.0.0.1/24 -alias 10.0.0.9 up state master",
                false
            ),
            [
                "carp0 would be created.",
                "carp0 would get vhid 1.",
                "carp0 would get pass ....",
                "carp0 would get carpdev eth0.",
                "carp0 would get peer 10.0.0.3.",
                "carp0 would get mcast6.",
                "carp0 would join group a.",
                "carp0 would leave group b.",
                "carp0 would get mtu 1400.",
                "carp0 would get lladdr 02:00:00:00:00:01.",
                "carp0 would get the description \"lan\".",
                "carp0 would get the address 10.0.0.1/24.",
                "carp0 would lose the address 10.0.0.9.",
                "carp0 would be set up.",
                "carp0 would become MASTER.",
            ]
        );
        assert_eq!(
            told("-carpdev -description down", true),
            [
                "carp0 would get -carpdev.",
                "carp0 would lose its description.",
                "carp0 would be set down.",
            ]
        );
    }
}
