// SPDX-License-Identifier: GPL-2.0

//! Files that hold a secret: a passphrase or a key.

use std::{
    env,
    ffi::OsStr,
    fs::File,
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Where systemd keeps them while that service is active.
const OF_CARP_SERVICE: &str = "/run/credentials/carp.service";

/// Opens a file that holds a `what`, with a warning if others can read it.
///
/// A name without a slash is first looked for among the credentials of the service that runs
/// this (`LoadCredential=` in systemd.exec(5)), or those that carp.service was started with:
/// systemd gives none to what reloads it, and none to a user who does the same by hand.
pub fn open(file: &str, what: &str, warnings: &mut Vec<String>) -> io::Result<File> {
    let folder = env::var_os("CREDENTIALS_DIRECTORY").unwrap_or_else(|| OF_CARP_SERVICE.into());
    let opened = File::open(path_of(file, &folder))?;
    if is_open_to_others(&opened)? {
        warnings.push(format!(
            "others than its owner can read or write \"{file}\", which holds a {what}: chmod it \
             to 600"
        ));
    }
    Ok(opened)
}

fn path_of(file: &str, credentials: &OsStr) -> PathBuf {
    let credential = Path::new(credentials).join(file);
    match !file.contains('/') && credential.exists() {
        true => credential,
        false => file.into(),
    }
}

/// Devices and pipes are somebody else's matter.
fn is_open_to_others(file: &File) -> io::Result<bool> {
    let metadata = file.metadata()?;
    Ok(metadata.is_file() && metadata.mode() & 0o066 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_folder::Folder;

    #[test]
    fn a_credential_comes_first() {
        let folder = Folder::new("secret-file");
        let key = folder.write("key1", "", 0o600);
        let of = |file| path_of(file, folder.0.as_os_str());
        assert_eq!(of("key1"), key);
        for file in ["key2", "./key1", "/etc/key1"] {
            assert_eq!(of(file), Path::new(file));
        }
    }
}
