// SPDX-License-Identifier: GPL-2.0

//! One netstart at a time: at boot several are asked for at once, one for each interface
//! that comes late.

use crate::{
    error::{failed, Error, Result},
    run_folder::create,
};
use rustix::{
    fs::{flock, FlockOperation},
    io::Errno,
};
use std::{
    fs::File,
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

/// Held until it is dropped.
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for it, but not for ever: who holds it may be waiting for us, with a
    /// `!command` of its files.
    pub fn take(folder: &Path) -> Result<Self> {
        Self::take_within(folder, PATIENCE)
    }

    fn take_within(folder: &Path, patience: Duration) -> Result<Self> {
        let path = folder.join("lock");
        let unusable = |error| Error::from(error).about(format!("cannot lock {}", path.display()));
        let file = create(&path).map_err(unusable)?;
        let start = Instant::now();
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Self { _file: file }),
                Err(Errno::WOULDBLOCK) if start.elapsed() < patience => sleep(PAUSE),
                Err(Errno::WOULDBLOCK) => {
                    return failed("another netstart is at work, and does not end")
                }
                Err(error) => return Err(unusable(error.into())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time() {
        let folder = std::env::temp_dir().join(format!("carpctl-lock-{}", std::process::id()));
        let moment = Duration::from_millis(50);
        let first = Lock::take_within(&folder, moment);
        assert!(first.is_ok());
        assert!(Lock::take_within(&folder, moment).is_err());
        drop(first);
        assert!(Lock::take_within(&folder, moment).is_ok());
        let _ = std::fs::remove_dir_all(folder);
    }
}
