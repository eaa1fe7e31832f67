// SPDX-License-Identifier: GPL-2.0

//! What is wrong around the interfaces: parents that cannot do it, programs that meddle, the
//! next kernel, files that others can read.

use super::{filter, Finding, Look};
use crate::interface::Interface;
use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

const CHECK_KERNEL: &str = "/usr/lib/carp/check-kernel";

pub fn look(look: &Look) -> Vec<Finding> {
    let now = &look.after;
    let mut findings = Vec::new();
    for interface in now.interfaces.values().filter(|it| it.kind().is_some()) {
        findings.extend(networkd(interface, Path::new("/run/systemd/netif/links")));
        findings.extend(network_manager(
            interface,
            Path::new("/run/NetworkManager/devices"),
        ));
    }
    let parents = now.carps().filter_map(|(_, carp)| now.carpdev(carp));
    for parent in parents {
        findings.extend(wireless(&parent.name, Path::new("/sys/class/net")));
        findings.extend(filter::of_own_address(now, parent));
    }
    if look.is_root {
        findings.extend(next_kernel());
        findings.extend(readable(Path::new("/etc")));
        findings.extend(readable_credentials(Path::new("/etc/systemd/system")));
    }
    findings.dedup();
    findings
}

/// A station has one MAC address, and access points drop what is for another one.
fn wireless(parent: &str, sys: &Path) -> Option<Finding> {
    let is_wireless = sys.join(parent).join("phy80211").exists();
    is_wireless.then(|| {
        Finding::new(
            "parent-filters",
            parent,
            "it is wireless, and its access point drops frames for the virtual MAC",
            "Share addresses over a wired interface",
        )
    })
}

/// systemd-networkd, with a file that was not written for this interface.
fn networkd(interface: &Interface, links: &Path) -> Option<Finding> {
    let state = fs::read_to_string(links.join(interface.index.to_string())).ok()?;
    let value = |name: &str| {
        let mut lines = state.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
    };
    if value("ADMIN_STATE")? == "unmanaged" {
        return None;
    }
    let file = value("NETWORK_FILE")?;
    let words = fs::read_to_string(file).ok()?;
    // [Match] Name=carp0: it is on purpose
    let mut names = words
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Name="));
    if names.any(|names| names.split_whitespace().any(|name| name == interface.name)) {
        return None;
    }
    let unmanaged = words
        .lines()
        .any(|line| line.replace(' ', "").eq_ignore_ascii_case("Unmanaged=yes"));
    (!unmanaged).then(|| {
        Finding::new(
            "manager",
            &interface.name,
            format!("systemd-networkd manages it by {file}, and may take its addresses away"),
            "Exclude it there (Kind=!carp !pfsync in [Match]): see hostname.if(5)",
        )
    })
}

/// NetworkManager, without a connection that would be for this interface.
fn network_manager(interface: &Interface, devices: &Path) -> Option<Finding> {
    let state = fs::read_to_string(devices.join(interface.index.to_string())).ok()?;
    let has = |name: &str| state.lines().any(|line| line.starts_with(name));
    (has("managed=true") && !has("connection-uuid=")).then(|| {
        Finding::new(
            "manager",
            &interface.name,
            "NetworkManager manages it, and may take its addresses away",
            format!(
                "nmcli device set {} managed no; see hostname.if(5)",
                interface.name
            ),
        )
    })
}

fn next_kernel() -> Option<Finding> {
    let said = Command::new(CHECK_KERNEL).output().ok()?;
    if said.status.success() {
        return None;
    }
    let words = String::from_utf8_lossy(&said.stderr).replace("carp: ", "");
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    let (what, advice) = words.split_once(". ")?;
    let advice = advice.trim_end_matches('.');
    Some(Finding::new("next-kernel", "kernel", what, advice))
}

/// Files of interfaces with a passphrase, and files of passphrases and keys, that others than root can read.
fn readable(etc: &Path) -> Vec<Finding> {
    let Ok(entries) = fs::read_dir(etc) else {
        return Vec::new();
    };
    let paths = entries.flatten().map(|entry| entry.path());
    let mut files: Vec<_> = paths.filter(|path| is_hostname_file(path)).collect();
    files.sort();
    let mut findings = Vec::new();
    for file in files {
        let words = fs::read_to_string(&file).unwrap_or_default();
        let mut words = words.split_whitespace();
        while let Some(word) = words.next() {
            let secret = match word {
                "pass" => Some(("passphrase", file.clone())),
                "passfile" => words.next().map(|it| ("passphrase", it.into())),
                // its id, and the file
                "authkey" => words.nth(1).map(|it| ("key", it.into())),
                _ => None,
            };
            findings.extend(secret.and_then(|(what, path)| others_read_it(&path, what)));
        }
    }
    findings
}

