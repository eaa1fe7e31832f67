// SPDX-License-Identifier: GPL-2.0

//! One run of a check: a command, what it prints, and how it ends.

use crate::{
    check_file::{Command, Settings},
    error::{Error, Result},
    last_line::LastLine,
    process_group::{failure, spawn, ProcessGroup},
};
use rustix::{
    fs::{fcntl_setfl, OFlags},
    pipe::{pipe_with, PipeFlags},
    process::{Pid, WaitStatus},
};
use std::{
    fs::File,
    io::{ErrorKind, Read},
    os::fd::{AsFd, BorrowedFd},
    process,
    time::Instant,
};

/// Bytes that are read at once.
const PIECE: usize = 16384;
/// So many pieces are read in a row: all that a pipe can hold.
const PIECES: usize = 64;

/// What a run has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub is_good: bool,
    /// The last line that was printed.
    pub line: Option<String>,
    /// How it ended, if not well.
    pub how: Option<String>,
}

impl Outcome {
    /// It could not even be started.
    pub fn not_started(error: &Error) -> Self {
        Self {
            is_good: false,
            line: None,
            how: Some(error.to_string()),
        }
    }

    /// It has taken too long.
    pub fn too_long(settings: &Settings, line: Option<String>) -> Self {
        let seconds = settings.timeout.as_secs();
        let how = format!("it has not ended after {seconds} s");
        Self {
            is_good: false,
            how: Some(match &line {
                Some(line) => format!("{how}: {line}"),
                None => how,
            }),
            line: None,
        }
    }

    /// What is said of it: the line, or how it ended.
    pub fn words(&self) -> Option<&str> {
        self.line.as_deref().or(self.how.as_deref())
    }
}

pub struct Run {
    pub group: ProcessGroup,
    /// Nothing, once nobody can print any more.
    output: Option<File>,
    line: LastLine,
}

impl Run {
    pub fn start(settings: &Settings, now: Instant) -> Result<Self> {
        let (output, input) = pipe_with(PipeFlags::CLOEXEC).map_err(std::io::Error::from)?;
        fcntl_setfl(&output, OFlags::NONBLOCK).map_err(std::io::Error::from)?;
        let (program, words) = match &settings.command {
            Command::Shell(line) => ("/bin/sh", vec!["-c", line]),
            Command::Words(program, words) => {
                (&**program, words.iter().map(String::as_str).collect())
            }
        };
        let child = spawn(
            process::Command::new(program)
                .args(words)
                .current_dir("/")
                .stderr(input.try_clone()?)
                .stdout(input),
        );
        let child = child.map_err(|error| Error::from(error).about(program))?;
        Ok(Self {
            group: ProcessGroup::new(&child, now + settings.timeout),
            output: Some(output.into()),
            line: LastLine::default(),
        })
    }

    pub fn is(&self, pid: Pid) -> bool {
        self.group.pid() == pid
    }

    /// What can be read when it prints something.
    pub fn output(&self) -> Option<BorrowedFd<'_>> {
        self.output.as_ref().map(AsFd::as_fd)
    }

    /// Takes what it has printed; of one that prints on and on no more than a pipe can hold.
    pub fn read(&mut self) {
        let mut piece = [0; PIECE];
        for _ in 0..PIECES {
            let Some(output) = &mut self.output else {
                return;
            };
            match output.read(&mut piece) {
                Ok(0) => self.output = None,
                Ok(length) => self.line.take(piece.get(..length).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.output = None,
            }
        }
    }

    pub fn line(&self) -> Option<String> {
        self.line.text()
    }

    /// It has ended. What it has left behind may still print, but nobody reads it.
    pub fn ended(mut self, status: WaitStatus) -> Outcome {
        self.read();
        let how = failure(status);
        Outcome {
            is_good: how.is_none(),
            line: self.line(),
            how,
        }
    }
}
