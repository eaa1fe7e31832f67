// SPDX-License-Identifier: GPL-2.0

//! Files of which root makes use without looking: programs that are called, and files that
//! name such.

use crate::error::{failed, Error, Result};
use std::{
    fs::{self, Metadata},
    io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// The files of a folder with a fitting name, in lexical order; a folder that is not there has
/// none. `done` is what is not done with a folder that cannot be trusted.
pub fn list(folder: &Path, done: &str, is_name: fn(&str) -> bool) -> Result<Vec<PathBuf>> {
    let about = |error: io::Error| Error::from(error).about(folder.display());
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(about)?,
    };
    trust(folder, done, &fs::metadata(folder).map_err(about)?)?;
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry.map_err(about)?;
        if entry.file_name().to_str().is_some_and(is_name) {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

/// Whether nobody but root has a say in it.
pub fn trust(path: &Path, done: &str, metadata: &Metadata) -> Result<()> {
    let path = path.display();
    if metadata.uid() != 0 {
        return failed(format!("{path} is not {done}: it does not belong to root"));
    }
    if metadata.permissions().mode() & 0o002 != 0 {
        return failed(format!("{path} is not {done}: every user can write to it"));
    }
    Ok(())
}
