// SPDX-License-Identifier: GPL-2.0

//! A folder for one test, which goes with it.

use std::{
    env,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process,
};

pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("carpctl-{name}-{}", process::id()));
        fs::create_dir_all(&path).expect("can be made");
        Self(path)
    }

    /// A file in it.
    pub fn write(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).expect("can be written");
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("is ours");
        path
    }

    /// A folder in it.
    pub fn folder(&self, path: &str) -> PathBuf {
        let path = self.0.join(path);
        fs::create_dir_all(&path).expect("can be made");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