/// Files that the units of carp get as credentials.
fn readable_credentials(units: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    for folder in ["carp.service.d", "carp-late@.service.d"] {
        let entries = fs::read_dir(units.join(folder)).into_iter().flatten();
        for entry in entries.flatten() {
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            let credentials = text
                .lines()
                .filter_map(|line| line.trim().strip_prefix("LoadCredential="));
            // NAME:PATH; one without a path lies where only root can read
            let paths = credentials.filter_map(|it| it.split_once(':'));
            findings.extend(paths.filter_map(|(_, path)| others_read_it(path.as_ref(), "secret")));
        }
    }
    findings
}

fn others_read_it(path: &Path, what: &str) -> Option<Finding> {
    others_read(path).then(|| {
        Finding::new(
            "readable",
            path.display().to_string(),
            format!("others than root can read its {what}"),
            format!("chmod 600 {}", path.display()),
        )
    })
}

fn is_hostname_file(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.starts_with("hostname."))
}

fn others_read(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|it| it.permissions().mode() & 0o077 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{carp::Carp, test_folder::Folder};

    fn carp0() -> Interface {
        Interface {
            index: 7,
            name: "carp0".into(),
            carp: Some(Carp::default()),
            ..Interface::default()
        }
    }

    #[test]
    fn managers() {
        let folder = Folder::new("managers");
        let find = |state: &str| {
            folder.write("7", state, 0o644);
            (
                networkd(&carp0(), &folder.0),
                network_manager(&carp0(), &folder.0),
            )
        };
        let all = folder.write("all.network", "[Match]\nName=*\n", 0o644);
        let own = folder.write("own.network", "[Match]\nName=carp0\n", 0o644);
        let off = folder.write(
            "off.network",
            "[Match]\nKind=carp\n[Link]\nUnmanaged=yes\n",
            0o644,
        );
        let state =
            |file: &Path| format!("ADMIN_STATE=configured\nNETWORK_FILE={}\n", file.display());
        let found = find(&state(&all)).0.expect("is told");
        assert!(found.what.contains("all.network"), "{found:?}");
        for fine in [state(&own), state(&off), "ADMIN_STATE=unmanaged\n".into()] {
            assert_eq!(find(&fine), (None, None));
        }
        assert!(find("[device]\nmanaged=true\n").1.is_some());
        assert_eq!(find("[device]\nmanaged=true\nconnection-uuid=1\n").1, None);
        assert_eq!(find("[device]\nmanaged=false\n").1, None);
    }

    #[test]
    fn files_that_others_read() {
        let folder = Folder::new("readable");
        let key = folder.write("key", "secret\n", 0o640);
        let words = format!("vhid 2 passfile {}\n", key.display());
        folder.write("hostname.carp1", &words, 0o644);
        folder.write("hostname.carp0", "vhid 1 pass secret\n", 0o644);
        folder.write("hostname.carp2", "vhid 3 pass secret\n", 0o600);
        let words = format!("authkey 1 {} auth enforce\n", key.display());
        folder.write("hostname.carp3", &words, 0o644);
        folder.write("hostname.eth0", "inet 10.0.0.1/24\n", 0o644);
        let found = readable(&folder.0);
        let about: Vec<_> = found.iter().map(|it| it.about.rsplit('/').next()).collect();
        assert_eq!(about, [Some("hostname.carp0"), Some("key"), Some("key")]);
        assert!(found.iter().any(|it| it.what.ends_with("its key")));
    }

    #[test]
    fn credentials_that_others_read() {
        let folder = Folder::new("credentials");
        let key = folder.write("key", "secret\n", 0o644);
        let drop_in = folder.folder("carp.service.d");
        let words = format!(
            "[Service]\nLoadCredential=carp.key1:{}\nLoadCredential=carp.key2\n",
            key.display()
        );
        fs::write(drop_in.join("keys.conf"), words).expect("can be written");
        let found = readable_credentials(&folder.0);
        let about: Vec<_> = found.iter().map(|it| it.about.rsplit('/').next()).collect();
        assert_eq!(about, [Some("key")]);
    }

    #[test]
    fn a_wireless_parent() {
        let folder = Folder::new("wireless");
        fs::create_dir_all(folder.0.join("wlan0/phy80211")).expect("can be made");
        assert!(wireless("wlan0", &folder.0).is_some());
        assert_eq!(wireless("eth0", &folder.0), None);
    }
}
