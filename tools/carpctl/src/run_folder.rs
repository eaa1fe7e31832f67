// SPDX-License-Identifier: GPL-2.0

//! Where a run leaves what the next one needs: for root alone, and gone with a reboot.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

pub const FOLDER: &str = "/run/carpctl";

/// Makes an empty file, and the folder that it is in if there is none.
pub fn create(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
}
