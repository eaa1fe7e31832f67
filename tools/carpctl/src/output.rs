// SPDX-License-Identifier: GPL-2.0

//! Standard output, for a reader who may go away at any time.

use crate::error::{Error, Result};
use serde::Serialize;
use std::io::{stderr, stdout, ErrorKind, Write};

pub struct Output {
    /// Nobody reads any more.
    closed: bool,
}

impl Output {
    pub fn new() -> Self {
        Self { closed: false }
    }

    /// Writes all of it now.
    ///
    /// # Errors
    ///
    /// Also if nobody reads any more: see [`Output::is_closed`].
    pub fn text(&mut self, text: &str) -> Result<()> {
        let mut out = stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Ok(()) => Ok(()),
            Err(error) => {
                self.closed = error.kind() == ErrorKind::BrokenPipe;
                Err(Error::from(error).about("standard output"))
            }
        }
    }

    /// One line of JSON.
    pub fn json(&mut self, value: &impl Serialize) -> Result<()> {
        let line =
            serde_json::to_string(value).map_err(|error| Error::Failed(error.to_string()))?;
        self.text(&(line + "\n"))
    }

    /// That is no mistake of anybody's.
    pub fn is_closed(&self) -> bool {
        self.closed
    }
}

/// Tells the user of what is not as they may expect, though it is no mistake.
pub fn warn(sentence: &str) {
    eprintln!("carpctl: warning: {sentence}.");
}

/// Tells the log of what a daemon cannot do. One whose log is gone goes on.
pub fn report(sentence: &str) {
    let _ = writeln!(stderr(), "carpctl: {sentence}.");
}
