// SPDX-License-Identifier: GPL-2.0

//! What can go wrong, as a sentence.

use std::{fmt, io};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The command line means nothing: exit status 2.
    Usage(String),
    /// It means something that cannot be done: exit status 1.
    Failed(String),
    /// Some of it cannot be done, and the rest was: exit status 3.
    Partly(String),
    /// The kernel said no, with an error number and perhaps in words.
    Kernel { code: i32, words: String },
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Failed(_) | Self::Kernel { .. } => 1,
            Self::Partly(_) => 3,
        }
    }

    /// The same, and of what it is said.
    pub fn about(self, what: impl fmt::Display) -> Self {
        match self {
            Self::Usage(words) => Self::Usage(words),
            other => Self::Failed(format!("{what}: {other}")),
        }
    }
}

/// What an error number means, without the number.
fn meaning(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(words) | Self::Failed(words) | Self::Partly(words) => f.write_str(words),
            Self::Kernel { code, words } if words.is_empty() => {
                f.write_str(&meaning(&io::Error::from_raw_os_error(*code)))
            }
            Self::Kernel { words, .. } => f.write_str(words),
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Failed(meaning(&error))
    }
}

pub fn usage<T>(words: impl Into<String>) -> Result<T> {
    Err(Error::Usage(words.into()))
}

pub fn failed<T>(words: impl Into<String>) -> Result<T> {
    Err(Error::Failed(words.into()))
}

/// A sentence with its end; a question has one.
pub fn ended(sentence: &str) -> String {
    let end = if sentence.ends_with('?') { "" } else { "." };
    format!("{sentence}{end}")
}

/// Several sentences of one error, each in a line of its own; the last one has no end yet.
pub fn in_lines(sentences: &[String]) -> String {
    let mut lines = String::new();
    for (number, sentence) in sentences.iter().enumerate() {
        if number > 0 {
            lines = ended(&lines) + "\ncarpctl: ";
        }
        lines += sentence;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_sentences() {
        let sentences = ["this is wrong", "did you mean that?", "nor is this"].map(str::to_owned);
        assert_eq!(
            ended(&in_lines(&sentences)),
            "this is wrong.\ncarpctl: did you mean that?\ncarpctl: nor is this."
        );
        assert_eq!(in_lines(&[]), "");
    }
}
