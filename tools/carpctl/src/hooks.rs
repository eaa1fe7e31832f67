// SPDX-License-Identifier: GPL-2.0

//! The programs in a folder such as /etc/carp/hooks.d: which of them are called, and what
//! they are told.

use crate::{
    error::{Error, Result},
    process_group::spawn,
    transitions::Transition,
    trusted_files::{list, trust},
};
use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command},
};

/// What is not done with a file that cannot be trusted.
const CALLED: &str = "called";

/// Whether a file of this name is called. What editors and package managers leave beside a
/// file has no such name, as in run-parts(8).
fn is_name(name: &str) -> bool {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    !name.starts_with('.') && !name.contains(".dpkg-") && name.bytes().all(is_fit)
}

/// What is called, in its order, and sentences about what is not, though it was meant to be.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Hooks {
    pub called: Vec<PathBuf>,
    pub refused: Vec<String>,
}

impl Hooks {
    /// Looks into the folder; one that is not there has none.
    pub fn read(folder: &Path) -> Self {
        let mut hooks = Self::default();
        match list(folder, CALLED, is_name) {
            Ok(paths) => {
                for path in paths {
                    match is_callable(&path) {
                        Ok(true) => hooks.called.push(path),
                        Ok(false) => {}
                        Err(error) => hooks.refused.push(error.to_string()),
                    }
                }
            }
            Err(error) => hooks.refused.push(error.to_string()),
        }
        hooks
    }
}

fn is_callable(path: &Path) -> Result<bool> {
    let metadata = fs::metadata(path).map_err(|error| Error::from(error).about(path.display()))?;
    if !metadata.is_file() || metadata.permissions().mode() & 0o111 == 0 {
        return Ok(false);
    }
    trust(path, CALLED, &metadata)?;
    Ok(true)
}

/// What a hook finds in its environment.
fn environment(transition: &Transition) -> [(&'static str, String); 6] {
    [
        ("CARP_INTERFACE", transition.interface.clone()),
        ("CARP_VHID", transition.vhid.to_string()),
        // as in uevents
        ("CARP_OLD_STATE", transition.old_state.to_uppercase()),
        ("CARP_STATE", transition.state.to_uppercase()),
        ("CARP_REASON", transition.reason.clone()),
        ("CARP_DEMOTE", transition.demote.to_string()),
    ]
}

/// Starts a hook, in a process group of its own.
pub fn start(path: &Path, transition: &Transition) -> io::Result<Child> {
    spawn(Command::new(path).envs(environment(transition)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{symlink, MetadataExt, OpenOptionsExt};

    #[test]
    fn names() {
        for name in ["10-radvd", "notify.sh", "A_b", "9"] {
            assert!(is_name(name), "{name}");
        }
        for name in [
            "notify~",
            "notify.dpkg-old",
            "notify.dpkg-dist",
            ".notify.swp",
            "#notify#",
            "two words",
            "näme",
        ] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn what_a_hook_is_told() {
        let transition = Transition {
            interface: "carp0".into(),
            vhid: 1,
            old_state: "backup".into(),
            state: "master".into(),
            reason: "master_timed_out".into(),
            demote: 240,
        };
        let told = environment(&transition).map(|(name, value)| format!("{name}={value}"));
        assert_eq!(
            told,
            [
                "CARP_INTERFACE=carp0",
                "CARP_VHID=1",
                "CARP_OLD_STATE=BACKUP",
                "CARP_STATE=MASTER",
                "CARP_REASON=master_timed_out",
                "CARP_DEMOTE=240",
            ]
        );
    }

    fn make(folder: &Path, name: &str, mode: u32) {
        let path = folder.join(name);
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).mode(mode);
        options.open(&path).expect("can be made");
        // whatever the umask is
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("is ours");
    }

    #[test]
    fn a_folder() {
        let folder = std::env::temp_dir().join(format!("carpctl-hooks-{}", std::process::id()));
        assert_eq!(Hooks::read(&folder), Hooks::default(), "there is none");
        fs::create_dir(&folder).expect("can be made");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("is ours");
        for (name, mode) in [
            ("20-b", 0o755),
            ("10-a", 0o700),
            ("README", 0o644),
            ("30-c~", 0o755),
            ("40-d", 0o757),
        ] {
            make(&folder, name, mode);
        }
        symlink("20-b", folder.join("50-e")).expect("can be made");
        fs::create_dir(folder.join("60-f")).expect("can be made");
        let hooks = Hooks::read(&folder);
        // only root's are called
        let is_root = fs::metadata(&folder).expect("is there").uid() == 0;
        if is_root {
            let called = ["10-a", "20-b", "50-e"].map(|name| folder.join(name));
            assert_eq!(hooks.called, called);
            assert_eq!(hooks.refused.len(), 1);
            let words = "40-d is not called: every user can write to it";
            assert!(hooks.refused.iter().all(|it| it.ends_with(words)));
        } else {
            assert!(hooks.called.is_empty());
            assert_eq!(hooks.refused.len(), 1);
        }
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).expect("is ours");
        assert!(Hooks::read(&folder).called.is_empty());
        let _ = fs::remove_dir_all(folder);
    }
}
