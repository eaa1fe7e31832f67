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

/// Opens a file that holds a `what`, with a warning if others can read it.
///
/// Below systemd a name without a slash is first looked for among the credentials of the
/// service (`LoadCredential=` in systemd.exec(5)).
pub fn open(file: &str, what: &str, warnings: &mut Vec<String>) -> io::Result<File> {
    let folder = env::var_os("CREDENTIALS_DIRECTORY");
    let opened = File::open(path_of(file, folder.as_deref()))?;
    if is_open_to_others(&opened)? {
        warnings.push(format!(
            "others than its owner can read or write \"{file}\", which holds a {what}: chmod it \
             to 600"
        ));
    }
    Ok(opened)
}

fn path_of(file: &str, credentials: Option<&OsStr>) -> PathBuf {
    let folder = credentials.filter(|_| !file.contains('/'));
    let credential = folder.map(|folder| Path::new(folder).join(file));
    let there = credential.filter(|path| path.exists());
    there.unwrap_or_else(|| file.into())
}

/// Devices and pipes are somebody else's matter.
fn is_open_to_others(file: &File) -> io::Result<bool> {
    let metadata = file.metadata()?;
    Ok(metadata.is_file() && metadata.mode() & 0o066 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_credential_comes_first() {
        let folder = env::temp_dir().join(format!("carpctl-credentials-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("can be made");
        fs::write(folder.join("key1"), "").expect("can be written");
        let of = |file| path_of(file, Some(folder.as_os_str()));
        assert_eq!(of("key1"), folder.join("key1"));
        for file in ["key2", "./key1", "/etc/key1"] {
            assert_eq!(of(file), Path::new(file));
        }
        assert_eq!(path_of("key1", None), Path::new("key1"));
        fs::remove_dir_all(&folder).expect("is ours");
    }
}
