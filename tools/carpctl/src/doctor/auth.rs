// SPDX-License-Identifier: GPL-2.0

//! What is wrong with the authentication of whole packets, by what of it was counted while
//! frames were looked at.

use super::{Finding, Look};
use crate::{
    auth::Auth,
    contract::{name, AUTHS},
    difference::auth_of,
    interface::Interface,
    kind::Kind,
    show::joined,
};

/// enum carp_auth: from here on packets are signed, and those that are not are missing.
const PERMISSIVE: u8 = 2;
const ENFORCE: u8 = 3;

pub fn look(look: &Look) -> Vec<Finding> {
    let mut findings = Vec::new();
    for interface in look.after.interfaces.values().filter(|it| it.is_up()) {
        if let Some((kind, auth, _)) = auth_of(interface) {
            let prefix = match kind {
                Kind::Carp => "rx_auth_",
                Kind::Pfsync => "auth_",
            };
            let growth =
                |outcome: &str| look.growth(interface.index, &format!("{prefix}{outcome}"));
            findings.extend(of_interface(interface, auth, growth));
        }
    }
    findings
}

fn of_interface(interface: &Interface, auth: &Auth, growth: impl Fn(&str) -> u64) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find = |check, outcome: &str, what: String, advice: &str| {
        if growth(outcome) > 0 {
            findings.push(Finding::new(check, &interface.name, what, advice));
        }
    };
    if auth.mode >= PERMISSIVE {
        let mode = name(AUTHS, auth.mode);
        let fate = if auth.mode == ENFORCE {
            ", and are dropped"
        } else {
            ""
        };
        find(
            "auth-missing",
            "missing",
            format!("packets come in without authentication, while auth is {mode} here{fate}"),
            "Let all hosts be permissive before one enforces: carpctl INTERFACE auth permissive",
        );
    }
    find(
        "auth-key",
        "unknown_key",
        format!(
            "packets come in that are signed with a key that is not among authkeys {}",
            joined(&auth.keys, ",")
        ),
        "Add the key here before another host makes it active",
    );
    find(
        "auth-key",
        "bad_hmac",
        "packets come in whose HMAC is wrong: a key is not the same on all hosts, or they are \
         forged"
            .to_owned(),
        "Compare the key files on all hosts: sha256sum /etc/carp/key1",
    );
    find(
        "auth-clock",
        "stale",
        format!(
            "packets come in that are older or newer than authwindow {} s allows",
            auth.window
        ),
        "Compare the clocks of all hosts (timedatectl), or say authmonotonic on all; else they \
         are recordings",
    );
    find(
        "auth-replayed",
        "replayed",
        "packets come in for a second time".to_owned(),
        "Look for a loop of the network, for two hosts with one address, for authtime and \
         authmonotonic on different hosts; else somebody replays them",
    );
    find(
        "auth-malformed",
        "malformed",
        "packets come in whose authentication is malformed".to_owned(),
        "Compare the versions of carp on all hosts",
    );
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted() {
        let found = |mode: u8, counted: &str| {
            let auth = Auth {
                mode,
                keys: vec![1, 2],
                active: 1,
                window: 5,
                ..Auth::default()
            };
            let growth = |outcome: &str| u64::from(outcome == counted);
            let found = of_interface(&Interface::default(), &auth, growth);
            let lines = found.iter().map(|it| format!("{}: {}", it.check, it.what));
            Vec::from_iter(lines).concat()
        };
        for counted in ["good", "nothing"] {
            assert_eq!(found(3, counted), "");
        }
        assert_eq!(found(1, "missing"), "");
        assert!(found(2, "missing").ends_with("while auth is permissive here"));
        assert!(found(3, "missing").ends_with("while auth is enforce here, and are dropped"));
        assert!(found(1, "unknown_key").ends_with("not among authkeys 1,2"));
        for (counted, check) in [
            ("bad_hmac", "auth-key: "),
            ("stale", "auth-clock: "),
            ("replayed", "auth-replayed: "),
            ("malformed", "auth-malformed: "),
        ] {
            assert!(found(3, counted).starts_with(check), "{counted}");
        }
    }
}
